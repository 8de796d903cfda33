//! The options of a store, and the builder that checks them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::limits;

/// What becomes of a request whose fingerprint was made by another version of the rule than the stored one:
/// the two cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unverifiable {
    /// It counts as the same, and is counted: a release that changes the rule does not turn every retry of
    /// the last day into an error.
    #[default]
    Accept,
    /// It is a [Mismatch](crate::Outcome::Mismatch).
    Reject,
}

/// The options of one handle; the rest belong to the store and are fixed when it is made. No Debug: it may
/// hold a key.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub(crate) lease_ms: u64,
    pub(crate) ttl_ms: u64,
    pub(crate) in_doubt_ttl_ms: u64,
    pub(crate) response_limit: usize,
    pub(crate) meta_limit: usize,
    pub(crate) keyed_fingerprints: bool,
    pub(crate) unverifiable: Unverifiable,
    pub(crate) downstream_secret: Option<Arc<[u8]>>,
}

/// The options of a store, checked.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) path: Option<PathBuf>,
    pub(crate) index_dir: Option<PathBuf>,
    pub(crate) clock: Clock,
    pub(crate) defaults: Defaults,
    pub(crate) segment_bytes: u64,
    pub(crate) first_generation: u64,
    pub(crate) processes: u64,
}

/// Options for opening a store. Every number is checked in [`open`](Builder::open).
#[derive(Clone)]
pub struct Builder {
    path: Option<PathBuf>,
    index_dir: Option<PathBuf>,
    clock: Clock,
    lease: Duration,
    ttl: Duration,
    in_doubt_ttl: Duration,
    response_limit: u64,
    meta_limit: u64,
    keyed_fingerprints: bool,
    unverifiable: Unverifiable,
    downstream_secret: Option<Arc<[u8]>>,
    segment: u64,
    first_generation: u64,
    processes: u64,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            path: None,
            index_dir: None,
            clock: Clock::system(),
            lease: Duration::from_millis(limits::LEASE.default),
            ttl: Duration::from_millis(limits::TTL.default),
            in_doubt_ttl: Duration::from_millis(limits::IN_DOUBT_TTL.default),
            response_limit: limits::RESPONSE.default,
            meta_limit: limits::META.default,
            keyed_fingerprints: false,
            unverifiable: Unverifiable::Accept,
            downstream_secret: None,
            segment: limits::SEGMENT.default,
            first_generation: limits::FIRST_GENERATION.default,
            processes: limits::PROCESSES.default,
        }
    }
}

impl Builder {
    /// The directory of the store. Without one the store is in memory: it serves this process only and ends
    /// with it.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_owned());
        self
    }

    /// Where the index of this store lives: a directory in memory (tmpfs) that every process of the store can
    /// see. By default `/dev/shm`, or the store's own directory where that has no room.
    #[must_use]
    pub fn index_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.index_dir = Some(path.as_ref().to_owned());
        self
    }

    /// The clock of the store in this process, by its first handle; tests pass a [manual](Clock::manual) one.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a claim lasts without a heartbeat: 30 s unless said here, 10 ms to 24 h.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a response is replayed, from its completion: 24 h unless said here, 1 s to 400 d.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long a key in doubt, or an orphaned one, is remembered: 30 d unless said here, 1 s to 400 d.
    #[must_use]
    pub fn in_doubt_ttl(mut self, ttl: Duration) -> Self {
        self.in_doubt_ttl = ttl;
        self
    }

    /// The largest response body that is kept: 1 MiB unless said here, 0 to 16 MiB.
    #[must_use]
    pub fn response_limit(mut self, bytes: u64) -> Self {
        self.response_limit = bytes;
        self
    }

    /// The largest metadata that is kept: 64 KiB unless said here, which is also the most.
    #[must_use]
    pub fn meta_limit(mut self, bytes: u64) -> Self {
        self.meta_limit = bytes;
        self
    }

    /// Stores every fingerprint under the store's secret, as [`Request::keyed`](crate::Request::keyed) does
    /// for one.
    #[must_use]
    pub fn keyed_fingerprints(mut self, keyed: bool) -> Self {
        self.keyed_fingerprints = keyed;
        self
    }

    /// What becomes of a request whose [rule](crate::Request::rule) is not the one of the stored fingerprint:
    /// accepted, unless said here.
    #[must_use]
    pub fn unverifiable(mut self, unverifiable: Unverifiable) -> Self {
        self.unverifiable = unverifiable;
        self
    }

    /// A secret of the application's, 16 to 1024 bytes, under which [`downstream`](crate::Claim::downstream)
    /// makes its keys: nobody who knows a client's key can foretell them. It must be the same for as long as
    /// a retry may come.
    #[must_use]
    pub fn downstream_secret<K: AsRef<[u8]> + ?Sized>(mut self, key: &K) -> Self {
        self.downstream_secret = Some(key.as_ref().into());
        self
    }

    /// Size of a log segment, a power of two: 64 MiB unless said here, 1 MiB to 1 GiB. Fixed when the store
    /// is made.
    #[must_use]
    pub fn segment(mut self, bytes: u64) -> Self {
        self.segment = bytes;
        self
    }

    /// Words of the first index generation, a power of two: 1 Mi unless said here, 1 Ki to 1 Gi. Fixed when
    /// the store is made.
    #[must_use]
    pub fn first_generation(mut self, words: u64) -> Self {
        self.first_generation = words;
        self
    }

    /// How many processes may be attached at a time: 1,024 unless said here, 1 to 4,096.
    #[must_use]
    pub fn processes(mut self, count: u64) -> Self {
        self.processes = count;
        self
    }

    /// Opens the store, making it if it is not there.
    ///
    /// # Errors
    /// `InvalidArgument` for a number outside its limit; `Refused` for a path that is not safe or not a
    /// store; `Incompatible` for another format version; `StoreFull` for a full disk; `Unavailable` when
    /// the store cannot be had now; `Corrupt` and `Io`.
    pub fn open(self) -> Result<crate::Store> {
        crate::Store::from_plan(self.checked()?)
    }

    fn checked(self) -> Result<Plan> {
        let defaults = Defaults {
            lease_ms: limits::LEASE.check_duration(self.lease)?,
            ttl_ms: limits::TTL.check_duration(self.ttl)?,
            in_doubt_ttl_ms: limits::IN_DOUBT_TTL.check_duration(self.in_doubt_ttl)?,
            response_limit: limits::RESPONSE.check(self.response_limit)? as usize,
            meta_limit: limits::META.check(self.meta_limit)? as usize,
            keyed_fingerprints: self.keyed_fingerprints,
            unverifiable: self.unverifiable,
            downstream_secret: self.downstream_secret,
        };
        if let Some(key) = &defaults.downstream_secret {
            limits::DOWNSTREAM_SECRET.check(key.len() as u64)?;
        }
        Ok(Plan {
            path: self.path,
            index_dir: self.index_dir,
            clock: self.clock,
            defaults,
            segment_bytes: limits::SEGMENT.check_power_of_two(self.segment)?,
            first_generation: limits::FIRST_GENERATION.check_power_of_two(self.first_generation)?,
            processes: limits::PROCESSES.check(self.processes)?,
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("path", &self.path).finish_non_exhaustive()
    }
}
