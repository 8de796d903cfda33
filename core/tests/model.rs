//! An explicit-state search of the protocol in `core/docs/concurrency.md`.
//!
//! Threads run small programs of verbs against shared words, records and control words. Every load,
//! compare-and-swap, append and mark is one atomic step, and between any two steps anything else
//! may happen: a step of another thread, a tick of the clock, the word of another key, the death of
//! a thread, the loss of the index with every thread. The search goes breadth first through every
//! order, so the way it prints to a broken invariant is a shortest one.
//!
//! **Modelled**: one key, its chain in one generation of three slots or in up to three of one or two; begin,
//! complete (fail is the same), heartbeat, begin_effect, release with and without the caller's assertion,
//! resolve, peek, checkpoint, hand_over, adopt, forget, mark_seen; two threads that share one claim, its lock
//! and its flag HANDED_OVER; a process that adopts what it handed over itself, so that the holder is the
//! same; generations that are published, closed word by word and given their filters by begin, by helper
//! threads or by anybody, at any moment; lists; leases, expiries, retention; recovery judged in every state,
//! and a rebuild after which the key is used again, and bytes that were handed over before it are adopted.
//!
//! **Not modelled**: weak memory (steps interleave sequentially consistently; `Memory orders` of
//! the page is argued there and tested elsewhere), torn pages and power loss, chunks, segments and
//! lifetime classes, DEAD words and the dropping of generations, fingerprints, the seal of the bytes,
//! waiting. A release while another thread checkpoints or hands over: it consumes the claim. A sequence
//! that only sets one bit with a swap loop is one step: its lost rounds change nothing. A thread that is
//! never scheduled again is as good as dead, so runs without explicit deaths lose nothing but the check that
//! the others make progress.
//!
//! Steps and kill points: `Pc::Append` is everything up to `append.checksum` and `*.appended` (with
//! `Config::torn` the length and the body are two steps), `Pc::Swap` is `*.swapped`, `Pc::Take` is
//! `*.taken`, `Pc::Help` is `begin.helped`, `Pc::Commit` is `*.committed`, and `Pc::Control` is
//! `heartbeat.swapped` and `effect.swapped`; `Pc::Close` is `begin.closed`, `Pc::Publish` is
//! `generation.published`, `Pc::SealClose` to `Pc::FilterTell` are `seal.*` and `filter.*`. A file that is
//! made and not yet named by newest (`generation.made`) is nothing that a step could meet. A run without the
//! verbs of `carried` takes no lock, which allows more than the code does, and probes before it reads the
//! clock (`Config::extended`): it is kept as small as it was.
//!
//! Where the page leaves the order of two steps open, these runs take the one that holds, and
//! `faults` shows what the other one breaks:
//! - whoever answers from a record sets COMMITTED on it first, the look after a lost swap included;
//! - a control word that is judged is loaded after the clock is read;
//! - heartbeat and begin_effect look at their slot again after their swap, and after meeting TAKEN;
//! - heartbeat never swaps in an earlier deadline than the one that stands;
//! - begin_effect does not say Ok to a claim that is completed;
//! - a rebuild leaves a floor above every version in the log;
//! - a claim that was handed over never learns the new word, and its flag is never cleared;
//! - a completion that lost its swap looks at that flag after it looked at the slot;
//! - the bytes of a hand over name the record that it replaced, not the fence alone.
//!
//! Three kinds of runs: the protocol as it stands must hold in every state; each rule left out
//! (`faults`) must break the invariant it is there for; rules that these runs cannot show to be needed
//! are named at the end of `faults`, `carried_faults` and `generations_faults`. Runs over three and four
//! threads stop at SEMEL_PROOF_STATES states (for each value of on_crash) and say so; 25 million exhaust
//! those of three. Those of `carried_runs` stop at half a million states, and at six with
//! SEMEL_PROOF=release, which also lets the word of another key appear. Those of `generations_runs` that have
//! three callers stop at 150,000 states, and at six million with SEMEL_PROOF=release, which also runs larger
//! generations. All leave out the check for progress,
//! which the runs of two threads make in every state.
//! Each run prints one line:
//! `PROVE <name> tried=<states> violations=<n> target=<exhausted|bounded>`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "model/append.rs"]
mod append;
#[path = "model/by_claim.rs"]
mod by_claim;
#[path = "model/by_key.rs"]
mod by_key;
#[path = "model/carried.rs"]
mod carried;
#[path = "model/carried_faults.rs"]
mod carried_faults;
#[path = "model/carried_runs.rs"]
mod carried_runs;
#[path = "model/config.rs"]
mod config;
#[path = "model/fault.rs"]
mod fault;
#[path = "model/faults.rs"]
mod faults;
#[path = "model/generations.rs"]
mod generations;
#[path = "model/generations_faults.rs"]
mod generations_faults;
#[path = "model/generations_runs.rs"]
mod generations_runs;
#[path = "model/invariants.rs"]
mod invariants;
#[path = "model/pc.rs"]
mod pc;
#[path = "model/seal.rs"]
mod seal;
#[path = "model/search.rs"]
mod search;
#[path = "model/seen.rs"]
mod seen;
#[path = "model/settle.rs"]
mod settle;
#[path = "model/spent.rs"]
mod spent;
#[path = "model/state.rs"]
mod state;
#[path = "model/swaps.rs"]
mod swaps;
#[path = "model/verbs.rs"]
mod verbs;

