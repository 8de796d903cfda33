//! Putting the survivors into a new generation. Nobody else can see it yet.

use super::Recovery;
use super::scan::scan;
use crate::error::{Error, Result};
use crate::index::{Generation, Probe, Word, table};
use crate::key::Place;
use crate::log::Log;
use crate::log::address::SegmentNumber;
use crate::log::record::Record;

/// Words for so many records: at most half full, and never fewer than the first generation has.
pub(crate) fn words_for(records: u64, first_generation: u64) -> u64 {
    (records * 2).next_power_of_two().max(first_generation)
}

/// Fills the generation: one word a key, the highest version of each.
pub(crate) fn rebuild(
    log: &Log,
    segments: &[SegmentNumber],
    generation: &Generation,
    hash: [u64; 2],
) -> Result<Recovery> {
    let words = generation.words();
    let mut keys = 0;
    let mut found = scan(log, segments, |record| {
        let place = place_of(&record, hash)?;
        let word = Word::new(place.tag(), record.address);
        let probed = table::probe(words, place, |word| {
            let other = log.read(word.address())?;
            Ok::<_, Error>((other.identity() == record.identity()).then_some(other))
        })?;
        match probed {
            Probe::Found(slot, old, other) if other.header.version < record.header.version => {
                table::swap(words, slot, old, word);
            }
            Probe::Found(..) => {}
            Probe::Vacant(slot) => {
                table::swap(words, slot, Word::EMPTY, word);
                generation.counted(place);
                keys += 1;
            }
            Probe::Frozen | Probe::Full => {
                return Err(Error::full("the rebuilt index has a chain past the probe cap"));
            }
        }
        Ok(())
    })?;
    found.keys = keys;
    Ok(found)
}

/// The place that the record carries, if it is the one of its key under this store's secret.
fn place_of(record: &Record<'_>, hash: [u64; 2]) -> Result<Place> {
    let (scope, key) = record.identity();
    let place = crate::key::Identity { scope, key }.place(hash);
    if place.0 == record.header.place {
        return Ok(place);
    }
    Err(Error::corrupt(
        "a record's place is not that of its key: the store's secret is not the one it was written with",
    ))
}
