//! Every limit with its unit, default and bounds.

use std::time::Duration;

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
/// What a claim leaves for whoever takes over.
pub const CHECKPOINT: Limit = limit("checkpoint", "bytes", 0, 0, 4 * KIB);
/// Length of the application's key for downstream keys.
pub const DOWNSTREAM_SECRET: Limit = limit("downstream_secret", "bytes", 0, 16, KIB);
/// Name of a step, of which a downstream key is made.
pub const STEP: Limit = limit("step", "bytes", 0, 1, 255);
/// The tenant in front of a hybrid key.
pub const TENANT: Limit = limit("tenant", "bytes", 0, 1, 219);
/// The least length that a [format](crate::keys::Format) may ask for.
pub const MIN_LEN: Limit = limit("min_len", "bytes", 0, 1, KEY.max);
/// Requests in one batch.
pub const BATCH: Limit = limit("batch", "requests", 0, 1, 4096);
/// Size of one log segment; a power of two.
pub const SEGMENT: Limit = limit("segment", "bytes", 64 * MIB, MIB, GIB);
/// Words of the first index generation; a power of two. One key takes one word.
pub const FIRST_GENERATION: Limit = limit("first_generation", "words", MIB, KIB, GIB);
/// Processes attached to one store at a time.
pub const PROCESSES: Limit = limit("processes", "processes", 1024, 1, 4096);

/// Every row, for tables and tests.
pub const ALL: [Limit; 16] = [
    KEY,
    SCOPE,
    LEASE,
    TTL,
    IN_DOUBT_TTL,
    RESPONSE,
    META,
    CHECKPOINT,
    DOWNSTREAM_SECRET,
    STEP,
    TENANT,
    MIN_LEN,
    BATCH,
    SEGMENT,
    FIRST_GENERATION,
    PROCESSES,
];

impl Limit {
    /// The value, or an error that names the limit.
    pub(crate) fn check(&self, value: u64) -> Result<u64> {
        if (self.min..=self.max).contains(&value) {
            return Ok(value);
        }
        let Self { name, unit, min, max, .. } = self;
        Err(Error::invalid(format!("{name} is {value} {unit}; it must be {min} to {max} {unit}")))
    }

    pub(crate) fn check_power_of_two(&self, value: u64) -> Result<u64> {
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
