//! The one place that names atomics: a thin shim, so that clippy can ban the raw ones everywhere else, and a
//! model can run the same code over its own.

#![allow(clippy::disallowed_types)]

use std::sync::atomic;
pub(crate) use std::sync::atomic::Ordering;

/// A 64-bit word that threads, or processes through a mapping, change under each other.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

const _: () = assert!(size_of::<AtomicU64>() == 8 && align_of::<AtomicU64>() == 8);

impl AtomicU64 {
    pub(crate) const fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    #[inline]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    #[inline]
    pub(crate) fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.0.swap(value, order)
    }

    #[inline]
    pub(crate) fn compare_exchange(
        &self,
        from: u64,
        to: u64,
        won: Ordering,
        lost: Ordering,
    ) -> Result<u64, u64> {
        self.0.compare_exchange(from, to, won, lost)
    }

    #[inline]
    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    #[inline]
    pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_max(value, order)
    }
}
