//! checkpoint, hand_over, adopt: a claim that goes on in another record; and the answers of forget and
//! mark_seen.

use crate::by_key::name;
use crate::config::{Fault, Verb};
use crate::invariants::{Broken, Standing, judge, unless_blind};
use crate::state::{Bytes, Control, EMPTY, Kind, NONE, Pc, Record, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    /// Whether the verb replaces a claim by another record of it.
    pub(crate) fn carries(&self) -> bool {
        matches!(self.verb, Verb::Checkpoint(_) | Verb::HandOver(_) | Verb::Adopt(..))
    }

    /// A verb by key starts again with a new reading of the clock.
    pub(crate) fn again(&mut self, label: &'static str) -> Checked {
        let next = if self.config.extended { Pc::Clock } else { Pc::Probe };
        let me = self.me();
        (me.slot, me.found, me.judged, me.late) = (0, NONE, Control::default(), false);
        self.to(label, next)
    }

    /// A verb by key loads its slot again, and decides.
    pub(crate) fn relook(&mut self) -> Checked {
        let me = *self.me();
        if self.s.slots[me.slot as usize] != Word::Record(me.found) && !self.has(Fault::NoRelook) {
            self.me().slot = 0;
            let next = self.first_of_probe();
            return self.to("looks again: another word", next);
        }
        let record = *self.s.record(me.found);
        let standing = judge(&record, me.judged, me.now, self.config);
        if let Verb::Adopt(from, _) = self.verb {
            return self.judge_for_adopt(from, &record, standing);
        }
        if self.goes_on(&record, standing) {
            if self.verb == Verb::Forget {
                return self.go_on_to_forget();
            }
            let with_taken = record.kind == Kind::Claim && !self.skips_taken(standing);
            return self.to("judged: may be replaced", if with_taken { Pc::Take } else { Pc::Append });
        }
        self.sensible(&record, me.judged, standing, me.late)?;
        if standing == Standing::Completed {
            self.told_of(me.found)?;
        }
        let answer = match (self.verb, standing) {
            (Verb::MarkSeen, _) | (Verb::Forget, Standing::Released | Standing::Expired) => "false",
            (Verb::Forget, _) => "Conflict",
            _ if self.resolves() => "Conflict",
            _ => name(standing),
        };
        self.say_of(me.found, "judged", answer)
    }

    fn go_on_to_forget(&mut self) -> Checked {
        if self.has(Fault::ForgetWritesNothing) {
            return Err(Broken::ForgottenReturns);
        }
        self.to("judged: has ended", Pc::Append)
    }

    fn judge_for_adopt(&mut self, from: usize, record: &Record, standing: Standing) -> Checked {
        let Bytes::Given { fence, from: replaced, .. } = self.s.bytes[from] else {
            return self.say("the bytes are gone", "LeaseLost");
        };
        let free = record.kind == Kind::Claim && (record.holder == 0 || self.has(Fault::AdoptIgnoresHolder));
        let same = record.fence == fence || self.has(Fault::AdoptIgnoresFence);
        let by_fence = self.has(Fault::AdoptByFenceAlone) || self.has(Fault::AdoptIgnoresFence);
        let of_these = record.from == replaced || by_fence || self.has(Fault::AdoptIgnoresHolder);
        if free && same && of_these && standing != Standing::Expired {
            return self.to("judged: may be adopted", Pc::Copy);
        }
        let found = self.me().found;
        if standing == Standing::Completed {
            self.told_of(found)?;
        }
        self.say_of(found, "judged", "LeaseLost")
    }

    /// adopt loads the control word that it copies.
    pub(crate) fn copy(&mut self) -> Checked {
        let found = self.me().found;
        let control = self.s.record(found).control;
        if control.taken && !self.has(Fault::AdoptIgnoresTaken) {
            return self.say("loads the control word: TAKEN", "LeaseLost");
        }
        self.me().judged = control;
        self.to("loads the control word", Pc::Append)
    }

    /// The record that carries the claim on, if that is what the verb writes.
    pub(crate) fn carried(&self, kind: Kind, version: u8) -> Option<Record> {
        if !self.carries() {
            return None;
        }
        let me = &self.s.threads[self.t];
        let old = *self.s.record(me.found);
        let leaves = matches!(self.verb, Verb::HandOver(_));
        let first = self.has(Fault::CarryKeepsFirstDeadline);
        let mut deadline = if first { old.expiry } else { me.judged.deadline };
        if matches!(self.verb, Verb::Adopt(..)) {
            let own = me.now + self.config.lease;
            deadline = if self.has(Fault::AdoptLowersDeadline) { own } else { own.max(deadline) };
        }
        let effect = me.judged.effect && !self.has(Fault::CarryDropsEffect);
        Some(Record {
            kind,
            version,
            fence: old.fence,
            holder: if leaves && !self.has(Fault::HandOverKeepsHolder) { 0 } else { self.holder() },
            expiry: old.expiry,
            complete: !self.config.torn,
            checkpoint: old.checkpoint + u8::from(matches!(self.verb, Verb::Checkpoint(_))),
            from: if leaves { old.version } else { 0 },
            control: Control { deadline, effect, ..Control::default() },
            ..EMPTY
        })
    }

    /// What the record that is no carried claim takes over of the one before.
    pub(crate) fn checkpoint_written(&self, kind: Kind) -> u8 {
        let me = &self.s.threads[self.t];
        if me.found == NONE {
            return 0;
        }
        let old = self.s.record(me.found);
        let standing = judge(old, me.judged, me.now, self.config);
        let dropped = match kind {
            Kind::Released | Kind::InDoubt => self.has(Fault::ReleaseDropsCheckpoint),
            Kind::Claim if standing == Standing::Orphaned => self.has(Fault::TakeoverDropsCheckpoint),
            Kind::Claim => standing != Standing::Released,
            Kind::Completed | Kind::Forgotten => true,
        };
        if dropped { 0 } else { old.checkpoint }
    }

    /// Ghosts after a swap: a carried claim keeps what its owner was told.
    pub(crate) fn after_swap(&mut self, word: Word, new: crate::state::Id) {
        if !self.config.extended {
            return;
        }
        let old = if let Word::Record(id) = word { Some(*self.s.record(id)) } else { None };
        if let (true, Some(old)) = (self.carries(), old) {
            let record = self.s.record_mut(new);
            (record.promised, record.quit) = (old.promised, old.quit);
            return;
        }
        if let (Verb::Forget, Word::Record(id)) = (self.verb, word) {
            self.s.record_mut(id).forgotten = true;
            self.s.told.seen = 0;
        }
        // Who starts afresh, and who ends, needs no checkpoint.
        let kind = self.s.record(new).kind;
        let goes_on = match kind {
            Kind::Released | Kind::InDoubt => true,
            Kind::Claim => old.is_some_and(|old| {
                let standing = judge(&old, old.control, self.s.clock, self.config);
                matches!(standing, Standing::Released | Standing::Orphaned)
            }),
            Kind::Completed | Kind::Forgotten => false,
        };
        if !goes_on {
            self.s.told.checkpoint = 0;
        }
    }

    /// A swap by checkpoint, hand_over or adopt: of the own claim, or of the one that the bytes name.
    pub(crate) fn carry_over(&self, word: Word, new: &Record) -> Checked {
        let Word::Record(id) = word else { return Err(Broken::ForeignCarry) };
        let old = self.s.record(id);
        if old.kind != Kind::Claim || old.fence != new.fence {
            return Err(Broken::ForeignCarry);
        }
        let Verb::Adopt(from, _) = self.verb else {
            if self.has_left() {
                unless_blind(self.config, Broken::SpentClaimActs)?;
            }
            return if id == self.held().0 { Ok(()) } else { Err(Broken::ForeignCarry) };
        };
        let named = matches!(self.s.bytes[from], Bytes::Given { fence, .. } if fence == old.fence);
        if old.holder == 0 && named { Ok(()) } else { Err(Broken::ForeignCarry) }
    }

    /// An adopter is told that the claim is its own.
    pub(crate) fn adopted(&mut self) -> Checked {
        let Verb::Adopt(from, _) = self.verb else { return Ok(()) };
        match &mut self.s.bytes[from] {
            Bytes::Given { adopted: true, .. } => Err(Broken::AdoptedTwice),
            Bytes::Given { adopted, .. } => {
                *adopted = true;
                Ok(())
            }
            _ => Err(Broken::ForeignCarry),
        }
    }

    pub(crate) fn told_deadline(&mut self, fence: u8, deadline: u8) {
        if self.config.extended {
            let same = self.s.told.lease.0 == fence + 1;
            let before = if same { self.s.told.lease.1 } else { 0 };
            self.s.told.lease = (fence + 1, deadline.max(before));
        }
    }

    /// What follows the mark, for the verbs of this page; None for the others.
    pub(crate) fn committed(&mut self) -> Option<Checked> {
        let fresh = self.me().fresh;
        let stands = self.s.current() == Some(fresh);
        match self.verb {
            Verb::Checkpoint(_) => {
                self.know(fresh);
                if stands {
                    self.s.told.checkpoint = self.s.record(fresh).checkpoint;
                    self.s.record_mut(fresh).answered = true;
                }
                Some(self.say_of(fresh, "committed", "Ok"))
            }
            Verb::HandOver(_) => {
                if self.has(Fault::SpentClaimKnowsWord) {
                    self.know(fresh);
                }
                Some(self.to("committed", Pc::Spend))
            }
            Verb::MarkSeen => {
                if stands {
                    let record = self.s.record_mut(fresh);
                    record.answered = true;
                    self.s.told.seen = record.expiry;
                }
                Some(self.say_of(fresh, "committed", "true"))
            }
            Verb::Forget => Some(self.say_of(fresh, "committed", "true")),
            Verb::Complete(_) if self.has(Fault::EndClearsSpent) => {
                self.set_spent(false);
                None
            }
            _ => None,
        }
    }
}
