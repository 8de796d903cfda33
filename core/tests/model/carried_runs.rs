//! Runs over checkpoint, hand_over, adopt, forget and mark_seen.

use crate::config::Verb::{
    Adopt, Begin, BeginEffect, Checkpoint, Complete, Forget, HandOver, Heartbeat, MarkSeen, Peek, Release,
    ReleaseClean, ResolveCompleted, ResolveReleased,
};
use crate::config::{Config, Program};
use crate::{both, holds};

/// Each of the one side with each of the other. The words of other keys are the business of the runs
/// without these verbs, and left to a release run.
fn pairs(left: &[Program], right: &[Program]) -> Vec<Config> {
    let foreign = u8::from(is_release());
    let configs = left.iter().flat_map(|l| right.iter().flat_map(move |r| both(&[*l, *r])));
    configs.map(|config| Config { foreign, ..config }).collect()
}

pub(crate) fn is_release() -> bool {
    std::env::var("SEMEL_PROOF").is_ok_and(|it| it == "release")
}

#[test]
fn two_threads_of_one_claim_and_its_checkpoints() {
    let owners: [Program; 5] = [
        &[Begin(0), Checkpoint(0), Complete(0)],
        &[Begin(0), Checkpoint(0), Checkpoint(0), Release(0)],
        &[Begin(0), BeginEffect(0), Checkpoint(0)],
        &[Begin(0), Heartbeat(0), Checkpoint(0)],
        &[Begin(0), Checkpoint(0), Begin(2)],
    ];
    let helpers: [Program; 4] = [
        &[Heartbeat(0), BeginEffect(0)],
        &[BeginEffect(0), Checkpoint(0)],
        &[Complete(0), Begin(1)],
        &[Complete(0), BeginEffect(0), Heartbeat(0)],
    ];
    holds("model.checkpoint.shared", &pairs(&owners, &helpers));
}

#[test]
fn a_checkpoint_is_found_by_whoever_goes_on() {
    let owners: [Program; 4] = [
        &[Begin(0), Checkpoint(0), Release(0)],
        &[Begin(0), Checkpoint(0), Heartbeat(0), Complete(0)],
        &[Begin(0), BeginEffect(0), Checkpoint(0), Release(0)],
        &[Begin(0), BeginEffect(0), Checkpoint(0), ReleaseClean(0)],
    ];
    let others: [Program; 3] = [
        &[Begin(1), Checkpoint(1), Complete(1)],
        &[ResolveReleased(0), Begin(1)],
        &[Peek, ResolveCompleted(0), Begin(1)],
    ];
    holds("model.checkpoint.taken", &pairs(&owners, &others));
}

/// The adopter has the bytes; who handed over, or another thread of it, goes on regardless.
#[test]
fn a_claim_is_handed_over() {
    let owners: [Program; 5] = [
        &[Begin(0), HandOver(0), BeginEffect(0), Release(0)],
        &[Begin(0), BeginEffect(0), HandOver(0), Complete(0)],
        &[Begin(0), Heartbeat(0), HandOver(0), Heartbeat(0)],
        &[Begin(0), Checkpoint(0), HandOver(0), Checkpoint(0)],
        &[Begin(0), HandOver(0), HandOver(0), Begin(2)],
    ];
    let adopters: [Program; 4] = [
        &[Adopt(0, 1), BeginEffect(1), Complete(1)],
        &[Adopt(0, 1), Checkpoint(1), Release(1)],
        &[Begin(3), Adopt(0, 1), Complete(1)],
        &[ResolveReleased(0), Adopt(0, 1), Heartbeat(1)],
    ];
    let all = pairs(&owners, &adopters);
    let same = all.clone().into_iter().map(|config| Config { holders: [1, 1, 3, 4], ..config });
    let long = all.iter().filter(|c| c.programs[1][0] != Adopt(0, 1));
    let long = long.map(|config| Config { lease: 1, retention: 2, ttl: 2, ..*config });
    holds("model.handover", &all.iter().copied().chain(same).chain(long).collect::<Vec<_>>());
}

/// Two threads of the one who hands over, and then of the one who adopts, all of one process.
#[test]
fn two_threads_of_one_claim_one_of_which_hands_it_over() {
    let owners: [Program; 3] = [
        &[Begin(0), HandOver(0), Adopt(0, 1), Complete(1)],
        &[Begin(0), HandOver(0), Adopt(0, 1), BeginEffect(1)],
        &[Begin(0), HandOver(0), Adopt(0, 1), HandOver(1)],
    ];
    let helpers: [Program; 4] = [
        &[Complete(0), BeginEffect(0)],
        &[BeginEffect(0), Heartbeat(0)],
        &[Checkpoint(0), Complete(0)],
        &[HandOver(0), Adopt(1, 2)],
    ];
    let all = pairs(&owners, &helpers);
    let same = all.clone().into_iter().map(|config| Config { holders: [1, 1, 1, 4], ..config });
    holds("model.handover.shared", &all.iter().copied().chain(same).collect::<Vec<_>>());
}

#[test]
fn two_adopters() {
    let givers: [Program; 2] = [
        &[Begin(0), HandOver(0), Adopt(0, 1), HandOver(1)],
        &[Begin(0), HandOver(0), Adopt(0, 1), Complete(1)],
    ];
    let takers: [Program; 3] =
        [&[Adopt(0, 2), Complete(2)], &[Adopt(0, 2), BeginEffect(2), Adopt(1, 3)], &[Begin(2), Adopt(0, 3)]];
    let all = pairs(&givers, &takers);
    let same = all.clone().into_iter().map(|config| Config { holders: [1, 1, 1, 1], ..config });
    holds("model.adopters", &all.iter().copied().chain(same).collect::<Vec<_>>());
}

