//! The memory orders of the protocol, in every order that loom can find with three preemptions.
//!
//! The code under test is the engine's own: words and their table, addresses and control words are included
//! from `core/src` and run over loom's atomics (`loom/sync.rs` stands in for `core/src/sync.rs`). The bytes
//! of records are loom cells, so that a read which no Acquire ordered behind the write is a failure by
//! itself. The steps around them are those of `docs/concurrency.md`, in `loom/world.rs`; the search in
//! `model.rs` runs more of them, but sees every write at once.
//!
//! For each model a fault is planted that it must find: an order that is too weak, or a plain store where the
//! protocol has a compare-and-swap.
//!
//! One line a test: `PROVE loom.<model> tried=<executions> violations=<n> target=exhausted at preemption
//! bound 3`.
#![allow(missing_docs, dead_code, unused_imports)] // the included files serve more than these models
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_types)] // the shim stands on them, as core/src/sync.rs does

#[path = "loom/grown.rs"]
mod grown;
#[path = "loom/grown_models.rs"]
mod grown_models;
#[path = "loom/sync.rs"]
mod sync;
#[path = "loom/world.rs"]
mod world;

#[path = "../src/index"]
mod index {
    pub(crate) mod table;
    pub(crate) mod word;
}

#[path = "../src/log"]
mod log {
    pub(crate) mod address;
    pub(crate) mod control;
}

/// The place of a key, as `core/src/key/identity.rs` has it.
mod key {
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Place(pub(crate) u64);

    impl Place {
        pub(crate) fn tag(self) -> u64 {
            self.0 >> 52
        }

        pub(crate) fn home(self, lines: usize) -> usize {
            (self.0 & (lines as u64 - 1)) as usize
        }
    }
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc; // loom runs its threads on one thread of the machine
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Count, Ordering::Relaxed};

use index::table::Probe;
use index::word::Word;
use log::control::{self, ClaimControl, Swapped};
use loom::thread;
use world::{Begun, Bytes, Claim, EXTENDED_MS, Fault, LATE_MS, Said, World};

const PREEMPTIONS: usize = 3;

type Model = fn(Fault);

/// Runs the model in every order; answers with how many there were, and whether one failed.
fn explore(model: Model, fault: Fault) -> (u64, bool) {
    let executions = Arc::new(Count::new(0));
    let counted = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = 10_000;
    let _in_a_model = sync::InAModel::enter();
    let explored = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            model(fault);
        });
    }));
    (executions.load(Relaxed), explored.is_err())
}

fn holds(name: &str, model: Model) {
    let (tried, broken) = explore(model, Fault::None);
    let violations = u8::from(broken);
    println!(
        "\nPROVE loom.{name} tried={tried} violations={violations} target=exhausted at preemption bound 3"
    );
    assert!(!broken, "loom.{name}: see above");
}

fn finds(name: &str, model: Model, fault: Fault) {
    let (tried, found) = explore(model, fault);
    println!("\nPROVE loom.fault.{name} tried={tried} violations={} target=found", u8::from(found));
    assert!(found, "{fault:?} was not noticed");
}

/// Runs these at the same time and answers with what each said. The thread of the model itself only waits:
/// loom finds fewer orders for what that does right behind a spawn.
fn both<W: 'static, A: 'static, B: 'static>(
    world: &Rc<W>,
    one: impl FnOnce(&W) -> A + 'static,
    other: impl FnOnce(&W) -> B + 'static,
) -> (A, B) {
    let (first, second) = (world.clone(), world.clone());
    let one = thread::spawn(move || one(&first));
    let other = thread::spawn(move || other(&second));
    (one.join().unwrap(), other.join().unwrap())
}

/// A record is written and swapped in; whoever meets its word reads it whole.
fn publish(fault: Fault) {
    let world = Rc::new(World::new(1, fault));
    let (_, seen) = both(&world, |world| world.claimed(1), World::probe);
    if let Probe::Found(_, word, bytes) = seen {
        assert_eq!(bytes, Bytes::Claim { fence: word.address().0 });
    }
}

/// Two begins of one key: one is started, the other sees its claim.
fn begin_begin(fault: Fault) {
    let world = Rc::new(World::new(4, fault));
    match both(&world, |world| world.begin(0, &[1, 2]), |world| world.begin(0, &[3, 4])) {
        (Begun::Started(claim), Begun::InProgress { fence })
        | (Begun::InProgress { fence }, Begun::Started(claim)) => assert_eq!(claim.fence, fence),
        other => panic!("{other:?}"),
    }
    let Probe::Found(_, word, bytes) = world.probe() else { panic!("nothing was claimed") };
    assert!(world.is_committed(word, bytes));
}

