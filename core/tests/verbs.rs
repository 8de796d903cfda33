//! Each verb, each outcome and each error of `begin` and the claim, over a store in memory and one on disk.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use semel::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Runs the story over a store in memory, and over one on disk, each with a clock that stands still until
/// moved.
fn on_each(story: impl Fn(&Store, &Clock)) {
    let clock = Clock::manual(secs(1_800_000_000));
    let small = |clock: &Clock| Store::builder().clock(clock.clone()).segment(4 << 20).first_generation(1024);
    story(&small(&clock).open().unwrap(), &clock);
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(secs(1_800_000_000));
    story(&small(&clock).path(dir.path().join("store")).index_dir(dir.path()).open().unwrap(), &clock);
}

fn start(store: &Store, key: &str) -> Claim {
    match store.begin(Request::new("test", key).payload("a")).unwrap() {
        Outcome::Started(claim) => claim,
        other => panic!("{key}: {other:?}"),
    }
}

fn begin(store: &Store, key: &str) -> Outcome {
    store.begin(Request::new("test", key).payload("a")).unwrap()
}

#[test]
fn a_completed_key_is_replayed_byte_for_byte_until_its_ttl_ends() {
    on_each(|store, clock| {
        let claim = start(store, "k");
        assert_eq!((claim.attempt(), claim.reason()), (1, StartReason::Fresh));
        claim.complete(Response::new("charged").status(201).meta("Location: /1").ttl(secs(10))).unwrap();
        claim.complete(Response::new("again")).unwrap();
        drop(claim);
        clock.advance(Duration::from_millis(9_999));
        let Outcome::Replay(replay) = begin(store, "k") else { panic!("not replayed") };
        assert_eq!(
            (replay.body(), replay.meta(), replay.status()),
            (&b"charged"[..], &b"Location: /1"[..], 201)
        );
        assert_eq!(replay.age(), Duration::from_millis(9_999));
        assert_eq!(replay.state(), TerminalState::Completed);
        clock.advance(Duration::from_millis(1));
        assert_eq!(start(store, "k").reason(), StartReason::Fresh);
    });
}

#[test]
fn a_failure_is_terminal_too() {
    on_each(|store, _| {
        start(store, "k").fail(Response::new("declined").status(402)).unwrap();
        let Outcome::Replay(replay) = begin(store, "k") else { panic!("not replayed") };
        assert_eq!((replay.state(), replay.status()), (TerminalState::Failed, 402));
    });
}

#[test]
fn another_payload_is_a_mismatch_in_every_state() {
    on_each(|store, clock| {
        let other = |key| store.begin(Request::new("test", key).payload("b")).unwrap();
        let claim = start(store, "k");
        assert!(matches!(other("k"), Outcome::Mismatch(_)), "in progress");
        clock.advance(secs(31));
        assert!(matches!(other("k"), Outcome::Mismatch(_)), "orphaned");
        claim.begin_effect().unwrap();
        assert!(matches!(other("k"), Outcome::Mismatch(_)), "in doubt");
        claim.complete(Response::new("x")).unwrap();
        assert!(matches!(other("k"), Outcome::Mismatch(_)), "completed");
        clock.advance(secs(90_000));
        assert!(matches!(other("k"), Outcome::Started(_)), "expired");
    });
}

#[test]
fn an_unbound_request_matches_whatever_is_there() {
    on_each(|store, _| {
        start(store, "k").complete(Response::new("x")).unwrap();
        assert!(matches!(store.begin(Request::new("test", "k")).unwrap(), Outcome::Replay(_)));
    });
}

#[test]
fn a_live_claim_is_in_progress_and_a_heartbeat_keeps_it_so() {
    on_each(|store, clock| {
        let claim = start(store, "k");
        clock.advance(secs(29));
        let Outcome::InProgress(it) = begin(store, "k") else { panic!("not in progress") };
        assert_eq!(it.lease_left(), secs(1));
        claim.heartbeat(secs(60)).unwrap();
        clock.advance(secs(59));
        let Outcome::InProgress(it) = begin(store, "k") else { panic!("not in progress") };
        assert_eq!((it.lease_left(), it.retry_after()), (secs(1), secs(1)));
    });
}

#[test]
fn an_orphan_is_taken_over_and_its_late_owner_is_told() {
    on_each(|store, clock| {
        let late = start(store, "k");
        clock.advance(secs(30));
        let next = start(store, "k");
        assert_eq!((next.attempt(), next.reason()), (2, StartReason::Takeover));
        assert!(next.fence() > late.fence());
        for lost in [late.heartbeat(secs(30)), late.begin_effect()] {
            let lost = lost.unwrap_err();
            assert_eq!((lost.kind(), lost.winner()), (ErrorKind::LeaseLost, None));
        }
        next.complete(Response::new("mine")).unwrap();
        let lost = late.complete(Response::new("late")).unwrap_err();
        assert_eq!((lost.kind(), lost.winner().unwrap().body()), (ErrorKind::LeaseLost, &b"mine"[..]));
        let Outcome::Replay(replay) = begin(store, "k") else { panic!("not replayed") };
        assert_eq!(replay.body(), b"mine");
    });
}

