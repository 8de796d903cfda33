//! The one clock: milliseconds that grow, the same for every process of a store.
//!
//! A store's time is an offset, shared by all its processes, plus the time since boot. Within a boot no step
//! of the wall clock is seen. The offset is chosen at the first open of a boot, from the wall clock, but
//! never so that time runs back behind what the store has already issued.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::os;
use crate::sync::{AtomicU64, Ordering};

/// Where a handle reads time from.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's time since boot, sleep included.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is [advanced](Clock::advance), starting at this time since the
    /// epoch. Its clones share it. For tests: every process of a store must read the same clock.
    pub fn manual(start: Duration) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(start.as_millis() as u64))))
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(ms) = &self.0 {
            ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        }
    }

    /// Milliseconds since boot.
    pub(crate) fn boot_ms(&self) -> u64 {
        match &self.0 {
            Source::System => os::time::boot_ms(),
            Source::Manual(ms) => ms.load(Ordering::SeqCst),
        }
    }

    /// Milliseconds since the epoch by the wall clock: believed once, at the first open of a boot.
    pub(crate) fn wall_ms(&self) -> u64 {
        match &self.0 {
            Source::System => os::time::wall_ms(),
            Source::Manual(ms) => ms.load(Ordering::SeqCst),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock::system",
            Source::Manual(_) => "Clock::manual",
        })
    }
}
