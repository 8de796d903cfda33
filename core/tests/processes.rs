//! Several processes of one host share one store: they see each other's claims and completions, may die at
//! any moment, and find everything again, with the index or without it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use common::peer::{Peer, obey};
use common::{begin, complete, index_of, names, remove_index, replay_of, small, start, text};
use semel::*;
use tempfile::tempdir;

/// The other process.
#[test]
fn peer() {
    obey();
}

#[test]
fn what_one_process_began_or_ended_the_other_sees() {
    let dir = tempdir().unwrap();
    let (mut a, mut b) = (Peer::attached(dir.path()), Peer::attached(dir.path()));
    assert_eq!(a.ask("begin k"), "Started Fresh 1");
    assert_eq!(b.ask("begin k"), "InProgress");
    assert_eq!(a.ask("complete k 5000"), "ok");
    assert_eq!(b.ask("begin k"), replay_of("k", 5000));

    assert_eq!(b.ask("begin given-back"), "Started Fresh 1");
    assert_eq!(b.ask("release given-back"), "Absent");
    assert_eq!(a.ask("begin given-back"), "Started AfterRelease 2");

    assert_eq!(a.ask("begin doubtful"), "Started Fresh 1");
    assert_eq!(a.ask("effect doubtful"), "ok");
    assert_eq!(a.ask("release doubtful"), "InDoubt");
    assert_eq!(b.ask("begin doubtful"), "InDoubt 1");
}

#[test]
fn a_thousand_contested_keys_are_started_once_each() {
    let (peers, keys) = (8, 1000);
    let dir = tempdir().unwrap();
    let mut peers: Vec<_> = (0..peers).map(|_| Peer::attached(dir.path())).collect();
    for peer in &mut peers {
        peer.tell(&format!("race {keys}"));
    }
    let mut started: HashMap<String, u32> = HashMap::new();
    for peer in &mut peers {
        for key in peer.hear().split_whitespace() {
            *started.entry(key.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(started.len(), keys, "a key was started by nobody");
    assert!(started.values().all(|&times| times == 1), "a key was started twice: {started:?}");
}

#[test]
fn on_the_same_boot_nothing_is_scanned_even_after_all_were_killed() {
    let dir = tempdir().unwrap();
    let mut peers: Vec<_> = (0..3).map(|_| Peer::attached(dir.path())).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.ask(&format!("begin held-{n}")), "Started Fresh 1");
        assert_eq!(peer.ask(&format!("fill peer-{n}- 100 50")), "ok");
    }
    peers.into_iter().for_each(Peer::kill);
    let store = small(dir.path()).open().unwrap();
    assert!(store.recovery().is_none());
    for n in 0..3 {
        assert_eq!(text(&begin(&store, &format!("held-{n}"))), "InProgress", "its lease runs on");
        let key = format!("peer-{n}-99");
        assert_eq!(text(&begin(&store, &key)), replay_of(&key, 50));
    }
}

/// Closes the store by dropping it, removes the index, and opens it again with a clock that says this.
fn rebuilt(dir: &tempfile::TempDir, store: Store, clock: &Clock) -> Store {
    drop(store);
    remove_index(dir.path());
    let store = small(dir.path()).clock(clock.clone()).open().unwrap();
    assert!(store.recovery().is_some(), "the index was made anew");
    store
}

#[test]
fn an_index_that_is_gone_is_rebuilt_from_the_log() {
    let dir = tempdir().unwrap();
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = small(dir.path()).clock(clock.clone()).open().unwrap();
    assert!(store.recovery().is_none(), "a new store has nothing to recover");
    for n in 0..50 {
        complete(&store, &format!("done-{n}"), n * 100);
    }
    start(&store, "failed").fail(Response::new("no").status(402)).unwrap();
    start(&store, "large").complete(Response::new(&vec![1; 300_000])).unwrap();
    start(&store, "released").release().unwrap();
    drop(start(&store, "dropped"));
    let doubtful = start(&store, "doubtful");
    doubtful.begin_effect().unwrap();
    doubtful.release().unwrap();
    let running = start(&store, "running");
    running.heartbeat(Duration::from_secs(3600)).unwrap();
    let marked = start(&store, "marked");
    marked.begin_effect().unwrap();
    let again = start(&store, "again");
    again.release().unwrap();
    start(&store, "again").complete(Response::new("second")).unwrap();
    // What lives on in this process belongs to a claim whose owner is gone: it must not write any more.
    std::mem::forget((running, marked));

    let seen = |store: &Store, key: &str| store.peek("scope", key).unwrap();
    let before = seen(&store, "running");
    // The forgotten claims hold the engine, so another process's view is taken: a copy, as after a reboot.
    let copy = tempdir().unwrap();
    common::run("cp", &["-a", path(&dir, "store"), copy.path().to_str().unwrap()]);
    drop(store);
    let store = small(copy.path()).clock(clock.clone()).open().unwrap();

    let recovery = store.recovery().unwrap();
    // Three lifetime classes in use: claims, completions, doubt.
    assert_eq!((recovery.segments, recovery.keys, recovery.unreadable), (3, 58, 0), "{recovery:?}");
    // A claim and an ending for each of 58 keys but the two that run, and four records of the key that ran
    // twice.
    assert_eq!((recovery.committed, recovery.uncommitted), (2 * 58 - 2 + 2, 0), "{recovery:?}");
    for n in 0..50 {
        let key = format!("done-{n}");
        assert_eq!(text(&begin(&store, &key)), replay_of(&key, n * 100));
    }
    assert_eq!(text(&begin(&store, "failed")), "Replay Failed 402 x6e6f x");
    assert!(text(&begin(&store, "large")).starts_with("Omitted Completed TooLarge"));
    assert_eq!(seen(&store, "released"), None);
    assert_eq!(seen(&store, "dropped"), None);
    assert!(matches!(seen(&store, "doubtful"), Some(Peek::InDoubt(_))));
    // With the deadline of its heartbeat, but for the 10 s by which time goes on ahead of what may have been
    // issued.
    let ahead = 10;
    let (Some(Peek::InProgress(was)), Some(Peek::InProgress(is))) = (before, seen(&store, "running")) else {
        panic!("not in progress");
    };
    assert!(is.lease_left() <= was.lease_left());
    assert!(is.lease_left() >= was.lease_left() - Duration::from_secs(ahead));
    assert_eq!(text(&begin(&store, "again")), "Replay Completed 0 x7365636f6e64 x");
    clock.advance(Duration::from_secs(31));
    assert!(matches!(seen(&store, "marked"), Some(Peek::InDoubt(_))), "its effect mark was recovered");
    assert_eq!(text(&begin(&store, "released")), "Started AfterRelease 2");
}

fn path<'a>(dir: &tempfile::TempDir, name: &'a str) -> &'a str {
    Box::leak(dir.path().join(name).into_os_string().into_string().unwrap().into_boxed_str())
}

