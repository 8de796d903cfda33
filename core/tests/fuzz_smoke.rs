//! The fuzz targets without a fuzzer: a few thousand inputs that look random and are the same in every run,
//! so that the targets keep working where there is no nightly compiler. `fuzz/README.md` says how to run them
//! in earnest.

#![cfg(feature = "kill-points")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use common::mix;
use semel::fuzz;

/// Inputs of up to so many bytes. Half of them are mostly small numbers, which find their way further into a
/// format.
fn inputs(count: u64, longest: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(move |n| {
        let mut state = mix(n);
        let mut next = || {
            state = mix(state);
            state
        };
        let length = next() % (longest + 1);
        (0..length).map(|_| if n % 2 == 0 { next() as u8 } else { (next() % 7) as u8 }).collect()
    })
}

#[test]
fn record_walks_any_bytes() {
    inputs(2_000, 600).for_each(|data| fuzz::record(&data));
    // And what looks like records: lengths, kinds and small sizes where they belong.
    for data in inputs(2_000, 400) {
        let mut shaped = data;
        for at in (1..shaped.len().saturating_sub(88)).step_by(96) {
            let length = 6 + u64::from(shaped[at] % 8);
            let kind = u64::from(shaped[at] % 6) << 32;
            shaped[at..at + 8].copy_from_slice(&(kind | length).to_le_bytes());
            shaped[at + 76..at + 84].copy_from_slice(&[3, 0, 0, 0, 2, 0, 0, 0]);
            shaped[at + 84..at + 86].copy_from_slice(&[1, 2]);
        }
        fuzz::record(&shaped);
    }
}

#[test]
fn open_survives_any_files() {
    inputs(3_000, 60).for_each(|data| fuzz::open(&data));
}

#[test]
fn verbs_in_any_order_keep_their_promises() {
    inputs(1_500, 400).for_each(|data| fuzz::verbs(&data));
}

#[test]
fn formats_take_any_text() {
    inputs(3_000, 60).for_each(|data| fuzz::formats(&data));
    // And what is nearly right: one character changed, in each format.
    let keys = [
        "919108f7-52d1-4320-9bac-f847db4148a8",
        "URN:UUID:017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "017f22e279b07cc398c4dc0c0c07398f",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "kZEI91LRMyBbrPhH20FIqA",
        "order-4711",
        "x-and-Y",
        "(order)-[0-9]{1,4}|a?",
    ];
    for n in 0..20_000 {
        let bits = mix(n);
        let mut key = keys[bits as usize % keys.len()].as_bytes().to_vec();
        if n % 4 != 0 {
            let at = (bits >> 8) as usize % key.len();
            key[at] = (bits >> 24) as u8 & 0x7F;
        }
        let format = [(bits >> 32) as u8 % 10, u8::MAX][usize::from(n % 10 == 0)];
        key.insert(0, format);
        fuzz::formats(&key);
    }
}

#[test]
fn adopt_believes_only_what_was_handed_over() {
    inputs(1_500, 300).for_each(|data| fuzz::adopt(&data));
}
