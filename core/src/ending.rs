//! The record that ends a key's story: a completion, a failure, a release, the admission of doubt, or
//! nothing.

use crate::engine::Engine;
use crate::error::Result;
use crate::key::{Identity, Place};
use crate::limits;
use crate::log::draft::Draft;
use crate::log::record::{Holder, Kind, Record};
use crate::log::version;
use crate::options::Defaults;
use crate::outcome::OmittedReason;
use crate::replace::{Over, Steps, replace};
use crate::request::Response;

pub(crate) const COMPLETE: Steps =
    Steps { appended: "complete.appended", swapped: "complete.swapped", committed: "complete.committed" };
pub(crate) const RELEASE: Steps =
    Steps { appended: "release.appended", swapped: "release.swapped", committed: "release.committed" };
pub(crate) const RESOLVE: Steps =
    Steps { appended: "resolve.appended", swapped: "resolve.swapped", committed: "resolve.committed" };
pub(crate) const FORGET: Steps =
    Steps { appended: "forget.appended", swapped: "forget.swapped", committed: "forget.committed" };

/// What will be written, once it is known over which record.
pub(crate) struct Ending<'a> {
    steps: &'static Steps,
    kind: Kind,
    status: u16,
    meta: &'a [u8],
    body: &'a [u8],
    omitted: Option<OmittedReason>,
    /// From now on; what was released or forgotten is absent at once.
    ttl_ms: u64,
}

impl<'a> Ending<'a> {
    /// A completion or failure with this response, or any other end with none. What is over its limit is left
    /// out, since an effect that took place must not be refused its record.
    pub(crate) fn new(
        steps: &'static Steps,
        kind: Kind,
        response: &Response<'a>,
        defaults: &Defaults,
    ) -> Result<Self> {
        let ttl_ms = match (kind, response.ttl) {
            (Kind::Released | Kind::Forgotten, _) => 0,
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

    /// Puts it in the place of what was found; `false` if that was replaced before.
    pub(crate) fn write(
        &self,
        engine: &Engine,
        over: &Over<'_>,
        holder: Holder,
        now_ms: u64,
    ) -> Result<bool> {
        self.write_if(engine, over, holder, now_ms, || true)
    }

    /// As [`write`](Self::write), if the owner of what was found can be shut out.
    pub(crate) fn write_if(
        &self,
        engine: &Engine,
        over: &Over<'_>,
        holder: Holder,
        now_ms: u64,
        shut_out: impl FnOnce() -> bool,
    ) -> Result<bool> {
        let draft = self.draft(&over.record, holder, now_ms)?;
        Ok(replace(engine, over, &draft, now_ms, self.steps, shut_out)?.is_some())
    }

    fn draft<'d>(&'d self, seen: &'d Record<'_>, holder: Holder, now_ms: u64) -> Result<Draft<'d>> {
        let header = seen.header;
        let (scope, key) = seen.identity();
        let expiry_ms = now_ms + self.ttl_ms;
        let body = match self.kind {
            // Whoever runs next, or finds out what happened, goes on from the checkpoint.
            Kind::Released | Kind::InDoubt => seen.checkpoint(),
            _ => self.body,
        };
        Ok(Draft {
            kind: self.kind,
            identity: Identity { scope, key },
            place: Place(header.place),
            version: version::next(header.version, now_ms),
            fence: header.fence,
            expiry_ms,
            keep_ms: expiry_ms.max(seen.keep_ms()?),
            deadline_ms: 0,
            has_effect: false,
            attempt: header.attempt(),
            holder,
            previous: Some(seen.address),
            fingerprint: seen.fingerprint().filter(|_| self.kind != Kind::Forgotten),
            in_doubt_on_crash: header.is_in_doubt_on_crash(),
            status: self.status,
            omitted: self.omitted,
            body,
            meta: self.meta,
        })
    }
}