/// A claim past its lease is marked for its effect while another takes it over: one of them is refused.
fn takeover_effect(fault: Fault) {
    let world = Rc::new(World::new(3, fault));
    let claim = world.claimed(1);
    match both(&world, move |world| world.begin_effect(claim), |world| world.begin(LATE_MS, &[2, 3])) {
        (Said::Done, Begun::InDoubt) => {}
        (Said::LeaseLost { .. }, Begun::Started(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// The same with a heartbeat.
fn takeover_heartbeat(fault: Fault) {
    let world = Rc::new(World::new(3, fault));
    let claim = world.claimed(1);
    match both(&world, move |world| world.heartbeat(claim), |world| world.begin(LATE_MS, &[2, 3])) {
        (Said::Done, Begun::InProgress { fence: 1 }) => {}
        (Said::LeaseLost { .. }, Begun::Started(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// The same with a completion: whoever swaps the word first has won, and the other one knows.
fn takeover_complete(fault: Fault) {
    let world = Rc::new(World::new(4, fault));
    let claim = world.claimed(1);
    match both(&world, move |world| world.complete(claim, 4), |world| world.begin(LATE_MS, &[2, 3])) {
        (Said::Done, Begun::Replay { fence: 1 }) => {}
        (Said::LeaseLost { by }, Begun::Started(next)) => assert_eq!(by, next.fence),
        other => panic!("{other:?}"),
    }
    let Probe::Found(_, word, bytes) = world.probe() else { panic!("the key is gone") };
    assert!(world.is_committed(word, bytes), "whoever was answered saw the mark");
}

/// Two threads of an owner past its lease, one that heartbeats and completes and one that marks the effect,
/// and a third caller who takes over.
fn takeover_heartbeat_effect_complete(fault: Fault) {
    let world = Rc::new(World::new(4, fault));
    let claim = world.claimed(1);
    let third = world.clone();
    let taking = thread::spawn(move || third.begin(LATE_MS, &[2, 3]));
    let ((beat, completed), marked) = both(
        &world,
        move |world| (world.heartbeat(claim), world.complete(claim, 4)),
        move |world| world.begin_effect(claim),
    );
    let begun = taking.join().unwrap();
    match (begun, completed) {
        (Begun::Started(next), Said::LeaseLost { by }) => {
            assert_eq!(by, next.fence);
            assert_ne!(beat, Said::Done, "heartbeat and takeover");
            assert_ne!(marked, Said::Done, "effect and takeover");
        }
        (Begun::InDoubt, Said::Done) => assert_ne!(marked, Said::Ended, "in doubt without an effect"),
        (Begun::Replay { fence: 1 } | Begun::InProgress { fence: 1 }, Said::Done) => {}
        other => panic!("{other:?}"),
    }
    let Probe::Found(_, word, bytes) = world.probe() else { panic!("the key is gone") };
    assert!(world.is_committed(word, bytes));
}

/// Somebody helps a claim to its mark while its owner moves the deadline and marks the effect: no bit is
/// lost.
fn commit_extend(fault: Fault) {
    let world = Rc::new(World::new(1, fault));
    let word = world.append_claim(1, 10);
    let third = world.clone();
    let helping = thread::spawn(move || third.commit(word, Bytes::Claim { fence: 1 }));
    let swapped = both(
        &world,
        |world| ClaimControl::extend(world.control(1), EXTENDED_MS),
        |world| ClaimControl::mark_effect(world.control(1)),
    );
    helping.join().unwrap();
    assert_eq!(swapped, (Swapped::Done, Swapped::Done));
    let control = ClaimControl::load(world.control(1)).unwrap();
    assert!(control.is_committed() && control.has_effect(), "{control:?}");
    assert_eq!(control.deadline_ms(), EXTENDED_MS);
}

#[test]
fn whoever_meets_a_word_sees_its_record_whole() {
    holds("publish", publish);
}

#[test]
fn of_two_begins_one_is_started_and_the_other_sees_it() {
    holds("begin-begin", begin_begin);
}

#[test]
fn an_effect_and_a_takeover_exclude_each_other() {
    holds("takeover-effect", takeover_effect);
}

#[test]
fn a_heartbeat_and_a_takeover_exclude_each_other() {
    holds("takeover-heartbeat", takeover_heartbeat);
}

#[test]
fn a_completion_and_a_takeover_exclude_each_other() {
    holds("takeover-complete", takeover_complete);
}

#[test]
fn two_threads_of_an_owner_and_a_taker_agree() {
    holds("takeover-heartbeat-effect-complete", takeover_heartbeat_effect_complete);
}

#[test]
fn no_bit_of_a_control_word_is_lost() {
    holds("commit-extend", commit_extend);
}

#[test]
fn a_swap_that_publishes_nothing_is_found() {
    finds("publish.relaxed-swap", publish, Fault::RelaxedSwap);
}

#[test]
fn a_word_loaded_without_acquire_is_found() {
    finds("publish.relaxed-load", publish, Fault::RelaxedLoad);
}

#[test]
fn a_store_in_place_of_the_swap_is_found_by_begin() {
    finds("begin-begin.store", begin_begin, Fault::StoreForSwap);
}

#[test]
fn a_store_in_place_of_the_swap_is_found_by_complete() {
    finds("takeover-complete.store", takeover_complete, Fault::StoreForSwap);
}

#[test]
fn a_store_in_place_of_taken_is_found_by_effect() {
    finds("takeover-effect.store", takeover_effect, Fault::StoreForTaken);
}

#[test]
fn a_store_in_place_of_taken_is_found_by_heartbeat() {
    finds("takeover-heartbeat.store", takeover_heartbeat, Fault::StoreForTaken);
}

#[test]
fn a_store_in_place_of_committed_is_found() {
    finds("commit-extend.store", commit_extend, Fault::StoreForCommitted);
}
