//! Errors: few kinds, each saying what the caller must do.
//!
//! An outcome of [`begin`](crate::Store::begin) is never an error. No error carries a raw key, payload or
//! response in its message.

use std::fmt;
use std::io;

use crate::outcome::Replay;

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, by what the caller must do about it.
///
/// The numbers are the same in every language and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum ErrorKind {
    /// An argument is outside its limit. Mend the call; the message names the limit.
    InvalidArgument = 1,
    /// The claim is not this caller's, or not any more: its lease ended and another took over, it was handed
    /// over, adopted by another, or the key was resolved.
    /// Stop, undo nothing that the winner may rely on, and serve [`Error::winner`] if there is one.
    LeaseLost = 2,
    /// The record is not in the state that this verb ends, or its fence is another. Look again with `peek`.
    Conflict = 3,
    /// There is no room for another record. Nothing was changed and nothing was evicted; the message says
    /// what is full. Try again later, or give the store more room.
    StoreFull = 4,
    /// Bytes of the store are not what was written. The key is not answered, so that it is not run twice.
    Corrupt = 5,
    /// The store was written by a version with which this one cannot share it. Nothing was changed.
    Incompatible = 6,
    /// The path is not safe to use as a store, or is something else. Nothing was changed; the message says
    /// what to do.
    Refused = 7,
    /// The store cannot be had now: another process is opening it, too many are attached, or the kernel's
    /// random generator is not ready. Try again.
    Unavailable = 8,
    /// The operating system failed a call; see the source of the error.
    Io = 9,
}

/// An error: its [kind](Error::kind), and a sentence that names the limit, the path or the reason.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
    winner: Option<Replay>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None, winner: None }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn full(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::StoreFull, what)
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    pub(crate) fn lease_lost(winner: Option<Replay>) -> Self {
        let message = "the claim is not held here: the key went on without it, or it was handed over";
        Self(Box::new(Inner { kind: ErrorKind::LeaseLost, message: message.into(), source: None, winner }))
    }

    /// A failed system call: a full disk becomes StoreFull, everything else Io.
    pub(crate) fn io(doing: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let (message, source) = (doing.into(), source.into());
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::StoreFull,
            _ => ErrorKind::Io,
        };
        Self(Box::new(Inner { kind, message, source: Some(source), winner: None }))
    }

    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// With [`ErrorKind::LeaseLost`]: the response of the one who won, when it was kept.
    pub fn winner(&self) -> Option<&Replay> {
        self.0.winner.as_ref()
    }

    /// As [`Error::winner`], by value.
    pub fn into_winner(self) -> Option<Replay> {
        self.0.winner
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(source) => write!(f, "{}: {source}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}
