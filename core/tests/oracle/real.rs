//! The store, asked in the words of the oracle.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use semel::{
    Claim, Clock, Error, ErrorKind, Fence, OnCrash, Outcome, Peek, Query, Released, Replay, Request,
    Resolution, Response, Result, StartReason, Store, TerminalState, Unverifiable,
};

use super::ops::{
    Answer, Binding, Entry, Filter, How, IN_DOUBT_TTL_MS, KEYS, Kept, LEASE_MS, META_LIMIT, Note, Options,
    RESPONSE_LIMIT, Reply, TTL_MS, Way, name,
};

/// Whoever rebuilds an index goes on from the high-water mark, which is at most so far ahead of the clock.
const HIGH_WATER_AHEAD_MS: u64 = 10_001;
pub const NAMES: [(&str, &[u8]); KEYS] = [("", b"ab"), ("a", b"b"), ("s", b"\0"), ("sc", &[0xFF; 255])];

/// The store.
pub struct Real {
    pub clock: Clock,
    options: Options,
    dir: Option<PathBuf>,
    store: Option<Store>,
    times_read: Cell<u64>,
}

fn open(clock: &Clock, options: Options, dir: Option<&Path>) -> Store {
    let reject = options.rejects_unverifiable;
    let mut builder = Store::builder()
        .clock(clock.clone())
        .segment(1 << 20)
        .first_generation(1024)
        .response_limit(RESPONSE_LIMIT as u64)
        .meta_limit(META_LIMIT as u64)
        .ttl(millis(TTL_MS))
        .lease(millis(LEASE_MS))
        .keyed_fingerprints(options.keyed_fingerprints)
        .unverifiable(if reject { Unverifiable::Reject } else { Unverifiable::Accept })
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
    pub fn new(now: u64, options: Options, dir: Option<&Path>) -> Self {
        let clock = Clock::manual(millis(now));
        if let Some(dir) = dir {
            std::fs::create_dir(dir.join("index")).unwrap();
        }
        let store = Some(open(&clock, options, dir));
        Self { clock, options, dir: dir.map(Path::to_owned), store, times_read: Cell::new(0) }
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
        binding: Option<Binding>,
        lease: u64,
        crash_in_doubt: bool,
    ) -> (Answer, Option<Claim>) {
        let (scope, name) = NAMES[key];
        let on_crash = if crash_in_doubt { OnCrash::InDoubt } else { OnCrash::Rerun };
        let mut request = Request::new(scope, name).lease(millis(lease)).on_crash(on_crash);
        let payload = binding.map(|it| [it.payload]);
        if let (Some(payload), Some(Binding { rule, keyed, .. })) = (&payload, binding) {
            request = request.payload(payload).rule(rule);
            request = if keyed { request.keyed() } else { request };
        }
        let answer = match self.store().begin(request) {
            Ok(Outcome::Started(claim)) => {
                let (reason, attempt, note) = (claim.reason(), claim.attempt(), note(&claim));
                let answer =
                    Answer::Started { reason, attempt, grew: true, deadline: deadline(&claim), note };
                return (answer, Some(claim));
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

    /// The bytes are those that a claim of this key handed over.
    pub fn adopt(&self, key: usize, bytes: &[u8], way: Way) -> (Answer, Option<Claim>) {
        let adopted = match way {
            Way::Whole => self.store().adopt(bytes),
            Way::Flipped(at) => {
                let (mut bytes, at) = (bytes.to_vec(), at % (8 * bytes.len()));
                bytes[at / 8] ^= 1 << (at % 8);
                self.store().adopt(&bytes)
            }
            Way::Cut(at) => self.store().adopt(&bytes[..at % bytes.len()]),
            Way::OfAnother => self.store().adopt(&of_another()[key]),
        };
        match adopted {
            Ok(claim) => {
                assert_eq!(claim.reason(), StartReason::Adopted);
                let (fence, attempt) = (claim.fence().get(), claim.attempt());
                let (deadline, note) = (deadline(&claim), note(&claim));
                (Answer::Adopted { fence, attempt, deadline, note }, Some(claim))
            }
            Err(e) => (refusal(e), None),
        }
    }

    /// With the fence of what was written, which a list tells.
    pub fn mark_seen(&self, key: usize, ttl: u64) -> (Answer, Option<u64>) {
        let (scope, bytes) = NAMES[key];
        match self.store().mark_seen(scope, bytes, millis(ttl)) {
            Ok(first) => {
                let entries = self.entries(Query::new().scope_prefix(scope));
                let fence = entries.into_iter().find(|entry| entry.key == key).map(|entry| entry.fence);
                (Answer::Seen { first, grew: true }, fence)
            }
            Err(e) => (refusal(e), None),
        }
    }

    pub fn forget(&self, key: usize) -> Answer {
        let (scope, name) = NAMES[key];
        self.store().forget(scope, name).map_or_else(refusal, Answer::Forgotten)
    }

    pub fn list(&self, filter: &Filter, now: u64) -> Answer {
        let mut query = Query::new();
        if !filter.prefix.is_empty() {
            query = query.scope_prefix(filter.prefix);
        }
        if let Some(state) = filter.state {
            query = query.state(state);
        }
        if let Some(ago) = filter.since_ago {
            query = query.since(SystemTime::UNIX_EPOCH + millis(now.saturating_sub(ago)));
        }
        Answer::Listed(self.entries(query))
    }

    /// In order, without the keys by which the time was read.
    fn entries(&self, query: Query) -> Vec<Entry> {
        let listed = self.store().list(query).map(Result::unwrap).filter(|entry| entry.scope() != "time");
        let mut entries: Vec<Entry> = listed.map(|it| entry(&it)).collect();
        entries.sort();
        entries
    }

    pub fn stats(&self) -> Answer {
        let stats = self.store().stats().unwrap();
        Answer::Counted { unverifiable: stats.unverifiable(), forgotten: stats.forgotten() }
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
        self.store = Some(open(&self.clock, self.options, Some(&dir)));
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

/// Bytes that another store handed over, for each key.
fn of_another() -> &'static [Vec<u8>] {
    static BYTES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let store = open(&Clock::manual(millis(1_800_000_000_000)), Options::default(), None);
        let handed = NAMES.map(|(scope, key)| match store.begin(Request::new(scope, key)).unwrap() {
            Outcome::Started(claim) => claim.hand_over().unwrap(),
            other => panic!("{other:?}"),
        });
        handed.to_vec()
    })
}

fn entry(it: &semel::Entry) -> Entry {
    let key = NAMES.iter().position(|name| *name == (it.scope(), it.key()));
    let since = it.since().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (fence, attempt) = (it.fence().get(), it.attempt());
    Entry {
        key: key.expect("a key that nobody used"),
        fence,
        attempt,
        since: ms(since),
        state: name(it.state()),
    }
}

fn deadline(claim: &Claim) -> u64 {
    ms(claim.deadline().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

/// Its last checkpoint.
pub fn note(claim: &Claim) -> Note {
    Note::of(&claim.last_checkpoint().unwrap())
}

pub fn checkpoint(claim: &Claim, note: Note) -> Answer {
    done(claim.checkpoint(&note.bytes()))
}

pub fn hand_over(claim: &Claim) -> (Answer, Option<Vec<u8>>) {
    match claim.hand_over() {
        Ok(bytes) => (Answer::HandedOver, Some(bytes)),
        Err(e) => (refusal(e), None),
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
    let note = Note::of(it.checkpoint());
    Answer::InDoubt { since: ms(it.since()), fence: it.fence().get(), attempt: it.attempt(), note }
}

fn omitted(it: &semel::Omitted) -> Answer {
    let (state, reason, status) = (it.state(), it.reason(), it.status());
    Answer::Omitted { state, reason, status, meta: it.meta().to_vec(), age: ms(it.age()) }
}
