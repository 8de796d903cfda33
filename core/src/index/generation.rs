//! One array of words, a file in shared memory.

use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

use super::filter::{self, Filter};
use super::table::LINE;
use crate::error::{Error, Result};
use crate::key::Place;
use crate::os::{Created, Mapping, Medium, Room};
use crate::sync::{AtomicU64, Ordering};

/// ```text
/// offset size
///      0    8  magic "semelgen"
///      8    8  number
///     16   16  store id
///     32    8  words, a power of two
///     40    8  checksum of the above
///     64    8  insertions, by samples           (own cache line)
///    128    8  state: 0 open, 1 closed, 2 closed and its filter is there
///   4096    .  words
/// ```
/// Closed: no word is EMPTY, and none will be. Keys in it go on changing; none is added.
const MAGIC: &[u8; 8] = b"semelgen";
const HEAD: usize = 40;
const INSERTIONS: usize = 64;
const STATE: usize = 128;
const CLOSED: u64 = 1;
const FILTERED: u64 = 2;
const WORDS: usize = 4096;

/// Every key counts in a generation of so many words, every second one in one of twice as many, and so on:
/// the count is shared by all processes, and nobody should wait for its line.
const COUNTED_WHOLE: usize = 1 << 15;

/// A mapped generation.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    mapping: Mapping,
    count: usize,
    /// Nothing: not looked for yet. `None`: not what was made, and done without.
    filter: OnceLock<Option<Filter>>,
}

/// Bytes of a generation file of so many words.
pub(crate) fn bytes_of(words: u64) -> u64 {
    WORDS as u64 + words * 8
}

fn name(number: u64) -> String {
    format!("generation-{number:08x}")
}

impl Generation {
    /// Makes an empty generation; one of this number that somebody else made is as good.
    pub(crate) fn create(medium: &dyn Medium, number: u64, store: [u8; 16], words: u64) -> Result<Self> {
        let mut head = [0; HEAD + 8];
        head[..8].copy_from_slice(MAGIC);
        head[8..16].copy_from_slice(&number.to_le_bytes());
        head[16..32].copy_from_slice(&store);
        head[32..40].copy_from_slice(&words.to_le_bytes());
        let sum = xxh3_64(&head[..HEAD]);
        head[HEAD..].copy_from_slice(&sum.to_le_bytes());
        match medium.create(Room::Index, &name(number), bytes_of(words), &head)? {
            Created::Made(mapping) => Self::new(mapping, number, store),
            Created::Taken => Self::open(medium, number, store)?.ok_or_else(damaged),
        }
    }

    /// Opens a generation; `None` if it is not there, or not what was made.
    pub(crate) fn open(medium: &dyn Medium, number: u64, store: [u8; 16]) -> Result<Option<Self>> {
        Ok(medium.map(Room::Index, &name(number))?.and_then(|mapping| Self::new(mapping, number, store).ok()))
    }

    fn new(mapping: Mapping, number: u64, store: [u8; 16]) -> Result<Self> {
        let head = mapping.bytes(0, HEAD + 8).ok_or_else(damaged)?;
        let sealed = xxh3_64(&head[..HEAD]).to_le_bytes() == head[HEAD..];
        if !sealed || head[..8] != *MAGIC || head[8..16] != number.to_le_bytes() || head[16..32] != store {
            return Err(damaged());
        }
        let count = head[32..40].try_into().map(u64::from_le_bytes).map_err(|_| damaged())?;
        // At least a line, or a probe would have nowhere to begin; and no more than the file has.
        let bytes = count.checked_mul(8).and_then(|bytes| bytes.checked_add(WORDS as u64));
        let whole = count >= LINE as u64 && bytes == Some(mapping.len() as u64);
        if !count.is_power_of_two() || !whole {
            return Err(damaged());
        }
        Ok(Self { number, mapping, count: count as usize, filter: OnceLock::new() })
    }

    /// Counts a new key, if it is one of those that count. Answers with the keys there are by that count.
    #[inline]
    pub(crate) fn counted(&self, place: Place) -> Option<u64> {
        let step = (self.count / COUNTED_WHOLE).max(1) as u64;
        // Bits that choose neither the home line nor the tag: no line and no tag counts more than another.
        if place.0 >> 32 & (step - 1) != 0 {
            return None;
        }
        let before = self.mapping.word(INSERTIONS)?.fetch_add(step, Ordering::Relaxed);
        Some(before.saturating_add(step))
    }

    fn state(&self) -> u64 {
        // Acquire meets the Release below: whoever sees a state sees what it tells of.
        self.mapping.word(STATE).map_or(0, |state| state.load(Ordering::Acquire))
    }

    fn set_state(&self, to: u64) {
        if let Some(state) = self.mapping.word(STATE) {
            state.fetch_max(to, Ordering::AcqRel);
        }
    }

    /// Whether no key can be added any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state() >= CLOSED
    }

    /// Says that every word was seen closed.
    pub(crate) fn set_closed(&self) {
        self.set_state(CLOSED);
    }

    /// Whether a filter tells which keys it does not have.
    pub(crate) fn has_filter(&self) -> bool {
        self.state() >= FILTERED
    }

    /// Says that the filter is there under its name.
    pub(crate) fn set_filtered(&self) {
        self.set_state(FILTERED);
    }

    /// The filter, if this process has it open.
    #[inline]
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.filter.get()?.as_ref()
    }

    /// Whether there is a filter that this process has not looked at yet.
    pub(crate) fn has_unopened_filter(&self) -> bool {
        self.filter.get().is_none() && self.has_filter()
    }

    /// Opens the filter that is there. One that is not what was made is done without, for good.
    pub(crate) fn open_filter(&self, medium: &dyn Medium, store: [u8; 16]) -> Result<()> {
        let mapping = medium.map(Room::Index, &filter::name(self.number))?;
        let _ = self.filter.set(mapping.and_then(|mapping| Filter::open(mapping, self.number, store)));
        Ok(())
    }

    /// Has its pages there before they are needed.
    pub(crate) fn populate(&self) {
        self.mapping.populate(0, self.mapping.len());
    }

    /// Asks for the home line of a place, ahead of its probe.
    #[inline]
    pub(crate) fn prefetch(&self, place: Place) {
        self.prefetch_word(place.home(self.count / LINE) * LINE);
    }

    /// Asks for the line of a word.
    #[inline]
    pub(crate) fn prefetch_word(&self, at: usize) {
        self.mapping.prefetch(WORDS + at * 8);
    }

    /// Its words, a power of two of them, and at least a line.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.mapping.words(WORDS, self.count).unwrap_or_default()
    }
}

#[cold]
fn damaged() -> Error {
    Error::corrupt("an index generation is not what was made")
}
