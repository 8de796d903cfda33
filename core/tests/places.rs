//! Where a store lies, and how its log grows: copied, moved, grown by several processes at the same time.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;

use common::peer::{Peer, obey};
use common::{begin, complete, names, remove_index, replay_of, run, small, start, text};
use semel::*;
use tempfile::tempdir;

/// The other process.
#[test]
fn peer() {
    obey();
}

fn copy(from: &Path, to: &Path) {
    run("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()]);
}

#[test]
fn a_copy_beside_its_original_is_a_store_of_its_own() {
    let dir = tempdir().unwrap();
    complete(&small(dir.path()).open().unwrap(), "before", 10);
    copy(&dir.path().join("store"), &dir.path().join("copy"));

    let original = small(dir.path()).open().unwrap();
    assert!(original.recovery().is_none(), "the original keeps its index");
    let copied = small(dir.path()).path(dir.path().join("copy")).open().unwrap();
    assert!(copied.recovery().is_some(), "the copy makes its own");
    let indexes = names(dir.path()).into_iter().filter(|name| name.starts_with("semel-"));
    assert_eq!(indexes.count(), 2);
    for store in [&original, &copied] {
        assert_eq!(text(&begin(store, "before")), replay_of("before", 10));
        complete(store, "after", 10);
        assert_eq!(text(&begin(store, "after")), replay_of("after", 10), "each runs it once");
    }
    drop((original, copied));
    for name in ["store", "copy"] {
        let again = small(dir.path()).path(dir.path().join(name)).open().unwrap();
        assert!(again.recovery().is_none(), "{name} lost its index to the other");
        assert_eq!(text(&begin(&again, "after")), replay_of("after", 10));
    }
}

#[test]
fn a_copy_taken_while_the_original_is_open_does_not_disturb_it() {
    let dir = tempdir().unwrap();
    let mut owner = Peer::attached(dir.path());
    assert_eq!(owner.ask("fill a- 100 100"), "ok");
    copy(&dir.path().join("store"), &dir.path().join("copy"));
    let copied = small(dir.path()).path(dir.path().join("copy")).open().unwrap();
    assert_eq!(text(&begin(&copied, "a-99")), replay_of("a-99", 100));
    complete(&copied, "only in the copy", 10);
    assert_eq!(owner.ask("begin a-99"), replay_of("a-99", 100));
    assert_eq!(owner.ask("fill b- 10 10"), "ok");
    let mut newcomer = Peer::attached(dir.path());
    assert_eq!(newcomer.ask("recovery"), "None");
    assert_eq!(newcomer.ask("begin b-9"), replay_of("b-9", 10));
}

#[test]
fn a_directory_may_be_renamed_while_it_is_closed() {
    let dir = tempdir().unwrap();
    complete(&small(dir.path()).open().unwrap(), "k", 10);
    fs::rename(dir.path().join("store"), dir.path().join("moved")).unwrap();
    let moved = small(dir.path()).path(dir.path().join("moved")).open().unwrap();
    assert!(moved.recovery().is_none(), "the same files on the same boot: the same index");
    assert_eq!(text(&begin(&moved, "k")), replay_of("k", 10));
    let fresh = small(dir.path()).open().unwrap();
    assert!(matches!(begin(&fresh, "k"), Outcome::Started(_)), "the old path is free for another store");
}

#[test]
fn a_directory_may_be_renamed_while_it_is_open() {
    let dir = tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    let claim = start(&store, "k");
    fs::rename(dir.path().join("store"), dir.path().join("moved")).unwrap();
    for n in 0..30 {
        complete(&store, &format!("grows {n}"), 100_000);
    }
    let moved = small(dir.path()).path(dir.path().join("moved")).open().unwrap();
    assert_eq!(text(&begin(&moved, "k")), "InProgress", "one engine, whatever its name");
    claim.complete(Response::new(&common::body("k", 10)).status(201).meta("k")).unwrap();
    let mut other = Peer::idle(dir.path());
    assert_eq!(other.ask("open"), "ok", "the old path is free for another store");
    assert_eq!(other.ask("begin k"), "Started Fresh 1");
    drop((store, moved, claim));
    let moved = small(dir.path()).path(dir.path().join("moved")).open().unwrap();
    assert_eq!(text(&begin(&moved, "k")), replay_of("k", 10));
    assert_eq!(text(&begin(&moved, "grows 29")), replay_of("grows 29", 100_000));
}

#[test]
fn a_directory_removed_under_an_open_store_is_an_error_at_the_next_growth_and_no_sooner() {
    let dir = tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    complete(&store, "k", 10);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(text(&begin(&store, "k")), replay_of("k", 10), "what is mapped is served");
    let mut kept = Vec::new();
    let e = loop {
        let key = format!("more {}", kept.len());
        match store.begin(Request::new("scope", &key)) {
            Ok(Outcome::Started(claim)) => match claim.complete(Response::new(&[1; 50_000])) {
                Ok(()) => kept.push(key),
                Err(e) => break e,
            },
            Ok(other) => panic!("{other:?}"),
            Err(e) => break e,
        }
    };
    assert_eq!(e.kind(), ErrorKind::Io, "{e}");
    assert!(e.to_string().contains("store/log"), "{e}");
}

#[test]
fn a_log_of_many_segments_is_read_from_any_process_and_after_a_rebuild() {
    let dir = tempdir().unwrap();
    let keys = 400;
    let mut writer = Peer::attached(dir.path());
    let store = small(dir.path()).open().unwrap();
    assert_eq!(writer.ask(&format!("fill k {keys} 20000")), "ok");
    let segments = names(&dir.path().join("store/log"));
    assert!(segments.len() >= 8, "{segments:?}");
    let check = |store: &Store| {
        for n in 0..keys {
            let key = format!("k{n}");
            assert_eq!(text(&begin(store, &key)), replay_of(&key, 20_000));
        }
    };
    check(&store);
    drop(store);
    writer.kill();
    remove_index(dir.path());
    let store = small(dir.path()).open().unwrap();
    // What was made ready and never used is gone: at most one segment a class.
    let kept = names(&dir.path().join("store/log")).len();
    assert_eq!(store.recovery().unwrap().segments, kept as u64);
    assert!((segments.len() - 2..=segments.len()).contains(&kept), "{kept} of {segments:?}");
    check(&store);
}

#[test]
fn processes_that_grow_the_log_at_the_same_time_lose_nothing() {
    let dir = tempdir().unwrap();
    let (processes, keys) = (8, 30);
    let mut peers: Vec<_> = (0..processes).map(|_| Peer::attached(dir.path())).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.tell(&format!("fill p{n}- {keys} 100000"));
    }
    for peer in &mut peers {
        assert_eq!(peer.hear(), "ok");
    }
    let log = names(&dir.path().join("store/log"));
    assert!(log.len() >= processes * keys / 10, "{} segments", log.len());
    // Each has its own view of the segments, also of those that it made in vain.
    for peer in &mut peers {
        for n in 0..processes {
            assert_eq!(peer.ask(&format!("check p{n}- {keys} 100000")), "ok");
        }
    }
    drop(peers);
    let check = |store: &Store| {
        for key in (0..processes).flat_map(|n| (0..keys).map(move |k| format!("p{n}-{k}"))) {
            assert_eq!(text(&begin(store, &key)), replay_of(&key, 100_000));
        }
    };
    check(&small(dir.path()).open().unwrap());
    let log = names(&dir.path().join("store/log"));
    assert!(log.iter().all(|name| name.ends_with(".seg")), "something was left: {log:?}");
    remove_index(dir.path());
    let store = small(dir.path()).open().unwrap();
    assert_eq!(store.recovery().unwrap().keys, (processes * keys) as u64);
    check(&store);
}
