//! The contract as a plain map: what each verb answers when verbs come one after the other.

use std::collections::HashMap;

use semel::{ErrorKind, OmittedReason, StartReason, TerminalState, limits};

use super::ops::{Answer, How, IN_DOUBT_TTL_MS, Kept, META_LIMIT, RESPONSE_LIMIT, Reply, TTL_MS};

/// What is known of a key.
#[derive(Clone, Debug)]
struct Record {
    /// When it was written.
    at: u64,
    fence: u64,
    attempt: u16,
    payload: Option<u8>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Claimed { deadline: u64, effect: bool, in_doubt_on_crash: bool },
    Ended { state: TerminalState, reply: Reply, expiry: u64, by_owner: bool },
    InDoubt { expiry: u64 },
    Released,
}

/// How a key stands at a moment.
enum Standing {
    InProgress { left: u64 },
    Orphaned,
    InDoubt { since: u64 },
    Ended,
    Released,
    Absent,
}

#[derive(Default)]
pub struct Model {
    pub now: u64,
    keys: HashMap<usize, Record>,
}

impl Model {
    fn standing(&self, record: &Record) -> Standing {
        match record.state {
            State::Claimed { deadline, .. } if self.now < deadline => {
                Standing::InProgress { left: deadline - self.now }
            }
            State::Claimed { deadline, .. } if self.now >= deadline + IN_DOUBT_TTL_MS => Standing::Absent,
            State::Claimed { deadline, effect, in_doubt_on_crash } if effect || in_doubt_on_crash => {
                Standing::InDoubt { since: self.now - deadline }
            }
            State::Claimed { .. } => Standing::Orphaned,
            State::Ended { expiry, .. } | State::InDoubt { expiry } if self.now >= expiry => Standing::Absent,
            State::Ended { .. } => Standing::Ended,
            State::InDoubt { .. } => Standing::InDoubt { since: self.now - record.at },
            State::Released => Standing::Released,
        }
    }

    /// What a look at a record answers, if it is there.
    fn look(&self, record: &Record) -> Option<Answer> {
        match self.standing(record) {
            Standing::InProgress { left } => Some(Answer::InProgress { left }),
            Standing::InDoubt { since } => {
                Some(Answer::InDoubt { since, fence: record.fence, attempt: record.attempt })
            }
            Standing::Ended => Some(self.ended(record)),
            Standing::Orphaned => Some(Answer::Orphaned),
            Standing::Released | Standing::Absent => None,
        }
    }

    fn ended(&self, record: &Record) -> Answer {
        let State::Ended { state, reply, expiry, .. } = &record.state else { panic!("{record:?}") };
        let age = self.now - record.at;
        let (state, status, meta) = (*state, reply.status, reply.meta.clone());
        // Meta that is over its limit takes the body with it.
        if reply.meta.len() > META_LIMIT {
            return Answer::Omitted { state, reason: OmittedReason::TooLarge, status, meta: vec![], age };
        }
        if reply.body.len() > RESPONSE_LIMIT {
            return Answer::Omitted { state, reason: OmittedReason::TooLarge, status, meta, age };
        }
        Answer::Replay(Kept { state, status, body: reply.body.clone(), meta, age, expires: *expiry })
    }

    /// `fence`: the one that the store gave, if it started; it must be larger than any before.
    pub fn begin(
        &mut self,
        key: usize,
        payload: Option<u8>,
        lease: u64,
        in_doubt_on_crash: bool,
        fence: Option<u64>,
    ) -> Answer {
        if !(limits::LEASE.min..=limits::LEASE.max).contains(&lease) {
            return Answer::Error(ErrorKind::InvalidArgument);
        }
        let known = self.keys.get(&key);
        let (reason, attempt) = match known.map(|record| (record, self.look(record))) {
            None => (StartReason::Fresh, 1),
            Some((record, Some(seen))) => {
                if let (Some(stored), Some(given)) = (record.payload, payload)
                    && stored != given
                {
                    return Answer::Mismatch { age: self.now - record.at };
                }
                if seen != Answer::Orphaned {
                    return seen;
                }
                (StartReason::Takeover, record.attempt + 1)
            }
            Some((record, None)) if matches!(record.state, State::Released) => {
                (StartReason::AfterRelease, record.attempt + 1)
            }
            Some((_, None)) => (StartReason::Fresh, 1),
        };
        let grew = match (known, fence) {
            (Some(record), Some(fence)) => fence > record.fence,
            (_, given) => given.is_some(),
        };
        let state = State::Claimed { deadline: self.now + lease, effect: false, in_doubt_on_crash };
        // Who takes over without a payload leaves the key bound as it was.
        let inherited = known.filter(|_| reason == StartReason::Takeover).and_then(|record| record.payload);
        let payload = payload.or(inherited);
        let fence = fence.unwrap_or_default();
        self.keys.insert(key, Record { at: self.now, fence, attempt, payload, state });
        Answer::Started { reason, attempt, grew }
    }

