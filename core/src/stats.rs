//! What happened in a store, over all its processes.

/// Counters of a store, over all its processes, since its index was made: at its first open on this boot, or
/// when its index was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    pub(crate) unverifiable: u64,
    pub(crate) forgotten: u64,
}

impl Stats {
    /// Requests that met a fingerprint made by another [rule](crate::Request::rule): it could not be said
    /// whether the payload was the same.
    pub fn unverifiable(&self) -> u64 {
        self.unverifiable
    }

    /// Records removed by [`forget`](crate::Store::forget).
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
