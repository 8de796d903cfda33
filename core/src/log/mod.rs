//! The log: what happened, in records that are written once. Segments of a lifetime class come and go as
//! whole files.

pub(crate) mod address;
mod ahead;
pub(crate) mod append;
pub(crate) mod control;
pub(crate) mod lifetime;
pub(crate) mod record;
pub(crate) mod segment;

pub(crate) use append::Log;
