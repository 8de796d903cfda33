//! What may be asked, how it is chosen, and what may be answered.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use semel::{ErrorKind, OmittedReason, StartReason, State, TerminalState};

pub const LEASE_MS: u64 = 1500;
pub const RESPONSE_LIMIT: usize = 40;
pub const META_LIMIT: usize = 8;
pub const TTL_MS: u64 = 5000;
pub const IN_DOUBT_TTL_MS: u64 = 20_000;
pub const KEYS: usize = 4;

/// The options of a store that change what it answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub keyed_fingerprints: bool,
    pub rejects_unverifiable: bool,
}

/// What a request is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub payload: u8,
    pub rule: u8,
    pub keyed: bool,
}

/// A checkpoint: so many times this byte; an empty one has no byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    pub size: usize,
    pub byte: u8,
}

impl Note {
    pub fn new(size: usize, byte: u8) -> Self {
        Self { size, byte: if size == 0 { 0 } else { byte } }
    }

    pub fn bytes(self) -> Vec<u8> {
        vec![self.byte; self.size]
    }

    /// The note that these bytes are.
    pub fn of(bytes: &[u8]) -> Self {
        let note = Self::new(bytes.len(), bytes.first().copied().unwrap_or_default());
        assert!(bytes == note.bytes(), "a checkpoint of bytes that nobody left");
        note
    }
}

/// What became of handed-over bytes on their way.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Whole,
    /// One bit of them is another.
    Flipped(usize),
    /// They end after so many.
    Cut(usize),
    /// They are another store's, of a claim of the same key.
    OfAnother,
}

/// Which entries of a list are asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    pub prefix: &'static str,
    pub state: Option<State>,
    /// So many milliseconds ago, or since then.
    pub since_ago: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    pub meta: Vec<u8>,
    pub ttl: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    Completed,
    Failed,
    Release,
}

/// A claim is named by how long ago it was granted among those held: 0 is the newest.
#[derive(Clone, Debug)]
pub enum Op {
    Begin {
        key: usize,
        binding: Option<Binding>,
        lease: u64,
        in_doubt: bool,
    },
    Heartbeat {
        claim: usize,
        lease: u64,
    },
    Effect {
        claim: usize,
    },
    Checkpoint {
        claim: usize,
        note: Note,
    },
    LastCheckpoint {
        claim: usize,
    },
    HandOver {
        claim: usize,
    },
    /// The bytes are named as claims are, by how long ago they were handed over.
    Adopt {
        bytes: usize,
        way: Way,
    },
    End {
        claim: usize,
        state: TerminalState,
        reply: Reply,
    },
    Release {
        claim: usize,
        nothing_happened: bool,
    },
    Drop {
        claim: usize,
    },
    Resolve {
        key: usize,
        fence_off: u64,
        how: How,
        reply: Reply,
    },
    Peek {
        key: usize,
    },
    Seen {
        key: usize,
        ttl: u64,
    },
    Forget {
        key: usize,
    },
    List(Filter),
    Stats,
    Advance {
        ms: u64,
    },
    Reopen {
        lose_index: bool,
    },
}

/// What a verb answers, in the words of the contract, with every number that comes with it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// `grew`: the fence is larger than any before of this key.
    Started {
        reason: StartReason,
        attempt: u16,
        grew: bool,
        deadline: u64,
        note: Note,
    },
    /// With the fence, attempt, deadline and checkpoint of the claim that was handed over.
    Adopted {
        fence: u64,
        attempt: u16,
        deadline: u64,
        note: Note,
    },
    Replay(Kept),
    Omitted {
        state: TerminalState,
        reason: OmittedReason,
        status: u16,
        meta: Vec<u8>,
        age: u64,
    },
    InProgress {
        left: u64,
    },
    InDoubt {
        since: u64,
        fence: u64,
        attempt: u16,
        note: Note,
    },
    Mismatch {
        age: u64,
    },
    Orphaned,
    Absent,
    Done,
    ReleasedAbsent,
    ReleasedInDoubt,
    HandedOver,
    /// The last checkpoint of a claim.
    Left(Note),
    /// Whether a key was seen for the first time; `grew` as in `Started`.
    Seen {
        first: bool,
        grew: bool,
    },
    Forgotten(bool),
    /// In order.
    Listed(Vec<Entry>),
    Counted {
        unverifiable: u64,
        forgotten: u64,
    },
    LeaseLost(Option<Kept>),
    Error(ErrorKind),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub key: usize,
    pub fence: u64,
    pub attempt: u16,
    pub since: u64,
    pub state: &'static str,
}

/// Its name, which has an order.
pub fn name(state: State) -> &'static str {
    match state {
        State::InProgress => "in progress",
        State::Orphaned => "orphaned",
        State::InDoubt => "in doubt",
        State::Completed => "completed",
        State::Failed => "failed",
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub state: TerminalState,
    pub status: u16,
    pub body: Vec<u8>,
    pub meta: Vec<u8>,
    pub age: u64,
    pub expires: u64,
}

