//! Lifetime classes: records that end together lie together, so that a segment can go as a whole file.

use crate::control_page::CLASSES_MAX;

/// Records are put by how long they must be kept, not by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(pub(crate) u8);

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The longest keep of each class. The margin over the round number is for the lease and the grace of a
/// claim.
const UP_TO_MS: [u64; Lifetime::CLASSES] = [2 * HOUR_MS, 25 * HOUR_MS, 8 * DAY_MS, 31 * DAY_MS, u64::MAX];

const _: () = assert!(Lifetime::CLASSES <= CLASSES_MAX);

/// A claim stays in the log this long behind its lease, for whoever judges the orphan.
pub(crate) const CLAIM_GRACE_MS: u64 = HOUR_MS;

impl Lifetime {
    pub(crate) const CLASSES: usize = 5;

    /// The class of a record that must be kept this much longer.
    pub(crate) fn of(keep_for_ms: u64) -> Self {
        Self(UP_TO_MS.iter().take_while(|&&bound| keep_for_ms > bound).count() as u8)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::CLASSES as u8).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_each_other_without_a_gap() {
        assert_eq!(Lifetime::of(0).0, 0);
        for (class, bound) in UP_TO_MS.iter().enumerate().take(4) {
            assert_eq!(Lifetime::of(*bound).index(), class);
            assert_eq!(Lifetime::of(bound + 1).index(), class + 1);
        }
    }
}
