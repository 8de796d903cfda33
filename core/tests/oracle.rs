//! The store against a plain map.
//!
//! `oracle/model.rs` is the contract as a small state machine, written from the contract and not from the
//! code. Random sequences of verbs are run on both, by a clock that is moved by hand, and every answer is
//! compared with all that it carries: ages, what is left of a lease, attempts, reasons, expiries, the order
//! of fences, checkpoints, lists, counters, the kinds of errors and the winner's response. The store is one
//! in memory, or one on disk, which is also closed and opened again, with its index or without it.
//!
//! One line a test: `PROVE oracle.<store> tried=<verbs> violations=<n> target=<n> verbs`.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "oracle/model.rs"]
mod model;
#[path = "oracle/more.rs"]
mod more;
#[path = "oracle/ops.rs"]
mod ops;
#[path = "oracle/real.rs"]
mod real;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use model::{Holder, Model};
use ops::{Answer, Filter, KEYS, Op, Options, Way, op, options};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use real::Real;
use semel::{Claim, ErrorKind};

/// The test that is run with a fault planted.
#[cfg(feature = "kill-points")]
const ENTRY: &str = "a_store_in_memory_answers_as_the_contract_says";

/// The two side by side.
struct Pair {
    model: Model,
    real: Real,
    /// Newest first; with its key, and who it is to the model.
    claims: Vec<(Claim, usize, Holder)>,
    /// What was handed over, newest first; with its key, and by whom.
    bytes: Vec<(Vec<u8>, usize, Holder)>,
}

impl Pair {
    fn new(options: Options, dir: Option<&Path>) -> Self {
        let mut model = Model { options, ..Model::default() };
        model.now = 1_800_000_000_000;
        let real = Real::new(model.now, options, dir);
        Self { real, model, claims: Vec::new(), bytes: Vec::new() }
    }

    /// Asks both; `None` where there is nothing to ask.
    fn ask(&mut self, op: &Op) -> Option<(Answer, Answer)> {
        let Self { model, real, claims, .. } = self;
        Some(match op {
            Op::Begin { key, binding, lease, in_doubt } => {
                let (answer, claim) = real.begin(*key, *binding, *lease, *in_doubt);
                let fence = claim.as_ref().map(|claim| claim.fence().get());
                let expected = model.begin(*key, *binding, *lease, *in_doubt, fence);
                if let Some(claim) = claim {
                    claims.insert(0, (claim, *key, model.holders));
                }
                (expected, answer)
            }
            Op::Resolve { key, fence_off, how, reply } => {
                let fence = model.fence(*key).unwrap_or(1) + fence_off;
                (model.resolve(*key, fence, *how, reply), real.resolve(*key, fence, *how, reply))
            }
            Op::Peek { key } => (model.peek(*key), real.peek(*key)),
            Op::Seen { key, ttl } => {
                let (answer, fence) = real.mark_seen(*key, *ttl);
                (model.mark_seen(*key, *ttl, fence), answer)
            }
            Op::Forget { key } => (model.forget(*key), real.forget(*key)),
            Op::List(filter) => (model.list(filter), real.list(filter, model.now)),
            Op::Stats => (model.stats(), real.stats()),
            Op::Adopt { bytes, way } => return self.adopt(*bytes, *way),
            Op::Advance { ms } => {
                real.clock.advance(real::millis(*ms));
                model.now += ms;
                return None;
            }
            Op::Reopen { lose_index } => {
                if real.is_on_disk() {
                    self.reopen(*lose_index);
                }
                return None;
            }
            of_a_claim => return self.ask_a_claim(of_a_claim),
        })
    }

    fn ask_a_claim(&mut self, op: &Op) -> Option<(Answer, Answer)> {
        let Self { model, claims, bytes, .. } = self;
        let held = |age: &usize| claims.len().checked_sub(1).map(|last| last.min(*age));
        Some(match op {
            Op::Heartbeat { claim, lease } => {
                let (claim, key, own) = &claims[held(claim)?];
                let answer = real::done(claim.heartbeat(real::millis(*lease)));
                (model.heartbeat(*key, *own, *lease), answer)
            }
            Op::Effect { claim } => {
                let (claim, key, own) = &claims[held(claim)?];
                (model.begin_effect(*key, *own), real::done(claim.begin_effect()))
            }
            Op::Checkpoint { claim, note } => {
                let (claim, key, own) = &claims[held(claim)?];
                (model.checkpoint(*key, *own, *note), real::checkpoint(claim, *note))
            }
            Op::LastCheckpoint { claim } => {
                let (claim, _, own) = &claims[held(claim)?];
                (Answer::Left(model.left[own]), Answer::Left(real::note(claim)))
            }
            Op::HandOver { claim } => {
                let (claim, key, own) = &claims[held(claim)?];
                let (answer, handed) = real::hand_over(claim);
                if let Some(handed) = handed {
                    bytes.insert(0, (handed, *key, *own));
                }
                (model.hand_over(*key, *own), answer)
            }
            Op::End { claim, state, reply } => {
                let (claim, key, own) = &claims[held(claim)?];
                (model.end(*key, *own, *state, reply), real::end(claim, *state, reply))
            }
            Op::Release { claim, nothing_happened } => {
                let (claim, key, own) = claims.remove(held(claim)?);
                let answer = real::release(claim, *nothing_happened);
                (model.release(key, own, *nothing_happened), answer)
            }
            Op::Drop { claim } => {
                let (claim, key, own) = claims.remove(held(claim)?);
                drop(claim);
                model.release(key, own, false);
                (model.peek(key), self.real.peek(key))
            }
            other => panic!("{other:?} is not asked of a claim"),
        })
    }

