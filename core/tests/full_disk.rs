//! A disk without room, at open and while the log grows, and an index directory without room: a store refuses
//! and says where, loses nothing, leaves no half-made file, and goes on once there is room. Space is
//! allocated before it is mapped, so that a write to a mapping cannot end the process with SIGBUS: a signal
//! would fail these tests.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{
    begin, body, complete, in_own_mounts, index_of, mount_tmpfs, names, replay_of, run, small, start, text,
    tree,
};
use semel::*;
use tempfile::{TempDir, tempdir};

/// `dir/disk`, a disk of this size; the index is beside it.
fn disk(size: &str) -> TempDir {
    let dir = tempdir().unwrap();
    mount_tmpfs(&dir.path().join("disk"), size);
    dir
}

fn on_disk(dir: &Path) -> Builder {
    small(dir).path(dir.join("disk/store")).first_generation(1 << 16)
}

fn is_full(e: &Error, place: &Path) {
    assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}");
    assert!(e.to_string().contains(place.to_str().unwrap()), "{} is not named: {e}", place.display());
    assert!(e.to_string().contains("room"), "it does not say what to do: {e}");
}

#[test]
fn a_disk_that_is_full_at_open_gets_nothing_written() {
    if !in_own_mounts("a_disk_that_is_full_at_open_gets_nothing_written") {
        return;
    }
    let dir = disk("1m");
    let store = dir.path().join("disk/store");
    is_full(&on_disk(dir.path()).open().unwrap_err(), &store);
    assert_eq!(names(&dir.path().join("disk")), [""; 0], "the directory it made is gone again");
    fs::create_dir(&store).unwrap();
    run("chmod", &["700", store.to_str().unwrap()]);
    let before = tree(dir.path());
    is_full(&on_disk(dir.path()).open().unwrap_err(), &store);
    assert_eq!(tree(dir.path()), before, "nor is anything put into one that was there");
}

#[test]
fn a_log_that_cannot_grow_refuses_new_keys_and_loses_no_started_one() {
    if !in_own_mounts("a_log_that_cannot_grow_refuses_new_keys_and_loses_no_started_one") {
        return;
    }
    let dir = disk("8m");
    let (log, ballast) = (dir.path().join("disk/store/log"), dir.path().join("disk/ballast"));
    let store = on_disk(dir.path()).open().unwrap();
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();

    // Completed keys of 20 kB until there is room for no more, each with a claim that stays open beside it.
    let (mut done, mut open) = (Vec::new(), Vec::new());
    let full = loop {
        let key = format!("done {}", done.len());
        let claims = [format!("open {}", done.len()), key.clone()];
        let [running, ending] = claims.map(|key| store.begin(Request::new("scope", &key).payload("payload")));
        let (Ok(Outcome::Started(running)), ending) = (running, ending) else { break None };
        open.push(running);
        let Ok(Outcome::Started(ending)) = ending else { break None };
        match ending.complete(Response::new(&body(&key, 20_000)).status(201).meta(&key)) {
            Ok(()) => done.push(key),
            Err(e) => break Some(e),
        }
        if text(&begin(&store, &done[done.len() - 1])).starts_with("Omitted") {
            done.pop();
            break None;
        }
    };
    if let Some(e) = &full {
        is_full(e, &log);
    }
    let segments = names(&log);
    assert!(done.len() > 100 && segments.len() >= 4, "{} keys in {segments:?}", done.len());

    // New keys are refused once the claims' own chunk is used up, ten thousand times, and no file is left
    // behind.
    let mut held = Vec::new();
    let mut refused = 0;
    for n in 0.. {
        match store.begin(Request::new("scope", &format!("new {n}"))) {
            Ok(Outcome::Started(claim)) => held.push(claim),
            Ok(other) => panic!("{other:?}"),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}");
                is_full(&e, &log);
                refused += 1;
                if refused == 10_000 {
                    break;
                }
            }
        }
    }
    assert_eq!(names(&log), segments, "a temporary file or a segment was left");

    // What had started can end: without its body, or it says that there is no room and keeps its claim.
    let mut waiting = Vec::new();
    for (n, claim) in open.iter().enumerate() {
        match claim.complete(Response::new(&body("open", 20_000)).status(202)) {
            Ok(()) => {
                assert_eq!(text(&begin(&store, &format!("open {n}"))), "Omitted Completed StoreFull 202");
            }
            Err(e) => {
                is_full(&e, &log);
                assert_eq!(text(&begin(&store, &format!("open {n}"))), "InProgress");
                waiting.push((n, claim));
            }
        }
    }
    let ended = open.len() - waiting.len();
    println!("{ended} of {} open claims ended on a full disk, without their bodies", open.len());
    for key in &done {
        assert_eq!(text(&begin(&store, key)), replay_of(key, 20_000), "{key}");
    }

    // Room comes back: everything goes on, and the refusals have cost no segment numbers.
    fs::remove_file(&ballast).unwrap();
    for (n, claim) in waiting {
        claim.complete(Response::new("late").status(203)).unwrap();
        assert!(text(&begin(&store, &format!("open {n}"))).starts_with("Replay Completed 203"));
    }
    for n in 0..20 {
        complete(&store, &format!("after {n}"), 20_000);
    }
    let last = format!("{:08x}.seg", names(&log).len());
    assert_eq!(names(&log).last(), Some(&last), "numbers were lost to growth that failed: {:?}", names(&log));

    // And the log that was full can be recovered.
    drop((held, open, store));
    fs::remove_dir_all(index_of(dir.path())).unwrap();
    let store = on_disk(dir.path()).open().unwrap();
    for key in &done {
        assert_eq!(text(&begin(&store, key)), replay_of(key, 20_000), "{key}");
    }
}

