//! The verbs that need no claim: `mark_seen`, `forget`, `list` and `stats`, over a store in memory and one on
//! disk.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime};

use common::each::{on_each, secs};
use common::{begin, complete, remove_index, small, start, text, tiny};
use semel::*;

const START: Duration = Duration::from_secs(1_800_000_000);
const DAY: u64 = 86_400;

fn seen(store: &Store, key: &str) -> bool {
    store.mark_seen("scope", key, secs(60)).unwrap()
}

fn conflict(result: Result<bool>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_key_is_seen_for_the_first_time_once_in_its_ttl() {
    on_each(|store, clock| {
        assert!(seen(store, "k"));
        assert!(!seen(store, "k"));
        assert!(store.mark_seen("another scope", "k", secs(60)).unwrap());
        clock.advance(Duration::from_millis(59_999));
        assert!(!seen(store, "k"), "and the ttl counts from the first time");
        clock.advance(Duration::from_millis(1));
        assert!(seen(store, "k"));
    });
}

#[test]
fn a_ttl_outside_its_limits_is_refused_by_name() {
    on_each(|store, _| {
        for (ttl, allowed) in [
            (Duration::from_millis(999), false),
            (secs(1), true),
            (secs(400 * DAY), true),
            (secs(400 * DAY) + Duration::from_nanos(1), false),
        ] {
            let marked = store.mark_seen("scope", &format!("{ttl:?}"), ttl);
            match marked {
                Ok(first) => assert!(allowed && first),
                Err(e) => {
                    assert_eq!((allowed, e.kind()), (false, ErrorKind::InvalidArgument));
                    assert!(e.to_string().starts_with("ttl is "), "{e}");
                }
            }
        }
        let no_key = store.mark_seen("scope", "", secs(60)).unwrap_err();
        assert_eq!(no_key.kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn a_seen_key_is_replayed_empty_and_an_ended_key_was_seen() {
    on_each(|store, clock| {
        assert!(seen(store, "k"));
        clock.advance(secs(1));
        let Outcome::Replay(it) = begin(store, "k") else { panic!("not replayed") };
        assert_eq!((it.state(), it.status()), (TerminalState::Completed, 0));
        assert_eq!((it.body().len(), it.meta().len(), it.age()), (0, 0, secs(1)));
        assert_eq!(it.expires_at(), SystemTime::UNIX_EPOCH + START + secs(60));
        complete(store, "l", 10);
        start(store, "m").fail(Response::new("no")).unwrap();
        assert!(!seen(store, "l") && !seen(store, "m"));
    });
}

/// `true` exactly where a begin would be granted.
#[test]
fn a_key_that_a_claim_holds_or_that_is_in_doubt_counts_as_seen() {
    on_each(|store, clock| {
        let claim = start(store, "k");
        assert!(!seen(store, "k"));
        claim.begin_effect().unwrap();
        clock.advance(secs(30));
        assert!(!seen(store, "k"), "in doubt");
        claim.release_without_effect().unwrap();
        assert!(seen(store, "k"), "released");
        let late = start(store, "l");
        clock.advance(secs(30));
        assert!(seen(store, "l"), "orphaned");
        let lost = late.complete(Response::new("late")).unwrap_err();
        assert_eq!((lost.kind(), lost.winner().unwrap().body()), (ErrorKind::LeaseLost, &b""[..]));
        assert_eq!(store.peek("scope", "m").unwrap(), None);
    });
}

#[test]
fn of_threads_that_mark_and_begin_one_is_first() {
    on_each(|store, _| {
        for round in 0..200 {
            let (key, go) = (format!("k{round}"), Barrier::new(4));
            let first: usize = thread::scope(|scope| {
                let threads = [0, 1, 2, 3].map(|n| {
                    let (key, go) = (&key, &go);
                    scope.spawn(move || {
                        go.wait();
                        if n % 2 == 0 {
                            return usize::from(seen(store, key));
                        }
                        let Outcome::Started(claim) = begin(store, key) else { return 0 };
                        claim.complete(Response::new("claimed")).unwrap();
                        1
                    })
                });
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(first, 1, "round {round}");
            assert!(!seen(store, &key));
        }
    });
}

#[test]
fn a_forgotten_key_is_as_if_it_had_never_run() {
    on_each(|store, _| {
        drop(start(store, "k"));
        let claim = start(store, "k");
        claim.checkpoint("page 1").unwrap();
        claim.complete(Response::new("done")).unwrap();
        assert!(store.forget("scope", "k").unwrap());
        assert_eq!(store.peek("scope", "k").unwrap(), None);
        assert!(!store.forget("scope", "k").unwrap(), "absent already");
        let lost = claim.complete(Response::new("done")).unwrap_err();
        assert_eq!((lost.kind(), lost.winner()), (ErrorKind::LeaseLost, None));
        let next = store.begin(Request::new("scope", "k").payload("another payload")).unwrap();
        let Outcome::Started(next) = next else { panic!("{next:?}") };
        assert_eq!((next.reason(), next.attempt()), (StartReason::Fresh, 1));
        assert!(next.fence() > claim.fence());
        assert_eq!(next.last_checkpoint().unwrap(), b"");
        assert_eq!(store.stats().unwrap().forgotten(), 1);
    });
}

#[test]
fn only_what_has_ended_is_forgotten() {
    on_each(|store, clock| {
        let forget = |key: &str| store.forget("scope", key);
        assert!(!forget("never begun").unwrap());
        let claim = start(store, "k");
        conflict(forget("k"));
        clock.advance(secs(30));
        conflict(forget("k"));
        claim.begin_effect().unwrap();
        conflict(forget("k"));
        claim.release_without_effect().unwrap();
        assert!(!forget("k").unwrap(), "released");
        start(store, "f").fail(Response::new("no")).unwrap();
        assert!(forget("f").unwrap());
        assert!(seen(store, "s") && forget("s").unwrap() && seen(store, "s"));
        start(store, "e").complete(Response::default().ttl(secs(1))).unwrap();
        clock.advance(secs(1));
        assert!(!forget("e").unwrap(), "expired");
        assert_eq!(forget("").unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(store.stats().unwrap().forgotten(), 2);
    });
}

#[test]
fn what_was_forgotten_stays_so_when_the_index_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    complete(&store, "kept", 10);
    complete(&store, "forgotten", 10);
    assert!(store.forget("scope", "forgotten").unwrap());
    drop(store);
    let store = small(dir.path()).open().unwrap();
    assert_eq!(store.stats().unwrap().forgotten(), 1, "of every process, while the index is there");
    drop(store);
    remove_index(dir.path());
    let store = small(dir.path()).open().unwrap();
    assert_eq!(store.stats().unwrap().forgotten(), 0, "counted since the index was made");
    assert_eq!(store.peek("scope", "forgotten").unwrap(), None);
    assert_eq!(text(&begin(&store, "forgotten")), "Started Fresh 1");
    assert!(text(&begin(&store, "kept")).starts_with("Replay"));
}

/// Scope and key, and how they stand.
fn listed(store: &Store, query: Query) -> Vec<String> {
    let told = |entry: Result<Entry>| {
        let entry = entry.unwrap();
        let key = String::from_utf8_lossy(entry.key()).into_owned();
        let since = entry.since().duration_since(SystemTime::UNIX_EPOCH + START).unwrap().as_secs();
        format!("{}/{key} {:?} since {since} attempt {}", entry.scope(), entry.state(), entry.attempt())
    };
    let mut listed: Vec<String> = store.list(query).map(told).collect();
    listed.sort();
    listed
}

#[test]
fn a_list_tells_every_state_and_leaves_out_what_is_absent() {
    on_each(|store, clock| {
        assert_eq!(listed(store, Query::new()), [""; 0]);
        drop(start(store, "released"));
        let doubtful = start(store, "in doubt");
        doubtful.begin_effect().unwrap();
        let orphan = start(store, "orphan");
        clock.advance(secs(100));
        let released = start(store, "released late");
        released.begin_effect().unwrap();
        released.release().unwrap();
        complete(store, "completed", 10);
        complete(store, "forgotten", 10);
        store.forget("scope", "forgotten").unwrap();
        start(store, "expired").complete(Response::default().ttl(secs(1))).unwrap();
        clock.advance(secs(1));
        start(store, "failed").fail(Response::new("no")).unwrap();
        drop(start(store, "running"));
        let running = start(store, "running");
        store.mark_seen("seen", "k", secs(60)).unwrap();
        let all = [
            "scope/completed Completed since 100 attempt 1",
            "scope/failed Failed since 101 attempt 1",
            "scope/in doubt InDoubt since 30 attempt 1",
            "scope/orphan Orphaned since 30 attempt 1",
            "scope/released late InDoubt since 100 attempt 1",
            "scope/running InProgress since 101 attempt 2",
            "seen/k Completed since 101 attempt 1",
        ];
        assert_eq!(listed(store, Query::new()), all);
        let of = |state| listed(store, Query::new().state(state));
        assert_eq!(of(State::InDoubt), [all[2], all[4]]);
        assert_eq!(of(State::Completed), [all[0], all[6]]);
        assert_eq!(of(State::Orphaned), [all[3]]);
        assert_eq!(of(State::InProgress), [all[5]]);
        assert_eq!(of(State::Failed), [all[1]]);
        assert_eq!(listed(store, Query::new().scope_prefix("se")), [all[6]]);
        assert_eq!(listed(store, Query::new().scope_prefix("s")).len(), 7);
        assert_eq!(listed(store, Query::new().scope_prefix("seen in")), [""; 0]);
        let since = |n| Query::new().since(SystemTime::UNIX_EPOCH + START + secs(n));
        assert_eq!(listed(store, since(101)), [all[1], all[5], all[6]]);
        assert_eq!(listed(store, since(102)), [""; 0]);
        assert_eq!(listed(store, since(100).state(State::InDoubt).scope_prefix("scope")), [all[4]]);
        clock.advance(secs(1));
        running.heartbeat(secs(60)).unwrap();
        assert_eq!(listed(store, since(102)), [""; 0], "a heartbeat is no record");
        running.checkpoint("page 1").unwrap();
        assert_eq!(listed(store, since(102)), ["scope/running InProgress since 102 attempt 2"]);
        drop((doubtful, orphan));
    });
}

/// Begins, gives back, completes and forgets a hundred keys, round and round.
fn churn(store: &Store, who: usize) {
    for n in 0..10_000 {
        let key = format!("changes {who} {}", n % 100);
        match begin(store, &key) {
            Outcome::Started(claim) if n % 3 == 0 => drop(claim),
            Outcome::Started(claim) => claim.complete(Response::new(&key)).unwrap(),
            _ => assert!(store.forget("scope", &key).unwrap()),
        }
    }
}

/// Slots of the index do not move, so the walk meets each of them once, whatever the writers do.
#[test]
fn a_key_that_stands_is_listed_exactly_once_while_others_write() {
    on_each(|store, _| {
        (0..300).for_each(|n| complete(store, &format!("stands {n}"), 10));
        let running = start(store, "stands, running");
        let mut others = 0;
        let walk = || {
            let mut times = BTreeMap::<Vec<u8>, u32>::new();
            for entry in store.list(Query::new().scope_prefix("scope")) {
                *times.entry(entry.unwrap().key().to_vec()).or_default() += 1;
            }
            assert!(times.values().all(|&times| times == 1), "listed twice");
            let standing = times.keys().filter(|key| key.starts_with(b"stands")).count();
            assert_eq!(standing, 301, "not listed");
            times.len() - standing
        };
        thread::scope(|scope| {
            let writers = [0, 1].map(|who| scope.spawn(move || churn(store, who)));
            while !writers.iter().all(|writer| writer.is_finished()) {
                others += walk();
            }
        });
        assert!(others > 0, "no walk met what changes");
        drop(running);
    });
}

#[test]
fn a_damaged_record_is_an_error_in_a_list_that_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    (0..20).for_each(|n| complete(&store, &format!("key {n:02}"), 10));
    let log = dir.path().join("store/log");
    for name in common::names(&log) {
        let bytes = std::fs::read(log.join(&name)).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(log.join(&name)).unwrap();
        for at in (0..bytes.len() - 6).filter(|&at| bytes[at..].starts_with(b"key 07")) {
            file.write_all_at(b"K", at as u64).unwrap();
        }
    }
    let (whole, damaged): (Vec<_>, Vec<_>) = store.list(Query::new()).partition(Result::is_ok);
    assert_eq!((whole.len(), damaged.len()), (19, 1));
    damaged.into_iter().for_each(|e| assert_eq!(e.unwrap_err().kind(), ErrorKind::Corrupt));
}

#[test]
fn a_list_holds_nothing_up_and_sees_what_comes_before_it_ends() {
    let store = tiny().open().unwrap();
    (0..50).for_each(|n| complete(&store, &format!("k{n}"), 10));
    let mut list = store.list(Query::new());
    let first = list.next().unwrap().unwrap();
    for n in 0..50 {
        assert!(store.forget("scope", &format!("k{n}")).unwrap());
    }
    assert_eq!(list.count(), 0, "all were forgotten behind the first");
    assert!(store.peek(first.scope(), first.key()).unwrap().is_none());
}
