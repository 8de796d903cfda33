//! The control word of a record: the only part of it that changes.

use crate::sync::{AtomicU64, Ordering};

/// The control word of a record that is no claim, once it was in the index. Zero before. Anything else is
/// damage.
const COMMITTED: u64 = 0x5E4D_E1C0_3317_7ED1;

/// The control word of a claim.
/// ```text
///  63     48 47                        3     2       1        0
/// +---------+--------------------------+-------+--------+-----------+
/// | check 16|  deadline 45 (ms)        | TAKEN | EFFECT | COMMITTED |
/// +---------+--------------------------+-------+--------+-----------+
/// ```
/// Zero is no control word of a claim: its check bits are not those of a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClaimControl(u64);

const COMMITTED_BIT: u64 = 1;
const EFFECT: u64 = 1 << 1;
const TAKEN: u64 = 1 << 2;
const DEADLINE_SHIFT: u32 = 3;
const DEADLINE_BITS: u32 = 45;
const CHECK_SHIFT: u32 = DEADLINE_SHIFT + DEADLINE_BITS;
const PAYLOAD: u64 = (1 << CHECK_SHIFT) - 1;
const DEADLINE_MAX: u64 = (1 << DEADLINE_BITS) - 1;

const _: () = assert!(CHECK_SHIFT + 16 == 64);

/// 16 bits that a flipped bit of the rest does not leave alone. Odd constants of a multiplicative hash.
const fn check(payload: u64) -> u64 {
    let mixed = (payload ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 48
}

/// What became of a swap on a claim's control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    /// It holds the new value.
    Done,
    /// Somebody else changed it first; look again.
    Lost,
    /// It is damaged.
    Corrupt,
}

impl ClaimControl {
    /// The control word of a claim that is about to be written: not committed.
    pub(crate) const fn new(deadline_ms: u64, has_effect: bool) -> Self {
        let deadline = if deadline_ms > DEADLINE_MAX { DEADLINE_MAX } else { deadline_ms };
        Self::sealed(deadline << DEADLINE_SHIFT | if has_effect { EFFECT } else { 0 })
    }

    const fn sealed(payload: u64) -> Self {
        Self(payload | check(payload) << CHECK_SHIFT)
    }

    /// Loads it; `None` if it is damaged.
    pub(crate) fn load(word: &AtomicU64) -> Option<Self> {
        let control = Self(word.load(Ordering::Acquire));
        (Self::sealed(control.0 & PAYLOAD) == control).then_some(control)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn deadline_ms(self) -> u64 {
        (self.0 & PAYLOAD) >> DEADLINE_SHIFT
    }

    pub(crate) fn is_committed(self) -> bool {
        self.0 & COMMITTED_BIT != 0
    }

    pub(crate) fn has_effect(self) -> bool {
        self.0 & EFFECT != 0
    }

    pub(crate) fn is_taken(self) -> bool {
        self.0 & TAKEN != 0
    }

    fn with(self, bits: u64) -> Self {
        Self::sealed(self.0 & PAYLOAD | bits)
    }

    /// Swaps from the value that was judged, and from no other.
    fn swap(self, word: &AtomicU64, to: Self) -> bool {
        word.compare_exchange(self.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Sets TAKEN on the value that was judged: from here on its owner can neither extend it nor mark an
    /// effect. Taken already is as good.
    #[must_use]
    pub(crate) fn take(self, word: &AtomicU64) -> bool {
        self.is_taken() || self.swap(word, self.with(TAKEN))
    }

    /// Sets the effect mark, unless the claim is taken.
    pub(crate) fn mark_effect(word: &AtomicU64) -> Swapped {
        Self::change(word, |control| control.with(EFFECT))
    }

    /// Moves the deadline, unless the claim is taken. Never back: another thread of the owner may have been
    /// told of a later one.
    pub(crate) fn extend(word: &AtomicU64, deadline_ms: u64) -> Swapped {
        Self::change(word, |control| {
            let flags = control.0 & (COMMITTED_BIT | EFFECT);
            let deadline_ms = deadline_ms.max(control.deadline_ms());
            Self::sealed((Self::new(deadline_ms, false).0 & PAYLOAD) | flags)
        })
    }

    fn change(word: &AtomicU64, to: impl Fn(Self) -> Self) -> Swapped {
        loop {
            let Some(control) = Self::load(word) else { return Swapped::Corrupt };
            if control.is_taken() {
                return Swapped::Lost;
            }
            // A lost swap means that the owner's other thread, a helper or a taker got through: look again.
            if control.swap(word, to(control)) {
                return Swapped::Done;
            }
        }
    }
}

/// Whether the control word of a record that is no claim is marked; `None` if it is damaged.
pub(crate) fn is_committed(word: &AtomicU64) -> Option<bool> {
    match word.load(Ordering::Acquire) {
        0 => Some(false),
        COMMITTED => Some(true),
        _ => None,
    }
}

/// Marks a claim as having been in the index.
pub(crate) fn commit_claim(word: &AtomicU64) -> Swapped {
    loop {
        let Some(control) = ClaimControl::load(word) else { return Swapped::Corrupt };
        if control.is_committed() || control.swap(word, control.with(COMMITTED_BIT)) {
            return Swapped::Done;
        }
    }
}

/// Marks any other record as having been in the index. All who do so write the same value.
pub(crate) fn commit(word: &AtomicU64) {
    word.store(COMMITTED, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_deadline_and_mark_do_not_disturb_each_other() {
        let word = AtomicU64::new(ClaimControl::new(1000, false).bits());
        assert_eq!(commit_claim(&word), Swapped::Done);
        assert_eq!(ClaimControl::mark_effect(&word), Swapped::Done);
        assert_eq!(ClaimControl::extend(&word, 2000), Swapped::Done);
        let control = ClaimControl::load(&word).unwrap();
        assert!(control.is_committed() && control.has_effect() && !control.is_taken());
        assert_eq!(control.deadline_ms(), 2000);
    }

    #[test]
    fn a_taken_claim_takes_no_effect_and_no_deadline() {
        let word = AtomicU64::new(ClaimControl::new(1000, false).bits());
        assert!(ClaimControl::load(&word).unwrap().take(&word));
        assert_eq!(ClaimControl::mark_effect(&word), Swapped::Lost);
        assert_eq!(ClaimControl::extend(&word, 2000), Swapped::Lost);
        assert_eq!(commit_claim(&word), Swapped::Done, "but it can still be marked");
    }

    #[test]
    fn a_claim_is_taken_only_as_it_was_judged() {
        let word = AtomicU64::new(ClaimControl::new(1000, false).bits());
        let judged = ClaimControl::load(&word).unwrap();
        assert_eq!(ClaimControl::extend(&word, 9000), Swapped::Done);
        assert!(!judged.take(&word));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = ClaimControl::new(1_800_000_000_000, true).with(COMMITTED_BIT).bits();
        for bit in 0..64 {
            let word = AtomicU64::new(good ^ 1 << bit);
            assert!(ClaimControl::load(&word).is_none(), "bit {bit}");
        }
        assert!(ClaimControl::load(&AtomicU64::new(0)).is_none(), "zero is no claim");
        assert_eq!(is_committed(&AtomicU64::new(COMMITTED ^ 1)), None);
    }
}
