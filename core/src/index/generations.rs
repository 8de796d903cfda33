//! The generations of an index: the newest takes new keys, the older ones keep theirs. A key has one live
//! word in all of them together.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::generation::Generation;
use super::table::{self, Probe};
use super::word::Word;
use crate::control_page::ControlPage;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{kill_point, planted};
use crate::key::Place;
use crate::limits::FIRST_GENERATION;
use crate::os::Medium;
use crate::sync::{AtomicU64, Ordering};

/// Where a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    generation: u32,
    at: u32,
}

/// The most generations of one index.
const COUNT_MAX: usize = 16;

/// How full a generation is when the next one is made, and when whoever adds a key has to see to it himself,
/// in hundredths of its words.
const FULL_SOON: u64 = 62;
const FULL: u64 = 80;

/// What becomes due with a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// The next generation should be made, by the helper.
    Soon(u64),
    /// It must be made now: the helper is late, or dead.
    Now(u64),
}

/// The generations that this process has mapped.
#[derive(Debug)]
pub(crate) struct Generations {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) page: ControlPage,
    pub(super) store: [u8; 16],
    /// In which this was opened: a lock that was held when it forked is never freed in the child.
    process: u32,
    table: Box<[OnceLock<Generation>]>,
    /// Taken by one thread of this process at a time to make a generation; other processes make theirs, and
    /// the file's name decides.
    growth: Mutex<()>,
    /// The generation behind which there was no room for another one.
    no_room_behind: AtomicU64,
    /// A generation was met whose filter is there and not open.
    wants_filter: AtomicU64,
}

/// What a search for a key that may be added found.
pub(crate) enum Search<R> {
    Found(Slot, Word, R),
    /// It is nowhere, and cannot come to be in any generation but the newest: this is where it goes.
    Vacant(Slot),
    /// The generation that was the newest is being closed: begin again.
    Again,
    /// It is nowhere, and there is no room for it in this generation, the newest.
    Full(u64),
}

impl Generations {
    pub(crate) fn new(medium: Arc<dyn Medium>, page: ControlPage, store: [u8; 16]) -> Self {
        let table = (0..COUNT_MAX).map(|_| OnceLock::new()).collect();
        let process = std::process::id();
        Self {
            medium,
            page,
            store,
            process,
            table,
            growth: Mutex::new(()),
            no_room_behind: AtomicU64::new(0),
            wants_filter: AtomicU64::new(0),
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.page.head.generation
    }

    /// The generation of this number, mapped now if it was not.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Result<&Generation> {
        let at = number.wrapping_sub(self.first()) as usize;
        match self.table.get(at).and_then(OnceLock::get) {
            Some(generation) => Ok(generation),
            None => self.open(number, at),
        }
    }

    #[cold]
    fn open(&self, number: u64, at: usize) -> Result<&Generation> {
        let entry = self.table.get(at).ok_or_else(|| Error::corrupt("the index names no such generation"))?;
        let Some(generation) = Generation::open(&*self.medium, number, self.store)? else {
            return Err(Error::corrupt(format!("generation {number} of the index is missing or damaged")));
        };
        Ok(entry.get_or_init(|| generation))
    }

