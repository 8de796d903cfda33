//! A record about to be written.

use zerocopy::IntoBytes;

use super::address::{Address, UNIT};
use super::control::ClaimControl;
use super::record::{
    FINGERPRINT, HAS_FINGERPRINT, HEADER, Header, Holder, IN_DOUBT_ON_CRASH, IS_KEYED, Kind, MS,
    OMITTED_SHIFT, SEALED, VARIABLE,
};
use crate::key::fingerprint::Stored;
use crate::key::{Identity, Place};
use crate::outcome::OmittedReason;

/// What a record will say; its layout is [`Header`]'s.
pub(crate) struct Draft<'a> {
    pub(crate) kind: Kind,
    pub(crate) identity: Identity<'a>,
    pub(crate) place: Place,
    pub(crate) version: u64,
    pub(crate) fence: u64,
    /// See [`Header`].
    pub(crate) expiry_ms: u64,
    pub(crate) keep_ms: u64,
    /// A claim's alone, as is the mark of an effect that began before this record.
    pub(crate) deadline_ms: u64,
    pub(crate) has_effect: bool,
    pub(crate) attempt: u16,
    pub(crate) holder: Holder,
    pub(crate) previous: Option<Address>,
    pub(crate) fingerprint: Option<Stored<'a>>,
    pub(crate) in_doubt_on_crash: bool,
    pub(crate) status: u16,
    pub(crate) omitted: Option<OmittedReason>,
    /// The response, or a claim's checkpoint.
    pub(crate) body: &'a [u8],
    pub(crate) meta: &'a [u8],
}

impl Draft<'_> {
    fn variable_len(&self) -> usize {
        let fingerprint = self.fingerprint.map_or(0, |_| FINGERPRINT);
        self.identity.scope.len() + self.identity.key.len() + fingerprint + self.body.len() + self.meta.len()
    }

    /// Bytes it takes in the log.
    pub(crate) fn len(&self) -> usize {
        (VARIABLE + self.variable_len()).next_multiple_of(UNIT as usize)
    }

    pub(super) fn length_word(&self) -> u64 {
        ((self.kind as u64) << 32) | (self.len() as u64 / UNIT)
    }

    /// The control word it starts with: not committed.
    pub(super) fn control_word(&self) -> u64 {
        match self.kind {
            Kind::Claim => ClaimControl::new(self.deadline_ms, self.has_effect).bits(),
            _ => 0,
        }
    }

    fn header(&self) -> Header {
        let omitted = match self.omitted {
            None => 0,
            Some(OmittedReason::TooLarge) => 1,
            Some(OmittedReason::StoreFull) => 2,
        };
        let fingerprint = match self.fingerprint {
            None => 0,
            Some(Stored { is_keyed: false, .. }) => HAS_FINGERPRINT,
            Some(Stored { is_keyed: true, .. }) => HAS_FINGERPRINT | IS_KEYED,
        };
        let in_doubt = if self.in_doubt_on_crash { IN_DOUBT_ON_CRASH } else { 0 };
        Header {
            checksum: 0,
            place: self.place.0,
            version: self.version,
            fence: self.fence,
            expiry_attempt: self.expiry_ms.min(MS) | u64::from(self.attempt) << 48,
            keep_slot: self.keep_ms.min(MS) | u64::from(self.holder.slot) << 48,
            previous_status: self.previous.map_or(0, |address| address.0) | u64::from(self.status) << 48,
            incarnation: self.holder.incarnation,
            body_len: self.body.len() as u32,
            meta_len: self.meta.len() as u32,
            scope_len: self.identity.scope.len() as u8,
            key_len: self.identity.key.len() as u8,
            flags: fingerprint | in_doubt | omitted << OMITTED_SHIFT,
            rule: self.fingerprint.map_or(0, |stored| stored.rule),
        }
    }

    /// The pieces behind the control word, in order.
    pub(super) fn pieces(&self, mut put: impl FnMut(usize, &[u8]) -> Option<()>) -> Option<()> {
        let header = self.header();
        put(HEADER, header.as_bytes())?;
        let mut at = VARIABLE;
        let fingerprint = self.fingerprint.map_or(&[][..], |stored| stored.bytes);
        for piece in [self.identity.scope, self.identity.key, fingerprint, self.body, self.meta] {
            put(at, piece)?;
            at += piece.len();
        }
        Some(())
    }

    /// Where the sealed bytes are, and where their checksum goes.
    pub(super) fn sealed_range(&self) -> (usize, usize) {
        (SEALED, VARIABLE - SEALED + self.variable_len())
    }

    pub(super) const CHECKSUM: usize = HEADER;
}
