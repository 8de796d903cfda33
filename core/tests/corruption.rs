//! Every byte of a small closed store is damaged, one at a time; then the store is opened and every key is
//! asked.
//!
//! What a flipped bit may do. In an unused part, in padding, in a record that nothing points to: nothing.
//! Anywhere else: an error, at open or for the key whose record it is. With the index trusted a completed key
//! answers with its own bytes or with an error, and is never granted again. After a rebuild a record that is
//! damaged is not there: its key may be as it was before that record (held, orphaned, in doubt) or absent.
//! Never, anywhere: a panic, or an answer that was not written for that key.
//!
//! The index is memory, not disk, and its words carry no checksum: a flipped bit there may hide a key. It
//! must not do worse.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "corruption/bench.rs"]
mod bench;
mod common;

use std::fs;

use bench::{Bench, FILTER, Harm, Index};
use common::{body, complete, mix, names, small, start};
use semel::*;

/// One bit of each byte, another one for each offset.
fn bit(at: usize) -> u8 {
    1 << (mix(at as u64) & 7)
}

/// Flips one bit in each of these bytes of a file, one at a time, and adds up the harm.
fn flips(bench: &mut Bench, file: &str, bytes: impl Iterator<Item = usize>, index: Index) -> Harm {
    let mut harm = Harm::default();
    for at in bytes {
        let what = format!("{file} byte {at}, {index:?}");
        harm.add(bench.tried(&what, index, |bench| bench.xor(file, at, bit(at))));
    }
    harm
}

#[test]
fn no_flipped_bit_of_a_store_gives_a_wrong_answer() {
    let mut bench = Bench::new();
    let mut harm = Harm::default();
    for index in [Index::Trusted, Index::Gone] {
        for file in bench.files() {
            let used = bench.used(&file);
            let found = flips(&mut bench, &file, 0..used, index);
            assert!(file.starts_with("log/") || found.hidden == 0, "{file} hid a key whose record is whole");
            harm.add(found);
        }
    }
    println!("PROVE corruption tried={} violations={} target=every byte", harm.tried, harm.violations.len());
    assert!(harm.tried > 2 * 5_000, "only {} flips", harm.tried);
    assert_eq!(harm.violations, [""; 0]);
}

#[test]
fn a_flipped_bit_of_the_index_hides_a_key_at_worst() {
    let mut bench = Bench::new();
    let mut harm = Harm::default();
    for file in ["control", "generation-00000001"] {
        let bytes = bench.index_bytes(file);
        // Every byte that says something; of the zeros, a sample.
        for at in (0..bytes.len()).filter(|&at| bytes[at] != 0 || at < 64 || at % 61 == 0) {
            let what = format!("index {file} byte {at}");
            harm.add(bench.tried(&what, Index::Damaged, |bench| bench.xor_index(file, at, bit(at))));
        }
    }
    println!("of {} flips in the index, {} hid a key", harm.tried, harm.hidden);
    assert_eq!(harm.violations, [""; 0]);
    assert!(harm.hidden > 0, "a flipped tag is not noticed by anything: was nothing flipped?");
}

/// Flips one bit in each of these bytes of a file of a grown index. Where that has it rebuilt, another one is
/// grown.
fn flips_when_grown(bench: &mut Bench, file: &str, bytes: impl Iterator<Item = usize>) -> Harm {
    let mut harm = Harm::default();
    for at in bytes {
        if !bench.is_grown() {
            *bench = Bench::grown();
        }
        let what = format!("grown index {file} byte {at}");
        harm.add(bench.tried(&what, Index::Damaged, |bench| bench.xor_index(file, at, bit(at))));
    }
    harm
}

