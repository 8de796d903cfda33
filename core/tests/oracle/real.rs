//! The store, asked in the words of the oracle.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use semel::{
    Claim, Clock, Error, ErrorKind, Fence, OnCrash, Outcome, Peek, Released, Replay, Request, Resolution,
    Response, Result, Store, TerminalState,
};

use super::ops::{Answer, How, IN_DOUBT_TTL_MS, KEYS, Kept, META_LIMIT, RESPONSE_LIMIT, Reply, TTL_MS};

/// Whoever rebuilds an index goes on from the high-water mark, which is at most so far ahead of the clock.
const HIGH_WATER_AHEAD_MS: u64 = 10_001;
const NAMES: [(&str, &[u8]); KEYS] = [("", b"ab"), ("a", b"b"), ("s", b"\0"), ("s", &[0xFF; 255])];

/// The store.
pub struct Real {
    pub clock: Clock,
    dir: Option<PathBuf>,
    store: Option<Store>,
    times_read: Cell<u64>,
}

fn open(clock: &Clock, dir: Option<&Path>) -> Store {
    let mut builder = Store::builder()
        .clock(clock.clone())
        .segment(1 << 20)
        .first_generation(1024)
        .response_limit(RESPONSE_LIMIT as u64)
        .meta_limit(META_LIMIT as u64)
        .ttl(millis(TTL_MS))
        .in_doubt_ttl(millis(IN_DOUBT_TTL_MS));
    if let Some(dir) = dir {
        builder = builder.path(dir.join("store")).index_dir(dir.join("index"));
    }
    builder.open().unwrap()
}

pub fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn response(reply: &Reply) -> Response<'_> {
    let response = Response::new(&reply.body).meta(&reply.meta).status(reply.status);
    match reply.ttl {
        Some(ttl) => response.ttl(millis(ttl)),
        None => response,
    }
}

fn kept(replay: &Replay) -> Kept {
    Kept {
        state: replay.state(),
        status: replay.status(),
        body: replay.body().to_vec(),
        meta: replay.meta().to_vec(),
        age: ms(replay.age()),
        expires: ms(replay.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap()),
    }
}

fn refusal(error: Error) -> Answer {
    match error.kind() {
        ErrorKind::LeaseLost => Answer::LeaseLost(error.winner().map(kept)),
        kind => Answer::Error(kind),
    }
}

pub fn done(result: Result<()>) -> Answer {
    result.map_or_else(refusal, |()| Answer::Done)
}

impl Real {
    /// A store at this time; in memory, unless there is a directory for it.
    pub fn new(now: u64, dir: Option<&Path>) -> Self {
        let clock = Clock::manual(millis(now));
        if let Some(dir) = dir {
            std::fs::create_dir(dir.join("index")).unwrap();
        }
        let store = Some(open(&clock, dir));
        Self { clock, dir: dir.map(Path::to_owned), store, times_read: Cell::new(0) }
    }

