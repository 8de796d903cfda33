//! The short form: begin, run, complete; and wait for whoever runs it already.

use std::fmt;
use std::time::Duration;

use crate::claim::Claim;
use crate::error::Error;
use crate::outcome::{InDoubt, Mismatch, Omitted, Outcome, Peek, Replay, TerminalState};
use crate::request::{OnCrash, Request, Response};
use crate::store::Store;

/// Why [`once`](Store::once) has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum OnceError<E> {
    /// The function failed. The key was given back, or is in doubt if an effect was marked.
    Failed(E),
    /// The key was used before for another payload. Nothing ran.
    Mismatch(Mismatch),
    /// An earlier run's outcome is unknown. Ask the other side, then [`resolve`](Store::resolve).
    InDoubt(InDoubt),
    /// It ran before, but its result was not kept.
    Omitted(Omitted),
    /// It ran before, and was recorded as failed for good.
    FailedBefore(Replay),
    /// The function ran, and its result could not be recorded.
    Unrecorded(Unrecorded),
    /// The store could not answer. Nothing ran.
    Store(Error),
}

/// A result that could not be recorded. The key stands as if the process had died here, or has gone on
/// without it.
pub struct Unrecorded {
    result: Vec<u8>,
    error: Error,
}

impl Unrecorded {
    /// What the function returned.
    pub fn into_result(self) -> Vec<u8> {
        self.result
    }

    /// Why it was not recorded: `LeaseLost` if the key went on without this run.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Debug for Unrecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.result.len();
        f.debug_struct("Unrecorded").field("result_bytes", &bytes).field("error", &self.error).finish()
    }
}

/// The first look at a key that another caller runs comes this soon, every further one twice as late.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(50);

impl Store {
    /// Runs the function once for this key, and answers every caller with its result: concurrent callers, in
    /// this process and in others, wait for whoever runs it, and look again at least every 50 ms.
    ///
    /// "Once" is true through a crash only if the function marks its effect
    /// ([`begin_effect`](Claim::begin_effect)) or `on_crash` is [`OnCrash::InDoubt`]: otherwise a run that
    /// was cut short is run again. Waiting ends when the other claim does, by its result or by its lease.
    ///
    /// An error of the function gives the key back; to record a failure for good, end the claim with
    /// [`fail`](Claim::fail) before returning it. A function that runs longer than the lease sends
    /// heartbeats.
    ///
    /// ```
    /// # use semel::{OnCrash, OnceError, Store};
    /// let store = Store::in_memory()?;
    /// let charge = || {
    ///     store.once("charge", "order-17", "12.00 EUR", OnCrash::InDoubt, |claim| {
    ///         Ok::<_, std::io::Error>(format!("paid at attempt {}", claim.attempt()))
    ///     })
    /// };
    /// assert_eq!(charge().unwrap(), b"paid at attempt 1");
    /// assert_eq!(charge().unwrap(), b"paid at attempt 1");
    /// # Ok::<(), semel::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`OnceError`]: the function's own error, an outcome that has no result, or an error of the store.
    pub fn once<K, P, R, E>(
        &self,
        scope: &str,
        key: &K,
        payload: &P,
        on_crash: OnCrash,
        run: impl FnOnce(&Claim) -> Result<R, E>,
    ) -> Result<Vec<u8>, OnceError<E>>
    where
        K: AsRef<[u8]> + ?Sized,
        P: AsRef<[u8]> + ?Sized,
        R: Into<Vec<u8>>,
    {
        let request = Request::new(scope, key).payload(payload).on_crash(on_crash);
        let mut run = Some(run);
        loop {
            match self.begin(request).map_err(OnceError::Store)? {
                Outcome::Started(claim) => {
                    let Some(run) = run.take() else {
                        // It ran here, and what it did with its claim was undone by somebody since.
                        claim.abandon();
                        return Err(OnceError::Store(Error::lease_lost(None)));
                    };
                    if let Some(result) = run_once(claim, run)? {
                        return Ok(result);
                    }
                }
                Outcome::Replay(it) => return replayed(it),
                Outcome::Mismatch(it) => return Err(OnceError::Mismatch(it)),
                Outcome::InDoubt(it) => return Err(OnceError::InDoubt(it)),
                Outcome::Omitted(it) => return Err(OnceError::Omitted(it)),
                Outcome::InProgress(_) => self.wait_while_in_progress(scope, key.as_ref())?,
            }
        }
    }

    /// Looks again and again, less and less often, until no claim's lease runs.
    fn wait_while_in_progress<E>(&self, scope: &str, key: &[u8]) -> Result<(), OnceError<E>> {
        let mut pause = FIRST_LOOK;
        while let Some(Peek::InProgress(it)) = self.peek(scope, key).map_err(OnceError::Store)? {
            std::thread::sleep(pause.min(it.lease_left()));
            pause = (pause * 2).min(LAST_LOOK);
        }
        Ok(())
    }
}

fn replayed<E>(it: Replay) -> Result<Vec<u8>, OnceError<E>> {
    match it.state() {
        TerminalState::Completed => Ok(it.into_body()),
        TerminalState::Failed => Err(OnceError::FailedBefore(it)),
    }
}

/// `None` if the function itself ended the claim: then its caller is answered as everybody else is.
fn run_once<R: Into<Vec<u8>>, E>(
    claim: Claim,
    run: impl FnOnce(&Claim) -> Result<R, E>,
) -> Result<Option<Vec<u8>>, OnceError<E>> {
    let result = run(&claim).map_err(OnceError::Failed)?.into();
    let was_running = claim.is_running();
    let Err(error) = claim.complete(Response::new(&result)) else {
        return Ok(was_running.then_some(result));
    };
    // It ran: giving the key back would run it again at once, whatever was said of a crash.
    claim.abandon();
    match error.winner() {
        // The one true answer is the winner's.
        Some(winner) => replayed(winner.clone()).map(Some),
        None => Err(OnceError::Unrecorded(Unrecorded { result, error })),
    }
}

impl<E: fmt::Display> fmt::Display for OnceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(e) => e.fmt(f),
            Self::Mismatch(_) => f.write_str("the key was used before for another payload"),
            Self::InDoubt(_) => f.write_str("an earlier run of the key is in doubt; resolve it"),
            Self::Omitted(_) => f.write_str("the key ran before, and its result was not kept"),
            Self::FailedBefore(_) => f.write_str("the key ran before, and failed for good"),
            Self::Unrecorded(it) => write!(f, "it ran, but its result was not recorded: {}", it.error),
            Self::Store(e) => e.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for OnceError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(e) => Some(e),
            Self::Unrecorded(it) => Some(&it.error),
            Self::Store(e) => Some(e),
            _ => None,
        }
    }
}
