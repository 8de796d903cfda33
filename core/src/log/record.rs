//! One record: its bytes, how it is written, how it is believed.

use xxhash_rust::xxh3::xxh3_64_with_seed;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::address::{Address, UNIT};
use super::control::{self, ClaimControl, Swapped};
use super::lifetime::CLAIM_GRACE_MS;
use crate::error::{Error, Result};
use crate::fault::{kill_point, planted};
use crate::key::Identity;
use crate::key::fingerprint::Stored;
use crate::outcome::OmittedReason;
use crate::sync::AtomicU64;

/// ```text
/// offset size
///      0    8  LENGTH word: length in units 32 | kind 8 | 0     swapped from 0 by the appender
///      8    8  control word                                    changes; not in the checksum
///     16   72  header, below
///     88    .  scope, key, fingerprint (0 or 32), body, meta, then zeros to a multiple of 16
/// ```
/// A LENGTH of zero is where the chunk ends. The checksum covers everything from the header's second field
/// on, the LENGTH word and the record's own address, under the store's seed: bytes copied elsewhere are no
/// record.
pub(super) const LENGTH_WORD: usize = 0;
pub(super) const CONTROL_WORD: usize = LENGTH_WORD + 8;
pub(super) const HEADER: usize = CONTROL_WORD + 8;
pub(super) const SEALED: usize = HEADER + 8;
pub(super) const VARIABLE: usize = HEADER + size_of::<Header>();
pub(super) const FINGERPRINT: usize = 32;

/// The fixed part of a record that never changes.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    /// xxh3 of the rest, seeded.
    pub(super) checksum: u64,
    /// The keyed hash of scope and key.
    pub(crate) place: u64,
    /// Grows with every swap of the key's word; recovery takes the highest.
    pub(crate) version: u64,
    /// The version of the grant, carried by every record of that claim.
    pub(crate) fence: u64,
    /// 48 bits of milliseconds | attempt 16. A claim: how long it is remembered behind its deadline. Any
    /// other: until when.
    pub(super) expiry_attempt: u64,
    /// 48 bits of milliseconds | owner slot 16. Until when the record must stay in the log.
    pub(super) keep_slot: u64,
    /// The record that this one replaced: address 48 | status 16.
    pub(super) previous_status: u64,
    /// The owner's incarnation; 0 is nobody.
    pub(super) incarnation: u32,
    pub(super) body_len: u32,
    /// Fits 17 bits; the rest is reserved, zero.
    pub(super) meta_len: u32,
    pub(super) scope_len: u8,
    pub(super) key_len: u8,
    pub(super) flags: u8,
    /// Version of the rule that made the fingerprint.
    pub(super) rule: u8,
}

const _: () = assert!(size_of::<Header>() == 72 && align_of::<Header>() == 8);

pub(super) const HAS_FINGERPRINT: u8 = 1;
pub(super) const IN_DOUBT_ON_CRASH: u8 = 1 << 1;
pub(super) const IS_KEYED: u8 = 1 << 2;
pub(super) const OMITTED_SHIFT: u32 = 4;

pub(super) const MS: u64 = (1 << 48) - 1;

/// The longest record: everything at its limit.
pub(crate) const fn longest(response: usize, meta: usize) -> usize {
    (VARIABLE + 255 + 255 + FINGERPRINT + response + meta).next_multiple_of(UNIT as usize)
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Somebody holds the key.
    Claim = 1,
    /// It ran.
    Completed = 2,
    /// It ran and failed for good.
    Failed = 3,
    /// It was given back.
    Released = 4,
    /// It was given up behind its effect mark.
    InDoubt = 5,
    /// It had ended, and an operator removed it.
    Forgotten = 6,
}

impl Kind {
    fn from_length_word(word: u64) -> Option<Self> {
        const ALL: [Kind; 6] =
            [Kind::Claim, Kind::Completed, Kind::Failed, Kind::Released, Kind::InDoubt, Kind::Forgotten];
        ALL.into_iter().find(|kind| word >> 32 == *kind as u64)
    }
}

/// Bytes of the record that this LENGTH word begins, as far as it can be believed: at least a header, at most
/// `room`.
pub(crate) fn length_of(word: u64, room: usize) -> Option<usize> {
    let bytes = (word & u64::from(u32::MAX)) * UNIT;
    (bytes >= VARIABLE as u64 && bytes <= room as u64).then_some(bytes as usize)
}

/// Who holds a claim: a process slot and the incarnation of the process in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) slot: u16,
    pub(crate) incarnation: u32,
}

impl Holder {
    /// Nobody: what a resolution writes, and a claim that is on its way to another process.
    pub(crate) const NOBODY: Self = Self { slot: 0, incarnation: 0 };
}

/// The checksum of a record's sealed bytes, tied to its address and LENGTH word.
pub(crate) fn checksum(seed: u64, address: Address, length_word: u64, sealed: &[u8]) -> u64 {
    xxh3_64_with_seed(sealed, seed ^ address.0.rotate_left(16) ^ length_word.rotate_left(40))
}