    fn adopt(&mut self, age: usize, way: Way) -> Option<(Answer, Answer)> {
        let (bytes, key, from) = &self.bytes[self.bytes.len().checked_sub(1)?.min(age)];
        let (answer, claim) = self.real.adopt(*key, bytes, way);
        let (expected, holder) = match way {
            Way::Whole => self.model.adopt(*key, *from),
            _ => (Answer::Error(ErrorKind::InvalidArgument), None),
        };
        if let (Some(claim), Some(holder)) = (claim, holder) {
            self.claims.insert(0, (claim, *key, holder));
        }
        Some((expected, answer))
    }

    /// A claim keeps its store open: each is dropped first.
    fn reopen(&mut self, lose_index: bool) {
        for (claim, key, own) in self.claims.drain(..) {
            drop(claim);
            self.model.release(key, own, false);
        }
        if lose_index {
            (self.model.unverifiable, self.model.forgotten) = (0, 0); // counted since the index was made
        }
        self.model.now = self.real.reopen(lose_index, self.model.now, self.model.newest());
    }

    fn run(&mut self, ops: &[Op], asked: &Cell<u64>, met: &RefCell<Met>) -> Result<(), TestCaseError> {
        let whole = Op::List(Filter { prefix: "", state: None, since_ago: None });
        let look_at_all = (0..KEYS).map(|key| Op::Peek { key }).chain([whole, Op::Stats]);
        for (at, op) in ops.iter().cloned().chain(look_at_all).enumerate() {
            let Some((expected, answered)) = self.ask(&op) else { continue };
            asked.set(asked.get() + 1);
            *met.borrow_mut().entry(kind_of(&answered)).or_default() += 1;
            if expected != answered {
                let story =
                    format!("{at}: {op:?}\n  the contract: {expected:?}\n  the store:    {answered:?}");
                return Err(TestCaseError::fail(story));
            }
        }
        Ok(())
    }
}

/// How often each kind of answer was given.
type Met = BTreeMap<String, u64>;

/// Kinds of answers: those of the contract, LeaseLost with and without a winner, the two of `mark_seen` and
/// of `forget`, and two kinds of errors.
const KINDS: usize = 24;

fn kind_of(answer: &Answer) -> String {
    match answer {
        Answer::LeaseLost(winner) => format!("LeaseLost, winner told: {}", winner.is_some()),
        Answer::Error(kind) => format!("{kind:?}"),
        Answer::Seen { first, .. } => format!("Seen, first: {first}"),
        Answer::Forgotten(found) => format!("Forgotten: {found}"),
        _ => format!("{answer:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
    }
}

/// Compares over so many sequences; says what it did and fails on the first difference, made as small as it
/// can be.
fn compare(name: &str, cases: u32, longest: usize, target: u64, on_disk: bool) {
    let (asked, met) = (Cell::new(0), RefCell::new(Met::new()));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let compared = TestRunner::new(config).run(&(options(), vec(op(), 1..=longest)), |(options, ops)| {
        let dir = on_disk.then(|| tempfile::tempdir().unwrap());
        Pair::new(options, dir.as_ref().map(|dir| dir.path())).run(&ops, &asked, &met)
    });
    let violations = u64::from(compared.is_err());
    println!("\nPROVE oracle.{name} tried={} violations={violations} target={target} verbs", asked.get());
    match compared {
        Ok(()) => {
            let met = met.into_inner();
            println!("{met:?}");
            assert_eq!(met.len(), KINDS, "answers that were never met");
        }
        Err(TestError::Fail(why, (options, ops))) => panic!("{why}\nwith {options:?} after {ops:#?}"),
        Err(e) => panic!("{e}"),
    }
}

/// Ten times as much before a release.
fn scale() -> u32 {
    if std::env::var("SEMEL_PROOF").is_ok_and(|it| it == "release") { 10 } else { 1 }
}

#[test]
fn a_store_in_memory_answers_as_the_contract_says() {
    compare("memory", 12_000 * scale(), 60, 250_000 * u64::from(scale()), false);
}

#[test]
fn a_store_on_disk_answers_as_the_contract_says() {
    compare("disk", 1000 * scale(), 120, 35_000 * u64::from(scale()), true);
}

/// The helper that makes segments ahead of need once kept its store attached for a moment longer.
#[test]
fn a_store_that_was_dropped_is_left_at_once() {
    for _ in 0..50 {
        let dir = tempfile::tempdir().unwrap();
        let mut pair = Pair::new(Options::default(), Some(dir.path()));
        pair.ask(&Op::Begin { key: 0, binding: None, lease: 10, in_doubt: false });
        pair.reopen(true);
    }
}

#[test]
#[cfg(feature = "kill-points")]
fn an_ignored_fence_is_found() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args([ENTRY, "--exact", "--nocapture"])
        .env("SEMEL_PLANT", "fence.ignored")
        .env_remove("SEMEL_PROOF");
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let found =
        !output.status.success() && told.contains("PROVE oracle.memory") && told.contains("violations=1");
    println!("\nPROVE oracle.fault.fence.ignored tried=1 violations={} target=found", u8::from(found));
    assert!(found, "it was not noticed:\n{told}");
}
