//! The contract as a plain map: what each verb answers when verbs come one after the other. The verbs that
//! carry a claim on, and those without one, are in `more.rs`.

use std::collections::HashMap;

use semel::{ErrorKind, OmittedReason, StartReason, TerminalState, limits};

use super::ops::{
    Answer, Binding, How, IN_DOUBT_TTL_MS, Kept, META_LIMIT, Note, Options, RESPONSE_LIMIT, Reply, TTL_MS,
};

/// A claim in somebody's hands; an adopted one is another than the one that was handed over.
pub type Holder = u32;

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it was written.
    pub at: u64,
    pub fence: u64,
    pub attempt: u16,
    /// Payload and rule.
    pub bound: Option<(u8, u8)>,
    /// Of a key that has not ended.
    pub note: Note,
    pub state: State,
}

/// Whose a claim is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Held {
    By(Holder),
    /// Nobody's, since this one handed it over.
    HandedOverBy(Holder),
}

#[derive(Clone, Debug)]
pub enum State {
    Claimed {
        deadline: u64,
        effect: bool,
        in_doubt_on_crash: bool,
        holder: Held,
    },
    /// `by`: nobody, if a claim did not end it.
    Ended {
        state: TerminalState,
        reply: Reply,
        expiry: u64,
        by: Option<Holder>,
    },
    InDoubt {
        expiry: u64,
    },
    Released,
    Forgotten,
}

/// How a key stands at a moment.
pub enum Standing {
    InProgress { left: u64 },
    Orphaned { since: u64 },
    InDoubt { since: u64 },
    Ended,
    Released,
    Absent,
}

#[derive(Default)]
pub struct Model {
    pub now: u64,
    pub options: Options,
    pub keys: HashMap<usize, Record>,
    /// What each claim left last, or found when it was granted.
    pub left: HashMap<Holder, Note>,
    pub holders: Holder,
    pub unverifiable: u64,
    pub forgotten: u64,
}

/// What stands where a begin would be granted: the reason, the attempt, and what it goes on from.
pub struct Free {
    pub reason: StartReason,
    pub attempt: u16,
    pub note: Note,
    /// Who takes over without a payload leaves the key bound as it was.
    pub bound: Option<(u8, u8)>,
}

impl Model {
    pub fn standing(&self, record: &Record) -> Standing {
        match record.state {
            State::Claimed { deadline, .. } if self.now < deadline => {
                Standing::InProgress { left: deadline - self.now }
            }
            State::Claimed { deadline, .. } if self.now >= deadline + IN_DOUBT_TTL_MS => Standing::Absent,
            State::Claimed { deadline, effect, in_doubt_on_crash, .. } if effect || in_doubt_on_crash => {
                Standing::InDoubt { since: deadline }
            }
            State::Claimed { deadline, .. } => Standing::Orphaned { since: deadline },
            State::Ended { expiry, .. } | State::InDoubt { expiry } if self.now >= expiry => Standing::Absent,
            State::Ended { .. } => Standing::Ended,
            State::InDoubt { .. } => Standing::InDoubt { since: record.at },
            State::Released => Standing::Released,
            State::Forgotten => Standing::Absent,
        }
    }

