//! A worker: a process that begins contested keys, and does with its claims whatever a caller may, until it
//! is killed.

use std::path::PathBuf;
use std::time::Duration;

use semel::Store;

use super::errands::Due;
use super::holding::{HELD, Held};
use super::journal::{Answer, Answered, Asked, Journal, Verb, Who};
use super::mailbox::Mailbox;
use super::random::Random;
use super::verbs::{self, LEASE_MS, MS};

/// Set in a worker's environment: who it is, the aim, the clock's offset, the words of the index, the
/// directory.
pub const ORDERS: &str = "SEMEL_CRASH_WORKER";

/// Nobody lives longer than this, whatever becomes of the parent.
const LIFE_NS: u64 = 20_000 * MS;
pub const TTLS_MS: [u64; 4] = [1000, 1500, 86_400_000, 86_400_000];

/// What the harness wants to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Everything, on a window of keys that moves.
    Mixed,
    /// Owners that act in the very moment in which they are taken over.
    Deadline,
    /// Claims that go from hand to hand, on few keys, with checkpoints and effects on the way.
    HandOver,
    /// Everybody begins the same fresh key in the same moment.
    Rendezvous,
    /// An index that grows all the time, under keys of all ages.
    Growth,
}

#[derive(Clone, Debug)]
pub struct Orders {
    pub who: Who,
    pub aim: Aim,
    pub clock_offset_ms: u64,
    pub words: u64,
    pub dir: PathBuf,
}

impl Orders {
    pub fn text(&self) -> String {
        let Self { who, aim, clock_offset_ms, words, dir } = self;
        format!("{who}:{aim:?}:{clock_offset_ms}:{words}:{}", dir.display())
    }

    /// Those of this process, if it is a worker.
    pub fn of_this_process() -> Option<Self> {
        let text = std::env::var(ORDERS).ok()?;
        let mut parts = text.splitn(5, ':');
        let mut next = || parts.next().unwrap();
        Some(Self {
            who: next().parse().unwrap(),
            aim: match next() {
                "Mixed" => Aim::Mixed,
                "Deadline" => Aim::Deadline,
                "HandOver" => Aim::HandOver,
                "Growth" => Aim::Growth,
                _ => Aim::Rendezvous,
            },
            clock_offset_ms: next().parse().unwrap(),
            words: next().parse().unwrap(),
            dir: next().into(),
        })
    }
}

pub struct Worker {
    pub orders: Orders,
    pub store: Store,
    pub journal: Journal,
    pub random: Random,
    pub held: Vec<Held>,
    pub mailbox: Mailbox,
    /// Claims that others gave away, and when they are to be adopted.
    pub letters: Vec<Due>,
    pub next_mail: u64,
    /// Keys of its own that it noted.
    pub noted: u32,
    authors: u64,
    refused: u32,
}

/// The whole life of a worker.
pub fn live(orders: Orders) {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let journal = Journal::create(&orders.dir, orders.who);
    let store = verbs::open(&orders.dir, orders.words);
    let random = Random::new(verbs::boot_ns() ^ u64::from(orders.who) << 48);
    let mailbox = Mailbox::open(&orders.dir);
    let mut worker = Worker {
        orders,
        store,
        journal,
        random,
        held: Vec::new(),
        mailbox,
        letters: Vec::new(),
        next_mail: 0,
        noted: 0,
        authors: 0,
        refused: 0,
    };
    let end = worker.now() + LIFE_NS;
    while worker.now() < end {
        match worker.orders.aim {
            Aim::Rendezvous => worker.meet(),
            Aim::Mixed | Aim::Deadline | Aim::HandOver => worker.step(),
            Aim::Growth => worker.grow(),
        }
    }
    std::mem::forget(worker.held);
}

impl Worker {
    /// Nanoseconds by the store's clock.
    pub fn now(&self) -> u64 {
        verbs::boot_ns() + self.orders.clock_offset_ms * MS
    }

