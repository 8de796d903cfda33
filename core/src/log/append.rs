//! Appending and reading. The shared part is one word per lifetime class, its tail; a chunk taken from it is
//! one appender's, and what it appends there disturbs nobody.

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::address::{Address, Geometry, SegmentNumber, UNIT};
use super::ahead::Ahead;
use super::control;
use super::lifetime::Lifetime;
use super::record::{CONTROL_WORD, Draft, Kind, LENGTH_WORD, Record, checksum};
use super::segment::{self, CHUNK, SEGMENT_HEADER, Segment, Segments};
use crate::engine::control_page::ControlPage;
use crate::error::{Error, Result};
use crate::fault::{kill_point, planted};
use crate::os::{Created, Medium, Room};
use crate::sync::{AtomicU64, Ordering};

/// The log of one open store.
#[derive(Debug)]
pub(crate) struct Log {
    segments: Segments,
    geometry: Geometry,
    store: [u8; 16],
    seed: u64,
    cursors: Box<[Cursors]>,
    /// Taken by one thread at a time to make a segment; other processes make theirs and the tail decides.
    growth: Mutex<()>,
    ahead: Ahead,
}

/// Where a thread's next record of each class goes: an address inside its chunk, 0 for none. A thread takes
/// the cursor out while it appends, so two threads that share an entry never share a chunk.
type Cursors = CachePadded<[AtomicU64; Lifetime::CLASSES]>;

const CURSORS: usize = 64;

/// How many segments' names may be found taken before growth gives up: leftovers of crashed growth.
const NAMES_TRIED: u32 = 1024;

/// The tail of a class: segment number 32 | next chunk 32. Zero: the class has no segment yet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tail(u64);

impl Tail {
    fn new(segment: SegmentNumber, chunk: u32) -> Self {
        Self(u64::from(segment.0) << 32 | u64::from(chunk))
    }

    fn segment(self) -> SegmentNumber {
        SegmentNumber((self.0 >> 32) as u32)
    }

    fn chunk(self) -> u32 {
        self.0 as u32
    }
}

/// A record that was appended and that nobody can know of yet.
pub(crate) struct Appended<'a> {
    pub(crate) address: Address,
    kind: Kind,
    control: &'a AtomicU64,
}

impl Appended<'_> {
    /// Marks it as being in the index; the winner of the swap does this before it tells anybody.
    pub(crate) fn commit(&self) {
        match self.kind {
            _ if planted!("mark.skipped") => {}
            Kind::Claim => {
                // Only damage can refuse it, and damage is met by whoever reads it next.
                let _ = control::commit_claim(self.control);
            }
            _ => control::commit(self.control),
        }
    }
}