use config::Verb::{
    Begin, BeginEffect, Complete, Heartbeat, Peek, Release, ReleaseClean, ResolveCompleted, ResolveReleased,
};
use config::{Config, OnCrash, Program};
use search::search;

/// What a caller does with one claim, or with two after each other.
macro_rules! mixes {
    ($first:literal, $second:literal) => {
        [
            &[Begin($first), Complete($first)],
            &[Begin($first), Heartbeat($first), Complete($first)],
            &[Begin($first), BeginEffect($first), Complete($first)],
            &[Begin($first), Release($first)],
            &[Begin($first), BeginEffect($first), Release($first)],
            &[Begin($first), BeginEffect($first), ReleaseClean($first)],
            &[Begin($first), Complete($first), Begin($second), Complete($second)],
            &[Peek, Begin($first), Peek],
        ]
    };
}

const MIXES: usize = 8;
const LEFT: [Program; MIXES] = mixes!(0, 2);
const RIGHT: [Program; MIXES] = mixes!(1, 3);

/// Runs that must hold: fails with the shortest way to the first broken invariant.
fn holds(name: &str, configs: &[Config]) {
    let mut states = 0;
    let mut exhausted = true;
    for config in configs {
        let outcome = search(config);
        states += outcome.states;
        exhausted &= outcome.exhausted;
        if let Some((broken, trace)) = outcome.broken {
            println!("\nPROVE {name} tried={states} violations=1 target=none");
            let programs = config.programs;
            panic!(
                "{broken:?}: {}\n{programs:?} {:?}\n{}",
                broken.story(),
                config.on_crash,
                trace.join("\n")
            );
        }
    }
    let end = if exhausted { "exhausted" } else { "bounded" };
    println!("\nPROVE {name} tried={states} violations=0 target={end}");
}

fn all_pairs(on_crash: OnCrash) -> Vec<Config> {
    let pairs = (0..MIXES).flat_map(|left| (left..MIXES).map(move |right| [LEFT[left], RIGHT[right]]));
    pairs.map(|pair| Config { on_crash, ..Config::new(&pair) }).collect()
}

#[test]
fn two_callers_of_one_key_with_rerun() {
    holds("model.two.rerun", &all_pairs(OnCrash::Rerun));
}

#[test]
fn two_callers_of_one_key_with_in_doubt() {
    holds("model.two.in_doubt", &all_pairs(OnCrash::InDoubt));
}

/// The programs once with rerun and once with in doubt.
fn both(programs: &[Program]) -> [Config; 2] {
    [OnCrash::Rerun, OnCrash::InDoubt].map(|on_crash| Config { on_crash, ..Config::new(programs) })
}

#[test]
fn two_threads_share_a_claim_and_one_begins_again() {
    let owners: [Program; 3] = [
        &[Begin(0), Complete(0), Begin(2), BeginEffect(2)],
        &[Begin(0), Release(0), Begin(2), BeginEffect(2)],
        &[Begin(0), Heartbeat(0), Complete(0)],
    ];
    let helpers: [Program; 5] = [
        &[Heartbeat(0), Begin(1), BeginEffect(1)],
        &[BeginEffect(0), Begin(1), BeginEffect(1)],
        &[Complete(0), Begin(1), BeginEffect(1)],
        &[Release(0), Begin(1), Complete(1)],
        &[BeginEffect(0), Heartbeat(0), Release(0)],
    ];
    let pairs = owners.iter().flat_map(|owner| helpers.iter().flat_map(|helper| both(&[*owner, *helper])));
    holds("model.shared", &pairs.collect::<Vec<_>>());
}

