//! The hall: a store, and the verbs that name a key. Each verb is its list of steps; the steps live in the
//! rooms below, and the protocol they follow is written down in `docs/concurrency.md`.

use std::path::Path;
use std::sync::Arc;

use crate::answer::answer;
use crate::claim::Claim;
use crate::ending::{Ending, Over, RESOLVE};
use crate::engine::{self, Handle};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{kill_point, planted};
use crate::index::{Probe, Slot, Word};
use crate::key::fingerprint::{Fingerprint, RULE};
use crate::key::{Identity, Place};
use crate::log::append::Appended;
use crate::log::lifetime::CLAIM_GRACE_MS;
use crate::log::record::{Draft, Header, Holder, Kind, Record};
use crate::log::version;
use crate::options::{Builder, Defaults, Plan, limits};
use crate::outcome::{Fence, Outcome, Peek, StartReason};
use crate::recovery::Recovery;
use crate::request::{OnCrash, Request, Resolution, Response};
use crate::standing::{Judged, Standing};

/// A store: a handle that is cheap to clone and safe to share between threads.
///
/// Every process that opens the same path shares the store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Handle>);

/// A request, checked and hashed.
struct Asked<'a> {
    identity: Identity<'a>,
    place: Place,
    bound_to: Option<Fingerprint>,
    lease_ms: u64,
    on_crash: OnCrash,
}

/// What a key was found to be.
enum Look<'r> {
    /// Nothing; this is where it would go.
    Vacant(Slot),
    /// A record, marked, judged, and still standing after that.
    Found(Over<'r>, Judged),
    /// Nothing, and no room for it.
    Full,
}

