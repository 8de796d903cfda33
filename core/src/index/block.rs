//! One block of a filter: a cache line that holds one bit in each of its eight words for each key. The bench
//! of the filters compiles this very file, so it leans on nothing.

/// Bytes of a block: a cache line.
pub(crate) const BYTES: usize = 64;

const WORDS: usize = 8;

/// Bits of the hash that choose a bit of a word.
const CHOICE: usize = 6;

/// 2^64 over the golden ratio, odd.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

const _: () = assert!(WORDS * 8 == BYTES && 1 << CHOICE == u64::BITS && WORDS * CHOICE <= 64);

/// Which of so many blocks a place belongs to: by its high bits, whatever the number of blocks.
///
/// The home line of a place is its low bits, so the keys of one line of a generation lie all over the filter.
/// The tag is of the high bits, so the keys of one block often share their tag; a place that is taken for one
/// of them still probes a line of its own choice, where tags are as mixed as anywhere.
#[inline]
pub(crate) fn of(place: u64, blocks: usize) -> usize {
    ((u128::from(place) * blocks as u128) >> 64) as usize
}

/// What chooses the bits in a block. Both halves of the product: the low one alone would give the last words
/// the low bits of the place and nothing else, and those are the same for all keys of a home line.
#[inline]
fn hash(place: u64) -> u64 {
    let product = u128::from(place) * u128::from(ODD);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn bit(hash: u64, word: usize) -> u64 {
    (hash >> (CHOICE * word)) & ((1 << CHOICE) - 1)
}

/// Puts a key in.
#[inline]
pub(crate) fn set(block: &mut [u8; BYTES], place: u64) {
    let hash = hash(place);
    for (i, word) in block.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *word = (u64::from_le_bytes(*word) | 1 << bit(hash, i)).to_le_bytes();
    }
}

/// Whether all its bits are set. Half of the words without a branch: 95 of 100 absent keys end there, so the
/// branch is foreseen and the other half is not paid for.
#[inline]
pub(crate) fn has(block: &[u8; BYTES], place: u64) -> bool {
    let (words, hash) = (block.as_chunks::<8>().0, hash(place));
    let at = |i: usize| u64::from_le_bytes(words[i]) >> bit(hash, i);
    at(0) & at(1) & at(2) & at(3) & 1 != 0 && at(4) & at(5) & at(6) & at(7) & 1 != 0
}
