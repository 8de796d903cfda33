//! What test builds can be told to do wrong.
//!
//! Kill points: named steps of the protocol at which the process dies, as by `kill -9`.
//! `SEMEL_KILL=begin.swapped:17` kills the process when it reaches that point for the 17th time. The names
//! stand beside the steps in `docs/concurrency.md`. `SEMEL_STOP=begin.appended:90` stops the process there
//! every 90th time, as `kill -STOP` does, until somebody has it go on.
//!
//! Planted faults: `SEMEL_PLANT=mark.skipped` breaks that one rule of the protocol, so that the harnesses can
//! be shown to notice. Without the feature `kill-points` nothing of this is compiled.

#[cfg(feature = "kill-points")]
/// Every kill point there is; a test compares it with the code.
pub const KILL_POINTS: [&str; 49] = [
    "append.length",
    "append.body",
    "append.checksum",
    "segment.ready",
    "segment.linked",
    "segment.published",
    "generation.made",
    "generation.published",
    "seal.closed",
    "seal.told",
    "filter.built",
    "filter.linked",
    "filter.told",
    "begin.closed",
    "begin.helped",
    "begin.taken",
    "begin.appended",
    "begin.swapped",
    "begin.committed",
    "seen.appended",
    "seen.swapped",
    "seen.committed",
    "complete.appended",
    "complete.swapped",
    "complete.committed",
    "release.taken",
    "release.appended",
    "release.swapped",
    "release.committed",
    "checkpoint.appended",
    "checkpoint.swapped",
    "checkpoint.committed",
    "handover.appended",
    "handover.swapped",
    "handover.committed",
    "adopt.appended",
    "adopt.swapped",
    "adopt.committed",
    "heartbeat.swapped",
    "effect.swapped",
    "resolve.taken",
    "resolve.appended",
    "resolve.swapped",
    "resolve.committed",
    "forget.appended",
    "forget.swapped",
    "forget.committed",
    "rebuild.indexed",
    "rebuild.bound",
];

#[cfg(feature = "kill-points")]
/// Every fault that can be planted, and the rule it breaks.
pub const PLANTED_FAULTS: [(&str, &str); 10] = [
    ("mark.skipped", "a record is marked COMMITTED before anyone acts on it"),
    ("fence.ignored", "an ending replaces only the word of its own claim"),
    ("taken.skipped", "a claim is shut out before it is taken over"),
    ("record.reused", "a record appended before a restart is never used after it"),
    ("close.skipped", "a key's chain is closed in the older generations before it is added to the newest"),
    ("filter.early", "a generation is closed before its filter is built"),
    ("swap.split", "looking and claiming are one step"),
    ("effect.dropped", "a claim is carried on with its effect mark"),
    ("holder.kept", "a claim that was handed over is spent"),
    ("adopt.unchecked", "only a claim without a holder is adopted"),
];

macro_rules! kill_point {
    ($name:expr) => {
        #[cfg(feature = "kill-points")]
        $crate::fault::reached($name);
        #[cfg(not(feature = "kill-points"))]
        let _ = $name;
    };
}
pub(crate) use kill_point;

/// Whether this fault is planted; `false`, at compile time, in every other build.
macro_rules! planted {
    ($name:literal) => {{
        #[cfg(feature = "kill-points")]
        let planted = $crate::fault::is_planted($name);
        #[cfg(not(feature = "kill-points"))]
        let planted = false;
        planted
    }};
}
pub(crate) use planted;

#[cfg(feature = "kill-points")]
pub(crate) fn is_planted(name: &str) -> bool {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<String>> = OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("SEMEL_PLANT").ok()).as_deref() == Some(name)
}

/// What is to happen at which point, the how manieth time.
#[cfg(feature = "kill-points")]
struct Plan {
    told: std::sync::OnceLock<Option<(String, u64)>>,
    times: crate::sync::AtomicU64,
}

#[cfg(feature = "kill-points")]
impl Plan {
    const fn new() -> Self {
        Self { told: std::sync::OnceLock::new(), times: crate::sync::AtomicU64::new(0) }
    }

    /// How often this point was met and the time that counts, if it is the one of the variable.
    fn meets(&self, variable: &str, name: &str) -> Option<(u64, u64)> {
        let told = self.told.get_or_init(|| {
            let text = std::env::var(variable).ok()?;
            let (name, count) = text.rsplit_once(':')?;
            Some((name.to_owned(), count.parse().ok()?))
        });
        let (_, count) = told.as_ref().filter(|(wanted, _)| wanted == name)?;
        Some((self.times.fetch_add(1, crate::sync::Ordering::Relaxed) + 1, *count))
    }
}

#[cfg(feature = "kill-points")]
pub(crate) fn reached(name: &'static str) {
    use rustix::process::{Signal, getpid, kill_process};
    static KILL: Plan = Plan::new();
    static STOP: Plan = Plan::new();

    if KILL.meets("SEMEL_KILL", name).is_some_and(|(times, wanted)| times == wanted) {
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }
    if STOP.meets("SEMEL_STOP", name).is_some_and(|(times, each)| times.is_multiple_of(each)) {
        let _ = kill_process(getpid(), Signal::STOP); // goes on when it is told to
    }
}

/// With `record.reused` planted: the word that lost its swap before, instead of the fresh one.
#[cfg(feature = "kill-points")]
pub(crate) fn reused(place: u64, fresh: u64) -> u64 {
    use std::cell::Cell;
    thread_local!(static PREPARED: Cell<Option<(u64, u64)>> = const { Cell::new(None) });
    if !is_planted("record.reused") {
        return fresh;
    }
    let kept = PREPARED.take().filter(|(of, _)| *of == place).map_or(fresh, |(_, word)| word);
    PREPARED.set(Some((place, fresh)));
    kept
}
