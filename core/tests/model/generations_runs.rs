//! Runs over an index that grows: generations of a word or two, so that chains fill.

use crate::carried_runs::is_release;
use crate::config::Verb::{
    Adopt, Begin, BeginEffect, Checkpoint, Complete, Forget, HandOver, Heartbeat, List, MarkSeen, Peek,
    Release, ResolveReleased, Seal,
};
use crate::config::{Config, OnCrash, Program};
use crate::holds;

/// Words of each generation; the last shape is all that there is room for.
pub(crate) const ONES: &[u8] = &[1, 1, 1];
pub(crate) const TWO_ONE: &[u8] = &[2, 1];
const TWOS: &[u8] = &[2, 2];
const LARGE: &[u8] = &[2, 2, 2];

/// Growth, closing and filters at any moment. CI looks for progress in the smaller shape.
pub(crate) fn growing(programs: &[Program], shape: &'static [u8]) -> Config {
    let progress = shape == ONES || is_release();
    Config { shape, progress, grows: true, seals: true, extended: true, ticks: 2, ..Config::new(programs) }
}

/// What a run of CI looks at, and what a release run does besides.
fn small_and_large(of: impl Fn(&'static [u8], OnCrash) -> Vec<Config>) -> Vec<Config> {
    let mut all = of(ONES, OnCrash::Rerun);
    all.extend(of(TWO_ONE, OnCrash::Rerun));
    if is_release() {
        for (shape, on_crash) in [
            (ONES, OnCrash::InDoubt),
            (TWO_ONE, OnCrash::InDoubt),
            (TWOS, OnCrash::Rerun),
            (LARGE, OnCrash::Rerun),
        ] {
            all.extend(of(shape, on_crash));
        }
        let crowded = of(TWOS, OnCrash::Rerun).into_iter();
        all.extend(crowded.map(|config| Config { foreign: 2, ..config }));
    }
    all
}

/// Each of the one side with each of the other.
fn pairs(left: &[Program], right: &[Program]) -> Vec<Config> {
    small_and_large(|shape, on_crash| {
        let programs = left.iter().flat_map(|l| right.iter().map(move |r| [*l, *r]));
        programs.map(|pair| Config { on_crash, ..growing(&pair, shape) }).collect()
    })
}

#[test]
fn two_begin_one_key_while_the_index_grows() {
    let left: [Program; 1] = [&[Begin(0), Complete(0)]];
    let right: [Program; 2] = [&[Begin(1), Complete(1)], &[MarkSeen]];
    holds("model.grows.begin", &pairs(&left, &right));
}

#[test]
fn a_claim_goes_on_where_it_is_while_the_index_grows() {
    let left: [Program; 2] = [&[Begin(0), Complete(0)], &[Begin(0), Release(0)]];
    holds("model.grows.complete", &pairs(&left, &[&[Complete(0), Begin(1)]]));
}

#[test]
fn a_claim_is_taken_over_while_the_index_grows() {
    let left: [Program; 2] = [&[Begin(0), BeginEffect(0)], &[Begin(0), Heartbeat(0)]];
    holds("model.grows.takeover", &pairs(&left, &[&[Begin(1), Complete(1)]]));
}

#[test]
fn what_stands_is_found_while_the_index_grows() {
    let looks: [Program; 3] = [&[Peek, Peek], &[Forget, Begin(1)], &[List, List]];
    holds("model.grows.look", &pairs(&[&[Begin(0), Complete(0)]], &looks));
}

#[test]
fn a_claim_is_carried_on_while_the_index_grows() {
    let mut all = pairs(&[&[Begin(0), HandOver(0)]], &[&[Adopt(0, 1), Complete(1)]]);
    all.extend(pairs(&[&[Begin(0), Checkpoint(0)]], &[&[Begin(1)]]));
    all.extend(pairs(&[&[Begin(0), BeginEffect(0)]], &[&[ResolveReleased(0), Begin(1)]]));
    holds("model.grows.carried", &all);
}

/// Helper threads that close and filter step by step, and may die over it. That everybody else makes progress
/// is looked at by the runs where anybody does it.
#[test]
fn the_older_generations_are_sealed_meanwhile() {
    let all = small_and_large(|shape, on_crash| {
        let trios: [[Program; 3]; 2] =
            [[&[Begin(0), Peek], &[Seal], &[Seal]], [&[Begin(0)], &[Begin(1)], &[Seal, Seal]]];
        let trios = trios.iter().take(if shape == ONES && !is_release() { 1 } else { 2 });
        trios.map(|trio| Config { seals: false, progress: false, on_crash, ..growing(trio, shape) }).collect()
    });
    holds("model.grows.seal", &all);
}

/// The third program runs in a store whose index was lost with all threads and made again, of one generation.
#[test]
fn the_index_grows_again_after_a_rebuild() {
    let first: [Program; 2] = [&[Begin(0), Complete(0)], &[Begin(0), Release(0)]];
    let all = small_and_large(|shape, on_crash| {
        let trios = first.iter().map(|f| [*f, &[Begin(1)], &[Begin(3), Complete(3)]] as [Program; 3]);
        let late = trios.map(|trio| Config { late: Some(2), on_crash, ..growing(&trio, shape) });
        late.map(|config| Config { deaths: 0, foreign: 0, ..config }).collect()
    });
    holds("model.grows.rebuild", &all);
}

/// Three callers, bounded.
#[test]
fn three_threads_while_the_index_grows() {
    let limit = if is_release() { 6_000_000 } else { 150_000 };
    let trios: [[Program; 3]; 3] = [
        [&[Begin(0), Complete(0)], &[Begin(1), Complete(1)], &[Begin(2), Complete(2)]],
        [&[Begin(0), Complete(0)], &[Complete(0), Begin(1)], &[Peek, Forget, List]],
        [&[Begin(0), HandOver(0)], &[Adopt(0, 1), Complete(1)], &[Begin(2), Seal]],
    ];
    let all = trios.iter().flat_map(|trio| [ONES, TWOS].map(|shape| growing(trio, shape)));
    let all = all.map(|config| Config { limit, progress: false, ..config });
    holds("model.grows.three", &all.collect::<Vec<_>>());
}
