//! The filter of a sealed generation: which places it surely does not hold. A file of its own, in shared
//! memory, asked by every process from the mapping (decision 0005).
//!
//! It may be built only of a generation that takes no more inserts: a key that comes later would be denied,
//! and its request run twice. It is made whole and published last, under its name, by
//! [`Medium::create`](crate::os::Medium::create); from then on it never changes. A filter that is missing, or
//! not what was made, costs time alone: the generation is probed instead.

use xxhash_rust::xxh3::xxh3_64;

use super::block;
use crate::key::Place;
use crate::os::Mapping;

/// ```text
/// offset size
///      0    8  magic "semelflt"
///      8    8  number of the generation
///     16   16  store id
///     32    8  blocks, at least 1
///     40    8  places put in
///     48    8  checksum of the blocks
///     56    8  checksum of the above
///     64    .  blocks of 64 bytes, to the end of the file
/// ```
/// The magic stands for the shape of a block and the way to it too: a filter of another shape gets another
/// magic, or places would be looked for where nobody put them. How many blocks there are for a key is the
/// maker's choice.
const MAGIC: &[u8; 8] = b"semelflt";
const NUMBER: usize = 8;
const STORE: usize = 16;
const COUNT: usize = 32;
const PLACES: usize = 40;
const BODY_SUM: usize = 48;
const HEAD_SUM: usize = 56;
const BLOCKS: usize = 64;

// A mapping starts at a page, so each block is one cache line.
const _: () = assert!(HEAD_SUM + 8 == BLOCKS && BLOCKS.is_multiple_of(block::BYTES));

/// Bits for each key: 0.43 % of the absent keys are taken for present ones.
const BITS: usize = 12;

/// An open filter.
#[derive(Debug)]
pub(crate) struct Filter {
    mapping: Mapping,
    blocks: usize,
}

/// Name of the filter's file.
pub(crate) fn name(number: u64) -> String {
    format!("filter-{number:08x}")
}

/// Bytes of the filter file of so many keys.
pub(crate) fn bytes_of(keys: usize) -> usize {
    BLOCKS + blocks_for(keys) * block::BYTES
}

/// At least one: an empty filter says no to everything, from a block as any other.
fn blocks_for(keys: usize) -> usize {
    keys.saturating_mul(BITS).div_ceil(block::BYTES * 8).max(1)
}

/// The filter file of a sealed generation, whole, to be published by `Medium::create`. It takes no memory but
/// its own. `keys` gives it its size: with more places than that it says yes too often, and never no to one
/// of them. A place that comes twice is as good as once.
pub(crate) fn build(
    number: u64,
    store: [u8; 16],
    places: impl Iterator<Item = Place>,
    keys: usize,
) -> Vec<u8> {
    let mut file = vec![0; bytes_of(keys)];
    let (head, body) = file.split_at_mut(BLOCKS);
    let (blocks, _) = body.as_chunks_mut();
    let (count, mut put) = (blocks.len(), 0_u64);
    for place in places {
        block::set(&mut blocks[block::of(place.0, count)], place.0);
        put += 1;
    }
    head[..NUMBER].copy_from_slice(MAGIC);
    head[NUMBER..STORE].copy_from_slice(&number.to_le_bytes());
    head[STORE..COUNT].copy_from_slice(&store);
    head[COUNT..PLACES].copy_from_slice(&(count as u64).to_le_bytes());
    head[PLACES..BODY_SUM].copy_from_slice(&put.to_le_bytes());
    head[BODY_SUM..HEAD_SUM].copy_from_slice(&xxh3_64(body).to_le_bytes());
    let sum = xxh3_64(&head[..HEAD_SUM]);
    head[HEAD_SUM..].copy_from_slice(&sum.to_le_bytes());
    file
}

impl Filter {
    /// Opens the filter of this generation of this store; `None` if it is not what was made, and then the
    /// generation is probed instead. Reads the whole file once: nothing of it is believed before.
    pub(crate) fn open(mapping: Mapping, number: u64, store: [u8; 16]) -> Option<Self> {
        let head = mapping.bytes(0, BLOCKS)?;
        if xxh3_64(&head[..HEAD_SUM]).to_le_bytes() != head[HEAD_SUM..] {
            return None;
        }
        let ours = head[..NUMBER] == *MAGIC
            && head[NUMBER..STORE] == number.to_le_bytes()
            && head[STORE..COUNT] == store;
        let body = mapping.bytes(BLOCKS, mapping.len() - BLOCKS)?;
        let (whole, rest) = body.as_chunks::<{ block::BYTES }>();
        let blocks = whole.len();
        // A count that is not the file's would send places to other blocks than those they were put in.
        if !ours || blocks == 0 || !rest.is_empty() || head[COUNT..PLACES] != (blocks as u64).to_le_bytes() {
            return None;
        }
        if xxh3_64(body).to_le_bytes() != head[BODY_SUM..HEAD_SUM] {
            return None;
        }
        Some(Self { mapping, blocks })
    }

    /// `false`: the generation does not hold this place. `true`: it may, and must be probed.
    #[inline]
    pub(crate) fn may_contain(&self, place: Place) -> bool {
        let block = self.mapping.bytes(self.offset(place), block::BYTES).and_then(<[u8]>::first_chunk);
        block.is_none_or(|block| block::has(block, place.0))
    }

    /// Asks for the one line that [`may_contain`](Self::may_contain) will read.
    #[inline]
    pub(crate) fn prefetch(&self, place: Place) {
        self.mapping.prefetch(self.offset(place));
    }

    #[inline]
    fn offset(&self, place: Place) -> usize {
        BLOCKS + block::of(place.0, self.blocks) * block::BYTES
    }
}

#[cfg(test)]
mod tests;
