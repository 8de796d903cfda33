//! The verbs, one atomic step at a time. Each arm of `Turn::go` reads or writes shared memory once.

use crate::config::{Config, Fault, Verb};
use crate::invariants::{Broken, unless_blind};
use crate::state::{After, Bytes, Handle, Id, Kind, NONE, Pc, State, Thread};

/// One step taken: the state after it, and its name for a trace.
pub(crate) struct Step {
    pub(crate) state: State,
    pub(crate) verb: Verb,
    pub(crate) label: &'static str,
    pub(crate) answer: Option<&'static str>,
    pub(crate) broken: Option<Broken>,
}

pub(crate) type Checked = Result<(), Broken>;

/// The next step of thread `t`; None when its program is over, it is dead, or it waits for a claim.
pub(crate) fn step(state: &State, config: &Config, t: usize) -> Option<Step> {
    if config.late == Some(t) && !state.rebuilt {
        return None;
    }
    let mut turn = Turn { s: state.clone(), t, config, label: "", answer: None, verb: Verb::Peek };
    if !turn.choose() || turn.is_blocked() {
        return None;
    }
    let broken = turn.go().err();
    let Turn { s: state, verb, label, answer, .. } = turn;
    Some(Step { state, verb, label, answer, broken })
}

pub(crate) struct Turn<'a> {
    pub(crate) s: State,
    pub(crate) t: usize,
    pub(crate) config: &'a Config,
    pub(crate) verb: Verb,
    pub(crate) label: &'static str,
    answer: Option<&'static str>,
}

