//! Walking the index: which keys stand, and how.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::engine::Handle;
use crate::error::{Error, Result};
use crate::index::Slot;
use crate::log::record::Record;
use crate::log::version;
use crate::look::judge;
use crate::outcome::{Fence, TerminalState};
use crate::standing::Standing;

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Held by a claim whose lease runs.
    InProgress,
    /// Its claim's lease ended before an effect: the next begin takes over.
    Orphaned,
    /// In doubt, until it is resolved.
    InDoubt,
    /// Completed.
    Completed,
    /// Failed for good.
    Failed,
}

/// Which keys to [list](crate::Store::list): all of them, unless said here.
#[derive(Clone, Default)]
pub struct Query {
    scope_prefix: String,
    state: Option<State>,
    since_ms: u64,
}

impl Query {
    /// Every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those whose scope begins with this.
    #[must_use]
    pub fn scope_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.scope_prefix);
        self
    }

    /// Those in this state.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Those whose [`since`](Entry::since) is this time, by the store's clock, or a later one.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A key, as it stood when the walk came by.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    scope: String,
    key: Vec<u8>,
    state: State,
    since_ms: u64,
    fence: Fence,
    attempt: u16,
}

impl Entry {
    /// Its scope.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The key itself.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when, by the store's clock: the last record of a claim or an end, the end of the lease of what
    /// is orphaned or in doubt.
    pub fn since(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.since_ms)
    }

    /// The fence of its last claim.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Which run it is or was, from 1.
    pub fn attempt(&self) -> u16 {
        self.attempt
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("state", &self.state)
            .field("fence", &self.fence)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The walk: holds no more than the entry at hand, and hinders nobody. An entry whose record is damaged is an
/// error, and the walk goes on behind it.
pub struct List {
    handle: Arc<Handle>,
    query: Query,
    /// Where it is: the slot that was looked at last.
    at: Option<Slot>,
    has_ended: bool,
}

impl List {
    pub(crate) fn new(handle: Arc<Handle>, query: Query) -> Self {
        Self { handle, query, at: None, has_ended: false }
    }

    /// What this slot holds, if the query selects it.
    fn look(&self, slot: Slot) -> Result<Option<Entry>> {
        let engine = &self.handle.engine;
        loop {
            let word = engine.load(slot)?;
            if !word.is_record() {
                return Ok(None);
            }
            let record = engine.read(word)?;
            if !record.identity().0.starts_with(self.query.scope_prefix.as_bytes()) {
                return Ok(None);
            }
            if let Some((over, judged)) = judge(engine, slot, word, record, engine.now_ms()?)? {
                return self.entry(&over.record, judged.standing);
            }
        }
    }

    fn entry(&self, record: &Record<'_>, standing: Standing) -> Result<Option<Entry>> {
        let written_ms = version::ms(record.header.version);
        let (state, since_ms) = match standing {
            Standing::InProgress { .. } => (State::InProgress, written_ms),
            Standing::Orphaned { since_ms } => (State::Orphaned, since_ms),
            Standing::InDoubt { since_ms } => (State::InDoubt, since_ms),
            Standing::Terminal(TerminalState::Completed) => (State::Completed, written_ms),
            Standing::Terminal(TerminalState::Failed) => (State::Failed, written_ms),
            Standing::Released | Standing::Expired => return Ok(None),
        };
        let asked = self.query.state.is_none_or(|wanted| wanted == state);
        if !asked || since_ms < self.query.since_ms {
            return Ok(None);
        }
        let (scope, key) = record.identity();
        let scope =
            std::str::from_utf8(scope).map_err(|_| Error::corrupt("a record's scope is not UTF-8"))?;
        Ok(Some(Entry {
            scope: scope.to_owned(),
            key: key.to_vec(),
            state,
            since_ms,
            fence: Fence(record.header.fence),
            attempt: record.header.attempt(),
        }))
    }
}

impl Iterator for List {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_ended {
            let next = self.handle.engine.next_slot(self.at);
            // Without its next slot there is nowhere to go on.
            self.has_ended = !matches!(next, Ok(Some(_)));
            let slot = match next.transpose()? {
                Ok(slot) => slot,
                Err(e) => return Some(Err(e)),
            };
            self.at = Some(slot);
            if let Some(entry) = self.look(slot).transpose() {
                return Some(entry);
            }
        }
        None
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("query", &self.query).finish_non_exhaustive()
    }
}
