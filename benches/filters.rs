//! Filters of sealed generations: what one costs a key that is not there. Rivals: `bloomfilter`, the binary
//! fuse filters of `xorf` read from bytes, and Bloom filters whose bits of a key are all in one cache line.
//! Read the ratios of one run; run with `cargo bench -p semel-benches --bench filters [-- KEYS... NAMES...]`.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench measures time

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use bloomfilter::Bloom;
use rustix::time::{ClockId, clock_gettime};
use semel_benches::mix;
use xorf::{BinaryFuse8, BinaryFuse8Ref, BinaryFuse16, BinaryFuse16Ref, DmaSerializable, Filter, FilterRef};

#[path = "../core/src/index/block.rs"]
mod block;

/// Sealed generations that a new key asks.
const ROW: usize = 8;
/// Of `bloomfilter`; its two halves must differ, or it has one hash for two.
const SEED: [u8; 32] = *b"one hash of two,another hash of ";
/// Keys asked in one timing: enough that none is still cached from the last.
const ASKED: usize = 1 << 20;
const ROUNDS: usize = 7;

/// A filter that can be asked.
trait Ask {
    fn has(&self, place: u64) -> bool;
    /// Reads the line that `has` will read, as a prefetch would; nothing where a library does not say which.
    fn touch(&self, _: u64) -> u64 {
        0
    }
}

/// A kind of filter: kept as bytes, asked through a view of them, as in a mapping.
trait Rival {
    type View<'a>: Ask
    where
        Self: 'a;
    fn build(places: &[u64]) -> Self;
    fn bytes(&self) -> usize;
    fn view(&self) -> Self::View<'_>;
}

impl Ask for &Bloom<u64> {
    fn has(&self, place: u64) -> bool {
        self.check(&place)
    }
}

impl Rival for Bloom<u64> {
    type View<'a> = &'a Self;

    fn build(places: &[u64]) -> Self {
        let mut bloom = Self::new_for_fp_rate_with_seed(places.len(), 0.004, &SEED).unwrap();
        places.iter().for_each(|place| bloom.set(place));
        bloom
    }

    fn bytes(&self) -> usize {
        self.as_slice().len()
    }

    fn view(&self) -> &Self {
        self
    }
}

/// Descriptor and fingerprints of a binary fuse filter of so many bits.
struct Fuse<const BITS: usize>([u8; 20], Box<[u8]>);

macro_rules! fuse {
    ($bits:literal, $made:ident, $read:ident) => {
        impl Ask for $read<'_> {
            fn has(&self, place: u64) -> bool {
                self.contains(&place)
            }
        }

        impl Rival for Fuse<$bits> {
            type View<'a> = $read<'a>;

            fn build(places: &[u64]) -> Self {
                let filter = $made::try_from(places).unwrap();
                let mut descriptor = [0; $made::DESCRIPTOR_LEN];
                filter.dma_copy_descriptor_to(&mut descriptor);
                Self(descriptor, filter.dma_fingerprints().into())
            }

            fn bytes(&self) -> usize {
                self.0.len() + self.1.len()
            }

            fn view(&self) -> $read<'_> {
                $read::from_dma(&self.0, &self.1)
            }
        }
    };
}

fuse!(8, BinaryFuse8, BinaryFuse8Ref);
fuse!(16, BinaryFuse16, BinaryFuse16Ref);

/// How the bits of a key lie in a block of this many bytes.
trait Shape {
    const BLOCK: usize;
    fn set(block: &mut [u8], place: u64);
    fn has(block: &[u8], place: u64) -> bool;
}

/// Blocks of one shape, so many bits for each key.
struct Blocks<S, const BITS: usize>(Vec<u8>, std::marker::PhantomData<S>);

struct BlocksView<'a, S>(&'a [u8], usize, std::marker::PhantomData<S>);

impl<S: Shape> BlocksView<'_, S> {
    #[inline]
    fn block(&self, place: u64) -> &[u8] {
        let at = block::of(place, self.1) * S::BLOCK;
        &self.0[at..at + S::BLOCK]
    }
}

impl<S: Shape> Ask for BlocksView<'_, S> {
    #[inline]
    fn has(&self, place: u64) -> bool {
        S::has(self.block(place), place)
    }

    #[inline]
    fn touch(&self, place: u64) -> u64 {
        u64::from(self.block(place)[0])
    }
}

impl<S: Shape, const BITS: usize> Rival for Blocks<S, BITS> {
    type View<'a>
        = BlocksView<'a, S>
    where
        S: 'a;

