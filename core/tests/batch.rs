//! Batches: each request of one is answered as it would be by itself, whatever stands beside it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::{begin, small, start, text, tiny};
use semel::*;
use tempfile::tempdir;

const DAY: Duration = Duration::from_secs(86_400);

fn started(answers: Vec<Result<Outcome>>) -> Vec<Claim> {
    let claims = answers.into_iter().map(|answer| match answer.unwrap() {
        Outcome::Started(claim) => claim,
        other => panic!("{other:?}"),
    });
    claims.collect()
}

#[test]
fn a_batch_answers_in_order_as_single_requests_do() {
    let store = tiny().open().unwrap();
    let done = start(&store, "done");
    done.complete(Response::new("body").status(201)).unwrap();
    let _running = start(&store, "running");
    let doubtful = start(&store, "doubtful");
    doubtful.begin_effect().unwrap();
    doubtful.release().unwrap();
    let request = |key| Request::new("scope", key).payload("payload");
    let long = "k".repeat(256);
    let answers = store
        .begin_many(&[
            request("new"),
            request("done"),
            request("running"),
            Request::new("scope", "done").payload("another"),
            request(&long),
            request("doubtful"),
            request("new"),
            Request::new("other scope", "done"),
        ])
        .unwrap();
    let told: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(outcome) => text(outcome),
            Err(e) => format!("{:?}", e.kind()),
        })
        .collect();
    let expected = [
        "Started Fresh 1",
        "Replay Completed 201 x626f6479 x",
        "InProgress",
        "Mismatch",
        "InvalidArgument",
        "InDoubt 1",
        "InProgress",
        "Started Fresh 1",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_batch_larger_than_a_group_begins_completes_and_replays_each_key() {
    for on_disk in [false, true] {
        let dir = tempdir().unwrap();
        let store =
            if on_disk { small(dir.path()) } else { tiny() }.first_generation(1 << 10).open().unwrap();
        let keys: Vec<String> = (0..4000).map(|n| format!("key {n}")).collect();
        let requests: Vec<_> = keys.iter().map(|key| Request::new("scope", key).payload("payload")).collect();
        let claims = started(store.begin_many(&requests).unwrap());
        let completions: Vec<_> =
            claims.iter().zip(&keys).map(|(claim, key)| (claim, Response::new(key))).collect();
        for done in store.complete_many(&completions).unwrap() {
            done.unwrap();
        }
        for (key, answer) in keys.iter().zip(store.begin_many(&requests).unwrap()) {
            let Outcome::Replay(it) = answer.unwrap() else { panic!("{key} is not replayed") };
            assert_eq!(it.body(), key.as_bytes());
        }
    }
}

#[test]
fn completions_of_a_batch_fail_one_by_one() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = tiny().clock(clock.clone()).open().unwrap();
    let (lost, kept) = (start(&store, "lost"), start(&store, "kept"));
    kept.heartbeat(DAY).unwrap();
    clock.advance(Duration::from_secs(31));
    start(&store, "lost").complete(Response::new("winner")).unwrap();
    let answers = store
        .complete_many(&[
            (&lost, Response::new("loser")),
            (&kept, Response::new("own")),
            (&kept, Response::new("again").ttl(Duration::ZERO)),
        ])
        .unwrap();
    let error = answers[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert_eq!(error.winner().unwrap().body(), b"winner");
    answers[1].as_ref().unwrap();
    assert_eq!(answers[2].as_ref().unwrap_err().kind(), ErrorKind::InvalidArgument);
    let Outcome::Replay(it) = begin(&store, "kept") else { panic!("not completed") };
    assert_eq!(it.body(), b"own");
}

#[test]
fn a_batch_of_deliveries_tells_the_first_of_each() {
    let store = tiny().open().unwrap();
    let mark = |keys: &[&str]| -> Vec<bool> {
        let answers = store.mark_seen_many("events", keys, DAY).unwrap();
        answers.into_iter().map(Result::unwrap).collect()
    };
    assert_eq!(mark(&["a", "b", "a", "c", "b"]), [true, true, false, true, false]);
    assert_eq!(mark(&["c", "d"]), [false, true]);
    assert!(!store.mark_seen("events", "d", DAY).unwrap());
    assert!(store.mark_seen_many("events", &["e"], Duration::from_millis(1)).is_err());
    let answers = store.mark_seen_many("events", &["", "e"], DAY).unwrap();
    assert!(answers[0].is_err() && *answers[1].as_ref().unwrap());
}