#[test]
fn an_operator_resolves_while_the_owner_goes_on() {
    let owners: [Program; 4] = [
        &[Begin(0), BeginEffect(0), Complete(0)],
        &[Begin(0), Heartbeat(0), BeginEffect(0), Complete(0)],
        &[Begin(0), BeginEffect(0), Heartbeat(0), Complete(0)],
        &[Begin(0), BeginEffect(0), Release(0), Complete(0)],
    ];
    let operators: [Program; 3] = [
        &[ResolveReleased(0), Begin(1), BeginEffect(1), Complete(1)],
        &[ResolveCompleted(0), Begin(1), BeginEffect(1)],
        &[Peek, ResolveCompleted(0), ResolveReleased(0), Begin(1)],
    ];
    let pairs = owners.iter().flat_map(|owner| operators.iter().flat_map(|op| both(&[*owner, *op])));
    let long = pairs.clone().map(|config| Config { lease: 1, retention: 2, ttl: 2, ..config });
    holds("model.resolve", &pairs.chain(long).collect::<Vec<_>>());
}

#[test]
fn a_record_torn_by_death_is_never_reached() {
    let pairs = (0..4).flat_map(|mix| both(&[LEFT[mix], RIGHT[0]]));
    holds("model.torn", &pairs.map(|config| Config { torn: true, ..config }).collect::<Vec<_>>());
}

/// The third program runs in a store whose index was lost with all threads and made again.
#[test]
fn the_key_is_used_again_after_a_rebuild() {
    let after: Program = &[Begin(3), BeginEffect(3), Complete(3)];
    let pairs = (0..MIXES - 1).flat_map(|mix| both(&[LEFT[mix], &[Begin(1), Complete(1)], after]));
    let late = pairs.map(|config| Config { late: Some(2), deaths: 0, ttl: 2, ..config });
    holds("model.rebuild", &late.collect::<Vec<_>>());
}

/// States after which a larger run stops.
fn limit() -> usize {
    let asked = std::env::var("SEMEL_PROOF_STATES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(2_000_000)
}

fn larger(name: &str, programs: &[Program]) {
    let runs = both(programs).map(|config| Config { limit: limit(), progress: false, ..config });
    holds(name, &runs);
}

/// Three programs with a clock of three values and nothing else going on: small enough to be exhausted.
#[test]
fn three_callers_on_a_short_clock() {
    let third: [Program; 4] = [
        &[Begin(2), Complete(2)],
        &[Begin(2), BeginEffect(2), Release(2)],
        &[Heartbeat(0), Begin(2)],
        &[Complete(0), Begin(2)],
    ];
    let trios = (0..5).flat_map(|mix| third.iter().flat_map(move |t| both(&[LEFT[mix], RIGHT[0], *t])));
    let short = trios.map(|config| Config { deaths: 0, foreign: 0, ticks: 2, progress: false, ..config });
    holds("model.three.short", &short.collect::<Vec<_>>());
}

#[test]
fn three_callers() {
    larger("model.three.callers", &[&[Begin(0), Complete(0)], RIGHT[0], &[Begin(2), Complete(2)]]);
}

#[test]
fn three_callers_with_effects() {
    let [completes, releases, beats]: [Program; 3] = [
        &[Begin(0), BeginEffect(0), Complete(0)],
        &[Begin(1), BeginEffect(1), Release(1)],
        &[Begin(2), Heartbeat(2), Complete(2)],
    ];
    larger("model.three.effects", &[completes, releases, beats]);
}

#[test]
fn an_owner_of_two_threads_and_a_robber() {
    let owner: Program = &[Begin(0), Complete(0), Begin(2)];
    let helper: Program = &[Heartbeat(0), BeginEffect(0)];
    let robber: Program = &[Begin(1), BeginEffect(1), Complete(1)];
    larger("model.three.shared", &[owner, helper, robber]);
}

#[test]
fn an_owner_an_operator_and_a_robber() {
    let owner: Program = &[Begin(0), BeginEffect(0), Heartbeat(0), Complete(0)];
    let operator: Program = &[ResolveReleased(0), ResolveCompleted(1)];
    let robber: Program = &[Begin(1), BeginEffect(1), Release(1)];
    larger("model.three.resolve", &[owner, operator, robber]);
}

#[test]
fn an_owner_of_two_threads_an_operator_and_a_robber() {
    let owner: Program = &[Begin(0), Complete(0)];
    let helper: Program = &[BeginEffect(0), Release(0)];
    let operator: Program = &[ResolveReleased(0)];
    let robber: Program = &[Begin(1), BeginEffect(1), Complete(1)];
    larger("model.four.shared", &[owner, helper, operator, robber]);
}