    pub fn peek(&self, key: usize) -> Answer {
        self.keys.get(&key).and_then(|record| self.look(record)).unwrap_or(Answer::Absent)
    }

    /// When the newest record was written.
    pub fn newest(&self) -> u64 {
        self.keys.values().map(|record| record.at).max().unwrap_or(0)
    }

    /// The fence under which the key is known, if it is.
    pub fn fence(&self, key: usize) -> Option<u64> {
        self.keys.get(&key).map(|record| record.fence)
    }

    /// The answer to a claim whose fence is stale or whose key has ended: with the winner's response, if
    /// another won.
    fn lost(&self, key: usize, fence: u64) -> Answer {
        match self.peek(key) {
            Answer::Replay(kept) if !self.is_own_end(key, fence) => Answer::LeaseLost(Some(kept)),
            _ => Answer::LeaseLost(None),
        }
    }

    /// Whether what is known of the key is how this claim ended it.
    fn is_own_end(&self, key: usize, fence: u64) -> bool {
        let record = &self.keys[&key];
        record.fence == fence && matches!(record.state, State::Ended { by_owner: true, .. })
    }

    /// The claim, while it is the key's own.
    fn claim(&mut self, key: usize, fence: u64) -> Option<&mut Record> {
        let record = self.keys.get_mut(&key)?;
        (record.fence == fence && matches!(record.state, State::Claimed { .. })).then_some(record)
    }

    pub fn heartbeat(&mut self, key: usize, fence: u64, lease: u64) -> Answer {
        if !(limits::LEASE.min..=limits::LEASE.max).contains(&lease) {
            return Answer::Error(ErrorKind::InvalidArgument);
        }
        let (until, own_end) = (self.now + lease, self.is_own_end(key, fence));
        match self.claim(key, fence).map(|record| &mut record.state) {
            Some(State::Claimed { deadline, .. }) => *deadline = until.max(*deadline),
            _ if own_end => {}
            _ => return self.lost(key, fence),
        }
        Answer::Done
    }

    pub fn begin_effect(&mut self, key: usize, fence: u64) -> Answer {
        let own_end = self.is_own_end(key, fence);
        match self.claim(key, fence).map(|record| &mut record.state) {
            Some(State::Claimed { effect, .. }) => *effect = true,
            _ if own_end => return Answer::Error(ErrorKind::Conflict),
            _ => return self.lost(key, fence),
        }
        Answer::Done
    }

    pub fn end(&mut self, key: usize, fence: u64, state: TerminalState, reply: &Reply) -> Answer {
        let Some(ended) = self.ending(state, reply, true) else {
            return Answer::Error(ErrorKind::InvalidArgument);
        };
        let now = self.now;
        if let Some(record) = self.claim(key, fence) {
            (record.at, record.state) = (now, ended);
            return Answer::Done;
        }
        if self.is_own_end(key, fence) { Answer::Done } else { self.lost(key, fence) }
    }

    fn ending(&self, state: TerminalState, reply: &Reply, by_owner: bool) -> Option<State> {
        let ttl = reply.ttl.unwrap_or(TTL_MS);
        let allowed = (limits::TTL.min..=limits::TTL.max).contains(&ttl);
        let (expiry, reply) = (self.now + ttl, reply.clone());
        allowed.then_some(State::Ended { state, reply, expiry, by_owner })
    }

    pub fn release(&mut self, key: usize, fence: u64, nothing_happened: bool) -> Answer {
        let now = self.now;
        let Some(record) = self.claim(key, fence) else { return self.lost(key, fence) };
        let State::Claimed { effect, .. } = record.state else { panic!("{record:?}") };
        record.at = now;
        if effect && !nothing_happened {
            record.state = State::InDoubt { expiry: now + IN_DOUBT_TTL_MS };
            return Answer::ReleasedInDoubt;
        }
        record.state = State::Released;
        Answer::ReleasedAbsent
    }

    pub fn resolve(&mut self, key: usize, fence: u64, how: How, reply: &Reply) -> Answer {
        let state = match how {
            How::Completed => self.ending(TerminalState::Completed, reply, false),
            How::Failed => self.ending(TerminalState::Failed, reply, false),
            How::Release => Some(State::Released),
        };
        let Some(state) = state else { return Answer::Error(ErrorKind::InvalidArgument) };
        let now = self.now;
        let in_doubt =
            self.keys.get(&key).is_some_and(|it| matches!(self.standing(it), Standing::InDoubt { .. }));
        match self.keys.get_mut(&key).filter(|record| in_doubt && record.fence == fence) {
            Some(record) => {
                (record.at, record.state) = (now, state);
                Answer::Done
            }
            None => Answer::Error(ErrorKind::Conflict),
        }
    }
}
