//! The bytes in which a claim travels to another process, and how they are believed.

use crate::error::{Error, Result};
use crate::key::{Identity, SEAL_BYTES, Seal};

/// ```text
/// format 1 | store id 16 | fence 8 | version 8 | scope length 1 | key length 1 | scope | key | seal 32
/// ```
/// The seal covers all before it. The bytes hold the key itself: they belong where the key may be.
const FORMAT: u8 = 1;
const STORE: usize = 1;
const FENCE: usize = STORE + 16;
const VERSION: usize = FENCE + 8;
const LENGTHS: usize = VERSION + 8;
const NAMES: usize = LENGTHS + 2;

/// A claim on its way.
#[derive(Clone, Copy)]
pub(crate) struct HandOver<'a> {
    pub(crate) identity: Identity<'a>,
    pub(crate) fence: u64,
    /// Of the record that waits for its adopter: the fence outlives a hand over, these bytes do not.
    pub(crate) version: u64,
}

impl<'a> HandOver<'a> {
    pub(crate) fn to_bytes(self, store: &[u8; 16], seal: &Seal) -> Vec<u8> {
        let Identity { scope, key } = self.identity;
        let mut bytes = Vec::with_capacity(NAMES + scope.len() + key.len() + SEAL_BYTES);
        bytes.push(FORMAT);
        bytes.extend(store);
        bytes.extend(self.fence.to_le_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend([scope.len() as u8, key.len() as u8]); // both were checked against their limits
        bytes.extend(scope);
        bytes.extend(key);
        let sealed = seal.hand_over(&bytes);
        bytes.extend(sealed);
        bytes
    }

    /// Believes nothing that was not sealed by this store.
    pub(crate) fn parse(bytes: &'a [u8], store: &[u8; 16], seal: &Seal) -> Result<Self> {
        Self::sealed_in(bytes, store, seal)
            .ok_or_else(|| Error::invalid("these are not the bytes of a claim that this store handed over"))
    }

    fn sealed_in(bytes: &'a [u8], store: &[u8; 16], seal: &Seal) -> Option<Self> {
        let (sealed, given) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
        if !seal.is_hand_over(sealed, given) {
            return None;
        }
        // Sealed here, so it is what `to_bytes` made, perhaps of another version: checked all the same.
        let fence = sealed.get(FENCE..VERSION)?.try_into().map(u64::from_le_bytes).ok()?;
        let version = sealed.get(VERSION..LENGTHS)?.try_into().map(u64::from_le_bytes).ok()?;
        let &[scope_len, key_len] = sealed.get(LENGTHS..NAMES)? else { return None };
        let names = &sealed[NAMES..];
        let (scope, key) = names.split_at_checked(usize::from(scope_len))?;
        let whole =
            sealed[0] == FORMAT && sealed[STORE..FENCE] == *store && key.len() == usize::from(key_len);
        let identity = Identity::new(std::str::from_utf8(scope).ok()?, key).ok()?;
        whole.then_some(Self { identity, fence, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE_ID: [u8; 16] = [9; 16];

    fn sealed() -> (Vec<u8>, Seal) {
        let seal = Seal::new(&[3; 32]);
        let identity = Identity { scope: b"scope", key: b"key" };
        (HandOver { identity, fence: 77, version: 78 }.to_bytes(&STORE_ID, &seal), seal)
    }

    #[test]
    fn what_was_handed_over_is_what_arrives() {
        let (bytes, seal) = sealed();
        let arrived = HandOver::parse(&bytes, &STORE_ID, &seal).ok().unwrap();
        assert_eq!((arrived.identity.scope, arrived.identity.key), (&b"scope"[..], &b"key"[..]));
        assert_eq!((arrived.fence, arrived.version), (77, 78));
    }

    #[test]
    fn changed_cut_or_foreign_bytes_are_refused() {
        let (bytes, seal) = sealed();
        let refused = |bytes: &[u8], store: &[u8; 16], seal: &Seal| {
            let error = HandOver::parse(bytes, store, seal).err().unwrap();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
        };
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            refused(&changed, &STORE_ID, &seal);
            refused(&bytes[..at], &STORE_ID, &seal);
        }
        refused(&[&bytes[..], &[0]].concat(), &STORE_ID, &seal);
        refused(&bytes, &[8; 16], &seal);
        refused(&bytes, &STORE_ID, &Seal::new(&[4; 32]));
    }

    #[test]
    fn even_sealed_bytes_are_checked() {
        let seal = Seal::new(&[3; 32]);
        let mut head = vec![FORMAT];
        head.extend(STORE_ID);
        head.extend(77_u64.to_le_bytes());
        head.extend(78_u64.to_le_bytes());
        for names in [&[][..], &[0], &[0, 0], &[1, 1, b's'], &[1, 1, b's', b'k', b'k'], &[1, 1, 0xFF, b'k']] {
            let mut bytes = [&head[..], names].concat();
            bytes.extend(seal.hand_over(&bytes.clone()));
            assert!(HandOver::parse(&bytes, &STORE_ID, &seal).is_err(), "{names:?}");
        }
        let mut newer = sealed().0;
        newer[0] = 2;
        newer.truncate(newer.len() - SEAL_BYTES);
        newer.extend(seal.hand_over(&newer.clone()));
        assert!(HandOver::parse(&newer, &STORE_ID, &seal).is_err());
    }
}
