//! Appending. A chunk taken from a tail is one appender's, and what it appends there disturbs nobody: first a place is
//! reserved, then filled.

use crossbeam_utils::CachePadded;

use super::address::{Address, UNIT};
use super::control;
use super::lifetime::Lifetime;
use super::read::Log;
use super::record::{CONTROL_WORD, Draft, Kind, LENGTH_WORD, checksum};
use super::segment::{CHUNK, Segment};
use super::tail::Tails;
use crate::engine::control_page::ControlPage;
use crate::error::{Error, Result};
use crate::fault::{kill_point, planted};
use crate::sync::{AtomicU64, Ordering};

/// Where a thread's next record of each class goes: an address inside its chunk, 0 for none. A thread takes the
/// cursor out while it appends, so two threads that share an entry never share a chunk.
type Cursors = CachePadded<[AtomicU64; Lifetime::CLASSES]>;

const CURSORS: usize = 64;

/// The appenders of this process.
#[derive(Debug)]
pub(crate) struct Appender {
    tails: Tails,
    cursors: Box<[Cursors]>,
}

/// A place for one record of a known length: its LENGTH word is set, nothing else. Dropped unfilled, it
/// is given back as it was.
pub(crate) struct Reserved<'a> {
    segment: &'a Segment,
    cursor: &'a AtomicU64,
    seed: u64,
    at: Address,
    offset: usize,
    length_word: u64,
    /// What the cursor holds afterwards, if this record is filled; and if it is not.
    filled: Address,
    unfilled: Address,
    lifetime: Lifetime,
    done: bool,
}

/// A record that was appended and that nobody can know of yet.
pub(crate) struct Appended<'a> {
    pub(crate) address: Address,
    kind: Kind,
    control: &'a AtomicU64,
}

impl Appender {
    pub(crate) fn new(log: &Log, page: ControlPage) -> Self {
        let cursors = (0..CURSORS).map(|_| CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))));
        Self { tails: Tails::new(log, page), cursors: cursors.collect() }
    }

    /// Reserves a place where this thread's chunk has one at hand.
    #[inline]
    pub(crate) fn reserve_at_hand<'a>(
        &'a self,
        log: &'a Log,
        length_word: u64,
        lifetime: Lifetime,
    ) -> Option<Reserved<'a>> {
        let cursor = &self.cursors[thread_number() % CURSORS][lifetime.index()];
        // Acquire meets the Release of whoever put it back: a chunk is seen as that thread left it.
        let own = Address(cursor.swap(0, Ordering::Acquire));
        let reserved = (left_in_chunk(log, own) >= length_of(length_word))
            .then(|| Reserved::new(log, cursor, length_word, own, own, lifetime))
            .and_then(|reserved| reserved.ok().flatten());
        if reserved.is_none() {
            cursor.store(own.0, Ordering::Release);
        }
        reserved
    }

    /// Reserves a place, in a fresh chunk if need be.
    pub(crate) fn reserve<'a>(
        &'a self,
        log: &'a Log,
        length_word: u64,
        lifetime: Lifetime,
    ) -> Result<Reserved<'a>> {
        let cursor = &self.cursors[thread_number() % CURSORS][lifetime.index()];
        let mut own = Address(cursor.swap(0, Ordering::Acquire));
        let reserved = self.reserve_with(log, cursor, &mut own, length_word, lifetime);
        if reserved.is_err() {
            cursor.store(own.0, Ordering::Release); // a full disk must not lose the rest of a chunk
        }
        reserved
    }

    fn reserve_with<'a>(
        &'a self,
        log: &'a Log,
        cursor: &'a AtomicU64,
        own: &mut Address,
        length_word: u64,
        lifetime: Lifetime,
    ) -> Result<Reserved<'a>> {
        let len = length_of(length_word);
        loop {
            let fits = left_in_chunk(log, *own) >= len;
            let at = if fits { *own } else { self.tails.take_chunks(log, lifetime, len)? };
            if let Some(reserved) = Reserved::new(log, cursor, length_word, at, *own, lifetime)? {
                return Ok(reserved);
            }
            // Another appender is in this chunk: a forked child with its parent's cursor.
            *own = Address(0);
        }
    }
}

