//! The control page: the words that all processes of a store share besides the index. In shared memory, gone
//! with it.

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::os::Mapping;
use crate::sync::{AtomicU64, Ordering};

/// ```text
/// offset size
///      0    8  magic "semelctl"
///      8    8  clock offset: store time = time since boot + this (ms)
///     16   16  store id
///     32   16  index id
///     48    8  number of the first generation
///     56    8  checksum of the above
///     64    8  next segment number          (these two change rarely)
///     72    8  number of the newest generation
///    128   16  tail of class 0, then the number of its segment made ready  (a line each: 128 + 64 * class)
///   2048    8  counter 0, and so on: what happened, over all processes, since this index was made
/// ```
const MAGIC: &[u8; 8] = b"semelctl";
const HEAD: usize = 56;
const NEXT_SEGMENT: usize = 64;
const NEWEST_GENERATION: usize = 72;
const TAILS: usize = 128;
const COUNTERS: usize = 2048;
pub(crate) const CONTROL_PAGE_BYTES: u64 = 4096;
pub(crate) const CONTROL_PAGE: &str = "control";

/// The most lifetime classes there is room for.
pub(crate) const CLASSES_MAX: usize = (COUNTERS - TAILS) / 64;

/// What is fixed when an index is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexHead {
    pub(crate) clock_offset_ms: u64,
    pub(crate) store: [u8; 16],
    pub(crate) index: [u8; 16],
    pub(crate) generation: u64,
}

impl IndexHead {
    pub(crate) fn bytes(&self) -> [u8; HEAD + 8] {
        let mut head = [0; HEAD + 8];
        head[..8].copy_from_slice(MAGIC);
        head[8..16].copy_from_slice(&self.clock_offset_ms.to_le_bytes());
        head[16..32].copy_from_slice(&self.store);
        head[32..48].copy_from_slice(&self.index);
        head[48..56].copy_from_slice(&self.generation.to_le_bytes());
        let sum = xxh3_64(&head[..HEAD]);
        head[HEAD..].copy_from_slice(&sum.to_le_bytes());
        head
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if word(HEAD)? != xxh3_64(bytes.get(..HEAD)?) || bytes.get(..8)? != MAGIC {
            return None;
        }
        let mut head =
            Self { clock_offset_ms: word(8)?, store: [0; 16], index: [0; 16], generation: word(48)? };
        head.store.copy_from_slice(&bytes[16..32]);
        head.index.copy_from_slice(&bytes[32..48]);
        Some(head)
    }
}

/// What is counted; rare events only, for all of them share a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    /// Requests whose fingerprint was made by another rule than the record's.
    Unverifiable = 0,
    /// Records that an operator removed.
    Forgotten = 1,
}

/// The mapped page.
#[derive(Clone, Debug)]
pub(crate) struct ControlPage {
    pub(crate) head: IndexHead,
    mapping: Mapping,
}

impl ControlPage {
    /// `None` if it is not a control page.
    pub(crate) fn open(mapping: Mapping) -> Option<Self> {
        let head = IndexHead::parse(mapping.bytes(0, HEAD + 8)?)?;
        (mapping.len() as u64 == CONTROL_PAGE_BYTES).then_some(Self { head, mapping })
    }

    /// The tail of a class: see the log.
    #[inline]
    pub(crate) fn tail(&self, class: usize) -> Result<&AtomicU64> {
        self.mapping.word(TAILS + 64 * class).ok_or_else(too_short)
    }

    /// The number of the segment made ready to follow the class's last one; 0 or a stale number: none.
    pub(crate) fn ready(&self, class: usize) -> Result<&AtomicU64> {
        self.mapping.word(TAILS + 64 * class + 8).ok_or_else(too_short)
    }

    /// The segment number to try next. It is used up only once a file has it, by
    /// [`used_segment`](Self::used_segment): growth that fails for want of room, again and again, costs none.
    pub(crate) fn next_segment(&self) -> Result<u32> {
        let next = self.mapping.word(NEXT_SEGMENT).ok_or_else(too_short)?.load(Ordering::Acquire);
        u32::try_from(next).map_err(|_| Error::full("the log has used all its segment numbers"))
    }

    /// A file has this number now: the next is a higher one.
    pub(crate) fn used_segment(&self, number: u32) -> Result<()> {
        let next = self.mapping.word(NEXT_SEGMENT).ok_or_else(too_short)?;
        next.fetch_max(u64::from(number) + 1, Ordering::AcqRel);
        Ok(())
    }

    /// Number of the generation that takes new keys.
    #[inline]
    pub(crate) fn newest_generation(&self) -> Result<u64> {
        // Acquire meets the swap that published it: its file is linked.
        Ok(self.mapping.word(NEWEST_GENERATION).ok_or_else(too_short)?.load(Ordering::Acquire))
    }

    /// Makes the next one the newest, unless that was done.
    pub(crate) fn publish_generation(&self, after: u64) -> Result<bool> {
        let newest = self.mapping.word(NEWEST_GENERATION).ok_or_else(too_short)?;
        Ok(newest.compare_exchange(after, after + 1, Ordering::AcqRel, Ordering::Acquire).is_ok())
    }

    /// A counter.
    pub(crate) fn counter(&self, counter: Counter) -> Result<&AtomicU64> {
        self.mapping.word(COUNTERS + 8 * counter as usize).ok_or_else(too_short)
    }

    /// Where a new index begins: its one generation, and where segment numbers go on.
    pub(crate) fn begin(&self, next_segment: u32) -> Result<()> {
        let put = |at, value| {
            self.mapping.word(at).ok_or_else(too_short).map(|word| word.store(value, Ordering::Release))
        };
        put(NEXT_SEGMENT, u64::from(next_segment))?;
        put(NEWEST_GENERATION, self.head.generation)
    }
}

fn too_short() -> Error {
    Error::corrupt("the control page of the index is too short")
}
