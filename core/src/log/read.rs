//! The log as it is read: an address in, a believed record out.

use std::sync::Arc;

use super::address::{Address, Geometry, SegmentNumber};
use super::record::Record;
use super::segment::{self, Segment, Segments};
use crate::error::{Error, Result};
use crate::os::Medium;

/// The segments of one open store. No Debug: the seed is part of the store's secret.
pub(crate) struct Log {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) segments: Segments,
    pub(super) geometry: Geometry,
    pub(super) store: [u8; 16],
    pub(super) seed: u64,
}

impl Log {
    pub(crate) fn new(medium: Arc<dyn Medium>, geometry: Geometry, store: [u8; 16], seed: u64) -> Self {
        Self { medium, segments: Segments::new(), geometry, store, seed }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The segment of this number, mapped now if it was not.
    #[inline]
    pub(crate) fn segment(&self, number: SegmentNumber) -> Result<&Segment> {
        match self.segments.get(number) {
            Some(segment) => Ok(segment),
            None => self.segments.open(&*self.medium, number, self.store, self.geometry),
        }
    }

    /// The record at an address that the index named. Its bytes are checked before anything in them is
    /// believed.
    #[inline]
    pub(crate) fn read(&self, address: Address) -> Result<Record<'_>> {
        let segment = self.segment(self.geometry.segment(address))?;
        let offset = self.geometry.offset(address);
        segment.record(self.seed, address, offset).ok_or_else(|| damaged(segment, offset))
    }

    /// Asks for a record's lines, ahead of reading it.
    #[inline]
    pub(crate) fn prefetch(&self, address: Address) {
        if let Some(segment) = self.segments.get(self.geometry.segment(address)) {
            prefetch_lines(segment, self.geometry.offset(address));
        }
    }

    /// As [`read`](Log::read), of a record that nobody touched lately: asks for all its cache lines at once.
    #[inline]
    pub(crate) fn read_cold(&self, address: Address) -> Result<Record<'_>> {
        let segment = self.segment(self.geometry.segment(address))?;
        let offset = self.geometry.offset(address);
        prefetch_lines(segment, offset);
        segment.record(self.seed, address, offset).ok_or_else(|| damaged(segment, offset))
    }
}

#[inline]
fn prefetch_lines(segment: &Segment, offset: usize) {
    const LINES: usize = 8;
    for line in 0..LINES {
        segment.mapping.prefetch(offset + line * 64);
    }
}

#[cold]
fn damaged(segment: &Segment, offset: usize) -> Error {
    let file = segment::name(segment.number);
    Error::corrupt(format!(
        "log segment {file}: the record at byte {offset} is damaged; its key is not answered"
    ))
}
