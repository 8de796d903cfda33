//! One file of the log, and the table of those that this process has mapped.

use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

use super::address::{Address, Geometry, SegmentNumber};
use super::lifetime::Lifetime;
use super::record::{self, HEADER as RECORD_HEADER, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::os::{Mapping, Medium, Room};

/// A segment is cut into chunks; a chunk has one appender.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes before the first record of a segment: its header, then room that is reserved.
pub(crate) const SEGMENT_HEADER: usize = 4096;

/// ```text
/// offset size
///      0    8  magic "semelseg"
///      8    4  format
///     12    4  number
///     16   16  store id
///     32    8  bytes
///     40    8  lifetime class
///     48    8  checksum of the above
///     64    8  keep: the last deadline in it        (reserved for dropping)
///     72    8  state: 0 open                        (reserved for dropping)
///    128    8  watermark: synced up to here          (reserved for Disk)
///   4096    .  chunk 0, behind the header; chunk n starts at n * 64 KiB
/// ```
const MAGIC: &[u8; 8] = b"semelseg";
const FORMAT: u32 = 1;
const HEAD: usize = 48;

/// The name of a segment's file.
pub(crate) fn name(number: SegmentNumber) -> String {
    format!("{:08x}.seg", number.0)
}

/// The number in the name of a segment's file.
pub(crate) fn number_of(name: &str) -> Option<SegmentNumber> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok().filter(|number| *number > 0).map(SegmentNumber)
}

/// The first bytes of a new segment.
pub(crate) fn head(
    number: SegmentNumber,
    store: [u8; 16],
    bytes: usize,
    lifetime: Lifetime,
) -> [u8; HEAD + 8] {
    let mut head = [0; HEAD + 8];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..16].copy_from_slice(&number.0.to_le_bytes());
    head[16..32].copy_from_slice(&store);
    head[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
    head[40..48].copy_from_slice(&u64::from(lifetime.0).to_le_bytes());
    let sum = xxh3_64(&head[..HEAD]);
    head[HEAD..].copy_from_slice(&sum.to_le_bytes());
    head
}

/// A mapped segment of this store.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: SegmentNumber,
    pub(crate) mapping: Mapping,
}

/// A place in a chunk, as a walk meets it.
pub(crate) enum Step<'a> {
    /// A record with the right checksum.
    Record(Record<'a>, usize),
    /// Bytes of a known length that are no record: an appender died there, or they were damaged.
    Garbage(usize),
    /// Nothing was written from here to the end of the chunk.
    End,
    /// Something was, and it cannot be told how long it is.
    Unreadable,
}

impl Segment {
    /// Takes a mapping for this segment, if it is.
    pub(crate) fn new(
        number: SegmentNumber,
        mapping: Mapping,
        store: [u8; 16],
        geometry: Geometry,
    ) -> Result<Self> {
        let damaged = |why: &str| Error::corrupt(format!("log segment {}: {why}", name(number)));
        let bytes = mapping.bytes(0, HEAD + 8).ok_or_else(|| damaged("it is shorter than its header"))?;
        if bytes[..8] == *MAGIC && bytes[8..12] != FORMAT.to_le_bytes() {
            let message = format!("log segment {}: it was written by another format version", name(number));
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        if xxh3_64(&bytes[..HEAD]).to_le_bytes() != bytes[HEAD..] {
            return Err(damaged("its header is damaged"));
        }
        let same = bytes[..8] == *MAGIC && bytes[12..16] == number.0.to_le_bytes() && bytes[16..32] == store;
        if !same {
            return Err(damaged("it belongs to another store, or to another place in this one"));
        }
        if mapping.len() != geometry.segment_bytes() || bytes[32..40] != (mapping.len() as u64).to_le_bytes()
        {
            return Err(damaged("it has another size than this store's segments"));
        }
        Ok(Self { number, mapping })
    }

    /// The record at this offset, believed.
    #[inline]
    pub(crate) fn record(&self, seed: u64, address: Address, offset: usize) -> Option<Record<'_>> {
        let words = self.mapping.words(offset, 2)?;
        let length_word = words[0].load(crate::sync::Ordering::Relaxed);
        let length = record::length_of(length_word, self.mapping.len() - offset)?;
        let rest = self.mapping.bytes(offset + RECORD_HEADER, length - RECORD_HEADER)?;
        Record::parse(seed, address, length_word, &words[1], rest)
    }

    /// What a walk meets at this offset.
    pub(crate) fn step(&self, seed: u64, address: Address, offset: usize) -> Step<'_> {
        let Some(word) = self.mapping.word(offset) else { return Step::End };
        let length_word = word.load(crate::sync::Ordering::Relaxed);
        if length_word == 0 {
            return Step::End;
        }
        let Some(length) = record::length_of(length_word, self.room(offset)) else { return Step::Unreadable };
        match self.record(seed, address, offset) {
            Some(record) => Step::Record(record, length),
            None => Step::Garbage(length),
        }
    }

    /// The longest record that may start here: to the end of the chunk, or from a chunk's start to the end of
    /// the segment.
    fn room(&self, offset: usize) -> usize {
        let starts_chunk = offset.is_multiple_of(CHUNK) || offset == SEGMENT_HEADER;
        if starts_chunk { self.mapping.len() - offset } else { CHUNK - offset % CHUNK }
    }
}

/// Segments by number, mapped when they are first met. Entries are never taken out while the store is open.
#[derive(Debug)]
pub(crate) struct Segments {
    blocks: Box<[OnceLock<Block>]>,
}

type Block = Box<[OnceLock<Segment>]>;

const BLOCK: usize = 1024;
const BLOCKS: usize = 1024;

impl Segments {
    pub(crate) fn new() -> Self {
        Self { blocks: (0..BLOCKS).map(|_| OnceLock::new()).collect() }
    }

    fn entry(&self, number: SegmentNumber) -> Option<&OnceLock<Segment>> {
        let number = number.0 as usize;
        let block =
            self.blocks.get(number / BLOCK)?.get_or_init(|| (0..BLOCK).map(|_| OnceLock::new()).collect());
        block.get(number % BLOCK)
    }

    /// The segment, if this process has it mapped.
    #[inline]
    pub(crate) fn get(&self, number: SegmentNumber) -> Option<&Segment> {
        let number = number.0 as usize;
        self.blocks.get(number / BLOCK)?.get()?.get(number % BLOCK)?.get()
    }

    /// Keeps a segment.
    pub(crate) fn keep(&self, segment: Segment) -> Result<&Segment> {
        let entry = self
            .entry(segment.number)
            .ok_or_else(|| Error::full("the log has used all its segment numbers"))?;
        Ok(entry.get_or_init(|| segment))
    }

    /// The segment, mapped now if it was not.
    #[cold]
    pub(crate) fn open(
        &self,
        medium: &dyn Medium,
        number: SegmentNumber,
        store: [u8; 16],
        geometry: Geometry,
    ) -> Result<&Segment> {
        let file = name(number);
        let Some(mapping) = medium.map(Room::Log, &file)? else {
            return Err(Error::corrupt(format!("log segment {file} is missing from {}", medium.describe())));
        };
        self.keep(Segment::new(number, mapping, store, geometry)?)
    }
}
