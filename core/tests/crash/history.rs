//! What happened to one key, from the journals of all: ready to be asked by the rules.

use std::collections::HashMap;

use super::journal::{Answer, Answered, Call, Detail, Verb, Who};
use super::verbs::MS;

/// An acknowledged Started.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    pub fence: u64,
    pub asked: u64,
    pub at: u64,
    pub lease_ms: u64,
    pub attempt: u16,
    pub payload: u8,
    pub in_doubt: bool,
}

/// One key.
pub struct History<'a> {
    pub calls: Vec<&'a Call>,
    /// In the order of their fences.
    pub grants: Vec<Grant>,
    /// By time of the answer: when, and the highest fence granted until then.
    highest: Vec<(u64, usize)>,
    /// Verbs of claims and resolutions, by the fence they name.
    on: HashMap<u64, Vec<&'a Call>>,
    /// Everything that may have made the key busy: from when on, and until when at most (the latest of all
    /// so far).
    busy: Vec<(u64, u64)>,
    /// Holdings that were handed over, as fence and number: since when.
    spent: HashMap<(u64, u64), u64>,
    deaths: &'a HashMap<Who, u64>,
}

/// Which holding of which fence it is a verb of.
fn holding(call: &Call) -> (u64, u64) {
    (call.asked.fence, call.asked.holding)
}

/// The clock's milliseconds.
pub fn ms(ns: u64) -> u64 {
    ns / MS
}

impl Call {
    pub fn is_terminal(&self) -> bool {
        use Verb::{Complete, Fail, ResolveCompleted, ResolveFailed};
        matches!(self.asked.verb, Complete | Fail | ResolveCompleted | ResolveFailed)
    }

    pub fn is_resolution(&self) -> bool {
        use Verb::{ResolveCompleted, ResolveFailed, ResolveRelease};
        matches!(self.asked.verb, ResolveCompleted | ResolveFailed | ResolveRelease)
    }

    /// Its owner gives the claim up or ends it.
    pub fn is_end_by_owner(&self) -> bool {
        self.is_given_up() || matches!(self.asked.verb, Verb::Complete | Verb::Fail)
    }

    /// Its owner gives the claim up.
    pub fn is_given_up(&self) -> bool {
        matches!(self.asked.verb, Verb::Release | Verb::ReleaseClean | Verb::Drop)
    }

    /// It is a verb of a claim that somebody holds, or held.
    pub fn is_of_a_claim(&self) -> bool {
        use Verb::{Checkpoint, Complete, Drop, Effect, Fail, HandOver, Heartbeat, Release, ReleaseClean};
        matches!(
            self.asked.verb,
            Checkpoint | Complete | Drop | Effect | Fail | HandOver | Heartbeat | Release | ReleaseClean
        )
    }

    /// It looked at the key. A forget that found nothing did, too.
    pub fn observed(&self) -> Option<&Answered> {
        let it = self.answered.as_ref()?;
        let looks = match self.asked.verb {
            Verb::Begin | Verb::Peek | Verb::List => true,
            Verb::Forget => it.answer == Answer::Absent,
            _ => false,
        };
        looks.then_some(it)
    }

    pub fn answer(&self) -> Option<Answer> {
        self.answered.map(|it| it.answer)
    }

    /// It was answered, and not with a refusal.
    pub fn is_done(&self) -> bool {
        use Answer::{Done, Forgotten, Noted, ReleasedAbsent, ReleasedInDoubt};
        matches!(self.answer(), Some(Done | Forgotten | Noted | ReleasedAbsent | ReleasedInDoubt))
    }

    /// It was done, or nobody knows.
    pub fn may_be_done(&self) -> bool {
        self.answered.is_none() || self.is_done()
    }

    /// As `may_be_done`, asked before this moment.
    pub fn may_be_done_by(&self, at: u64) -> bool {
        self.asked.at < at && self.may_be_done()
    }

