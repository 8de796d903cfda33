//! A claim that is carried on: by checkpoints, by a hand-over and its adoption, over a store in memory and
//! one on disk, and from several threads at once.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::sync::Barrier;
use std::thread;

use common::each::{on_each, secs};
use common::{begin, remove_index, small, start, text, tiny};
use semel::*;

fn lost(result: Result<impl Sized>) -> Option<Vec<u8>> {
    let Err(e) = result else { panic!("it was carried out") };
    assert_eq!(e.kind(), ErrorKind::LeaseLost, "{e}");
    e.winner().map(|winner| winner.body().to_vec())
}

fn invalid(result: Result<impl Sized>) -> String {
    let Err(e) = result else { panic!("it was believed") };
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
    e.to_string()
}

#[test]
fn a_takeover_finds_the_last_checkpoint() {
    on_each(|store, clock| {
        let late = start(store, "k");
        assert_eq!(late.last_checkpoint().unwrap(), b"");
        late.checkpoint("page 1").unwrap();
        late.checkpoint("page 2").unwrap();
        assert_eq!(late.last_checkpoint().unwrap(), b"page 2");
        clock.advance(secs(30));
        let next = start(store, "k");
        assert_eq!((next.reason(), next.attempt()), (StartReason::Takeover, 2));
        assert_eq!(next.last_checkpoint().unwrap(), b"page 2");
        assert_eq!(lost(late.checkpoint("page 3")), None);
        assert_eq!(next.last_checkpoint().unwrap(), b"page 2", "a lost claim leaves nothing");
        clock.advance(secs(30));
        assert_eq!(start(store, "k").last_checkpoint().unwrap(), b"page 2", "inherited, and left again");
    });
}

#[test]
fn a_release_leaves_the_checkpoint_and_a_drop_does() {
    on_each(|store, _| {
        let claim = start(store, "k");
        claim.checkpoint("page 1").unwrap();
        claim.release().unwrap();
        let claim = start(store, "k");
        assert_eq!(claim.reason(), StartReason::AfterRelease);
        assert_eq!(claim.last_checkpoint().unwrap(), b"page 1");
        drop(claim);
        let claim = start(store, "k");
        assert_eq!(claim.last_checkpoint().unwrap(), b"page 1");
        claim.checkpoint("").unwrap();
        drop(claim);
        assert_eq!(start(store, "k").last_checkpoint().unwrap(), b"", "an empty one replaces it");
    });
}

/// Whoever resumes another order's work charges the wrong one.
#[test]
fn a_released_checkpoint_is_for_the_same_payload_only() {
    on_each(|store, _| {
        for (payload, left) in [("payload", "page 1"), ("another", "")] {
            let claim = start(store, payload);
            claim.checkpoint("page 1").unwrap();
            claim.release().unwrap();
            let request = Request::new("scope", payload).payload(payload);
            let Outcome::Started(next) = store.begin(request).unwrap() else { panic!("not released") };
            assert_eq!((next.reason(), next.attempt()), (StartReason::AfterRelease, 2));
            assert_eq!(next.last_checkpoint().unwrap(), left.as_bytes(), "{payload}");
        }
    });
}

#[test]
fn a_completion_does_not_leave_the_checkpoint() {
    on_each(|store, clock| {
        let claim = start(store, "k");
        claim.checkpoint("page 1").unwrap();
        claim.complete(Response::new("all pages").ttl(secs(10))).unwrap();
        claim.checkpoint("page 2").unwrap();
        assert!(matches!(begin(store, "k"), Outcome::Replay(it) if it.body() == b"all pages"));
        clock.advance(secs(10));
        let next = start(store, "k");
        assert_eq!((next.reason(), next.last_checkpoint().unwrap()), (StartReason::Fresh, vec![]));
    });
}

