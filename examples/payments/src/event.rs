//! What a process says while it works: one line of JSON on its standard output for each event.
//!
//! A line is one write to a pipe, so it is whole, and it outlives a worker that is killed right after it.
//! Counters in the worker's memory would die with it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use semel::{Outcome, StartReason};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The process answers at this address.
    Listening(SocketAddr),
    /// A begin had this outcome and took this long.
    Begin { outcome: Begun, ns: u64 },
    /// The effect is marked; the call to the ledger comes next.
    Effect,
    /// The ledger has taken a charge in hand, and will make it whoever dies.
    Taken,
    /// A key in doubt was resolved: the ledger had charged it, or it never will.
    Resolved { charged: bool },
}

/// The outcomes of begin, with the reason of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Begun {
    Fresh,
    AfterRelease,
    Takeover,
    Replay,
    InProgress,
    Mismatch,
    InDoubt,
    Omitted,
}

impl From<&Outcome> for Begun {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Started(claim) => match claim.reason() {
                StartReason::Takeover => Self::Takeover,
                StartReason::AfterRelease => Self::AfterRelease,
                _ => Self::Fresh,
            },
            Outcome::Replay(_) => Self::Replay,
            Outcome::InProgress(_) => Self::InProgress,
            Outcome::Mismatch(_) => Self::Mismatch,
            Outcome::InDoubt(_) => Self::InDoubt,
            _ => Self::Omitted,
        }
    }
}

impl Event {
    pub(crate) fn say(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            // A reader that went away is no reason to stop working.
            let _ = std::io::stdout().write_all(&line);
        }
    }

    pub(crate) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// The sum of events.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    begun: BTreeMap<Begun, u64>,
    pub(crate) effects: u64,
    pub(crate) taken: u64,
    pub(crate) resolved_completed: u64,
    pub(crate) resolved_released: u64,
    begin_ns: Vec<u64>,
}

/// Begin times are kept up to this many, for the median and the 99th percentile.
const SAMPLES: usize = 1 << 16;

impl Tally {
    pub(crate) fn add(&mut self, event: Event) {
        match event {
            Event::Listening(_) => {}
            Event::Begin { outcome, ns } => {
                *self.begun.entry(outcome).or_default() += 1;
                self.sample(ns);
            }
            Event::Effect => self.effects += 1,
            Event::Taken => self.taken += 1,
            Event::Resolved { charged: true } => self.resolved_completed += 1,
            Event::Resolved { charged: false } => self.resolved_released += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (outcome, count) in &other.begun {
            *self.begun.entry(*outcome).or_default() += count;
        }
        self.effects += other.effects;
        self.taken += other.taken;
        self.resolved_completed += other.resolved_completed;
        self.resolved_released += other.resolved_released;
        other.begin_ns.iter().for_each(|ns| self.sample(*ns));
    }

    fn sample(&mut self, ns: u64) {
        if self.begin_ns.len() < SAMPLES {
            self.begin_ns.push(ns);
        }
    }

    /// How many begins had this outcome.
    pub(crate) fn of(&self, outcome: Begun) -> u64 {
        self.begun.get(&outcome).copied().unwrap_or(0)
    }

    pub(crate) fn begins(&self) -> u64 {
        self.begun.values().sum()
    }

    /// The time that this share of all begins did not exceed.
    pub(crate) fn begin_ns(&self, percent: usize) -> u64 {
        let mut sorted = self.begin_ns.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// For a person with curl.
    pub(crate) fn report(&self) -> serde_json::Value {
        serde_json::json!({
            "begins": self.begun,
            "effects": self.effects,
            "resolved_completed": self.resolved_completed,
            "resolved_released": self.resolved_released,
            "begin_ns_median": self.begin_ns(50),
            "begin_ns_p99": self.begin_ns(99),
        })
    }
}