fn length_of(length_word: u64) -> usize {
    ((length_word & u64::from(u32::MAX)) * UNIT) as usize
}

/// Bytes left behind a cursor. A cursor at the very end of its chunk looks like the start of the next one,
/// which is somebody else's: it has none.
fn left_in_chunk(log: &Log, at: Address) -> usize {
    let offset = log.geometry().offset(at);
    if offset.is_multiple_of(CHUNK) { 0 } else { CHUNK - offset % CHUNK }
}

impl<'a> Reserved<'a> {
    /// Sets the LENGTH word at `at`; `None` if somebody else's is there. `own` is the thread's place before.
    fn new(
        log: &'a Log,
        cursor: &'a AtomicU64,
        length_word: u64,
        at: Address,
        own: Address,
        lifetime: Lifetime,
    ) -> Result<Option<Self>> {
        let segment = log.segment(log.geometry().segment(at))?;
        let offset = log.geometry().offset(at);
        let word = segment.mapping.word(offset + LENGTH_WORD).ok_or_else(outside)?;
        // The swap orders the length before every byte of the body: who dies now leaves a record of known length.
        if word.compare_exchange(0, length_word, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Ok(None);
        }
        kill_point!("append.length");
        let len = length_of(length_word);
        let next = Address(at.0 + len as u64 / UNIT);
        // The roomier of the two is kept: a large record does not end a chunk.
        let filled = if at == own || left_in_chunk(log, next) > left_in_chunk(log, own) { next } else { own };
        let unfilled = if left_in_chunk(log, at) > left_in_chunk(log, own) { at } else { own };
        let seed = log.seed();
        Ok(Some(Self {
            segment,
            cursor,
            seed,
            at,
            offset,
            length_word,
            filled,
            unfilled,
            lifetime,
            done: false,
        }))
    }

    /// Whether the place is one for such a record.
    pub(crate) fn suits(&self, length_word: u64, lifetime: Lifetime) -> bool {
        self.length_word == length_word && self.lifetime == lifetime
    }

    /// Writes the record whole. Its length and class must be those that were reserved.
    pub(crate) fn fill(mut self, draft: &Draft<'_>) -> Result<Appended<'a>> {
        if draft.length_word() != self.length_word {
            return Err(Error::corrupt("a record has another length than was reserved for it"));
        }
        let (mapping, offset) = (&self.segment.mapping, self.offset);
        let control = mapping.word(offset + CONTROL_WORD).ok_or_else(outside)?;
        control.store(draft.control_word(), Ordering::Relaxed);
        draft.pieces(|piece, bytes| mapping.write(offset + piece, bytes)).ok_or_else(outside)?;
        kill_point!("append.body");
        let (start, len) = draft.sealed_range();
        let sealed = mapping.bytes(offset + start, len).ok_or_else(outside)?;
        let sum = checksum(self.seed, self.at, self.length_word, sealed);
        mapping.write(offset + Draft::CHECKSUM, &sum.to_le_bytes()).ok_or_else(outside)?;
        kill_point!("append.checksum");
        self.done = true;
        self.cursor.store(self.filled.0, Ordering::Release);
        Ok(Appended { address: self.at, kind: draft.kind, control })
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // Nothing behind the LENGTH word was written, so that taking it back leaves the chunk as it was.
        if let Some(word) = self.segment.mapping.word(self.offset + LENGTH_WORD) {
            word.store(0, Ordering::Release);
            self.cursor.store(self.unfilled.0, Ordering::Release);
        }
    }
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

fn outside() -> Error {
    Error::corrupt("an append would leave its segment")
}

/// A small number for this thread, to spread threads over cursors.
fn thread_number() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) as usize);
    MINE.with(|mine| *mine)
}