#[test]
fn who_resolves_a_doubt_is_told_the_checkpoint_and_a_release_of_it_leaves_it() {
    on_each(|store, clock| {
        for (key, dropped) in [("dropped", true), ("late", false)] {
            let claim = start(store, key);
            claim.checkpoint("sent as 17").unwrap();
            claim.begin_effect().unwrap();
            let fence = claim.fence();
            let late = if dropped { None } else { Some(claim) };
            clock.advance(secs(30));
            let Outcome::InDoubt(it) = begin(store, key) else { panic!("{key} is not in doubt") };
            assert_eq!((it.checkpoint(), it.fence()), (&b"sent as 17"[..], fence));
            store.resolve("scope", key, fence, Resolution::Release).unwrap();
            let next = start(store, key);
            assert_eq!((next.reason(), next.attempt()), (StartReason::AfterRelease, 2));
            assert_eq!(next.last_checkpoint().unwrap(), b"sent as 17");
            assert!(late.is_none_or(|late| lost(late.checkpoint("more")).is_none()));
        }
    });
}

#[test]
fn a_checkpoint_has_at_most_4_kib_and_leaves_the_lease_as_it_is() {
    on_each(|store, clock| {
        let claim = start(store, "k");
        let deadline = claim.deadline().unwrap();
        clock.advance(secs(1));
        for size in [0, 1, 4096] {
            let bytes = common::body("k", size);
            claim.checkpoint(&bytes).unwrap();
            assert_eq!(claim.last_checkpoint().unwrap(), bytes);
        }
        let told = invalid(claim.checkpoint(&[0; 4097]));
        assert!(told.contains("checkpoint is 4097 bytes") && told.contains("4096"), "{told}");
        assert_eq!(claim.last_checkpoint().unwrap().len(), 4096);
        assert_eq!(claim.deadline().unwrap(), deadline);
    });
}

/// Heartbeats, the effect mark and checkpoints change one control word or copy it: none may be lost to
/// another.
#[test]
fn four_threads_of_one_claim_lose_nothing_of_each_other() {
    const ROUNDS: usize = 400;
    const TIMES: u8 = 12;
    on_each(|store, clock| {
        for round in 0..ROUNDS {
            let key = format!("k{round}");
            let (claim, go) = (start(store, &key), Barrier::new(4));
            let now = claim.deadline().unwrap() - secs(30);
            let leave = |who: u8| {
                go.wait();
                (0..TIMES).for_each(|n| claim.checkpoint(&[who, n]).unwrap());
            };
            thread::scope(|scope| {
                scope.spawn(|| leave(1));
                scope.spawn(|| leave(2));
                scope.spawn(|| {
                    go.wait();
                    for n in 0..u64::from(TIMES) {
                        claim.heartbeat(secs(60 + n)).unwrap();
                        assert!(claim.deadline().unwrap() >= now + secs(60 + n), "a heartbeat was lost");
                    }
                });
                scope.spawn(|| {
                    go.wait();
                    thread::yield_now();
                    claim.begin_effect().unwrap();
                });
            });
            let last = claim.last_checkpoint().unwrap();
            assert!(last == [1, TIMES - 1] || last == [2, TIMES - 1], "{last:?}");
            assert_eq!(claim.deadline().unwrap(), now + secs(59 + u64::from(TIMES)));
            clock.advance(secs(100));
            let Outcome::InDoubt(it) = begin(store, &key) else { panic!("the effect was lost") };
            assert_eq!((it.checkpoint(), it.fence()), (&last[..], claim.fence()));
        }
    });
}

#[test]
fn a_completion_beside_checkpoints_of_another_thread_succeeds_exactly_once() {
    on_each(|store, _| {
        for round in 0..400 {
            let key = format!("k{round}");
            let (claim, go) = (start(store, &key), Barrier::new(2));
            thread::scope(|scope| {
                scope.spawn(|| {
                    go.wait();
                    (0..20_u8).for_each(|n| claim.checkpoint(&[n]).unwrap());
                });
                go.wait();
                (0..round % 40).for_each(|_| std::hint::spin_loop());
                claim.complete(Response::new("first")).unwrap();
                claim.complete(Response::new("second")).unwrap();
            });
            assert!(matches!(begin(store, &key), Outcome::Replay(it) if it.body() == b"first"));
            claim.checkpoint("late").unwrap();
            assert!(matches!(begin(store, &key), Outcome::Replay(it) if it.body() == b"first"));
        }
    });
}