#[test]
fn a_claim_does_not_come_back_from_behind_its_expired_completion() {
    let dir = tempdir().unwrap();
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = small(dir.path()).clock(clock.clone()).open().unwrap();
    let claim = start(&store, "k");
    claim.heartbeat(Duration::from_secs(24 * 3600)).unwrap();
    claim.begin_effect().unwrap();
    claim.complete(Response::new("x").ttl(Duration::from_secs(1))).unwrap();
    let fence = claim.fence();
    drop(claim);
    clock.advance(Duration::from_secs(2));
    // Its claim would still be in progress, and then in doubt for a month; its completion has expired.
    let store = rebuilt(&dir, store, &clock);
    assert_eq!(store.peek("scope", "k").unwrap(), None);
    let next = start(&store, "k");
    assert_eq!(next.reason(), StartReason::Fresh);
    assert!(next.fence() > fence, "fences grow through expiry and recovery");
}

#[test]
fn fences_and_time_never_run_back_through_a_rebuild() {
    let dir = tempdir().unwrap();
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let mut store = small(dir.path()).clock(clock).open().unwrap();
    let mut fence = start(&store, "k").fence();
    for years_back in [0, 1, 10, 50] {
        let clock = Clock::manual(Duration::from_secs(1_800_000_000 - years_back * 31_536_000));
        store = rebuilt(&dir, store, &clock);
        let next = start(&store, "k").fence();
        assert!(next > fence, "{years_back} years back");
        fence = next;
    }
}

