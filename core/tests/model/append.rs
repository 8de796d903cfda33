//! Append, swap, mark: how every verb that writes a record ends.

use crate::config::{Fault, Verb};
use crate::state::{After, Control, Handle, Kind, NONE, Pc, Record, SLOTS, TICK, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    pub(crate) fn append(&mut self) -> Checked {
        let me = *self.me();
        let next = if self.config.torn { Pc::Body } else { Pc::Swap };
        if me.fresh != NONE {
            return self.to("reuses its record", Pc::Swap);
        }
        let mut version = (me.now * TICK).max(self.s.floor);
        if me.found != NONE && !self.has(Fault::VersionIsClockOnly) {
            version = version.max(1 + self.s.record(me.found).version);
        }
        let kind = self.kind_written(me.judged);
        let grant = kind == Kind::Claim;
        let resolved = self.by_key() && !grant;
        let span = if kind == Kind::InDoubt { self.config.retention } else { self.config.ttl };
        let deadline = if grant { me.now + self.config.lease } else { 0 };
        let record = Record {
            kind,
            version,
            fence: if grant { version } else { self.fence() },
            holder: if resolved { 0 } else { self.holder() },
            expiry: if grant || kind == Kind::Released { 0 } else { me.now + span },
            complete: !self.config.torn && !self.has(Fault::SwapBeforeBody),
            control: Control { deadline, ..Control::default() },
            answered: false,
            promised: 0,
            quit: false,
        };
        self.me().fresh = self.s.append(record);
        self.to("appended", next)
    }

    fn kind_written(&self, judged: Control) -> Kind {
        match self.verb {
            Verb::Begin(_) | Verb::Peek => Kind::Claim,
            Verb::Complete(_) | Verb::ResolveCompleted(_) => Kind::Completed,
            Verb::Release(_) if judged.effect && !self.has(Fault::ReleaseForgetsEffect) => Kind::InDoubt,
            _ => Kind::Released,
        }
    }

    pub(crate) fn body(&mut self) -> Checked {
        let fresh = self.me().fresh;
        self.s.record_mut(fresh).complete = true;
        self.to("append.checksum", Pc::Swap)
    }

    pub(crate) fn swap(&mut self) -> Checked {
        let me = *self.me();
        let expected = if me.found == NONE { Word::Empty } else { Word::Record(me.found) };
        let word = self.s.slots[me.slot as usize];
        let blindly = match self.verb {
            Verb::Complete(_) => self.has(Fault::CompleteStoresBlindly),
            Verb::Begin(_) => self.has(Fault::InsertStoresBlindly) && me.found == NONE,
            _ => false,
        };
        if word != expected && !blindly {
            return self.swap_lost();
        }
        self.may_replace(word, me.fresh)?;
        self.s.before = if let Word::Record(old) = word { old } else { NONE };
        self.s.slots[me.slot as usize] = Word::Record(me.fresh);
        self.to("swapped", Pc::Commit)
    }

    fn swap_lost(&mut self) -> Checked {
        if !self.by_key() {
            if self.has(Fault::LostSwapIsLeaseLost) {
                return self.lease_lost("swap lost");
            }
            return self.then_look("swap lost", After::LostSwap);
        }
        if self.has(Fault::LostInsertTakesNextSlot) && self.me().found == NONE {
            self.me().slot += 1;
            if usize::from(self.me().slot) == SLOTS {
                return self.say("swap lost", "StoreFull");
            }
            return self.to("swap lost: next slot", Pc::Swap);
        }
        self.me().slot = 0;
        self.to("swap lost", Pc::Probe)
    }

    pub(crate) fn commit(&mut self) -> Checked {
        let me = *self.me();
        self.s.record_mut(me.fresh).complete = true;
        if !self.has(Fault::WinnerDoesNotMark) {
            self.mark(me.fresh);
        }
        if let Verb::Begin(claim) = self.verb {
            self.s.handles[claim] = Handle::Held { record: me.fresh, slot: me.slot };
            if self.s.current() == Some(me.fresh) {
                let record = self.s.record_mut(me.fresh);
                (record.answered, record.promised) = (true, record.control.deadline);
            }
            return self.say_of(me.fresh, "committed", "Started");
        }
        self.told_of(me.fresh)?;
        self.say_of(me.fresh, "committed", "Ok")
    }
}