#[test]
fn a_handed_over_claim_is_spent_and_its_drop_does_nothing() {
    on_each(|store, clock| {
        let claim = start(store, "k");
        claim.hand_over().unwrap();
        assert_eq!(lost(claim.heartbeat(secs(60))), None);
        assert_eq!(lost(claim.begin_effect()), None);
        assert_eq!(lost(claim.checkpoint("page 1")), None);
        assert_eq!(lost(claim.hand_over()), None);
        assert_eq!(lost(claim.complete(Response::new("mine"))), None);
        assert_eq!(lost(claim.fail(Response::new("mine"))), None);
        drop(claim);
        assert_eq!(text(&begin(store, "k")), "InProgress", "until the lease ends");
        for release in [Claim::release, Claim::release_without_effect] {
            let claim = start(store, "released");
            let bytes = claim.hand_over().unwrap();
            assert_eq!(lost(release(claim)), None);
            assert_eq!(text(&begin(store, "released")), "InProgress");
            drop(store.adopt(&bytes).unwrap());
        }
        clock.advance(secs(30));
        assert_eq!(text(&begin(store, "k")), "Started Takeover 2");
    });
}

/// Carried out by the spent claim, each of these would reach into the adopted one.
#[test]
fn an_adopted_claim_is_out_of_reach_of_the_spent_one_in_the_same_process() {
    on_each(|store, _| {
        let spent = start(store, "k");
        let adopted = store.adopt(&spent.hand_over().unwrap()).unwrap();
        let deadline = adopted.deadline().unwrap();
        assert_eq!(lost(spent.heartbeat(secs(600))), None);
        assert_eq!(lost(spent.begin_effect()), None);
        assert_eq!(lost(spent.checkpoint("not mine")), None);
        assert_eq!(lost(spent.hand_over()), None);
        assert_eq!(lost(spent.complete(Response::new("not mine"))), None);
        assert_eq!(adopted.deadline().unwrap(), deadline);
        assert_eq!(adopted.last_checkpoint().unwrap(), b"");
        drop(spent);
        assert_eq!(adopted.release().unwrap(), Released::Absent, "no effect was marked");
        let spent = start(store, "l");
        let adopted = store.adopt(&spent.hand_over().unwrap()).unwrap();
        adopted.complete(Response::new("the adopter's")).unwrap();
        assert_eq!(lost(spent.complete(Response::new("mine"))), Some(b"the adopter's".to_vec()));
        assert_eq!(lost(spent.release()), Some(b"the adopter's".to_vec()));
    });
}

#[test]
fn an_adopted_claim_is_the_one_that_was_handed_over() {
    on_each(|store, clock| {
        drop(start(store, "k"));
        let claim = start(store, "k");
        claim.checkpoint("page 1").unwrap();
        claim.heartbeat(secs(100)).unwrap();
        claim.begin_effect().unwrap();
        let (fence, attempt, deadline) = (claim.fence(), claim.attempt(), claim.deadline().unwrap());
        let bytes = claim.hand_over().unwrap();
        clock.advance(secs(10));
        let adopted = store.adopt(&bytes).unwrap();
        assert_eq!((adopted.fence(), adopted.attempt()), (fence, attempt));
        assert_eq!(adopted.reason(), StartReason::Adopted);
        assert_eq!(adopted.deadline().unwrap(), deadline, "a longer lease is left as it is");
        assert_eq!(adopted.last_checkpoint().unwrap(), b"page 1");
        clock.advance(secs(80));
        let again = store.adopt(&adopted.hand_over().unwrap()).unwrap();
        assert_eq!(again.deadline().unwrap(), deadline + secs(20), "a shorter one becomes the default");
        assert_eq!(again.release().unwrap(), Released::InDoubt, "the effect that was marked");
    });
}

