//! What the engine answers, in the words of the scripts.

use std::time::{Duration, SystemTime};

use semel::*;
use serde_json::{Value, json};

use super::order::Stands;
use super::values::canonical;

pub(crate) fn done(result: Result<()>) -> Result<Value> {
    result.map(|()| json!("ok"))
}

pub(crate) fn released(released: Released) -> Value {
    match released {
        Released::Absent => json!("absent"),
        Released::InDoubt => json!("in_doubt"),
    }
}

pub(crate) fn reason(reason: StartReason) -> &'static str {
    match reason {
        StartReason::Fresh => "fresh",
        StartReason::AfterRelease => "after_release",
        StartReason::Takeover => "takeover",
        StartReason::Adopted => "adopted",
        other => panic!("an unknown reason: {other:?}"),
    }
}

/// The states that a list tells apart.
const STATES: [(Stands, State); 5] = [
    (Stands::InProgress, State::InProgress),
    (Stands::Orphaned, State::Orphaned),
    (Stands::InDoubt, State::InDoubt),
    (Stands::Completed, State::Completed),
    (Stands::Failed, State::Failed),
];

/// What a list is asked for.
pub(crate) fn state_of(word: Stands) -> State {
    STATES.iter().find(|(stands, _)| *stands == word).unwrap().1
}

pub(crate) fn entry(entry: &Entry, now_ms: u64) -> Value {
    let state = STATES.iter().find(|(_, state)| *state == entry.state());
    json!({
        "scope": canonical(entry.scope().as_bytes()),
        "key": canonical(entry.key()),
        "state": state.unwrap_or_else(|| panic!("an unknown state: {entry:?}")).0,
        "fence": entry.fence().get(),
        "attempt": entry.attempt(),
        "since_ms": -left_ms(entry.since(), now_ms),
    })
}

/// What is left until then; negative if it is over.
pub(crate) fn left_ms(until: SystemTime, now_ms: u64) -> i64 {
    let until = until.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    until.as_millis() as i64 - now_ms as i64
}

pub(crate) fn answered(outcome: &Outcome, now_ms: u64) -> Value {
    match outcome {
        Outcome::Replay(it) => json!({ "replay": replay(it, now_ms) }),
        Outcome::Omitted(it) => omitted(it),
        Outcome::InProgress(it) => in_progress(it),
        Outcome::InDoubt(it) => in_doubt(it),
        Outcome::Mismatch(it) => json!({"mismatch": {"age_ms": ms(it.age())}}),
        other => panic!("an unknown outcome: {other:?}"),
    }
}

pub(crate) fn peeked(peek: &Peek, now_ms: u64) -> Value {
    match peek {
        Peek::Orphaned => json!("orphaned"),
        Peek::Replay(it) => json!({ "replay": replay(it, now_ms) }),
        Peek::Omitted(it) => omitted(it),
        Peek::InProgress(it) => in_progress(it),
        Peek::InDoubt(it) => in_doubt(it),
        other => panic!("an unknown state: {other:?}"),
    }
}

fn in_progress(it: &InProgress) -> Value {
    json!({"in_progress": {"lease_left_ms": ms(it.lease_left()), "retry_after_ms": ms(it.retry_after())}})
}

fn in_doubt(it: &InDoubt) -> Value {
    json!({"in_doubt": {
        "since_ms": ms(it.since()),
        "fence": it.fence().get(),
        "attempt": it.attempt(),
        "checkpoint": canonical(it.checkpoint()),
    }})
}

fn omitted(it: &Omitted) -> Value {
    let reason = match it.reason() {
        OmittedReason::TooLarge => "too_large",
        OmittedReason::StoreFull => "store_full",
        other => panic!("an unknown reason: {other:?}"),
    };
    json!({"omitted": {
        "state": state(it.state()),
        "reason": reason,
        "status": it.status(),
        "meta": canonical(it.meta()),
        "age_ms": ms(it.age()),
    }})
}

fn replay(it: &Replay, now_ms: u64) -> Value {
    json!({
        "state": state(it.state()),
        "status": it.status(),
        "meta": canonical(it.meta()),
        "body": canonical(it.body()),
        "age_ms": ms(it.age()),
        "ttl_left_ms": left_ms(it.expires_at(), now_ms),
    })
}

fn state(state: TerminalState) -> &'static str {
    match state {
        TerminalState::Completed => "completed",
        TerminalState::Failed => "failed",
    }
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// An error, with what it carries.
pub(crate) fn refusal(e: &Error, now_ms: u64) -> Value {
    let plain = |word: &str| json!({ "error": word });
    match e.kind() {
        ErrorKind::InvalidArgument => json!({"error": "invalid_argument", "limit": limit_of(e)}),
        ErrorKind::LeaseLost => {
            json!({"error": "lease_lost", "winner": e.winner().map(|it| replay(it, now_ms))})
        }
        ErrorKind::Conflict => plain("conflict"),
        ErrorKind::StoreFull => plain("store_full"),
        ErrorKind::Corrupt => plain("corrupt"),
        ErrorKind::Incompatible => plain("incompatible"),
        ErrorKind::Refused => plain("refused"),
        ErrorKind::Unavailable => plain("unavailable"),
        ErrorKind::Io => plain("io"),
        other => panic!("an unknown kind of error: {other:?}"),
    }
}

/// The limit that a message is about: "key is 256 bytes; ...", "response_limit and meta_limit make ...", and
/// not "key of 7 bytes is not as agreed".
fn limit_of(e: &Error) -> Option<&'static str> {
    let message = e.to_string();
    let mut words = message.split(' ');
    let (first, second) = (words.next()?, words.next()?);
    let about = |name: &&str| *name == first && matches!(second, "is" | "and");
    limits::ALL.iter().map(|row| row.name).find(about)
}
