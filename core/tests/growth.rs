//! An index that grows: no key is lost, granted twice or listed twice on the way, in one process or in two,
//! and where there is no room for more the store says so and serves what it has.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use common::peer::{Peer, obey};
use common::{begin, body, in_own_mounts, index_of, mount_tmpfs, names, replay_of, small, start, text, tiny};
use semel::*;
use tempfile::tempdir;

#[test]
fn peer() {
    obey();
}

fn smallest(dir: &Path) -> Builder {
    small(dir).first_generation(1 << 10)
}

fn generations(dir: &Path) -> usize {
    names(&index_of(dir)).iter().filter(|name| name.starts_with("generation-")).count()
}

fn complete(store: &Store, key: &str) {
    start(store, key).complete(Response::new(&body(key, 20)).status(201).meta(key)).unwrap();
}

#[test]
fn keys_of_every_generation_are_found_changed_and_listed() {
    let dir = tempdir().unwrap();
    let store = smallest(dir.path()).open().unwrap();
    // A claim that is held while the index grows under it.
    let early = start(&store, "early");
    let keys: Vec<String> = (0..20_000).map(|n| format!("key {n}")).collect();
    keys.iter().for_each(|key| complete(&store, key));
    assert!(generations(dir.path()) >= 4, "it grew to {} generations", generations(dir.path()));
    early.heartbeat(std::time::Duration::from_secs(60)).unwrap();
    early.checkpoint("half").unwrap();
    early.complete(Response::new("late")).unwrap();
    drop(early); // a claim keeps its store open

    let check = |store: &Store| {
        for key in &keys {
            assert_eq!(text(&begin(store, key)), replay_of(key, 20), "{key}");
        }
        let listed: Vec<_> = store.list(Query::new()).map(|entry| entry.unwrap().key().to_vec()).collect();
        assert_eq!(listed.len(), keys.len() + 1);
        assert_eq!(listed.iter().collect::<HashSet<_>>().len(), listed.len(), "each once");
    };
    check(&store);
    drop(store);
    let store = smallest(dir.path()).open().unwrap();
    assert!(store.recovery().is_none(), "all its generations are trusted");
    check(&store);
    drop(store);
    fs::remove_dir_all(index_of(dir.path())).unwrap();
    let store = smallest(dir.path()).open().unwrap();
    assert_eq!(store.recovery().unwrap().keys, keys.len() as u64 + 1);
    assert_eq!(generations(dir.path()), 1, "rebuilt into one");
    check(&store);
    // The new generation knows how full it is.
    (0..90_000).for_each(|n| complete(&store, &format!("more {n}")));
    assert!(generations(dir.path()) >= 2);
    check_some(&store);
}

fn check_some(store: &Store) {
    for n in (0..90_000).step_by(61) {
        let key = format!("more {n}");
        assert_eq!(text(&begin(store, &key)), replay_of(&key, 20));
    }
}

#[test]
fn threads_that_race_through_growth_are_granted_each_key_once() {
    const KEYS: usize = 30_000;
    let store = tiny().first_generation(1 << 10).open().unwrap();
    let granted: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut granted = 0;
                    for n in 0..KEYS {
                        match begin(&store, &n.to_string()) {
                            Outcome::Started(claim) => {
                                granted += 1;
                                claim.complete(Response::default()).unwrap();
                            }
                            Outcome::Replay(_) | Outcome::InProgress(_) => {}
                            other => panic!("{other:?}"),
                        }
                    }
                    granted
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(granted.iter().sum::<usize>(), KEYS, "{granted:?}");
    assert_eq!(store.list(Query::new().state(State::Completed)).count(), KEYS);
}

#[test]
fn two_processes_grow_one_index() {
    let dir = tempdir().unwrap();
    let mut peer = Peer::idle(dir.path());
    let store = smallest(dir.path()).open().unwrap(); // made by this one, with the smallest generation
    assert_eq!(peer.ask("open"), "ok");
    const KEYS: usize = 20_000;
    peer.tell(&format!("race {KEYS}"));
    let mut here = HashSet::new();
    let mut claims = Vec::new();
    for n in 0..KEYS {
        match begin(&store, &n.to_string()) {
            Outcome::Started(claim) => {
                here.insert(n);
                claims.push(claim);
            }
            Outcome::InProgress(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let there: HashSet<usize> = peer.hear().split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert!(here.is_disjoint(&there), "granted twice: {:?}", here.intersection(&there).next());
    assert_eq!(here.len() + there.len(), KEYS);
    assert!(generations(dir.path()) >= 4);
    assert_eq!(store.list(Query::new()).count(), KEYS);
}

#[test]
fn an_index_without_room_to_grow_refuses_new_keys_and_serves_the_old_ones() {
    if !in_own_mounts("an_index_without_room_to_grow_refuses_new_keys_and_serves_the_old_ones") {
        return;
    }
    let dir = tempdir().unwrap();
    mount_tmpfs(&dir.path().join("memory"), "64k");
    let store = smallest(dir.path()).index_dir(dir.path().join("memory")).open().unwrap();
    let mut claims = Vec::new();
    let full = loop {
        match store.begin(Request::new("scope", &format!("key {}", claims.len())).payload("payload")) {
            Ok(Outcome::Started(claim)) => claims.push(claim),
            Ok(other) => panic!("{other:?}"),
            Err(e) => break e,
        }
        assert!(claims.len() < 20_000, "64 KiB hold no more words");
    };
    assert_eq!(full.kind(), ErrorKind::StoreFull, "{full}");
    assert!(full.to_string().contains("room"), "{full}");
    assert!(claims.len() > 2000, "full after {}", claims.len());
    for (n, claim) in claims.iter().enumerate() {
        claim.complete(Response::new("x")).unwrap();
        assert!(matches!(begin(&store, &format!("key {n}")), Outcome::Replay(_)));
    }
}
