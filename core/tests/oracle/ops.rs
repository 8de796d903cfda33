//! What may be asked, how it is chosen, and what may be answered.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use semel::{ErrorKind, OmittedReason, StartReason, TerminalState};

pub const RESPONSE_LIMIT: usize = 40;
pub const META_LIMIT: usize = 8;
pub const TTL_MS: u64 = 5000;
pub const IN_DOUBT_TTL_MS: u64 = 20_000;
pub const KEYS: usize = 4;

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
    Begin { key: usize, payload: Option<u8>, lease: u64, in_doubt: bool },
    Heartbeat { claim: usize, lease: u64 },
    Effect { claim: usize },
    End { claim: usize, state: TerminalState, reply: Reply },
    Release { claim: usize, nothing_happened: bool },
    Drop { claim: usize },
    Resolve { key: usize, fence_off: u64, how: How, reply: Reply },
    Peek { key: usize },
    Advance { ms: u64 },
    Reopen { lose_index: bool },
}

/// What a verb answers, in the words of the contract, with every number that comes with it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// `grew`: the fence is larger than any before of this key.
    Started {
        reason: StartReason,
        attempt: u16,
        grew: bool,
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
    },
    Mismatch {
        age: u64,
    },
    Orphaned,
    Absent,
    Done,
    ReleasedAbsent,
    ReleasedInDoubt,
    LeaseLost(Option<Kept>),
    Error(ErrorKind),
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

/// Any verb. Times are near the leases and times to live, so that both sides of a deadline are met, and the
/// deadline.
pub fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    let claim = || 0..3_usize;
    let step = prop_oneof![4 => 0_u64..50, 4 => 0_u64..2500, 1 => 2500_u64..30_000, 2 => Just(1000_u64)];
    prop_oneof![
        8 => (key(), option::weighted(0.8, 0..2_u8), lease(), prop::bool::weighted(0.2))
            .prop_map(|(key, payload, lease, in_doubt)| Op::Begin { key, payload, lease, in_doubt }),
        3 => (claim(), lease()).prop_map(|(claim, lease)| Op::Heartbeat { claim, lease }),
        3 => claim().prop_map(|claim| Op::Effect { claim }),
        5 => (claim(), ended(), reply()).prop_map(|(claim, state, reply)| Op::End { claim, state, reply }),
        3 => (claim(), prop::bool::weighted(0.3))
            .prop_map(|(claim, nothing_happened)| Op::Release { claim, nothing_happened }),
        2 => claim().prop_map(|claim| Op::Drop { claim }),
        4 => (key(), prop_oneof![4 => Just(0_u64), 1 => Just(1_u64)], how(), reply())
            .prop_map(|(key, fence_off, how, reply)| Op::Resolve { key, fence_off, how, reply }),
        3 => key().prop_map(|key| Op::Peek { key }),
        7 => step.prop_map(|ms| Op::Advance { ms }),
        1 => any::<bool>().prop_map(|lose_index| Op::Reopen { lose_index }),
    ]
}