#[test]
fn a_flipped_bit_of_a_filter_hides_nothing() {
    let mut bench = Bench::grown();
    let bytes = bench.index_bytes(FILTER).len();
    let harm = flips_when_grown(&mut bench, FILTER, 0..bytes);
    println!("PROVE corruption.filter tried={} violations={} target=every byte", harm.tried, harm.hidden);
    assert!(harm.tried > 1000, "only {} flips", harm.tried);
    assert_eq!(harm.violations, [""; 0]);
    assert_eq!((harm.hidden, harm.errors), (0, 0), "a damaged filter was believed, or minded");
    let length = bytes as u64;
    for length in [0, 1, 63, 64, 65, length - 64, length - 1, length + 1, length + 64] {
        let what = format!("a filter of {length} bytes");
        let harm = bench.tried(&what, Index::Damaged, |bench| bench.resize_index(FILTER, length));
        assert_eq!(harm.violations, [""; 0]);
        assert_eq!((harm.hidden, harm.errors), (0, 0), "{what}");
    }
}

#[test]
fn a_flipped_bit_of_a_later_generation_hides_a_key_at_worst() {
    let mut bench = Bench::grown();
    for file in ["generation-00000001", "generation-00000002"] {
        let bytes = bench.index_bytes(file);
        let says = |at: &usize| *at < 192 || at.is_multiple_of(61) || bytes[*at] != 0 && bytes[*at] != 0xFF;
        let harm = flips_when_grown(&mut bench, file, (0..bytes.len()).filter(says));
        println!("of {} flips in {file}, {} hid a key", harm.tried, harm.hidden);
        assert_eq!(harm.violations, [""; 0]);
        assert!(harm.tried > 150, "only {} flips", harm.tried);
    }
}

#[test]
fn tails_that_point_anywhere_are_an_error_at_worst() {
    let mut bench = Bench::new();
    let last = u64::from(u32::MAX);
    // The next segment number, and each class's line: its tail, and the segment that is ready to follow.
    for at in [64].into_iter().chain((0..5).flat_map(|class| [128 + 64 * class, 136 + 64 * class])) {
        for word in
            [1, 7, last - 1, last, 1 << 32, 1 << 32 | last, 2 << 32 | 15, 9 << 32, last << 32, u64::MAX]
        {
            let what = format!("control word {at} is {word:#x}");
            let harm = bench.tried(&what, Index::Damaged, |bench| bench.put_index("control", at, word));
            assert_eq!(harm.violations, [""; 0]);
        }
    }
}

#[test]
fn a_generation_of_an_absurd_size_is_not_trusted() {
    let mut bench = Bench::new();
    for words in [0, 1, 2, 4, 7, 1 << 40, 1 << 60, 1 << 61, 1 << 62, 1 << 63, u64::MAX] {
        let what = format!("a generation of {words} words");
        let harm = bench.tried(&what, Index::Trusted, |bench| bench.resize_generation(words));
        assert_eq!(harm.violations, [""; 0]);
        assert_eq!((harm.errors, harm.hidden), (0, 0), "{what}: it is rebuilt");
    }
}

#[test]
fn pages_of_zeros_are_no_answer() {
    let mut bench = Bench::new();
    for index in [Index::Trusted, Index::Gone] {
        for file in bench.files() {
            for page in 0..bench.used(&file).div_ceil(512) {
                let what = format!("{file} zeros at {}", page * 512);
                let harm = bench.tried(&what, index, |bench| bench.zero(&file, page * 512, 512));
                assert_eq!(harm.violations, [""; 0]);
            }
        }
    }
}

#[test]
fn segments_of_another_length_are_corrupt() {
    let mut bench = Bench::new();
    for index in [Index::Trusted, Index::Gone] {
        for file in bench.segments() {
            for length in [0, 1, 48, 56, 4096, 4097, 8192, (1 << 20) - 1, (1 << 20) + 1, 2 << 20] {
                let what = format!("{file} of {length} bytes, {index:?}");
                let harm = bench.tried(&what, index, |bench| bench.resize(&file, length));
                assert_eq!(harm.violations, [""; 0]);
                assert!(harm.errors > 0, "{what}: nobody noticed");
            }
        }
    }
}

#[test]
fn segments_that_changed_places_are_corrupt() {
    let mut bench = Bench::new();
    let segments = bench.segments();
    for index in [Index::Trusted, Index::Gone] {
        for (one, other) in [(0, 1), (1, 2), (0, 2)] {
            let what = format!("{one} and {other} changed places, {index:?}");
            let harm = bench.tried(&what, index, |bench| bench.exchange(&segments[one], &segments[other]));
            assert_eq!(harm.violations, [""; 0]);
            assert!(harm.errors > 0, "{what}: nobody noticed");
        }
        for file in &segments {
            let harm = bench.tried(&format!("without {file}"), index, |bench| bench.remove(file));
            assert_eq!(harm.violations, [""; 0]);
        }
    }
}

