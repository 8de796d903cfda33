//! Versions order the records of a key, in whichever chunk they lie: a hybrid logical clock.

/// Bits of counter below 48 bits of milliseconds.
const SHIFT: u32 = 16;

/// The version of a record that follows `seen` (0: nothing) at this time.
pub(crate) fn next(seen: u64, now_ms: u64) -> u64 {
    (seen + 1).max(now_ms << SHIFT)
}

/// The time in a version.
pub(crate) fn ms(version: u64) -> u64 {
    version >> SHIFT
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_version_is_above_what_was_seen_and_not_behind_the_clock() {
        assert_eq!(super::next(0, 5), 5 << 16);
        assert_eq!(super::next(5 << 16, 5), (5 << 16) + 1);
        assert_eq!(super::next(9 << 16, 5), (9 << 16) + 1);
        assert_eq!(super::ms(super::next(9 << 16, 5)), 9);
    }
}
