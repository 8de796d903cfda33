//! Recovery: the index is disposable, the log is not. Of the records with right checksum and COMMITTED, the
//! highest version of a key stands; whether that one has expired is asked when it is looked up, never before.

mod rebuild;
mod scan;

pub(crate) use rebuild::{rebuild, words_for};
pub(crate) use scan::{segments, survey};

/// What a rebuild of the index found in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Log segments read.
    pub segments: u64,
    /// Records with right checksum that were in the index once.
    pub committed: u64,
    /// Records that never were: their writers died, or lost their race.
    pub uncommitted: u64,
    /// Places where the bytes are no record: an append cut short, or damage.
    pub unreadable: u64,
    /// Keys in the new index.
    pub keys: u64,
    /// The newest version's time, in milliseconds.
    pub(crate) newest_ms: u64,
}

impl Recovery {
    /// Everything that is not empty.
    fn met(&self) -> u64 {
        self.committed + self.uncommitted + self.unreadable
    }
}