#[test]
fn a_late_owner_that_nobody_robbed_may_still_complete() {
    on_each(|store, clock| {
        let late = start(store, "k");
        clock.advance(secs(31));
        late.complete(Response::new("late")).unwrap();
        assert!(matches!(begin(store, "k"), Outcome::Replay(_)));
    });
}

#[test]
fn a_release_frees_the_key_and_counts_the_attempt() {
    on_each(|store, _| {
        let first = start(store, "k");
        let fence = first.fence();
        assert_eq!(first.release().unwrap(), Released::Absent);
        assert_eq!(store.peek("test", "k").unwrap(), None);
        drop(start(store, "k"));
        let third = start(store, "k");
        assert_eq!((third.attempt(), third.reason()), (3, StartReason::AfterRelease));
        assert!(third.fence() > fence);
    });
}

#[test]
fn behind_the_effect_mark_a_drop_or_a_release_is_in_doubt() {
    on_each(|store, _| {
        let claim = start(store, "dropped");
        claim.begin_effect().unwrap();
        let fence = claim.fence();
        drop(claim);
        let Outcome::InDoubt(doubt) = begin(store, "dropped") else { panic!("not in doubt") };
        assert_eq!((doubt.fence(), doubt.attempt()), (fence, 1));

        let claim = start(store, "released");
        claim.begin_effect().unwrap();
        assert_eq!(claim.release().unwrap(), Released::InDoubt);
        assert!(matches!(begin(store, "released"), Outcome::InDoubt(_)));

        let claim = start(store, "known");
        claim.begin_effect().unwrap();
        assert_eq!(claim.release_without_effect().unwrap(), Released::Absent);
        assert!(matches!(begin(store, "known"), Outcome::Started(_)));
    });
}

#[test]
fn a_lost_lease_behind_the_effect_mark_is_in_doubt_until_it_is_resolved() {
    on_each(|store, clock| {
        let late = start(store, "k");
        late.begin_effect().unwrap();
        clock.advance(secs(3600));
        let Outcome::InDoubt(doubt) = begin(store, "k") else { panic!("not in doubt") };
        assert_eq!((doubt.since(), doubt.fence()), (secs(3570), late.fence()));
        let resolution = || Resolution::Completed(Response::new("asked the bank").status(200));
        let wrong = store.resolve("test", "k", Fence::from_u64(doubt.fence().get() + 1), resolution());
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Conflict);
        store.resolve("test", "k", doubt.fence(), resolution()).unwrap();
        assert_eq!(
            store.resolve("test", "k", doubt.fence(), resolution()).unwrap_err().kind(),
            ErrorKind::Conflict
        );
        let lost = late.complete(Response::new("late")).unwrap_err();
        assert_eq!(lost.winner().unwrap().body(), b"asked the bank");
        assert!(matches!(begin(store, "k"), Outcome::Replay(_)));
    });
}

#[test]
fn a_resolution_may_release_the_key_or_fail_it() {
    on_each(|store, clock| {
        for (key, resolution) in [("r", Resolution::Release), ("f", Resolution::Failed(Response::new("no")))]
        {
            let late = start(store, key);
            late.begin_effect().unwrap();
            clock.advance(secs(31));
            store.resolve("test", key, late.fence(), resolution).unwrap();
            assert_eq!(late.heartbeat(secs(30)).unwrap_err().kind(), ErrorKind::LeaseLost);
        }
        assert_eq!(start(store, "r").reason(), StartReason::AfterRelease);
        assert!(matches!(begin(store, "f"), Outcome::Replay(r) if r.state() == TerminalState::Failed));
    });
}

#[test]
fn on_crash_in_doubt_holds_before_any_effect() {
    on_each(|store, clock| {
        let claim = store.begin(Request::new("test", "k").on_crash(OnCrash::InDoubt)).unwrap();
        clock.advance(secs(30));
        assert!(matches!(begin(store, "k"), Outcome::InDoubt(_)));
        drop(claim);
        assert!(matches!(begin(store, "k"), Outcome::Started(_)), "its owner knows that nothing happened");
    });
}

#[test]
fn doubt_is_remembered_for_its_own_ttl() {
    on_each(|store, clock| {
        let late = start(store, "k");
        late.begin_effect().unwrap();
        clock.advance(secs(30 + 30 * 86_400 - 1));
        assert!(matches!(begin(store, "k"), Outcome::InDoubt(_)));
        clock.advance(secs(1));
        assert_eq!(start(store, "k").reason(), StartReason::Fresh);
        assert_eq!(late.complete(Response::new("late")).unwrap_err().kind(), ErrorKind::LeaseLost);
    });
}

