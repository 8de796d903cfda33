#![doc = include_str!("../README.md")]

mod answer;
mod batch;
mod carry;
mod claim;
mod clock;
mod control_page;
mod ending;
mod engine;
mod error;
mod fault;
#[cfg(feature = "kill-points")]
#[doc(hidden)]
pub mod fuzz;
mod grant;
mod handover;
mod helper;
mod index;
mod key;
pub mod keys;
pub mod limits;
mod list;
mod log;
mod look;
mod once;
mod options;
mod os;
mod outcome;
mod recovery;
mod replace;
mod request;
mod standing;
mod stats;
mod store;
mod sync;

pub use claim::Claim;
pub use clock::Clock;
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "kill-points")]
#[doc(hidden)]
pub use fault::{KILL_POINTS, PLANTED_FAULTS};
pub use limits::Limit;
pub use list::{Entry, List, Query, State};
pub use once::{OnceError, Unrecorded};
pub use options::{Builder, Unverifiable};
#[cfg(feature = "kill-points")]
#[doc(hidden)]
pub use os::testing::{RandomSource, in_children, with_random_source};
pub use outcome::{
    Fence, InDoubt, InProgress, Mismatch, Omitted, OmittedReason, Outcome, Peek, Released, Replay,
    StartReason, TerminalState,
};
pub use recovery::Recovery;
pub use request::{OnCrash, Request, Resolution, Response};
pub use stats::Stats;
pub use store::Store;

/// The pages of `core/docs`, as part of the documentation.
#[cfg(doc)]
pub mod docs {
    #[doc = include_str!("../docs/semantics.md")]
    pub mod semantics {}
    #[doc = include_str!("../docs/guarantees.md")]
    pub mod guarantees {}
    #[doc = include_str!("../docs/architecture.md")]
    pub mod architecture {}
    #[doc = include_str!("../docs/concurrency.md")]
    pub mod concurrency {}
    #[doc = include_str!("../docs/format.md")]
    pub mod format {}
}