#[test]
fn a_key_is_forgotten() {
    let left: [Program; 4] = [
        &[Begin(0), Complete(0), Forget],
        &[Begin(0), Heartbeat(0), Complete(0), Begin(2)],
        &[MarkSeen, Forget, MarkSeen],
        &[Begin(0), BeginEffect(0), Complete(0), BeginEffect(0)],
    ];
    let right: [Program; 4] = [
        &[Forget, Begin(1), Complete(1)],
        &[Begin(1), Forget, Peek],
        &[Complete(0), Forget],
        &[Forget, Forget],
    ];
    let short = pairs(&left, &right);
    let long = short.clone().into_iter().map(|config| Config { ttl: 2, ..config });
    holds("model.forget", &short.iter().copied().chain(long).collect::<Vec<_>>());
}

#[test]
fn a_key_is_marked_as_seen() {
    let left: [Program; 2] = [&[MarkSeen, MarkSeen], &[MarkSeen, Peek, Begin(0)]];
    let right: [Program; 5] = [
        &[MarkSeen, Forget],
        &[Begin(1), Heartbeat(1), Complete(1)],
        &[Begin(1), Checkpoint(1), Release(1), MarkSeen],
        &[Begin(1), HandOver(1), Adopt(1, 2)],
        &[Begin(1), BeginEffect(1), MarkSeen],
    ];
    let short = pairs(&left, &right);
    let long = short.clone().into_iter().map(|config| Config { ttl: 2, ..config });
    holds("model.seen", &short.iter().copied().chain(long).collect::<Vec<_>>());
}

/// The last program runs in a store whose index was lost with all threads and made again.
#[test]
fn what_was_carried_is_found_after_a_rebuild() {
    let first: [Program; 5] = [
        &[Begin(0), BeginEffect(0), Checkpoint(0)],
        &[Begin(0), Checkpoint(0), Release(0)],
        &[Begin(0), Checkpoint(0), HandOver(0)],
        &[Begin(0), Complete(0), Forget],
        &[MarkSeen, Forget, MarkSeen],
    ];
    let second: [Program; 3] = [&[Adopt(0, 1), Complete(1)], &[Heartbeat(0), Peek], &[Begin(1), Forget]];
    let after: [Program; 3] =
        [&[Adopt(0, 3), BeginEffect(3), Complete(3)], &[MarkSeen, Forget], &[Begin(3), BeginEffect(3)]];
    let mut late = Vec::new();
    for (f, s) in first.iter().flat_map(|f| second.iter().map(move |s| (f, s))) {
        let trios = after.iter().flat_map(|a| both(&[*f, *s, *a]));
        late.extend(trios.map(|c| Config { late: Some(2), deaths: 0, foreign: 0, ttl: 2, ..c }));
    }
    holds("model.rebuild.carried", &late);
}

#[test]
fn a_carried_record_torn_by_death_is_never_reached() {
    let left: [Program; 2] = [&[Begin(0), Checkpoint(0)], &[Begin(0), HandOver(0)]];
    let right: [Program; 2] = [&[Begin(1)], &[Adopt(0, 1)]];
    let torn = pairs(&left, &right).into_iter().map(|config| Config { torn: true, ..config });
    holds("model.torn.carried", &torn.collect::<Vec<_>>());
}

/// Three programs, bounded; a release run looks at more of them.
fn larger(name: &str, programs: &[Program], holders: [u8; 4]) {
    let limit = if is_release() { 6_000_000 } else { 500_000 };
    let runs = both(programs).map(|config| Config { limit, holders, progress: false, ..config });
    holds(name, &runs);
}

#[test]
fn an_owner_of_two_threads_with_checkpoints_and_a_robber() {
    let owner: Program = &[Begin(0), Checkpoint(0), Complete(0)];
    let helper: Program = &[Heartbeat(0), BeginEffect(0), Checkpoint(0)];
    let robber: Program = &[Begin(1), Checkpoint(1), Release(1)];
    larger("model.three.checkpoint", &[owner, helper, robber], [1, 2, 3, 4]);
}

#[test]
fn an_owner_of_two_threads_and_an_adopter() {
    let owner: Program = &[Begin(0), HandOver(0), BeginEffect(0)];
    let helper: Program = &[Complete(0), Heartbeat(0), BeginEffect(0)];
    let adopter: Program = &[Adopt(0, 1), BeginEffect(1), Complete(1)];
    larger("model.three.handover", &[owner, helper, adopter], [1, 2, 3, 4]);
    larger("model.three.handover.same", &[owner, helper, adopter], [1, 1, 3, 4]);
}

#[test]
fn two_adopters_and_a_robber() {
    let giver: Program = &[Begin(0), HandOver(0), Adopt(0, 1), Complete(1)];
    let adopter: Program = &[Adopt(0, 2), HandOver(2)];
    let robber: Program = &[Begin(3), HandOver(3), ResolveReleased(0)];
    larger("model.three.adopters", &[giver, adopter, robber], [1, 1, 2, 3]);
}

#[test]
fn one_forgets_one_begins_and_one_notes() {
    let begins: Program = &[Begin(0), Complete(0), Begin(1)];
    let notes: Program = &[MarkSeen, MarkSeen];
    let forgets: Program = &[Forget, Peek, Forget];
    larger("model.three.forget", &[begins, notes, forgets], [1, 2, 3, 4]);
}
