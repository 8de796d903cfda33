//! What growth costs: fresh claims over many sealed generations against none, and the slowest claims while an
//! index grows against those of a `DashMap`. Not criterion's: it would hide the tail.
//!
//! `cargo bench -p semel-benches --bench growth`

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench measures time

use std::time::{Duration, Instant};

use dashmap::DashMap;
use semel::{Claim, Outcome, Request, Store};
use semel_benches::{SCOPE, keys};

const FINGERPRINT: [u8; 32] = [7; 32];

/// A store in a directory of its own, which goes with it.
struct OnDisk {
    store: Store,
    index: tempfile::TempDir,
    _directory: tempfile::TempDir,
}

impl OnDisk {
    fn new(first_generation: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let index = tempfile::tempdir_in("/dev/shm").unwrap();
        let builder = Store::builder().path(directory.path().join("store")).index_dir(index.path());
        let store = builder.first_generation(first_generation).open().unwrap();
        Self { store, index, _directory: directory }
    }

    fn claim(&self, key: &[u8; 36]) -> Claim {
        match self.store.begin(Request::new(SCOPE, key).fingerprint(FINGERPRINT)).unwrap() {
            Outcome::Started(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    fn files(&self, kind: &str) -> usize {
        let index = std::fs::read_dir(self.index.path()).unwrap().next().unwrap().unwrap();
        let names = std::fs::read_dir(index.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(kind)).count()
    }

    /// Until each generation but the newest has its filter, and this process uses it.
    fn wait_until_sealed(&self) {
        for _ in 0..200 {
            if self.files("filter-") + 1 == self.files("generation-") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Fresh claims beside so many keys that are there: over one generation, and over many.
fn over_sealed_generations() {
    const THERE: usize = 300_000;
    const FRESH: usize = 150_000;
    let keys = keys(THERE + FRESH);
    let (there, fresh) = keys.split_at(THERE);
    let mut medians = Vec::new();
    for (what, first_generation) in [("one generation", 1 << 20), ("many generations", 1 << 10)] {
        let mut times = Vec::new();
        let mut sealed = 0;
        for _ in 0..5 {
            let store = OnDisk::new(first_generation);
            let mut claims: Vec<_> = there.iter().map(|key| store.claim(key)).collect();
            store.wait_until_sealed();
            sealed = store.files("filter-");
            let start = Instant::now();
            claims.extend(fresh.iter().map(|key| store.claim(key)));
            times.push(start.elapsed().as_nanos() as f64 / FRESH as f64);
        }
        times.sort_by(f64::total_cmp);
        println!("fresh claim, {what}: {:.0} ns, median of 5; {sealed} sealed generations", times[2]);
        medians.push(times[2]);
    }
    println!("ratio {:.2} (wanted: at most 2)\n", medians[1] / medians[0]);
}

/// Microseconds below which all but one in ten thousand are, but one in a hundred thousand, and all.
fn tail(mut times: Vec<u32>) -> [f64; 3] {
    times.sort_unstable();
    let count = times.len();
    [count / 10_000, count / 100_000, 1].map(|above| f64::from(times[count - above]) / 1e3)
}

fn timed(keys: &[[u8; 36]], mut add: impl FnMut(&[u8; 36])) -> [f64; 3] {
    let mut times = vec![1; keys.len()]; // not zero: its pages are there before it is written
    for (key, time) in keys.iter().zip(&mut times) {
        let start = Instant::now();
        add(key);
        *time = start.elapsed().as_nanos() as u32;
    }
    tail(times)
}

/// Every single claim is timed, while the number of keys grows from a hundred thousand to four million.
fn while_growing() {
    const FROM: usize = 100_000;
    const TO: usize = 4_000_000;
    let keys = keys(TO);
    for round in 1..=3 {
        let store = OnDisk::new(1 << 17);
        // Never given back: a list of them would be timed with them, and so would its memory.
        let claim = |key: &[u8; 36]| std::mem::forget(store.claim(key));
        keys[..FROM].iter().for_each(claim);
        let ours = timed(&keys[FROM..], claim);
        let generations = store.files("generation-");

        let map: DashMap<Box<[u8]>, bool> = DashMap::new();
        let add = |key: &[u8; 36]| {
            map.entry([SCOPE.as_bytes(), key].concat().into()).or_insert(false);
        };
        keys[..FROM].iter().for_each(add);
        let theirs = timed(&keys[FROM..], add);
        println!("claim through growth, round {round}, {generations} generations at the end");
        for (n, what) in ["p99.99", "p99.999", "slowest"].into_iter().enumerate() {
            let (ours, theirs) = (ours[n], theirs[n]);
            println!("  {what:<8} {ours:>9.1} us   DashMap {theirs:>9.1} us   ratio {:.2}", ours / theirs);
        }
    }
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return; // under `cargo test --benches` there is nothing to check
    }
    over_sealed_generations();
    while_growing();
}