/// A record that was read and believed.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) address: Address,
    pub(crate) kind: Kind,
    pub(crate) header: &'a Header,
    control: &'a AtomicU64,
    variable: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record in `bytes`, which start at its header: the words before it change while others look.
    /// `None`: its bytes are not what was written.
    pub(crate) fn parse(
        seed: u64,
        address: Address,
        length_word: u64,
        control: &'a AtomicU64,
        bytes: &'a [u8],
    ) -> Option<Self> {
        let kind = Kind::from_length_word(length_word)?;
        let (header, variable) = Header::ref_from_prefix(bytes).ok()?;
        let sealed_len = (VARIABLE - SEALED).checked_add(header.variable_len())?;
        let sealed = bytes.get(SEALED - HEADER..)?.get(..sealed_len)?;
        (checksum(seed, address, length_word, sealed) == header.checksum).then_some(Self {
            address,
            kind,
            header,
            control,
            variable,
        })
    }

    pub(crate) fn is_of(&self, identity: &Identity<'_>) -> bool {
        let (scope, key) = self.identity();
        scope == identity.scope && key == identity.key
    }

    pub(crate) fn identity(&self) -> (&'a [u8], &'a [u8]) {
        let scope_end = usize::from(self.header.scope_len);
        let key_end = scope_end + usize::from(self.header.key_len);
        (&self.variable[..scope_end], &self.variable[scope_end..key_end])
    }

    pub(crate) fn fingerprint(&self) -> Option<Stored<'a>> {
        let Header { rule, flags, .. } = *self.header;
        let start = self.header.names_len();
        self.header.has_fingerprint().then(|| Stored {
            bytes: &self.variable[start..start + FINGERPRINT],
            rule,
            is_keyed: flags & IS_KEYED != 0,
        })
    }

    /// What the claim left for whoever goes on with it; a record that is no claim carries on that of the one
    /// it ended.
    pub(crate) fn checkpoint(&self) -> &'a [u8] {
        match self.kind {
            Kind::Claim | Kind::Released | Kind::InDoubt => self.body(),
            Kind::Completed | Kind::Failed | Kind::Forgotten => &[],
        }
    }

    /// Until when whatever replaces it must be kept, so that it outlives it: heartbeats may have moved a
    /// claim's end.
    pub(crate) fn keep_ms(&self) -> Result<u64> {
        let moved = match self.kind {
            Kind::Claim => self.claim_control()?.deadline_ms() + CLAIM_GRACE_MS,
            _ => 0,
        };
        Ok(self.header.keep_ms().max(moved))
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        let start = self.header.names_len() + self.header.fingerprint_len();
        &self.variable[start..start + self.header.body_len as usize]
    }

    pub(crate) fn meta(&self) -> &'a [u8] {
        let start = self.header.names_len() + self.header.fingerprint_len() + self.header.body_len as usize;
        &self.variable[start..start + self.header.meta_len as usize]
    }

    /// Body and meta, as they lie one behind the other.
    pub(crate) fn response(&self) -> &'a [u8] {
        let start = self.header.names_len() + self.header.fingerprint_len();
        &self.variable[start..start + self.header.body_len as usize + self.header.meta_len as usize]
    }

    /// The control word of a claim.
    pub(crate) fn claim_control(&self) -> Result<ClaimControl> {
        ClaimControl::load(self.control).ok_or_else(|| self.damaged())
    }

    /// Where its control word is.
    pub(crate) fn control(&self) -> &'a AtomicU64 {
        self.control
    }

    pub(crate) fn is_committed(&self) -> Result<bool> {
        let committed = match self.kind {
            Kind::Claim => ClaimControl::load(self.control).map(ClaimControl::is_committed),
            _ => control::is_committed(self.control),
        };
        committed.ok_or_else(|| self.damaged())
    }

    /// Marks it as having been in the index; done by whoever put it there, and by everyone who is about to
    /// act on it.
    pub(crate) fn commit(&self) -> Result<()> {
        match self.kind {
            _ if planted!("mark.skipped") => Ok(()),
            Kind::Claim if control::commit_claim(self.control) == Swapped::Done => Ok(()),
            Kind::Claim => Err(self.damaged()),
            _ => {
                control::commit(self.control);
                Ok(())
            }
        }
    }

    /// Marks it if whoever put it into the index has not: nobody may act on a record that a rebuild would not
    /// believe.
    pub(crate) fn help(&self) -> Result<()> {
        if !self.is_committed()? {
            self.commit()?;
            kill_point!("begin.helped");
        }
        Ok(())
    }

    fn damaged(&self) -> Error {
        Error::corrupt("a record's control word is damaged; the key is not answered")
    }
}

impl Header {
    pub(crate) fn expiry_ms(&self) -> u64 {
        self.expiry_attempt & MS
    }

    pub(crate) fn attempt(&self) -> u16 {
        (self.expiry_attempt >> 48) as u16
    }

    pub(crate) fn keep_ms(&self) -> u64 {
        self.keep_slot & MS
    }

    pub(crate) fn holder(&self) -> Holder {
        Holder { slot: (self.keep_slot >> 48) as u16, incarnation: self.incarnation }
    }

    pub(crate) fn status(&self) -> u16 {
        (self.previous_status >> 48) as u16
    }

    pub(crate) fn is_in_doubt_on_crash(&self) -> bool {
        self.flags & IN_DOUBT_ON_CRASH != 0
    }

    pub(crate) fn omitted(&self) -> Option<OmittedReason> {
        match self.flags >> OMITTED_SHIFT {
            0 => None,
            2 => Some(OmittedReason::StoreFull),
            _ => Some(OmittedReason::TooLarge),
        }
    }

    fn has_fingerprint(&self) -> bool {
        self.flags & HAS_FINGERPRINT != 0
    }

    fn names_len(&self) -> usize {
        usize::from(self.scope_len) + usize::from(self.key_len)
    }

    fn fingerprint_len(&self) -> usize {
        if self.has_fingerprint() { FINGERPRINT } else { 0 }
    }

    fn variable_len(&self) -> usize {
        self.names_len() + self.fingerprint_len() + self.body_len as usize + self.meta_len as usize
    }
}