#[test]
fn bytes_are_adopted_once() {
    on_each(|store, _| {
        let bytes = start(store, "k").hand_over().unwrap();
        let adopted = store.adopt(&bytes).unwrap();
        assert_eq!(lost(store.adopt(&bytes)), None);
        adopted.complete(Response::new("done")).unwrap();
        assert_eq!(lost(store.adopt(&bytes)), Some(b"done".to_vec()));
        drop(adopted);
        assert!(matches!(begin(store, "k"), Outcome::Replay(it) if it.body() == b"done"));
        // Released, and run again by another.
        let bytes = start(store, "l").hand_over().unwrap();
        drop(store.adopt(&bytes).unwrap());
        assert_eq!(lost(store.adopt(&bytes)), None);
        let next = start(store, "l");
        assert_eq!(lost(store.adopt(&bytes)), None);
        next.complete(Response::new("the next one's")).unwrap();
        assert_eq!(lost(store.adopt(&bytes)), Some(b"the next one's".to_vec()));
    });
}

/// Both name the same key, and nobody holds it.
#[test]
fn bytes_of_an_earlier_claim_do_not_adopt_a_later_one() {
    on_each(|store, clock| {
        let late = start(store, "k").hand_over().unwrap();
        clock.advance(secs(30));
        let next = start(store, "k").hand_over().unwrap();
        assert!(late != next);
        assert_eq!(lost(store.adopt(&late)), None);
        assert_eq!(store.adopt(&next).unwrap().attempt(), 2);
    });
}

#[test]
fn of_many_threads_one_adopts() {
    on_each(|store, _| {
        for round in 0..100 {
            let bytes = start(store, &format!("k{round}")).hand_over().unwrap();
            let go = Barrier::new(4);
            let adopt = || {
                go.wait();
                store.adopt(&bytes)
            };
            let adopted: Vec<_> = thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(adopt));
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let (won, refused): (Vec<_>, Vec<_>) = adopted.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1);
            refused.into_iter().for_each(|refused| assert_eq!(lost(refused), None));
        }
    });
}

#[test]
fn who_adopts_too_late_is_told_the_winner() {
    on_each(|store, clock| {
        let bytes = start(store, "k").hand_over().unwrap();
        clock.advance(secs(30));
        let winner = start(store, "k");
        assert_eq!((winner.reason(), winner.attempt()), (StartReason::Takeover, 2));
        assert_eq!(lost(store.adopt(&bytes)), None);
        winner.complete(Response::new("the winner's")).unwrap();
        assert_eq!(lost(store.adopt(&bytes)), Some(b"the winner's".to_vec()));
        // Resolved by an operator.
        let claim = start(store, "l");
        claim.begin_effect().unwrap();
        let (fence, bytes) = (claim.fence(), claim.hand_over().unwrap());
        clock.advance(secs(30));
        let resolution = Resolution::Completed(Response::new("asked the bank"));
        store.resolve("scope", "l", fence, resolution).unwrap();
        assert_eq!(lost(store.adopt(&bytes)), Some(b"asked the bank".to_vec()));
        store.forget("scope", "l").unwrap();
        assert_eq!(lost(store.adopt(&bytes)), None);
    });
}

/// As a late owner that nobody robbed may still complete.
#[test]
fn an_orphan_that_nobody_took_over_may_still_be_adopted() {
    on_each(|store, clock| {
        let bytes = start(store, "k").hand_over().unwrap();
        clock.advance(secs(30 + 30 * 86_400 - 1));
        assert_eq!(store.peek("scope", "k").unwrap(), Some(Peek::Orphaned));
        store.adopt(&bytes).unwrap().complete(Response::new("late")).unwrap();
        let bytes = start(store, "l").hand_over().unwrap();
        clock.advance(secs(30 + 30 * 86_400));
        assert_eq!(lost(store.adopt(&bytes)), None, "forgotten by then");
    });
}

