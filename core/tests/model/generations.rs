//! The generations of an index: the probe of all of them, closing, growth, and the walk.

use crate::config::{Fault, Verb};
use crate::invariants::Broken;
use crate::state::{NONE, Pc, Seal, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    pub(crate) fn go_through_generations(&mut self, pc: Pc) -> Checked {
        match pc {
            Pc::Newest => self.newest(),
            Pc::Close => self.close(),
            Pc::NewestAgain => self.newest_again(),
            Pc::Grow => self.grow(),
            Pc::Publish => self.publish(),
            Pc::Walk => self.walk(),
            Pc::WalkOn => self.walk_on(),
            pc => self.seal(pc),
        }
    }

    /// The step that a search for the key begins with.
    pub(crate) fn first_of_probe(&self) -> Pc {
        if self.config.shape.len() > 1 { Pc::Newest } else { Pc::Probe }
    }

    /// Whether the verb adds the key where it is nowhere, and so closes its chains.
    fn adds(&self) -> bool {
        matches!(self.verb, Verb::Begin(_) | Verb::MarkSeen)
    }

    fn is_oldest_first(&self) -> bool {
        self.has(Fault::OldestFirst) && !self.adds()
    }

    fn newest(&mut self) -> Checked {
        let (newest, sure) = (self.s.newest, self.s.current().is_some());
        let first = if self.is_oldest_first() { 0 } else { newest };
        let slot = self.config.first_slot(first);
        let me = self.me();
        (me.top, me.slot, me.sure, me.vacant) = (newest, slot, sure, NONE);
        self.to("loads newest", Pc::Probe)
    }

    /// Asks the filter of an older generation, if it has one, or loads one word.
    pub(crate) fn probe_generations(&mut self) -> Checked {
        let me = *self.me();
        let here = self.config.generation_of(me.slot);
        let is_top = here == me.top;
        let begins = me.slot == self.config.first_slot(here);
        if begins && !is_top && self.s.seals[usize::from(here)] == Seal::Told(false) {
            return self.elsewhere("filter: not there", here);
        }
        match self.s.slots[usize::from(me.slot)] {
            Word::Empty if is_top => {
                self.me().vacant = me.slot;
                self.elsewhere("probe: EMPTY", here)
            }
            Word::Empty if self.adds() && !self.has(Fault::ChainsNotClosed) => {
                self.to("probe: EMPTY in an older one", Pc::Close)
            }
            Word::Empty => self.elsewhere("probe: EMPTY in an older one", here),
            Word::Frozen if is_top && self.adds() => {
                if self.has(Fault::NewestKept) {
                    self.me().slot = self.config.first_slot(here);
                    return self.to("probe: FROZEN", Pc::Probe);
                }
                self.again("probe: FROZEN")
            }
            Word::Frozen => self.elsewhere("probe: FROZEN", here),
            Word::Foreign if me.slot + 1 < self.config.first_slot(here + 1) => {
                self.me().slot += 1;
                self.to("probe: another key", Pc::Probe)
            }
            Word::Foreign if is_top && self.has(Fault::FullIsAbsent) => self.nowhere("probe: end of chain"),
            Word::Foreign => self.elsewhere("probe: end of chain", here),
            Word::Record(id) if !self.s.record(id).complete => Err(Broken::TornRecordReached),
            Word::Record(id) => {
                self.me().found = id;
                self.to("probe: found", Pc::Help)
            }
        }
    }

    /// The key is not in this generation: the next one, or it is nowhere.
    fn elsewhere(&mut self, label: &'static str, here: u8) -> Checked {
        let (top, oldest_first) = (self.me().top, self.is_oldest_first());
        let next = if oldest_first { (here < top).then_some(here + 1) } else { here.checked_sub(1) };
        let Some(next) = next.filter(|_| !self.has(Fault::OlderNotProbed)) else {
            return self.nowhere(label);
        };
        self.me().slot = self.config.first_slot(next);
        self.to(label, Pc::Probe)
    }

    fn nowhere(&mut self, label: &'static str) -> Checked {
        if !self.adds() {
            return self.to(label, Pc::NewestAgain);
        }
        let vacant = self.me().vacant;
        if vacant == NONE {
            return self.to(label, Pc::Grow);
        }
        self.me().slot = vacant;
        self.to(label, Pc::Append)
    }

    fn close(&mut self) -> Checked {
        let slot = self.me().slot;
        let word = &mut self.s.slots[usize::from(slot)];
        let (won, other) = (*word == Word::Empty, *word == Word::Foreign);
        if won {
            *word = Word::Frozen;
        }
        let lost_to_other = other && self.has(Fault::LostCloseToOtherIsClosed);
        if won || lost_to_other || self.has(Fault::LostCloseIsClosed) {
            return self.elsewhere("closed", self.config.generation_of(slot));
        }
        self.to("closing lost", Pc::Probe)
    }

    /// A key that had a word when the probe began must have been found.
    fn not_overlooked(&mut self) -> Checked {
        if self.me().sure { Err(Broken::Overlooked) } else { Ok(()) }
    }

    fn newest_again(&mut self) -> Checked {
        if self.me().top != self.s.newest && !self.has(Fault::NewestNotLookedAtAgain) {
            return self.to("looks at newest again: another", Pc::Newest);
        }
        self.not_overlooked()?;
        let answer = match self.verb {
            Verb::Forget => "false",
            Verb::Adopt(..) => "LeaseLost",
            Verb::Peek => "Absent",
            _ => "Conflict",
        };
        self.say("looks at newest again", answer)
    }

    fn grow(&mut self) -> Checked {
        let top = self.me().top;
        if self.s.newest != top {
            return self.again("has grown");
        }
        if usize::from(top) + 1 == self.config.shape.len() {
            self.not_overlooked()?;
            return self.say("no more generations", "StoreFull");
        }
        self.to("makes the next generation", Pc::Publish)
    }

    fn publish(&mut self) -> Checked {
        let top = self.me().top;
        if self.s.newest == top || self.has(Fault::NewestByStore) {
            self.s.newest = top + 1;
        }
        self.again("publishes it")
    }

    fn walk(&mut self) -> Checked {
        let slot = self.me().slot;
        if matches!(self.s.slots[usize::from(slot)], Word::Record(_)) {
            self.me().met += 1;
        }
        if self.me().met > 1 {
            return Err(Broken::ListedTwice);
        }
        let here = self.config.generation_of(slot);
        if slot + 1 == self.config.first_slot(here + 1) {
            return self.to("walks", Pc::WalkOn);
        }
        self.me().slot += 1;
        self.to("walks", Pc::Walk)
    }

    fn walk_on(&mut self) -> Checked {
        let me = *self.me();
        if self.config.generation_of(me.slot) < self.s.newest && !self.has(Fault::WalkEndsEarly) {
            self.me().slot += 1;
            return self.to("goes on", Pc::Walk);
        }
        if me.met == 0 {
            self.not_overlooked()?;
        }
        self.say("is through", "Ok")
    }
}
