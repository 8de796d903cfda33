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

/// The last time there is: so far ahead that no lease or time to live from there on leaves the 45 bits of a
/// deadline.
pub(crate) const LAST_MS: u64 = 1 << 44;

fn ms_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(LAST_MS).min(LAST_MS)
}

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
    /// epoch. Its clones share it. It ends in the year 2527. For tests: every process of a store must read
    /// the same clock.
    pub fn manual(start: Duration) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(ms_of(start)))))
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        let Source::Manual(ms) = &self.0 else { return };
        let mut now = ms.load(Ordering::SeqCst);
        let after = |now: u64| now.saturating_add(ms_of(by)).min(LAST_MS);
        while let Err(changed) = ms.compare_exchange(now, after(now), Ordering::SeqCst, Ordering::SeqCst) {
            now = changed;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_neither_runs_back_nor_past_its_end() {
        let clock = Clock::manual(Duration::from_millis(5));
        clock.advance(Duration::from_millis(7));
        assert_eq!(clock.boot_ms(), 12);
        clock.advance(Duration::MAX);
        assert_eq!((clock.boot_ms(), clock.wall_ms()), (LAST_MS, LAST_MS));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.boot_ms(), LAST_MS);
        assert_eq!(Clock::manual(Duration::MAX).boot_ms(), LAST_MS);
    }
}
