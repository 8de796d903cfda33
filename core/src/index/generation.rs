//! One array of words, a file in shared memory. There is one generation today; growth will add more.

use xxhash_rust::xxh3::xxh3_64;

use super::table::LINE;
use crate::error::{Error, Result};
use crate::key::Place;
use crate::os::{Created, Mapping, Medium, Room};
use crate::sync::AtomicU64;

/// ```text
/// offset size
///      0    8  magic "semelgen"
///      8    8  number
///     16   16  store id
///     32    8  words, a power of two
///     40    8  checksum of the above
///   4096    .  words
/// ```
const MAGIC: &[u8; 8] = b"semelgen";
const HEAD: usize = 40;
const WORDS: usize = 4096;

/// A mapped generation.
#[derive(Debug)]
pub(crate) struct Generation {
    mapping: Mapping,
    count: usize,
}

/// Bytes of a generation file of so many words.
pub(crate) fn bytes_of(words: u64) -> u64 {
    WORDS as u64 + words * 8
}

fn name(number: u64) -> String {
    format!("generation-{number:08x}")
}

impl Generation {
    /// Makes an empty generation.
    pub(crate) fn create(medium: &dyn Medium, number: u64, store: [u8; 16], words: u64) -> Result<Self> {
        let mut head = [0; HEAD + 8];
        head[..8].copy_from_slice(MAGIC);
        head[8..16].copy_from_slice(&number.to_le_bytes());
        head[16..32].copy_from_slice(&store);
        head[32..40].copy_from_slice(&words.to_le_bytes());
        let sum = xxh3_64(&head[..HEAD]);
        head[HEAD..].copy_from_slice(&sum.to_le_bytes());
        match medium.create(Room::Index, &name(number), bytes_of(words), &head)? {
            Created::Made(mapping) => Self::new(mapping, store),
            Created::Taken => Err(Error::corrupt("a new index already holds a generation")),
        }
    }

    /// Opens a generation; `None` if it is not there, or not what was made.
    pub(crate) fn open(medium: &dyn Medium, number: u64, store: [u8; 16]) -> Result<Option<Self>> {
        Ok(medium.map(Room::Index, &name(number))?.and_then(|mapping| Self::new(mapping, store).ok()))
    }

    fn new(mapping: Mapping, store: [u8; 16]) -> Result<Self> {
        let damaged = || Error::corrupt("an index generation is not what was made");
        let head = mapping.bytes(0, HEAD + 8).ok_or_else(damaged)?;
        let sealed = xxh3_64(&head[..HEAD]).to_le_bytes() == head[HEAD..];
        if !sealed || head[..8] != *MAGIC || head[16..32] != store {
            return Err(damaged());
        }
        let count = head[32..40].try_into().map(u64::from_le_bytes).map_err(|_| damaged())?;
        // At least a line, or a probe would have nowhere to begin; and no more than the file has.
        let bytes = count.checked_mul(8).and_then(|bytes| bytes.checked_add(WORDS as u64));
        let whole = count >= LINE as u64 && bytes == Some(mapping.len() as u64);
        if !count.is_power_of_two() || !whole {
            return Err(damaged());
        }
        Ok(Self { mapping, count: count as usize })
    }

    /// Asks for the home line of a place, ahead of its probe.
    #[inline]
    pub(crate) fn prefetch(&self, place: Place) {
        self.mapping.prefetch(WORDS + place.home(self.count / LINE) * LINE * 8);
    }

    /// Its words.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.mapping.words(WORDS, self.count).unwrap_or_default()
    }
}