    /// A number that no other verb of any worker has.
    pub fn author(&mut self) -> u64 {
        self.authors += 1;
        u64::from(self.orders.who) << 32 | self.authors
    }

    /// One verb, with a record in the journal before and after it.
    pub fn call(
        &mut self,
        mut asked: Asked,
        run: impl FnOnce(&Store, &Asked) -> Answered,
    ) -> (Asked, Answered) {
        asked.at = self.now();
        self.journal.asked(&asked);
        let mut answered = run(&self.store, &asked);
        answered.at = self.now();
        self.journal.answered(&answered);
        (asked, answered)
    }

    pub fn step(&mut self) {
        let now = self.now();
        if let Some(due) = self.held.iter().position(|held| held.due <= now) {
            let held = self.held.swap_remove(due);
            return self.act(held);
        }
        if self.adopt_what_is_due(now) {
            return;
        }
        if self.held.len() < HELD {
            let key = self.choose_key(now);
            if !self.errand(key) {
                self.begin(key);
            }
        } else {
            self.pause();
        }
    }

    /// Most of the time one of a few keys, the same few in every process; these move on with the clock.
    fn choose_key(&mut self, now: u64) -> u32 {
        let window = now / MS;
        match self.orders.aim {
            Aim::Deadline => (window / 40 * 6 % 2000) as u32 + self.random.below(6) as u32,
            Aim::HandOver => (window / 64 * 8 % 2000) as u32 + self.random.below(8) as u32,
            _ if self.random.below(4) == 0 => self.random.below(2000) as u32,
            _ => (window / 32 * 4 % 2000) as u32 + self.random.below(16) as u32,
        }
    }

    fn begin(&mut self, key: u32) {
        let lease_ms = LEASE_MS + self.random.below(4) * 2;
        let asked = Asked {
            payload: u8::from(self.random.below(40) == 0),
            in_doubt: self.random.below(8) == 0,
            ms: lease_ms,
            ..Asked::new(Verb::Begin, key)
        };
        let mut claim = None;
        let (asked, answered) = self.call(asked, |store, it| {
            let (answered, started) = verbs::begin(store, it);
            claim = started;
            answered
        });
        if let Some(claim) = claim {
            self.refused = 0;
            let deadline = (asked.at / MS + lease_ms) * MS;
            let due = self.patience(asked.at, deadline);
            return self.held.push(Held { claim, key, holding: 0, deadline, due, ended: None });
        }
        if answered.answer == Answer::InDoubt && self.random.below(2) == 0 {
            self.resolve(key, answered.fence);
        }
        self.refused += 1;
        let in_time = match self.orders.aim {
            Aim::Mixed | Aim::HandOver | Aim::Growth => !self.refused.is_multiple_of(16),
            // Only the last moments of a lease count.
            Aim::Deadline => answered.ms < 2 && answered.answer != Answer::Replay,
            Aim::Rendezvous => true,
        };
        if !in_time {
            self.pause();
        }
    }

    /// Mostly under the fence in doubt, sometimes under one that must be refused.
    fn resolve(&mut self, key: u32, in_doubt: u64) {
        let verb = match self.random.below(4) {
            0 => Verb::ResolveCompleted,
            1 => Verb::ResolveFailed,
            _ => Verb::ResolveRelease,
        };
        let fence = if self.random.below(10) == 0 { in_doubt + 1 } else { in_doubt };
        let author = self.author();
        let ms = TTLS_MS[author as usize % TTLS_MS.len()];
        self.call(Asked { fence, author, ms, ..Asked::new(verb, key) }, verbs::resolve);
    }

    /// Everybody waits for the same moment, and then begins the key of that moment.
    fn meet(&mut self) {
        const EVERY_NS: u64 = 40_000;
        let moment = self.now() / EVERY_NS + 1;
        while self.now() < moment * EVERY_NS {
            std::hint::spin_loop();
        }
        self.begin((moment % (1 << 17)) as u32);
        if let Some(mut held) = self.held.pop() {
            let author = self.author();
            self.end(&mut held, Verb::Complete, author);
        }
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_micros(50));
    }
}