    /// How it ends the key, as a replay would say it.
    pub fn ending(&self) -> Detail {
        match self.asked.verb {
            Verb::Fail | Verb::ResolveFailed => Detail::Failed,
            _ => Detail::Completed,
        }
    }

    fn grant(&self) -> Option<Grant> {
        let answered = self.answered.filter(|it| it.answer == Answer::Started)?;
        Some(Grant {
            fence: answered.fence,
            asked: self.asked.at,
            at: answered.at,
            lease_ms: self.asked.ms,
            attempt: answered.attempt,
            payload: self.asked.payload,
            in_doubt: self.asked.in_doubt,
        })
    }
}

impl<'a> History<'a> {
    /// `deaths`: when each worker was known to be dead.
    pub fn new(mut calls: Vec<&'a Call>, deaths: &'a HashMap<Who, u64>) -> Self {
        calls.sort_by_key(|call| call.asked.at);
        let mut grants: Vec<Grant> = calls.iter().filter_map(|call| call.grant()).collect();
        grants.sort_by_key(|grant| (grant.fence, grant.at));

        let mut highest: Vec<_> = grants.iter().enumerate().map(|(i, grant)| (grant.at, i)).collect();
        highest.sort_unstable();
        for i in 1..highest.len() {
            highest[i].1 = highest[i].1.max(highest[i - 1].1);
        }

        let handed_over = calls.iter().filter(|call| call.asked.verb == Verb::HandOver && call.is_done());
        let spent: HashMap<_, _> = handed_over.map(|call| (holding(call), call.asked.at)).collect();
        let is_spent = |call: &Call| {
            call.is_of_a_claim() && spent.get(&holding(call)).is_some_and(|&since| call.asked.at > since)
        };

        let mut on: HashMap<_, Vec<_>> = HashMap::new();
        for &call in calls.iter().filter(|call| call.asked.fence != 0 && !is_spent(call)) {
            on.entry(call.asked.fence).or_default().push(call);
        }

        let mut busy: Vec<(u64, u64)> = Vec::new();
        let holds = |call: &Call| match call.asked.verb {
            Verb::Begin => true,
            Verb::Adopt => call.may_be_done(),
            Verb::Heartbeat => !is_spent(call),
            _ => false,
        };
        for call in calls.iter().filter(|call| holds(call)) {
            let by = match call.answered {
                // A heartbeat counts whatever it was answered: it moves the deadline first and then finds out
                // whether the key is still its own, and somebody who found the claim before that sees both.
                Some(it) if it.answer == Answer::Started || call.asked.verb != Verb::Begin => it.at,
                Some(_) => continue,
                None => deaths.get(&call.who).copied().unwrap_or(u64::MAX / 2),
            };
            let until = (ms(by) + call.asked.ms).max(busy.last().map_or(0, |last| last.1));
            busy.push((call.asked.at, until));
        }
        Self { calls, grants, highest, on, busy, spent, deaths }
    }

    /// When it was answered; otherwise it had its effect by then, or never.
    pub fn end(&self, call: &Call) -> u64 {
        call.answered.map_or_else(|| self.deaths.get(&call.who).copied().unwrap_or(u64::MAX), |it| it.at)
    }

    /// Its claim had been handed over when it was asked.
    pub fn is_spent(&self, call: &Call) -> bool {
        call.is_of_a_claim() && self.spent.get(&holding(call)).is_some_and(|&since| call.asked.at > since)
    }

