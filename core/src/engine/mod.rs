//! An open store: its rooms, put together. Handles and claims share one engine.

pub(crate) mod control_page;
pub(crate) mod meta;
mod open;
mod registry;

use crate::clock::Clock;
use crate::error::Result;
use crate::fault::planted;
use crate::index::{Generation, Probe, Slot, Word, table};
use crate::key::{Identity, Place};
use crate::log::Log;
use crate::log::append::Appended;
use crate::log::lifetime::Lifetime;
use crate::log::record::{Draft, Holder, Record};
use crate::os::Medium;
use crate::recovery::Recovery;
use crate::sync::Ordering;
use control_page::ControlPage;
use meta::Meta;

pub(crate) use registry::engine_for;

/// The high-water mark is raised this far ahead of the clock, so that it is written rarely.
const HIGH_WATER_AHEAD_MS: u64 = 10_000;

/// Versions carry 48 bits of milliseconds above 16 of counter.
pub(crate) const VERSION_SHIFT: u32 = 16;

/// Everything a verb needs.
#[derive(Debug)]
pub(crate) struct Engine {
    medium: Box<dyn Medium>,
    meta: Meta,
    page: ControlPage,
    generation: Generation,
    log: Log,
    hash: [u64; 2],
    clock: Clock,
    holder: Holder,
    recovery: Option<Recovery>,
}

impl Engine {
    /// Where this identity's chain begins.
    #[inline]
    pub(crate) fn place(&self, identity: &Identity<'_>) -> Place {
        identity.place(self.hash)
    }

    /// Milliseconds by the store's clock.
    #[inline]
    pub(crate) fn now_ms(&self) -> Result<u64> {
        let now = self.clock.boot_ms().wrapping_add(self.page.head.clock_offset_ms);
        let mark = self.meta.high_water()?;
        if now >= mark.load(Ordering::Relaxed) {
            // Ahead of any version that carries this reading, so that no later boot starts behind it.
            mark.fetch_max(now + HIGH_WATER_AHEAD_MS, Ordering::AcqRel);
        }
        Ok(now)
    }

    /// Looks for a key. A record that is found was checked whole.
    #[inline]
    pub(crate) fn find(&self, place: Place, identity: &Identity<'_>) -> Result<Probe<Record<'_>>> {
        table::probe(self.generation.words(), place, |word| {
            let record = self.read(word)?;
            Ok(record.is_of(identity).then_some(record))
        })
    }

    /// The record of a word.
    #[inline]
    pub(crate) fn read(&self, word: Word) -> Result<Record<'_>> {
        self.log.read(&*self.medium, word.address())
    }

    /// What a slot holds now.
    pub(crate) fn load(&self, slot: Slot) -> Word {
        table::load(self.generation.words(), slot)
    }

    /// Appends a record that nobody knows of yet, and makes its word. `kept_for` chooses the class.
    #[inline]
    pub(crate) fn append(&self, draft: &Draft<'_>, now_ms: u64) -> Result<(Appended<'_>, Word)> {
        let lifetime = Lifetime::of(draft.keep_ms.saturating_sub(now_ms));
        let appended = self.log.append(&*self.medium, &self.page, draft, lifetime)?;
        let word = Word::new(draft.place.tag(), appended.address);
        Ok((appended, word))
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

    /// Words of the index.
    pub(crate) fn capacity(&self) -> usize {
        self.generation.words().len()
    }

    /// What the rebuild at this open found; `None` if the index was trusted.
    pub(crate) fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }
}

/// The version of a record that follows `seen` (0: nothing) at this time.
pub(crate) fn next_version(seen: u64, now_ms: u64) -> u64 {
    (seen + 1).max(now_ms << VERSION_SHIFT)
}
