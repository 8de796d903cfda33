//! One index entry.

use crate::log::address::Address;

/// ```text
///  63        52 51                                    4 3     0
/// +------------+---------------------------------------+-------+
/// |   tag 12   |   address 48, in units of 16 bytes    | flags |
/// +------------+---------------------------------------+-------+
/// ```
/// EMPTY is zero: what a fresh file holds. No record has address 0, so no record's word is EMPTY, and flag
/// bits 1 to 3 are never set, so no record's word is FROZEN. Bit 0 is DEAD: the key is not here any more
/// (reserved for dropping).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

const FLAG_BITS: u32 = 4;
const ADDRESS_BITS: u32 = 48;
const TAG_BITS: u32 = 12;
const TAG_SHIFT: u32 = FLAG_BITS + ADDRESS_BITS;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;
const DEAD: u64 = 1;

const _: () = assert!(FLAG_BITS + ADDRESS_BITS + TAG_BITS == 64);

impl Word {
    pub(crate) const EMPTY: Self = Self(0);
    pub(crate) const FROZEN: Self = Self(!0);

    /// The word of a record.
    pub(crate) fn new(tag: u64, address: Address) -> Self {
        debug_assert!(tag < 1 << TAG_BITS && address.0 <= ADDRESS_MASK && address.0 != 0);
        Self(tag << TAG_SHIFT | address.0 << FLAG_BITS)
    }

    pub(crate) fn tag(self) -> u64 {
        self.0 >> TAG_SHIFT
    }

    pub(crate) fn address(self) -> Address {
        Address(self.0 >> FLAG_BITS & ADDRESS_MASK)
    }

    /// Whether it is the word of a record that stands.
    pub(crate) fn is_record(self) -> bool {
        self != Self::EMPTY && self != Self::FROZEN && !self.is_dead()
    }

    pub(crate) fn is_dead(self) -> bool {
        self.0 & DEAD != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_neither_empty_nor_frozen_at_either_end() {
        for (tag, address) in [(0, 1), (0xFFF, ADDRESS_MASK), (0, ADDRESS_MASK), (0xFFF, 1)] {
            let word = Word::new(tag, Address(address));
            assert!(word != Word::EMPTY && word != Word::FROZEN && !word.is_dead());
            assert_eq!((word.tag(), word.address().0), (tag, address));
        }
    }
}
