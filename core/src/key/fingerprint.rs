//! What binds a key to its payload.

use sha2::{Digest, Sha256};

/// 32 bytes made of a payload.
pub(crate) type Fingerprint = [u8; 32];

/// The rule that makes a fingerprint of a payload today: SHA-256 of its bytes. Another rule gets another
/// number.
pub(crate) const RULE: u8 = 0;

/// SHA-256 of the payload.
pub(crate) fn of(payload: &[u8]) -> Fingerprint {
    Sha256::digest(payload).into()
}

/// Compares without stopping at the first difference, so that time tells nothing about the stored one.
pub(crate) fn same(one: &[u8], other: &Fingerprint) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_difference_in_any_byte_is_seen() {
        let one = super::of(b"abc");
        assert_eq!(one[..4], [0xba, 0x78, 0x16, 0xbf], "SHA-256 of abc, FIPS 180-2");
        assert!(super::same(&one, &one));
        for i in 0..32 {
            let mut other = one;
            other[i] ^= 1;
            assert!(!super::same(&other, &one));
        }
        assert!(!super::same(&one[..31], &one));
    }
}
