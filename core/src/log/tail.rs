//! The tails: where each lifetime class of a store takes its next chunk, shared by all its processes. One
//! word a class decides, and another one names the segment that was made ready to follow.

use std::sync::Arc;

use parking_lot::Mutex;

use super::address::{Address, Geometry, SegmentNumber};
use super::lifetime::Lifetime;
use super::read::Log;
use super::segment::{self, CHUNK, SEGMENT_HEADER, Segment};
use crate::control_page::ControlPage;
use crate::error::{Error, Result};
use crate::fault::kill_point;
use crate::helper::Helper;
use crate::os::{Created, Medium, Room};
use crate::sync::Ordering;

/// How many segments' names may be found taken before growth gives up: leftovers of crashed growth.
const NAMES_TRIED: u32 = 1024;

/// Bytes whose pages the helper has ready at a time.
const WINDOW: usize = 1 << 20;

/// How far ahead of the tail they are, at most. A segment begins with one window and the distance doubles:
/// pages made ready are pages that will be written to disk, and a small store should not write large ones.
const AHEAD: usize = 16 * WINDOW;

/// A tail: segment number 32 | next chunk 32. Zero: the class has no segment yet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tail(u64);

impl Tail {
    fn new(segment: SegmentNumber, chunk: u32) -> Self {
        Self((u64::from(segment.0) << 32) | u64::from(chunk))
    }

    fn segment(self) -> SegmentNumber {
        SegmentNumber((self.0 >> 32) as u32)
    }

    fn chunk(self) -> u32 {
        self.0 as u32
    }
}

/// The tails, and the helper that runs ahead of them.
#[derive(Debug)]
pub(crate) struct Tails {
    maker: Arc<Maker>,
    /// Taken by one thread of this process at a time to make a segment; other processes make theirs, and the
    /// tail decides.
    growth: Mutex<()>,
    helper: Arc<Helper>,
}

/// What it takes to make a segment.
#[derive(Clone, Debug)]
struct Maker {
    medium: Arc<dyn Medium>,
    page: ControlPage,
    geometry: Geometry,
    store: [u8; 16],
}

impl Tails {
    pub(crate) fn new(log: &Log, page: ControlPage, helper: Arc<Helper>) -> Self {
        let maker = Maker { medium: log.medium.clone(), page, geometry: log.geometry, store: log.store };
        Self { maker: Arc::new(maker), growth: Mutex::new(()), helper }
    }

    /// Takes as many chunks in a row as `len` bytes need, and answers with where they start.
    #[cold]
    pub(super) fn take_chunks(&self, log: &Log, lifetime: Lifetime, len: usize) -> Result<Address> {
        let per_segment = (log.geometry.segment_bytes() / CHUNK) as u32;
        let word = self.maker.page.tail(lifetime.index())?;
        loop {
            // Acquire meets the swap that published the segment: its file is linked.
            let tail = Tail(word.load(Ordering::Acquire));
            let first = if tail.chunk() == 0 { SEGMENT_HEADER } else { 0 };
            let count = (first + len).div_ceil(CHUNK) as u32;
            if tail.0 == 0 || tail.chunk().saturating_add(count) > per_segment {
                self.grow(log, lifetime, tail)?;
                continue;
            }
            let next = Tail::new(tail.segment(), tail.chunk() + count);
            if word.compare_exchange(tail.0, next.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                self.look_ahead(log, lifetime, tail, next)?;
                return Ok(log.geometry.address(tail.segment(), tail.chunk() as usize * CHUNK + first));
            }
        }
    }

