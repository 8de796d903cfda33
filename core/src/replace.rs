//! One record in the place of another: append it, swap it in, mark it.

use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::fault::{kill_point, planted};
use crate::index::{Slot, Word};
use crate::log::append::Appended;
use crate::log::draft::Draft;
use crate::log::record::{Kind, Record};
use crate::outcome::OmittedReason;

/// The kill points of the three steps, by verb.
pub(crate) struct Steps {
    pub(crate) appended: &'static str,
    pub(crate) swapped: &'static str,
    pub(crate) committed: &'static str,
}

/// What is about to be replaced: the slot, the word it is expected to hold, and that word's record.
#[derive(Clone, Copy)]
pub(crate) struct Over<'r> {
    pub(crate) slot: Slot,
    pub(crate) word: Word,
    pub(crate) record: Record<'r>,
}

/// Puts the record there; `None` if the slot no longer holds the word expected, or the owner of what stands
/// there could not be shut out. That comes last before the swap: where there is no room, nothing was changed.
pub(crate) fn replace(
    engine: &Engine,
    over: &Over<'_>,
    draft: &Draft<'_>,
    now_ms: u64,
    steps: &Steps,
    shut_out: impl FnOnce() -> bool,
) -> Result<Option<Word>> {
    if engine.load(over.slot)? != over.word && !planted!("fence.ignored") {
        return Ok(None); // lost already: nothing need be written to find that out
    }
    let appended = append(engine, draft, now_ms)?;
    let word = Word::new(draft.place.tag(), appended.address);
    kill_point!(steps.appended);
    if !shut_out() {
        return Ok(None);
    }
    let from = if planted!("fence.ignored") { engine.load(over.slot)? } else { over.word };
    if !engine.swap(over.slot, from, word)? {
        return Ok(None);
    }
    kill_point!(steps.swapped);
    appended.commit()?;
    kill_point!(steps.committed);
    Ok(Some(word))
}

/// Appends. Where there is no room for another segment, what has been started can still go on and end, in
/// whatever room is left: a completion without its response, anything else as it is. A checkpoint is not
/// given up for room: the claim that stands has it, and says the same.
fn append<'e>(engine: &'e Engine, draft: &Draft<'_>, now_ms: u64) -> Result<Appended<'e>> {
    match engine.append(draft, now_ms) {
        Err(e) if e.kind() == ErrorKind::StoreFull => {
            let appended = match draft.kind {
                Kind::Completed | Kind::Failed => engine
                    .append_anywhere(draft, now_ms)
                    .or_else(|| engine.append_anywhere(&without_body(draft), now_ms)),
                _ => engine.append_anywhere(draft, now_ms),
            };
            appended.ok_or(e)
        }
        other => other,
    }
}

fn without_body<'d>(draft: &Draft<'d>) -> Draft<'d> {
    let lost = (draft.body.len() + draft.meta.len() > 0).then_some(OmittedReason::StoreFull);
    Draft { body: &[], meta: &[], omitted: draft.omitted.or(lost), ..*draft }
}
