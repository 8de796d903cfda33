//! Four processes on one store, killed with -9 again and again, at any moment and at every kill point.
//!
//! The workers contest a few keys at a time with leases of some milliseconds and do with their claims
//! whatever a caller may: heartbeat, mark the effect, leave checkpoints, complete (twice, late, behind a
//! takeover), fail, release, drop, hang; hand over to a mailbox outside the store, from which all adopt, at
//! once or late, once or twice, also when who handed over is dead, and act on what they gave away. They
//! resolve what is in doubt, forget, note keys as seen, and list. Each writes down what it asks before and
//! what was answered after every verb (`journal`), outside the store, where a kill does not reach. A store is
//! followed for three legs of some twenty deaths; each leg ends with the death of all. Then the parent opens
//! the store, which must not scan the log, and looks at every key. Behind the second leg it takes the index
//! away as well, so that it is rebuilt from the log, and the third leg goes on from there. At the end the
//! journals of all are put together and judged key by key (`rules`).
//!
//! The index begins as small as may be, and grows: besides the contested keys the workers add fresh ones, the
//! same in all of them. A run of its own (`fresh`) has it grow all the time, with deaths at each step of
//! that, in some stores without the thread that makes and seals generations ahead; there workers stop
//! themselves between their look at a key and their swap, so that the generation they meant is an old one
//! when they go on.
//!
//! The harness is shown to find what it looks for: with a fault planted in the workers it must report
//! violations.
//!
//! One line a test: `PROVE crash tried=<deaths> violations=<n> target=<n> cycles`, and another for the
//! points.
#![cfg(feature = "kill-points")]
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // the journal's times are read from the clock that the store reads

#[path = "crash/body.rs"]
mod body;
#[path = "crash/carried.rs"]
mod carried;
#[path = "crash/check.rs"]
mod check;
#[path = "crash/errands.rs"]
mod errands;
#[path = "crash/fresh.rs"]
mod fresh;
#[path = "crash/history.rs"]
mod history;
#[path = "crash/holding.rs"]
mod holding;
#[path = "crash/journal.rs"]
mod journal;
#[path = "crash/mailbox.rs"]
mod mailbox;
#[path = "crash/notes.rs"]
mod notes;
#[path = "crash/parent.rs"]
mod parent;
#[path = "crash/random.rs"]
mod random;
#[path = "crash/rebuild.rs"]
mod rebuild;
#[path = "crash/rules.rs"]
mod rules;
#[path = "crash/start.rs"]
mod start;
#[path = "crash/survey.rs"]
mod survey;
#[path = "crash/verbs.rs"]
mod verbs;
#[path = "crash/worker.rs"]
mod worker;

use parent::{Outcome, Run};
use semel::KILL_POINTS;
use worker::{Aim, Orders};

/// The test that a worker is started with; it is the first to look whether it is one.
const ENTRY: &str = "what_was_acknowledged_survives_any_death_of_any_process";

/// Kill points of opening a store whose index is lost begin so; the others are met by workers.
const OF_THE_REBUILD: &str = "rebuild.";

fn is_release() -> bool {
    std::env::var("SEMEL_PROOF").is_ok_and(|it| it == "release")
}

fn tell(outcome: &Outcome) {
    let Outcome { report, stores, rebuilds, stops, generations, filters, .. } = outcome;
    println!(
        "\n{} verbs ({} cut short), {} grants, {} of them takeovers, {} replays, {} leases lost",
        report.calls, report.unanswered, report.grants, report.takeovers, report.replays, report.lost
    );
    println!("{stores} stores, {rebuilds} rebuilds, {stops} stops");
    println!("{generations} generations lost with their index, {filters} filters");
    report.broken.iter().for_each(|(rule, times)| println!("broken {times} times: {rule}"));
    report.stories.iter().for_each(|story| println!("{story}"));
}

#[test]
fn what_was_acknowledged_survives_any_death_of_any_process() {
    if let Some(orders) = Orders::of_this_process() {
        return worker::live(orders);
    }
    if rebuild::open_if_told() {
        return;
    }
    let (cycles, least) = if is_release() { (10_000, 100) } else { (500, 3) };
    let elsewhere = |point: &&str| point.starts_with(OF_THE_REBUILD) || OF_GROWTH.contains(point);
    let points: Vec<_> = KILL_POINTS.into_iter().filter(|point| !elsewhere(point)).collect();
    dies_everywhere("crash", Run { cycles, points, least, ..Run::of(Aim::Mixed) });
}