#[test]
fn what_has_ended_is_not_handed_over() {
    on_each(|store, _| {
        let claim = start(store, "k");
        claim.complete(Response::new("done")).unwrap();
        assert_eq!(claim.hand_over().unwrap_err().kind(), ErrorKind::Conflict);
        claim.complete(Response::new("done")).unwrap();
    });
}

#[test]
fn only_bytes_that_this_store_handed_out_are_believed() {
    on_each(|store, _| {
        let bytes = start(store, "k").hand_over().unwrap();
        let other = tiny().open().unwrap();
        let foreign = start(&other, "k").hand_over().unwrap();
        let refused = |bytes: &[u8]| assert!(invalid(store.adopt(bytes)).contains("this store handed over"));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            refused(&changed);
            refused(&bytes[..at]);
        }
        refused(&foreign);
        refused(&[&bytes[..], &bytes].concat());
        let mut spliced = foreign.clone();
        spliced[..17].copy_from_slice(&bytes[..17]);
        refused(&spliced);
        store.adopt(&bytes).unwrap().complete(Response::new("done")).unwrap();
        other.adopt(&foreign).unwrap().complete(Response::new("done")).unwrap();
    });
}

#[test]
fn what_nobody_adopted_outlives_the_process_and_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let claim = start(&small(dir.path()).open().unwrap(), "k");
    claim.checkpoint("page 1").unwrap();
    let (fence, mut bytes) = (claim.fence(), claim.hand_over().unwrap());
    drop(claim);
    for with_index in [true, false] {
        if !with_index {
            remove_index(dir.path());
        }
        let adopted = small(dir.path()).open().unwrap().adopt(&bytes).unwrap();
        assert_eq!((adopted.fence(), adopted.last_checkpoint().unwrap()), (fence, b"page 1".to_vec()));
        let again = adopted.hand_over().unwrap();
        assert_ne!(again, bytes, "bytes are good for one adoption");
        bytes = again;
    }
}

/// Whichever is first. A completion that is told to be recorded is: not one of the adopter's instead.
#[test]
fn a_hand_over_beside_a_completion_of_another_thread_leaves_one_of_them() {
    on_each(|store, _| {
        for round in 0..2000 {
            let key = format!("k{}", round % 1000);
            let _ = store.forget("scope", &key).unwrap();
            let (claim, go) = (start(store, &key), Barrier::new(2));
            thread::scope(|scope| {
                let other = scope.spawn(|| {
                    go.wait();
                    (0..round % 50).for_each(|_| std::hint::spin_loop());
                    let first = claim.complete(Response::new("owner"));
                    (first, claim.complete(Response::new("owner")))
                });
                go.wait();
                let adopted = claim.hand_over().map(|bytes| store.adopt(&bytes).unwrap());
                if let Ok(adopted) = &adopted {
                    adopted.complete(Response::new("adopter")).unwrap();
                }
                let (first, second) = other.join().unwrap();
                for completed in [first, second] {
                    match (&adopted, completed) {
                        (Ok(_), Err(e)) => assert_eq!(e.kind(), ErrorKind::LeaseLost, "{e}"),
                        (Err(e), Ok(())) => assert_eq!(e.kind(), ErrorKind::Conflict, "{e}"),
                        (adopted, completed) => panic!("round {round}: {adopted:?} and {completed:?}"),
                    }
                }
            });
            let expected: &[u8] =
                if claim.complete(Response::new("x")).is_ok() { b"owner" } else { b"adopter" };
            assert!(matches!(begin(store, &key), Outcome::Replay(it) if it.body() == expected));
        }
    });
}
