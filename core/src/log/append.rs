//! Appending. A chunk taken from a tail is one appender's, and what it appends there disturbs nobody.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::address::{Address, UNIT};
use super::control::{self, Swapped};
use super::draft::Draft;
use super::lifetime::Lifetime;
use super::read::Log;
use super::record::{CONTROL_WORD, Kind, LENGTH_WORD, checksum};
use super::segment::{CHUNK, Segment};
use super::tail::Tails;
use crate::control_page::ControlPage;
use crate::error::{Error, Result};
use crate::fault::{kill_point, planted};
use crate::helper::Helper;
use crate::sync::{AtomicU64, Ordering};

/// Where the next record of each class goes: an address inside a chunk, 0 for none. A thread takes a cursor
/// out while it appends, so no two threads are ever in one chunk. It prefers its own entry, where the chunk
/// is warm.
type Cursors = CachePadded<[AtomicU64; Lifetime::CLASSES]>;

/// More than the threads that append at one moment; those that wait or sleep hold none.
const CURSORS: usize = 64;

/// The appenders of this process.
#[derive(Debug)]
pub(crate) struct Appender {
    tails: Tails,
    cursors: Box<[Cursors]>,
}

/// A record that was appended and that nobody can know of yet. Dropped without [`commit`](Appended::commit),
/// it is taken back and leaves its chunk as it was: only an appender that died leaves a record that counts
/// for nothing.
pub(crate) struct Appended<'a> {
    segment: &'a Segment,
    control: &'a AtomicU64,
    appender: &'a Appender,
    lifetime: Lifetime,
    pub(crate) address: Address,
    offset: usize,
    len: usize,
    kind: Kind,
    /// Where the next record may go, with this one and without it.
    with: Address,
    without: Address,
    is_committed: bool,
}

impl Appender {
    pub(crate) fn new(log: &Log, page: ControlPage, helper: Arc<Helper>) -> Self {
        let cursors = (0..CURSORS).map(|_| CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))));
        Self { tails: Tails::new(log, page, helper), cursors: cursors.collect() }
    }

    /// Appends where this thread's chunk has room at hand; never waits and never makes a segment.
    #[inline]
    pub(crate) fn append_at_hand<'a>(
        &'a self,
        log: &'a Log,
        draft: &Draft<'_>,
        lifetime: Lifetime,
    ) -> Option<Appended<'a>> {
        self.append_in(self.entry(thread_number(), lifetime), log, draft, lifetime)
    }

    /// Appends, in a fresh chunk if need be.
    pub(crate) fn append<'a>(
        &'a self,
        log: &'a Log,
        draft: &Draft<'_>,
        lifetime: Lifetime,
    ) -> Result<Appended<'a>> {
        let mut own = self.take(lifetime);
        let appended = self.append_with(log, draft, lifetime, &mut own);
        if appended.is_err() {
            self.put(lifetime, own); // a full disk must not lose the rest of a chunk
        }
        appended
    }

    /// Appends into whichever chunk of this process has room; makes no segment.
    #[cold]
    pub(crate) fn append_in_open_chunks<'a>(
        &'a self,
        log: &'a Log,
        draft: &Draft<'_>,
        lifetime: Lifetime,
    ) -> Option<Appended<'a>> {
        (0..CURSORS).find_map(|number| self.append_in(self.entry(number, lifetime), log, draft, lifetime))
    }

    /// Appends into the chunk of this entry, if it has one with room.
    #[inline]
    fn append_in<'a>(
        &'a self,
        entry: &AtomicU64,
        log: &'a Log,
        draft: &Draft<'_>,
        lifetime: Lifetime,
    ) -> Option<Appended<'a>> {
        // Acquire meets the Release of whoever put it back: a chunk is seen as that thread left it.
        let at = Address(entry.swap(0, Ordering::Acquire));
        let appended = (left_in_chunk(log, at) >= draft.len())
            .then(|| self.write(log, draft, lifetime, at, at))
            .and_then(|appended| appended.ok().flatten());
        if appended.is_none() {
            self.put(lifetime, at);
        }
        appended
    }

    fn append_with<'a>(
        &'a self,
        log: &'a Log,
        draft: &Draft<'_>,
        lifetime: Lifetime,
        own: &mut Address,
    ) -> Result<Appended<'a>> {
        loop {
            let fits = left_in_chunk(log, *own) >= draft.len();
            let at = if fits { *own } else { self.tails.take_chunks(log, lifetime, draft.len())? };
            if let Some(appended) = self.write(log, draft, lifetime, at, *own)? {
                return Ok(appended);
            }
            // Another appender is in this chunk: a forked child with its parent's cursor.
            *own = Address(0);
        }
    }

    #[inline]
    fn entry(&self, number: usize, lifetime: Lifetime) -> &AtomicU64 {
        &self.cursors[number % CURSORS][lifetime.index()]
    }

    /// A cursor: this thread's own, or one that another thread left.
    fn take(&self, lifetime: Lifetime) -> Address {
        let mine = thread_number();
        let entries = (mine..mine + CURSORS).map(|number| self.entry(number, lifetime));
        let mut filled = entries.filter(|entry| entry.load(Ordering::Relaxed) != 0);
        Address(
            filled
                .find_map(|entry| Some(entry.swap(0, Ordering::Acquire)).filter(|at| *at != 0))
                .unwrap_or(0),
        )
    }

    /// Puts a cursor back, into the first entry that is free. A thread that gets in between loses no more
    /// than the rest of a chunk.
    #[inline]
    fn put(&self, lifetime: Lifetime, at: Address) {
        if at.0 == 0 {
            return;
        }
        let mine = thread_number();
        let mut entries = (mine..mine + CURSORS).map(|number| self.entry(number, lifetime));
        if let Some(free) = entries.find(|entry| entry.load(Ordering::Relaxed) == 0) {
            free.store(at.0, Ordering::Release);
        }
    }

    /// Writes a record whole at `at`; `None` if a record is there. `own` is where the thread would have gone
    /// on.
    fn write<'a>(
        &'a self,
        log: &'a Log,
        draft: &Draft<'_>,
        lifetime: Lifetime,
        at: Address,
        own: Address,
    ) -> Result<Option<Appended<'a>>> {
        let segment = log.segment(log.geometry().segment(at))?;
        let (mapping, offset) = (&segment.mapping, log.geometry().offset(at));
        let (length_word, len) = (draft.length_word(), draft.len());
        let words = mapping.words(offset, 2).ok_or_else(outside)?;
        let (length, control) = (&words[LENGTH_WORD / 8], &words[CONTROL_WORD / 8]);
        // The swap orders the length before every byte of the body: who dies now leaves a record of known
        // length.
        if length.compare_exchange(0, length_word, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Ok(None);
        }
        kill_point!("append.length");
        control.store(draft.control_word(), Ordering::Relaxed);
        draft.pieces(|piece, bytes| mapping.write(offset + piece, bytes)).ok_or_else(outside)?;
        kill_point!("append.body");
        let (start, sealed_len) = draft.sealed_range();
        let sealed = mapping.bytes(offset + start, sealed_len).ok_or_else(outside)?;
        let sum = checksum(log.seed(), at, length_word, sealed);
        mapping.write(offset + Draft::CHECKSUM, &sum.to_le_bytes()).ok_or_else(outside)?;
        kill_point!("append.checksum");
        prefetch_next(segment, offset, len);

        let next = behind(log, at, len);
        let roomier = |one: Address, other: Address| left_in_chunk(log, one) > left_in_chunk(log, other);
        // Of two chunks the roomier is kept: a large record does not end a chunk.
        let with = if at == own || roomier(next, own) { next } else { own };
        let without = if roomier(at, own) { at } else { own };
        let (appender, kind, address) = (self, draft.kind, at);
        let is_committed = false;
        Ok(Some(Appended {
            segment,
            control,
            appender,
            lifetime,
            address,
            offset,
            len,
            kind,
            with,
            without,
            is_committed,
        }))
    }
}

