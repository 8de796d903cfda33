//! The checks made at the moment of a swap: what may stand on a slot after what.

use crate::config::{OnCrash, Verb};
use crate::invariants::{Broken, Standing, is_late, judge, unless_blind};
use crate::state::{Id, Kind, Record, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    /// Checks the swap of a slot from `word` to the record `new`.
    pub(crate) fn may_replace(&self, word: Word, new: Id) -> Checked {
        let new = *self.s.record(new);
        let old = match word {
            Word::Foreign | Word::Frozen => return Err(Broken::IllegalWord),
            Word::Empty => None,
            Word::Record(id) => Some(*self.s.record(id)),
        };
        if old.is_some_and(|old| old.version >= new.version) {
            unless_blind(self.config, Broken::VersionFell)?;
        }
        if self.carries() {
            return self.carry_over(word, &new);
        }
        if old.is_none() && self.config.shape.len() > 1 {
            self.alone(&new)?;
        }
        if new.kind == Kind::Claim || self.verb == Verb::MarkSeen {
            if self.s.told.seen > self.s.clock {
                unless_blind(self.config, Broken::SeenTwice)?;
            }
            if new.fence < self.s.fences {
                unless_blind(self.config, Broken::FenceFell)?;
            }
            return old.map_or(Ok(()), |old| self.grant_over(&old));
        }
        let old = old.ok_or(Broken::ForeignResult)?;
        if self.verb == Verb::Forget {
            return if old.kind == Kind::Completed { Ok(()) } else { Err(Broken::ForgotTheLiving) };
        }
        if self.has_left() {
            unless_blind(self.config, Broken::SpentClaimActs)?;
        }
        self.not_answered(&old)?;
        if old.fence != new.fence {
            return Err(Broken::ForeignResult);
        }
        if self.resolves() { self.resolve_over(&old) } else { self.result_over(&old, &new) }
    }

    /// A record that goes into an EMPTY word is the key's only one in all generations, and the first.
    fn alone(&self, new: &Record) -> Checked {
        if let Some(other) = self.s.current().map(|id| self.s.record(id)) {
            let standing = judge(other, other.control, self.s.clock, self.config);
            if !matches!(standing, Standing::Expired | Standing::Released) {
                unless_blind(self.config, Broken::GrantBeside)?;
            }
        }
        let marked = self.s.log.iter().flatten().filter(|record| record.control.committed);
        if marked.map(|record| record.version).max() >= Some(new.version) {
            unless_blind(self.config, Broken::VersionFell)?;
        }
        Ok(())
    }

    fn not_answered(&self, old: &Record) -> Checked {
        let stands = old.kind == Kind::Completed && old.expiry > self.s.clock;
        if stands && old.answered { Err(Broken::AnswerReplaced) } else { Ok(()) }
    }

    /// Nobody but the owner itself may shorten what the owner was told.
    fn not_robbed(&self, old: &Record) -> Checked {
        if old.promised > self.s.clock && !old.quit { Err(Broken::RobbedEarly) } else { Ok(()) }
    }

    fn grant_over(&self, old: &Record) -> Checked {
        self.not_answered(old)?;
        self.not_robbed(old)?;
        match judge(old, old.control, self.s.clock, self.config) {
            Standing::Expired | Standing::Released => Ok(()),
            _ if old.kind != Kind::Claim => Err(Broken::GrantOverLive),
            _ if old.control.effect => Err(Broken::GrantOverEffect),
            _ if self.config.on_crash == OnCrash::InDoubt => Err(Broken::GrantOverLive),
            _ if is_late(old.control, self.s.clock) => Ok(()),
            _ => Err(Broken::GrantOverLive),
        }
    }

    fn result_over(&self, old: &Record, new: &Record) -> Checked {
        if old.kind != Kind::Claim {
            return Err(Broken::ForeignResult);
        }
        if old.holder != new.holder {
            unless_blind(self.config, Broken::ForeignResult)?;
        }
        let asserted = matches!(self.verb, Verb::ReleaseClean(_));
        if new.kind == Kind::Released && old.control.effect && !asserted {
            return Err(Broken::EffectForgotten);
        }
        Ok(())
    }

    fn resolve_over(&self, old: &Record) -> Checked {
        if old.kind == Kind::InDoubt {
            return Ok(());
        }
        self.not_robbed(old)?;
        let doubtful = old.control.effect || self.config.on_crash == OnCrash::InDoubt;
        let late = is_late(old.control, self.s.clock);
        if old.kind == Kind::Claim && doubtful && late { Ok(()) } else { Err(Broken::ResolvedUndoubted) }
    }

    /// A caller is being told of a result: from now on it must stay until its expiry.
    pub(crate) fn told_of(&mut self, id: Id) -> Checked {
        let current = self.s.current() == Some(id);
        let clock = self.s.clock;
        let record = self.s.record_mut(id);
        if record.kind != Kind::Completed {
            return Ok(());
        }
        record.answered |= current;
        if current || record.expiry <= clock || record.forgotten { Ok(()) } else { Err(Broken::AnswerLost) }
    }
}