    pub fn is_on_disk(&self) -> bool {
        self.dir.is_some()
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub fn begin(
        &self,
        key: usize,
        payload: Option<u8>,
        lease: u64,
        crash_in_doubt: bool,
    ) -> (Answer, Option<Claim>) {
        let (scope, name) = NAMES[key];
        let on_crash = if crash_in_doubt { OnCrash::InDoubt } else { OnCrash::Rerun };
        let mut request = Request::new(scope, name).lease(millis(lease)).on_crash(on_crash);
        let payload = payload.map(|byte| [byte]);
        if let Some(payload) = &payload {
            request = request.payload(payload);
        }
        let answer = match self.store().begin(request) {
            Ok(Outcome::Started(claim)) => {
                let (reason, attempt) = (claim.reason(), claim.attempt());
                return (Answer::Started { reason, attempt, grew: true }, Some(claim));
            }
            Ok(Outcome::Replay(it)) => Answer::Replay(kept(&it)),
            Ok(Outcome::Omitted(it)) => omitted(&it),
            Ok(Outcome::InProgress(it)) => Answer::InProgress { left: ms(it.lease_left()) },
            Ok(Outcome::InDoubt(it)) => in_doubt(&it),
            Ok(Outcome::Mismatch(it)) => Answer::Mismatch { age: ms(it.age()) },
            Ok(other) => panic!("{other:?}"),
            Err(e) => refusal(e),
        };
        (answer, None)
    }

    pub fn peek(&self, key: usize) -> Answer {
        let (scope, name) = NAMES[key];
        match self.store().peek(scope, name) {
            Ok(None) => Answer::Absent,
            Ok(Some(Peek::Orphaned)) => Answer::Orphaned,
            Ok(Some(Peek::InProgress(it))) => Answer::InProgress { left: ms(it.lease_left()) },
            Ok(Some(Peek::InDoubt(it))) => in_doubt(&it),
            Ok(Some(Peek::Replay(it))) => Answer::Replay(kept(&it)),
            Ok(Some(Peek::Omitted(it))) => omitted(&it),
            other => panic!("{other:?}"),
        }
    }

    pub fn resolve(&self, key: usize, fence: u64, how: How, reply: &Reply) -> Answer {
        let (scope, name) = NAMES[key];
        let resolution = match how {
            How::Completed => Resolution::Completed(response(reply)),
            How::Failed => Resolution::Failed(response(reply)),
            How::Release => Resolution::Release,
        };
        done(self.store().resolve(scope, name, Fence::from_u64(fence), resolution))
    }

    /// Closes the store and opens it again; answers with its time. A rebuild goes on from the high-water mark
    /// or from the wall clock, so it may move the time: somewhat forward, or back to what nobody was told
    /// of yet.
    pub fn reopen(&mut self, lose_index: bool, now: u64, newest: u64) -> u64 {
        let dir = self.dir.clone().unwrap();
        self.store = None;
        if lose_index {
            std::fs::remove_dir_all(dir.join("index")).unwrap();
            std::fs::create_dir(dir.join("index")).unwrap();
        }
        self.store = Some(open(&self.clock, Some(&dir)));
        let time = self.time();
        let allowed = if lose_index { newest..=now + HIGH_WATER_AHEAD_MS } else { now..=now };
        assert!(allowed.contains(&time), "{time} is not within {allowed:?}");
        time
    }

    /// The store's time, as the expiry of a completion tells it.
    fn time(&self) -> u64 {
        let name = self.times_read.replace(self.times_read.get() + 1).to_le_bytes();
        let Outcome::Started(claim) = self.store().begin(Request::new("time", &name)).unwrap() else {
            panic!("the clock's key is taken");
        };
        claim.complete(Response::default().ttl(millis(TTL_MS))).unwrap();
        let Some(Peek::Replay(it)) = self.store().peek("time", &name).unwrap() else {
            panic!("not replayed")
        };
        kept(&it).expires - TTL_MS
    }
}

pub fn end(claim: &Claim, state: TerminalState, reply: &Reply) -> Answer {
    done(match state {
        TerminalState::Completed => claim.complete(response(reply)),
        TerminalState::Failed => claim.fail(response(reply)),
    })
}

pub fn release(claim: Claim, nothing_happened: bool) -> Answer {
    match if nothing_happened { claim.release_without_effect() } else { claim.release() } {
        Ok(Released::Absent) => Answer::ReleasedAbsent,
        Ok(Released::InDoubt) => Answer::ReleasedInDoubt,
        Err(e) => refusal(e),
    }
}

fn in_doubt(it: &semel::InDoubt) -> Answer {
    Answer::InDoubt { since: ms(it.since()), fence: it.fence().get(), attempt: it.attempt() }
}

fn omitted(it: &semel::Omitted) -> Answer {
    let (state, reason, status) = (it.state(), it.reason(), it.status());
    Answer::Omitted { state, reason, status, meta: it.meta().to_vec(), age: ms(it.age()) }
}
