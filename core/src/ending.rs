//! The record that ends a claim: a completion, a failure, a release, or the admission of doubt.

use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::fault::{kill_point, planted};
use crate::index::{Slot, Word};
use crate::key::{Identity, Place};
use crate::log::lifetime::CLAIM_GRACE_MS;
use crate::log::record::{Draft, Holder, Kind, Record};
use crate::log::version;
use crate::options::{Defaults, limits};
use crate::outcome::OmittedReason;
use crate::request::Response;

/// The kill points of the three steps, by verb.
pub(crate) struct Steps {
    appended: &'static str,
    swapped: &'static str,
    committed: &'static str,
}

pub(crate) const COMPLETE: Steps =
    Steps { appended: "complete.appended", swapped: "complete.swapped", committed: "complete.committed" };
pub(crate) const RELEASE: Steps =
    Steps { appended: "release.appended", swapped: "release.swapped", committed: "release.committed" };
pub(crate) const RESOLVE: Steps =
    Steps { appended: "resolve.appended", swapped: "resolve.swapped", committed: "resolve.committed" };

/// What is about to be replaced: the slot, the word it is expected to hold, and that word's record.
#[derive(Clone, Copy)]
pub(crate) struct Over<'r> {
    pub(crate) slot: Slot,
    pub(crate) word: Word,
    pub(crate) record: Record<'r>,
}

/// What will be written, once it is known over which record.
pub(crate) struct Ending<'a> {
    steps: &'static Steps,
    kind: Kind,
    status: u16,
    meta: &'a [u8],
    body: &'a [u8],
    omitted: Option<OmittedReason>,
    /// From now on; a release is absent at once.
    ttl_ms: u64,
}

impl<'a> Ending<'a> {
    /// A completion or failure with this response, or a release with none. What is over its limit is left
    /// out, since an effect that took place must not be refused its record.
    pub(crate) fn new(
        steps: &'static Steps,
        kind: Kind,
        response: &Response<'a>,
        defaults: &Defaults,
    ) -> Result<Self> {
        let ttl_ms = match (kind, response.ttl) {
            (Kind::Released, _) => 0,
            (Kind::InDoubt, _) => defaults.in_doubt_ttl_ms,
            (_, Some(ttl)) => limits::TTL.check_duration(ttl)?,
            (_, None) => defaults.ttl_ms,
        };
        let meta_fits = response.meta.len() <= defaults.meta_limit;
        let fits = meta_fits && response.body.len() <= defaults.response_limit;
        Ok(Self {
            steps,
            kind,
            status: response.status,
            meta: if meta_fits { response.meta } else { &[] },
            body: if fits { response.body } else { &[] },
            omitted: (!fits).then_some(OmittedReason::TooLarge),
            ttl_ms,
        })
    }

    /// Appends the record and swaps it in; `false` if the slot no longer holds the word expected. Where there
    /// is no room for the response the key still ends, without it.
    pub(crate) fn write(
        &self,
        engine: &Engine,
        over: &Over<'_>,
        holder: Holder,
        now_ms: u64,
    ) -> Result<bool> {
        if engine.load(over.slot) != over.word && !planted!("fence.ignored") {
            return Ok(false); // lost already: nothing need be written to find that out
        }
        let draft = self.draft(&over.record, holder, now_ms)?;
        let appended = match engine.append(&draft, now_ms) {
            Err(e) if e.kind() == ErrorKind::StoreFull => {
                let fits_without =
                    (draft.body.len() + draft.meta.len() > 0).then_some(OmittedReason::StoreFull);
                let short = Draft { body: &[], meta: &[], omitted: draft.omitted.or(fits_without), ..draft };
                engine.append_anywhere(&short, now_ms).ok_or(e)?
            }
            other => other?,
        };
        let word = Word::new(draft.place.tag(), appended.address);
        kill_point!(self.steps.appended);
        let from = if planted!("fence.ignored") { engine.load(over.slot) } else { over.word };
        if !engine.swap(over.slot, from, word) {
            return Ok(false);
        }
        kill_point!(self.steps.swapped);
        appended.commit()?;
        kill_point!(self.steps.committed);
        Ok(true)
    }

    fn draft<'d>(&'d self, seen: &'d Record<'_>, holder: Holder, now_ms: u64) -> Result<Draft<'d>> {
        let header = seen.header;
        let (scope, key) = seen.identity();
        let expiry_ms = now_ms + self.ttl_ms;
        Ok(Draft {
            kind: self.kind,
            identity: Identity { scope, key },
            place: Place(header.place),
            version: version::next(header.version, now_ms),
            fence: header.fence,
            expiry_ms,
            keep_ms: expiry_ms.max(keep_of(seen)?),
            deadline_ms: 0,
            attempt: header.attempt(),
            holder,
            previous: Some(seen.address),
            fingerprint: seen.fingerprint(),
            rule: header.rule(),
            in_doubt_on_crash: header.is_in_doubt_on_crash(),
            status: self.status,
            omitted: self.omitted,
            body: self.body,
            meta: self.meta,
        })
    }
}

/// Until when the record that is replaced must be outlived: heartbeats may have moved a claim's.
fn keep_of(seen: &Record<'_>) -> Result<u64> {
    let moved = match seen.kind {
        Kind::Claim => seen.claim_control()?.deadline_ms() + CLAIM_GRACE_MS,
        _ => 0,
    };
    Ok(seen.header.keep_ms().max(moved))
}
