//! An open store: its rooms, put together. Handles and claims share one engine.

pub(crate) mod meta;
mod open;
mod registry;

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::control_page::{ControlPage, Counter};
use crate::error::Result;
use crate::fault::planted;
use crate::helper::Helper;
use crate::index::{Due, Generations, Search, Slot, Word};
use crate::key::{Identity, Place, Seal, Secret};
use crate::log::Log;
use crate::log::append::{Appended, Appender};
use crate::log::draft::Draft;
use crate::log::lifetime::Lifetime;
use crate::log::record::{Holder, Record};
use crate::options::Defaults;
use crate::recovery::Recovery;
use crate::sync::{AtomicU64, Ordering};
use meta::Meta;

pub(crate) use registry::engine_for;

/// The high-water mark is raised this far ahead of the clock, so that it is written rarely.
const HIGH_WATER_AHEAD_MS: u64 = 10_000;

/// Everything a verb needs.
pub(crate) struct Engine {
    meta: Meta,
    page: ControlPage,
    generations: Arc<Generations>,
    log: Arc<Log>,
    appender: Appender,
    helper: Arc<Helper>,
    /// The generation behind which the helper was asked for another one.
    asked_behind: AtomicU64,
    secret: Secret,
    clock: Clock,
    holder: Holder,
    recovery: Option<Recovery>,
}

/// An open store with the options of this opening; its claims share it.
pub(crate) struct Handle {
    pub(crate) engine: Arc<Engine>,
    pub(crate) defaults: Defaults,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.fmt(f) // the options may hold a key
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not derived: the hash keys and the checksum seed are the store's secret.
        f.debug_struct("Engine").field("recovery", &self.recovery).finish_non_exhaustive()
    }
}

impl Engine {
    /// Where this identity's chain begins; its first line is on its way from here on.
    #[inline]
    pub(crate) fn place(&self, identity: &Identity<'_>) -> Place {
        let place = identity.place(self.secret.hash);
        self.generations.prefetch(place);
        place
    }

    /// Has the records on their way that may be of this place's key, as far as its line in the newest
    /// generation tells.
    #[inline]
    pub(crate) fn prefetch_records(&self, place: Place) {
        self.generations.candidates(place, |word| self.log.prefetch(word.address()));
    }

    /// Has a claim's own word and record on their way.
    #[inline]
    pub(crate) fn prefetch_claim(&self, slot: Slot, word: Word) {
        self.generations.prefetch_slot(slot);
        self.log.prefetch(word.address());
    }

    /// Milliseconds by the store's clock.
    #[inline]
    pub(crate) fn now_ms(&self) -> Result<u64> {
        let now = self.clock.boot_ms().wrapping_add(self.page.head.clock_offset_ms);
        // Ahead of any version that carries this reading, so that no later boot starts behind it.
        self.meta.raise_high_water(now, HIGH_WATER_AHEAD_MS)?;
        Ok(now)
    }

    /// Looks for a key. A record that is found was checked whole.
    #[inline]
    pub(crate) fn find(
        &self,
        place: Place,
        identity: &Identity<'_>,
    ) -> Result<Option<(Slot, Word, Record<'_>)>> {
        let found = self.generations.find(place, |word| self.open_if(word, identity));
        self.open_filters_if_met();
        found
    }