#[test]
fn what_is_over_its_limit_is_left_out_and_never_run_again() {
    let store = Store::builder()
        .response_limit(10)
        .meta_limit(4)
        .segment(4 << 20)
        .first_generation(1024)
        .open()
        .unwrap();
    start(&store, "fits").complete(Response::new(&[1; 10]).meta(&[2; 4])).unwrap();
    assert!(matches!(begin(&store, "fits"), Outcome::Replay(r) if r.body() == [1; 10] && r.meta() == [2; 4]));
    start(&store, "body").complete(Response::new(&[1; 11]).meta(&[2; 4]).status(200)).unwrap();
    let Outcome::Omitted(o) = begin(&store, "body") else { panic!("not omitted") };
    assert_eq!((o.reason(), o.status(), o.meta()), (OmittedReason::TooLarge, 200, &[2; 4][..]));
    start(&store, "meta").complete(Response::new(&[1; 10]).meta(&[2; 5])).unwrap();
    assert!(matches!(begin(&store, "meta"), Outcome::Omitted(o) if o.meta().is_empty()));
}

#[test]
fn peek_sees_every_state_and_changes_none() {
    on_each(|store, clock| {
        let peek = |key| store.peek("test", key).unwrap();
        assert_eq!(peek("k"), None);
        let claim = start(store, "k");
        assert!(matches!(peek("k"), Some(Peek::InProgress(_))));
        clock.advance(secs(30));
        assert_eq!(peek("k"), Some(Peek::Orphaned));
        claim.heartbeat(secs(30)).unwrap();
        claim.begin_effect().unwrap();
        clock.advance(secs(30));
        assert!(matches!(peek("k"), Some(Peek::InDoubt(_))));
        claim.complete(Response::new("x")).unwrap();
        assert!(matches!(peek("k"), Some(Peek::Replay(_))));
    });
}

#[test]
fn large_and_small_responses_lie_side_by_side() {
    on_each(|store, _| {
        for (i, size) in [0, 1, 15, 16, 17, 60_000, 65_535, 65_536, 300_000, 1 << 20]
            .into_iter()
            .cycle()
            .take(40)
            .enumerate()
        {
            let key = format!("k{i}");
            let body: Vec<u8> = (0..size).map(|n| (n * 7 + i) as u8).collect();
            start(store, &key).complete(Response::new(&body)).unwrap();
            let Outcome::Replay(replay) = begin(store, &key) else { panic!("{key}") };
            assert!(replay.into_body() == body, "{key} of {size}");
        }
    });
}

#[test]
fn a_takeover_without_a_payload_leaves_the_key_bound() {
    on_each(|store, clock| {
        let late = start(store, "k");
        clock.advance(secs(31));
        let next = match store.begin(Request::new("test", "k")).unwrap() {
            Outcome::Started(claim) => claim,
            other => panic!("{other:?}"),
        };
        assert!(next.deadline().unwrap() > late.deadline().unwrap());
        let other = store.begin(Request::new("test", "k").payload("b")).unwrap();
        assert!(matches!(other, Outcome::Mismatch(_)), "{other:?}");
    });
}

#[test]
fn ending_again_with_a_large_body_uses_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let builder = Store::builder().path(dir.path().join("store")).index_dir(dir.path());
    let store = builder.segment(4 << 20).first_generation(1024).open().unwrap();
    let claim = start(&store, "k");
    let body = vec![7; 1 << 20];
    for _ in 0..50 {
        claim.complete(Response::new(&body)).unwrap();
    }
    let segments = std::fs::read_dir(dir.path().join("store/log")).unwrap().count();
    assert!(segments <= 3, "{segments} segments");
}

#[test]
fn what_a_begin_wrote_too_early_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    std::fs::create_dir(&index).unwrap();
    let open = || {
        let builder = Store::builder().path(dir.path().join("store")).index_dir(&index);
        builder.segment(4 << 20).first_generation(1024).open().unwrap()
    };
    let store = open();
    let running = start(&store, "running");
    start(&store, "done").complete(Response::new("x")).unwrap();
    for _ in 0..10_000 {
        assert!(matches!(begin(&store, "done"), Outcome::Replay(_)));
        assert!(matches!(begin(&store, "running"), Outcome::InProgress(_)));
    }
    start(&store, "another").complete(Response::new("y")).unwrap();
    drop((running, store));
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    let found = open().recovery().cloned().unwrap();
    // Three claims, two completions, one release; of the claims that were not needed nothing is left.
    assert_eq!((found.committed, found.uncommitted, found.unreadable), (6, 0, 0), "{found:?}");
}