    fn build(places: &[u64]) -> Self {
        let blocks = (places.len() * BITS).div_ceil(S::BLOCK * 8);
        let mut bytes = vec![0; blocks * S::BLOCK];
        for &place in places {
            let at = block::of(place, blocks) * S::BLOCK;
            S::set(&mut bytes[at..at + S::BLOCK], place);
        }
        Self(bytes, std::marker::PhantomData)
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn view(&self) -> BlocksView<'_, S> {
        // From a line's start on, as in a mapping.
        BlocksView(&self.0, self.0.len() / S::BLOCK, std::marker::PhantomData)
    }
}

/// Odd, and otherwise arbitrary: 2^64 over the golden ratio.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

/// `K` bits anywhere in a line, nine bits of the hash for each.
struct Anywhere<const K: u32>;

impl<const K: u32> Shape for Anywhere<K> {
    const BLOCK: usize = 64;

    #[inline]
    fn set(block: &mut [u8], place: u64) {
        let hash = place.wrapping_mul(ODD);
        for i in 0..K {
            let bit = ((hash >> (64 - 9 - 9 * i)) & 511) as usize;
            block[bit / 8] |= 1 << (bit % 8);
        }
    }

    #[inline]
    fn has(block: &[u8], place: u64) -> bool {
        let hash = place.wrapping_mul(ODD);
        (0..K).all(|i| {
            let bit = ((hash >> (64 - 9 - 9 * i)) & 511) as usize;
            block[bit / 8] & (1 << (bit % 8)) != 0
        })
    }
}

/// One bit in each of eight words of 64 bits: a whole line.
struct Words;

impl Shape for Words {
    const BLOCK: usize = 64;

    #[inline]
    fn set(block: &mut [u8], place: u64) {
        let hash = place.wrapping_mul(ODD);
        for (i, word) in block.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *word = (u64::from_le_bytes(*word) | 1 << ((hash >> (58 - 6 * i)) & 63)).to_le_bytes();
        }
    }

    #[inline]
    fn has(block: &[u8], place: u64) -> bool {
        let hash = place.wrapping_mul(ODD);
        let words = block.as_chunks::<8>().0.iter().enumerate();
        let bits = words.map(|(i, word)| u64::from_le_bytes(*word) >> ((hash >> (58 - 6 * i)) & 63));
        bits.fold(1, |all, bit| all & bit) != 0
    }
}

/// The block of the engine: as `Words`, but asked in two halves.
struct Ours;

impl Shape for Ours {
    const BLOCK: usize = block::BYTES;

    #[inline]
    fn set(block: &mut [u8], place: u64) {
        block::set(block.first_chunk_mut().unwrap(), place);
    }

    #[inline]
    fn has(block: &[u8], place: u64) -> bool {
        block::has(block.first_chunk().unwrap(), place)
    }
}

/// One bit in each of eight words of 32 bits, with the salts of Parquet's split block filter: half a line.
struct Halves;

const SALTS: [u32; 8] =
    [0x47B6_137B, 0x4497_4D91, 0x8824_AD5B, 0xA2B7_289D, 0x7054_95C7, 0x2DF1_424B, 0x9EFC_4947, 0x5C6B_FB31];

impl Shape for Halves {
    const BLOCK: usize = 32;

    #[inline]
    fn set(block: &mut [u8], place: u64) {
        for (word, salt) in block.as_chunks_mut::<4>().0.iter_mut().zip(SALTS) {
            let bit = (place as u32).wrapping_mul(salt) >> 27;
            *word = (u32::from_le_bytes(*word) | 1 << bit).to_le_bytes();
        }
    }

    #[inline]
    fn has(block: &[u8], place: u64) -> bool {
        let words = block.as_chunks::<4>().0.iter().zip(SALTS);
        let bits = words.map(|(word, salt)| {
            let bit = (place as u32).wrapping_mul(salt) >> 27;
            u32::from_le_bytes(*word) >> bit
        });
        bits.fold(1, |all, bit| all & bit) != 0
    }
}

/// Places as the keyed hash gives them: uniform, and those of different lots distinct.
fn places(lot: u64, count: usize) -> Vec<u64> {
    (0..count as u64).map(|n| mix((lot << 40) | n)).collect()
}

