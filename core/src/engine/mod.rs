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
use crate::index::{Generation, Probe, Slot, Word, table};
use crate::key::{Identity, Place, Seal, Secret};
use crate::log::Log;
use crate::log::append::{Appended, Appender};
use crate::log::draft::Draft;
use crate::log::lifetime::Lifetime;
use crate::log::record::{Holder, Record};
use crate::options::Defaults;
use crate::recovery::Recovery;
use crate::sync::Ordering;
use meta::Meta;

pub(crate) use registry::engine_for;

/// The high-water mark is raised this far ahead of the clock, so that it is written rarely.
const HIGH_WATER_AHEAD_MS: u64 = 10_000;

/// Everything a verb needs.
pub(crate) struct Engine {
    meta: Meta,
    page: ControlPage,
    generation: Generation,
    log: Log,
    appender: Appender,
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
        self.generation.prefetch(place);
        place
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
    pub(crate) fn find(&self, place: Place, identity: &Identity<'_>) -> Result<Probe<Record<'_>>> {
        table::probe(self.generation.words(), place, |word| {
            let record = self.log.read_cold(word.address())?;
            Ok(record.is_of(identity).then_some(record))
        })
    }

    /// The record of a word.
    #[inline]
    pub(crate) fn read(&self, word: Word) -> Result<Record<'_>> {
        self.log.read(word.address())
    }

    /// What a slot holds now.
    pub(crate) fn load(&self, slot: Slot) -> Word {
        table::load(self.generation.words(), slot)
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
    pub(crate) fn swap(&self, slot: Slot, from: Word, to: Word) -> bool {
        if planted!("swap.split") {
            return self.load(slot) == from
                && table::swap(self.generation.words(), slot, self.load(slot), to);
        }
        table::swap(self.generation.words(), slot, from, to)
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

    /// Words of the index.
    pub(crate) fn capacity(&self) -> usize {
        self.generation.words().len()
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
