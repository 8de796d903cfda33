//! What is shared, what a thread remembers, and the one form in which equal situations look equal.

use crate::config::Config;
pub(crate) use crate::pc::Pc;

/// Words of all generations together.
pub(crate) const SLOTS: usize = 6;
/// Generations that may be older than another one.
pub(crate) const OLDER: usize = 2;
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
    /// The chain ends here for ever.
    Frozen,
    /// The word of another key that met this key's chain.
    Foreign,
    Record(Id),
}

/// What the head of a generation says, and whether the file of its filter is there, and has the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Seal {
    Open,
    Closed,
    Linked(bool),
    Told(bool),
}

/// `Failed` behaves as `Completed` does and is not told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    Claim,
    Completed,
    InDoubt,
    Released,
    Forgotten,
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
    /// The process that holds it; 0 is nobody (a resolved record, a claim on its way).
    pub(crate) holder: u8,
    pub(crate) expiry: u8,
    /// Length, body and checksum are all there.
    pub(crate) complete: bool,
    /// How many checkpoints it has behind it; the last is the one that it carries.
    pub(crate) checkpoint: u8,
    /// A hand over's: the version of the record that it replaced, which is what its bytes name.
    pub(crate) from: u8,
    pub(crate) control: Control,
    /// Ghosts: what the invariants remember and no verb reads.
    /// A caller was told of this record: Started, Ok or Replay.
    pub(crate) answered: bool,
    /// The latest deadline that the claim's owner was told.
    pub(crate) promised: u8,
    /// The owner itself set TAKEN, in release.
    pub(crate) quit: bool,
    /// forget replaced it.
    pub(crate) forgotten: bool,
}

pub(crate) const EMPTY: Record = Record {
    kind: Kind::Claim,
    version: 0,
    fence: 0,
    holder: 0,
    expiry: 0,
    complete: true,
    checkpoint: 0,
    from: 0,
    control: Control { committed: false, effect: false, taken: false, deadline: 0 },
    answered: false,
    promised: 0,
    quit: false,
    forgotten: false,
};

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
    /// The record that the lost swap of a completion or release expected.
    pub(crate) tried: Id,
    /// The generation that it took for the newest, and the EMPTY word it saw there.
    pub(crate) top: u8,
    pub(crate) vacant: u8,
    /// How often a walk met the key; whether the filter that is built has it.
    pub(crate) met: u8,
    /// Ghost: the key had a word when the probe or the walk began.
    pub(crate) sure: bool,
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
        /// 1 + the thread that holds the claim's lock.
        lock: u8,
        /// The flag HANDED_OVER.
        spent: bool,
        /// Ghost: hand_over has answered with the bytes.
        left: bool,
    },
    /// Its begin answered something else, or nobody will use it any more.
    Gone,
}

/// What hand_over gave out, wherever it travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Bytes {
    Awaited,
    Given {
        fence: u8,
        from: u8,
        /// Ghost: an adopter was told that they are its claim now.
        adopted: bool,
    },
    /// hand_over answered something else, or nobody will adopt them any more.
    Never,
}

/// What callers were told and must find again. No verb reads it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Told {
    /// 1 + the fence of the claim whose effect mark was told last.
    pub(crate) effect: u8,
    /// 1 + the fence of the claim whose deadline was told last, and the latest one.
    pub(crate) lease: (u8, u8),
    /// The last checkpoint told of this request.
    pub(crate) checkpoint: u8,
    /// Until when mark_seen has said that nobody else is the first.
    pub(crate) seen: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) clock: u8,
    pub(crate) slots: [Word; SLOTS],
    /// The generation that takes new keys, and what the older ones say.
    pub(crate) newest: u8,
    pub(crate) seals: [Seal; OLDER],
    pub(crate) log: [Option<Record>; RECORDS],
    pub(crate) handles: [Handle; CLAIMS],
    pub(crate) bytes: [Bytes; CLAIMS],
    pub(crate) told: Told,
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
    tried: NONE,
    top: NONE,
    vacant: NONE,
    met: 0,
    sure: false,
    late: false,
};

impl State {
    pub(crate) fn new(config: &Config) -> State {
        State {
            clock: 0,
            slots: [Word::Empty; SLOTS],
            newest: 0,
            seals: [Seal::Open; OLDER],
            log: [None; RECORDS],
            handles: [Handle::Awaited; CLAIMS],
            bytes: [Bytes::Awaited; CLAIMS],
            told: Told::default(),
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
}