    /// Maps all of them; `false` if one is not what was made.
    pub(crate) fn open_all(&self) -> Result<bool> {
        for number in self.first()..=self.page.newest_generation()? {
            if number - self.first() >= COUNT_MAX as u64 {
                return Ok(false);
            }
            match self.get(number) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Corrupt => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    #[inline]
    fn newest(&self) -> Result<&Generation> {
        self.get(self.page.newest_generation()?)
    }

    /// Asks for the lines that a search begins with: the newest generation's, and each filter's.
    #[inline]
    pub(crate) fn prefetch(&self, place: Place) {
        let Ok(newest) = self.newest() else { return };
        newest.prefetch(place);
        for older in &self.table[..(newest.number - self.first()) as usize] {
            if let Some(filter) = older.get().and_then(Generation::filter) {
                filter.prefetch(place);
            }
        }
    }

    /// Hands on the words of a place's home line that have its tag.
    #[inline]
    pub(crate) fn candidates(&self, place: Place, each: impl FnMut(Word)) {
        if let Ok(newest) = self.newest() {
            table::candidates(newest.words(), place).for_each(each);
        }
    }

    /// Asks for the line of a slot.
    #[inline]
    pub(crate) fn prefetch_slot(&self, slot: Slot) {
        if let Ok(generation) = self.get(u64::from(slot.generation)) {
            generation.prefetch_word(slot.at as usize);
        }
    }

    fn slot(generation: &Generation, at: usize) -> Slot {
        // Numbers of generations are at most 16 apart, and none has more than 2^30 words.
        Slot { generation: generation.number as u32, at: at as u32 }
    }

    /// Looks for a key, newest generation first. A live word never moves, so none is missed.
    #[inline]
    pub(crate) fn find<R>(
        &self,
        place: Place,
        open: impl Fn(Word) -> Result<Option<R>>,
    ) -> Result<Option<(Slot, Word, R)>> {
        loop {
            let newest = self.page.newest_generation()?;
            for number in (self.first()..=newest).rev() {
                let generation = self.get(number)?;
                if number != newest && self.is_denied(generation, place) {
                    continue;
                }
                if let Probe::Found(at, word, record) = table::probe(generation.words(), place, &open)? {
                    return Ok(Some((Self::slot(generation, at), word, record)));
                }
            }
            // A key that was added meanwhile may have been added behind this search's back.
            if self.page.newest_generation()? == newest {
                return Ok(None);
            }
        }
    }

    /// Looks for a key that is to be added if it is nowhere, and closes its chain in every generation but the
    /// newest: from then on it cannot be added there by anybody who still takes one of them for the newest.
    #[inline]
    pub(crate) fn find_or_close<R>(
        &self,
        place: Place,
        open: impl Fn(Word) -> Result<Option<R>>,
    ) -> Result<Search<R>> {
        let newest = self.newest()?;
        let vacant = match table::probe(newest.words(), place, &open)? {
            Probe::Found(at, word, record) => {
                return Ok(Search::Found(Self::slot(newest, at), word, record));
            }
            Probe::Vacant(at) => Search::Vacant(Self::slot(newest, at)),
            Probe::Frozen => return Ok(Search::Again),
            // It may still be in an older one.
            Probe::Full => Search::Full(newest.number),
        };
        for number in (self.first()..newest.number).rev() {
            let generation = self.get(number)?;
            if self.is_denied(generation, place) {
                continue;
            }
            if let Some(found) = self.close(generation, place, &open)? {
                return Ok(found);
            }
        }
        Ok(vacant)
    }

    /// Whether the generation's filter says that the key is not there, and so never will be. Opening a filter
    /// reads all of it: that is left to the helper.
    #[inline]
    fn is_denied(&self, generation: &Generation, place: Place) -> bool {
        match generation.filter() {
            Some(filter) => !filter.may_contain(place),
            None => {
                if generation.has_unopened_filter() {
                    self.wants_filter.store(1, Ordering::Relaxed);
                }
                false
            }
        }
    }

    /// Whether a filter should be opened, once for each time that one was missed.
    #[inline]
    pub(crate) fn takes_filter_wish(&self) -> bool {
        self.wants_filter.load(Ordering::Relaxed) != 0 && self.wants_filter.swap(0, Ordering::Relaxed) != 0
    }

    /// Closes a key's chain in an older generation, unless the key is there.
    fn close<R>(
        &self,
        generation: &Generation,
        place: Place,
        open: impl Fn(Word) -> Result<Option<R>>,
    ) -> Result<Option<Search<R>>> {
        loop {
            match table::probe(generation.words(), place, &open)? {
                Probe::Found(at, word, record) => {
                    return Ok(Some(Search::Found(Self::slot(generation, at), word, record)));
                }
                Probe::Frozen | Probe::Full => return Ok(None),
                // Lost: another key ends the chain now, or this one.
                Probe::Vacant(at) if planted!("close.skipped") || table::close(generation.words(), at) => {
                    kill_point!("begin.closed");
                    return Ok(None);
                }
                Probe::Vacant(_) => {}
            }
        }
    }

    /// What a slot holds now.
    #[inline]
    pub(crate) fn load(&self, slot: Slot) -> Result<Word> {
        Ok(table::load(self.get(u64::from(slot.generation))?.words(), slot.at as usize))
    }

    /// The one step that decides.
    #[inline]
    pub(crate) fn swap(&self, slot: Slot, from: Word, to: Word) -> Result<bool> {
        Ok(table::swap(self.get(u64::from(slot.generation))?.words(), slot.at as usize, from, to))
    }

    /// A new key stands in this slot: what is due now.
    #[inline]
    pub(crate) fn added(&self, slot: Slot, place: Place) -> Result<Due> {
        let generation = self.get(u64::from(slot.generation))?;
        let Some(count) = generation.counted(place) else { return Ok(Due::Nothing) };
        Ok(self.due(generation, count))
    }

    fn due(&self, generation: &Generation, count: u64) -> Due {
        let words = generation.words().len() as u64;
        match count.saturating_mul(100) / words {
            _ if self.page.newest_generation().is_ok_and(|newest| newest != generation.number) => {
                Due::Nothing
            }
            ..FULL_SOON => Due::Nothing,
            _ if self.no_room_behind.load(Ordering::Relaxed) == generation.number => Due::Nothing,
            FULL_SOON..FULL => Due::Soon(generation.number),
            _ => Due::Now(generation.number),
        }
    }

    /// Makes the generation behind this one, unless somebody did or is about to; with its pages, if that is
    /// `ahead` of need. Where there is no room for one it is not tried again before a chain is full.
    #[cold]
    pub(crate) fn grow_soon(&self, full: u64, ahead: bool) -> Result<()> {
        let Some(_one_at_a_time) = self.growth.try_lock() else { return Ok(()) };
        let grown = self.grow_locked(full, ahead);
        if grown.is_err() {
            self.no_room_behind.store(full, Ordering::Relaxed);
        }
        grown
    }

    /// Makes the generation behind this one, unless somebody did.
    #[cold]
    pub(crate) fn grow(&self, full: u64) -> Result<()> {
        let _one_at_a_time = (self.process == std::process::id()).then(|| self.growth.lock());
        self.grow_locked(full, false)
    }

    fn grow_locked(&self, full: u64, ahead: bool) -> Result<()> {
        if self.page.newest_generation()? != full {
            return Ok(());
        }
        let next = full + 1;
        if next - self.first() >= COUNT_MAX as u64 {
            let words = self.capacity()?;
            return Err(Error::full(format!(
                "the index is full: {COUNT_MAX} generations of {words} words together"
            )));
        }
        let generation = self.make(next)?;
        if ahead {
            generation.populate();
        }
        kill_point!("generation.made");
        if let Some(entry) = self.table.get((next - self.first()) as usize) {
            entry.get_or_init(|| generation);
        }
        self.page.publish_generation(full)?;
        kill_point!("generation.published");
        Ok(())
    }

    /// As many words as there are already, or as there is room for: so a few generations are enough for any
    /// number of keys.
    fn make(&self, number: u64) -> Result<Generation> {
        // Whoever made it died before it was published, or is about to publish it.
        if let Some(generation) = Generation::open(&*self.medium, number, self.store)? {
            return Ok(generation);
        }
        let mut words = self.capacity()?.next_power_of_two().min(FIRST_GENERATION.max);
        loop {
            match Generation::create(&*self.medium, number, self.store, words) {
                Err(e) if e.kind() == ErrorKind::StoreFull && words > FIRST_GENERATION.min => words /= 2,
                made => return made,
            }
        }
    }

    /// Words of all of them.
    pub(crate) fn capacity(&self) -> Result<u64> {
        let numbers = self.first()..=self.page.newest_generation()?;
        numbers.map(|number| Ok(self.get(number)?.words().len() as u64)).sum()
    }

    /// The slot behind this one, in the order of a walk; `None` behind the last.
    pub(crate) fn next_slot(&self, behind: Option<Slot>) -> Result<Option<Slot>> {
        let Some(Slot { generation, at }) = behind else {
            return Ok(Some(Slot { generation: self.first() as u32, at: 0 }));
        };
        if (at as usize) + 1 < self.get(u64::from(generation))?.words().len() {
            return Ok(Some(Slot { generation, at: at + 1 }));
        }
        let is_last = u64::from(generation) >= self.page.newest_generation()?;
        Ok((!is_last).then_some(Slot { generation: generation + 1, at: 0 }))
    }
}

#[cfg(test)]
mod tests;
