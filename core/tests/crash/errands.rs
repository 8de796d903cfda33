//! What a worker does besides beginning keys and acting on its claims: it adopts what others gave away, and
//! peeks, forgets, notes and lists.

use semel::Store;

use super::holding::{HELD, Held};
use super::journal::{Answered, Asked, Journal, Verb};
use super::mailbox::Letter;
use super::verbs::{self, ADOPTED_MS, MS};
use super::worker::{Aim, Worker};

/// The mailbox is read so often.
const MAIL_NS: u64 = MS / 5;
/// Adoptions that are planned at a time.
const LETTERS: usize = 64;
/// Keys from here on are noted by one worker only, so many each.
const OWN_KEYS: u32 = 1 << 20;
const OWN: u32 = 64;
const NOTED_MS: u64 = 1000;
/// Fresh keys in a row, where only some are wanted.
const ADDS: usize = 4;

/// An adoption that is planned.
pub struct Due {
    letter: Letter,
    at: u64,
}

impl Worker {
    /// Tries an adoption, if one is planned for now.
    pub fn adopt_what_is_due(&mut self, now: u64) -> bool {
        if now >= self.next_mail {
            self.next_mail = now + MAIL_NS;
            self.read_mail(now);
        }
        let Some(due) = self.letters.iter().position(|due| due.at <= now) else { return false };
        let Due { letter, .. } = self.letters.swap_remove(due);
        self.adopt(&letter);
        true
    }

    /// Everybody plans to adopt everything: at once, when its lease may be over, and sometimes twice.
    fn read_mail(&mut self, now: u64) {
        while let Some(letter) = self.mailbox.next() {
            let room = self.letters.len() < LETTERS && self.held.len() < 2 * HELD;
            let times = if room { 1 + self.random.below(4) / 3 } else { 0 };
            for _ in 0..times {
                let at = match self.random.below(4) {
                    0..2 => now,
                    2 => now + self.random.below(ADOPTED_MS * MS),
                    _ => (letter.deadline + self.random.below(3 * MS)).saturating_sub(MS),
                };
                self.letters.push(Due { letter: letter.clone(), at });
            }
        }
    }

    fn adopt(&mut self, letter: &Letter) {
        let holding = self.author();
        let asked = Asked {
            fence: letter.fence,
            holding: letter.holding,
            author: holding,
            ms: ADOPTED_MS,
            ..Asked::new(Verb::Adopt, letter.key)
        };
        let mut adopted = None;
        let (asked, _) = self.call(asked, |store, it| {
            let (answered, claim) = verbs::adopt(store, it, &letter.bytes);
            adopted = claim;
            answered
        });
        if let Some(claim) = adopted {
            let deadline = (asked.at / MS + ADOPTED_MS) * MS;
            let due = self.patience(asked.at, deadline);
            self.held.push(Held { claim, key: letter.key, holding, deadline, due, ended: None });
        }
    }

    /// Now and then something else than a begin.
    pub fn errand(&mut self, key: u32) -> bool {
        if self.adds_now() {
            (0..ADDS).for_each(|_| self.add());
            return true;
        }
        // Of no use to those who wait for the end of a lease.
        let rarely = match self.orders.aim {
            Aim::Mixed | Aim::Growth => 1,
            Aim::HandOver => 4,
            Aim::Deadline | Aim::Rendezvous => 64,
        };
        match self.random.below(1024) {
            0..64 => {
                self.call(Asked::new(Verb::Peek, key), |store, it| verbs::peek(store, it.key));
            }
            it if it % rarely != 0 => return false,
            64..84 => {
                self.call(Asked::new(Verb::Forget, key), verbs::forget);
            }
            84..96 => self.note(key),
            96..104 => self.note_an_own_key(),
            104..106 => {
                let since = (self.now() / MS).saturating_sub(40);
                list(&self.store, &mut self.journal, since, self.orders.clock_offset_ms);
            }
            _ => return false,
        }
        true
    }

    fn note(&mut self, key: u32) {
        let ms = NOTED_MS + self.random.below(1 << 20);
        self.call(Asked { ms, ..Asked::new(Verb::Seen, key) }, verbs::mark_seen);
    }

    /// A new one, or again one of the last.
    fn note_an_own_key(&mut self) {
        self.noted += u32::from(self.random.below(2) == 0 || self.noted == 0);
        let back = self.random.below(4) as u32;
        self.note(OWN_KEYS + self.orders.who * OWN + self.noted.saturating_sub(back) % OWN);
    }
}

/// Lists what is as it is since this time, each key as a look at it. A walk is lazy: an entry is looked at
/// between two readings of the clock.
fn list(store: &Store, journal: &mut Journal, since_ms: u64, clock_offset_ms: u64) {
    let now = || verbs::boot_ns() + clock_offset_ms * MS;
    let mut walk = store.list(verbs::recent(since_ms));
    loop {
        let before = now();
        let Some(entry) = walk.next() else { return };
        let (key, answered) = verbs::listed(entry);
        journal.asked(&Asked { at: before, ..Asked::new(Verb::List, key) });
        journal.answered(&Answered { at: now(), ..answered });
    }
}