fn reply() -> impl Strategy<Value = Reply> {
    let ttl = prop_oneof![Just(None), Just(Some(1000)), Just(Some(3000)), Just(Some(999))];
    let body = vec(any::<u8>(), 0..=RESPONSE_LIMIT + 4);
    let meta = vec(any::<u8>(), 0..=META_LIMIT + 1);
    (any::<u16>(), body, meta, ttl).prop_map(|(status, body, meta, ttl)| Reply { status, body, meta, ttl })
}

fn lease() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 10_u64..2000, 1 => Just(10), 1 => Just(9)]
}

fn ended() -> impl Strategy<Value = TerminalState> {
    prop_oneof![3 => Just(TerminalState::Completed), 1 => Just(TerminalState::Failed)]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Completed), Just(How::Failed), Just(How::Release)]
}

/// What may be asked of a claim.
fn of_a_claim() -> impl Strategy<Value = Op> {
    let claim = || 0..3_usize;
    let size = prop_oneof![4 => Just(0), 4 => Just(1), 12 => 2..60_usize, 2 => Just(4096), 1 => Just(4097)];
    let note = (size, any::<u8>()).prop_map(|(size, byte)| Note::new(size, byte));
    prop_oneof![
        3 => (claim(), lease()).prop_map(|(claim, lease)| Op::Heartbeat { claim, lease }),
        3 => claim().prop_map(|claim| Op::Effect { claim }),
        3 => (claim(), note).prop_map(|(claim, note)| Op::Checkpoint { claim, note }),
        1 => claim().prop_map(|claim| Op::LastCheckpoint { claim }),
        3 => claim().prop_map(|claim| Op::HandOver { claim }),
        5 => (claim(), ended(), reply()).prop_map(|(claim, state, reply)| Op::End { claim, state, reply }),
        3 => (claim(), prop::bool::weighted(0.3))
            .prop_map(|(claim, nothing_happened)| Op::Release { claim, nothing_happened }),
        2 => claim().prop_map(|claim| Op::Drop { claim }),
    ]
}

/// What may be asked of handed-over bytes, and of the store as a whole.
fn of_the_store() -> impl Strategy<Value = Op> {
    let way = prop_oneof![
        12 => Just(Way::Whole),
        1 => any::<usize>().prop_map(Way::Flipped),
        1 => any::<usize>().prop_map(Way::Cut),
        1 => Just(Way::OfAnother),
    ];
    let states = [State::InProgress, State::Orphaned, State::InDoubt, State::Completed, State::Failed];
    let since = prop_oneof![Just(0), 0_u64..3000, Just(u64::MAX)];
    let filter = (
        prop::sample::select(vec!["", "a", "s", "sc", "b"]),
        option::weighted(0.4, prop::sample::select(states.to_vec())),
        option::weighted(0.4, since),
    )
        .prop_map(|(prefix, state, since_ago)| Filter { prefix, state, since_ago });
    prop_oneof![
        4 => (0..3_usize, way).prop_map(|(bytes, way)| Op::Adopt { bytes, way }),
        2 => filter.prop_map(Op::List),
        1 => Just(Op::Stats),
    ]
}

fn binding() -> impl Strategy<Value = Option<Binding>> {
    let binding = (0..2_u8, prop::bool::weighted(0.2), prop::bool::weighted(0.3))
        .prop_map(|(payload, newer, keyed)| Binding { payload, rule: u8::from(newer), keyed });
    option::weighted(0.8, binding)
}

/// Any verb. Times are near the leases and times to live, so that both sides of a deadline are met, and the
/// deadline.
pub fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    let step = prop_oneof![4 => 0_u64..50, 4 => 0_u64..2500, 1 => 2500_u64..30_000, 2 => Just(1000_u64)];
    let ttl = prop_oneof![6 => 1000..4000_u64, 1 => Just(999), 1 => Just(MOST_TTL), 1 => Just(MOST_TTL + 1)];
    prop_oneof![
        8 => (key(), binding(), lease(), prop::bool::weighted(0.2))
            .prop_map(|(key, binding, lease, in_doubt)| Op::Begin { key, binding, lease, in_doubt }),
        20 => of_a_claim(),
        6 => of_the_store(),
        4 => (key(), prop_oneof![4 => Just(0_u64), 1 => Just(1_u64)], how(), reply())
            .prop_map(|(key, fence_off, how, reply)| Op::Resolve { key, fence_off, how, reply }),
        3 => key().prop_map(|key| Op::Peek { key }),
        2 => (key(), ttl).prop_map(|(key, ttl)| Op::Seen { key, ttl }),
        2 => key().prop_map(|key| Op::Forget { key }),
        7 => step.prop_map(|ms| Op::Advance { ms }),
        1 => any::<bool>().prop_map(|lose_index| Op::Reopen { lose_index }),
    ]
}

/// 400 days.
const MOST_TTL: u64 = 400 * 86_400_000;

pub fn options() -> impl Strategy<Value = Options> {
    (any::<bool>(), any::<bool>()).prop_map(|(keyed_fingerprints, rejects_unverifiable)| Options {
        keyed_fingerprints,
        rejects_unverifiable,
    })
}