/// The record that a claim is to replace, and why it may.
struct Seen<'r> {
    record: &'r Record<'r>,
    reason: StartReason,
}

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
    pub(crate) fn over(engine: crate::engine::Engine, defaults: Defaults) -> Self {
        Self(Arc::new(Handle { engine: Arc::new(engine), defaults }))
    }

    /// What the rebuild of the index found, if this process's open had to rebuild it; `None` if the index was
    /// there.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.0.engine.recovery()
    }

    /// Decides what this request is: the first of its key, or one of the [outcomes](Outcome) of an earlier
    /// one.
    ///
    /// # Errors
    /// `InvalidArgument` for a key, scope or lease outside its limit; `StoreFull` when there is no room for
    /// another key; `Corrupt` when what is stored about the key cannot be believed; `Io`.
    pub fn begin(&self, request: Request<'_>) -> Result<Outcome> {
        let engine = &*self.0.engine;
        let identity = Identity::new(request.scope, request.key)?;
        let lease = request.lease.map(|lease| limits::LEASE.check_duration(lease)).transpose()?;
        let lease_ms = lease.unwrap_or(self.0.defaults.lease_ms);
        let place = engine.place(&identity);
        // While the index line is on its way: the hash of the payload, the clock, and (most keys are new) the
        // claim.
        let asked =
            Asked { identity, place, bound_to: request.bound_to(), lease_ms, on_crash: request.on_crash };
        loop {
            let now_ms = engine.now_ms()?;
            let draft = self.draft(&asked, None, now_ms);
            let early = engine.append_at_hand(&draft, now_ms);
            let claim = match self.look(&identity, place, now_ms)? {
                Look::Vacant(slot) => {
                    let appended = early.map_or_else(|| engine.append(&draft, now_ms), Ok)?;
                    self.grant(&draft, appended, slot, Word::EMPTY, StartReason::Fresh)?
                }
                Look::Found(Over { slot, word, record }, judged) => {
                    drop(early);
                    if let Some(outcome) = answer(&record, judged.standing, asked.bound_to.as_ref(), now_ms) {
                        return Ok(outcome);
                    }
                    if !judged.take(&record) {
                        continue;
                    }
                    kill_point!("begin.taken");
                    let seen = Seen { record: &record, reason: reason_after(judged.standing) };
                    let draft = self.draft(&asked, Some(&seen), now_ms);
                    let appended = engine.append(&draft, now_ms)?;
                    self.grant(&draft, appended, slot, word, seen.reason)?
                }
                Look::Full => return Err(self.index_full()),
            };
            if let Some(claim) = claim {
                return Ok(Outcome::Started(claim));
            }
        }
    }

    /// Finds the record of a key, marks it, and judges it.
    #[inline]
    fn look(&self, identity: &Identity<'_>, place: Place, now_ms: u64) -> Result<Look<'_>> {
        let engine = &*self.0.engine;
        loop {
            let (slot, word, record) = match engine.find(place, identity)? {
                Probe::Vacant(slot) => return Ok(Look::Vacant(slot)),
                Probe::Frozen | Probe::Full => return Ok(Look::Full),
                Probe::Found(slot, word, record) => (slot, word, record),
            };
            record.help()?;
            let judged = Judged::new(&record, now_ms)?;
            // The word stands after its control word was judged: no successor's time was judged by its
            // record.
            if engine.load(slot) == word {
                return Ok(Look::Found(Over { slot, word, record }, judged));
            }
        }
    }

    /// Swaps an appended claim in; `None` if somebody else was first, and then the record is taken back.
    fn grant(
        &self,
        draft: &Draft<'_>,
        appended: Appended<'_>,
        slot: Slot,
        from: Word,
        reason: StartReason,
    ) -> Result<Option<Claim>> {
        let word = Word::new(draft.place.tag(), appended.address);
        #[cfg(feature = "kill-points")]
        let word = Word(crate::fault::reused(draft.place.0, word.0));
        kill_point!("begin.appended");
        if !self.0.engine.swap(slot, from, word) {
            if planted!("record.reused") {
                std::mem::forget(appended);
            }
            return Ok(None);
        }
        kill_point!("begin.swapped");
        appended.commit()?;
        kill_point!("begin.committed");
        Ok(Some(Claim::new(self.0.clone(), slot, word, Fence(draft.fence), draft.attempt, reason)))
    }

    /// The claim on a key, over the record that was seen of it.
    fn draft<'d>(&self, asked: &'d Asked<'_>, seen: Option<&'d Seen<'_>>, now_ms: u64) -> Draft<'d> {
        // Who takes over without a payload must not unbind the key from the one it began with.
        let inherited = seen
            .filter(|seen| seen.reason == StartReason::Takeover)
            .and_then(|seen| seen.record.fingerprint());
        let header = seen.map(|seen| seen.record.header);
        let version = version::next(header.map_or(0, |header| header.version), now_ms);
        let deadline_ms = now_ms + asked.lease_ms;
        Draft {
            kind: Kind::Claim,
            identity: asked.identity,
            place: asked.place,
            version,
            fence: version,
            expiry_ms: self.0.defaults.in_doubt_ttl_ms,
            keep_ms: header.map_or(0, Header::keep_ms).max(deadline_ms + CLAIM_GRACE_MS),
            deadline_ms,
            attempt: seen.map_or(1, Seen::next_attempt),
            holder: self.0.engine.holder(),
            previous: seen.map(|seen| seen.record.address),
            fingerprint: asked.bound_to.as_ref().map(|bytes| &bytes[..]).or(inherited),
            rule: RULE,
            in_doubt_on_crash: asked.on_crash == OnCrash::InDoubt,
            status: 0,
            omitted: None,
            body: &[],
            meta: &[],
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
            let Look::Found(over, judged) = self.look(&identity, place, now_ms)? else {
                return Err(conflict("it is absent"));
            };
            check_in_doubt(judged.standing)?;
            if over.record.header.fence != fence.0 {
                return Err(conflict("it is in doubt under another fence"));
            }
            if !judged.take(&over.record) {
                continue;
            }
            kill_point!("resolve.taken");
            if ending.write(&self.0.engine, &over, Holder::NOBODY, now_ms)? {
                return Ok(());
            }
        }
    }

    /// Looks at a key without claiming it; `None` if it is absent.
    ///
    /// # Errors
    /// `InvalidArgument`, `Corrupt`, `Io`.
    pub fn peek<K: AsRef<[u8]> + ?Sized>(&self, scope: &str, key: &K) -> Result<Option<Peek>> {
        let identity = Identity::new(scope, key.as_ref())?;
        let place = self.0.engine.place(&identity);
        let now_ms = self.0.engine.now_ms()?;
        let Look::Found(Over { record, .. }, Judged { standing, .. }) =
            self.look(&identity, place, now_ms)?
        else {
            return Ok(None);
        };
        Ok(match standing {
            Standing::Orphaned => Some(Peek::Orphaned),
            _ => answer(&record, standing, None, now_ms).and_then(|outcome| match outcome {
                Outcome::InProgress(it) => Some(Peek::InProgress(it)),
                Outcome::InDoubt(it) => Some(Peek::InDoubt(it)),
                Outcome::Replay(it) => Some(Peek::Replay(it)),
                Outcome::Omitted(it) => Some(Peek::Omitted(it)),
                Outcome::Started(_) | Outcome::Mismatch(_) => None,
            }),
        })
    }

    #[cold]
    fn index_full(&self) -> Error {
        let words = self.0.engine.capacity();
        Error::full(format!(
            "the index is full: {words} words, and this key's chain has no room within the probe cap"
        ))
    }
}

impl Seen<'_> {
    fn next_attempt(&self) -> u16 {
        match self.reason {
            StartReason::Fresh => 1,
            StartReason::AfterRelease | StartReason::Takeover => {
                self.record.header.attempt().saturating_add(1)
            }
        }
    }
}

/// Why a begin may be granted over a record that answers nothing.
fn reason_after(standing: Standing) -> StartReason {
    match standing {
        Standing::Released => StartReason::AfterRelease,
        Standing::Orphaned => StartReason::Takeover,
        _ => StartReason::Fresh,
    }
}

fn conflict(why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the key cannot be resolved: {why}"))
}

fn check_in_doubt(standing: Standing) -> Result<()> {
    match standing {
        Standing::InDoubt { .. } => Ok(()),
        Standing::InProgress { .. } => Err(conflict("a claim holds it and its lease runs")),
        Standing::Terminal(_) => Err(conflict("it has ended already")),
        Standing::Orphaned => Err(conflict("it is orphaned; the next begin takes over")),
        Standing::Released | Standing::Expired => Err(conflict("it is absent")),
    }
}
