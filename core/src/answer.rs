//! What a record, once judged, answers to a request.

use std::time::{Duration, SystemTime};

use crate::key::fingerprint::{self, Fingerprint, RULE};
use crate::log::record::Record;
use crate::log::version;
use crate::outcome::{Fence, InDoubt, InProgress, Mismatch, Omitted, Outcome, Replay, TerminalState};
use crate::standing::Standing;

/// What a record answers; `None` where a begin may go on to a grant.
pub(crate) fn answer(
    record: &Record<'_>,
    standing: Standing,
    bound_to: Option<&Fingerprint>,
    now_ms: u64,
) -> Option<Outcome> {
    if matches!(standing, Standing::Released | Standing::Expired) {
        return None;
    }
    let age = Duration::from_millis(now_ms.saturating_sub(version::ms(record.header.version)));
    if is_mismatch(record, bound_to) {
        return Some(Outcome::Mismatch(Mismatch { age }));
    }
    match standing {
        Standing::InProgress { deadline_ms } => {
            let lease_left = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
            Some(Outcome::InProgress(InProgress { lease_left }))
        }
        Standing::InDoubt { since_ms } => {
            let since = Duration::from_millis(now_ms.saturating_sub(since_ms));
            let (fence, attempt) = (Fence(record.header.fence), record.header.attempt());
            Some(Outcome::InDoubt(InDoubt { since, fence, attempt }))
        }
        Standing::Terminal(state) => Some(terminal(record, state, age)),
        Standing::Orphaned | Standing::Released | Standing::Expired => None,
    }
}

/// Two fingerprints of one rule that differ. Where either is missing, or the rules differ, nothing can be
/// said.
fn is_mismatch(record: &Record<'_>, bound_to: Option<&Fingerprint>) -> bool {
    match (record.fingerprint(), bound_to) {
        (Some(stored), Some(given)) => record.header.rule() == RULE && !fingerprint::same(stored, given),
        _ => false,
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