    /// Verbs that name this fence, but for those of a claim that was handed over, which do nothing.
    pub fn on(&self, fence: u64) -> impl Iterator<Item = &'a Call> {
        self.on.get(&fence).into_iter().flatten().copied()
    }

    pub fn fences(&self) -> impl Iterator<Item = u64> {
        self.on.keys().copied()
    }

    /// The highest fence that was acknowledged before this moment.
    pub fn newest_before(&self, at: u64) -> Option<&Grant> {
        let count = self.highest.partition_point(|entry| entry.0 < at);
        Some(&self.grants[self.highest[count.checked_sub(1)?].1])
    }

    pub fn grant(&self, fence: u64) -> Option<&Grant> {
        let at = self.grants.binary_search_by_key(&fence, |grant| grant.fence).ok()?;
        Some(&self.grants[at])
    }

    /// Until when the key may have been held, by whoever could hold it before this moment.
    pub fn busy_until(&self, at: u64) -> u64 {
        let count = self.busy.partition_point(|entry| entry.0 < at);
        count.checked_sub(1).map_or(0, |last| self.busy[last].1)
    }

    /// Until when this grant's lease ran for certain, unless its owner gave it up: all of it before `at`. An
    /// acknowledged heartbeat counts although the moment overlaps it, and so does an adoption: had the claim
    /// been taken first, it would have been refused.
    pub fn lease_until(&self, grant: &Grant, at: u64) -> u64 {
        let moves = |call: &&Call| matches!(call.asked.verb, Verb::Heartbeat | Verb::Adopt);
        let moved = self.on(grant.fence).filter(moves).filter(|call| call.is_done() && call.asked.at < at);
        let latest = moved.map(|call| ms(call.asked.at) + call.asked.ms).max();
        latest.unwrap_or(0).max(ms(grant.asked) + grant.lease_ms)
    }

    /// Whether this claim was certainly held at this moment.
    pub fn is_held(&self, grant: &Grant, at: u64) -> bool {
        let resolved = self.on(grant.fence).any(|call| call.is_resolution() && call.may_be_done_by(at));
        !resolved && !self.may_be_given_up(grant.fence, at) && ms(at) < self.lease_until(grant, at)
    }

    /// Whether the owner may have given this claim up, or ended it, before this moment. A release that is
    /// answered with a lost lease counts: it shuts its own claim out first, and then another may be
    /// quicker.
    pub fn may_be_given_up(&self, fence: u64, at: u64) -> bool {
        self.on(fence).any(|call| {
            let ended = call.is_end_by_owner() && call.may_be_done_by(at);
            ended || call.is_given_up() && call.asked.at < at
        })
    }

    /// What may have ended the key before this moment, from this fence on. A note that it was seen ends it,
    /// too, under a fence that nobody is told.
    pub fn ends(&self, fence: u64, at: u64) -> impl Iterator<Item = &'a Call> {
        let since = self.grant(fence).map_or(0, |grant| grant.asked);
        self.calls.iter().copied().filter(move |call| {
            let ends = call.is_terminal() && call.asked.fence >= fence && !self.is_spent(call);
            let noted = call.asked.verb == Verb::Seen && self.end(call) > since;
            (ends || noted) && call.may_be_done_by(at)
        })
    }

    /// Whether some end from this fence on may have expired before this moment, or been forgotten.
    pub fn may_be_gone(&self, fence: u64, at: u64) -> bool {
        self.ends(fence, at).any(|end| {
            let of = if end.asked.verb == Verb::Seen { u64::MAX } else { end.asked.fence };
            ms(end.asked.at) + end.asked.ms <= ms(at) || self.may_be_forgotten(of, end.asked.at, at)
        })
    }

    /// Whether an end of this fence that was asked for then may have been forgotten before this moment.
    pub fn may_be_forgotten(&self, fence: u64, ended: u64, at: u64) -> bool {
        let forgets = self.calls.iter().filter(|call| call.asked.verb == Verb::Forget);
        forgets.filter(|call| call.may_be_done_by(at)).any(|call| {
            let stale = self.newest_before(call.asked.at).is_some_and(|newest| newest.fence > fence);
            !stale && self.end(call) > ended
        })
    }

    /// Whether this claim may have marked its effect before this moment.
    pub fn may_have_effect(&self, fence: u64, at: u64) -> bool {
        self.on(fence).any(|call| call.asked.verb == Verb::Effect && call.may_be_done_by(at))
    }

    /// The verb that wrote what carries this author's number.
    pub fn author(&self, fence: u64, author: u64) -> Option<&'a Call> {
        self.on(fence).find(|call| call.asked.author == author && call.is_terminal() && call.may_be_done())
    }
}
