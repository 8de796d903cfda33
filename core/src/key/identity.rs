//! Scope and key: the whole bytes are the identity, a keyed hash of them is only the place to look.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::error::Result;
use crate::limits;

/// A validated scope and key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) scope: &'a [u8],
    pub(crate) key: &'a [u8],
}

impl<'a> Identity<'a> {
    pub(crate) fn new(scope: &'a str, key: &'a [u8]) -> Result<Self> {
        limits::SCOPE.check(scope.len() as u64)?;
        limits::KEY.check(key.len() as u64)?;
        Ok(Self { scope: scope.as_bytes(), key })
    }

    /// The place of this identity in a store with this hash secret. The length of the scope goes first, so
    /// that scope "a" with key "bc" and scope "ab" with key "c" differ.
    #[inline]
    pub(crate) fn place(&self, secret: [u64; 2]) -> Place {
        let mut hasher = SipHasher13::new_with_keys(secret[0], secret[1]);
        hasher.write(&[self.scope.len() as u8]);
        hasher.write(self.scope);
        hasher.write(self.key);
        Place(hasher.finish())
    }
}

/// The keyed 64-bit hash of an identity: SipHash-1-3, since keys are chosen by clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    /// 12 bits that an index word carries.
    pub(crate) fn tag(self) -> u64 {
        self.0 >> 52
    }

    /// The home line among so many lines (a power of two, at most 2^27): bits disjoint from the tag's.
    pub(crate) fn home(self, lines: usize) -> usize {
        (self.0 & (lines as u64 - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_and_key_are_told_apart_where_they_meet() {
        let secret = [1, 2];
        let one = Identity::new("a", b"bc").unwrap().place(secret);
        let other = Identity::new("ab", b"c").unwrap().place(secret);
        assert_ne!(one.0, other.0);
    }

    #[test]
    fn limits_hold_at_n_and_fail_at_n_plus_1() {
        let long = "s".repeat(256);
        assert!(Identity::new(&long[..255], &[0; 255]).is_ok());
        assert!(Identity::new("", &[0]).is_ok());
        for bad in [Identity::new(&long, b"k"), Identity::new("s", b""), Identity::new("s", &[0; 256])] {
            assert_eq!(bad.err().unwrap().kind(), crate::ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn tag_and_home_share_no_bit() {
        assert_eq!(Place(!0 << 52).home(1 << 27), 0);
        assert_eq!(Place((1 << 27) - 1).tag(), 0);
    }
}
