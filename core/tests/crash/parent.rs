//! The parent: starts workers, kills them, starts them again; then everybody is dead, and it looks at what is
//! left.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::check::Report;
use super::journal::{self, Call, PARENT, Who};
use super::random::Random;
use super::verbs::{self, MS};
use super::worker::Aim;

const WORKERS: usize = 4;
pub const SIGKILL: i32 = 9;
/// Whoever does not come to its kill point in this time is killed as it is.
const PATIENCE_NS: u64 = 250 * MS;
/// A store is followed for so many legs; each ends with the death of all.
const LEGS: usize = 3;
/// At the end of this leg the index goes, too.
const LOSES_THE_INDEX: usize = 1;
/// Deaths in a leg before all are killed.
const LEG_DEATHS: u64 = 16;
/// Where each growth is twice as far away as the last, a leg ends after so long.
const GROWTH_NS: u64 = 80 * MS;
/// A leg is given up after this: something hangs.
const LEG_NS: u64 = 30_000 * MS;

/// What a run is to do.
#[derive(Clone)]
pub struct Run {
    pub aim: Aim,
    /// Deaths, at least.
    pub cycles: u64,
    /// Kill points at which workers die, besides being killed at any moment.
    pub points: Vec<&'static str>,
    pub fault: Option<&'static str>,
    /// Goes on behind the last cycle, for three times as many, until each point was met so many times.
    pub least: u64,
    /// Ends at the first broken rule.
    pub until_broken: bool,
}

impl Run {
    /// No deaths, no kill points, no fault.
    pub fn of(aim: Aim) -> Self {
        Self { aim, cycles: 0, points: Vec::new(), fault: None, least: 0, until_broken: false }
    }

    fn is_done(&self, outcome: &Outcome) -> bool {
        let met = outcome.points.values().all(|&times| times >= self.least);
        let enough = if met { self.cycles } else { 4 * self.cycles };
        outcome.deaths >= enough || self.until_broken && outcome.report.violations() > 0
    }
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub report: Report,
    pub deaths: u64,
    /// Deaths at each kill point.
    pub points: BTreeMap<&'static str, u64>,
    pub stores: u64,
    pub rebuilds: u64,
    pub stops: u64,
    /// Of the indexes that were lost: their generations, and those that were sealed.
    pub generations: u64,
    pub filters: u64,
}

/// A worker that runs; killed when it is dropped.
pub struct Running {
    pub who: Who,
    pub child: Child,
    pub born: u64,
    pub point: Option<&'static str>,
    /// By the parent, not by its kill point.
    pub killed: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Parent<'r> {
    pub run: &'r Run,
    pub dir: &'r Path,
    pub words: u64,
    /// Nothing is done ahead in this store, and nothing is sealed: only what the protocol needs.
    pub without_helpers: bool,
    pub clock_offset_ms: u64,
    pub outcome: &'r mut Outcome,
    pub random: Random,
    pub workers: Vec<Running>,
    pub born: Who,
    /// The journals up to this worker's were read.
    read: Who,
    deaths: HashMap<Who, u64>,
    pub calls: Vec<Call>,
}

/// Runs until there were so many deaths; a new store every few legs.
pub fn run(run: &Run) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.points.extend(run.points.iter().map(|point| (*point, 0)));
    while !run.is_done(&outcome) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("index")).unwrap();
        let words = match run.aim {
            Aim::Rendezvous => 1 << 19,
            Aim::Deadline | Aim::HandOver => 1 << 13,
            Aim::Mixed | Aim::Growth => 1 << 10,
        };
        let mut random = Random::new(verbs::boot_ns());
        let without_helpers = match run.fault {
            // Sealing closes the chains, too, and soon.
            Some(fault) => fault == "close.skipped",
            None => run.aim == Aim::Growth && random.below(3) == 0,
        };
        let mut parent = Parent {
            run,
            dir: dir.path(),
            words,
            without_helpers,
            clock_offset_ms: 0,
            outcome: &mut outcome,
            random,
            workers: Vec::new(),
            born: PARENT,
            read: PARENT,
            deaths: HashMap::new(),
            calls: Vec::new(),
        };
        parent.follow_a_store();
    }
    outcome
}