#[test]
fn while_somebody_is_attached_a_lost_index_is_never_made_a_second_time() {
    let dir = tempdir().unwrap();
    let mut a = Peer::attached(dir.path());
    assert_eq!(a.ask("begin k"), "Started Fresh 1");
    let index = index_of(dir.path());
    let hidden = dir.path().join("hidden");
    fs::rename(&index, &hidden).unwrap();
    let mut b = Peer::idle(dir.path());
    for _ in 0..3 {
        let refusal = b.ask("open");
        assert!(refusal.starts_with("Unavailable") && refusal.contains("index_dir"), "{refusal}");
    }
    assert!(!names(dir.path()).iter().any(|name| name.starts_with("semel-")), "a second index was made");
    let elsewhere = tempdir().unwrap();
    let refusal = b.ask(&format!("open-with-index-in {}", elsewhere.path().display()));
    assert!(refusal.starts_with("Unavailable"), "another index_dir is another index: {refusal}");
    assert_eq!(names(elsewhere.path()), [""; 0]);

    assert_eq!(a.ask("complete k 10"), "ok", "who has it mapped goes on");
    fs::rename(&hidden, &index).unwrap();
    assert_eq!(b.ask("open"), "ok");
    assert_eq!(b.ask("begin k"), replay_of("k", 10));

    // Gone for good, and the last one too: then it is rebuilt.
    a.kill();
    assert_eq!(b.ask("close"), "ok");
    fs::remove_dir_all(&index).unwrap();
    assert_eq!(b.ask("open"), "ok");
    assert!(b.ask("recovery").starts_with("Some"));
    assert_eq!(b.ask("begin k"), replay_of("k", 10));
}

#[test]
fn one_directory_opened_twice_in_a_process_is_one_engine() {
    let dir = tempdir().unwrap();
    let options = || small(dir.path()).processes(1);
    let first = options().open().unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("alias")).unwrap();
    let paths = ["store", "store/", "./store", "store/../store", "alias/store"];
    for name in paths {
        let again = options().path(dir.path().join(name)).open().unwrap();
        let claim = start(&first, name);
        assert_eq!(text(&begin(&again, name)), "InProgress", "through {name}");
        claim.complete(Response::new(&common::body(name, 9)).status(201).meta(name)).unwrap();
        assert_eq!(text(&begin(&again, name)), replay_of(name, 9), "through {name}");
    }
    let mut other = Peer::idle(dir.path());
    assert!(other.ask("open-with-processes 1").starts_with("Unavailable"), "the one place is taken");
    drop(first);
    assert_eq!(other.ask("open-with-processes 1"), "ok", "and free when the last handle is gone");
}

#[test]
fn threads_that_open_at_once_share_one_engine() {
    let dir = tempdir().unwrap();
    let stores: Vec<_> = std::thread::scope(|scope| {
        let open = || small(dir.path()).processes(1).open().unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let _claim = start(&stores[0], "k");
    assert!(stores.iter().all(|store| text(&begin(store, "k")) == "InProgress"));
}

#[test]
fn two_hundred_exits_without_a_close_lose_nothing() {
    let exits = 200;
    let dir = tempdir().unwrap();
    let together = 8;
    for batch in 0..exits / together {
        let mut peers: Vec<_> = (0..together).map(|_| Peer::attached(dir.path())).collect();
        for (n, peer) in peers.iter_mut().enumerate() {
            peer.tell(&format!("fill exit-{batch}-{n}- 2 100"));
            peer.tell(&format!("begin held-{batch}-{n}"));
        }
        for peer in &mut peers {
            assert_eq!((peer.hear(), peer.hear()), ("ok".into(), "Started Fresh 1".into()));
        }
        peers.into_iter().for_each(Peer::exit);
    }
    let store = small(dir.path()).open().unwrap();
    assert!(store.recovery().is_none());
    let check = |store: &Store| {
        for batch in 0..exits / together {
            for n in 0..together {
                let key = format!("exit-{batch}-{n}-1");
                assert_eq!(text(&begin(store, &key)), replay_of(&key, 100));
                assert_eq!(text(&begin(store, &format!("held-{batch}-{n}"))), "InProgress");
            }
        }
    };
    check(&store);
    drop(store);
    remove_index(dir.path());
    check(&small(dir.path()).open().unwrap());
}