/// The index cannot be had at `place`: the error names it, and the store that was made or left is as good as
/// before.
fn no_index_in(dir: &Path, place: &Path, kind: ErrorKind) {
    for round in 0..2 {
        let e = small(dir).index_dir(place).open().unwrap_err();
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.to_string().contains(place.to_str().unwrap()), "round {round}: {e}");
    }
    assert!(!dir.join("store").exists(), "a store was made although its index has no place");
    let left = fs::read_dir(place).map_or(0, Iterator::count);
    assert_eq!(left, 0, "something was left in {}", place.display());
    complete(&small(dir).open().unwrap(), "k", 10);
    let e = small(dir).index_dir(place).open().map(|store| store.recovery().cloned());
    assert!(e.is_err(), "an index was made in {}", place.display());
    common::remove_index(dir);
    assert_eq!(text(&begin(&small(dir).open().unwrap(), "k")), replay_of("k", 10));
}

#[test]
fn an_index_directory_that_is_missing_is_named() {
    let dir = tempdir().unwrap();
    no_index_in(dir.path(), &dir.path().join("missing"), ErrorKind::Io);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let e = small(dir.path()).index_dir(&file).open().unwrap_err();
    assert!(e.to_string().contains(file.to_str().unwrap()), "{e}");
}

#[test]
fn an_index_directory_that_cannot_be_written_is_named() {
    if !in_own_mounts("an_index_directory_that_cannot_be_written_is_named") {
        return;
    }
    let dir = tempdir().unwrap();
    let place = dir.path().join("index");
    mount_tmpfs(&place, "1m");
    run("mount", &["-o", "remount,ro", place.to_str().unwrap()]);
    no_index_in(dir.path(), &place, ErrorKind::Io);
}

#[test]
fn an_index_directory_without_room_is_named() {
    if !in_own_mounts("an_index_directory_without_room_is_named") {
        return;
    }
    for size in ["4k", "8k", "12k"] {
        let dir = tempdir().unwrap();
        let place = dir.path().join("index");
        mount_tmpfs(&place, size);
        no_index_in(dir.path(), &place, ErrorKind::StoreFull);
    }
}

