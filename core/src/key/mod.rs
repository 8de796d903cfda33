//! What names a record, and what binds it.

pub(crate) mod fingerprint;
mod identity;
mod mac;
mod secret;

pub(crate) use identity::{Identity, Place};
pub(crate) use mac::{SEAL_BYTES, Seal};
pub(crate) use secret::Secret;
