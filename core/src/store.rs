//! The hall: a store, and the verbs that name a key. Each verb is its list of steps; the steps live in the
//! rooms below, and the protocol they follow is written down in `docs/concurrency.md`.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{answer, winner};
use crate::carry::{ADOPT, Carry};
use crate::claim::Claim;
use crate::control_page::Counter;
use crate::ending::{Ending, FORGET, RESOLVE};
use crate::engine::{self, Engine, Handle};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{kill_point, planted};
use crate::grant::{Asked, Grant, Purpose, grant};
use crate::handover::HandOver;
use crate::key::fingerprint::{Bound, Match};
use crate::key::{Identity, Place, Seal};
use crate::limits;
use crate::list::{List, Query};
use crate::log::record::{Holder, Kind, Record};
use crate::look::look;
#[cfg(feature = "kill-points")]
use crate::options::Defaults;
use crate::options::{Builder, Plan, Unverifiable};
use crate::outcome::{Fence, Outcome, Peek, StartReason};
use crate::recovery::Recovery;
use crate::request::{Request, Resolution, Response};
use crate::standing::{Judged, Standing};
use crate::stats::Stats;

/// A store: a handle that is cheap to clone and safe to share between threads.
///
/// Every process that opens the same path shares the store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Handle>);

impl Store {
    /// Opens the store at this path with the default options, making it if it is not there.
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().path(path).open()
    }

    /// A store in memory: the same verbs, for this process only, gone with it.
    ///
    /// # Errors
    /// `StoreFull` when there is no memory for its index.
    pub fn in_memory() -> Result<Self> {
        Self::builder().open()
    }

    /// Options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn from_plan(plan: Plan) -> Result<Self> {
        Ok(Self(Arc::new(Handle { engine: engine::engine_for(&plan)?, defaults: plan.defaults })))
    }

    /// A handle of an engine that was opened behind another medium.
    #[cfg(feature = "kill-points")]
    pub(crate) fn over(engine: Engine, defaults: Defaults) -> Self {
        Self(Arc::new(Handle { engine: Arc::new(engine), defaults }))
    }

    /// What the rebuild of the index found, if this process's open had to rebuild it; `None` if the index was
    /// there.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.0.engine.recovery()
    }

    /// Counters over all processes of the store.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn stats(&self) -> Result<Stats> {
        let counted = |counter| self.0.engine.counted(counter);
        Ok(Stats { unverifiable: counted(Counter::Unverifiable)?, forgotten: counted(Counter::Forgotten)? })
    }

    /// Decides what this request is: the first of its key, or one of the [outcomes](Outcome) of an earlier
    /// one.
    ///
    /// # Errors
    /// `InvalidArgument` for a key, scope or lease outside its limit; `StoreFull` when there is no room for
    /// another key; `Corrupt` when what is stored about the key cannot be believed; `Io`.
    pub fn begin(&self, request: Request<'_>) -> Result<Outcome> {
        let identity = Identity::new(request.scope, request.key)?;
        self.begin_at(&request, identity, self.0.engine.place(&identity))
    }

    /// Begins a request whose place is known.
    #[inline]
    pub(crate) fn begin_at(
        &self,
        request: &Request<'_>,
        identity: Identity<'_>,
        place: Place,
    ) -> Result<Outcome> {
        let Handle { engine, defaults } = &*self.0;
        let lease = request.lease.map(|lease| limits::LEASE.check_duration(lease)).transpose()?;
        let asked = Asked {
            identity,
            place,
            bound: request.bound(defaults.keyed_fingerprints, engine.seal()),
            purpose: Purpose::Claim {
                lease_ms: lease.unwrap_or(defaults.lease_ms),
                retention_ms: defaults.in_doubt_ttl_ms,
                on_crash: request.on_crash,
            },
        };
        let is_unverifiable = Cell::new(false);
        let granted = grant(engine, &asked, |record, standing, now_ms| {
            let matched = match matched(record, standing, asked.bound.as_ref(), engine.seal()) {
                Match::Unverifiable => {
                    is_unverifiable.set(true);
                    defaults.unverifiable.counts_as()
                }
                matched => matched,
            };
            Ok(answer(record, standing, matched, now_ms))
        })?;
        if is_unverifiable.get() {
            engine.count(Counter::Unverifiable)?;
        }
        Ok(match granted {
            Grant::Answered(outcome) => outcome,
            Grant::Granted { slot, word, fence, attempt, reason } => {
                Outcome::Started(Claim::new(self.0.clone(), slot, word, Fence(fence), attempt, reason))
            }
        })
    }

    /// Notes that a key was seen, for so long: `true` the first time. For a message that may be delivered
    /// more than once: a begin and its completion in one step, with no claim and no response.
    ///
    /// Call it before the work, and a crash in between loses the message's work; call it after, and a crash
    /// in between repeats it. Where neither will do, [`begin`](Store::begin) and complete.
    ///
    /// `true` exactly where a begin would be `Started`, so `false` for a key that a claim holds or that is in
    /// doubt. Use a scope that begin does not use: over a request whose claim was lost it ends the key with
    /// an empty response, which is then replayed.
    ///
    /// # Errors
    /// `InvalidArgument` for a key, scope or ttl outside its limit; `StoreFull`, `Corrupt`, `Io`.
    pub fn mark_seen<K: AsRef<[u8]> + ?Sized>(&self, scope: &str, key: &K, ttl: Duration) -> Result<bool> {
        let identity = Identity::new(scope, key.as_ref())?;
        self.mark_seen_at(identity, self.0.engine.place(&identity), limits::TTL.check_duration(ttl)?)
    }

    /// Marks a key whose place is known.
    #[inline]
    pub(crate) fn mark_seen_at(&self, identity: Identity<'_>, place: Place, ttl_ms: u64) -> Result<bool> {
        let asked = Asked { identity, place, bound: None, purpose: Purpose::Seen { ttl_ms } };
        let granted = grant(&self.0.engine, &asked, |_, standing, _| {
            let runs = matches!(standing, Standing::Orphaned { .. } | Standing::Released | Standing::Expired);
            Ok((!runs).then_some(()))
        })?;
        Ok(matches!(granted, Grant::Granted { .. }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Takes up a claim that was [handed over](Claim::hand_over), in whichever process: the same fence and
    /// attempt, and a lease of at least this handle's default from now. The bytes are good for one adoption,
    /// and for this store: one that was copied or restored would adopt them, too.
    ///
    /// # Errors
    /// `InvalidArgument` for bytes that this store did not hand out; `LeaseLost` if somebody adopted them
    /// before, or the key went on: [`Error::winner`] is what to serve. `StoreFull`, `Corrupt`, `Io`: try
    /// again.
    pub fn adopt<B: AsRef<[u8]> + ?Sized>(&self, bytes: &B) -> Result<Claim> {
        let Handle { engine, defaults } = &*self.0;
        let HandOver { identity, fence, version } =
            HandOver::parse(bytes.as_ref(), engine.store_id(), engine.seal())?;
        let place = engine.place(&identity);
        loop {
            let now_ms = engine.now_ms()?;
            let Some((over, judged)) = look(engine, &identity, place, now_ms)? else {
                return Err(Error::lease_lost(None));
            };
            let (record, header) = (&over.record, over.record.header);
            // Every record of the claim has a version of its own: none is meant but the one that waits.
            let is_waiting = header.version == version && header.holder() == Holder::NOBODY;
            let is_meant = record.kind == Kind::Claim
                && header.fence == fence
                && (is_waiting || planted!("adopt.unchecked"));
            if !is_meant || judged.standing == Standing::Expired {
                return Err(Error::lease_lost(winner(record, now_ms)?));
            }
            let control = record.claim_control()?;
            if control.is_taken() {
                return Err(Error::lease_lost(None));
            }
            let carry = Carry {
                steps: &ADOPT,
                holder: engine.holder(),
                checkpoint: record.checkpoint(),
                deadline_ms: now_ms + defaults.lease_ms,
            };
            if let Some(word) = carry.write(engine, &over, control, now_ms)? {
                let (attempt, reason) = (header.attempt(), StartReason::Adopted);
                return Ok(Claim::new(self.0.clone(), over.slot, word, Fence(fence), attempt, reason));
            }
        }
    }

    /// Ends a key that is [in doubt](Outcome::InDoubt), once the other side was asked what happened.
    ///
    /// # Errors
    /// `Conflict` if the key is not in doubt, or under another fence; `InvalidArgument`, `StoreFull`,
    /// `Corrupt`, `Io`.
    pub fn resolve<K: AsRef<[u8]> + ?Sized>(
        &self,
        scope: &str,
        key: &K,
        fence: Fence,
        resolution: Resolution<'_>,
    ) -> Result<()> {
        let identity = Identity::new(scope, key.as_ref())?;
        let place = self.0.engine.place(&identity);
        let (kind, response) = match resolution {
            Resolution::Completed(response) => (Kind::Completed, response),
            Resolution::Failed(response) => (Kind::Failed, response),
            Resolution::Release => (Kind::Released, Response::default()),
        };
        let ending = Ending::new(&RESOLVE, kind, &response, &self.0.defaults)?;
        loop {
            let now_ms = self.0.engine.now_ms()?;
            let Some((over, judged)) = look(&self.0.engine, &identity, place, now_ms)? else {
                return Err(not_in_doubt("it is absent"));
            };
            check_in_doubt(judged.standing)?;
            if over.record.header.fence != fence.0 {
                return Err(not_in_doubt("it is in doubt under another fence"));
            }
            let shut_out = || {
                let taken = judged.take(&over.record);
                kill_point!("resolve.taken");
                taken
            };
            if ending.write_if(&self.0.engine, &over, Holder::NOBODY, now_ms, shut_out)? {
                return Ok(());
            }
        }
    }

    /// Removes what is stored of a key that completed or failed, as if it had never run; `false` if it is
    /// absent already. The next begin runs it, under a higher fence. The bytes stay in the log until their
    /// segment is dropped.
    ///
    /// # Errors
    /// `Conflict` if a claim holds the key, or it is orphaned or in doubt; `InvalidArgument`, `StoreFull`,
    /// `Corrupt`, `Io`.
    pub fn forget<K: AsRef<[u8]> + ?Sized>(&self, scope: &str, key: &K) -> Result<bool> {
        let Handle { engine, defaults } = &*self.0;
        let identity = Identity::new(scope, key.as_ref())?;
        let place = engine.place(&identity);
        let ending = Ending::new(&FORGET, Kind::Forgotten, &Response::default(), defaults)?;
        loop {
            let now_ms = engine.now_ms()?;
            let Some((over, judged)) = look(engine, &identity, place, now_ms)? else {
                return Ok(false);
            };
            match judged.standing {
                Standing::Terminal(_) => {}
                Standing::Released | Standing::Expired => return Ok(false),
                Standing::InProgress { .. } | Standing::Orphaned { .. } => {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "the key has not ended; only an end is forgotten",
                    ));
                }
                Standing::InDoubt { .. } => {
                    return Err(Error::new(ErrorKind::Conflict, "the key is in doubt; resolve it first"));
                }
            }
            if ending.write(engine, &over, Holder::NOBODY, now_ms)? {
                engine.count(Counter::Forgotten)?;
                return Ok(true);
            }
        }
    }

    /// The keys that the query selects, in no order, one at a time, while others go on: a key that stands
    /// unchanged from the first to the last is listed exactly once, another at most once.
    pub fn list(&self, query: Query) -> List {
        List::new(self.0.clone(), query)
    }

    /// Looks at a key without claiming it; `None` if it is absent.
    ///
    /// # Errors
    /// `InvalidArgument`, `Corrupt`, `Io`.
    pub fn peek<K: AsRef<[u8]> + ?Sized>(&self, scope: &str, key: &K) -> Result<Option<Peek>> {
        let engine = &self.0.engine;
        let identity = Identity::new(scope, key.as_ref())?;
        let place = engine.place(&identity);
        let now_ms = engine.now_ms()?;
        let Some((over, Judged { standing, .. })) = look(engine, &identity, place, now_ms)? else {
            return Ok(None);
        };
        Ok(match standing {
            Standing::Orphaned { .. } => Some(Peek::Orphaned),
            _ => answer(&over.record, standing, Match::Same, now_ms).and_then(|outcome| match outcome {
                Outcome::InProgress(it) => Some(Peek::InProgress(it)),
                Outcome::InDoubt(it) => Some(Peek::InDoubt(it)),
                Outcome::Replay(it) => Some(Peek::Replay(it)),
                Outcome::Omitted(it) => Some(Peek::Omitted(it)),
                Outcome::Started(_) | Outcome::Mismatch(_) => None,
            }),
        })
    }
}

/// How a request's fingerprint compares with a live record's.
fn matched(record: &Record<'_>, standing: Standing, bound: Option<&Bound>, seal: &Seal) -> Match {
    match (standing, record.fingerprint(), bound) {
        (Standing::Released | Standing::Expired, ..) => Match::Same,
        (_, Some(stored), Some(bound)) => bound.compare(&stored, seal),
        _ => Match::Same,
    }
}

impl Unverifiable {
    fn counts_as(self) -> Match {
        match self {
            Self::Accept => Match::Same,
            Self::Reject => Match::Different,
        }
    }
}

fn not_in_doubt(why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the key cannot be resolved: {why}"))
}

fn check_in_doubt(standing: Standing) -> Result<()> {
    match standing {
        Standing::InDoubt { .. } => Ok(()),
        Standing::InProgress { .. } => Err(not_in_doubt("a claim holds it and its lease runs")),
        Standing::Terminal(_) => Err(not_in_doubt("it has ended already")),
        Standing::Orphaned { .. } => Err(not_in_doubt("it is orphaned; the next begin takes over")),
        Standing::Released | Standing::Expired => Err(not_in_doubt("it is absent")),
    }
}
