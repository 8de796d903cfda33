//! begin, resolve and peek up to the point where they append; and the swap that sets TAKEN.

use crate::config::{Fault, Verb};
use crate::invariants::{Broken, Standing, is_late, judge};
use crate::state::{Control, Kind, NONE, Pc, Record, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    pub(crate) fn probe(&mut self) -> Checked {
        if self.config.shape.len() > 1 {
            return self.probe_generations();
        }
        let slot = self.me().slot;
        match self.s.slots[slot as usize] {
            Word::Empty => match self.verb {
                Verb::Begin(_) if !self.config.extended => self.to("probe: EMPTY", Pc::Clock),
                Verb::Begin(_) | Verb::MarkSeen => self.to("probe: EMPTY", Pc::Append),
                Verb::Forget => self.say("probe: EMPTY", "false"),
                Verb::Adopt(..) => self.say("probe: EMPTY", "LeaseLost"),
                Verb::Peek => self.say("probe: EMPTY", "Absent"),
                _ => self.say("probe: EMPTY", "Conflict"),
            },
            Word::Foreign if slot + 1 == self.config.shape[0] => self.say("probe: end of chain", "StoreFull"),
            Word::Foreign => {
                self.me().slot += 1;
                self.to("probe: another key", Pc::Probe)
            }
            Word::Frozen => Err(Broken::IllegalWord),
            Word::Record(id) if !self.s.record(id).complete => Err(Broken::TornRecordReached),
            Word::Record(id) => {
                self.me().found = id;
                self.to("probe: found", Pc::Help)
            }
        }
    }

    /// A swap loop that sets one bit: its lost rounds change nothing, so it is one step.
    pub(crate) fn help(&mut self) -> Checked {
        let found = self.me().found;
        if !self.has(Fault::HelpingSkipped) {
            self.mark(found);
        }
        if self.has(Fault::ControlBeforeClock) {
            let (control, clock) = (self.s.record(found).control, self.s.clock);
            (self.me().judged, self.me().late) = (control, is_late(control, clock));
        }
        let next = match self.s.record(found).kind {
            _ if !self.config.extended => Pc::Clock,
            Kind::Claim => Pc::Judge,
            _ => Pc::Relook,
        };
        self.to("helped", next)
    }

    pub(crate) fn clock(&mut self) -> Checked {
        if !self.has(Fault::ClockKept) {
            self.me().now = self.s.clock;
        }
        if matches!(self.verb, Verb::Complete(_)) && self.locked() {
            self.me().found = self.held().0;
        }
        let found = self.me().found;
        let next = match self.verb {
            _ if self.by_key() && self.config.extended => self.first_of_probe(),
            Verb::Heartbeat(_) if self.locked() => Pc::Lock,
            Verb::Checkpoint(_) | Verb::HandOver(_) => Pc::Append,
            Verb::Begin(_) if found == NONE => Pc::Append,
            Verb::Complete(_) => Pc::Append,
            Verb::Heartbeat(_) | Verb::Release(_) | Verb::ReleaseClean(_) => Pc::Load,
            _ => Pc::Judge,
        };
        self.to("reads the clock", next)
    }

    pub(crate) fn judge(&mut self) -> Checked {
        let me = *self.me();
        if self.config.extended {
            let control = self.s.record(me.found).control;
            let late = is_late(control, self.s.clock);
            (self.me().judged, self.me().late) = (control, late);
            return self.to("loads the control word", Pc::Relook);
        }
        let record = *self.s.record(me.found);
        let early = self.has(Fault::ControlBeforeClock);
        let control = if early { me.judged } else { record.control };
        let standing = judge(&record, control, me.now, self.config);
        if self.goes_on(&record, standing) {
            let with_taken = record.kind == Kind::Claim && !self.skips_taken(standing);
            self.me().judged = control;
            return self.to("judged: may be replaced", if with_taken { Pc::Take } else { Pc::Append });
        }
        let late = !early || me.late || is_late(record.control, self.s.clock);
        self.sensible(&record, control, standing, late)?;
        if self.resolves() {
            return self.say_of(me.found, "judged", "Conflict");
        }
        if standing == Standing::Completed {
            self.told_of(me.found)?;
        }
        self.say_of(me.found, "judged", name(standing))
    }

    pub(crate) fn resolves(&self) -> bool {
        matches!(self.verb, Verb::ResolveCompleted(_) | Verb::ResolveReleased(_))
    }

    /// Whether the verb may replace a record of that standing.
    pub(crate) fn goes_on(&self, record: &Record, standing: Standing) -> bool {
        use Standing::{Expired, InDoubt, Orphaned, Released};
        match self.verb {
            Verb::MarkSeen if standing == Standing::InProgress => self.has(Fault::SeenIgnoresClaims),
            Verb::Begin(_) | Verb::MarkSeen => matches!(standing, Expired | Released | Orphaned),
            Verb::Forget => standing == Standing::Completed || self.has(Fault::ForgetNotJudged),
            Verb::Peek => false,
            _ => standing == InDoubt && record.fence == self.fence(),
        }
    }

    pub(crate) fn skips_taken(&self, standing: Standing) -> bool {
        self.has(match standing {
            _ if self.resolves() => Fault::ResolveWithoutTaken,
            Standing::Expired => Fault::ExpiredWithoutTaken,
            _ => Fault::TakeoverWithoutTaken,
        })
    }

    /// What a verb says of a claim must have been true at some moment since it met the claim.
    pub(crate) fn sensible(
        &self,
        record: &Record,
        control: Control,
        standing: Standing,
        late: bool,
    ) -> Checked {
        if record.kind != Kind::Claim {
            return Ok(());
        }
        match standing {
            Standing::InProgress if control.taken => Err(Broken::TakenInProgress),
            Standing::InDoubt | Standing::Orphaned if !late => Err(Broken::BaselessDoubt),
            _ => Ok(()),
        }
    }

    pub(crate) fn take(&mut self) -> Checked {
        let me = *self.me();
        let control = self.s.record(me.found).control;
        let as_judged = control == me.judged || self.has(Fault::TakenByPlainOr);
        let refused = me.judged.taken && self.has(Fault::TakenAlreadyIsLost);
        let owner = !self.by_key();
        if !as_judged || refused {
            return if owner { self.to("TAKEN lost", Pc::Clock) } else { self.again("TAKEN lost") };
        }
        let record = self.s.record_mut(me.found);
        record.control.taken = true;
        record.quit |= owner;
        self.to("taken", Pc::Append)
    }
}

pub(crate) fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::InProgress => "InProgress",
        Standing::Expired => "Expired",
        Standing::InDoubt => "InDoubt",
        Standing::Orphaned => "Orphaned",
        Standing::Released => "Released",
        Standing::Completed => "Replay",
    }
}