impl Log {
    pub(crate) fn new(geometry: Geometry, store: [u8; 16], seed: u64) -> Self {
        let cursors =
            (0..CURSORS).map(|_| CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0)))).collect();
        Self {
            segments: Segments::new(),
            geometry,
            store,
            seed,
            cursors,
            growth: Mutex::new(()),
            ahead: Ahead::default(),
        }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The segment of this number.
    #[inline]
    pub(crate) fn segment(&self, medium: &dyn Medium, number: SegmentNumber) -> Result<&Segment> {
        match self.segments.get(number) {
            Some(segment) => Ok(segment),
            None => self.segments.open(medium, number, self.store, self.geometry),
        }
    }

    /// The record at an address that the index named. Its bytes are checked before anything in them is
    /// believed.
    #[inline]
    pub(crate) fn read(&self, medium: &dyn Medium, address: Address) -> Result<Record<'_>> {
        let segment = self.segment(medium, self.geometry.segment(address))?;
        segment.record(self.seed, address, self.geometry.offset(address)).ok_or_else(|| {
            let file = segment::name(segment.number);
            let offset = self.geometry.offset(address);
            Error::corrupt(format!(
                "log segment {file}: the record at byte {offset} is damaged; its key is not answered"
            ))
        })
    }

    /// Appends a record. It is in the log from here on, but counts only once it was in the index.
    pub(crate) fn append(
        &self,
        medium: &dyn Medium,
        page: &ControlPage,
        draft: &Draft<'_>,
        lifetime: Lifetime,
    ) -> Result<Appended<'_>> {
        let len = draft.len();
        let cursor = &self.cursors[thread_number() % CURSORS][lifetime.index()];
        // Acquire meets the Release below: a chunk handed on by another thread is seen as that thread left
        // it.
        let own = Address(cursor.swap(0, Ordering::Acquire));
        let (appended, left) = self.append_at(medium, page, draft, lifetime, own, len);
        cursor.store(left.0, Ordering::Release);
        appended
    }

    /// Appends at `own` if there is room, else in fresh chunks; also answers where the next record may go:
    /// the roomier of the two, so that a large record does not end a chunk, and a full disk does not lose
    /// one.
    fn append_at(
        &self,
        medium: &dyn Medium,
        page: &ControlPage,
        draft: &Draft<'_>,
        lifetime: Lifetime,
        own: Address,
        len: usize,
    ) -> (Result<Appended<'_>>, Address) {
        let mut own = own;
        loop {
            let fits = self.left_in_chunk(own) >= len;
            let at = if fits { Ok(own) } else { self.take_chunks(medium, page, lifetime, len) };
            let written = at.and_then(|at| {
                let segment = self.segment(medium, self.geometry.segment(at))?;
                Ok((at, self.write(segment, at, draft)?))
            });
            match written {
                Err(e) => return (Err(e), own),
                Ok((at, Some(appended))) => {
                    let next = Address(at.0 + len as u64 / UNIT);
                    let roomier = fits || self.left_in_chunk(next) > self.left_in_chunk(own);
                    return (Ok(appended), if roomier { next } else { own });
                }
                // Another appender is in this chunk: a forked child with its parent's cursor.
                Ok((_, None)) => own = Address(0),
            }
        }
    }

    /// Bytes left behind a cursor. A cursor at the very end of its chunk looks like the start of the next
    /// one, which is somebody else's: it has none.
    fn left_in_chunk(&self, at: Address) -> usize {
        let offset = self.geometry.offset(at);
        if offset.is_multiple_of(CHUNK) { 0 } else { CHUNK - offset % CHUNK }
    }

    /// Writes the record whole; `None` if the place is taken.
    fn write<'s>(
        &self,
        segment: &'s Segment,
        at: Address,
        draft: &Draft<'_>,
    ) -> Result<Option<Appended<'s>>> {
        let offset = self.geometry.offset(at);
        let mapping = &segment.mapping;
        let words = mapping.words(offset, 2).ok_or_else(outside)?;
        let length_word = draft.length_word();
        // The swap orders the length before every byte of the body: who dies now leaves a record of known
        // length.
        if words[LENGTH_WORD].compare_exchange(0, length_word, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Ok(None);
        }
        kill_point!("append.length");
        words[CONTROL_WORD / 8].store(draft.control_word(), Ordering::Relaxed);
        draft.pieces(|piece, bytes| mapping.write(offset + piece, bytes)).ok_or_else(outside)?;
        kill_point!("append.body");
        let (start, len) = draft.sealed_range();
        let sealed = mapping.bytes(offset + start, len).ok_or_else(outside)?;
        let sum = checksum(self.seed, at, length_word, sealed);
        mapping.write(offset + Draft::CHECKSUM, &sum.to_le_bytes()).ok_or_else(outside)?;
        kill_point!("append.checksum");
        Ok(Some(Appended { address: at, kind: draft.kind, control: &words[CONTROL_WORD / 8] }))
    }

    /// Takes as many chunks in a row as `len` bytes need, and answers with where they start.
    #[cold]
    fn take_chunks(
        &self,
        medium: &dyn Medium,
        page: &ControlPage,
        lifetime: Lifetime,
        len: usize,
    ) -> Result<Address> {
        let per_segment = (self.geometry.segment_bytes() / CHUNK) as u32;
        let word = page.tail(lifetime)?;
        loop {
            // Acquire meets the swap that published the segment: its file is linked.
            let tail = Tail(word.load(Ordering::Acquire));
            let first = if tail.chunk() == 0 { SEGMENT_HEADER } else { 0 };
            let count = (first + len).div_ceil(CHUNK) as u32;
            if tail.0 == 0 || tail.chunk() + count > per_segment {
                self.grow(medium, page, lifetime, tail)?;
                continue;
            }
            let next = Tail::new(tail.segment(), tail.chunk() + count);
            if word.compare_exchange(tail.0, next.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                let offset = tail.chunk() as usize * CHUNK + first;
                let segment = self.segment(medium, tail.segment())?;
                self.ahead.moved(
                    &segment.mapping,
                    tail.chunk() as usize * CHUNK,
                    next.chunk() as usize * CHUNK,
                );
                return Ok(self.geometry.address(tail.segment(), offset));
            }
        }
    }

    /// Gives the class a new segment, unless somebody else did meanwhile.
    fn grow(&self, medium: &dyn Medium, page: &ControlPage, lifetime: Lifetime, full: Tail) -> Result<()> {
        let _one_at_a_time = self.growth.lock();
        let word = page.tail(lifetime)?;
        if word.load(Ordering::Acquire) != full.0 {
            return Ok(());
        }
        let segment = self.make_segment(medium, page, lifetime)?;
        kill_point!("segment.linked");
        let next = Tail::new(segment.number, 0);
        if word.compare_exchange(full.0, next.0, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Another process was first. No word can name this file: its tail was never published.
            return medium.remove(Room::Log, &segment::name(segment.number));
        }
        kill_point!("segment.published");
        self.segments.keep(segment)?;
        Ok(())
    }

    fn make_segment(&self, medium: &dyn Medium, page: &ControlPage, lifetime: Lifetime) -> Result<Segment> {
        let bytes = self.geometry.segment_bytes();
        for _ in 0..NAMES_TRIED {
            let number = SegmentNumber(page.next_segment()?);
            let head = segment::head(number, self.store, bytes, lifetime);
            let created = medium.create(Room::Log, &segment::name(number), bytes as u64, &head)?;
            page.used_segment(number.0)?;
            match created {
                Created::Made(mapping) => return Segment::new(number, mapping, self.store, self.geometry),
                Created::Taken => {}
            }
        }
        Err(Error::corrupt("the log's directory holds files under every number that comes next"))
    }
}

fn outside() -> Error {
    Error::corrupt("an append would leave its segment")
}

/// A small number for this thread, to spread threads over cursors.
fn thread_number() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) as usize);
    MINE.with(|mine| *mine)
}
