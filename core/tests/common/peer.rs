//! Another process of the same host: this test binary, run again, which does what it is told line by line.
//!
//! A test file that uses it has a test named `peer` that calls [`obey`]; run by itself that test does
//! nothing.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use semel::*;

use super::{body, error_text, hex, replay_of, small, text};

const STORE: &str = "SEMEL_TEST_PEER";
/// libtest prints the test's name before the first answer, on the same line.
const ANSWER: &str = "ANSWER ";

/// The other process, as this one sees it.
pub(crate) struct Peer {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// A process that will open the store in `dir` with the options of [`small`].
    pub(crate) fn idle(dir: &Path) -> Self {
        let exe = std::env::current_exe().unwrap();
        let mut child = Command::new(exe)
            .args(["peer", "--exact", "--nocapture"])
            .env(STORE, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, answers }
    }

    /// A process that has the store in `dir` open.
    pub(crate) fn attached(dir: &Path) -> Self {
        let mut peer = Self::idle(dir);
        assert_eq!(peer.ask("open"), "ok");
        peer
    }

    /// Gives an order and waits for the answer.
    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.tell(order);
        self.hear()
    }

    /// Gives an order.
    pub(crate) fn tell(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Waits for an answer.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the other process ended");
            if let Some((_, answer)) = line.split_once(ANSWER) {
                return answer.trim_end().to_owned();
            }
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it without a close: `process::exit` with the store open and its claims held.
    pub(crate) fn exit(mut self) {
        self.tell("exit");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lease of a handle that was opened with a manual clock.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Microseconds since boot, by the clock that stores read.
#[allow(clippy::disallowed_methods)] // a race is set to a moment of that clock
pub(crate) fn uptime_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix('x').unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The other process's side.
pub(crate) fn obey() {
    let Some(dir) = std::env::var_os(STORE) else { return };
    let mut obedient = Obedient { store: None, clock: None, claims: HashMap::new() };
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split(' ').collect();
        let answer = obedient.follow(Path::new(&dir), &words).unwrap_or_else(|e| error_text(&e));
        println!("{ANSWER}{answer}");
    }
}

struct Obedient {
    store: Option<Store>,
    /// The manual one, if it was opened with one.
    clock: Option<Clock>,
    claims: HashMap<String, Claim>,
}

impl Obedient {
    fn follow(&mut self, dir: &Path, words: &[&str]) -> Result<String> {
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        match words[0] {
            "open" => self.store = Some(small(dir).open()?),
            "open-with-processes" => self.store = Some(small(dir).processes(number(1) as u64).open()?),
            "open-with-index-in" => self.store = Some(small(dir).index_dir(words[1]).open()?),
            "open-at" => {
                let clock = Clock::manual(Duration::from_millis(number(1) as u64));
                self.store = Some(small(dir).clock(clock.clone()).lease(LEASE).open()?);
                self.clock = Some(clock);
            }
            "open-with-lease" => {
                self.store = Some(small(dir).lease(Duration::from_millis(number(1) as u64)).open()?);
            }
            "advance" => self.clock.as_ref().unwrap().advance(Duration::from_millis(number(1) as u64)),
            "close" => {
                self.claims.clear();
                self.store = None;
            }
            "exit" => std::process::exit(0),
            "recovery" => return Ok(format!("{:?}", self.store().recovery())),
            "begin" => return self.begin(words[1]),
            "effect" => self.claims[words[1]].begin_effect()?,
            "checkpoint" => self.claims[words[1]].checkpoint(words[2])?,
            "last-checkpoint" => {
                let bytes = self.claims[words[1]].last_checkpoint()?;
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            "fence" => return Ok(self.claims[words[1]].fence().get().to_string()),
            "hand-over" => return Ok(hex(&self.claims[words[1]].hand_over()?)),
            "adopt" => return self.adopt(words[1], words[2]),
            "adopt-at" | "begin-at" => return self.at(number(1) as u64, words),
            "heartbeat" => self.claims[words[1]].heartbeat(Duration::from_secs(60))?,
            "complete" => {
                let response = body(words[1], number(2));
                self.claims[words[1]].complete(Response::new(&response).status(201).meta(words[1]))?;
            }
            "release" => return Ok(format!("{:?}", self.claims.remove(words[1]).unwrap().release()?)),
            "race" => return self.race(number(1)),
            "fill" => return self.fill(words[1], number(2), number(3)),
            "check" => return self.check(words[1], number(2), number(3)),
            other => panic!("what is {other}?"),
        }
        Ok("ok".into())
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn begin(&mut self, key: &str) -> Result<String> {
        let outcome = self.store().begin(Request::new("scope", key).payload("payload"))?;
        let answer = text(&outcome);
        if let Outcome::Started(claim) = outcome {
            self.claims.insert(key.to_owned(), claim);
        }
        Ok(answer)
    }

    fn adopt(&mut self, key: &str, bytes: &str) -> Result<String> {
        let claim = self.store().adopt(&unhex(bytes))?;
        let answer = format!("Adopted {:?} {}", claim.reason(), claim.attempt());
        self.claims.insert(key.to_owned(), claim);
        Ok(answer)
    }

    /// `adopt-at <moment> <key> <bytes>`, `begin-at <moment> <key>`: waits, without sleeping, until the
    /// machine has been up for so many microseconds.
    fn at(&mut self, moment_us: u64, words: &[&str]) -> Result<String> {
        while uptime_us() < moment_us {
            std::hint::spin_loop();
        }
        if words[0] == "begin-at" { self.begin(words[2]) } else { self.adopt(words[2], words[3]) }
    }

    /// Begins the keys 0 to n; answers with those it started.
    fn race(&mut self, keys: usize) -> Result<String> {
        let mut started = Vec::new();
        for key in 0..keys {
            let key = key.to_string();
            match self.begin(&key)?.as_str() {
                "InProgress" => {}
                "Started Fresh 1" => started.push(key),
                other => panic!("{key}: {other}"),
            }
        }
        Ok(started.join(" "))
    }

    /// Looks whether the keys of a `fill` are replayed as they were completed.
    fn check(&mut self, prefix: &str, keys: usize, bytes: usize) -> Result<String> {
        for n in 0..keys {
            let key = format!("{prefix}{n}");
            let answer = self.begin(&key)?;
            if answer != replay_of(&key, bytes) {
                return Ok(format!("{key}: {}", answer.get(..60).unwrap_or(&answer)));
            }
        }
        Ok("ok".into())
    }

    /// Begins and completes so many keys with bodies of so many bytes.
    fn fill(&mut self, prefix: &str, keys: usize, bytes: usize) -> Result<String> {
        for n in 0..keys {
            let key = format!("{prefix}{n}");
            assert_eq!(self.begin(&key)?, "Started Fresh 1");
            let claim = self.claims.remove(&key).unwrap();
            claim.complete(Response::new(&body(&key, bytes)).status(201).meta(&key))?;
        }
        Ok("ok".into())
    }
}
