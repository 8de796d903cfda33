//! What a record means at a moment: the one place where leases, retention and expiry are judged.

use crate::error::Result;
use crate::fault::planted;
use crate::log::control::ClaimControl;
use crate::log::record::{Kind, Record};
use crate::log::version;
use crate::outcome::TerminalState;

/// How a key stands, by its record and the clock. See the table in `docs/concurrency.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Held by a claim whose lease runs.
    InProgress {
        /// When it ends.
        deadline_ms: u64,
    },
    /// The lease ended, or the claim is being given up, before an effect: the next begin takes over.
    Orphaned {
        /// Since when.
        since_ms: u64,
    },
    /// Nobody knows how it ended.
    InDoubt {
        /// Since when.
        since_ms: u64,
    },
    /// It ran.
    Terminal(TerminalState),
    /// It was given back: as if absent.
    Released,
    /// Its time is over, or it was forgotten: as if absent.
    Expired,
}

/// A record, how it stands, and (for a claim) the control word that was judged.
#[derive(Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) standing: Standing,
    judged: Option<ClaimControl>,
}

impl Judged {
    /// Judges a record at a time.
    pub(crate) fn new(record: &Record<'_>, now_ms: u64) -> Result<Self> {
        let header = record.header;
        let expired = now_ms >= header.expiry_ms();
        let standing = match record.kind {
            Kind::Claim => {
                let control = record.claim_control()?;
                let standing = judge_claim(record, control, now_ms);
                return Ok(Self { standing, judged: Some(control) });
            }
            Kind::Released => Standing::Released,
            Kind::Forgotten => Standing::Expired,
            _ if expired => Standing::Expired,
            Kind::Completed => Standing::Terminal(TerminalState::Completed),
            Kind::Failed => Standing::Terminal(TerminalState::Failed),
            Kind::InDoubt => Standing::InDoubt { since_ms: version::ms(header.version) },
        };
        Ok(Self { standing, judged: None })
    }

    /// Shuts the owner of a claim out before its word is replaced: only if the claim still is what was
    /// judged. A record that is no claim has no owner to shut out.
    #[must_use]
    pub(crate) fn take(&self, record: &Record<'_>) -> bool {
        planted!("taken.skipped") || self.judged.is_none_or(|control| control.take(record.control()))
    }
}

fn judge_claim(record: &Record<'_>, control: ClaimControl, now_ms: u64) -> Standing {
    let deadline_ms = control.deadline_ms();
    if !control.is_taken() && deadline_ms > now_ms {
        Standing::InProgress { deadline_ms }
    } else if now_ms >= deadline_ms.saturating_add(record.header.expiry_ms()) {
        Standing::Expired
    } else if control.has_effect() || record.header.is_in_doubt_on_crash() {
        Standing::InDoubt { since_ms: deadline_ms.min(now_ms) }
    } else {
        Standing::Orphaned { since_ms: deadline_ms.min(now_ms) }
    }
}
