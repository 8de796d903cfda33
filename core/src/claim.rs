//! What the winner holds: the right to run, until its lease ends.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::answer::winner;
use crate::carry::{CHECKPOINT, Carry, HAND_OVER};
use crate::ending::{COMPLETE, Ending, RELEASE};
use crate::engine::{Engine, Handle};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{kill_point, planted};
use crate::handover::HandOver;
use crate::index::{Slot, Word};
use crate::key::Identity;
use crate::keys;
use crate::limits;
use crate::log::control::{ClaimControl, Swapped};
use crate::log::record::{Holder, Kind, Record};
use crate::outcome::{Fence, Released, Replay, StartReason};
use crate::replace::Over;
use crate::request::Response;
use crate::sync::{AtomicU64, Ordering};

/// The right to run a request, handed to exactly one caller.
///
/// Dropping a claim that was not ended releases it; once its effect is marked, it puts the key in doubt
/// instead. A process that is killed drops nothing: the lease ends, and then the key is taken over or in
/// doubt.
#[must_use = "dropping a claim gives the key back"]
pub struct Claim {
    handle: Arc<Handle>,
    slot: Slot,
    /// The word that stands for it; a checkpoint puts another in its place.
    word: AtomicU64,
    /// Held while the control word is changed, or copied into the record of a checkpoint: or a heartbeat in
    /// between would be told and lost. An end of the claim needs no lock, for it needs no control word.
    changing: Mutex<()>,
    fence: Fence,
    attempt: u16,
    reason: StartReason,
    /// What is left to give back.
    state: AtomicU64,
}

const RUNNING: u64 = 0;
/// Ended, or lost: nothing is left to give back.
const ENDED: u64 = 1;
/// Another process may hold it now, or this one by another claim.
const HANDED_OVER: u64 = 2;

/// What a change of the claim met.
enum Changed {
    /// The claim still holds the key.
    Standing,
    /// It ended by its own completion before.
    Ended,
}

/// What stands in the claim's slot instead of the word that was expected.
enum Successor {
    /// This claim completed or failed before.
    OwnEnd,
    /// This claim, carried on by a checkpoint.
    OwnClaim,
    /// The key went on without it.
    Other(Option<Replay>),
}

impl Claim {
    pub(crate) fn new(
        handle: Arc<Handle>,
        slot: Slot,
        word: Word,
        fence: Fence,
        attempt: u16,
        reason: StartReason,
    ) -> Self {
        let (word, state, changing) = (AtomicU64::new(word.0), AtomicU64::new(RUNNING), Mutex::new(()));
        Self { handle, slot, word, changing, fence, attempt, reason, state }
    }

    /// The number of this grant, larger than any earlier one of the key.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Which run of the key this is, from 1; more than 1 after a release or a takeover. Stops at 65,535.
    pub fn attempt(&self) -> u16 {
        self.attempt
    }

    /// Why it was granted.
    pub fn reason(&self) -> StartReason {
        self.reason
    }

