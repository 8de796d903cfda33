//! What is shared, what a thread remembers, and the one form in which equal situations look equal.

use crate::config::{Config, Fault};

pub(crate) const SLOTS: usize = 3;
pub(crate) const RECORDS: usize = 10;
pub(crate) const THREADS: usize = 4;
pub(crate) const CLAIMS: usize = 4;
/// Versions that fit into one tick of the clock: a version is `tick * TICK + counter`.
pub(crate) const TICK: u8 = 16;

/// Number of a record in the model's log; it stands for an address.
pub(crate) type Id = u8;
pub(crate) const NONE: Id = u8::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Word {
    Empty,
    /// The word of another key that met this key's chain.
    Foreign,
    Record(Id),
}

/// `Failed` behaves as `Completed` does and is not told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    Claim,
    Completed,
    InDoubt,
    Released,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Control {
    pub(crate) committed: bool,
    pub(crate) effect: bool,
    pub(crate) taken: bool,
    pub(crate) deadline: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) version: u8,
    pub(crate) fence: u8,
    /// 1 + the claim's number; 0 is nobody (a resolved record).
    pub(crate) holder: u8,
    pub(crate) expiry: u8,
    /// Length, body and checksum are all there.
    pub(crate) complete: bool,
    pub(crate) control: Control,
    /// Ghosts: what the invariants remember and no verb reads.
    /// A caller was told of this record: Started, Ok or Replay.
    pub(crate) answered: bool,
    /// The latest deadline that the claim's owner was told.
    pub(crate) promised: u8,
    /// The owner itself set TAKEN, in release.
    pub(crate) quit: bool,
}

/// Where a thread stands: the step that it takes next. Names follow the kill points.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Pc {
    /// Between two verbs.
    Idle,
    Dead,
    /// Load one word of the chain.
    Probe,
    /// Set COMMITTED on the record found.
    Help,
    Clock,
    /// Load the control word, judge, answer or go on.
    Judge,
    /// Swap TAKEN into the control word.
    Take,
    /// Append: with `Config::torn` only the length, and the rest in `Body`.
    Append,
    Body,
    /// Swap the slot.
    Swap,
    /// Set COMMITTED on the record just swapped in, and answer.
    Commit,
    /// A claim's verb loads its slot.
    Look,
    /// A claim's verb sets COMMITTED on what it saw there, and answers from it.
    LookHelp,
    /// A claim's verb loads its control word.
    Load,
    /// heartbeat and begin_effect swap the control word.
    Control,
}

/// Why a claim's verb looks at its slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum After {
    Start,
    LostSwap,
    SawTaken,
    OwnSwap,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Thread {
    pub(crate) pc: Pc,
    /// Which verb of its program it is at.
    pub(crate) verb: u8,
    pub(crate) slot: u8,
    /// The record of the word loaded: what the swap will expect.
    pub(crate) found: Id,
    /// The record it appended itself.
    pub(crate) fresh: Id,
    pub(crate) now: u8,
    pub(crate) judged: Control,
    pub(crate) after: After,
    /// Ghost: since the control word was loaded there was a moment at which the claim was late.
    pub(crate) late: bool,
}

/// A claim as its owner holds it: the word it was given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Handle {
    /// Its begin has not answered yet.
    Awaited,
    Held {
        record: Id,
        slot: u8,
    },
    /// Its begin answered something else, or nobody will use it any more.
    Gone,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) clock: u8,
    pub(crate) slots: [Word; SLOTS],
    pub(crate) log: [Option<Record>; RECORDS],
    pub(crate) handles: [Handle; CLAIMS],
    pub(crate) threads: [Thread; THREADS],
    pub(crate) deaths_left: u8,
    pub(crate) foreign_left: u8,
    pub(crate) rebuilt: bool,
    /// The version floor that a rebuild leaves: above every version in the log.
    pub(crate) floor: u8,
    /// Ghost: what the current record replaced, as long as the current record is unmarked.
    pub(crate) before: Id,
    /// Ghost: 1 + the highest fence of a marked claim: of one that somebody may have been told.
    pub(crate) fences: u8,
}

pub(crate) const IDLE: Thread = Thread {
    pc: Pc::Idle,
    verb: 0,
    slot: 0,
    found: NONE,
    fresh: NONE,
    now: 0,
    judged: Control { committed: false, effect: false, taken: false, deadline: 0 },
    after: After::Start,
    late: false,
};

impl State {
    pub(crate) fn new(config: &Config) -> State {
        State {
            clock: 0,
            slots: [Word::Empty; SLOTS],
            log: [None; RECORDS],
            handles: [Handle::Awaited; CLAIMS],
            threads: [IDLE; THREADS],
            deaths_left: config.deaths,
            foreign_left: config.foreign,
            rebuilt: false,
            floor: 0,
            before: NONE,
            fences: 0,
        }
    }

    pub(crate) fn record(&self, id: Id) -> &Record {
        self.log[id as usize].as_ref().expect("a record in use is kept")
    }

    pub(crate) fn record_mut(&mut self, id: Id) -> &mut Record {
        self.log[id as usize].as_mut().expect("a record in use is kept")
    }

    /// The record in the index; the check for two live words makes "the" right.
    pub(crate) fn current(&self) -> Option<Id> {
        self.slots.iter().find_map(|word| if let Word::Record(id) = word { Some(*id) } else { None })
    }

    pub(crate) fn append(&mut self, record: Record) -> Id {
        let free = self.log.iter().position(Option::is_none).expect("RECORDS is too small for this run");
        self.log[free] = Some(record);
        u8::try_from(free).expect("few records")
    }

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
        for (id, record) in (0..).zip(&mut self.log) {
            if let Some(record) = record
                && Some(id) != current
            {
                (record.answered, record.promised, record.quit) = (false, 0, false);
            }
        }
        let reuse = config.fault == Some(Fault::RecordReused);
        for thread in &mut self.threads {
            thread.forget(reuse, config.fault == Some(Fault::ClockKept));
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
        }
    }
}

impl Thread {
    /// Clears the registers that no later step reads.
    fn forget(&mut self, keep_fresh: bool, keep_now: bool) {
        use Pc::{Append, Body, Clock, Commit, Dead, Help, Idle, Judge, Look, LookHelp, Probe, Swap, Take};
        let pc = self.pc;
        if matches!(pc, Idle | Dead) {
            *self = Thread { pc, verb: self.verb, ..IDLE };
            return;
        }
        if !matches!(pc, Look | LookHelp) {
            self.after = After::Start;
        }
        if matches!(pc, Probe | Look | Commit) {
            self.found = NONE;
        }
        if matches!(pc, Probe | Help | Body | Swap | Commit | Look | LookHelp) && !keep_now {
            self.now = 0;
        }
        let looks_again = pc == Look && self.after == After::OwnSwap;
        if !matches!(pc, Clock | Judge | Take | Append | Pc::Control) && !looks_again {
            self.judged = Control::default();
            self.late = false;
        }
        if !matches!(pc, Body | Swap | Commit) && !keep_fresh {
            self.fresh = NONE;
        }
    }
}