/// Bytes left behind a cursor. Zero is no cursor: a chunk that is full leaves none, since its end is the
/// start of a chunk that is somebody else's.
fn left_in_chunk(log: &Log, at: Address) -> usize {
    if at.0 == 0 { 0 } else { CHUNK - log.geometry().offset(at) % CHUNK }
}

/// The cursor behind a record.
fn behind(log: &Log, at: Address, len: usize) -> Address {
    let next = Address(at.0 + len as u64 / UNIT);
    if log.geometry().offset(next).is_multiple_of(CHUNK) { Address(0) } else { next }
}

/// Has the lines of the next record on their way, long before it is written.
#[inline]
fn prefetch_next(segment: &Segment, offset: usize, len: usize) {
    const LINES: usize = 8;
    for line in 0..len.div_ceil(64).min(LINES) {
        segment.mapping.prefetch_for_write(offset + len + line * 64);
    }
}

impl Appended<'_> {
    /// Marks it as being in the index; the winner of the swap does this before it tells anybody.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.is_committed = true;
        self.appender.put(self.lifetime, self.with);
        match self.kind {
            _ if planted!("mark.skipped") => {}
            Kind::Claim if control::commit_claim(self.control) != Swapped::Done => {
                return Err(Error::corrupt("the control word of a claim was damaged while it was granted"));
            }
            Kind::Claim => {}
            _ => control::commit(self.control),
        }
        Ok(())
    }
}

impl Drop for Appended<'_> {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        // The length goes last: until then this is a record of known length whose checksum fails.
        let behind = self.offset + CONTROL_WORD;
        let cleared = self.segment.mapping.clear(behind, self.len - CONTROL_WORD);
        if let (Some(()), Some(length)) = (cleared, self.segment.mapping.word(self.offset + LENGTH_WORD)) {
            length.store(0, Ordering::Release);
            self.appender.put(self.lifetime, self.without);
        }
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
