//! The one form in which equal situations look equal.

use crate::config::{Config, Fault};
use crate::state::{
    After, Bytes, CLAIMS, Control, Handle, IDLE, Id, Kind, NONE, Pc, RECORDS, State, Thread, Word,
};

impl State {
    /// Brings equal situations to one form: registers that will not be read are cleared, records
    /// that nobody can reach and recovery cannot choose are dropped, the rest are renumbered in
    /// the order in which they are reached.
    pub(crate) fn settle(&mut self, config: &Config) {
        self.forget(config);
        let mut order: [Id; RECORDS] = [NONE; RECORDS];
        let mut count = 0;
        let mut reach = |id: Id| {
            if id != NONE && !order[..count].contains(&id) {
                order[count] = id;
                count += 1;
            }
        };
        self.for_each_reference(|id| reach(*id));
        let best = self.log.iter().flatten().filter(|r| r.control.committed).map(|r| r.version).max();
        for (id, record) in (0..).zip(&self.log) {
            let keep = record.is_some_and(|r| {
                config.recovery_reads_all() || r.control.committed && Some(r.version) == best
            });
            if keep {
                reach(id);
            }
        }
        let old = self.log;
        self.log = [None; RECORDS];
        let mut moved = [NONE; RECORDS];
        for (to, from) in (0..).zip(&order[..count]) {
            self.log[to as usize] = old[*from as usize];
            moved[*from as usize] = to;
        }
        self.for_each_reference(|id| {
            if *id != NONE {
                *id = moved[*id as usize];
            }
        });
    }

    fn forget(&mut self, config: &Config) {
        let current = self.current();
        if current.is_none_or(|id| self.record(id).control.committed) {
            self.before = NONE;
        }
        for claim in 0..CLAIMS {
            if self.handles[claim] != Handle::Gone && !config.still_used(claim, &self.threads) {
                self.handles[claim] = Handle::Gone;
            }
        }
        if config.extended {
            self.forget_told(config);
        }
        for (id, record) in (0..).zip(&mut self.log) {
            if let Some(record) = record
                && Some(id) != current
            {
                (record.answered, record.promised, record.quit) = (false, 0, false);
            }
        }
        let reuse = config.fault == Some(Fault::RecordReused);
        let insert = config.fault == Some(Fault::InsertReused);
        for thread in &mut self.threads {
            thread.forget(
                reuse || insert && thread.found == NONE,
                config.fault == Some(Fault::ClockKept),
                config.extended,
            );
        }
    }

    /// What was told of a claim that is over, and bytes that nobody will use.
    fn forget_told(&mut self, config: &Config) {
        for claim in 0..CLAIMS {
            if self.bytes[claim] != Bytes::Never && !config.still_adopted(claim, &self.threads) {
                self.bytes[claim] = Bytes::Never;
            }
        }
        let stands = |fence: u8| {
            self.log.iter().flatten().any(|record| record.kind == Kind::Claim && record.fence + 1 == fence)
        };
        if !stands(self.told.effect) {
            self.told.effect = 0;
        }
        if !stands(self.told.lease.0) {
            self.told.lease = (0, 0);
        }
        if self.told.seen <= self.clock {
            self.told.seen = 0;
        }
    }

    /// Every place that names a record, in a fixed order.
    fn for_each_reference(&mut self, mut visit: impl FnMut(&mut Id)) {
        for word in &mut self.slots {
            if let Word::Record(id) = word {
                visit(id);
            }
        }
        visit(&mut self.before);
        for handle in &mut self.handles {
            if let Handle::Held { record, .. } = handle {
                visit(record);
            }
        }
        for thread in &mut self.threads {
            visit(&mut thread.found);
            visit(&mut thread.fresh);
            visit(&mut thread.tried);
        }
    }
}

impl Thread {
    /// Clears the registers that no later step reads.
    fn forget(&mut self, keep_fresh: bool, keep_now: bool, clock_first: bool) {
        use Pc::{
            Append, Await, Body, Clock, Close, Commit, Dead, Give, Grow, Help, Idle, Judge, Look, LookHelp,
            Newest, NewestAgain, Probe, Publish, Relook, Spend, Swap, Take,
        };
        let pc = self.pc;
        if matches!(pc, Idle | Dead) {
            *self = Thread { pc, verb: self.verb, ..IDLE };
            return;
        }
        if !matches!(pc, Look | LookHelp) {
            self.after = After::Start;
        }
        if !matches!(pc, Look | LookHelp | Await) {
            self.tried = NONE;
        }
        let probes = matches!(pc, Probe | Newest | Close | NewestAgain | Grow | Publish);
        if probes || matches!(pc, Look | Commit | Spend | Give) {
            self.found = NONE;
        }
        let done = matches!(pc, Body | Swap | Commit | Look | LookHelp | Await | Spend | Give);
        let early = matches!(pc, Probe | Help) && !clock_first;
        if (done || early) && !keep_now {
            self.now = 0;
        }
        self.forget_generations();
        let looks_again = pc == Look && self.after == After::OwnSwap;
        if !matches!(pc, Clock | Judge | Relook | Take | Append | Pc::Control) && !looks_again {
            self.judged = Control::default();
            self.late = false;
        }
        if !matches!(pc, Body | Swap | Commit | Spend | Give) && !keep_fresh {
            self.fresh = NONE;
        }
    }

    fn forget_generations(&mut self) {
        use Pc::{
            Close, FilterLink, FilterTell, FilterWord, Grow, NewestAgain, Probe, Publish, SealClose,
            SealTell, SealWord, Walk, WalkOn,
        };
        let probes = matches!(self.pc, Probe | Close | NewestAgain | Grow | Publish);
        let seals = matches!(self.pc, SealWord | SealClose | SealTell | FilterWord | FilterLink | FilterTell);
        if !matches!(self.pc, Probe | Close) {
            self.vacant = NONE;
        }
        let walks = matches!(self.pc, Walk | WalkOn);
        if !probes && !walks {
            self.sure = false;
        }
        if seals || walks {
            self.now = 0;
        }
        if !probes && !seals {
            self.top = NONE;
        }
        if matches!(self.pc, NewestAgain | Grow | Publish) {
            self.slot = 0;
        }
    }
}
