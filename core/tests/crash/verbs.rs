//! The store's verbs, with their answers in the oracle's words.

use std::path::Path;
use std::time::Duration;

use semel::{
    Claim, Entry, Error, ErrorKind, Fence, InDoubt, InProgress, OnCrash, Outcome, Peek, Query, Released,
    Request, Resolution, Result, StartReason, State, Store,
};

use super::body::{Body, checkpoint, replayed, with_checkpoint};
use super::journal::{Answer, Answered, Asked, Detail, Verb};

pub const MS: u64 = 1_000_000;
pub const LEASE_MS: u64 = 10;
/// The lease that an adoption gives at least.
pub const ADOPTED_MS: u64 = 12;

const SCOPE: &str = "crash";
const PAYLOADS: [&str; 2] = ["one", "other"];

/// Opens the one store of these tests: small segments, so that the log grows all the time.
pub fn open(dir: &Path, words: u64) -> Store {
    Store::builder()
        .path(dir.join("store"))
        .index_dir(dir.join("index"))
        .segment(1 << 20)
        .first_generation(words)
        .response_limit(16 << 10)
        .meta_limit(1 << 10)
        .processes(64)
        .lease(Duration::from_millis(ADOPTED_MS))
        .open()
        .unwrap()
}

const SPREAD: u64 = 0x9E37_79B9;

fn bytes_of(key: u32) -> [u8; 8] {
    (u64::from(key) * SPREAD).to_be_bytes()
}

fn key_of(bytes: &[u8]) -> Option<u32> {
    let spread = u64::from_be_bytes(bytes.try_into().ok()?);
    u32::try_from(spread / SPREAD).ok().filter(|_| spread.is_multiple_of(SPREAD))
}

pub fn begin(store: &Store, it: &Asked) -> (Answered, Option<Claim>) {
    let key = bytes_of(it.key);
    let request = Request::new(SCOPE, &key)
        .payload(PAYLOADS[usize::from(it.payload)])
        .lease(Duration::from_millis(it.ms))
        .on_crash(if it.in_doubt { OnCrash::InDoubt } else { OnCrash::Rerun });
    let answered = match store.begin(request) {
        Ok(Outcome::Started(claim)) => {
            let detail = match claim.reason() {
                StartReason::Fresh => Detail::Fresh,
                StartReason::AfterRelease => Detail::AfterRelease,
                StartReason::Takeover => Detail::Takeover,
                _ => Detail::None,
            };
            let (fence, attempt) = (claim.fence().get(), claim.attempt());
            let started = Answered { detail, attempt, fence, ..Answered::plain(Answer::Started) };
            return (with_last_checkpoint(&claim, it.key, started), Some(claim));
        }
        Ok(Outcome::Replay(replay)) => replayed(it.key, &replay),
        Ok(Outcome::InProgress(progress)) => in_progress(&progress),
        Ok(Outcome::InDoubt(doubt)) => in_doubt(it.key, &doubt),
        Ok(Outcome::Mismatch(_)) => Answered::plain(Answer::Mismatch),
        Ok(other) => forbidden(&format!("begin: {other:?}")),
        Err(e) => refusal(it.key, &e),
    };
    (answered, None)
}

pub fn peek(store: &Store, key: u32) -> Answered {
    match store.peek(SCOPE, &bytes_of(key)) {
        Ok(None) => Answered::plain(Answer::Absent),
        Ok(Some(Peek::Orphaned)) => Answered::plain(Answer::Orphaned),
        Ok(Some(Peek::InProgress(progress))) => in_progress(&progress),
        Ok(Some(Peek::InDoubt(doubt))) => in_doubt(key, &doubt),
        Ok(Some(Peek::Replay(replay))) => replayed(key, &replay),
        Ok(Some(other)) => forbidden(&format!("peek: {other:?}")),
        Err(e) => refusal(key, &e),
    }
}

/// A verb of the claim that leaves it with its holder.
pub fn on_claim(claim: &Claim, it: &Asked) -> Answered {
    let body = Body::new(it.key, it.fence, it.author);
    let done = match it.verb {
        Verb::Heartbeat => claim.heartbeat(Duration::from_millis(it.ms)),
        Verb::Effect => claim.begin_effect(),
        Verb::Fail => claim.fail(body.response(it.ms)),
        Verb::Checkpoint => claim.checkpoint(&checkpoint(it.key, it.fence, it.author)),
        _ => claim.complete(body.response(it.ms)),
    };
    done_or_refused(it.key, done)
}

/// A hand over, and its bytes.
pub fn hand_over(claim: &Claim, it: &Asked) -> (Answered, Option<Vec<u8>>) {
    match claim.hand_over() {
        Ok(bytes) => (Answered::plain(Answer::Done), Some(bytes)),
        Err(e) => (refusal(it.key, &e), None),
    }
}

pub fn adopt(store: &Store, it: &Asked, bytes: &[u8]) -> (Answered, Option<Claim>) {
    match store.adopt(bytes) {
        Ok(claim) if claim.reason() == StartReason::Adopted => {
            let (fence, attempt) = (claim.fence().get(), claim.attempt());
            let adopted = Answered { fence, attempt, ..Answered::plain(Answer::Done) };
            (with_last_checkpoint(&claim, it.key, adopted), Some(claim))
        }
        Ok(claim) => (forbidden(&format!("adopt: {claim:?}")), None),
        Err(e) => (refusal(it.key, &e), None),
    }
}

