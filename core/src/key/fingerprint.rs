//! What binds a key to its payload.

use sha2::{Digest, Sha256};

use super::mac::Seal;

/// 32 bytes made of a payload.
pub(crate) type Fingerprint = [u8; 32];

/// SHA-256 of the payload.
pub(crate) fn of(payload: &[u8]) -> Fingerprint {
    Sha256::digest(payload).into()
}

/// What a request is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    plain: Fingerprint,
    /// The form in which it is written.
    as_written: Fingerprint,
    rule: u8,
    is_keyed: bool,
}

/// A fingerprint as a record has it.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) bytes: &'a [u8],
    /// Version of the rule that chose what was hashed; the caller's.
    pub(crate) rule: u8,
    /// Whether it went through the store's secret.
    pub(crate) is_keyed: bool,
}

/// How a request's fingerprint and a record's compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The same, or one of the two is unbound.
    Same,
    Different,
    /// Made by different rules: nothing can be said.
    Unverifiable,
}

impl Bound {
    pub(crate) fn new(plain: Fingerprint, rule: u8, is_keyed: bool, seal: &Seal) -> Self {
        let as_written = if is_keyed { seal.fingerprint(&plain) } else { plain };
        Self { plain, as_written, rule, is_keyed }
    }

    pub(crate) fn written_form(&self) -> Stored<'_> {
        Stored { bytes: &self.as_written, rule: self.rule, is_keyed: self.is_keyed }
    }

    /// Compares in the form in which the record has it, so that keyed and plain ones are not two rules.
    pub(crate) fn compare(&self, stored: &Stored<'_>, seal: &Seal) -> Match {
        let same = match (stored.is_keyed, self.is_keyed) {
            _ if stored.rule != self.rule => return Match::Unverifiable,
            (true, false) => same(stored.bytes, &seal.fingerprint(&self.plain)),
            (true, true) => same(stored.bytes, &self.as_written),
            (false, _) => same(stored.bytes, &self.plain),
        };
        if same { Match::Same } else { Match::Different }
    }
}

/// Compares without stopping at the first difference, so that time tells nothing about the stored one.
fn same(one: &[u8], other: &Fingerprint) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_in_any_byte_is_seen() {
        let one = of(b"abc");
        assert_eq!(one[..4], [0xba, 0x78, 0x16, 0xbf], "SHA-256 of abc, FIPS 180-2");
        assert!(same(&one, &one));
        for i in 0..32 {
            let mut other = one;
            other[i] ^= 1;
            assert!(!same(&other, &one));
        }
        assert!(!same(&one[..31], &one));
    }

    #[test]
    fn plain_and_keyed_forms_of_one_payload_are_the_same() {
        let seal = Seal::new(&[7; 32]);
        let bound = |payload: &[u8], keyed| Bound::new(of(payload), 1, keyed, &seal);
        for stored_keyed in [false, true] {
            for given_keyed in [false, true] {
                let compare = |payload| {
                    bound(payload, given_keyed).compare(&bound(b"one", stored_keyed).written_form(), &seal)
                };
                assert_eq!((compare(b"one"), compare(b"two")), (Match::Same, Match::Different));
            }
        }
        assert_ne!(bound(b"one", true).written_form().bytes, bound(b"one", false).written_form().bytes);
        let newer = Bound::new(of(b"one"), 2, false, &seal);
        assert_eq!(newer.compare(&bound(b"one", false).written_form(), &seal), Match::Unverifiable);
    }
}
