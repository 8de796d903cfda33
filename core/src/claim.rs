//! What the winner holds: the right to run, until its lease ends.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::answer::replay;
use crate::ending::{COMPLETE, Ending, Over, RELEASE};
use crate::engine::Handle;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::kill_point;
use crate::index::{Slot, Word};
use crate::log::control::{ClaimControl, Swapped};
use crate::log::record::{Kind, Record};
use crate::log::version;
use crate::options::limits;
use crate::outcome::{Fence, Released, Replay, StartReason, TerminalState};
use crate::request::Response;
use crate::sync::{AtomicU64, Ordering};

/// The right to run a request, handed to exactly one caller.
///
/// Dropping a claim that was not ended releases it; once its effect is marked, it puts the key in doubt
/// instead. Whoever is killed drops nothing: then the lease ends, and the key is taken over or in doubt.
#[must_use = "dropping a claim gives the key back"]
pub struct Claim {
    handle: Arc<Handle>,
    slot: Slot,
    word: Word,
    fence: Fence,
    attempt: u16,
    reason: StartReason,
    /// Ended, or lost: nothing is left to give back.
    ended: AtomicU64,
}

const RUNNING: u64 = 0;
const ENDED: u64 = 1;

/// What a change of the control word met.
enum Changed {
    /// The claim still holds the key.
    Standing,
    /// It ended by its own completion before.
    Ended,
}

/// What stands in the claim's slot instead of its own word.
enum Successor {
    /// This claim completed or failed before.
    OwnEnd,
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
        Self { handle, slot, word, fence, attempt, reason, ended: AtomicU64::new(RUNNING) }
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
        let deadline_ms = self.handle.engine.read(self.word)?.claim_control()?.deadline_ms();
        Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms))
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
        let deadline_ms = self.handle.engine.now_ms()? + lease_ms;
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

    /// Changes the control word, then looks whether the claim's word still stands: a completion by another
    /// thread of the owner sets no TAKEN, so a successor may hold the key although the change went
    /// through.
    fn change(&self, swap: impl Fn(&AtomicU64) -> Swapped) -> Result<Changed> {
        let record = self.handle.engine.read(self.word)?;
        match swap(record.control()) {
            Swapped::Done if self.handle.engine.load(self.slot) == self.word => Ok(Changed::Standing),
            Swapped::Done | Swapped::Lost => match self.successor()? {
                Successor::OwnEnd => Ok(Changed::Ended),
                Successor::Other(winner) => Err(self.lost(winner)),
            },
            Swapped::Corrupt => Err(Error::corrupt("the claim's control word is damaged")),
        }
    }

    fn end(&self, kind: Kind, response: &Response<'_>) -> Result<()> {
        let ending = Ending::new(&COMPLETE, kind, response, &self.handle.defaults)?;
        let record = self.handle.engine.read(self.word)?;
        let now_ms = self.handle.engine.now_ms()?;
        let holder = self.handle.engine.holder();
        if ending.write(&self.handle.engine, &self.over(record), holder, now_ms)? {
            self.ended.store(ENDED, Ordering::Release);
            return Ok(());
        }
        match self.successor()? {
            Successor::OwnEnd => Ok(()),
            Successor::Other(winner) => Err(self.lost(winner)),
        }
    }

    fn give_back(&self, nothing_happened: bool) -> Result<Released> {
        if self.ended.swap(ENDED, Ordering::AcqRel) == ENDED {
            // Told before, or completed: whoever won is told again.
            return Err(match self.successor()? {
                Successor::OwnEnd => Error::lease_lost(None),
                Successor::Other(winner) => self.lost(winner),
            });
        }
        let record = self.handle.engine.read(self.word)?;
        let released = loop {
            let control = record.claim_control()?;
            // Taken on the value that was looked at: an effect mark set meanwhile is seen on the next round.
            if control.take(record.control()) {
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
        let now_ms = self.handle.engine.now_ms()?;
        let holder = self.handle.engine.holder();
        if ending.write(&self.handle.engine, &self.over(record), holder, now_ms)? {
            return Ok(released);
        }
        match self.successor()? {
            Successor::OwnEnd => Err(Error::lease_lost(None)),
            Successor::Other(winner) => Err(self.lost(winner)),
        }
    }

    fn over<'r>(&self, record: Record<'r>) -> Over<'r> {
        Over { slot: self.slot, word: self.word, record }
    }

    /// The error of a claim that was lost, with the answer of the one who won.
    #[cold]
    fn lost(&self, winner: Option<Replay>) -> Error {
        self.ended.store(ENDED, Ordering::Release);
        Error::lease_lost(winner)
    }

    /// What stands where the claim's word was.
    fn successor(&self) -> Result<Successor> {
        let word = self.handle.engine.load(self.slot);
        let record = self.handle.engine.read(word)?;
        record.help()?;
        let Some(state) = terminal_state(&record) else { return Ok(Successor::Other(None)) };
        if record.header.fence == self.fence.get() && record.header.holder() == self.handle.engine.holder() {
            return Ok(Successor::OwnEnd);
        }
        let now_ms = self.handle.engine.now_ms()?;
        let age = Duration::from_millis(now_ms.saturating_sub(version::ms(record.header.version)));
        let stands = now_ms < record.header.expiry_ms() && record.header.omitted().is_none();
        Ok(Successor::Other(stands.then(|| replay(&record, state, age))))
    }
}

fn terminal_state(record: &Record<'_>) -> Option<TerminalState> {
    match record.kind {
        Kind::Completed => Some(TerminalState::Completed),
        Kind::Failed => Some(TerminalState::Failed),
        Kind::Claim | Kind::Released | Kind::InDoubt => None,
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Acquire) == RUNNING {
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
