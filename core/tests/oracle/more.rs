//! The contract of the verbs that carry a claim on, and of those that need none.

use semel::{ErrorKind, TerminalState, limits};

use super::model::{Free, Held, Holder, Model, Record, Standing, State};
use super::ops::{Answer, Entry, Filter, LEASE_MS, Note, Reply, name};
use super::real::NAMES;

impl Model {
    pub fn checkpoint(&mut self, key: usize, own: Holder, left: Note) -> Answer {
        if !(limits::CHECKPOINT.min..=limits::CHECKPOINT.max).contains(&(left.size as u64)) {
            return Answer::Error(ErrorKind::InvalidArgument);
        }
        let (now, own_end) = (self.now, self.is_own_end(key, own));
        match self.claim(key, own) {
            Some(record) => (record.at, record.note) = (now, left),
            None if own_end => return Answer::Done,
            None => return self.lost(key, Some(own)),
        }
        self.left.insert(own, left);
        Answer::Done
    }

    pub fn hand_over(&mut self, key: usize, own: Holder) -> Answer {
        let (now, own_end) = (self.now, self.is_own_end(key, own));
        match self.claim(key, own) {
            Some(Record { at, state: State::Claimed { holder, .. }, .. }) => {
                (*at, *holder) = (now, Held::HandedOverBy(own));
                Answer::HandedOver
            }
            _ if own_end => Answer::Error(ErrorKind::Conflict),
            _ => self.lost(key, Some(own)),
        }
    }

    /// Of bytes that are whole, from this hand-over and no other one. A claim that nobody holds any more may
    /// be adopted until it is forgotten, as one that is held may be completed late.
    pub fn adopt(&mut self, key: usize, from: Holder) -> (Answer, Option<Holder>) {
        let (now, next) = (self.now, self.holders + 1);
        let stands = !matches!(self.standing(&self.keys[&key]), Standing::Absent);
        let record = self.keys.get_mut(&key).filter(|_| stands);
        let Some(Record { at, fence, attempt, note, state: State::Claimed { deadline, holder, .. }, .. }) =
            record
        else {
            return (self.lost(key, None), None);
        };
        if *holder != Held::HandedOverBy(from) {
            return (self.lost(key, None), None);
        }
        (*at, *holder, *deadline) = (now, Held::By(next), (now + LEASE_MS).max(*deadline));
        let (fence, attempt, note, deadline) = (*fence, *attempt, *note, *deadline);
        let holder = self.hold(note);
        (Answer::Adopted { fence, attempt, note, deadline }, Some(holder))
    }

    /// `fence`: the one that the store gave, if it is the first time.
    pub fn mark_seen(&mut self, key: usize, ttl: u64, fence: Option<u64>) -> Answer {
        if !(limits::TTL.min..=limits::TTL.max).contains(&ttl) {
            return Answer::Error(ErrorKind::InvalidArgument);
        }
        let Ok(Free { attempt, bound, .. }) = self.free(key) else {
            return Answer::Seen { first: false, grew: true };
        };
        let grew = self.grew(key, fence);
        let reply = Reply { status: 0, body: vec![], meta: vec![], ttl: None };
        let (expiry, fence) = (self.now + ttl, fence.unwrap_or_default());
        let state = State::Ended { state: TerminalState::Completed, reply, expiry, by: None };
        let note = Note::default();
        self.keys.insert(key, Record { at: self.now, fence, attempt, bound, note, state });
        Answer::Seen { first: true, grew }
    }

    pub fn forget(&mut self, key: usize) -> Answer {
        let now = self.now;
        match self.keys.get(&key).map(|record| self.standing(record)) {
            None | Some(Standing::Released | Standing::Absent) => return Answer::Forgotten(false),
            Some(Standing::Ended) => {}
            Some(_) => return Answer::Error(ErrorKind::Conflict),
        }
        if let Some(record) = self.keys.get_mut(&key) {
            (record.at, record.state) = (now, State::Forgotten);
        }
        self.forgotten += 1;
        Answer::Forgotten(true)
    }

    pub fn list(&self, filter: &Filter) -> Answer {
        let entry = |(&key, record): (&usize, &Record)| {
            let (since, state) = match (self.standing(record), &record.state) {
                (Standing::InProgress { .. }, _) => (record.at, semel::State::InProgress),
                (Standing::Orphaned { since }, _) => (since, semel::State::Orphaned),
                (Standing::InDoubt { since }, _) => (since, semel::State::InDoubt),
                (Standing::Ended, State::Ended { state: TerminalState::Completed, .. }) => {
                    (record.at, semel::State::Completed)
                }
                (Standing::Ended, _) => (record.at, semel::State::Failed),
                (Standing::Released | Standing::Absent, _) => return None,
            };
            let asked = NAMES[key].0.starts_with(filter.prefix)
                && filter.state.is_none_or(|wanted| wanted == state)
                && filter.since_ago.is_none_or(|ago| since >= self.now.saturating_sub(ago));
            let Record { fence, attempt, .. } = *record;
            asked.then(|| Entry { key, fence, attempt, since, state: name(state) })
        };
        let mut entries: Vec<Entry> = self.keys.iter().filter_map(entry).collect();
        entries.sort();
        Answer::Listed(entries)
    }

    pub fn stats(&self) -> Answer {
        Answer::Counted { unverifiable: self.unverifiable, forgotten: self.forgotten }
    }
}
