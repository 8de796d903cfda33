//! Keys from outside: those that are made are distinct and in order, also in threads and forked children;
//! those that are derived can be derived elsewhere; those of others get one spelling or a quiet refusal.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]
#![allow(clippy::disallowed_methods)] // the time in a key is that of the wall clock

mod common;
#[path = "keys/derived.rs"]
mod derived;
#[path = "keys/formats.rs"]
mod formats;

use std::collections::HashSet;

use semel::keys::{self, Format};
use semel::*;

type Generator = fn() -> Result<String>;

/// Every generator, and a format that must accept what it makes.
fn generators() -> Vec<(Generator, Format)> {
    let hybrid = Format::regex(r"tenant_9\.[0-9a-f]{12}\.[A-Za-z0-9_-]{22}").unwrap();
    vec![
        (keys::uuid_v4, Format::uuid_v4()),
        (keys::uuid_v7, Format::uuid_v7()),
        (keys::random_128, Format::base64url().min_len(22).unwrap()),
        (keys::random_256, Format::base64url().min_len(43).unwrap()),
        (|| keys::hybrid("tenant_9"), hybrid),
    ]
}

/// Refused as an argument; what the error says.
fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.to_string()
}

#[test]
fn version_7_grows_in_every_thread_and_across_them() {
    const EACH: usize = 50_000;
    let before = keys::uuid_v7().unwrap();
    let make = || (0..EACH).map(|_| keys::uuid_v7().unwrap()).collect::<Vec<_>>();
    let threads: Vec<Vec<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let after = keys::uuid_v7().unwrap();
    for made in &threads {
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]), "not in order within a thread");
        assert!(before < made[0] && made[EACH - 1] < after, "not in order across threads");
    }
    // What orders them is the same in no two: not the random bits behind it.
    let ticks: HashSet<&str> = threads.iter().flatten().map(|id| &id[..18]).collect();
    assert_eq!(ticks.len(), 4 * EACH);
}

#[cfg(feature = "kill-points")]
#[test]
fn forked_children_never_make_the_same_key() {
    // In a process where no other test runs: a fork takes along what other threads hold locked.
    if !common::in_own_process("forked_children_never_make_the_same_key") {
        return;
    }
    let (children, each) = (8, 10_000);
    let make = |count: usize| {
        let makers = generators().into_iter().map(|(maker, _)| maker);
        makers.flat_map(|maker| (0..count).map(move |_| maker().unwrap())).collect::<Vec<_>>()
    };
    let mut seen: HashSet<String> = make(100).into_iter().collect();
    let answers = in_children(children, |_| make(each).join("\n").into_bytes()).unwrap();
    for answer in answers {
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.lines().count(), generators().len() * each);
        seen.extend(answer.lines().map(str::to_owned));
    }
    seen.extend(make(100));
    assert_eq!(seen.len(), generators().len() * (100 + children * each + 100), "a key was made twice");
}

#[test]
fn what_a_generator_makes_its_format_takes_as_it_is() {
    for (maker, format) in generators() {
        for _ in 0..1000 {
            let key = maker().unwrap();
            assert_eq!(format.normalize(&key).unwrap(), key);
            assert_eq!(Format::any().normalize(&key).unwrap(), key);
        }
    }
    let derived = [keys::derive(&[b"row", b"1"]), keys::downstream("s", "k", "step", None).unwrap()];
    for key in derived {
        assert_eq!(Format::base64url().min_len(43).unwrap().normalize(&key).unwrap(), key);
    }
}

#[test]
fn a_hybrid_key_lies_with_its_tenant_by_time() {
    let now_ms = || {
        let since = std::time::SystemTime::UNIX_EPOCH;
        std::time::SystemTime::now().duration_since(since).unwrap().as_millis() as u64
    };
    let before = now_ms();
    let key = keys::hybrid("acct_42").unwrap();
    let after = now_ms();
    let parts: Vec<&str> = key.split('.').collect();
    assert_eq!((parts[0], parts[1].len(), parts[2].len(), parts.len()), ("acct_42", 12, 22, 3));
    let ms = u64::from_str_radix(parts[1], 16).unwrap();
    assert!((before..=after).contains(&ms));
}

#[test]
fn a_tenant_has_limits() {
    let longest = "t".repeat(219);
    assert_eq!(keys::hybrid(&longest).unwrap().len(), 255);
    let long = refused(keys::hybrid(&"t".repeat(220)));
    assert!(long.contains("tenant is 220 bytes; it must be 1 to 219 bytes"), "{long}");
    assert!(refused(keys::hybrid("")).contains("1 to 219"));
    for bad in ["canary.a", "canary a", "canary/a", "canary\u{e9}", "canary\n", "canary\""] {
        let error = refused(keys::hybrid(bad));
        assert!(error.contains("tenant holds") && !error.contains("canary"), "{error}");
    }
    keys::hybrid("AZaz09-_").unwrap();
}

#[cfg(feature = "kill-points")]
mod entropy {
    use rustix::io::Errno;
    use semel::*;

    use super::common::{names, small};

    const UNSEEDED: RandomSource = |_| Err(Errno::AGAIN);
    const ZERO: RandomSource = |rest| {
        rest.fill(0);
        Ok(rest.len())
    };
    const STUCK: RandomSource = |rest| {
        rest.fill(9);
        Ok(rest.len())
    };

    #[test]
    fn without_entropy_no_store_is_opened_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let made = tempfile::tempdir().unwrap();
        drop(small(made.path()).open().unwrap());
        let rows: [(RandomSource, &str); 4] = [
            (UNSEEDED, "not seeded yet"),
            (ZERO, "32 bytes of zero"),
            (STUCK, "the same 32 bytes twice"),
            (|_| Ok(0), "gave no bytes"),
        ];
        for (source, says) in rows {
            for builder in [small(dir.path()), small(made.path()), Store::builder()] {
                let error = with_random_source(source, || builder.open()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains(says), "{error}");
            }
            assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
        }
        drop(small(dir.path()).open().unwrap());
        drop(small(made.path()).open().unwrap());
    }

    #[test]
    fn without_entropy_no_key_is_made() {
        for (maker, _) in super::generators() {
            let error = with_random_source(UNSEEDED, maker).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    }
}
