use proptest::prelude::*;

use super::*;
use crate::os::{Created, Medium, MemoryMedium, Room};

const NUMBER_9: u64 = 9;
const STORE_A: [u8; 16] = *b"a store's own id";

fn map(file: &[u8]) -> Mapping {
    let made = MemoryMedium::default().create(Room::Index, &name(NUMBER_9), file.len() as u64, file);
    let Ok(Created::Made(mapping)) = made else { panic!("{} bytes", file.len()) };
    mapping
}

fn open(file: &[u8]) -> Option<Filter> {
    Filter::open(map(file), NUMBER_9, STORE_A)
}

fn made(places: &[u64], keys: usize) -> Vec<u8> {
    build(NUMBER_9, STORE_A, places.iter().copied().map(Place), keys)
}

fn filter(places: &[u64]) -> Filter {
    open(&made(places, places.len())).unwrap()
}

/// Places as the keyed hash gives them: a step of splitmix64.
fn uniform(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Parts of a hundred of these that the filter does not deny.
fn taken(filter: &Filter, absent: impl Iterator<Item = u64>) -> f64 {
    let (mut taken, mut asked) = (0, 0);
    for place in absent {
        taken += u32::from(filter.may_contain(Place(place)));
        asked += 1;
    }
    f64::from(taken) * 100.0 / f64::from(asked)
}

/// Any place, and the worst ones: all in one block, all with the same bits in it, twice the same.
fn place() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => any::<u64>(),
        1 => any::<u64>().prop_map(|n| n & 0xFFF),
        1 => any::<u64>().prop_map(|n| n << 52),
        1 => any::<u64>().prop_map(|n| n | (!0 << 32)),
        1 => prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 63), Just(u64::MAX >> 1)],
    ]
}

proptest! {
    #[test]
    fn a_place_that_was_put_in_is_never_denied(
        places in prop::collection::vec(place(), 0..5_000),
        keys in prop_oneof![3 => Just(None), 1 => (0_usize..10_000).prop_map(Some)],
    ) {
        let keys = keys.unwrap_or(places.len());
        let file = made(&places, keys);
        prop_assert_eq!(file.len(), bytes_of(keys));
        let filter = open(&file).unwrap();
        for place in places {
            filter.prefetch(Place(place));
            prop_assert!(filter.may_contain(Place(place)), "{place:#x} among {keys}");
        }
    }
}

#[test]
fn absent_keys_are_denied_as_often_as_decided() {
    let present: Vec<u64> = (0..100_000).map(uniform).collect();
    let wrong = taken(&filter(&present), (1 << 32..(1 << 32) + 400_000).map(uniform));
    assert!((0.3..0.43 * 1.2).contains(&wrong), "{wrong} %");
}

#[test]
fn keys_of_one_home_line_do_not_crowd() {
    // The same 20 low bits: the home line of a generation of 2^23 words, many times over.
    let same = |n: u64| (uniform(n) & (!0 << 20)) | 0x5_A5A5;
    let present: Vec<u64> = (0..100_000).map(same).collect();
    let wrong = taken(&filter(&present), (1 << 32..(1 << 32) + 400_000).map(same));
    assert!(wrong < 0.43 * 1.2, "{wrong} %");
}

#[test]
fn keys_of_one_block_are_told_apart() {
    // The same 22 high bits, and so the same block of so many: 42 keys fill it as they fill any.
    let same = |n: u64| (uniform(n) >> 22) | (0x2A_AAAA << 42);
    let present: Vec<u64> = (0..42).map(same).collect();
    let wrong = taken(&open(&made(&present, 1 << 20)).unwrap(), (1 << 32..(1 << 32) + 400_000).map(same));
    assert!(wrong < 0.43 * 1.5, "{wrong} %");
}

#[test]
fn an_empty_filter_denies_everything() {
    assert_eq!(taken(&filter(&[]), (0..1_000).map(uniform)), 0.0);
}

#[test]
fn the_file_is_what_it_was_in_the_first_release() {
    // Processes of different releases share a filter: were a place looked for elsewhere, it would be denied.
    // Who changes the shape changes the magic too.
    let file = made(&(0..1_000).map(uniform).collect::<Vec<_>>(), 1_000);
    assert_eq!((file.len(), xxh3_64(&file)), (1_600, 819_668_122_667_790_525));
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let file = made(&(0..100).map(uniform).collect::<Vec<_>>(), 100);
    assert!(open(&file).is_some() && file.len() == BLOCKS + 3 * block::BYTES);
    for bit in 0..file.len() * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&bad).is_none(), "bit {} of byte {}", bit % 8, bit / 8);
    }
}

#[test]
fn a_file_that_was_cut_or_grew_is_seen() {
    let file = made(&(0..100).map(uniform).collect::<Vec<_>>(), 100);
    for length in 1..file.len() {
        assert!(open(&file[..length]).is_none(), "{length} bytes");
    }
    for more in [1, 63, 64, 128] {
        let longer = [&file[..], &vec![0; more]].concat();
        assert!(open(&longer).is_none(), "{more} more");
    }
}

/// Changes a file and makes its checksums right again.
fn doctored(file: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = file.to_vec();
    change(&mut file);
    let sum = xxh3_64(&file[BLOCKS..]);
    file[BODY_SUM..HEAD_SUM].copy_from_slice(&sum.to_le_bytes());
    let sum = xxh3_64(&file[..HEAD_SUM]);
    file[HEAD_SUM..BLOCKS].copy_from_slice(&sum.to_le_bytes());
    file
}

#[test]
fn a_sealed_file_that_is_not_a_filter_of_this_shape_is_refused() {
    let file = made(&(0..100).map(uniform).collect::<Vec<_>>(), 100);
    assert!(open(&doctored(&file, |_| {})).is_some());
    assert!(open(&doctored(&file, |file| file[7] += 1)).is_none(), "magic");
    assert!(open(&doctored(&file, |file| file[COUNT] += 1)).is_none(), "more blocks than there are");
    assert!(open(&doctored(&file, |file| file[COUNT] -= 1)).is_none(), "fewer");
    assert!(open(&doctored(&file, |file| file.truncate(BLOCKS + block::BYTES))).is_none(), "cut");
    assert!(open(&doctored(&file, |file| file.resize(file.len() + 8, 0))).is_none(), "a part of a block");
    let none = doctored(&file, |file| {
        file.truncate(BLOCKS);
        file[COUNT] = 0;
    });
    assert!(open(&none).is_none(), "no block");
}

#[test]
fn the_filter_of_another_generation_or_store_is_refused() {
    let file = made(&[1, 2, 3], 3);
    assert!(Filter::open(map(&file), NUMBER_9 + 1, STORE_A).is_none());
    assert!(Filter::open(map(&file), NUMBER_9 + (1 << 32), STORE_A).is_none());
    assert!(Filter::open(map(&file), NUMBER_9, *b"a store's new id").is_none());
    assert!(Filter::open(map(&file), NUMBER_9, STORE_A).is_some());
}

#[test]
fn the_head_tells_how_many_places_were_put_in() {
    let file = made(&[1, 1, 2], 1_000);
    assert_eq!(file[PLACES..BODY_SUM], 3_u64.to_le_bytes());
}
