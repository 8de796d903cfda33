//! The shim of `core/src/sync.rs`, over loom's atomics. Outside a model it is the machine's, since the files
//! that are included bring their unit tests along.

use std::cell::Cell;
use std::sync::atomic::AtomicU64 as Plain;

pub(crate) use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU64 as Modelled;

thread_local!(static IN_A_MODEL: Cell<bool> = const { Cell::new(false) });

/// Until it is dropped, new atomics of this thread are loom's.
pub(crate) struct InAModel;

impl InAModel {
    pub(crate) fn enter() -> Self {
        IN_A_MODEL.set(true);
        Self
    }
}

impl Drop for InAModel {
    fn drop(&mut self) {
        IN_A_MODEL.set(false);
    }
}

#[derive(Debug)]
pub(crate) enum AtomicU64 {
    Plain(Plain),
    Modelled(Modelled),
}

/// The same call on whichever it is.
macro_rules! on_either {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        match $self {
            AtomicU64::Plain(it) => it.$call($($argument),*),
            AtomicU64::Modelled(it) => it.$call($($argument),*),
        }
    };
}

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        if IN_A_MODEL.get() { Self::Modelled(Modelled::new(value)) } else { Self::Plain(Plain::new(value)) }
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        on_either!(self.load(order))
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        on_either!(self.store(value, order));
    }

    pub(crate) fn compare_exchange(
        &self,
        from: u64,
        to: u64,
        won: Ordering,
        lost: Ordering,
    ) -> Result<u64, u64> {
        on_either!(self.compare_exchange(from, to, won, lost))
    }
}
