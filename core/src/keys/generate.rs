//! Keys that are new: time and random bytes go in, text comes out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::{Builder, Uuid};

use crate::error::{Error, Result};
use crate::limits;
use crate::os;
use crate::sync::{AtomicU64, Ordering};

/// The last tick that this process gave out.
///
/// ```text
/// tick = 0 4 | milliseconds since the epoch 48 | counter 12        0: none was given out yet
/// ```
///
/// A forked child starts from its parent's: the ticks of the two may be equal, their random bits are not.
static LAST_TICK: AtomicU64 = AtomicU64::new(0);

const COUNTER_BITS: u32 = 12;
const MAX_MS: u64 = (1 << 48) - 1;

/// What [`hybrid`] adds to a tenant: `.`, 12 digits, `.`, 22 characters.
const HYBRID_TAIL: u64 = 1 + 12 + 1 + 22;
const _: () = assert!(limits::TENANT.max + HYBRID_TAIL == limits::KEY.max);

/// A random UUID, version 4 of RFC 9562: 36 characters, lower case, 122 random bits.
///
/// # Errors
/// `Unavailable` while the kernel's generator is not seeded; `Io` if it cannot be asked.
///
/// ```
/// let key = semel::keys::uuid_v4()?;
/// assert_eq!((key.len(), &key[14..15]), (36, "4"));
/// # Ok::<(), semel::Error>(())
/// ```
pub fn uuid_v4() -> Result<String> {
    Ok(text(v4(random()?)))
}

/// A UUID that begins with the time, version 7 of RFC 9562: 36 characters, lower case, of 48 bits of
/// milliseconds since the epoch, 12 bits of a counter and 62 random bits.
///
/// Each is greater than all that this process made before, on whichever thread, as text and as bytes. When
/// more than 4,096 are made in one millisecond, or the wall clock steps back, the time in them runs ahead of
/// the clock (RFC 9562, section 6.2). Between processes their order is that of the clock, to the millisecond.
///
/// # Errors
/// `Unavailable` while the kernel's generator is not seeded; `Io` if it cannot be asked.
///
/// ```
/// let (one, other) = (semel::keys::uuid_v7()?, semel::keys::uuid_v7()?);
/// assert!(one < other);
/// # Ok::<(), semel::Error>(())
/// ```
pub fn uuid_v7() -> Result<String> {
    let random = random()?;
    Ok(text(v7(take_tick(&LAST_TICK, os::time::wall_ms()), random)))
}

/// 128 random bits: 22 characters of base64url, without padding.
///
/// # Errors
/// `Unavailable` while the kernel's generator is not seeded; `Io` if it cannot be asked.
pub fn random_128() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<16>()?))
}

/// 256 random bits: 43 characters of base64url, without padding.
///
/// # Errors
/// `Unavailable` while the kernel's generator is not seeded; `Io` if it cannot be asked.
pub fn random_256() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// A key that begins with its tenant, then the time: `{tenant}.{time}.{random}`, with 12 hexadecimal digits
/// of milliseconds since the epoch by the wall clock, and 128 random bits as 22 characters of base64url.
///
/// Keys of one tenant lie together in any sorted list, by time, to the millisecond. The tenant is 1 to 219
/// bytes, so that the key fits a store's 255, of ASCII letters, digits, `-` and `_`: it can hold neither the
/// dot that ends it, so that no tenant begins with another one's prefix, nor anything that a header, a URL or
/// a file name would need to quote.
///
/// # Errors
/// `InvalidArgument` for another tenant; `Unavailable` while the kernel's generator is not seeded; `Io` if it
/// cannot be asked.
///
/// ```
/// let key = semel::keys::hybrid("acct_42")?;
/// assert!(key.starts_with("acct_42.") && key.len() == 7 + 36);
/// # Ok::<(), semel::Error>(())
/// ```
pub fn hybrid(tenant: &str) -> Result<String> {
    limits::TENANT.check(tenant.len() as u64)?;
    if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(Error::invalid("tenant holds another character than ASCII letters, digits, '-' and '_'"));
    }
    Ok(join(tenant, os::time::wall_ms(), random()?))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    os::random(&mut bytes)?;
    Ok(bytes)
}

fn text(uuid: Uuid) -> String {
    uuid.hyphenated().encode_lower(&mut [0; 36]).to_owned()
}

fn v4(random: [u8; 16]) -> Uuid {
    Builder::from_random_bytes(random).into_uuid()
}

