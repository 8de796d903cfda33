//! Where a record is.

/// A position in the log, in units of 16 bytes, over all segments ever: `segment number * units of a segment
/// + offset`. Never used twice. Zero is no address: segments count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(pub(crate) u64);

/// Bytes of a unit; records start at multiples of it.
pub(crate) const UNIT: u64 = 16;

/// The number of a segment; segments count from 1 and a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentNumber(pub(crate) u32);

/// The size of a store's segments, a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    shift: u32,
}

impl Geometry {
    pub(crate) fn new(segment_bytes: u64) -> Self {
        Self { shift: (segment_bytes / UNIT).trailing_zeros() }
    }

    pub(crate) fn segment_bytes(self) -> usize {
        (UNIT << self.shift) as usize
    }

    pub(crate) fn address(self, segment: SegmentNumber, offset: usize) -> Address {
        Address((u64::from(segment.0) << self.shift) | (offset as u64 / UNIT))
    }

    pub(crate) fn segment(self, address: Address) -> SegmentNumber {
        SegmentNumber((address.0 >> self.shift) as u32)
    }

    /// Bytes from the start of its segment.
    pub(crate) fn offset(self, address: Address) -> usize {
        ((address.0 & ((1 << self.shift) - 1)) * UNIT) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_segment_and_offset() {
        for bytes in [1 << 20, 64 << 20, 1 << 30] {
            let geometry = Geometry::new(bytes);
            assert_eq!(geometry.segment_bytes() as u64, bytes);
            for (number, offset) in [(1, 0), (7, 4096), (1 << 20, bytes as usize - 16)] {
                let address = geometry.address(SegmentNumber(number), offset);
                assert_eq!((geometry.segment(address).0, geometry.offset(address)), (number, offset));
            }
        }
    }
}
