//! The first record of a key, or the one after an end that answers nothing: a claim, or a note that it was
//! seen.

use crate::engine::Engine;
use crate::error::Result;
use crate::fault::{kill_point, planted};
use crate::index::{Slot, Word};
use crate::key::fingerprint::{Bound, Match};
use crate::key::{Identity, Place};
use crate::log::append::Appended;
use crate::log::draft::Draft;
use crate::log::lifetime::CLAIM_GRACE_MS;
use crate::log::record::{Holder, Kind, Record};
use crate::log::version;
use crate::look::{Look, look_to_add};
use crate::outcome::StartReason;
use crate::replace::{Over, Steps};
use crate::request::OnCrash;
use crate::standing::Standing;

/// A request, checked and hashed.
pub(crate) struct Asked<'a> {
    pub(crate) identity: Identity<'a>,
    pub(crate) place: Place,
    pub(crate) bound: Option<Bound>,
    pub(crate) purpose: Purpose,
}

/// What is to be written.
pub(crate) enum Purpose {
    /// A claim, remembered so long behind the end of its lease.
    Claim { lease_ms: u64, retention_ms: u64, on_crash: OnCrash },
    /// That it ran, with no response.
    Seen { ttl_ms: u64 },
}

const BEGIN: Steps =
    Steps { appended: "begin.appended", swapped: "begin.swapped", committed: "begin.committed" };
const SEEN: Steps = Steps { appended: "seen.appended", swapped: "seen.swapped", committed: "seen.committed" };

/// What became of the request.
pub(crate) enum Grant<T> {
    /// Its record stands here.
    Granted { slot: Slot, word: Word, fence: u64, attempt: u16, reason: StartReason },
    /// Another record answers.
    Answered(T),
}

/// The record that is to be replaced, until when it must be outlived, and why it may be replaced.
struct Former<'r> {
    record: Record<'r>,
    keep_ms: u64,
    reason: StartReason,
}