/// 62 of these random bits are used.
fn v7(tick: u64, random: [u8; 8]) -> Uuid {
    let mut behind = [0; 10];
    behind[..2].copy_from_slice(&(tick as u16).to_be_bytes()); // the layout takes its lower 12 bits
    behind[2..].copy_from_slice(&random);
    Builder::from_unix_timestamp_millis(tick >> COUNTER_BITS, &behind).into_uuid()
}

fn join(tenant: &str, now_ms: u64, random: [u8; 16]) -> String {
    format!("{tenant}.{:012x}.{}", now_ms.min(MAX_MS), URL_SAFE_NO_PAD.encode(random))
}

/// Takes the next tick: by swapping it in, so that no two threads get the same.
///
/// Relaxed: all ticks are values of this one word, which goes up only, and a thread that heard of an id from
/// another one finds the word at that id's tick or later. Nothing else is published by it.
fn take_tick(last_tick: &AtomicU64, now_ms: u64) -> u64 {
    let mut last = last_tick.load(Ordering::Relaxed);
    loop {
        let next = next_tick(last, now_ms);
        match last_tick.compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return next,
            Err(newer) => last = newer,
        }
    }
}

/// The clock's tick, or the one behind the last where the clock stood still, went back or is overrun.
fn next_tick(last: u64, now_ms: u64) -> u64 {
    (last + 1).max(now_ms.min(MAX_MS) << COUNTER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_4_is_that_of_rfc_9562_appendix_a_3() {
        let random = 0x9191_08f7_52d1_3320_5bac_f847_db41_48a8_u128.to_be_bytes();
        assert_eq!(text(v4(random)), "919108f7-52d1-4320-9bac-f847db4148a8");
    }

    #[test]
    fn version_7_is_that_of_rfc_9562_appendix_a_6() {
        let tick = 0x017F_22E2_79B0 << 12 | 0xCC3;
        let random = 0x18C4_DC0C_0C07_398F_u64.to_be_bytes();
        assert_eq!(text(v7(tick, random)), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    }

    #[test]
    fn every_bit_of_time_counter_and_randomness_is_in_the_id_once() {
        let zero = v7(0, [0; 8]).as_u128();
        let flipped = |tick, random| v7(tick, random).as_u128() ^ zero;
        let mut seen = zero;
        for bit in 0..60 {
            let place = flipped(1 << bit, [0; 8]);
            assert_eq!((place.count_ones(), seen & place), (1, 0), "bit {bit} of the tick");
            seen |= place;
        }
        for bit in 0..62 {
            let place = flipped(0, (1_u64 << bit).to_be_bytes());
            assert_eq!((place.count_ones(), seen & place), (1, 0), "bit {bit} of the randomness");
            seen |= place;
        }
        // The rest is fixed: version 0111, of which the zero is no bit of ours, and variant 10.
        assert_eq!(seen, !(1 << 79 | 1 << 62));
    }

    #[test]
    fn a_tick_is_the_clocks_or_the_one_behind_the_last() {
        let at = |ms: u64, counter: u64| ms << 12 | counter;
        assert_eq!(next_tick(0, 1000), at(1000, 0));
        assert_eq!(next_tick(at(1000, 0), 1000), at(1000, 1), "the same millisecond");
        assert_eq!(next_tick(at(1000, 7), 1001), at(1001, 0), "the clock went on");
        assert_eq!(next_tick(at(1000, 7), 3), at(1000, 8), "the clock stepped back");
        assert_eq!(next_tick(at(1000, 4095), 1000), at(1001, 0), "the counter ran over: ahead of the clock");
        assert_eq!(next_tick(at(1001, 0), 1000), at(1001, 1), "and stays there");
        assert_eq!(next_tick(0, u64::MAX), at(MAX_MS, 0), "a clock out of range");
    }

    #[test]
    fn no_two_threads_take_the_same_tick() {
        let word = AtomicU64::new(0);
        let mut ticks: Vec<u64> = std::thread::scope(|scope| {
            let take = || (0..100_000).map(|n| take_tick(&word, n / 9000)).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        ticks.sort_unstable();
        assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_hybrid_is_its_three_parts() {
        let random = [0xFF; 16];
        assert_eq!(join("t", 0x0192_ABCD, random), "t.00000192abcd._____________________w");
        assert!(join("t", u64::MAX, random).starts_with("t.ffffffffffff."));
        let longest = "t".repeat(limits::TENANT.max as usize);
        assert_eq!(join(&longest, 0, random).len() as u64, limits::KEY.max);
    }
}
