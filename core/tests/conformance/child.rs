//! An actor that is a process: this test binary, run again, which is told what to do line by line.
//!
//! An order is a line of JSON on its standard input: the moment that its clock is to show, and the step. An
//! answer is a line on its standard output. A child serves one case after the other.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, RwLock};

use semel::{Builder, Clock, Store};
use serde::Deserialize;
use serde_json::{Value, json};

use super::actor::{Actor, millis};
use super::answers::refusal;
use super::layout::{at, open_new};
use super::order::{Options, Order};

/// Set in a child.
const CHILD: &str = "SEMEL_CONFORMANCE_CHILD";
/// The name of the test that a child runs.
pub(crate) const ENTRY: &str = "child";
/// libtest prints the test's name before the first answer, on the same line.
const ANSWER: &str = "ANSWER ";

/// Children that serve nobody. They end when this process does: their input ends.
static RESTING: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Written while a process is started, read while a store is opened. Between its fork and its own program a
/// child holds whatever this process had open: a store that was closed meanwhile still looks attached, and
/// one that lost its index is then rightly Unavailable.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a process while no store is being opened here.
pub(crate) fn start(command: &mut Command) -> std::process::Child {
    let _alone = STARTING.write().unwrap_or_else(|e| e.into_inner());
    command.spawn().unwrap()
}

/// Opens a store while no process is being started here.
pub(crate) fn open(builder: Builder) -> semel::Result<Store> {
    let _nobody_starts = STARTING.read().unwrap_or_else(|e| e.into_inner());
    builder.open()
}

pub(crate) struct Child {
    process: std::process::Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    killed_on_drop: bool,
}

impl Child {
    /// A child that has no store open.
    pub(crate) fn idle() -> Self {
        if let Some(mut child) = RESTING.lock().unwrap().pop() {
            child.killed_on_drop = true;
            return child;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([ENTRY, "--exact", "--nocapture"]).env(CHILD, "1");
        let mut process = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, orders, answers, killed_on_drop: true }
    }

    /// Leaves a child that has closed its store to another case.
    pub(crate) fn rest(mut self) {
        self.killed_on_drop = false;
        RESTING.lock().unwrap().push(self);
    }

    /// Has it open the store in this directory; `ok` or the error.
    pub(crate) fn open(&mut self, now_ms: u64, dir: &str, options: &Options) -> Value {
        self.say(&json!({"now_ms": now_ms, "open": {"dir": dir, "options": options}}));
        self.hear()
    }

    pub(crate) fn close(&mut self, now_ms: u64) {
        self.tell(now_ms, &json!({"do": "close"}));
        assert_eq!(self.hear(), "ok");
    }

    pub(crate) fn tell(&mut self, now_ms: u64, order: &Value) {
        self.say(&json!({"now_ms": now_ms, "order": order}));
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.orders, "{line}").unwrap();
    }

    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the child ended");
            if let Some((_, answer)) = line.split_once(ANSWER) {
                return serde_json::from_str(answer).unwrap();
            }
        }
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.killed_on_drop = false;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.killed_on_drop {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// A line of the parent's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    now_ms: u64,
    open: Option<Open>,
    order: Option<Order>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    dir: String,
    options: Options,
}

/// The child's side; does nothing in any other process.
pub(crate) fn obey() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut seat = None;
    for line in std::io::stdin().lines() {
        let line: Line = serde_json::from_str(&line.unwrap()).unwrap();
        println!("{ANSWER}{}", follow(&mut seat, line));
    }
    // The parent is gone: nobody is left to read what libtest has to say.
    std::process::exit(0);
}

fn follow(seat: &mut Option<(Actor, Clock)>, line: Line) -> Value {
    let now_ms = line.now_ms;
    if let Some(Open { dir, options }) = line.open {
        let clock = Clock::manual(millis(now_ms));
        return match at(Some(Path::new(&dir)), &options).clock(clock.clone()).open() {
            Ok(store) => {
                *seat = Some((Actor::new(store, now_ms), clock));
                json!("ok")
            }
            Err(e) => refusal(&e, now_ms),
        };
    }
    let (actor, clock) = seat.as_mut().expect("no store is open");
    clock.advance(millis(now_ms - actor.now_ms));
    actor.now_ms = now_ms;
    match line.order.expect("no order") {
        Order::Close {} => {
            *seat = None;
            json!("ok")
        }
        Order::OpenNew { options } => open_new(&options, false, now_ms),
        order => actor.follow(&order),
    }
}
