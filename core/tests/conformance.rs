//! The contract of every binding and every store, as scripts.
//!
//! `conformance/*.json` are the scripts and `conformance/README.md` is their language; both are free of Rust.
//! This is the runner for the engine itself. Each case is run over a store in memory, over a Process store
//! with all actors in one process, and with each actor in a process of its own. (Stores with Disk durability
//! take their place as further layouts in `conformance/layout.rs` once there are any.)
//!
//! One line a layout: `PROVE conformance.<layout> tried=<cases> violations=<n> target=<n> cases`.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "conformance/actor.rs"]
mod actor;
#[path = "conformance/answers.rs"]
mod answers;
#[path = "conformance/child.rs"]
mod child;
#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "conformance/layout.rs"]
mod layout;
#[path = "conformance/mutate.rs"]
mod mutate;
#[path = "conformance/order.rs"]
mod order;
#[path = "conformance/rows.rs"]
mod rows;
#[path = "conformance/run.rs"]
mod run;
#[path = "conformance/script.rs"]
mod script;
#[path = "conformance/values.rs"]
mod values;

use std::collections::BTreeSet;

use layout::Layout;
use script::{Case, cases};
use serde_json::Value;

const LAYOUTS: [Layout; 3] = [Layout::Memory, Layout::OneProcess, Layout::Processes];

/// For the other tests: an actor that is a process.
#[test]
fn child() {
    child::obey();
}

/// Runs every case that this layout can run; says what it did and fails if any failed.
fn prove(name: &str, layout: Layout, at_least: usize) {
    let cases: Vec<Case> = cases().into_iter().filter(|case| layout.can_run(case)).collect();
    let failed: Vec<String> = cases.iter().filter_map(|case| run::run(case, layout).err()).collect();
    let (tried, violations) = (cases.len(), failed.len());
    println!("\nPROVE conformance.{name} tried={tried} violations={violations} target={at_least} cases");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(tried >= at_least, "only {tried} cases");
}

#[test]
fn memory_in_one_process() {
    prove("memory.one_process", Layout::Memory, 170);
}

#[test]
fn process_store_in_one_process() {
    prove("process.one_process", Layout::OneProcess, 180);
}

#[test]
fn process_store_in_several_processes() {
    prove("process.several_processes", Layout::Processes, 190);
}

#[test]
fn every_row_of_the_tables_is_covered() {
    let rows = rows::ids();
    let known: BTreeSet<&String> = rows.iter().collect();
    assert_eq!(known.len(), rows.len(), "an id is there twice");
    let cases = cases();
    let covered: BTreeSet<&String> = cases.iter().flat_map(|case| &case.rows).collect();
    let missing: Vec<_> = known.difference(&covered).collect();
    assert!(missing.is_empty(), "rows that no case shows: {missing:?}");
    for limit in semel::limits::ALL {
        assert!(known.contains(&format!("limit.{}", limit.name)), "{} has no row", limit.name);
    }
    let strange: Vec<_> = covered.difference(&known).collect();
    assert!(strange.is_empty(), "rows that are in no table: {strange:?}");
}

#[test]
fn every_case_runs_somewhere() {
    for case in cases() {
        assert!(LAYOUTS.iter().any(|layout| layout.can_run(&case)), "{:?} runs nowhere", case.name);
    }
}

/// What a script can see of an engine that is whole. Corrupt, Incompatible, Refused and Io need damage to
/// files, and StoreFull, as an error or a reason, a full disk: the engine's own tests make them.
const MET: [&str; 26] = [
    "\"started\":",
    "\"fresh\"",
    "\"after_release\"",
    "\"takeover\"",
    "\"adopted\"",
    "\"replay\":",
    "\"completed\"",
    "\"failed\"",
    "\"omitted\":",
    "\"too_large\"",
    "\"in_progress\":",
    "\"in_doubt\":",
    "\"mismatch\":",
    "\"orphaned\"",
    "\"absent\"",
    "\"in_doubt\"",
    "\"invalid_argument\"",
    "\"lease_lost\"",
    "\"winner\":null",
    "\"winner\":{",
    "\"conflict\"",
    "\"unavailable\"",
    "{\"key\":",
    "\"made\":",
    "true",
    "false",
];

#[test]
fn every_error_kind_and_outcome_is_met() {
    // What a case that passes expects was met.
    let cases = cases();
    let gives: Vec<Value> =
        cases.iter().flat_map(|case| &case.steps).filter_map(|step| step.get("gives").cloned()).collect();
    let said: String = gives.iter().map(Value::to_string).collect();
    let never: Vec<_> = MET.iter().filter(|word| !said.contains(**word)).collect();
    assert!(never.is_empty(), "never met: {never:?}");
}

#[test]
fn an_unknown_word_is_refused_before_anything_is_run() {
    let mut tried = 0;
    for case in cases() {
        for wrong in mutate::misspelt(&case) {
            tried += 1;
            assert!(script::check(&wrong).is_err(), "{:?} is accepted: {:?}", case.name, wrong.steps);
        }
    }
    assert!(tried > 2000, "only {tried}");
}

#[test]
fn a_wrong_expectation_is_noticed() {
    let mut tried = 0;
    for case in cases() {
        let layout = *LAYOUTS.iter().find(|layout| layout.can_run(&case)).unwrap();
        for mutant in mutate::mutants(&case) {
            tried += 1;
            let wrong = || {
                let changed = mutant.steps.iter().zip(&case.steps).find(|(wrong, right)| wrong != right);
                format!("{:?}: {}", case.name, changed.unwrap().0)
            };
            assert!(run::run(&mutant, layout).is_err(), "not noticed in {}", wrong());
        }
    }
    println!("{tried} wrong expectations were noticed");
    assert!(tried > 2000, "only {tried}");
}

/// Among others.
#[cfg(feature = "kill-points")]
const SEES_IT: &str = "a zombie overwrites its successor";

#[test]
#[cfg(feature = "kill-points")]
fn an_ignored_fence_is_found() {
    let layouts = [
        ("memory_in_one_process", "memory.one_process"),
        ("process_store_in_one_process", "process.one_process"),
        ("process_store_in_several_processes", "process.several_processes"),
    ];
    let mut found = 0;
    for (test, name) in layouts {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture"]).env("SEMEL_PLANT", "fence.ignored");
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = child::start(&mut command).wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let counted = told.contains(&format!("PROVE conformance.{name} "));
        assert!(!output.status.success() && counted, "{test} did not notice it:\n{told}");
        let told = told + String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(SEES_IT), "{test} failed for another reason:\n{told}");
        found += 1;
    }
    println!("\nPROVE conformance.fault.fence.ignored tried={found} violations={found} target=found");
}
