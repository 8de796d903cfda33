//! Batches against single calls of the same verbs: one million keys, one thread, the same store.
//!
//! `cargo bench -p semel-benches --bench batches`

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench measures time

use std::time::{Duration, Instant};

use semel::{Claim, Outcome, Request, Response, Store};
use semel_benches::{SCOPE, keys, shuffled};

const KEYS: usize = 1_000_000;
const BATCH: usize = 16;
const FINGERPRINT: [u8; 32] = [7; 32];
const RESPONSE: [u8; 256] = [9; 256];
const DAY: Duration = Duration::from_secs(86_400);

fn request(key: &[u8; 36]) -> Request<'_> {
    Request::new(SCOPE, key).fingerprint(FINGERPRINT)
}

fn claim(outcome: Outcome) -> Claim {
    match outcome {
        Outcome::Started(claim) => claim,
        other => panic!("{other:?}"),
    }
}

fn is_replay(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Replay(it) if it.body() == RESPONSE));
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// Nanoseconds a key of each row: single, then by batches.
#[derive(Default)]
struct Times {
    claim: [f64; 2],
    complete: [f64; 2],
    replay: [f64; 2],
    seen: [f64; 2],
}

fn round(keys: &[[u8; 36]], again: &[[u8; 36]]) -> Times {
    let directory = tempfile::tempdir().unwrap();
    let index = tempfile::tempdir_in("/dev/shm").unwrap();
    let builder = Store::builder().path(directory.path().join("store")).index_dir(index.path());
    let store = builder.first_generation(4 << 20).open().unwrap();
    let (one, many) = keys.split_at(KEYS / 2);
    let mut times = Times::default();
    let mut claims = Vec::with_capacity(KEYS);
    times.claim[0] = timed(|| claims.extend(one.iter().map(|key| claim(store.begin(request(key)).unwrap()))));
    times.claim[1] = timed(|| {
        for keys in many.chunks(BATCH) {
            let requests: Vec<_> = keys.iter().map(request).collect();
            claims.extend(store.begin_many(&requests).unwrap().into_iter().map(|it| claim(it.unwrap())));
        }
    });
    let (single, batched) = claims.split_at(KEYS / 2);
    times.complete[0] = timed(|| {
        single.iter().for_each(|claim| claim.complete(Response::new(&RESPONSE)).unwrap());
    });
    times.complete[1] = timed(|| {
        for claims in batched.chunks(BATCH) {
            let completions: Vec<_> = claims.iter().map(|claim| (claim, Response::new(&RESPONSE))).collect();
            store.complete_many(&completions).unwrap().into_iter().for_each(|done| done.unwrap());
        }
    });
    let (one, many) = again.split_at(KEYS / 2);
    times.replay[0] = timed(|| one.iter().for_each(|key| is_replay(&store.begin(request(key)).unwrap())));
    times.replay[1] = timed(|| {
        for keys in many.chunks(BATCH) {
            let requests: Vec<_> = keys.iter().map(request).collect();
            store.begin_many(&requests).unwrap().iter().for_each(|it| is_replay(it.as_ref().unwrap()));
        }
    });
    times.seen[0] = timed(|| one.iter().for_each(|key| assert!(store.mark_seen("s", key, DAY).unwrap())));
    times.seen[1] = timed(|| {
        for keys in many.chunks(BATCH) {
            store.mark_seen_many("s", keys, DAY).unwrap().iter().for_each(|it| assert!(it.as_ref().unwrap()));
        }
    });
    times
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return; // under `cargo test --benches` there is nothing to check
    }
    let keys = keys(KEYS);
    let again = shuffled(&keys);
    let rounds: Vec<Times> = (0..5).map(|_| round(&keys, &again)).collect();
    let row = |name: &str, of: fn(&Times) -> [f64; 2]| {
        let median = |which: usize| {
            let mut times: Vec<f64> =
                rounds.iter().map(|times| of(times)[which] * 2.0 / KEYS as f64).collect();
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let (single, batch) = (median(0), median(1));
        println!(
            "{name:<10} single {single:>5.0} ns   in batches of {BATCH} {batch:>5.0} ns   {:.2}x",
            single / batch
        );
    };
    row("claim", |times| times.claim);
    row("complete", |times| times.complete);
    row("replay", |times| times.replay);
    row("mark_seen", |times| times.seen);
}
