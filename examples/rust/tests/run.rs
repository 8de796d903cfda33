//! The examples, run as a reader would run them: what they print is what their pages say.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

/// What a program prints, given a store in this directory.
fn run(program: &str, dir: &Path, more: &[&str]) -> Vec<String> {
    let output = Command::new(program).arg(dir.join("store")).args(more).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn quickstart_charges_once() {
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_quickstart");
    let charged = "charged 1200 for order-4711";
    let lines = run(program, dir.path(), &[]);
    let expected = [
        format!("first     Started: {charged}"),
        format!("retry     Replay: {charged} (201)"),
        "reused    Mismatch: this key belongs to another amount".into(),
    ];
    assert_eq!(lines, expected);
    let page = include_str!("../README.md");
    expected.iter().for_each(|line| assert!(page.contains(line), "the README does not show: {line}"));
    assert_eq!(run(program, dir.path(), &[])[0], format!("first     Replay: {charged} (201)"), "again");
}

#[test]
fn worker_goes_on_from_the_checkpoint_of_the_one_that_died() {
    let dir = tempfile::tempdir().unwrap();
    let lines = run(env!("CARGO_BIN_EXE_worker"), dir.path(), &[]);
    let expected = [
        "front     began the job, hands it over",
        "worker    adopted it: attempt 1, fence kept",
        "worker    part 1 of 6",
        "worker    part 2 of 6",
        "worker    dies",
        "front     takes over: attempt 2, Takeover",
        "front     part 3 of 6",
        "front     part 4 of 6",
        "front     part 5 of 6",
        "front     part 6 of 6",
        "anyone    is told: all parts are done",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn consumer_works_on_each_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let events = concat!(env!("CARGO_MANIFEST_DIR"), "/events.txt");
    let lines = run(env!("CARGO_BIN_EXE_consumer"), dir.path(), &[events]);
    let summary = "10 deliveries to each of two consumers, 5 events worked on";
    assert_eq!(lines.last().unwrap(), summary);
    let mut worked: Vec<_> = lines.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    worked.sort_unstable();
    assert_eq!(worked, ["deliveries", "evt_001:", "evt_002:", "evt_003:", "evt_004:", "evt_005:"]);
    let again = run(env!("CARGO_BIN_EXE_consumer"), dir.path(), &[events]);
    assert_eq!(again, ["10 deliveries to each of two consumers, 0 events worked on"]);
}

#[test]
fn recover_asks_the_bank_and_charges_nobody_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = run(env!("CARGO_BIN_EXE_recover"), dir.path(), &[]);
    lines[2..4].sort(); // a list has no order
    let expected = [
        "order-1: dies, charged",
        "order-2: dies, not charged",
        "order-1: in doubt, the bank took 12.00",
        "order-2: in doubt, the bank knows nothing of it",
        "order-1: the next request sees Replay: paid (the bank took 12.00)",
        "order-2: the next request sees Started AfterRelease: pays now",
    ];
    assert_eq!(lines, expected);
}
