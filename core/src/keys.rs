//! Keys: making them, deriving them, and checking those of others.
//!
//! # Which key should I use?
//!
//! A key names what must happen once. Whoever wants it to happen makes the key, once, **before** the first
//! attempt, keeps it, and sends the same one with every retry. A key made anew for each attempt protects from
//! nothing.
//!
//! | what must happen once | its key |
//! |---|---|
//! | what a client may send again | [`uuid_v7`] or [`uuid_v4`] by the client; check it by a [`Format`] |
//! | the same, and nobody may tell its age | [`random_128`], or [`random_256`] where policy asks for it |
//! | a form that a person sends | [`uuid_v7`], made when the form is shown, not when it is sent |
//! | a webhook | the event's id, from its sender; not a hash of the body, which may change |
//! | a message of a queue | its id, if a redelivery keeps it; else as a job |
//! | a job made from a row, a monthly run | [`derive()`] from table, row and month: none to keep |
//! | a call to the next service, inside a claim | [`downstream`], by the name of the step |
//! | requests of many tenants, to be read by time | [`hybrid`] |
//! | two orders that look the same | not [`derive()`] from contents alone: add what tells them apart |
//!
//! ```
//! use semel::keys::{self, Format};
//! # fn main() -> semel::Result<()> {
//! // A client, before its first attempt:
//! let key = keys::uuid_v7()?;
//!
//! // The server, whatever spelling its clients' libraries have:
//! let format = Format::uuid();
//! assert_eq!(format.normalize(&key.to_uppercase())?, key);
//!
//! // Inside the claim of that key: the same for every attempt of this charge.
//! let secret = b"32 random bytes of your settings";
//! let charge_key = keys::downstream("POST /orders", &key, "charge the card", Some(secret))?;
//! assert_eq!(charge_key, keys::downstream("POST /orders", &key, "charge the card", Some(secret))?);
//!
//! // A job made from a row:
//! let payout_key = keys::derive(&[b"payout", b"merchant 4711", b"2026-11"]);
//! # assert_eq!(payout_key.len(), 43);
//! # Ok(())
//! # }
//! ```
//!
//! Randomness comes from the kernel, anew for each key: a forked child never repeats its parent or its
//! siblings, and nothing is kept that could leak. Before that generator is seeded, early in a boot, the
//! functions that need it are `Unavailable` at once; they never wait. Opening a store checks the same.

mod derive;
mod format;
mod generate;

pub use derive::{derive, downstream};
pub use format::Format;
pub use generate::{hybrid, random_128, random_256, uuid_v4, uuid_v7};