/// The whole record that begins at the first place where its body is found.
fn record_around(segment: &[u8], needle: &[u8]) -> std::ops::Range<usize> {
    let inside = segment.windows(needle.len()).position(|piece| piece == needle).unwrap();
    let mut at = 4096;
    loop {
        let units = u32::from_le_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
        if at + units * 16 > inside {
            return at..at + units * 16;
        }
        at += units * 16;
    }
}

#[test]
fn a_record_inside_a_body_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    complete(&store, "victim", 500);
    let log = dir.path().join("store/log");
    let of_completions = names(&log).pop().unwrap();
    let segment = fs::read(log.join(&of_completions)).unwrap();
    let genuine = segment[record_around(&segment, &body("victim", 500))].to_vec();

    // A client sends it back, many times, so that one copy lies where a record may begin.
    let mut forged = vec![0; 16];
    for shift in 0..16 {
        forged.extend(&genuine);
        forged.extend(vec![0; 16 + shift - (forged.len() + shift) % 16]);
    }
    start(&store, "carrier").complete(Response::new(&forged)).unwrap();
    let plain = fs::read(log.join(&of_completions)).unwrap();
    let carrier = record_around(&plain, &forged);
    drop(store);

    // The carrier's length is damaged so that the next record would begin at each place inside its body.
    let mut entered = 0;
    for units in 6..(carrier.len() / 16) as u32 {
        let mut segment = plain.clone();
        segment[carrier.start..carrier.start + 4].copy_from_slice(&units.to_le_bytes());
        fs::write(log.join(&of_completions), &segment).unwrap();
        common::remove_index(dir.path());
        let store = small(dir.path()).open().unwrap();
        let found = store.recovery().unwrap();
        // The victim's claim and completion, and the carrier's claim: nothing else was ever written.
        assert_eq!((found.committed, found.keys), (3, 2), "a forged record at {units} units: {found:?}");
        entered = entered.max(found.unreadable);
        assert!(store.peek("scope", "victim").unwrap().is_some());
    }
    assert!(entered >= 2, "no walk ever met the forged record");
}

#[test]
fn planted_harm_is_noticed() {
    let mut bench = Bench::new();
    // A response changed by somebody who has the secret: every check of the store is content, this one must
    // not be.
    let harm = bench.tried("resealed", Index::Trusted, Bench::reseal_another_response);
    assert_eq!(harm.violations.len(), 1, "a wrong replay: {:?}", harm.violations);
    assert!(harm.violations[0].contains("Replay"), "{:?}", harm.violations);
    // Words of the index wiped behind its back: a completed key would run again.
    let harm = bench.tried("wiped", Index::Trusted, |bench| bench.wipe_index_words());
    let granted = |what: &&String| what.contains("Started");
    assert!(harm.violations.iter().filter(granted).count() >= 5, "{:?}", harm.violations);
    // A filter that says no, and is right by its checksums: it is believed, so it was asked. The helper opens
    // it behind the first looks, which may all be over by then.
    let mut grown = Bench::grown();
    let mut hidden =
        || grown.tried("no filter", Index::Damaged, |bench| bench.reseal_an_empty_filter()).hidden;
    assert!((0..200).any(|_| hidden() >= 5), "it was never asked");
    let harm = grown.tried("nothing", Index::Damaged, |_| ());
    assert_eq!((harm.violations.len(), harm.errors, harm.hidden), (0, 0, 0));
    // And without harm nothing is noticed.
    let harm = bench.tried("nothing", Index::Trusted, |_| ());
    assert_eq!((harm.violations.len(), harm.errors), (0, 0));
    let harm = bench.tried("nothing", Index::Gone, |_| ());
    assert_eq!((harm.violations.len(), harm.errors, harm.hidden), (0, 0, 0));
}
