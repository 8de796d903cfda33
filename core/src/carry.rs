//! The record that carries a claim on: with a checkpoint, without a holder, or with another one.
//!
//! It is a claim record like the one it replaces, under the same fence and with the effect mark and the
//! deadline that were in the old control word. Whoever writes it must be the only one who may change that
//! word as its owner; a taker who shuts the old record out meanwhile loses its swap and looks again.

use crate::engine::Engine;
use crate::error::Result;
use crate::fault::planted;
use crate::index::Word;
use crate::key::{Identity, Place};
use crate::log::control::ClaimControl;
use crate::log::draft::Draft;
use crate::log::lifetime::CLAIM_GRACE_MS;
use crate::log::record::{Holder, Kind};
use crate::log::version;
use crate::replace::{Over, Steps, replace};

pub(crate) const CHECKPOINT: Steps = Steps {
    appended: "checkpoint.appended",
    swapped: "checkpoint.swapped",
    committed: "checkpoint.committed",
};
pub(crate) const HAND_OVER: Steps =
    Steps { appended: "handover.appended", swapped: "handover.swapped", committed: "handover.committed" };
pub(crate) const ADOPT: Steps =
    Steps { appended: "adopt.appended", swapped: "adopt.swapped", committed: "adopt.committed" };

/// How the claim goes on.
pub(crate) struct Carry<'a> {
    pub(crate) steps: &'static Steps,
    pub(crate) holder: Holder,
    pub(crate) checkpoint: &'a [u8],
    /// At least until then.
    pub(crate) deadline_ms: u64,
}

impl Carry<'_> {
    /// Puts it in the place of the claim with this control word; the new word, or `None` if the claim was
    /// replaced before.
    pub(crate) fn write(
        &self,
        engine: &Engine,
        over: &Over<'_>,
        control: ClaimControl,
        now_ms: u64,
    ) -> Result<Option<Word>> {
        let seen = &over.record;
        let header = seen.header;
        let (scope, key) = seen.identity();
        let deadline_ms = control.deadline_ms().max(self.deadline_ms);
        let draft = Draft {
            kind: Kind::Claim,
            identity: Identity { scope, key },
            place: Place(header.place),
            version: version::next(header.version, now_ms),
            fence: header.fence,
            expiry_ms: header.expiry_ms(),
            keep_ms: seen.keep_ms()?.max(deadline_ms + CLAIM_GRACE_MS),
            deadline_ms,
            has_effect: control.has_effect() && !planted!("effect.dropped"),
            attempt: header.attempt(),
            holder: self.holder,
            previous: Some(seen.address),
            fingerprint: seen.fingerprint(),
            in_doubt_on_crash: header.is_in_doubt_on_crash(),
            status: 0,
            omitted: None,
            body: self.checkpoint,
            meta: &[],
        };
        replace(engine, over, &draft, now_ms, self.steps, || true)
    }
}
