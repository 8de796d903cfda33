//! What names a record, and what binds it.

pub(crate) mod fingerprint;
mod identity;
mod secret;

pub(crate) use identity::{Identity, Place};
pub(crate) use secret::Secret;
