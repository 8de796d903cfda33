//! The random secret of a store, in its own file; another secret is another store.

use xxhash_rust::xxh3::xxh3_64;

use super::mac::Seal;
use crate::error::{Error, Result};
use crate::os;

/// Keys of the place hash and of the record checksums, and the key that authenticates.
///
/// ```text
/// secret = magic 8 | hash keys 16 | checksum seed 8 | authentication key 32 | checksum 8
/// ```
#[derive(Clone)]
pub(crate) struct Secret {
    /// What `meta` remembers of it.
    pub(crate) check: u32,
    pub(crate) hash: [u64; 2],
    pub(crate) seed: u64,
    pub(crate) seal: Seal,
}

const MAGIC: &[u8; 8] = b"semelkey";
const AUTHENTICATION: usize = 8 + 16 + 8;
const SEALED: usize = AUTHENTICATION + 32;
pub(crate) const SECRET_BYTES: usize = SEALED + 8;

impl Secret {
    /// Bytes of a new secret, as they are stored.
    pub(crate) fn generate() -> Result<[u8; SECRET_BYTES]> {
        let mut bytes = [0; SECRET_BYTES];
        os::random(&mut bytes[8..SEALED])?;
        bytes[..8].copy_from_slice(MAGIC);
        let sum = xxh3_64(&bytes[..SEALED]);
        bytes[SEALED..].copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }

    /// Reads a stored secret.
    /// `place` is for messages only.
    pub(crate) fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        let damaged = || {
            Error::corrupt(format!(
                "{place}: its file \"secret\" is damaged; restore it from a backup of this store"
            ))
        };
        let word = |at: usize| {
            let piece = bytes.get(at..at + 8).and_then(|piece| piece.try_into().ok());
            piece.map(u64::from_le_bytes).ok_or_else(damaged)
        };
        let sealed = bytes.len() == SECRET_BYTES && word(SEALED)? == xxh3_64(&bytes[..SEALED]);
        if !sealed || &bytes[..8] != MAGIC {
            return Err(damaged());
        }
        let authentication = bytes[AUTHENTICATION..SEALED].try_into().map_err(|_| damaged())?;
        Ok(Self {
            check: word(SEALED)? as u32,
            hash: [word(8)?, word(16)?],
            seed: word(24)?,
            seal: Seal::new(&authentication),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_byte_is_noticed() {
        let bytes = Secret::generate().unwrap();
        assert!(Secret::parse(&bytes, "p").is_ok());
        for i in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[i] ^= 0x20;
            assert!(Secret::parse(&damaged, "p").is_err(), "byte {i}");
            assert!(Secret::parse(&bytes[..i], "p").is_err(), "cut at {i}");
        }
    }
}
