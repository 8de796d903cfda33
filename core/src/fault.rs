//! What test builds can be told to do wrong.
//!
//! Kill points: named steps of the protocol at which the process dies, as by `kill -9`.
//! `SEMEL_KILL=begin.swapped:17` kills the process when it reaches that point for the 17th time. The names
//! stand beside the steps in `docs/concurrency.md`.
//!
//! Planted faults: `SEMEL_PLANT=mark.skipped` breaks that one rule of the protocol, so that the harnesses can
//! be shown to notice. Without the feature `kill-points` nothing of this is compiled.

#[cfg(feature = "kill-points")]
/// Every kill point there is; a test compares it with the code.
pub const KILL_POINTS: [&str; 41] = [
    "append.length",
    "append.body",
    "append.checksum",
    "segment.ready",
    "segment.linked",
    "segment.published",
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
pub const PLANTED_FAULTS: [(&str, &str); 8] = [
    ("mark.skipped", "a record is marked COMMITTED before anyone acts on it"),
    ("fence.ignored", "an ending replaces only the word of its own claim"),
    ("taken.skipped", "a claim is shut out before it is taken over"),
    ("record.reused", "a record appended before a restart is never used after it"),
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

#[cfg(feature = "kill-points")]
pub(crate) fn reached(name: &'static str) {
    use crate::sync::{AtomicU64, Ordering};
    use std::sync::OnceLock;

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);

    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("SEMEL_KILL").ok()?;
        let (name, count) = text.rsplit_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((wanted, count)) = plan
        && wanted == name
        && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
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
