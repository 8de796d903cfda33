//! What binds a key to its payload: rules of fingerprints that cannot be compared, and fingerprints under the
//! store's secret.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;

use common::each::{on_each, on_each_with, secs};
use common::{names, small, text};
use semel::*;
use sha2::{Digest, Sha256};

fn told(store: &Store, request: Request<'_>) -> String {
    match store.begin(request).unwrap() {
        Outcome::Started(claim) => {
            let told = text(&Outcome::Started(claim));
            told.split(' ').next().unwrap().to_owned()
        }
        other => text(&other).split(' ').next().unwrap().to_owned(),
    }
}

fn completed(store: &Store, request: Request<'_>) {
    let Outcome::Started(claim) = store.begin(request).unwrap() else { panic!("it is not new") };
    claim.complete(Response::new("done")).unwrap();
}

fn unverifiable(store: &Store) -> u64 {
    store.stats().unwrap().unverifiable()
}

#[test]
fn another_rule_is_accepted_and_counted_once_a_request() {
    on_each(|store, clock| {
        let request = Request::new("scope", "k").payload("one");
        completed(store, request.rule(1));
        assert_eq!(told(store, request.rule(1)), "Replay");
        assert_eq!(told(store, request.rule(1).payload("two")), "Mismatch");
        assert_eq!(told(store, Request::new("scope", "k").rule(2)), "Replay", "unbound");
        assert_eq!(unverifiable(store), 0);
        for count in 1..4 {
            assert_eq!(told(store, request.rule(2).payload("two")), "Replay");
            assert_eq!(unverifiable(store), count);
        }
        clock.advance(secs(86_400));
        let claim = store.begin(request.rule(3)).unwrap();
        assert!(matches!(claim, Outcome::Started(_)));
        assert_eq!(told(store, request.rule(4)), "InProgress");
        assert_eq!(unverifiable(store), 4, "an expired record is not compared, a claim is");
    });
}

#[test]
fn another_rule_may_be_a_mismatch() {
    on_each_with(
        |builder| builder.unverifiable(Unverifiable::Reject),
        |store, _| {
            let request = Request::new("scope", "k").payload("one");
            completed(store, request);
            assert_eq!(told(store, request.rule(0)), "Replay", "0 is the rule of who names none");
            assert_eq!(told(store, request.rule(255)), "Mismatch");
            assert_eq!(unverifiable(store), 1);
            assert!(store.forget("scope", "k").unwrap());
            assert_eq!(told(store, request.rule(255)), "Started", "what was forgotten binds nothing");
            assert_eq!(unverifiable(store), 1);
        },
    );
}

/// Who is accepted and takes over, binds the key by the newer rule.
#[test]
fn a_takeover_binds_the_key_by_its_own_rule() {
    on_each(|store, clock| {
        let request = |payload| Request::new("scope", "k").payload(payload);
        let late = store.begin(request("one").rule(1)).unwrap();
        clock.advance(secs(30));
        let next = store.begin(request("two").rule(2)).unwrap();
        assert!(matches!(next, Outcome::Started(_)));
        assert_eq!(told(store, request("two").rule(2)), "InProgress");
        assert_eq!(told(store, request("one").rule(2)), "Mismatch");
        assert_eq!(unverifiable(store), 1);
        drop((late, next));
    });
}

#[test]
fn keyed_and_plain_fingerprints_of_one_payload_are_the_same() {
    for of_the_store in [false, true] {
        on_each_with(
            |builder| builder.keyed_fingerprints(of_the_store),
            |store, _| {
                for (first_keyed, then_keyed) in [(false, false), (false, true), (true, false), (true, true)]
                {
                    let key = format!("{first_keyed} {then_keyed}");
                    let request = |payload, keyed| {
                        let request = Request::new("scope", &key).payload(payload);
                        if keyed { request.keyed() } else { request }
                    };
                    completed(store, request("one", first_keyed));
                    assert_eq!(told(store, request("one", then_keyed)), "Replay", "{key}");
                    assert_eq!(told(store, request("two", then_keyed)), "Mismatch", "{key}");
                }
                let given = Request::new("scope", "given").fingerprint([7; 32]);
                completed(store, given.keyed());
                assert_eq!(told(store, given), "Replay");
                assert_eq!(told(store, given.fingerprint([8; 32])), "Mismatch");
                assert_eq!(unverifiable(store), 0, "they are no two rules");
            },
        );
    }
}

/// How often these bytes lie in the log.
fn times_in_log(dir: &Path, wanted: &[u8]) -> usize {
    let log = dir.join("store/log");
    let files = names(&log).into_iter().map(|name| fs::read(log.join(name)).unwrap());
    files.map(|file| file.windows(wanted.len()).filter(|bytes| *bytes == wanted).count()).sum()
}

#[test]
fn a_keyed_fingerprint_on_disk_does_not_tell_the_payloads_hash() {
    let hash = Sha256::digest("payload");
    for (keyed, of_the_store) in [(false, false), (true, false), (false, true)] {
        let dir = tempfile::tempdir().unwrap();
        let store = small(dir.path()).keyed_fingerprints(of_the_store).open().unwrap();
        let request = Request::new("scope", "k").payload("payload");
        let request = if keyed { request.keyed() } else { request };
        let Outcome::Started(claim) = store.begin(request).unwrap() else { panic!("it is not new") };
        claim.checkpoint("page 1").unwrap();
        let claim = store.adopt(&claim.hand_over().unwrap()).unwrap();
        claim.complete(Response::new("done")).unwrap();
        drop((claim, store));
        let found = times_in_log(dir.path(), &hash);
        // Begun, carried on three times, and completed.
        assert_eq!(found, if keyed || of_the_store { 0 } else { 5 }, "keyed: {keyed}, {of_the_store}");
        // It stays readable by both forms.
        let store = small(dir.path()).open().unwrap();
        assert_eq!(told(&store, Request::new("scope", "k").payload("payload")), "Replay");
        assert_eq!(told(&store, Request::new("scope", "k").payload("payload").keyed()), "Replay");
    }
}

#[test]
fn two_stores_key_one_payload_differently() {
    let keyed = || {
        let dir = tempfile::tempdir().unwrap();
        let store = small(dir.path()).keyed_fingerprints(true).open().unwrap();
        completed(&store, Request::new("scope", "k").payload("payload"));
        let log = dir.path().join("store/log");
        let file = fs::read(log.join(&names(&log)[0])).unwrap();
        let at = file.windows(6).position(|bytes| bytes == b"scopek").unwrap() + 6;
        file[at..at + 32].to_vec()
    };
    let (one, other) = (keyed(), keyed());
    assert!(one != other && one != [0; 32]);
}

/// The records before it stay until their segment is dropped; no further one has it.
#[test]
fn what_is_forgotten_is_written_without_its_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    completed(&store, Request::new("scope", "k").payload("payload"));
    assert!(store.forget("scope", "k").unwrap());
    assert_eq!(told(&store, Request::new("scope", "k")), "Started");
    drop(store);
    assert_eq!(times_in_log(dir.path(), &Sha256::digest("payload")), 2, "begun and completed");
}