    /// When the lease ends, by the store's clock, unless a heartbeat moves it.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn deadline(&self) -> Result<SystemTime> {
        let deadline_ms = self.record()?.claim_control()?.deadline_ms();
        Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms))
    }

    /// The last checkpoint of this run or of an earlier one that was released or lost; empty if there is
    /// none.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn last_checkpoint(&self) -> Result<Vec<u8>> {
        Ok(self.record()?.checkpoint().to_vec())
    }

    /// Leaves bytes, at most 4 KiB, for whoever goes on with this request: the next claim finds them as its
    /// [last checkpoint](Claim::last_checkpoint), unless it is for another payload. They replace those left
    /// before; the lease stays as it is. A heartbeat of another thread waits until they are written. Ok after
    /// the claim's own completion, too, when nobody needs them any more.
    ///
    /// # Errors
    /// `LeaseLost` if the key went on without this claim: stop. `InvalidArgument`, `StoreFull`, `Corrupt`,
    /// `Io`.
    pub fn checkpoint<B: AsRef<[u8]> + ?Sized>(&self, bytes: &B) -> Result<()> {
        let bytes = bytes.as_ref();
        limits::CHECKPOINT.check(bytes.len() as u64)?;
        let _alone = self.changing.lock();
        let carried = self.carry(&Carry {
            steps: &CHECKPOINT,
            holder: self.engine().holder(),
            checkpoint: bytes,
            deadline_ms: 0,
        })?;
        if let Some(word) = carried {
            self.word.store(word.0, Ordering::Release);
        }
        Ok(())
    }

    /// Gives the claim away, to whoever [adopts](crate::Store::adopt) these bytes: another thread, process or
    /// language of this host. This claim is spent by it. Until it is adopted the lease runs on, and only
    /// the lease protects it.
    ///
    /// The bytes are sealed with the store's secret. They contain scope and key: carry them where those may
    /// go.
    ///
    /// # Errors
    /// `LeaseLost` if the key went on without this claim, `Conflict` if it was completed before. With
    /// `StoreFull` and `Io` the claim is kept. `Corrupt`.
    pub fn hand_over(&self) -> Result<Vec<u8>> {
        let _alone = self.changing.lock();
        let carried = self.carry(&Carry {
            steps: &HAND_OVER,
            holder: Holder::NOBODY,
            checkpoint: self.record()?.checkpoint(),
            deadline_ms: 0,
        })?;
        let Some(word) = carried else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the claim was completed; nothing is left to hand over",
            ));
        };
        // The claim's own word stays what it was: the record that waits is nobody's, and a completion in
        // another thread must not take it for this claim's.
        if planted!("holder.kept") {
            self.word.store(word.0, Ordering::Release);
        }
        self.state.store(HANDED_OVER, Ordering::Release);
        let waiting = self.engine().read(word)?;
        let (scope, key) = waiting.identity();
        let (fence, version) = (self.fence.get(), waiting.header.version);
        let leaving = HandOver { identity: Identity { scope, key }, fence, version };
        Ok(leaving.to_bytes(self.engine().store_id(), self.engine().seal()))
    }

    /// The key to hand to the next service for this step, 1 to 255 bytes: see
    /// [`keys::downstream`](crate::keys::downstream). Every attempt of this request gets the same, under the
    /// store's [`downstream_secret`](crate::Builder::downstream_secret) if it has one.
    ///
    /// # Errors
    /// `InvalidArgument`, `Corrupt`, `Io`.
    pub fn downstream(&self, step: &str) -> Result<String> {
        let record = self.record()?;
        let (scope, key) = record.identity();
        let scope = str::from_utf8(scope).map_err(|_| Error::corrupt("the claim's scope is not UTF-8"))?;
        keys::downstream(scope, key, step, self.handle.defaults.downstream_secret.as_deref())
    }

    /// Marks the point of no return, before the first effect outside. From here on a crash puts the key in
    /// doubt; it does not run again.
    ///
    /// # Errors
    /// `LeaseLost` if the key went on without this claim, `Conflict` if it was completed before: then the
    /// effect must not take place. `Corrupt`, `Io`.
    pub fn begin_effect(&self) -> Result<()> {
        let changed = self.change(ClaimControl::mark_effect)?;
        kill_point!("effect.swapped");
        match changed {
            Changed::Standing => Ok(()),
            Changed::Ended => {
                Err(Error::new(ErrorKind::Conflict, "the claim was completed; no effect may follow"))
            }
        }
    }

    /// Moves the end of the lease to this long from now, 10 ms to 24 h; a lease that lasts longer is left as
    /// it is. Ok after the claim's own completion, too: there is nothing left to lose.
    ///
    /// # Errors
    /// `LeaseLost` if the key went on without this claim: stop. `InvalidArgument`, `Corrupt`, `Io`.
    pub fn heartbeat(&self, lease: Duration) -> Result<()> {
        let lease_ms = limits::LEASE.check_duration(lease)?;
        let deadline_ms = self.engine().now_ms()? + lease_ms;
        self.change(|control| ClaimControl::extend(control, deadline_ms))?;
        kill_point!("heartbeat.swapped");
        Ok(())
    }

    /// Records that it ran, and its response; the time to live starts now. A response over the store's limit,
    /// or for which there is no room, is left out: the key is completed all the same. Completing again is
    /// Ok and changes nothing.
    ///
    /// # Errors
    /// `LeaseLost` if the key went on without this claim; [`Error::winner`] is what to serve.
    /// `InvalidArgument` for a ttl outside its limit; `StoreFull` if there is no room even for a record
    /// without its response: the claim is kept, try again. `Corrupt`, `Io`.
    pub fn complete(&self, response: Response<'_>) -> Result<()> {
        self.end(Kind::Completed, &response)
    }

    /// Records that it failed for good: replayed like a completion. After a completion it is Ok and changes
    /// nothing.
    ///
    /// # Errors
    /// As [`complete`](Claim::complete).
    pub fn fail(&self, response: Response<'_>) -> Result<()> {
        self.end(Kind::Failed, &response)
    }

    /// Gives the key back: the next begin runs. Once the effect is marked the key is in doubt instead.
    ///
    /// # Errors
    /// `LeaseLost` if the key went on without this claim, or it had ended. `StoreFull`, `Corrupt`, `Io`: then
    /// the lease has ended all the same, and the key is taken over or in doubt.
    pub fn release(self) -> Result<Released> {
        self.give_back(false)
    }

    /// As [`release`](Claim::release), by a caller who knows that nothing happened although the effect was
    /// marked.
    ///
    /// # Errors
    /// As [`release`](Claim::release).
    pub fn release_without_effect(self) -> Result<Released> {
        self.give_back(true)
    }

    fn engine(&self) -> &Engine {
        &self.handle.engine
    }

    fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    fn record(&self) -> Result<Record<'_>> {
        self.engine().read(self.word())
    }

    fn over(&self) -> Result<Over<'_>> {
        let word = self.word();
        Ok(Over { slot: self.slot, word, record: self.engine().read(word)? })
    }

    /// Changes the control word, then looks whether the claim's word still stands: a completion by another
    /// thread of the owner sets no TAKEN, so a successor may hold the key although the change went
    /// through.
    fn change(&self, swap: impl Fn(&AtomicU64) -> Swapped) -> Result<Changed> {
        let _alone = self.changing.lock();
        self.check_kept()?;
        let over = self.over()?;
        match swap(over.record.control()) {
            Swapped::Done if self.engine().load(self.slot)? == over.word => Ok(Changed::Standing),
            Swapped::Done | Swapped::Lost => self.changed_by_other(),
            Swapped::Corrupt => Err(Error::corrupt("the claim's control word is damaged")),
        }
    }

    /// Puts another record of this claim in the place of the one that stands, and answers with its word;
    /// `None` if the claim ended by its own completion before. Its caller holds the lock.
    fn carry(&self, carry: &Carry<'_>) -> Result<Option<Word>> {
        self.check_kept()?;
        let over = self.over()?;
        let control = over.record.claim_control()?;
        if !control.is_taken() {
            let now_ms = self.engine().now_ms()?;
            if let Some(word) = carry.write(self.engine(), &over, control, now_ms)? {
                return Ok(Some(word));
            }
        }
        self.changed_by_other().map(|_| None)
    }

    /// What a change found that did not find the claim standing.
    fn changed_by_other(&self) -> Result<Changed> {
        match self.successor()? {
            Successor::OwnEnd => Ok(Changed::Ended),
            // TAKEN, and not yet replaced.
            Successor::OwnClaim => Err(self.lost(None)),
            Successor::Other(winner) => Err(self.lost(winner)),
        }
    }

    /// Nothing may be done under a claim that was handed over, even where this process adopted it again.
    fn check_kept(&self) -> Result<()> {
        if self.state.load(Ordering::Acquire) != HANDED_OVER || planted!("holder.kept") {
            return Ok(());
        }
        // Whoever ended it since is another claim, even in this process.
        let record = self.present()?;
        Err(Error::lease_lost(winner(&record, self.engine().now_ms()?)?))
    }

    fn end(&self, kind: Kind, response: &Response<'_>) -> Result<()> {
        let ending = Ending::new(&COMPLETE, kind, response, &self.handle.defaults)?;
        let holder = self.engine().holder();
        loop {
            self.check_kept()?;
            let over = self.over()?;
            let now_ms = self.engine().now_ms()?;
            if ending.write(self.engine(), &over, holder, now_ms)? {
                self.state.fetch_max(ENDED, Ordering::AcqRel);
                return Ok(());
            }
            match self.successor()? {
                // Or an adopter's in this process, if another thread handed the claim over meanwhile.
                Successor::OwnEnd => return self.check_kept(),
                Successor::OwnClaim => self.await_checkpoint(over.word)?,
                Successor::Other(winner) => return Err(self.lost(winner)),
            }
        }
    }

    /// Waits for the thread that replaces this word by a checkpoint, which it has done but not yet told.
    fn await_checkpoint(&self, before: Word) -> Result<()> {
        drop(self.changing.lock());
        if self.word() == before && self.state.load(Ordering::Acquire) != HANDED_OVER {
            return Err(self.lost(None)); // carried on by another process: a fork has copied the claim
        }
        Ok(())
    }

    fn give_back(&self, nothing_happened: bool) -> Result<Released> {
        self.check_kept()?;
        if self.state.swap(ENDED, Ordering::AcqRel) == ENDED {
            // Told before, or completed: whoever won is told again.
            return Err(self.lost_to_successor()?);
        }
        let over = self.over()?;
        let released = loop {
            let control = over.record.claim_control()?;
            // Taken on the value that was looked at: an effect mark set meanwhile is seen on the next round.
            if control.take(over.record.control()) {
                let in_doubt = control.has_effect() && !nothing_happened;
                break if in_doubt { Released::InDoubt } else { Released::Absent };
            }
        };
        kill_point!("release.taken");
        let kind = match released {
            Released::Absent => Kind::Released,
            Released::InDoubt => Kind::InDoubt,
        };
        let ending = Ending::new(&RELEASE, kind, &Response::default(), &self.handle.defaults)?;
        let now_ms = self.engine().now_ms()?;
        if ending.write(self.engine(), &over, self.engine().holder(), now_ms)? {
            return Ok(released);
        }
        Err(self.lost_to_successor()?)
    }

    /// Has what its end will touch on its way.
    pub(crate) fn prefetch(&self) {
        self.engine().prefetch_claim(self.slot, self.word());
    }

    /// Whether it may still be ended or given back here.
    pub(crate) fn is_running(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNNING
    }

    /// Spends the claim without giving the key back: its lease ends, and what it said of a crash holds.
    pub(crate) fn abandon(self) {
        self.state.store(ENDED, Ordering::Release);
    }

    fn lost_to_successor(&self) -> Result<Error> {
        Ok(match self.successor()? {
            Successor::OwnEnd | Successor::OwnClaim => Error::lease_lost(None),
            Successor::Other(winner) => self.lost(winner),
        })
    }

    /// The error of a claim that was lost, with the answer of the one who won.
    #[cold]
    fn lost(&self, winner: Option<Replay>) -> Error {
        self.state.fetch_max(ENDED, Ordering::AcqRel); // what was handed over stays so
        Error::lease_lost(winner)
    }

    /// The record that stands in the claim's slot, marked.
    fn present(&self) -> Result<Record<'_>> {
        let record = self.engine().read(self.engine().load(self.slot)?)?;
        record.help()?;
        Ok(record)
    }

    /// What stands where the claim's word was.
    fn successor(&self) -> Result<Successor> {
        let engine = self.engine();
        let record = self.present()?;
        if record.header.fence == self.fence.get() && record.header.holder() == engine.holder() {
            match record.kind {
                Kind::Completed | Kind::Failed => return Ok(Successor::OwnEnd),
                Kind::Claim => return Ok(Successor::OwnClaim),
                Kind::Released | Kind::InDoubt | Kind::Forgotten => {}
            }
        }
        Ok(Successor::Other(winner(&record, engine.now_ms()?)?))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.state.load(Ordering::Acquire) == RUNNING {
            // Nobody is left to hear of an error; whatever it is, the lease ends.
            let _ = self.give_back(false);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("fence", &self.fence)
            .field("attempt", &self.attempt)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