impl Parent<'_> {
    fn follow_a_store(&mut self) {
        self.outcome.stores += 1;
        self.open(false);
        for leg in 0..self.legs() {
            self.let_them_die();
            self.kill_all();
            let lost = leg == LOSES_THE_INDEX;
            if lost {
                self.lose_the_index(); // before anybody looks, since whoever looks helps
                self.outcome.rebuilds += 1;
            }
            self.open(lost);
        }
        let (calls, deaths) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.deaths));
        self.outcome.report.judge(&calls, &deaths);
    }

    pub fn now(&self) -> u64 {
        verbs::boot_ns() + self.clock_offset_ms * MS
    }

    /// Nobody is attached. Opens the store, which scans the log only if the index was lost, and looks at
    /// every key.
    fn open(&mut self, lost: bool) {
        let store = verbs::open(self.dir, self.words);
        if store.recovery().is_some() != lost {
            let story = format!("index lost: {lost}, {:?}", store.recovery());
            self.outcome.report.add(("a scan that was not needed, or none that was", story));
        }
        self.look_for_leavings();
        self.clock_offset_ms = verbs::clock_offset_ms(&store);
        self.look_at_every_key(&store);
    }

    fn lose_the_index(&mut self) {
        for entry in std::fs::read_dir(self.dir.join("index")).unwrap() {
            let index = entry.unwrap().path();
            self.look_at_its_generations(&index);
            std::fs::remove_dir_all(index).unwrap();
        }
    }

    /// An index that was rebuilt has room for long: behind it nothing grows.
    fn legs(&self) -> usize {
        if self.run.aim == Aim::Growth { LOSES_THE_INDEX + 1 } else { LEGS }
    }

    /// Workers run and die and are started again, until there were enough deaths.
    fn let_them_die(&mut self) {
        let (enough, end) = (self.outcome.deaths + LEG_DEATHS, self.now() + LEG_NS);
        while self.workers.len() < WORKERS {
            self.start();
        }
        let mut next_kill = self.now();
        let grown = self.now() + GROWTH_NS;
        while self.outcome.deaths < enough {
            std::thread::sleep(Duration::from_millis(1));
            let now = self.now();
            if self.run.aim == Aim::Growth {
                if now > grown {
                    return;
                }
                self.have_one_go_on();
            }
            assert!(now < end, "{} deaths and no more: something hangs", self.outcome.deaths);
            for at in 0..WORKERS {
                if now > self.workers[at].born + PATIENCE_NS {
                    self.kill(at);
                }
                if self.bury_if_dead(at) {
                    self.start();
                }
            }
            if now > next_kill {
                next_kill = now + self.random.below(60) * MS;
                let at = self.random.below(WORKERS as u64) as usize;
                if self.random.below(3) == 0 {
                    self.stop(at);
                } else {
                    self.kill(at);
                }
            }
        }
    }

    fn kill(&mut self, at: usize) {
        self.workers[at].killed = true;
        let _ = self.workers[at].child.kill();
    }

    /// Whether this worker is dead, and of what. Any death but by SIGKILL is a broken rule.
    fn bury_if_dead(&mut self, at: usize) -> bool {
        let worker = &mut self.workers[at];
        let Some(status) = worker.child.try_wait().unwrap() else { return false };
        let worker = self.workers.swap_remove(at);
        if status.signal() != Some(SIGKILL) {
            self.outcome.report.add(("a worker ended by itself", format!("worker {}: {status}", worker.who)));
        } else if let Some(point) = worker.point.filter(|_| !worker.killed) {
            *self.outcome.points.entry(point).or_default() += 1;
        }
        self.outcome.deaths += 1;
        self.deaths.insert(worker.who, self.now());
        true
    }

    /// Kills all at once, and reads what they had written down.
    fn kill_all(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
        }
        self.outcome.deaths += self.workers.len() as u64;
        self.workers.clear();
        let now = self.now();
        for who in self.read + 1..=self.born {
            self.deaths.entry(who).or_insert(now);
            journal::read(self.dir, who, &mut self.calls);
        }
        self.read = self.born;
    }

    /// Stops a worker for longer than its leases, as a busy machine might.
    fn stop(&mut self, at: usize) {
        let Some(pid) = Pid::from_raw(self.workers[at].child.id() as i32) else { return };
        if kill_process(pid, Signal::STOP).is_ok() {
            std::thread::sleep(Duration::from_millis(5 + self.random.below(20)));
            let _ = kill_process(pid, Signal::CONT);
            self.outcome.stops += 1;
        }
    }

    /// Workers that stopped themselves stay so for some milliseconds.
    fn have_one_go_on(&mut self) {
        let at = self.random.below(WORKERS as u64) as usize;
        if let Some(pid) = Pid::from_raw(self.workers[at].child.id() as i32) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

/// This test binary again, as a worker.
pub fn worker_command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([super::ENTRY, "--exact", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
    command.env_remove("SEMEL_KILL").env_remove("SEMEL_PLANT");
    command.env_remove("SEMEL_STOP").env_remove("RUST_MIN_STACK");
    command
}
