//! How a key stands now: find its record, mark it, judge it, and see that it still stands.

use crate::engine::Engine;
use crate::error::Result;
use crate::index::{Search, Slot, Word};
use crate::key::{Identity, Place};
use crate::log::record::Record;
use crate::replace::Over;
use crate::standing::Judged;

/// A record, marked, judged, and still standing after that.
pub(crate) type Found<'r> = (Over<'r>, Judged);

/// What a key that may be added was found to be.
pub(crate) enum Look<'r> {
    Found(Over<'r>, Judged),
    /// Nothing; this is where it goes.
    Vacant(Slot),
    /// Nothing, but what was looked at is out of date, or was full and is no more.
    Again,
}

/// Looks at a key; `None` if there is no record of it.
#[inline]
pub(crate) fn look<'e>(
    engine: &'e Engine,
    identity: &Identity<'_>,
    place: Place,
    now_ms: u64,
) -> Result<Option<Found<'e>>> {
    while let Some((slot, word, record)) = engine.find(place, identity)? {
        if let Some(found) = judge(engine, slot, word, record, now_ms)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Looks at a key that is to be added if there is no record of it.
#[inline]
pub(crate) fn look_to_add<'e>(
    engine: &'e Engine,
    identity: &Identity<'_>,
    place: Place,
    now_ms: u64,
) -> Result<Look<'e>> {
    loop {
        match engine.find_or_close(place, identity)? {
            Search::Found(slot, word, record) => {
                if let Some((over, judged)) = judge(engine, slot, word, record, now_ms)? {
                    return Ok(Look::Found(over, judged));
                }
            }
            Search::Vacant(slot) => return Ok(Look::Vacant(slot)),
            Search::Again => return Ok(Look::Again),
            Search::Full(generation) => {
                engine.grow(generation)?;
                return Ok(Look::Again);
            }
        }
    }
}

/// `None` if the word was replaced before its judgement was complete.
#[inline]
pub(crate) fn judge<'e>(
    engine: &Engine,
    slot: Slot,
    word: Word,
    record: Record<'e>,
    now_ms: u64,
) -> Result<Option<Found<'e>>> {
    record.help()?;
    let judged = Judged::new(&record, now_ms)?;
    // The word stands after its control word was judged: no successor's time was judged by its record.
    let stands = engine.load(slot)? == word;
    Ok(stands.then_some((Over { slot, word, record }, judged)))
}
