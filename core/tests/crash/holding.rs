//! What a worker does with the claims that it holds, and with those that it gave away.

use semel::Claim;

use super::journal::{Answer, Asked, Verb};
use super::mailbox::Letter;
use super::verbs::{self, LEASE_MS, MS};
use super::worker::{Aim, TTLS_MS, Worker};

/// So many claims are held at a time.
pub const HELD: usize = 24;

/// A claim that is held, and when something is done with it.
pub struct Held {
    pub claim: Claim,
    pub key: u32,
    /// Which holding of its fence: 0 is the one that was granted.
    pub holding: u64,
    pub deadline: u64,
    pub due: u64,
    /// Ended already, by this author with this verb: all that is left is to say so again.
    pub ended: Option<(Verb, u64)>,
}

impl Held {
    /// A verb of this claim.
    pub fn asks(&self, verb: Verb) -> Asked {
        Asked { fence: self.claim.fence().get(), holding: self.holding, ..Asked::new(verb, self.key) }
    }
}

impl Worker {
    /// When a claim is acted on: at once, within its lease, or when it may be lost already.
    pub fn patience(&mut self, now: u64, deadline: u64) -> u64 {
        if self.orders.aim == Aim::Deadline {
            return (deadline + self.random.below(30_000)).saturating_sub(5000);
        }
        match self.random.below(8) {
            0..4 => now,
            4..6 => now + self.random.below(deadline.saturating_sub(now).max(1)),
            _ => deadline + self.random.below(4 * MS),
        }
    }

    pub fn act(&mut self, mut held: Held) {
        if let Some((verb, author)) = held.ended {
            self.end(&mut held, verb, author); // again: it must be said as before
            return;
        }
        let Some(verb) = self.choose_verb() else {
            if self.random.below(4) == 0 {
                return std::mem::forget(held.claim); // as if its thread hung for ever
            }
            held.due = self.patience(held.due, held.deadline);
            return self.held.push(held);
        };
        match verb {
            Verb::Heartbeat | Verb::Effect | Verb::Checkpoint => self.keep(held, verb),
            Verb::HandOver => self.hand_over(held),
            Verb::Complete | Verb::Fail => {
                let author = self.author();
                self.end(&mut held, verb, author);
                if self.random.below(3) == 0 {
                    held.ended = Some((verb, author));
                    held.due = self.now() + self.random.below(2 * LEASE_MS * MS);
                    self.held.push(held);
                }
            }
            _ => {
                self.call(held.asks(verb), |_, it| verbs::give_back(held.claim, it));
            }
        }
    }

    /// What is done with a claim, so many times of a hundred; otherwise nothing, or nothing ever again.
    fn choose_verb(&mut self) -> Option<Verb> {
        use Verb::{Checkpoint, Complete, Drop, Effect, Fail, HandOver, Heartbeat, Release, ReleaseClean};
        const MIXED: &[(Verb, u64)] = &[
            (Heartbeat, 12),
            (Effect, 13),
            (Complete, 13),
            (Fail, 7),
            (Release, 9),
            (ReleaseClean, 6),
            (Drop, 9),
            (Checkpoint, 7),
            (HandOver, 9),
        ];
        const DEADLINE: &[(Verb, u64)] =
            &[(Heartbeat, 34), (Effect, 38), (Complete, 24), (Checkpoint, 2), (HandOver, 2)];
        const HAND_OVER: &[(Verb, u64)] = &[
            (Heartbeat, 10),
            (Effect, 15),
            (Complete, 10),
            (Release, 5),
            (Drop, 5),
            (Checkpoint, 15),
            (HandOver, 32),
        ];
        let weighed = match self.orders.aim {
            Aim::Deadline => DEADLINE,
            Aim::HandOver => HAND_OVER,
            Aim::Mixed | Aim::Rendezvous | Aim::Growth => MIXED,
        };
        let mut choice = self.random.below(100);
        for &(verb, weight) in weighed {
            if choice < weight {
                return Some(verb);
            }
            choice -= weight;
        }
        None
    }

    /// A heartbeat, an effect mark or a checkpoint; the claim stays.
    fn keep(&mut self, mut held: Held, verb: Verb) {
        let ms = LEASE_MS + self.random.below(8);
        let author = if verb == Verb::Checkpoint { self.author() } else { 0 };
        let asked = Asked { ms, author, ..held.asks(verb) };
        let (asked, answered) = self.call(asked, |_, it| verbs::on_claim(&held.claim, it));
        if verb == Verb::Heartbeat && answered.answer == Answer::Done {
            held.deadline = (asked.at / MS + ms) * MS;
        }
        held.due = self.patience(asked.at, held.deadline);
        self.held.push(held);
    }

    /// The claim is spent by it, and kept: whatever is done with it from here on must be refused.
    fn hand_over(&mut self, mut held: Held) {
        let mut bytes = None;
        let (asked, _) = self.call(held.asks(Verb::HandOver), |_, it| {
            let (answered, sealed) = verbs::hand_over(&held.claim, it);
            bytes = sealed;
            answered
        });
        if let Some(bytes) = bytes {
            let Held { key, holding, deadline, .. } = held;
            self.mailbox.post(&Letter { key, fence: asked.fence, holding, deadline, bytes });
        }
        held.due = self.patience(asked.at, held.deadline);
        self.held.push(held);
    }

    pub fn end(&mut self, held: &mut Held, verb: Verb, author: u64) {
        let ms = TTLS_MS[author as usize % TTLS_MS.len()];
        self.call(Asked { author, ms, ..held.asks(verb) }, |_, it| verbs::on_claim(&held.claim, it));
    }
}
