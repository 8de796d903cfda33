//! What only a holder of the store's secret can make: HMAC-SHA-256 under a part of it that serves nothing
//! else.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::fingerprint::Fingerprint;

/// Bytes of a seal.
pub(crate) const SEAL_BYTES: usize = 32;

/// The authenticating part of a store's secret.
#[derive(Clone)]
pub(crate) struct Seal(Hmac<Sha256>);

/// Each use begins with its own word, so that no output of one is one of another.
const FINGERPRINT: &[u8] = b"semel fingerprint 1\0";
const HAND_OVER: &[u8] = b"semel hand over 1\0";

impl Seal {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        // A block is 64 bytes; HMAC fills a shorter key up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(secret);
        Self(Hmac::new(&block.into()))
    }

    fn over(&self, pieces: [&[u8]; 2]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        pieces.iter().for_each(|piece| mac.update(piece));
        mac
    }

    /// A fingerprint that says nothing about its payload to whoever has the files but not the secret.
    pub(crate) fn fingerprint(&self, plain: &Fingerprint) -> Fingerprint {
        self.over([FINGERPRINT, plain]).finalize().into_bytes().into()
    }

    /// The seal of a claim that leaves its process.
    pub(crate) fn hand_over(&self, bytes: &[u8]) -> [u8; SEAL_BYTES] {
        self.over([HAND_OVER, bytes]).finalize().into_bytes().into()
    }

    /// Whether these bytes were sealed here; takes as long for a near miss as for a far one.
    pub(crate) fn is_hand_over(&self, bytes: &[u8], seal: &[u8]) -> bool {
        self.over([HAND_OVER, bytes]).verify_slice(seal).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hmac_sha_256() {
        // RFC 4231, test case 3: a key of 20 bytes 0xaa, 50 bytes 0xdd.
        let mut key = [0; 32];
        key[..20].fill(0xaa);
        let mac = Seal::new(&key).over([&[0xdd; 20], &[0xdd; 30]]).finalize().into_bytes();
        assert_eq!(mac[..8], [0x77, 0x3e, 0xa9, 0x1e, 0x36, 0x80, 0x0e, 0x46]);
    }

    #[test]
    fn uses_and_secrets_do_not_meet() {
        let (one, other) = (Seal::new(&[1; 32]), Seal::new(&[2; 32]));
        assert_ne!(one.fingerprint(&[0; 32]), one.hand_over(&[0; 32]));
        assert_ne!(one.fingerprint(&[0; 32]), other.fingerprint(&[0; 32]));
        let seal = one.hand_over(b"bytes");
        assert!(one.is_hand_over(b"bytes", &seal));
        assert!(!other.is_hand_over(b"bytes", &seal) && !one.is_hand_over(b"bytez", &seal));
        assert!(!one.is_hand_over(b"bytes", &seal[..31]) && !one.is_hand_over(b"bytes", &[]));
    }
}
