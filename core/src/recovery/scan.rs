//! Reading the log from its first byte to its last, believing nothing.

use super::Recovery;
use crate::error::Result;
use crate::log::Log;
use crate::log::address::SegmentNumber;
use crate::log::record::Record;
use crate::log::segment::{self, CHUNK, SEGMENT_HEADER, Step};
use crate::log::version;
use crate::os::{Medium, Room};

/// The segments in the log's directory, in order of their numbers.
pub(crate) fn segments(medium: &dyn Medium) -> Result<Vec<SegmentNumber>> {
    let mut numbers: Vec<_> =
        medium.list(Room::Log)?.iter().filter_map(|name| segment::number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Counts what is there, and names the segments in which nothing was ever written.
pub(crate) fn survey(log: &Log, segments: &[SegmentNumber]) -> Result<(Recovery, Vec<SegmentNumber>)> {
    let mut found = Recovery::default();
    let mut empty = Vec::new();
    for &number in segments {
        let before = found.met();
        scan_segment(log, number, &mut found, &mut |_| Ok(()))?;
        if found.met() == before {
            empty.push(number);
        }
    }
    Ok((found, empty))
}

/// Hands every committed record to `each`.
pub(super) fn scan<'l>(
    log: &'l Log,
    segments: &[SegmentNumber],
    mut each: impl FnMut(Record<'l>) -> Result<()>,
) -> Result<Recovery> {
    let mut found = Recovery::default();
    for &number in segments {
        scan_segment(log, number, &mut found, &mut each)?;
        found.segments += 1;
    }
    Ok(found)
}

fn scan_segment<'l>(
    log: &'l Log,
    number: SegmentNumber,
    found: &mut Recovery,
    each: &mut impl FnMut(Record<'l>) -> Result<()>,
) -> Result<()> {
    let geometry = log.geometry();
    let segment = log.segment(number)?;
    let mut offset = SEGMENT_HEADER;
    while offset < geometry.segment_bytes() {
        offset = match segment.step(log.seed(), geometry.address(number, offset), offset) {
            Step::Record(record, length) => {
                // A control word that cannot be read is damage of this record alone.
                match record.is_committed() {
                    Ok(true) => {
                        found.committed += 1;
                        found.newest_ms = found.newest_ms.max(version::ms(record.header.version));
                        each(record)?;
                    }
                    Ok(false) => found.uncommitted += 1,
                    Err(_) => found.unreadable += 1,
                }
                offset + length
            }
            Step::Garbage(length) => {
                found.unreadable += 1;
                // Its length may be what is damaged: it is not followed into chunks of other appenders.
                (offset + length).min(next_chunk(offset))
            }
            Step::Unreadable => {
                found.unreadable += 1;
                next_chunk(offset)
            }
            Step::End => next_chunk(offset),
        };
    }
    Ok(())
}

fn next_chunk(offset: usize) -> usize {
    (offset / CHUNK + 1) * CHUNK
}
