//! Every limit with its unit, default and bounds, and the builder that checks them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, Result};

/// One row of the limits table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, as errors say it.
    pub name: &'static str,
    /// The unit of the three numbers.
    pub unit: &'static str,
    /// What holds unless the caller says otherwise.
    pub default: u64,
    /// The smallest value allowed.
    pub min: u64,
    /// The largest value allowed.
    pub max: u64,
}

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// The limits table.
pub mod limits {
    use super::{DAY_MS, GIB, HOUR_MS, KIB, Limit, MIB};

    const fn limit(name: &'static str, unit: &'static str, default: u64, min: u64, max: u64) -> Limit {
        Limit { name, unit, default, min, max }
    }

    /// Length of a key.
    pub const KEY: Limit = limit("key", "bytes", 0, 1, 255);
    /// Length of a scope.
    pub const SCOPE: Limit = limit("scope", "bytes", 0, 0, 255);
    /// How long a claim lasts without a heartbeat.
    pub const LEASE: Limit = limit("lease", "ms", 30_000, 10, 24 * HOUR_MS);
    /// How long a response is replayed, from its completion.
    pub const TTL: Limit = limit("ttl", "ms", DAY_MS, 1000, 400 * DAY_MS);
    /// How long an unresolved claim is remembered, from the end of its lease.
    pub const IN_DOUBT_TTL: Limit = limit("in_doubt_ttl", "ms", 30 * DAY_MS, 1000, 400 * DAY_MS);
    /// The largest response body that is kept.
    pub const RESPONSE: Limit = limit("response_limit", "bytes", MIB, 0, 16 * MIB);
    /// The largest metadata that is kept.
    pub const META: Limit = limit("meta_limit", "bytes", 64 * KIB, 0, 64 * KIB);
    /// Size of one log segment; a power of two.
    pub const SEGMENT: Limit = limit("segment", "bytes", 64 * MIB, MIB, GIB);
    /// Words of the first index generation; a power of two. One key takes one word.
    pub const FIRST_GENERATION: Limit = limit("first_generation", "words", MIB, KIB, GIB);
    /// Processes attached to one store at a time.
    pub const PROCESSES: Limit = limit("processes", "processes", 1024, 1, 4096);

    /// Every row, for tables and tests.
    pub const ALL: [Limit; 10] =
        [KEY, SCOPE, LEASE, TTL, IN_DOUBT_TTL, RESPONSE, META, SEGMENT, FIRST_GENERATION, PROCESSES];
}

impl Limit {
    /// The value, or an error that names the limit.
    pub(crate) fn check(&self, value: u64) -> Result<u64> {
        if (self.min..=self.max).contains(&value) {
            return Ok(value);
        }
        let Self { name, unit, min, max, .. } = self;
        Err(Error::invalid(format!("{name} is {value} {unit}; it must be {min} to {max} {unit}")))
    }

    fn check_power_of_two(&self, value: u64) -> Result<u64> {
        if self.check(value)?.is_power_of_two() {
            return Ok(value);
        }
        Err(Error::invalid(format!("{} is {value} {}; it must be a power of two", self.name, self.unit)))
    }

    /// The duration in milliseconds, rounded up, so that no lease or ttl is shorter than asked for.
    pub(crate) fn check_duration(&self, value: Duration) -> Result<u64> {
        let ms = value.as_nanos().div_ceil(1_000_000);
        self.check(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}

/// The options of one handle; the rest belong to the store and are fixed when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) lease_ms: u64,
    pub(crate) ttl_ms: u64,
    pub(crate) in_doubt_ttl_ms: u64,
    pub(crate) response_limit: usize,
    pub(crate) meta_limit: usize,
}

/// The options of a store, checked.
#[derive(Clone, Debug)]
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
        };
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