    /// What a look at a record answers, if it is there.
    fn look(&self, record: &Record) -> Option<Answer> {
        let &Record { fence, attempt, note, .. } = record;
        match self.standing(record) {
            Standing::InProgress { left } => Some(Answer::InProgress { left }),
            Standing::InDoubt { since } => {
                Some(Answer::InDoubt { since: self.now - since, fence, attempt, note })
            }
            Standing::Ended => Some(self.ended(record)),
            Standing::Orphaned { .. } => Some(Answer::Orphaned),
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

    /// Whether this key may be granted, or what answers instead.
    pub fn free(&self, key: usize) -> Result<Free, Answer> {
        let fresh = Free { reason: StartReason::Fresh, attempt: 1, note: Note::default(), bound: None };
        let Some(record) = self.keys.get(&key) else { return Ok(fresh) };
        let (attempt, note) = (record.attempt + 1, record.note);
        match self.look(record) {
            Some(Answer::Orphaned) => {
                Ok(Free { reason: StartReason::Takeover, attempt, note, bound: record.bound })
            }
            Some(seen) => Err(seen),
            None if matches!(record.state, State::Released) => {
                Ok(Free { reason: StartReason::AfterRelease, attempt, note, bound: None })
            }
            None => Ok(fresh),
        }
    }

    /// A new claim in somebody's hands.
    pub fn hold(&mut self, note: Note) -> Holder {
        self.holders += 1;
        self.left.insert(self.holders, note);
        self.holders
    }

    /// Whether this fence, if there is one, is larger than any before of the key.
    pub fn grew(&self, key: usize, fence: Option<u64>) -> bool {
        fence.is_some_and(|fence| self.fence(key).is_none_or(|last| fence > last))
    }

    /// What a live record that is bound otherwise answers; counts what cannot be compared.
    fn mismatch(&mut self, key: usize, binding: Option<Binding>) -> Option<Answer> {
        let record = self.keys.get(&key).filter(|record| self.look(record).is_some())?;
        let ((payload, rule), given) = (record.bound?, binding?);
        let differs = if rule == given.rule {
            payload != given.payload
        } else {
            self.unverifiable += 1;
            self.options.rejects_unverifiable
        };
        differs.then_some(Answer::Mismatch { age: self.now - self.keys[&key].at })
    }

    /// `fence`: the one that the store gave, if it started; it must be larger than any before.
    pub fn begin(
        &mut self,
        key: usize,
        binding: Option<Binding>,
        lease: u64,
        in_doubt_on_crash: bool,
        fence: Option<u64>,
    ) -> Answer {
        if !(limits::LEASE.min..=limits::LEASE.max).contains(&lease) {
            return Answer::Error(ErrorKind::InvalidArgument);
        }
        if let Some(mismatch) = self.mismatch(key, binding) {
            return mismatch;
        }
        let Free { reason, attempt, mut note, bound } = match self.free(key) {
            Ok(free) => free,
            Err(seen) => return seen,
        };
        // Of a released key: what was left for one payload is not left for another.
        let stored = self.keys.get(&key).and_then(|record| record.bound);
        if let (Some((payload, rule)), Some(given)) = (stored, binding)
            && rule == given.rule
            && payload != given.payload
        {
            note = Note::default();
        }
        let (grew, deadline) = (self.grew(key, fence), self.now + lease);
        let bound = binding.map(|given| (given.payload, given.rule)).or(bound);
        let holder = Held::By(self.hold(note));
        let state = State::Claimed { deadline, effect: false, in_doubt_on_crash, holder };
        let fence = fence.unwrap_or_default();
        self.keys.insert(key, Record { at: self.now, fence, attempt, bound, note, state });
        Answer::Started { reason, attempt, grew, deadline, note }
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

    /// The answer to a claim that is spent or stale, or whose key has ended: with the winner's response, if
    /// another won.
    pub fn lost(&self, key: usize, own: Option<Holder>) -> Answer {
        let is_own = own.is_some_and(|own| self.is_own_end(key, own));
        match self.peek(key) {
            Answer::Replay(kept) if !is_own => Answer::LeaseLost(Some(kept)),
            _ => Answer::LeaseLost(None),
        }
    }

    /// Whether what is known of the key is how this claim ended it.
    pub fn is_own_end(&self, key: usize, own: Holder) -> bool {
        matches!(self.keys[&key].state, State::Ended { by, .. } if by == Some(own))
    }

    /// The claim, while it is the key's own.
    pub fn claim(&mut self, key: usize, own: Holder) -> Option<&mut Record> {
        let record = self.keys.get_mut(&key)?;
        matches!(record.state, State::Claimed { holder, .. } if holder == Held::By(own)).then_some(record)
    }

    pub fn heartbeat(&mut self, key: usize, own: Holder, lease: u64) -> Answer {
        if !(limits::LEASE.min..=limits::LEASE.max).contains(&lease) {
            return Answer::Error(ErrorKind::InvalidArgument);
        }
        let (until, own_end) = (self.now + lease, self.is_own_end(key, own));
        match self.claim(key, own).map(|record| &mut record.state) {
            Some(State::Claimed { deadline, .. }) => *deadline = until.max(*deadline),
            _ if own_end => {}
            _ => return self.lost(key, Some(own)),
        }
        Answer::Done
    }

    pub fn begin_effect(&mut self, key: usize, own: Holder) -> Answer {
        let own_end = self.is_own_end(key, own);
        match self.claim(key, own).map(|record| &mut record.state) {
            Some(State::Claimed { effect, .. }) => *effect = true,
            _ if own_end => return Answer::Error(ErrorKind::Conflict),
            _ => return self.lost(key, Some(own)),
        }
        Answer::Done
    }

    pub fn end(&mut self, key: usize, own: Holder, state: TerminalState, reply: &Reply) -> Answer {
        let Some(ended) = self.ending(state, reply, Some(own)) else {
            return Answer::Error(ErrorKind::InvalidArgument);
        };
        let now = self.now;
        if let Some(record) = self.claim(key, own) {
            (record.at, record.state) = (now, ended);
            return Answer::Done;
        }
        if self.is_own_end(key, own) { Answer::Done } else { self.lost(key, Some(own)) }
    }

    fn ending(&self, state: TerminalState, reply: &Reply, by: Option<Holder>) -> Option<State> {
        let ttl = reply.ttl.unwrap_or(TTL_MS);
        let allowed = (limits::TTL.min..=limits::TTL.max).contains(&ttl);
        let (expiry, reply) = (self.now + ttl, reply.clone());
        allowed.then_some(State::Ended { state, reply, expiry, by })
    }

    pub fn release(&mut self, key: usize, own: Holder, nothing_happened: bool) -> Answer {
        let now = self.now;
        let Some(record) = self.claim(key, own) else { return self.lost(key, Some(own)) };
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
            How::Completed => self.ending(TerminalState::Completed, reply, None),
            How::Failed => self.ending(TerminalState::Failed, reply, None),
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
