//! Doors for the fuzzers, compiled for nobody else: each takes bytes and panics if they could do harm.
//!
//! `fuzz/` runs them under libFuzzer; `tests/fuzz_smoke.rs` runs them over a few thousand inputs of its own.

mod adopt;
mod disk;
mod formats;
mod story;

use crate::log::address::{Geometry, SegmentNumber};
use crate::log::record::{Record, checksum, length_of};
use crate::log::segment::{CHUNK, SEGMENT_HEADER, Segment, Step};
use crate::os::{Created, Medium, MemoryMedium, Room};
use crate::outcome::TerminalState;
use crate::standing::Judged;

pub use adopt::adopt;
pub use disk::open;
pub use formats::formats;
pub use story::verbs;

/// The seed of the checksums of these stores; the secret is theirs alone.
const SEED: u64 = 0x5EED;

/// Takes the bytes as the first chunk of a segment, behind its header, and walks them as recovery does. With
/// the first byte odd their checksums are made right, so that what is inside is believed.
pub fn record(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let geometry = Geometry::new(2 * CHUNK as u64);
    let mut bytes = vec![0; SEGMENT_HEADER];
    bytes.extend(data);
    bytes.resize(geometry.segment_bytes(), 0);
    if first & 1 == 1 {
        reseal_records(&mut bytes, geometry, SegmentNumber(1));
    }
    let disk = MemoryMedium::default();
    let made = disk.create(Room::Log, "segment", bytes.len() as u64, &bytes);
    let Ok(Created::Made(mapping)) = made else { return };
    let segment = Segment { number: SegmentNumber(1), mapping };
    let (mut offset, mut steps) = (SEGMENT_HEADER, 0);
    while offset < geometry.segment_bytes() {
        let step = segment.step(SEED, geometry.address(SegmentNumber(1), offset), offset);
        let next = match step {
            Step::Record(record, length) => {
                read(&record);
                offset + length
            }
            Step::Garbage(length) => offset + length,
            Step::Unreadable | Step::End => (offset / CHUNK + 1) * CHUNK,
        };
        assert!(
            next > offset && next <= geometry.segment_bytes(),
            "a walk stands still, or leaves the segment"
        );
        offset = next;
        steps += 1;
    }
    assert!(steps <= geometry.segment_bytes() / 88);
}

/// Everything that can be asked of a record.
fn read(record: &Record<'_>) {
    let (scope, key) = record.identity();
    let whole = record.response();
    assert_eq!(whole.len(), record.body().len() + record.meta().len());
    assert!(scope.len() <= 255 && key.len() <= 255);
    assert!(record.fingerprint().is_none_or(|stored| stored.bytes.len() == 32));
    let _ = (record.is_committed(), record.claim_control());
    for now_ms in [0, 1, record.header.expiry_ms(), record.header.keep_ms(), (1 << 48) - 1] {
        let _ = Judged::new(record, now_ms);
    }
    let replay = crate::answer::replay(record, TerminalState::Completed, std::time::Duration::ZERO);
    assert_eq!((replay.body(), replay.meta()), (record.body(), record.meta()));
}

/// Makes the checksum right of everything that could be a record, as only a store with its secret can. The
/// numbers are those of the layout in `log/record.rs`.
fn reseal_records(bytes: &mut [u8], geometry: Geometry, number: SegmentNumber) {
    let mut offset = SEGMENT_HEADER;
    while offset + 88 <= bytes.len() {
        let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let length_word = word(offset);
        let room = bytes.len() - offset;
        let Some(length) = length_of(length_word, room) else {
            offset = (offset / CHUNK + 1) * CHUNK;
            continue;
        };
        let address = geometry.address(number, offset);
        let size = |at: usize| (word(offset + at) & 0xFFFF_FFFF) as usize;
        let names = usize::from(bytes[offset + 84]) + usize::from(bytes[offset + 85]);
        let fingerprint = 32 * usize::from(bytes[offset + 86] & 1);
        let sealed = offset + 24..offset + 88 + names + fingerprint + size(76) + size(80);
        if sealed.end <= offset + length {
            let sum = checksum(SEED, address, length_word, &bytes[sealed]);
            bytes[offset + 16..offset + 24].copy_from_slice(&sum.to_le_bytes());
        }
        offset += length;
    }
}