fn with_last_checkpoint(claim: &Claim, key: u32, answered: Answered) -> Answered {
    match claim.last_checkpoint() {
        Ok(bytes) => with_checkpoint(key, &bytes, answered),
        Err(e) => forbidden(&format!("last_checkpoint: {e:?}")),
    }
}

pub fn forget(store: &Store, it: &Asked) -> Answered {
    match store.forget(SCOPE, &bytes_of(it.key)) {
        Ok(true) => Answered::plain(Answer::Forgotten),
        Ok(false) => Answered::plain(Answer::Absent),
        Err(e) => refusal(it.key, &e),
    }
}

pub fn mark_seen(store: &Store, it: &Asked) -> Answered {
    match store.mark_seen(SCOPE, &bytes_of(it.key), Duration::from_millis(it.ms)) {
        Ok(true) => Answered::plain(Answer::Noted),
        Ok(false) => Answered::plain(Answer::SeenBefore),
        Err(e) => refusal(it.key, &e),
    }
}

/// The keys of these tests that are as they are since this time, by the store's clock.
pub fn recent(since_ms: u64) -> Query {
    Query::new()
        .scope_prefix(SCOPE)
        .since(std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(since_ms))
}

/// What a list says of a key, as a look at it would say it.
pub fn listed(entry: Result<Entry>) -> (u32, Answered) {
    let (key, entry) = match entry.map(|entry| (key_of(entry.key()), entry)) {
        Ok((Some(key), entry)) if entry.scope() == SCOPE => (key, entry),
        other => return (0, forbidden(&format!("list: {other:?}"))),
    };
    let (answer, detail) = match entry.state() {
        State::InProgress => (Answer::InProgress, Detail::None),
        State::Orphaned => (Answer::Orphaned, Detail::None),
        State::InDoubt => (Answer::InDoubt, Detail::None),
        State::Completed => (Answer::Replay, Detail::Completed),
        State::Failed => (Answer::Replay, Detail::Failed),
        other => return (key, forbidden(&format!("list: {other:?}"))),
    };
    let (fence, attempt) = (entry.fence().get(), entry.attempt());
    (key, Answered { detail, fence, attempt, ..Answered::plain(answer) })
}

/// A verb that consumes the claim.
pub fn give_back(claim: Claim, it: &Asked) -> Answered {
    let released = match it.verb {
        Verb::Release => claim.release(),
        Verb::ReleaseClean => claim.release_without_effect(),
        _ => {
            drop(claim);
            return Answered::plain(Answer::Done);
        }
    };
    match released {
        Ok(Released::Absent) => Answered::plain(Answer::ReleasedAbsent),
        Ok(Released::InDoubt) => Answered::plain(Answer::ReleasedInDoubt),
        Err(e) => refusal(it.key, &e),
    }
}

pub fn resolve(store: &Store, it: &Asked) -> Answered {
    let body = Body::new(it.key, it.fence, it.author);
    let resolution = match it.verb {
        Verb::ResolveCompleted => Resolution::Completed(body.response(it.ms)),
        Verb::ResolveFailed => Resolution::Failed(body.response(it.ms)),
        _ => Resolution::Release,
    };
    let done = store.resolve(SCOPE, &bytes_of(it.key), Fence::from_u64(it.fence), resolution);
    done_or_refused(it.key, done)
}

/// The store's clock less the machine's time since boot, in milliseconds: what a replay says of its expiry
/// tells it.
pub fn clock_offset_ms(store: &Store) -> u64 {
    const TTL: Duration = Duration::from_secs(3600);
    let key = format!("clock {}", boot_ns());
    for round in 0..1000 {
        let name = format!("{key} {round}");
        let Ok(Outcome::Started(claim)) = store.begin(Request::new("clock", &name)) else { continue };
        let before = boot_ns() / MS;
        claim.complete(semel::Response::default().ttl(TTL)).unwrap();
        if boot_ns() / MS == before
            && let Ok(Some(Peek::Replay(replay))) = store.peek("clock", &name)
        {
            let expiry = replay.expires_at().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
            return (expiry - TTL).as_millis() as u64 - before;
        }
    }
    panic!("no completion fell within one millisecond");
}

/// The clock that the store builds on.
pub fn boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn in_progress(it: &InProgress) -> Answered {
    Answered { ms: it.lease_left().as_millis() as u64, ..Answered::plain(Answer::InProgress) }
}

fn in_doubt(key: u32, it: &InDoubt) -> Answered {
    let (fence, attempt) = (it.fence().get(), it.attempt());
    with_checkpoint(key, it.checkpoint(), Answered { fence, attempt, ..Answered::plain(Answer::InDoubt) })
}

fn done_or_refused(key: u32, done: Result<()>) -> Answered {
    match done {
        Ok(()) => Answered::plain(Answer::Done),
        Err(e) => refusal(key, &e),
    }
}

fn refusal(key: u32, error: &Error) -> Answered {
    match error.kind() {
        ErrorKind::LeaseLost => {
            let winner = error.winner().map(|replay| replayed(key, replay));
            match winner {
                Some(it) if it.answer == Answer::Replay => Answered { answer: Answer::LeaseLost, ..it },
                Some(garbled) => garbled,
                None => Answered::plain(Answer::LeaseLost),
            }
        }
        ErrorKind::Conflict => Answered::plain(Answer::Conflict),
        _ => forbidden(&format!("{error:?}")),
    }
}

/// An answer that none of this should ever give.
fn forbidden(what: &str) -> Answered {
    eprintln!("{what}");
    Answered::plain(Answer::Forbidden)
}
