//! What a record, once judged, answers to a request.

use std::time::{Duration, SystemTime};

use crate::error::Result;
use crate::key::fingerprint::Match;
use crate::log::record::Record;
use crate::log::version;
use crate::outcome::{Fence, InDoubt, InProgress, Mismatch, Omitted, Outcome, Replay, TerminalState};
use crate::standing::{Judged, Standing};

/// What a record answers to a request whose fingerprint compares like this; `None` where a begin may go on to
/// a grant.
pub(crate) fn answer(
    record: &Record<'_>,
    standing: Standing,
    matched: Match,
    now_ms: u64,
) -> Option<Outcome> {
    if matches!(standing, Standing::Released | Standing::Expired) {
        return None;
    }
    let age = Duration::from_millis(now_ms.saturating_sub(version::ms(record.header.version)));
    if matched == Match::Different {
        return Some(Outcome::Mismatch(Mismatch { age }));
    }
    match standing {
        Standing::InProgress { deadline_ms } => {
            let lease_left = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
            Some(Outcome::InProgress(InProgress { lease_left }))
        }
        Standing::InDoubt { since_ms } => Some(Outcome::InDoubt(InDoubt {
            since: Duration::from_millis(now_ms.saturating_sub(since_ms)),
            fence: Fence(record.header.fence),
            attempt: record.header.attempt(),
            checkpoint: record.checkpoint().to_vec(),
        })),
        Standing::Terminal(state) => Some(terminal(record, state, age)),
        Standing::Orphaned { .. } | Standing::Released | Standing::Expired => None,
    }
}

fn terminal(record: &Record<'_>, state: TerminalState, age: Duration) -> Outcome {
    let status = record.header.status();
    if let Some(reason) = record.header.omitted() {
        return Outcome::Omitted(Omitted { state, reason, status, meta: record.meta().to_vec(), age });
    }
    Outcome::Replay(replay(record, state, age))
}

/// The stored response, copied out.
pub(crate) fn replay(record: &Record<'_>, state: TerminalState, age: Duration) -> Replay {
    Replay {
        state,
        status: record.header.status(),
        bytes: record.response().to_vec(),
        body_len: record.body().len(),
        age,
        expires_at: SystemTime::UNIX_EPOCH + Duration::from_millis(record.header.expiry_ms()),
    }
}

/// The response that stands in a record, for a claim that lost to it.
pub(crate) fn winner(record: &Record<'_>, now_ms: u64) -> Result<Option<Replay>> {
    let Standing::Terminal(state) = Judged::new(record, now_ms)?.standing else { return Ok(None) };
    let age = Duration::from_millis(now_ms.saturating_sub(version::ms(record.header.version)));
    Ok(record.header.omitted().is_none().then(|| replay(record, state, age)))
}