impl Turn<'_> {
    pub(crate) fn me(&mut self) -> &mut Thread {
        &mut self.s.threads[self.t]
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.config.has(fault)
    }

    /// The claim that the verb makes or uses.
    pub(crate) fn claim(&self) -> usize {
        self.verb.makes().or(self.verb.uses()).unwrap_or(0)
    }

    /// The holder that the verb writes into a claim or compares with.
    pub(crate) fn holder(&self) -> u8 {
        self.config.holders[self.claim()]
    }

    /// The record and slot of the verb's claim.
    pub(crate) fn held(&self) -> (Id, u8) {
        match self.s.handles[self.claim()] {
            Handle::Held { record, slot, .. } => (record, slot),
            _ => (NONE, 0),
        }
    }

    pub(crate) fn fence(&self) -> u8 {
        self.s.record(self.held().0).fence
    }

    pub(crate) fn by_key(&self) -> bool {
        use Verb::*;
        let new = matches!(self.verb, Adopt(..) | Forget | MarkSeen | List | Seal);
        new || matches!(self.verb, Begin(_) | ResolveCompleted(_) | ResolveReleased(_) | Peek)
    }

    /// Sets the verb, starting the next one of the program if the last is over; false: nothing to do.
    fn choose(&mut self) -> bool {
        let program = self.config.programs[self.t];
        loop {
            let thread = self.s.threads[self.t];
            let Some(verb) = program.get(thread.verb as usize) else { return false };
            self.verb = *verb;
            match thread.pc {
                Pc::Dead => return false,
                Pc::Idle => {}
                _ => return true,
            }
            if let Verb::Adopt(from, claim) = *verb {
                match self.s.bytes[from] {
                    Bytes::Awaited => return false,
                    Bytes::Given { .. } => break,
                    Bytes::Never => {
                        self.s.handles[claim] = Handle::Gone;
                        self.me().verb += 1;
                        continue;
                    }
                }
            }
            match verb.uses().map(|claim| self.s.handles[claim]) {
                Some(Handle::Awaited) => return false,
                Some(Handle::Gone) => self.me().verb += 1,
                _ => break,
            }
        }
        self.start();
        true
    }

    fn start(&mut self) {
        let (record, slot) = self.held();
        let stands = self.s.current().is_some();
        let clock = self.s.clock;
        let (verb, by_key) = (self.verb, self.by_key());
        let (extended, locked) = (self.config.extended, self.locked());
        let hands = self.config.hands[self.claim()];
        let no_first_look = self.has(Fault::NoFirstLook);
        let me = self.me();
        (me.slot, me.found, me.now) = if by_key { (0, NONE, clock) } else { (slot, record, clock) };
        me.after = After::Start;
        me.sure = verb == Verb::List && stands;
        me.pc = match verb {
            Verb::List => Pc::Walk,
            Verb::Seal => Pc::SealNewest,
            _ if by_key => {
                if extended {
                    Pc::Clock
                } else {
                    Pc::Probe
                }
            }
            Verb::Complete(_) | Verb::Release(_) | Verb::ReleaseClean(_) if hands => Pc::Kept,
            Verb::BeginEffect(_) | Verb::Checkpoint(_) | Verb::HandOver(_) if locked => Pc::Lock,
            Verb::Heartbeat(_) if locked => Pc::Clock,
            Verb::BeginEffect(_) if no_first_look => Pc::Load,
            Verb::Heartbeat(_) | Verb::BeginEffect(_) if !no_first_look => Pc::Look,
            _ => Pc::Clock,
        };
    }

    fn go(&mut self) -> Checked {
        self.label = "breaks here";
        match self.me().pc {
            Pc::Idle | Pc::Dead => Ok(()),
            Pc::Probe => self.probe(),
            Pc::Help => self.help(),
            Pc::Clock => self.clock(),
            Pc::Judge => self.judge(),
            Pc::Take => self.take(),
            Pc::Append => self.append(),
            Pc::Body => self.body(),
            Pc::Swap => self.swap(),
            Pc::Commit => self.commit(),
            Pc::Look => self.look(),
            Pc::LookHelp => self.look_help(),
            Pc::Load => self.load(),
            Pc::Control => self.control(),
            Pc::Relook => self.relook(),
            Pc::Kept => self.kept(),
            Pc::Lock => self.lock(),
            Pc::Await => self.await_checkpoint(),
            Pc::Spend => self.spend(),
            Pc::Give => self.give_and_answer(),
            Pc::Copy => self.copy(),
            pc => self.go_through_generations(pc),
        }
    }

    pub(crate) fn to(&mut self, label: &'static str, pc: Pc) -> Checked {
        self.label = label;
        self.me().pc = pc;
        Ok(())
    }

    pub(crate) fn then_look(&mut self, label: &'static str, after: After) -> Checked {
        self.me().after = after;
        self.to(label, Pc::Look)
    }

    /// Ends the verb with an answer.
    pub(crate) fn say(&mut self, label: &'static str, answer: &'static str) -> Checked {
        self.answer = Some(answer);
        if let Some(claim) = self.verb.makes()
            && answer != "Started"
        {
            self.s.handles[claim] = Handle::Gone;
        }
        self.unlock(answer);
        self.me().verb += 1;
        self.to(label, Pc::Idle)
    }

    /// An answer that speaks of a record: it must be marked by now.
    pub(crate) fn say_of(&mut self, id: Id, label: &'static str, answer: &'static str) -> Checked {
        if !self.s.record(id).control.committed {
            unless_blind(self.config, Broken::AnsweredUnmarked)?;
        }
        self.say(label, answer)
    }

    /// LeaseLost, decided now: the claim's own completion must not be what stands.
    pub(crate) fn lease_lost(&mut self, label: &'static str) -> Checked {
        let (fence, holder) = (self.fence(), self.holder());
        if let Some(id) = self.s.current() {
            let r = self.s.record(id);
            let own = (r.fence, r.holder) == (fence, holder) && !self.has_left();
            let releases = matches!(self.verb, Verb::Release(_) | Verb::ReleaseClean(_));
            let claim = self.config.extended && r.kind == Kind::Claim && !r.control.taken && !releases;
            if own && claim {
                unless_blind(self.config, Broken::LeaseLostOverItself)?;
            }
            if own && r.kind == Kind::Completed {
                return Err(Broken::LeaseLostOverOwn);
            }
        }
        if self.has(Fault::EndClearsSpent) {
            self.set_spent(false);
        }
        self.say(label, "LeaseLost")
    }

    pub(crate) fn mark(&mut self, id: Id) {
        if self.has(Fault::MarksNeverSet) {
            return;
        }
        let record = self.s.record_mut(id);
        record.control.committed = true;
        if record.kind == Kind::Claim {
            let above = record.fence + 1;
            self.s.fences = self.s.fences.max(above);
        }
    }
}
