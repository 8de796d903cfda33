//! Fresh keys, which make the index grow: all workers take them from a window that moves with the clock, so
//! that a key is added by one, in the newest generation, while another may still take an older one for that.

use super::holding::{HELD, Held};
use super::journal::{Asked, Verb};
use super::verbs::{self, MS};
use super::worker::{Aim, Worker};

/// Keys from here on are fresh, each in its moment.
const FRESH: u32 = 1 << 26;
/// So many a step; the window moves on by that.
const STEP: u64 = 32;
/// Steps that the window is long.
const STEPS: u64 = 24;
/// A lease that outlasts its generation.
const LONG_MS: u64 = 40;
const DAY_MS: u64 = 86_400_000;

impl Worker {
    /// Whether this is the moment to add keys: now and then, or an index of the other aims would never grow.
    pub fn adds_now(&mut self) -> bool {
        self.orders.aim == Aim::Mixed && self.random.below(64) == 0
    }

    /// Adds keys without a pause; now and then a step as the others take them.
    pub fn grow(&mut self) {
        let keys = 1 + self.random.below(64);
        (0..keys).for_each(|_| self.add());
        self.step();
    }

    /// Begins a fresh key, which somebody else may have begun; most are ended at once, one way or another.
    pub fn add(&mut self) {
        let step_ns = if self.orders.aim == Aim::Growth { MS / 4 } else { 4 * MS };
        let step = self.now() / step_ns;
        let key = FRESH + ((step * STEP + self.random.below(STEP * STEPS)) % u64::from(FRESH)) as u32;
        let choice = self.random.below(32);
        if choice < 8 {
            self.call(Asked { ms: DAY_MS, ..Asked::new(Verb::Seen, key) }, verbs::mark_seen);
            return;
        }
        let mut claim = None;
        let (asked, _) = self.call(Asked { ms: LONG_MS, ..Asked::new(Verb::Begin, key) }, |store, it| {
            let (answered, started) = verbs::begin(store, it);
            claim = started;
            answered
        });
        let Some(claim) = claim else { return };
        let deadline = (asked.at / MS + LONG_MS) * MS;
        let due = self.patience(asked.at, deadline);
        let mut held = Held { claim, key, holding: 0, deadline, due, ended: None };
        match choice {
            // Ended, carried on, handed over or left later: the index has grown by then.
            8 if self.held.len() < 2 * HELD => self.held.push(held),
            9 => drop(self.call(held.asks(Verb::Release), |_, it| verbs::give_back(held.claim, it))),
            _ => {
                let author = self.author();
                self.end(&mut held, Verb::Complete, author);
            }
        }
    }
}
