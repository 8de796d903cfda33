//! `meta`: what a store is, and which index belongs to it. One page, mapped; the only file that is ever
//! changed in place.

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::os::{FileIdentity, Mapping};
use crate::sync::{AtomicU64, Ordering};

/// ```text
/// offset size
///      0    8  magic "semelsto"
///      8    4  format
///     12    4  check of `secret`: another store's secret is refused
///     16   16  store id
///     32    8  bytes of a segment
///     40    8  words of the first generation
///     48    8  made at (ms since the epoch)
///     56    8  checksum of the above: fixed for the life of the store
///     64   72  index binding (below), changed under the control lock only
///    192    8  high-water mark: no version above it was issued (ms 48 | check 16; zero: none was)
///    200    8  incarnations given out
/// ```
const MAGIC: &[u8; 8] = b"semelsto";
pub(crate) const FORMAT: u32 = 1;
const FIXED: usize = 56;
const BINDING: usize = 64;
const BINDING_WORDS: usize = 8;
const HIGH_WATER: usize = 192;
const MARK_SHIFT: u32 = 16;
const INCARNATIONS: usize = 200;
pub(crate) const META_BYTES: u64 = 4096;
pub(crate) const META: &str = "meta";

/// What is fixed when a store is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    pub(crate) secret_check: u32,
    pub(crate) store: [u8; 16],
    pub(crate) segment_bytes: u64,
    pub(crate) first_generation: u64,
    pub(crate) made_ms: u64,
}

/// Which index is trusted, and when: on this boot, at this identity. A copy of the directory has another
/// identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) boot: [u8; 16],
    pub(crate) index: [u8; 16],
    pub(crate) meta: FileIdentity,
    pub(crate) control: FileIdentity,
}

/// The mapped superblock.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) fixed: Fixed,
    mapping: Mapping,
}

impl Fixed {
    pub(crate) fn head(&self) -> [u8; FIXED + 8] {
        let mut head = [0; FIXED + 8];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        head[12..16].copy_from_slice(&self.secret_check.to_le_bytes());
        head[16..32].copy_from_slice(&self.store);
        head[32..40].copy_from_slice(&self.segment_bytes.to_le_bytes());
        head[40..48].copy_from_slice(&self.first_generation.to_le_bytes());
        head[48..56].copy_from_slice(&self.made_ms.to_le_bytes());
        let sum = xxh3_64(&head[..FIXED]);
        head[FIXED..].copy_from_slice(&sum.to_le_bytes());
        head
    }

    /// Reads the fixed part, from the first bytes of a file of this length. `place` is for messages only.
    pub(crate) fn parse(bytes: &[u8], len: usize, place: &str) -> Result<Self> {
        let no_store = || {
            let message =
                format!("{place}: its file {META:?} is not semel's; move it away, or choose another path");
            Error::new(ErrorKind::Refused, message)
        };
        let damaged =
            || Error::corrupt(format!("{place}: its file {META:?} is damaged; restore it from a backup"));
        if bytes.get(..8) != Some(MAGIC) {
            return Err(no_store());
        }
        let word = |at: usize| {
            let piece = bytes.get(at..at + 8).and_then(|piece| piece.try_into().ok());
            piece.map(u64::from_le_bytes).ok_or_else(damaged)
        };
        let format = word(8)? as u32;
        if format != FORMAT {
            let message = format!(
                "{place}: it was written in format {format}, this version of semel reads {FORMAT}; open it \
                 with the version that wrote it"
            );
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        if word(FIXED)? != xxh3_64(&bytes[..FIXED]) || len as u64 != META_BYTES {
            return Err(damaged());
        }
        let mut store = [0; 16];
        store.copy_from_slice(&bytes[16..32]);
        let fixed = Self {
            secret_check: (word(8)? >> 32) as u32,
            store,
            segment_bytes: word(32)?,
            first_generation: word(40)?,
            made_ms: word(48)?,
        };
        // Checked although sealed: sizes from a disk are never believed before they are bounded.
        let bounded = limits::SEGMENT.check(fixed.segment_bytes).is_ok()
            && limits::FIRST_GENERATION.check(fixed.first_generation).is_ok()
            && fixed.segment_bytes.is_power_of_two()
            && fixed.first_generation.is_power_of_two();
        if bounded { Ok(fixed) } else { Err(damaged()) }
    }
}

/// A time with 16 bits that a flipped bit of it does not leave alone.
fn sealed_mark(ms: u64) -> u64 {
    let ms = ms.min(u64::MAX >> MARK_SHIFT);
    ms << MARK_SHIFT | xxh3_64(&ms.to_le_bytes()) >> 48
}

impl Meta {
    pub(crate) fn open(mapping: Mapping, place: &str) -> Result<Self> {
        // Only these bytes: those behind them change while others look.
        let head = mapping.bytes(0, (FIXED + 8).min(mapping.len())).unwrap_or_default();
        let fixed = Fixed::parse(head, mapping.len(), place)?;
        Ok(Self { fixed, mapping })
    }

    fn word(&self, offset: usize) -> Result<&AtomicU64> {
        self.mapping.word(offset).ok_or_else(|| Error::corrupt("the file \"meta\" is too short"))
    }