#[test]
fn without_room_in_shared_memory_the_index_goes_to_the_store_itself() {
    if !in_own_mounts("without_room_in_shared_memory_the_index_goes_to_the_store_itself") {
        return;
    }
    mount_tmpfs(Path::new("/dev/shm"), "4k");
    let dir = tempdir().unwrap();
    let plain = || common::tiny().path(dir.path().join("store"));
    complete(&plain().open().unwrap(), "k", 10);
    index_of(&dir.path().join("store"));
    let store = plain().open().unwrap();
    assert!(store.recovery().is_none(), "it is found there again");
    assert_eq!(text(&begin(&store, "k")), replay_of("k", 10));
    drop(store);
    run("umount", &["/dev/shm"]);
    mount_tmpfs(Path::new("/dev/shm"), "1m");
    let store = plain().open().unwrap();
    assert!(store.recovery().is_none(), "room elsewhere does not move it");
    drop(store);
    common::remove_index(&dir.path().join("store"));
    complete(&plain().open().unwrap(), "l", 10);
    index_of(Path::new("/dev/shm"));
    let claim = start(&plain().open().unwrap(), "m");
    drop(claim);
}

/// A refusal for want of room once shut the owner of an orphaned claim out, and a release once gave its
/// checkpoint up for room.
#[test]
fn what_a_full_log_refuses_changes_nothing_and_no_checkpoint_is_given_up() {
    if !in_own_mounts("what_a_full_log_refuses_changes_nothing_and_no_checkpoint_is_given_up") {
        return;
    }
    let dir = disk("8m");
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = on_disk(dir.path()).clock(clock.clone()).open().unwrap();
    let ballast = dir.path().join("disk/ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let (late, doubtful, given) = (start(&store, "late"), start(&store, "doubtful"), start(&store, "given"));
    let waiting = start(&store, "waiting").hand_over().unwrap();
    late.checkpoint("page 1").unwrap();
    doubtful.checkpoint("ref 17").unwrap();
    doubtful.begin_effect().unwrap();
    given.checkpoint(&[7; 3000]).unwrap();
    let mut held = Vec::new();
    let full = loop {
        match store.begin(Request::new("scope", &format!("new {}", held.len()))) {
            Ok(Outcome::Started(claim)) => held.push(claim),
            Ok(other) => panic!("{other:?}"),
            Err(e) => break e,
        }
    };
    is_full(&full, &dir.path().join("disk/store/log"));

    // The claims that are given back: with their checkpoints, or not at all.
    let _ = doubtful.release();
    let Ok(Some(Peek::InDoubt(doubt))) = store.peek("scope", "doubtful") else { panic!("not in doubt") };
    assert_eq!(doubt.checkpoint(), b"ref 17");
    let _ = store.resolve("scope", "doubtful", doubt.fence(), Resolution::Release);
    let _ = given.release();

    // The leases end; nobody can take over, and whoever was late goes on.
    clock.advance(Duration::from_secs(31));
    for key in ["late", "waiting"] {
        let refused = store.begin(Request::new("scope", key)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreFull, "{key}: {refused}");
        let refused = store.mark_seen("scope", key, Duration::from_secs(1)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreFull, "{key}: {refused}");
    }
    late.heartbeat(Duration::from_secs(60)).unwrap();
    assert_eq!(text(&begin(&store, "late")), "InProgress");
    late.begin_effect().unwrap();

    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.adopt(&waiting).unwrap().reason(), StartReason::Adopted);
    late.complete(Response::new("done")).unwrap();
    for (key, left) in [("given", &[7; 3000][..]), ("doubtful", b"ref 17")] {
        if let Ok(Some(Peek::InDoubt(doubt))) = store.peek("scope", key) {
            store.resolve("scope", key, doubt.fence(), Resolution::Release).unwrap();
        }
        assert_eq!(start(&store, key).last_checkpoint().unwrap(), left, "{key}");
    }
}
