//! What a claim's own verbs do besides writing a record: the look at the slot, the control word.

use crate::config::{Fault, Verb};
use crate::invariants::{Broken, unless_blind};
use crate::state::{After, Kind, NONE, Pc, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    pub(crate) fn look(&mut self) -> Checked {
        let me = *self.me();
        let own = if me.tried == NONE { self.held().0 } else { me.tried };
        let Word::Record(id) = self.s.slots[me.slot as usize] else { return Err(Broken::IllegalWord) };
        if id != own {
            self.me().found = id;
            return self.to("looks: another record", Pc::LookHelp);
        }
        match me.after {
            After::Start if matches!(self.verb, Verb::Heartbeat(_)) => {
                self.to("looks: its own claim", Pc::Clock)
            }
            After::Start => self.to("looks: its own claim", Pc::Load),
            // The word differed a moment ago: that it is back would be ABA.
            After::LostSwap => Err(Broken::IllegalWord),
            After::SawTaken => self.lease_lost("looks: its own claim"),
            After::OwnSwap => self.still_owner("looks: its own claim", me.judged.deadline),
        }
    }

    pub(crate) fn look_help(&mut self) -> Checked {
        let found = self.me().found;
        if !self.has(Fault::LookWithoutHelp) {
            self.mark(found);
        }
        let r = *self.s.record(found);
        let mine = r.holder == self.holder();
        let guard = r.fence == self.fence() && (mine || self.has(Fault::HolderIgnored));
        let completes = matches!(self.verb, Verb::Complete(_));
        if completes && self.is_spent() && !self.has(Fault::SpentNotSeenAfterLook) {
            return self.lease_lost("judged: handed over");
        }
        if r.kind == Kind::Claim && completes && guard && self.locked() {
            if self.has(Fault::CompletionDoesNotWait) {
                return self.lease_lost("judged: its own claim");
            }
            return self.to("judged: its own claim", Pc::Await);
        }
        if r.kind == Kind::Claim && completes && (guard || self.has(Fault::FenceIgnored)) {
            return self.to("goes on with that claim", Pc::Clock);
        }
        if r.kind == Kind::Completed {
            self.told_of(found)?;
        }
        if r.kind != Kind::Completed || !guard {
            if !r.control.committed && self.has(Fault::LookWithoutHelp) {
                unless_blind(self.config, Broken::AnsweredUnmarked)?;
            }
            return self.lease_lost("judged");
        }
        if !mine {
            return Err(Broken::OkForForeignResult);
        }
        if !matches!(self.verb, Verb::BeginEffect(_) | Verb::HandOver(_)) {
            if self.has_left() {
                unless_blind(self.config, Broken::SpentClaimActs)?;
            }
            return self.say_of(found, "judged", "Ok: completed before");
        }
        if self.has(Fault::EffectOkAfterCompletion) {
            return Err(Broken::EffectAfterCompletion);
        }
        self.say_of(found, "judged", "refused: completed before")
    }

    pub(crate) fn load(&mut self) -> Checked {
        let own = self.held().0;
        let releases = matches!(self.verb, Verb::Release(_) | Verb::ReleaseClean(_));
        let own = if releases { self.me().found } else { own };
        let control = self.s.record(own).control;
        (self.me().judged, self.me().found) = (control, own);
        let heeded = match self.verb {
            Verb::Heartbeat(_) => !self.has(Fault::HeartbeatIgnoresTaken),
            Verb::BeginEffect(_) => !self.has(Fault::EffectIgnoresTaken),
            Verb::Checkpoint(_) | Verb::HandOver(_) => true,
            _ if self.has(Fault::ReleaseWithoutTaken) => {
                return self.to("loads the control word", Pc::Append);
            }
            _ => return self.to("loads the control word", Pc::Take),
        };
        if !(control.taken && heeded) {
            let next = if self.carries() { Pc::Clock } else { Pc::Control };
            return self.to("loads the control word", next);
        }
        if self.has(Fault::TakenIsLeaseLost) {
            return self.lease_lost("loads the control word: TAKEN");
        }
        self.then_look("loads the control word: TAKEN", After::SawTaken)
    }

    pub(crate) fn control(&mut self) -> Checked {
        let me = *self.me();
        let (own, _) = self.held();
        let beats = matches!(self.verb, Verb::Heartbeat(_));
        let blindly = beats && self.has(Fault::HeartbeatByStore);
        if self.s.record(own).control != me.judged && !blindly {
            return self.to("control word lost", Pc::Load);
        }
        if self.has_left() && self.s.current() == Some(own) {
            unless_blind(self.config, Broken::SpentClaimActs)?;
        }
        let mut control = me.judged;
        if beats {
            let floor = if self.has(Fault::HeartbeatLowersDeadline) { 0 } else { control.deadline };
            control.deadline = floor.max(me.now + self.config.lease + self.config.longer);
        } else {
            control.effect = true;
        }
        self.s.record_mut(own).control = control;
        self.me().judged = control;
        let no_second = if beats { Fault::HeartbeatNoSecondLook } else { Fault::EffectNoSecondLook };
        if self.has(no_second) {
            return self.still_owner("swapped", control.deadline);
        }
        self.then_look("swapped", After::OwnSwap)
    }

    /// Ok of heartbeat or begin_effect, decided now: nobody may have replaced the claim.
    fn still_owner(&mut self, label: &'static str, deadline: u8) -> Checked {
        let (own, _) = self.held();
        let (fence, holder) = (self.fence(), self.holder());
        let beats = matches!(self.verb, Verb::Heartbeat(_));
        if let Some(id) = self.s.current() {
            let record = self.s.record_mut(id);
            let own_result =
                record.kind == Kind::Completed && (record.fence, record.holder) == (fence, holder);
            if id != own && !own_result {
                return Err(Broken::OldOwnerActs);
            }
            if id == own && beats {
                record.promised = record.promised.max(deadline);
            }
            if id == own && self.config.extended {
                if beats { self.told_deadline(fence, deadline) } else { self.s.told.effect = fence + 1 }
            }
        }
        self.say_of(own, label, "Ok")
    }
}
