//! What begin answers.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::claim::Claim;

/// The answer to [`begin`](crate::Store::begin): exactly one of these.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The caller holds the key now, and runs.
    Started(Claim),
    /// It ran before: here is its answer.
    Replay(Replay),
    /// Another caller is running it.
    InProgress(InProgress),
    /// The key was used before for another payload. Nothing ran.
    Mismatch(Mismatch),
    /// It began to have an effect and its outcome was never recorded. Ask the other side, then
    /// [`resolve`](crate::Store::resolve).
    InDoubt(InDoubt),
    /// It ran before, but its answer was not kept. Never run it again.
    Omitted(Omitted),
}

/// The number of a grant, which grows with every grant of a key, through takeover, release, expiry and
/// restart.
///
/// Write it beside what the claim changes, and refuse a smaller one there: `UPDATE ... WHERE fence < ?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub(crate) u64);

impl Fence {
    /// The number itself.
    pub fn get(self) -> u64 {
        self.0
    }

    /// A fence from a number that [`Fence::get`] gave before.
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a begin was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartReason {
    /// The key is new, or what was known of it has expired.
    Fresh,
    /// An earlier claim gave the key back.
    AfterRelease,
    /// An earlier claim lost its lease, or its owner died, before it marked an effect.
    Takeover,
    /// Not begun here: [adopted](crate::Store::adopt) from whoever handed it over.
    Adopted,
}

/// The two terminal states. Both are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TerminalState {
    /// Ended with `complete`.
    Completed,
    /// Ended with `fail`.
    Failed,
}

/// A stored response.
#[derive(Clone, PartialEq, Eq)]
pub struct Replay {
    pub(crate) state: TerminalState,
    pub(crate) status: u16,
    /// The body, then the metadata.
    pub(crate) bytes: Vec<u8>,
    pub(crate) body_len: usize,
    pub(crate) age: Duration,
    pub(crate) expires_at: SystemTime,
}

impl Replay {
    /// Whether the key was completed or failed.
    pub fn state(&self) -> TerminalState {
        self.state
    }

    /// The status that came with the response.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body, byte for byte as it was handed in.
    pub fn body(&self) -> &[u8] {
        &self.bytes[..self.body_len]
    }

    /// The metadata, byte for byte as it was handed in.
    pub fn meta(&self) -> &[u8] {
        &self.bytes[self.body_len..]
    }

    /// The body, without another copy.
    pub fn into_body(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes.truncate(self.body_len);
        bytes
    }

    /// How long ago it was recorded.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Until when it is replayed, by the store's clock.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("state", &self.state)
            .field("status", &self.status)
            .field("body_bytes", &self.body_len)
            .field("meta_bytes", &(self.bytes.len() - self.body_len))
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

/// Another caller holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InProgress {
    pub(crate) lease_left: Duration,
}

impl InProgress {
    /// When to ask again: what is left of the lease, at most 30 s.
    pub fn retry_after(&self) -> Duration {
        self.lease_left.min(Duration::from_secs(30))
    }

    /// What is left of the owner's lease.
    pub fn lease_left(&self) -> Duration {
        self.lease_left
    }
}

/// The key is bound to another payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub(crate) age: Duration,
}

impl Mismatch {
    /// How long ago the record that stands was written.
    pub fn age(&self) -> Duration {
        self.age
    }
}

/// The key began to have an effect, and nobody recorded how it ended.
#[derive(Clone, PartialEq, Eq)]
pub struct InDoubt {
    pub(crate) since: Duration,
    pub(crate) fence: Fence,
    pub(crate) attempt: u16,
    pub(crate) checkpoint: Vec<u8>,
}

impl InDoubt {
    /// How long it has been in doubt.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// The fence of the claim in doubt; [`resolve`](crate::Store::resolve) asks for it.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Which run it was, from 1.
    pub fn attempt(&self) -> u16 {
        self.attempt
    }

    /// The claim's last checkpoint, which may tell where to ask; empty if it made none.
    pub fn checkpoint(&self) -> &[u8] {
        &self.checkpoint
    }
}

impl fmt::Debug for InDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InDoubt")
            .field("since", &self.since)
            .field("fence", &self.fence)
            .field("attempt", &self.attempt)
            .field("checkpoint_bytes", &self.checkpoint.len())
            .finish()
    }
}

/// Why a response was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OmittedReason {
    /// Body or metadata were over the store's limit.
    TooLarge,
    /// The store had no room for the body.
    StoreFull,
}

/// The key ran, and its answer was not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Omitted {
    pub(crate) state: TerminalState,
    pub(crate) reason: OmittedReason,
    pub(crate) status: u16,
    pub(crate) meta: Vec<u8>,
    pub(crate) age: Duration,
}

impl Omitted {
    /// Whether the key was completed or failed.
    pub fn state(&self) -> TerminalState {
        self.state
    }

    /// Why the body was not kept.
    pub fn reason(&self) -> OmittedReason {
        self.reason
    }

    /// The status that came with the response.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The metadata, unless that was over its own limit.
    pub fn meta(&self) -> &[u8] {
        &self.meta
    }

    /// How long ago it was recorded.
    pub fn age(&self) -> Duration {
        self.age
    }
}

impl fmt::Debug for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Omitted")
            .field("state", &self.state)
            .field("reason", &self.reason)
            .field("status", &self.status)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

/// What [`release`](crate::Claim::release) left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Released {
    /// The key is free: the next begin runs.
    Absent,
    /// An effect had begun: the key is in doubt until it is resolved.
    InDoubt,
}

/// What [`peek`](crate::Store::peek) saw of a key, without claiming it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peek {
    /// Held by a live claim.
    InProgress(InProgress),
    /// Its claim's lease ended before an effect: the next begin takes over.
    Orphaned,
    /// In doubt.
    InDoubt(InDoubt),
    /// Completed or failed, response kept.
    Replay(Replay),
    /// Completed or failed, response not kept.
    Omitted(Omitted),
}
