//! How a key stands now: find its record, mark it, judge it, and see that it still stands.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::index::{Probe, Slot};
use crate::key::{Identity, Place};
use crate::replace::Over;
use crate::standing::Judged;

/// What a key was found to be.
pub(crate) enum Look<'r> {
    /// Nothing; this is where it would go.
    Vacant(Slot),
    /// A record, marked, judged, and still standing after that.
    Found(Over<'r>, Judged),
    /// Nothing, and no room for it.
    Full,
}

/// Looks.
#[inline]
pub(crate) fn look<'e>(
    engine: &'e Engine,
    identity: &Identity<'_>,
    place: Place,
    now_ms: u64,
) -> Result<Look<'e>> {
    loop {
        let (slot, word, record) = match engine.find(place, identity)? {
            Probe::Vacant(slot) => return Ok(Look::Vacant(slot)),
            Probe::Frozen | Probe::Full => return Ok(Look::Full),
            Probe::Found(slot, word, record) => (slot, word, record),
        };
        record.help()?;
        let judged = Judged::new(&record, now_ms)?;
        // The word stands after its control word was judged: no successor's time was judged by its record.
        if engine.load(slot) == word {
            return Ok(Look::Found(Over { slot, word, record }, judged));
        }
    }
}

#[cold]
pub(crate) fn index_full(engine: &Engine) -> Error {
    let words = engine.capacity();
    Error::full(format!(
        "the index is full: {words} words, and this key's chain has no room within the probe cap"
    ))
}
