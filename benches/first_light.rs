//! One million keys, one thread: a claim, a claim with its completion, a replay; a store that survives kill
//! -9 against a `DashMap` in this process's memory. Each sample is a whole pass over the keys, over a fresh
//! store or map; the figure is the time of one key. Read the ratios of one run; run with `cargo bench -p
//! semel-benches --bench first_light`.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench measures time

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use semel::{Claim, Outcome, Request, Response, Store};
use semel_benches::{SCOPE, keys, shuffled};

const KEYS: usize = 1_000_000;
const FINGERPRINT: [u8; 32] = [7; 32];
const RESPONSE: [u8; 256] = [9; 256];

/// A store in a directory of its own, which goes with it.
struct OnDisk {
    store: Store,
    directory: tempfile::TempDir,
    index: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let index = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Self::open(&directory, &index);
        Self { store, directory, index }
    }

    fn open(directory: &tempfile::TempDir, index: &tempfile::TempDir) -> Store {
        let builder = Store::builder().path(directory.path().join("store")).index_dir(index.path());
        builder.first_generation(2 << 20).open().unwrap()
    }

    fn begin(&self, key: &[u8; 36]) -> Outcome {
        self.store.begin(Request::new(SCOPE, key).fingerprint(FINGERPRINT)).unwrap()
    }

    fn claim(&self, key: &[u8; 36]) -> Claim {
        match self.begin(key) {
            Outcome::Started(claim) => claim,
            other => panic!("{other:?}"),
        }
    }
}

/// The rival: what a careful engineer writes in an afternoon.
#[derive(Default)]
struct Map(DashMap<Box<[u8]>, State>);

enum State {
    Pending,
    Done(Box<[u8]>),
}

enum Answer {
    Started,
    Replay(Box<[u8]>),
    InProgress,
}

impl Map {
    fn name(key: &[u8; 36]) -> Box<[u8]> {
        [SCOPE.as_bytes(), key].concat().into()
    }

    fn begin(&self, key: &[u8; 36]) -> Answer {
        match self.0.entry(Self::name(key)) {
            Entry::Vacant(vacant) => {
                vacant.insert(State::Pending);
                Answer::Started
            }
            Entry::Occupied(occupied) => match occupied.get() {
                State::Pending => Answer::InProgress,
                State::Done(response) => Answer::Replay(response.clone()),
            },
        }
    }

    fn complete(&self, key: &[u8; 36], response: &[u8]) {
        if let Entry::Occupied(mut occupied) = self.0.entry(Self::name(key)) {
            occupied.insert(State::Done(response.into()));
        }
    }
}

/// Times whole passes and answers as if each iteration had been one key.
fn passes(iterations: u64, mut pass: impl FnMut() -> Duration) -> Duration {
    pass().mul_f64(iterations as f64 / KEYS as f64)
}

fn claim(c: &mut Criterion, keys: &[[u8; 36]]) {
    let mut group = c.benchmark_group("claim");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("semel", KEYS), |b| {
        b.iter_custom(|n| {
            passes(n, || {
                let store = OnDisk::new();
                let mut claims = Vec::with_capacity(KEYS);
                let start = Instant::now();
                claims.extend(keys.iter().map(|key| store.claim(key)));
                start.elapsed()
            })
        });
    });
    group.bench_function(BenchmarkId::new("dashmap", KEYS), |b| {
        b.iter_custom(|n| {
            passes(n, || {
                let map = Map::default();
                let start = Instant::now();
                for key in keys {
                    assert!(matches!(map.begin(key), Answer::Started));
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

fn claim_and_complete(c: &mut Criterion, keys: &[[u8; 36]]) {
    let mut group = c.benchmark_group("claim+complete");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("semel", KEYS), |b| {
        b.iter_custom(|n| {
            passes(n, || {
                let store = OnDisk::new();
                let start = Instant::now();
                for key in keys {
                    store.claim(key).complete(Response::new(&RESPONSE)).unwrap();
                }
                start.elapsed()
            })
        });
    });
    group.bench_function(BenchmarkId::new("dashmap", KEYS), |b| {
        b.iter_custom(|n| {
            passes(n, || {
                let map = Map::default();
                let start = Instant::now();
                for key in keys {
                    assert!(matches!(map.begin(key), Answer::Started));
                    map.complete(key, &RESPONSE);
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

fn replay(c: &mut Criterion, keys: &[[u8; 36]], order: &[[u8; 36]]) {
    let mut group = c.benchmark_group("replay");
    group.sample_size(10);
    {
        let store = OnDisk::new();
        keys.iter().for_each(|key| store.claim(key).complete(Response::new(&RESPONSE)).unwrap());
        group.bench_function(BenchmarkId::new("semel", KEYS), |b| {
            b.iter_custom(|n| {
                passes(n, || {
                    let start = Instant::now();
                    for key in order {
                        let Outcome::Replay(replay) = store.begin(key) else { panic!("no replay") };
                        black_box(replay.body());
                    }
                    start.elapsed()
                })
            });
        });
    }
    let map = Map::default();
    keys.iter().for_each(|key| {
        map.begin(key);
        map.complete(key, &RESPONSE);
    });
    group.bench_function(BenchmarkId::new("dashmap", KEYS), |b| {
        b.iter_custom(|n| {
            passes(n, || {
                let start = Instant::now();
                for key in order {
                    let Answer::Replay(response) = map.begin(key) else { panic!("no replay") };
                    black_box(response);
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

/// The anonymous memory of this process, in KiB.
fn anonymous_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Two figures that are no time per key: anonymous memory, and the reopening of a live store.
fn facts(keys: &[[u8; 36]]) {
    let mut store = OnDisk::new();
    let before = anonymous_kib();
    keys.iter().for_each(|key| store.claim(key).complete(Response::new(&RESPONSE)).unwrap());
    println!("anonymous memory for {KEYS} keys: {} KiB", anonymous_kib() - before);
    store.store = Store::in_memory().unwrap();
    let start = Instant::now();
    store.store = OnDisk::open(&store.directory, &store.index);
    let time = start.elapsed();
    assert!(store.store.recovery().is_none(), "the index was rebuilt");
    println!("reopening {KEYS} keys on the same boot: {time:?}, no scan");
}

fn main() {
    let keys = keys(KEYS);
    let order = shuffled(&keys);
    let mut criterion = Criterion::default().warm_up_time(Duration::from_millis(1)).configure_from_args();
    facts(&keys);
    claim(&mut criterion, &keys);
    claim_and_complete(&mut criterion, &keys);
    replay(&mut criterion, &keys, &order);
    criterion.final_summary();
}