    /// No version above this was issued, in milliseconds.
    pub(crate) fn high_water_ms(&self) -> Result<u64> {
        let mark = self.word(HIGH_WATER)?.load(Ordering::Acquire);
        // A mark that was believed with a flipped bit could put the clock years ahead, and every key would
        // have expired.
        if mark != 0 && mark != sealed_mark(mark >> MARK_SHIFT) {
            return Err(Error::corrupt(
                "the high-water mark in \"meta\" is damaged; restore the store from a backup",
            ));
        }
        Ok(mark >> MARK_SHIFT)
    }

    /// Raises the mark to `ahead_ms` past `now_ms` once the clock has reached it.
    #[inline]
    pub(crate) fn raise_high_water(&self, now_ms: u64, ahead_ms: u64) -> Result<()> {
        let mark = self.word(HIGH_WATER)?;
        if now_ms >= mark.load(Ordering::Relaxed) >> MARK_SHIFT {
            // The time is above the check: the larger word is the later mark.
            mark.fetch_max(sealed_mark(now_ms.saturating_add(ahead_ms)), Ordering::AcqRel);
        }
        Ok(())
    }

    /// A number that no process of this store had before. Under the control lock.
    pub(crate) fn next_incarnation(&self) -> Result<u32> {
        let next = self.word(INCARNATIONS)?.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        u32::try_from(next).map_err(|_| Error::full("the store was opened 2^32 times; make a new one"))
    }

    /// The index binding; `None` if there is none, or if its writer died half way. Under the control lock.
    pub(crate) fn binding(&self) -> Result<Option<Binding>> {
        let mut bytes = [0; BINDING_WORDS * 8];
        for (i, piece) in bytes.chunks_exact_mut(8).enumerate() {
            piece.copy_from_slice(&self.word(BINDING + i * 8)?.load(Ordering::Acquire).to_le_bytes());
        }
        let sum = self.word(BINDING + BINDING_WORDS * 8)?.load(Ordering::Acquire);
        Ok((sum == xxh3_64(&bytes)).then(|| Binding::from_bytes(&bytes)))
    }

    /// Binds an index. Under the control lock.
    pub(crate) fn bind(&self, binding: &Binding) -> Result<()> {
        let bytes = binding.to_bytes();
        let sum = self.word(BINDING + BINDING_WORDS * 8)?;
        sum.store(!xxh3_64(&bytes), Ordering::Release); // whoever dies before the end leaves no binding
        for (i, piece) in bytes.chunks_exact(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(piece);
            self.word(BINDING + i * 8)?.store(u64::from_le_bytes(word), Ordering::Release);
        }
        sum.store(xxh3_64(&bytes), Ordering::Release);
        Ok(())
    }
}

impl Binding {
    fn to_bytes(self) -> [u8; BINDING_WORDS * 8] {
        let mut bytes = [0; BINDING_WORDS * 8];
        bytes[..16].copy_from_slice(&self.boot);
        bytes[16..32].copy_from_slice(&self.index);
        let numbers = [self.meta.device, self.meta.inode, self.control.device, self.control.inode];
        for (piece, number) in bytes[32..].chunks_exact_mut(8).zip(numbers) {
            piece.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; BINDING_WORDS * 8]) -> Self {
        let number = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let mut binding = Self {
            meta: FileIdentity { device: number(32), inode: number(40) },
            control: FileIdentity { device: number(48), inode: number(56) },
            ..Self::default()
        };
        binding.boot.copy_from_slice(&bytes[..16]);
        binding.index.copy_from_slice(&bytes[16..32]);
        binding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> Fixed {
        Fixed {
            secret_check: 3,
            store: [7; 16],
            segment_bytes: 1 << 20,
            first_generation: 1 << 10,
            made_ms: 5,
        }
    }

    fn page(fixed: &Fixed) -> Vec<u8> {
        let mut page = fixed.head().to_vec();
        page.resize(META_BYTES as usize, 0);
        page
    }

    #[test]
    fn garbage_another_version_and_damage_are_told_apart() {
        let kind = |bytes: &[u8]| Fixed::parse(bytes, bytes.len(), "p").unwrap_err().kind();
        assert!(Fixed::parse(&page(&fixed()), META_BYTES as usize, "p").is_ok());
        assert_eq!(kind(b"PK\x03\x04 not a store"), ErrorKind::Refused);
        assert_eq!(kind(b""), ErrorKind::Refused);
        let mut other = page(&fixed());
        other[8] = 2;
        assert_eq!(kind(&other), ErrorKind::Incompatible);
        for at in 12..FIXED + 8 {
            let mut damaged = page(&fixed());
            damaged[at] ^= 1;
            assert_eq!(kind(&damaged), ErrorKind::Corrupt, "byte {at}");
        }
    }

    #[test]
    fn sizes_out_of_bounds_are_damage_even_when_sealed() {
        let huge = Fixed { segment_bytes: 1 << 50, ..fixed() };
        assert_eq!(
            Fixed::parse(&page(&huge), META_BYTES as usize, "p").unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
}