    /// Gives the class its next segment, unless somebody else did meanwhile.
    fn grow(&self, log: &Log, lifetime: Lifetime, full: Tail) -> Result<()> {
        let _one_at_a_time = self.growth.lock();
        let word = self.maker.page.tail(lifetime.index())?;
        if word.load(Ordering::Acquire) != full.0 {
            return Ok(());
        }
        let (number, made) = match self.maker.take_ready(lifetime, full.segment())? {
            Some(number) => (number, None),
            None => {
                let segment = self.maker.make(lifetime)?;
                (segment.number, Some(segment))
            }
        };
        kill_point!("segment.linked");
        let next = Tail::new(number, 0);
        if word.compare_exchange(full.0, next.0, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Another process was first. No word can name this file: its tail was never published.
            return self.maker.medium.remove(Room::Log, &segment::name(number));
        }
        kill_point!("segment.published");
        if let Some(segment) = made {
            // Not before: a file that lost is removed, and its mapping must not stand for anything.
            log.segments.keep(segment)?;
        }
        Ok(())
    }

    /// Gives the helper what the move of a tail makes due.
    fn look_ahead(&self, log: &Log, lifetime: Lifetime, from: Tail, to: Tail) -> Result<()> {
        let mapping = &log.segment(from.segment())?.mapping;
        let (start, end) = (from.chunk() as usize * CHUNK, to.chunk() as usize * CHUNK);
        let reached = |offset: usize| (offset + offset.clamp(WINDOW, AHEAD)) / WINDOW;
        let first = if start == 0 { 0 } else { reached(start) };
        for window in first..reached(end).min(mapping.len() / WINDOW) {
            let mapping = mapping.clone();
            self.helper.ask(move |_| mapping.populate(window * WINDOW, WINDOW));
        }
        let due = mapping.len() / 4 * 3;
        if start < due && due <= end {
            let (maker, current) = (Arc::downgrade(&self.maker), from.segment());
            // Whoever needs the segment meets the same error, and tells its caller.
            self.helper.ask(move |_| {
                drop(maker.upgrade().map(|maker| maker.make_ready(lifetime, current)));
            });
        }
        Ok(())
    }
}

impl Maker {
    /// Makes a segment. It is nobody's until a tail or a `ready` word names it.
    fn make(&self, lifetime: Lifetime) -> Result<Segment> {
        let bytes = self.geometry.segment_bytes();
        for _ in 0..NAMES_TRIED {
            let number = SegmentNumber(self.page.next_segment()?);
            let head = segment::head(number, self.store, bytes, lifetime);
            let created = self.medium.create(Room::Log, &segment::name(number), bytes as u64, &head)?;
            self.page.used_segment(number.0)?;
            if let Created::Made(mapping) = created {
                return Segment::new(number, mapping, self.store, self.geometry);
            }
        }
        Err(Error::corrupt("the log's directory holds files under every number that comes next"))
    }

    /// Has a segment ready to follow `current`, and its first pages.
    fn make_ready(&self, lifetime: Lifetime, current: SegmentNumber) -> Result<()> {
        let word = self.page.ready(lifetime.index())?;
        let stale = word.load(Ordering::Acquire);
        if stale > u64::from(current.0) {
            return Ok(());
        }
        let segment = self.make(lifetime)?;
        segment.mapping.populate(0, AHEAD);
        kill_point!("segment.ready");
        let number = u64::from(segment.number.0);
        // The class may have grown on while this one was being made: then it would never be asked for.
        let is_late =
            Tail(self.page.tail(lifetime.index())?.load(Ordering::Acquire)).segment() > segment.number;
        if is_late || word.compare_exchange(stale, number, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return self.medium.remove(Room::Log, &segment::name(segment.number));
        }
        if stale != 0 {
            // Made ready too late for its turn, and from the swap on nobody's.
            return self.medium.remove(Room::Log, &segment::name(SegmentNumber(stale as u32)));
        }
        Ok(())
    }

    /// The segment that was made ready to follow `current`, if there is one; it is this caller's alone.
    /// Numbers only grow, so a number that is not above the current one is a leftover of a growth that
    /// died.
    fn take_ready(&self, lifetime: Lifetime, current: SegmentNumber) -> Result<Option<SegmentNumber>> {
        let word = self.page.ready(lifetime.index())?;
        let number = word.load(Ordering::Acquire);
        let fresh = number > u64::from(current.0)
            && word.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Acquire).is_ok();
        Ok(fresh.then_some(SegmentNumber(number as u32)))
    }
}