/// Writes the record, unless the key's own record has an answer.
#[inline]
pub(crate) fn grant<T>(
    engine: &Engine,
    asked: &Asked<'_>,
    answer: impl Fn(&Record<'_>, Standing, u64) -> Result<Option<T>>,
) -> Result<Grant<T>> {
    loop {
        let now_ms = engine.now_ms()?;
        // While the index line is on its way: most keys are new.
        let draft = asked.draft(engine, None, now_ms);
        let early = engine.append_at_hand(&draft, now_ms);
        let granted = match look_to_add(engine, &asked.identity, asked.place, now_ms)? {
            Look::Vacant(slot) => {
                let appended = early.map_or_else(|| engine.append(&draft, now_ms), Ok)?;
                asked.put(engine, &draft, appended, slot, Word::EMPTY, StartReason::Fresh)?
            }
            Look::Found(Over { slot, word, record }, judged) => {
                drop(early);
                if let Some(answer) = answer(&record, judged.standing, now_ms)? {
                    return Ok(Grant::Answered(answer));
                }
                let (keep_ms, reason) = (record.keep_ms()?, reason_after(judged.standing));
                let former = Former { record, keep_ms, reason };
                let draft = asked.draft(engine, Some(&former), now_ms);
                // Before its owner is shut out: where there is no room, nothing was changed.
                let appended = engine.append(&draft, now_ms)?;
                if !judged.take(&record) {
                    continue;
                }
                kill_point!("begin.taken");
                asked.put(engine, &draft, appended, slot, word, reason)?
            }
            // What was written ahead of this is taken back: nothing is used that is older than a restart.
            Look::Again => continue,
        };
        if let Some(granted) = granted {
            return Ok(granted);
        }
    }
}

impl Asked<'_> {
    /// Swaps an appended record in; `None` if somebody else was first, and then the record is taken back.
    fn put<T>(
        &self,
        engine: &Engine,
        draft: &Draft<'_>,
        appended: Appended<'_>,
        slot: Slot,
        from: Word,
        reason: StartReason,
    ) -> Result<Option<Grant<T>>> {
        let steps = match self.purpose {
            Purpose::Claim { .. } => &BEGIN,
            Purpose::Seen { .. } => &SEEN,
        };
        let word = Word::new(draft.place.tag(), appended.address);
        #[cfg(feature = "kill-points")]
        let word = Word(crate::fault::reused(draft.place.0, word.0));
        kill_point!(steps.appended);
        if !engine.swap(slot, from, word)? {
            if planted!("record.reused") {
                std::mem::forget(appended);
            }
            return Ok(None);
        }
        kill_point!(steps.swapped);
        appended.commit()?;
        kill_point!(steps.committed);
        if from == Word::EMPTY {
            engine.added(slot, self.place);
        }
        Ok(Some(Grant::Granted { slot, word, fence: draft.fence, attempt: draft.attempt, reason }))
    }

    /// What an earlier run of this request left. A key that was given back may be used for another payload:
    /// then it is another request, and what that one left is none of its business.
    fn checkpoint<'r>(&self, engine: &Engine, former: &Former<'r>) -> &'r [u8] {
        let same = match (former.record.fingerprint(), &self.bound) {
            (Some(stored), Some(bound)) => bound.compare(&stored, engine.seal()) != Match::Different,
            _ => true,
        };
        match former.reason {
            StartReason::AfterRelease | StartReason::Takeover if same => former.record.checkpoint(),
            _ => &[],
        }
    }

    /// The record, over the one that was found of the key.
    fn draft<'d>(&'d self, engine: &Engine, former: Option<&Former<'d>>, now_ms: u64) -> Draft<'d> {
        let header = former.map(|former| former.record.header);
        let version = version::next(header.map_or(0, |header| header.version), now_ms);
        let outlived_ms = former.map_or(0, |former| former.keep_ms);
        // Who takes over without a payload must not unbind the key from the one it began with.
        let inherited = former
            .filter(|former| former.reason == StartReason::Takeover)
            .and_then(|former| former.record.fingerprint());
        let empty = Draft {
            kind: Kind::Completed,
            identity: self.identity,
            place: self.place,
            version,
            fence: version,
            expiry_ms: 0,
            keep_ms: outlived_ms,
            deadline_ms: 0,
            has_effect: false,
            attempt: former.map_or(1, Former::next_attempt),
            holder: Holder::NOBODY,
            previous: former.map(|former| former.record.address),
            fingerprint: self.bound.as_ref().map(Bound::written_form).or(inherited),
            in_doubt_on_crash: false,
            status: 0,
            omitted: None,
            body: &[],
            meta: &[],
        };
        match self.purpose {
            Purpose::Claim { lease_ms, retention_ms, on_crash } => {
                let deadline_ms = now_ms + lease_ms;
                Draft {
                    kind: Kind::Claim,
                    expiry_ms: retention_ms,
                    keep_ms: outlived_ms.max(deadline_ms + CLAIM_GRACE_MS),
                    deadline_ms,
                    holder: engine.holder(),
                    in_doubt_on_crash: on_crash == OnCrash::InDoubt,
                    body: former.map_or(&[], |former| self.checkpoint(engine, former)),
                    ..empty
                }
            }
            Purpose::Seen { ttl_ms } => {
                let expiry_ms = now_ms + ttl_ms;
                Draft { expiry_ms, keep_ms: outlived_ms.max(expiry_ms), ..empty }
            }
        }
    }
}

impl<'r> Former<'r> {
    fn next_attempt(&self) -> u16 {
        match self.reason {
            StartReason::AfterRelease | StartReason::Takeover => {
                self.record.header.attempt().saturating_add(1)
            }
            StartReason::Fresh | StartReason::Adopted => 1,
        }
    }
}

/// Why a record may be replaced that answers nothing.
fn reason_after(standing: Standing) -> StartReason {
    match standing {
        Standing::Released => StartReason::AfterRelease,
        Standing::Orphaned { .. } => StartReason::Takeover,
        _ => StartReason::Fresh,
    }
}
