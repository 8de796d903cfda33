//! Where the actors of a case are: in this process, or each in one of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;

use semel::{Builder, Clock, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::actor::{Actor, START_MS, builder, millis};
use super::answers::refusal;
use super::child::{self, Child};
use super::order::{Options, Order};
use super::script::{Case, Need, parse};

/// A kind of store and a way to share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An anonymous store; the actors are handles of it.
    Memory,
    /// A store with a path, which each actor opens.
    OneProcess,
    /// The same, and each actor is a process of its own.
    Processes,
}

impl Layout {
    pub(crate) fn has(self, need: Need) -> bool {
        match need {
            Need::Lasting | Need::Index => self != Self::Memory,
            Need::Processes => self == Self::Processes,
        }
    }

    pub(crate) fn can_run(self, case: &Case) -> bool {
        case.needs.iter().all(|need| self.has(*need))
    }
}

enum Seat {
    Here(Actor),
    There(Child),
}

/// The store of a case, its clock and its actors.
pub(crate) struct Stage {
    layout: Layout,
    options: Options,
    dir: TempDir,
    clock: Clock,
    now_ms: u64,
    seats: BTreeMap<String, Seat>,
}

impl Stage {
    pub(crate) fn new(layout: Layout, case: &Case) -> Self {
        let (options, dir) = (case.store.clone(), own_dir());
        let clock = Clock::manual(millis(START_MS));
        let mut stage = Self { layout, options, dir, clock, now_ms: START_MS, seats: BTreeMap::new() };
        for actor in &case.actors {
            assert_eq!(stage.open(actor), json!("ok"), "{:?}: {actor} does not open", case.name);
        }
        stage
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.clock.advance(millis(ms));
    }

    /// Opens the store for this actor; `ok` or the error.
    pub(crate) fn open(&mut self, name: &str) -> Value {
        assert!(!self.seats.contains_key(name), "{name} is open");
        if self.layout == Layout::Processes {
            let mut child = Child::idle();
            let dir = self.dir.path().to_str().unwrap();
            let answer = child.open(self.now_ms, dir, &self.options);
            if answer == "ok" {
                self.seats.insert(name.to_owned(), Seat::There(child));
            } else {
                child.rest();
            }
            return answer;
        }
        let shared = self.seats.values().find_map(|seat| match seat {
            Seat::Here(actor) if self.layout == Layout::Memory => Some(actor.store.clone()),
            _ => None,
        });
        let dir = (self.layout != Layout::Memory).then(|| self.dir.path());
        let opened = match shared {
            Some(store) => Ok(store),
            None => child::open(at(dir, &self.options).clock(self.clock.clone())),
        };
        match opened {
            Ok(store) => {
                self.seats.insert(name.to_owned(), Seat::Here(Actor::new(store, self.now_ms)));
                json!("ok")
            }
            Err(e) => refusal(&e, self.now_ms),
        }
    }

    /// Drops the claims that are left, then the handle.
    pub(crate) fn close(&mut self, name: &str) {
        if let Some(Seat::There(mut child)) = self.seats.remove(name) {
            child.close(self.now_ms);
            child.rest();
        }
    }

    /// `kill -9`: nothing is dropped, nothing is closed.
    pub(crate) fn kill(&mut self, name: &str) {
        let Some(Seat::There(child)) = self.seats.remove(name) else { panic!("{name} is no process") };
        child.kill();
    }

    /// Removes the index of the store, which nobody has open.
    pub(crate) fn lose_index(&self) {
        assert!(self.seats.is_empty(), "the store is open");
        let entries = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap());
        let indexes: Vec<_> =
            entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("semel-")).collect();
        assert_eq!(indexes.len(), 1, "a store has one index");
        std::fs::remove_dir_all(indexes[0].path()).unwrap();
    }

    /// Has these actors do it, all at once; what each answers.
    pub(crate) fn ask(&mut self, names: &[String], order: &Value) -> Vec<Value> {
        for name in names {
            assert!(self.seats.contains_key(name), "{name} is not open");
        }
        if self.layout == Layout::Processes {
            let now_ms = self.now_ms;
            for name in names {
                self.child(name).tell(now_ms, order);
            }
            return names.iter().map(|name| self.child(name).hear()).collect();
        }
        let (layout, now_ms) = (self.layout, self.now_ms);
        let order = parse(order.clone()).unwrap();
        if let [name] = names {
            let Some(Seat::Here(actor)) = self.seats.get_mut(name) else { panic!("{name} is elsewhere") };
            return vec![follow(actor, &order, layout, now_ms)];
        }
        let (start, order) = (&Barrier::new(names.len()), &order);
        let mut answers: BTreeMap<&String, Value> = std::thread::scope(|scope| {
            let asked = self.seats.iter_mut().filter(|(name, _)| names.contains(name));
            let threads: Vec<_> = asked
                .map(|(name, seat)| {
                    let Seat::Here(actor) = seat else { panic!("{name} is elsewhere") };
                    let story = move || {
                        start.wait();
                        follow(actor, order, layout, now_ms)
                    };
                    (name, scope.spawn(story))
                })
                .collect();
            threads.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect()
        });
        names.iter().map(|name| answers.remove(name).unwrap()).collect()
    }

    fn child(&mut self, name: &str) -> &mut Child {
        match self.seats.get_mut(name) {
            Some(Seat::There(child)) => child,
            _ => panic!("{name} is no process"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // the children are killed with their seats
        }
        for name in self.seats.keys().cloned().collect::<Vec<_>>() {
            self.close(&name);
        }
    }
}

/// A directory of its own, in memory where the machine has that: nothing here is about the disk.
fn own_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A store in this directory, its index beside it; or in memory.
pub(crate) fn at(dir: Option<&Path>, options: &Options) -> Builder {
    match dir {
        Some(dir) => builder(options).path(dir.join("store")).index_dir(dir),
        None => builder(options),
    }
}

/// Opens a store of its own, elsewhere, and closes it again.
pub(crate) fn open_new(options: &Options, in_memory: bool, now_ms: u64) -> Value {
    let dir = own_dir();
    let opened: Result<Store, _> = child::open(at((!in_memory).then(|| dir.path()), options));
    opened.map_or_else(|e| refusal(&e, now_ms), |_| json!("ok"))
}

fn follow(actor: &mut Actor, order: &Order, layout: Layout, now_ms: u64) -> Value {
    actor.now_ms = now_ms;
    match order {
        Order::OpenNew { options } => open_new(options, layout == Layout::Memory, now_ms),
        order => actor.follow(order),
    }
}
