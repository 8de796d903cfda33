//! A file in memory, shared with every process that maps it.
//!
//! What may be read how (the discipline that makes the safe functions here sound):
//! words that change while shared are only ever reached through [`Mapping::word`] and [`Mapping::words`], as
//! atomics; bytes are written by [`Mapping::write`] only where no other thread or process can know of them
//! yet (a record whose address has not been published, a file without its name), and are immutable from their
//! publication on. Processes of the same user are trusted to keep to this; the disk is not, so nothing read
//! is believed before its checksum is.

use std::sync::Arc;

use memmap2::{Advice, MmapMut, MmapRaw};

use crate::error::{Error, Result};
use crate::sync::AtomicU64;

/// A mapped file or an anonymous piece of memory, read and write; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Mapping(Arc<MmapRaw>);

impl Mapping {
    pub(super) fn of_file(file: &std::fs::File, what: &str) -> Result<Self> {
        let raw = MmapRaw::map_raw(file).map_err(|e| Error::io(format!("cannot map {what}"), e))?;
        // Bodies of responses do not belong into core dumps. Not fatal where the kernel refuses it.
        let _ = raw.advise(Advice::DontDump);
        Ok(Self(Arc::new(raw)))
    }

    pub(super) fn anonymous(bytes: u64) -> Result<Self> {
        let map = MmapMut::map_anon(bytes as usize).map_err(|e| {
            Error::full(format!("cannot get {bytes} bytes of memory for a store in memory: {e}"))
        })?;
        let _ = map.advise(Advice::DontDump);
        Ok(Self(Arc::new(MmapRaw::from(map))))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The word at this offset; `None` past the end, or where it is not aligned.
    #[inline]
    pub(crate) fn word(&self, offset: usize) -> Option<&AtomicU64> {
        self.words(offset, 1)?.first()
    }

    /// So many words from this offset on; `None` past the end, or where they are not aligned.
    #[inline]
    pub(crate) fn words(&self, offset: usize, count: usize) -> Option<&[AtomicU64]> {
        let end = offset.checked_add(count.checked_mul(8)?)?;
        if end > self.len() || !offset.is_multiple_of(8) {
            return None;
        }
        // SAFETY: offset is within the mapping, by the test above.
        let start = unsafe { self.0.as_mut_ptr().add(offset) };
        // SAFETY: the range is within the mapping and lives as long as it; mappings start at a page, so an
        // offset that is a multiple of 8 is aligned; any bits are a valid AtomicU64, and by the
        // discipline above these bytes are reached as atomics only, in every process.
        Some(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), count) })
    }

    /// Published bytes; `None` past the end.
    #[inline]
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Option<&[u8]> {
        if offset.checked_add(len)? > self.len() {
            return None;
        }
        // SAFETY: offset is within the mapping, by the test above.
        let start = unsafe { self.0.as_ptr().add(offset) };
        // SAFETY: the range is within the mapping and lives as long as it; by the discipline above, published
        // bytes are immutable in every process.
        Some(unsafe { std::slice::from_raw_parts(start, len) })
    }

    /// Writes bytes that nobody else can know of yet; `None` past the end, and then nothing is written.
    #[inline]
    #[must_use]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Option<()> {
        if offset.checked_add(bytes.len())? > self.len() {
            return None;
        }
        // SAFETY: offset is within the mapping, by the test above.
        let start = unsafe { self.0.as_mut_ptr().add(offset) };
        // SAFETY: the range is within the mapping and writable; `bytes` is not part of it, since it is
        // borrowed from outside and unpublished bytes are never lent; by the discipline above nobody
        // else reads or writes it now.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
        Some(())
    }

    /// Clears bytes that nobody else can know of; `None` past the end, and then nothing is cleared.
    #[must_use]
    pub(crate) fn clear(&self, offset: usize, len: usize) -> Option<()> {
        if offset.checked_add(len)? > self.len() {
            return None;
        }
        // SAFETY: offset is within the mapping, by the test above.
        let start = unsafe { self.0.as_mut_ptr().add(offset) };
        // SAFETY: the range is within the mapping and writable; by the discipline above nobody else reads or
        // writes it now.
        unsafe { std::ptr::write_bytes(start, 0, len) };
        Some(())
    }

    /// Asks the processor for the cache line at this offset, ahead of its use. Only speed depends on it.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        if offset >= self.len() {
            return;
        }
        // SAFETY: offset is within the mapping, by the test above.
        let line = unsafe { self.0.as_ptr().add(offset) };
        prefetch(line);
    }

    /// As [`prefetch`](Self::prefetch), of a line that will be written.
    #[inline]
    pub(crate) fn prefetch_for_write(&self, offset: usize) {
        if offset >= self.len() {
            return;
        }
        // SAFETY: offset is within the mapping, by the test above.
        let line = unsafe { self.0.as_ptr().add(offset) };
        prefetch_for_write(line);
    }

    /// Asks the kernel to have these pages ready for writing, in one call instead of a fault for each. Only
    /// speed depends on it: a kernel that refuses leaves the faults.
    pub(crate) fn populate(&self, offset: usize, len: usize) {
        let len = len.min(self.len().saturating_sub(offset));
        if len > 0 {
            let _ = self.0.advise_range(Advice::PopulateWrite, offset, len);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint that reads and writes nothing, whatever the address; SSE is part of
    // x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_for_write(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
    // SAFETY: as above; a processor without it runs it as a no-op.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(line.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch(_: *const u8) {}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_for_write(_: *const u8) {}