    /// Looks for a key that is to be added if it is nowhere.
    #[inline]
    pub(crate) fn find_or_close(&self, place: Place, identity: &Identity<'_>) -> Result<Search<Record<'_>>> {
        let found = self.generations.find_or_close(place, |word| self.open_if(word, identity));
        self.open_filters_if_met();
        found
    }

    /// Has the helper open the filters that another process made.
    #[inline]
    fn open_filters_if_met(&self) {
        if self.generations.takes_filter_wish() {
            self.open_filters();
        }
    }

    #[cold]
    fn open_filters(&self) {
        let generations = Arc::downgrade(&self.generations);
        // One that cannot be opened is done without.
        self.helper.ask(move |_| drop(generations.upgrade().map(|it| it.open_filters())));
    }

    /// The record of a word, if it is of this identity.
    #[inline]
    fn open_if(&self, word: Word, identity: &Identity<'_>) -> Result<Option<Record<'_>>> {
        let record = self.log.read_cold(word.address())?;
        Ok(record.is_of(identity).then_some(record))
    }

    /// The record of a word.
    #[inline]
    pub(crate) fn read(&self, word: Word) -> Result<Record<'_>> {
        self.log.read(word.address())
    }

    /// What a slot holds now.
    pub(crate) fn load(&self, slot: Slot) -> Result<Word> {
        self.generations.load(slot)
    }

    /// Appends a record that nobody knows of yet.
    #[inline]
    pub(crate) fn append(&self, draft: &Draft<'_>, now_ms: u64) -> Result<Appended<'_>> {
        self.appender.append(&self.log, draft, lifetime_of(draft, now_ms))
    }

    /// As [`append`](Self::append), if that needs no more than this thread has at hand.
    #[inline]
    pub(crate) fn append_at_hand(&self, draft: &Draft<'_>, now_ms: u64) -> Option<Appended<'_>> {
        self.appender.append_at_hand(&self.log, draft, lifetime_of(draft, now_ms))
    }

    /// As [`append`](Self::append), where there is no room for another segment: in a chunk of its own class,
    /// or of whichever class has one with room left.
    #[cold]
    pub(crate) fn append_anywhere(&self, draft: &Draft<'_>, now_ms: u64) -> Option<Appended<'_>> {
        let own = lifetime_of(draft, now_ms);
        let mut classes = std::iter::once(own).chain(Lifetime::all());
        classes.find_map(|lifetime| self.appender.append_in_open_chunks(&self.log, draft, lifetime))
    }

    /// The one step that decides.
    #[inline]
    pub(crate) fn swap(&self, slot: Slot, from: Word, to: Word) -> Result<bool> {
        if planted!("swap.split") {
            return Ok(self.load(slot)? == from && self.generations.swap(slot, self.load(slot)?, to)?);
        }
        self.generations.swap(slot, from, to)
    }

    /// A new key was added: has room made for the next ones. That fails nobody's request; where there is no
    /// room at all, the next request says so.
    #[inline]
    pub(crate) fn added(&self, slot: Slot, place: Place) {
        match self.generations.added(slot, place) {
            Ok(Due::Soon(number)) => self.grow_ahead(number),
            Ok(Due::Now(number)) => {
                if self.generations.grow_soon(number, false).is_ok() {
                    self.seal_older();
                }
            }
            Ok(Due::Nothing) | Err(_) => {}
        }
    }

    #[cold]
    fn grow_ahead(&self, number: u64) {
        if self.asked_behind.swap(number, Ordering::Relaxed) == number {
            return;
        }
        let generations = Arc::downgrade(&self.generations);
        self.helper.ask(move |_| drop(generations.upgrade().map(|it| it.grow_soon(number, true))));
        self.seal_older();
    }

    /// Makes room for a key that has none in this generation, the newest.
    #[cold]
    pub(crate) fn grow(&self, full: u64) -> Result<()> {
        self.generations.grow(full)?;
        self.seal_older();
        Ok(())
    }

    /// Has the helper close the older generations and make their filters. What fails costs speed alone, and
    /// is tried again with the next growth.
    #[cold]
    fn seal_older(&self) {
        let (generations, log) = (Arc::downgrade(&self.generations), Arc::downgrade(&self.log));
        self.helper.ask(move |go_on| {
            let (Some(generations), Some(log)) = (generations.upgrade(), log.upgrade()) else { return };
            let place_of = |word: Word, soon: Option<Word>| {
                soon.into_iter().for_each(|word| log.prefetch(word.address()));
                Ok(Place(log.read(word.address())?.header.place))
            };
            let _ = generations.seal_older(place_of, || go_on.ask());
        });
    }

    /// The slot behind this one, in the order of a walk through the index; `None` behind the last.
    pub(crate) fn next_slot(&self, behind: Option<Slot>) -> Result<Option<Slot>> {
        self.generations.next_slot(behind)
    }

    /// Who this process is.
    pub(crate) fn holder(&self) -> Holder {
        self.holder
    }

    /// What authenticates in this store.
    pub(crate) fn seal(&self) -> &Seal {
        &self.secret.seal
    }

    /// Which store this is.
    pub(crate) fn store_id(&self) -> &[u8; 16] {
        &self.meta.fixed.store
    }

    /// Counts one; statistics only, nothing is ordered by it.
    #[cold]
    pub(crate) fn count(&self, counter: Counter) -> Result<()> {
        self.page.counter(counter)?.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn counted(&self, counter: Counter) -> Result<u64> {
        Ok(self.page.counter(counter)?.load(Ordering::Relaxed))
    }

    /// What the rebuild at this open found; `None` if the index was trusted.
    pub(crate) fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }
}

/// Records lie with those that must be kept as long.
fn lifetime_of(draft: &Draft<'_>, now_ms: u64) -> Lifetime {
    Lifetime::of(draft.keep_ms.saturating_sub(now_ms))
}
