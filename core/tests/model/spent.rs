//! A claim's lock, and the flag that it was handed over: what the threads of one process share.

use crate::config::{Fault, Verb};
use crate::invariants::{Broken, unless_blind};
use crate::state::{Bytes, Handle, Id, Kind, Pc};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    /// Whether the verb's claim has a lock in this run.
    pub(crate) fn locked(&self) -> bool {
        self.verb.uses().is_some_and(|claim| self.config.locks[claim])
    }

    pub(crate) fn under_lock(&self) -> bool {
        let mine = u8::try_from(self.t).unwrap() + 1;
        self.lock_word().is_some_and(|lock| lock == mine)
    }

    fn lock_word(&self) -> Option<u8> {
        match self.s.handles[self.verb.uses()?] {
            Handle::Held { lock, .. } => Some(lock),
            _ => None,
        }
    }

    /// Waits for a lock that another thread has.
    pub(crate) fn is_blocked(&self) -> bool {
        let waits = match self.s.threads[self.t].pc {
            Pc::Lock => !self.skips_lock(),
            pc => pc == Pc::Await,
        };
        waits && self.lock_word().is_some_and(|lock| lock != 0)
    }

    fn skips_lock(&self) -> bool {
        matches!(self.verb, Verb::Checkpoint(_)) && self.has(Fault::CheckpointWithoutLock)
    }

    fn set_lock(&mut self, to: u8) {
        if let Some(claim) = self.verb.uses()
            && let Handle::Held { lock, .. } = &mut self.s.handles[claim]
        {
            *lock = to;
        }
    }

    /// The end of a verb: its lock is free, and no bytes come of a hand over that was refused.
    pub(crate) fn unlock(&mut self, answer: &str) {
        if self.under_lock() {
            self.set_lock(0);
        }
        if let Verb::HandOver(claim) = self.verb
            && answer != "Ok"
            && self.s.bytes[claim] == Bytes::Awaited
        {
            self.s.bytes[claim] = Bytes::Never;
        }
    }

    /// The flag HANDED_OVER of the verb's claim.
    pub(crate) fn is_spent(&self) -> bool {
        let Some(claim) = self.verb.uses() else { return false };
        let set = matches!(self.s.handles[claim], Handle::Held { spent: true, .. });
        set && !self.has(Fault::SpentNotChecked)
    }

    pub(crate) fn set_spent(&mut self, to: bool) {
        if let Some(claim) = self.verb.uses()
            && let Handle::Held { spent, .. } = &mut self.s.handles[claim]
        {
            *spent = to;
        }
    }

    /// Ghost: the bytes of the verb's claim have been given out.
    pub(crate) fn has_left(&self) -> bool {
        let claim = self.verb.uses().filter(|_| !self.by_key());
        claim.is_some_and(|claim| matches!(self.s.handles[claim], Handle::Held { left: true, .. }))
    }

    pub(crate) fn kept(&mut self) -> Checked {
        if self.is_spent() {
            return self.say("was handed over", "LeaseLost");
        }
        self.to("was not handed over", Pc::Clock)
    }

    pub(crate) fn lock(&mut self) -> Checked {
        if !self.skips_lock() {
            self.set_lock(u8::try_from(self.t).unwrap() + 1);
        }
        if self.is_spent() {
            return self.say("locks: was handed over", "LeaseLost");
        }
        self.to("locks", Pc::Load)
    }

    /// The lock is free: whoever had it has told the new word.
    pub(crate) fn await_checkpoint(&mut self) -> Checked {
        if self.held().0 == self.me().tried && !self.is_spent() {
            unless_blind(self.config, Broken::FalseDamage)?;
        }
        let next = if self.config.hands[self.claim()] { Pc::Kept } else { Pc::Clock };
        self.to("waited for the lock", next)
    }

    /// The claim learns the word of the record that carries it on.
    pub(crate) fn know(&mut self, fresh: Id) {
        if let Some(claim) = self.verb.uses()
            && let Handle::Held { record, .. } = &mut self.s.handles[claim]
        {
            *record = fresh;
        }
    }

    pub(crate) fn spend(&mut self) -> Checked {
        self.set_spent(true);
        self.to("is spent", Pc::Give)
    }

    /// The bytes leave.
    pub(crate) fn give(&mut self) -> Checked {
        let Verb::HandOver(claim) = self.verb else { return Ok(()) };
        let (fence, holder, fresh) = (self.fence(), self.holder(), self.me().fresh);
        let from = self.s.record(fresh).from;
        if !matches!(self.s.bytes[claim], Bytes::Given { .. }) {
            self.s.bytes[claim] = Bytes::Given { fence, from, adopted: false };
        }
        let current = self.s.current();
        let holds = |id: Id| {
            let r = self.s.record(id);
            r.kind == Kind::Claim && (r.fence, r.holder) == (fence, holder)
        };
        if current.is_some_and(holds) {
            return Err(Broken::GaveWhatItHolds);
        }
        if current == Some(fresh) {
            self.s.record_mut(fresh).answered = true;
        }
        if !self.s.record(fresh).control.committed {
            unless_blind(self.config, Broken::AnsweredUnmarked)?;
        }
        Ok(())
    }

    pub(crate) fn give_and_answer(&mut self) -> Checked {
        self.give()?;
        if let Some(claim) = self.verb.uses()
            && let Handle::Held { left, .. } = &mut self.s.handles[claim]
        {
            *left = true;
        }
        let fresh = self.me().fresh;
        self.say_of(fresh, "gives the bytes", "Ok")
    }
}
