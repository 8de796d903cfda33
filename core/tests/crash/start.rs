//! How a worker is started: where it is to die, where to stop, and what it lacks.

use super::parent::{Parent, Running, worker_command};
use super::worker::{Aim, ORDERS, Orders};

/// Kill points that only a helper meets.
const HELPERS: [&str; 3] = ["seal", "filter", "segment.ready"];
/// No thread is started with a stack of so many bytes: a worker without a helper does all that it needs
/// itself.
const STACK_TOO_LARGE: &str = "140737488355328";

/// Points that are met seldom: there a worker dies at once.
const RARE: [&str; 7] =
    ["segment", "resolve", "begin.helped", "begin.closed", "generation", "seal.told", "filter"];
const SELDOM: [&str; 4] = ["seen", "forget", "adopt", "handover"];

fn is_of(point: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| point.starts_with(kind))
}

impl Parent<'_> {
    pub fn start(&mut self) {
        self.born += 1;
        let orders = Orders {
            who: self.born,
            aim: self.run.aim,
            clock_offset_ms: self.clock_offset_ms,
            words: self.words,
            dir: self.dir.to_owned(),
        };
        let mut command = worker_command();
        command.env(ORDERS, orders.text());
        let point = self.choose_point();
        if let Some(point) = point {
            // Common points anywhere from the first time to some thousandth.
            let doublings = match point {
                _ if is_of(point, &RARE) => 2,
                _ if is_of(point, &SELDOM) => 4,
                _ => 10,
            };
            let doublings = self.random.below(doublings);
            let times = 1 + self.random.below(1 << doublings);
            command.env("SEMEL_KILL", format!("{point}:{times}"));
        }
        let needs_helper = point.is_some_and(|point| is_of(point, &HELPERS));
        if self.without_helpers || !needs_helper && self.random.below(3) == 0 {
            command.env("RUST_MIN_STACK", STACK_TOO_LARGE);
        }
        if self.run.aim == Aim::Growth {
            // Between its look at the key and its swap: the generation may be an old one when it goes on.
            command.env("SEMEL_STOP", format!("begin.appended:{}", 32 + self.random.below(256)));
        }
        if let Some(fault) = self.run.fault {
            command.env("SEMEL_PLANT", fault);
        }
        let (child, born) = (command.spawn().unwrap(), self.now());
        self.workers.push(Running { who: self.born, child, born, point, killed: false });
    }

    /// Every other worker dies where the fewest have died so far.
    fn choose_point(&mut self) -> Option<&'static str> {
        let without = self.without_helpers;
        let met: Vec<_> =
            self.outcome.points.iter().filter(|(point, _)| !without || !is_of(point, &HELPERS)).collect();
        let behind = met.iter().min_by_key(|(_, times)| **times).map(|(point, _)| **point);
        match self.random.below(8) {
            0 => None,
            1..4 => behind,
            _ => {
                let at = self.random.below(met.len().max(1) as u64) as usize;
                met.get(at).map(|(point, _)| **point)
            }
        }
    }
}
