//! The log: what happened, in records that are written once. Segments of a lifetime class come and go as
//! whole files.

pub(crate) mod address;
pub(crate) mod append;
pub(crate) mod control;
pub(crate) mod draft;
pub(crate) mod lifetime;
mod read;
pub(crate) mod record;
pub(crate) mod segment;
mod tail;
pub(crate) mod version;

pub(crate) use read::Log;