/// Time that this thread has had a processor: what others do meanwhile does not count.
fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// The middle of some timings, in ns for each of so many.
fn median(count: usize, rounds: usize, mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = thread_time();
            round();
            (thread_time() - start).as_nanos() as f64 / count as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

/// Asks for each place, and goes another way where it is found: the engine does not wait for an answer either
/// that the processor foresees.
fn ask(asked: &[u64], mut has: impl FnMut(u64) -> bool) {
    for &place in asked {
        if has(place) {
            black_box(place);
        }
    }
}

fn measure<R: Rival>(name: &str, keys: usize) {
    let present = places(0, keys);
    let absent = places(1 << 10, ASKED);
    let mut filter = R::build(&present);
    let build = median(keys, 3, || filter = R::build(&present));
    let some: Vec<u64> = (0..ASKED as u64).map(|n| present[(mix(n) % keys as u64) as usize]).collect();
    let (view, bytes) = (filter.view(), filter.bytes());
    assert!(present.iter().all(|&place| view.has(place)), "{name}: a false negative");
    let wrong = absent.iter().filter(|&&place| view.has(place)).count();
    let miss = median(ASKED, ROUNDS, || {
        ask(&absent, |place| view.has(place));
    });
    let hit = median(ASKED, ROUNDS, || {
        ask(&some, |place| view.has(place));
    });
    drop(present);

    let row: Vec<R> = (1..=ROW as u64).map(|lot| R::build(&places(lot, keys))).collect();
    let views: Vec<_> = row.iter().map(Rival::view).collect();
    let plain = median(ASKED, ROUNDS, || {
        ask(&absent, |place| views.iter().any(|view| view.has(place)));
    });
    let ahead = median(ASKED, ROUNDS, || {
        ask(&absent, |place| {
            black_box(views.iter().fold(0, |sum, view| sum ^ view.touch(place)));
            views.iter().any(|view| view.has(place))
        });
    });
    println!(
        "| {name} | {keys} | {:.2} | {:.3} | {miss:.1} | {hit:.1} | {plain:.0} | {ahead:.0} | {build:.1} \
         | {:.1} |",
        bytes as f64 * 8.0 / keys as f64,
        wrong as f64 * 100.0 / ASKED as f64,
        peak(name, keys) as f64 / keys as f64,
    );
}

/// A line of this process's status, in bytes.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|found| found.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Memory that a build adds at its peak, beside the places: asked of a process of its own.
fn peak(name: &str, keys: usize) -> u64 {
    let this = std::env::current_exe().unwrap();
    let answer = Command::new(this).args(["peak", name, &keys.to_string()]).output().unwrap();
    String::from_utf8(answer.stdout).unwrap().trim().parse().unwrap()
}

fn build_only<R: Rival>(keys: usize) {
    let places = places(0, keys);
    let before = status("VmRSS");
    black_box(R::build(&places));
    println!("{}", status("VmHWM").saturating_sub(before));
}

type Kind = (&'static str, fn(&str, usize), fn(usize));

fn kind<R: Rival>(name: &'static str) -> Kind {
    (name, measure::<R>, build_only::<R>)
}

fn main() {
    let kinds = [
        kind::<Bloom<u64>>("bloomfilter 0.4 %"),
        kind::<Fuse<8>>("xorf BinaryFuse8"),
        kind::<Fuse<16>>("xorf BinaryFuse16"),
        kind::<Blocks<Anywhere<7>, 12>>("7 bits in a line, 12"),
        kind::<Blocks<Halves, 12>>("8 x u32, 12"),
        kind::<Blocks<Words, 12>>("8 x u64, 12"),
        kind::<Blocks<Ours, 10>>("ours, 10"),
        kind::<Blocks<Ours, 12>>("ours, 12"),
        kind::<Blocks<Ours, 16>>("ours, 16"),
    ];
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [word, name, keys] = &arguments[..]
        && word == "peak"
    {
        let (.., build_only) = kinds.iter().find(|kind| kind.0 == name).unwrap();
        return build_only(keys.parse().unwrap());
    }
    let named: Vec<&String> = arguments.iter().filter(|word| word.parse::<usize>().is_err()).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|word| name.contains(word.as_str()));
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1 << 16, 1_000_000, 1 << 24];
    }
    println!(
        "| filter | keys | bits/key | false % | miss ns | hit ns | {ROW} misses ns | {ROW}, touched first \
        | build ns/key | peak bytes/key |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for keys in sizes {
        kinds.iter().filter(|kind| wanted(kind.0)).for_each(|(name, measure, _)| measure(name, keys));
    }
}
