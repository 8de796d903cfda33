//! The short form: who runs, who waits, and what each way to fail leaves behind.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::cell::Cell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Barrier, Mutex};
use std::thread;

use common::each::{on_each, secs};
use common::{begin, complete, in_own_mounts, mount_tmpfs, small, start, text, tiny};
use semel::*;

type Once = std::result::Result<Vec<u8>, OnceError<String>>;

fn once(store: &Store, key: &str, run: impl FnOnce(&Claim) -> std::result::Result<String, String>) -> Once {
    store.once("scope", key, "payload", OnCrash::Rerun, run)
}

fn never(_: &Claim) -> std::result::Result<String, String> {
    panic!("it ran again")
}

fn paid(_: &Claim) -> std::result::Result<String, String> {
    Ok("paid".into())
}

fn failed(result: Once) -> String {
    match result {
        Err(OnceError::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_runs_once_and_answers_every_caller() {
    on_each(|store, clock| {
        assert_eq!(
            once(store, "k", |claim| Ok(format!("paid at {}", claim.attempt()))).unwrap(),
            b"paid at 1"
        );
        assert_eq!(once(store, "k", never).unwrap(), b"paid at 1");
        assert!(matches!(begin(store, "k"), Outcome::Replay(it) if it.body() == b"paid at 1"));
        assert_eq!(
            once(store, "", never).map_err(|e| e.to_string()).unwrap_err().split(' ').next(),
            Some("key")
        );
        clock.advance(secs(86_400));
        assert_eq!(once(store, "k", |_| Ok("paid again".into())).unwrap(), b"paid again");
        complete(store, "by a claim", 10);
        assert_eq!(once(store, "by a claim", never).unwrap(), common::body("by a claim", 10));
    });
}

/// By the function itself: then its caller is told what everybody is told.
#[test]
fn a_claim_that_the_function_ended_answers_its_caller_too() {
    on_each(|store, _| {
        let completes = |claim: &Claim| {
            claim.complete(Response::new("recorded")).unwrap();
            Ok("returned".into())
        };
        assert_eq!(once(store, "completed", completes).unwrap(), b"recorded");
        assert_eq!(once(store, "completed", never).unwrap(), b"recorded");
        let fails = |claim: &Claim| {
            claim.fail(Response::new("no")).unwrap();
            Ok("returned".into())
        };
        for run in [fails, never] {
            let Err(OnceError::FailedBefore(it)) = once(store, "failed", run) else { panic!("not failed") };
            assert_eq!(it.body(), b"no");
        }
    });
}

#[test]
fn of_eight_threads_one_runs_it_and_all_get_its_result() {
    on_each(|store, _| {
        for round in 0..10 {
            let (key, go, runs) = (format!("k{round}"), Barrier::new(8), Mutex::new(0));
            let call = || {
                go.wait();
                let run = |claim: &Claim| {
                    *runs.lock().unwrap() += 1;
                    (0..50).for_each(|_| thread::yield_now());
                    Ok(format!("by {}", claim.fence()))
                };
                once(store, &key, run).unwrap()
            };
            let results: Vec<Vec<u8>> = thread::scope(|scope| {
                let threads = [(); 8].map(|()| scope.spawn(call));
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(*runs.lock().unwrap(), 1);
            assert!(results[0].starts_with(b"by ") && results.iter().all(|result| *result == results[0]));
        }
    });
}

#[test]
fn who_waits_takes_over_or_is_in_doubt_when_the_lease_ends() {
    on_each(|store, clock| {
        for (key, on_crash) in [("rerun", OnCrash::Rerun), ("in doubt", OnCrash::InDoubt)] {
            let request = Request::new("scope", key).payload("payload").on_crash(on_crash);
            let held = store.begin(request).unwrap();
            let result = thread::scope(|scope| {
                let waits = scope.spawn(|| once(store, key, |claim| Ok(claim.attempt().to_string())));
                // Whether it waits by then or comes later, it meets the end of the lease.
                clock.advance(secs(30));
                waits.join().unwrap()
            });
            match on_crash {
                OnCrash::Rerun => assert_eq!(result.unwrap(), b"2"),
                OnCrash::InDoubt => {
                    assert!(matches!(result, Err(OnceError::InDoubt(it)) if it.attempt() == 1))
                }
            }
            drop(held);
        }
    });
}

#[test]
fn a_function_that_fails_or_panics_gives_the_key_back() {
    on_each(|store, _| {
        assert_eq!(failed(once(store, "k", |_| Err("no money".into()))), "no money");
        assert_eq!(store.peek("scope", "k").unwrap(), None);
        let panicked = catch_unwind(AssertUnwindSafe(|| once(store, "k", |_| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(store.peek("scope", "k").unwrap(), None);
        assert_eq!(once(store, "k", |claim| Ok(claim.attempt().to_string())).unwrap(), b"3");
        // That nothing happened is known, whatever was said of a crash.
        let careful = |key, run: fn(&Claim) -> std::result::Result<String, String>| {
            store.once("scope", key, "payload", OnCrash::InDoubt, run)
        };
        assert_eq!(failed(careful("l", |_| Err("no money".into()))), "no money");
        assert_eq!(careful("l", paid).unwrap(), b"paid");
    });
}

#[test]
fn a_failure_behind_an_effect_is_in_doubt() {
    on_each(|store, _| {
        let effect = |claim: &Claim| {
            claim.checkpoint("sent").unwrap();
            claim.begin_effect().unwrap();
        };
        let why = failed(once(store, "k", |claim| {
            effect(claim);
            Err("no answer".into())
        }));
        assert_eq!(why, "no answer");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            once(store, "l", |claim| {
                effect(claim);
                panic!("on purpose")
            })
        }));
        assert!(panicked.is_err());
        for key in ["k", "l"] {
            let Err(OnceError::InDoubt(it)) = once(store, key, never) else {
                panic!("{key} is not in doubt")
            };
            assert_eq!((it.attempt(), it.checkpoint()), (1, &b"sent"[..]));
            store.resolve("scope", key, it.fence(), Resolution::Completed(Response::new("it was"))).unwrap();
            assert_eq!(once(store, key, never).unwrap(), b"it was");
        }
    });
}

#[test]
fn a_failure_that_was_recorded_is_told_to_every_later_caller() {
    on_each(|store, _| {
        let why = failed(once(store, "k", |claim| {
            claim.fail(Response::new("card stolen").status(402)).unwrap();
            Err("card stolen".into())
        }));
        assert_eq!(why, "card stolen");
        let Err(OnceError::FailedBefore(it)) = once(store, "k", never) else { panic!("it did not fail") };
        assert_eq!((it.body(), it.status(), it.state()), (&b"card stolen"[..], 402, TerminalState::Failed));
    });
}

#[test]
fn what_cannot_be_answered_is_told_and_nothing_runs() {
    on_each(|store, _| {
        once(store, "k", paid).unwrap();
        let other = store.once("scope", "k", "another payload", OnCrash::Rerun, never);
        assert!(matches!(other, Err(OnceError::Mismatch(_))), "{other:?}");
        let large = "x".repeat((256 << 10) + 1);
        assert_eq!(
            once(store, "l", |_| Ok(large.clone())).unwrap(),
            large.as_bytes(),
            "its own caller has it"
        );
        let later = once(store, "l", never);
        assert!(matches!(later, Err(OnceError::Omitted(it)) if it.reason() == OmittedReason::TooLarge));
        let long = once(store, &"k".repeat(256), never);
        assert!(matches!(long, Err(OnceError::Store(e)) if e.kind() == ErrorKind::InvalidArgument));
    });
}

#[test]
fn who_lost_the_lease_gets_the_winners_result_or_keeps_its_own() {
    on_each(|store, clock| {
        let robbed = |key: &str, winner: &dyn Fn(Claim)| {
            once(store, key, |_| {
                clock.advance(secs(30));
                winner(start(store, key));
                Ok("the loser's".into())
            })
        };
        let won = robbed("k", &|winner| winner.complete(Response::new("the winner's")).unwrap());
        assert_eq!(won.unwrap(), b"the winner's");
        let failed = robbed("failed", &|winner| winner.fail(Response::new("no")).unwrap());
        assert!(matches!(failed, Err(OnceError::FailedBefore(it)) if it.body() == b"no"));
        for (key, winner) in [
            ("running", (|winner| drop(winner.hand_over().unwrap())) as fn(Claim)),
            ("released", |winner| assert_eq!(winner.release().unwrap(), Released::Absent)),
        ] {
            let Err(OnceError::Unrecorded(it)) = robbed(key, &winner) else { panic!("{key}: recorded") };
            assert_eq!(it.error().kind(), ErrorKind::LeaseLost);
            assert_eq!(it.into_result(), b"the loser's", "{key}");
        }
        assert_eq!(once(store, "released", paid).unwrap(), b"paid");
    });
}

#[test]
fn a_claim_that_the_function_handed_over_is_the_adopters() {
    on_each(|store, _| {
        let bytes = Mutex::new(Vec::new());
        let result = once(store, "k", |claim| {
            *bytes.lock().unwrap() = claim.hand_over().unwrap();
            Err("somebody else finishes it".into())
        });
        assert_eq!(failed(result), "somebody else finishes it");
        assert_eq!(text(&begin(store, "k")), "InProgress");
        store.adopt(&*bytes.lock().unwrap()).unwrap().complete(Response::new("finished")).unwrap();
        assert_eq!(once(store, "k", never).unwrap(), b"finished");
    });
}

#[test]
fn an_error_says_what_happened_and_leads_to_its_source() {
    let store = tiny().open().unwrap();
    let e = store.once("scope", "k", "payload", OnCrash::Rerun, |_| "x".parse::<u8>().map(|n| vec![n]));
    let Err(e) = e else { panic!("it ran") };
    assert_eq!(e.to_string(), "invalid digit found in string");
    assert_eq!(std::error::Error::source(&e).unwrap().to_string(), e.to_string());
    for (e, told) in [
        (once(&store, "", never).unwrap_err(), "key is 0 bytes"),
        (
            once(&store, "k", |claim| {
                claim.begin_effect().unwrap();
                Err("why".into())
            })
            .unwrap_err(),
            "why",
        ),
        (once(&store, "k", never).unwrap_err(), "in doubt"),
        (store.once("scope", "k", "b", OnCrash::Rerun, never).unwrap_err(), "another payload"),
    ] {
        assert!(e.to_string().contains(told), "{e}");
    }
}

/// Takes all room there is, in every open chunk, by records shorter than any other of this test.
fn fill(store: &Store, held: &mut Vec<Claim>) {
    let mut refused = 0;
    for n in 0..1_000_000 {
        match store.begin(Request::new("", &format!("{n}"))) {
            Ok(Outcome::Started(claim)) => held.push(claim),
            Ok(other) => panic!("{other:?}"),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}");
                refused += 1;
            }
        }
        if refused == 30 {
            break;
        }
    }
    refused = 0;
    for claim in held {
        refused = if claim.complete(Response::default()).is_err() { refused + 1 } else { 0 };
        if refused == 30 {
            return;
        }
    }
    panic!("there is room for every claim to end");
}

/// It ran, and there is no room to say so: never again, where that was asked for.
#[test]
fn a_result_for_which_there_is_no_room_is_handed_back() {
    if !in_own_mounts("a_result_for_which_there_is_no_room_is_handed_back") {
        return;
    }
    for on_crash in [OnCrash::InDoubt, OnCrash::Rerun] {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        mount_tmpfs(&disk, "6m");
        let clock = Clock::manual(secs(1_800_000_000));
        let builder =
            small(dir.path()).path(disk.join("store")).clock(clock.clone()).first_generation(1 << 17);
        let store = builder.open().unwrap();
        fs::write(disk.join("ballast"), vec![0; 5 << 19]).unwrap();
        let (long, mut held, runs) = ("k".repeat(255), Vec::new(), Cell::new(0));
        let mut call = |filled: bool| {
            store.once("scope", &long, "payload", on_crash, |_| {
                runs.set(runs.get() + 1);
                if filled {
                    fill(&store, &mut held);
                }
                Ok::<_, String>("paid")
            })
        };
        let Err(OnceError::Unrecorded(it)) = call(true) else { panic!("there was room") };
        assert_eq!(it.error().kind(), ErrorKind::StoreFull);
        assert_eq!(it.into_result(), b"paid");
        assert!(matches!(store.peek("scope", &long).unwrap(), Some(Peek::InProgress(_))), "given back");
        fs::remove_file(disk.join("ballast")).unwrap();
        clock.advance(secs(30));
        match (on_crash, call(false)) {
            (OnCrash::InDoubt, Err(OnceError::InDoubt(it))) => assert_eq!((it.attempt(), runs.get()), (1, 1)),
            (OnCrash::Rerun, Ok(paid)) => assert_eq!((&*paid, runs.get()), (&b"paid"[..], 2)),
            (_, other) => panic!("{on_crash:?}: {other:?}"),
        }
    }
}
