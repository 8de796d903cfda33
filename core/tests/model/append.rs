//! Append, swap, mark: how every verb that writes a record ends.

use crate::config::{Fault, Verb};
use crate::state::{After, Control, EMPTY, Handle, Kind, NONE, Pc, Record, TICK, Word};
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
        if let Some(record) = self.carried(kind, version) {
            return self.appended(record, next);
        }
        let grant = kind == Kind::Claim;
        let resolved = self.by_key() && !grant;
        let first = grant || self.verb == Verb::MarkSeen;
        let span = if kind == Kind::InDoubt { self.config.retention } else { self.config.ttl };
        let deadline = if grant { me.now + self.config.lease } else { 0 };
        let record = Record {
            kind,
            version,
            fence: self.fence_written(version, first),
            holder: if resolved { 0 } else { self.holder() },
            expiry: match kind {
                Kind::Claim if self.has(Fault::CarryKeepsFirstDeadline) => deadline,
                Kind::Claim | Kind::Released | Kind::Forgotten => 0,
                _ => me.now + span,
            },
            complete: !self.config.torn && !self.has(Fault::SwapBeforeBody),
            checkpoint: self.checkpoint_written(kind),
            control: Control { deadline, ..Control::default() },
            ..EMPTY
        };
        self.appended(record, next)
    }

    fn appended(&mut self, record: Record, next: Pc) -> Checked {
        self.me().fresh = self.s.append(record);
        if self.has(Fault::BytesBeforeSwap) {
            self.give()?;
        }
        self.to("appended", next)
    }

    fn fence_written(&self, version: u8, first: bool) -> u8 {
        match self.verb {
            _ if first => version,
            Verb::Forget => self.s.record(self.s.threads[self.t].found).fence,
            _ => self.fence(),
        }
    }

    fn kind_written(&self, judged: Control) -> Kind {
        match self.verb {
            Verb::Begin(_) | Verb::Peek => Kind::Claim,
            Verb::Checkpoint(_) | Verb::HandOver(_) | Verb::Adopt(..) => Kind::Claim,
            Verb::Forget => Kind::Forgotten,
            Verb::MarkSeen | Verb::Complete(_) | Verb::ResolveCompleted(_) => Kind::Completed,
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
        self.after_swap(word, me.fresh);
        self.s.before = if let Word::Record(old) = word { old } else { NONE };
        self.s.slots[me.slot as usize] = Word::Record(me.fresh);
        if self.verb == Verb::Forget && self.has(Fault::ForgetEmpties) {
            self.s.slots[me.slot as usize] = Word::Empty;
            self.s.before = NONE;
        }
        if self.has(Fault::BytesBeforeMark) {
            self.give()?;
        }
        self.to("swapped", Pc::Commit)
    }

    fn swap_lost(&mut self) -> Checked {
        if !self.by_key() {
            if self.has(Fault::LostSwapIsLeaseLost) {
                return self.lease_lost("swap lost");
            }
            if self.config.extended && !self.under_lock() {
                self.me().tried = self.me().found;
            }
            return self.then_look("swap lost", After::LostSwap);
        }
        if self.has(Fault::LostInsertTakesNextSlot) && self.me().found == NONE {
            self.me().slot += 1;
            if self.me().slot == self.config.shape[0] {
                return self.say("swap lost", "StoreFull");
            }
            return self.to("swap lost: next slot", Pc::Swap);
        }
        self.again("swap lost")
    }

    pub(crate) fn commit(&mut self) -> Checked {
        let me = *self.me();
        self.s.record_mut(me.fresh).complete = true;
        let seen = self.verb == Verb::MarkSeen;
        if !(self.has(Fault::WinnerDoesNotMark) || seen && self.has(Fault::SeenNotMarked)) {
            self.mark(me.fresh);
        }
        if let Some(claim) = self.verb.makes() {
            self.s.handles[claim] =
                Handle::Held { record: me.fresh, slot: me.slot, lock: 0, spent: false, left: false };
            self.adopted()?;
            if self.s.current() == Some(me.fresh) {
                let record = self.s.record_mut(me.fresh);
                (record.answered, record.promised) = (true, record.control.deadline);
                let (fence, deadline) = (record.fence, record.control.deadline);
                self.told_deadline(fence, deadline);
            }
            return self.say_of(me.fresh, "committed", "Started");
        }
        if let Some(answered) = self.committed() {
            return answered;
        }
        self.told_of(me.fresh)?;
        self.say_of(me.fresh, "committed", "Ok")
    }
}