/// Runs with all these kill points, each of them met so many times at least.
fn dies_everywhere(name: &str, run: Run) {
    let (outcome, Run { cycles, points, least, .. }) = (parent::run(&run), run);
    tell(&outcome);
    let violations = outcome.report.violations();
    println!("PROVE {name} tried={} violations={violations} target={cycles} cycles", outcome.deaths);

    let missed = outcome.points.values().filter(|&&times| times < least).count();
    let rarest = outcome.points.iter().min_by_key(|(_, times)| **times);
    println!(
        "PROVE {name}.points tried={} violations={missed} target={} points {least} times each",
        points.len() - missed,
        points.len()
    );
    println!("deaths at each point: {:?}; fewest: {rarest:?}", outcome.points);
    assert_eq!((violations, missed), (0, 0));
    assert!(outcome.generations > 3 * outcome.rebuilds, "only {} generations", outcome.generations);
}

/// Steps of the growth of the index: few in a store, so they have a run of their own.
const OF_GROWTH: [&str; 8] = [
    "generation.made",
    "generation.published",
    "seal.closed",
    "seal.told",
    "filter.built",
    "filter.linked",
    "filter.told",
    "begin.closed",
];

const AROUND_A_GRANT: [&str; 5] =
    ["begin.taken", "begin.appended", "begin.swapped", "effect.swapped", "complete.swapped"];

/// Runs with another aim than the mixed one, and no fault.
fn holds(name: &str, aim: Aim, points: &[&'static str]) {
    let cycles = if is_release() { 1200 } else { 120 };
    let outcome = parent::run(&Run { cycles, points: points.to_vec(), ..Run::of(aim) });
    tell(&outcome);
    let violations = outcome.report.violations();
    println!("PROVE crash.{name} tried={} violations={violations} target={cycles} cycles", outcome.deaths);
    assert_eq!(violations, 0);
}

#[test]
fn an_owner_that_acts_when_its_lease_ends_is_told_the_truth() {
    holds("deadline", Aim::Deadline, &AROUND_A_GRANT);
}

#[test]
fn of_four_that_begin_a_key_in_the_same_moment_one_is_started() {
    holds("rendezvous", Aim::Rendezvous, &AROUND_A_GRANT);
}

#[test]
fn a_claim_that_goes_from_hand_to_hand_has_one_holder() {
    let points =
        ["checkpoint.swapped", "handover.swapped", "handover.committed", "adopt.appended", "adopt.swapped"];
    holds("handover", Aim::HandOver, &points);
}

#[test]
fn keys_of_all_ages_outlive_any_death_while_the_index_grows() {
    let (cycles, least) = if is_release() { (3000, 100) } else { (100, 3) };
    let points = OF_GROWTH.to_vec();
    dies_everywhere("crash.growth", Run { cycles, points, least, ..Run::of(Aim::Growth) });
}

#[test]
fn a_death_while_the_index_is_rebuilt_changes_nothing() {
    let rounds = if is_release() { 100 } else { 5 };
    let died = rebuild::die_and_open(rounds);
    println!("\nPROVE crash.rebuild tried={died} violations=0 target={} deaths", rounds * rebuild::A_ROUND);
}

/// Runs with this fault planted, until it is found.
fn finds(fault: &'static str, aim: Aim) {
    let run = Run { cycles: 1200, fault: Some(fault), until_broken: true, ..Run::of(aim) };
    let outcome = parent::run(&run);
    tell(&outcome);
    let violations = outcome.report.violations();
    println!("PROVE crash.fault.{fault} tried={} violations={violations} target=found", outcome.deaths);
    assert!(violations > 0, "{fault} was not noticed");
}

#[test]
fn a_skipped_mark_is_found() {
    finds("mark.skipped", Aim::Mixed);
}

#[test]
fn an_ignored_fence_is_found() {
    finds("fence.ignored", Aim::Mixed);
}

#[test]
fn a_takeover_that_shuts_nobody_out_is_found() {
    finds("taken.skipped", Aim::Deadline);
}

#[test]
fn a_reused_record_is_found() {
    finds("record.reused", Aim::Mixed);
}

#[test]
fn a_split_swap_is_found() {
    finds("swap.split", Aim::Rendezvous);
}

#[test]
fn a_chain_that_is_left_open_is_found() {
    finds("close.skipped", Aim::Growth);
}

#[test]
fn a_filter_that_is_built_too_early_is_found() {
    finds("filter.early", Aim::Growth);
}

#[test]
fn an_effect_mark_that_is_not_carried_on_is_found() {
    finds("effect.dropped", Aim::HandOver);
}

#[test]
fn a_hand_over_that_keeps_its_holder_is_found() {
    finds("holder.kept", Aim::HandOver);
}

#[test]
fn an_adoption_that_looks_at_no_holder_is_found() {
    finds("adopt.unchecked", Aim::HandOver);
}
