//! Every row of the limits table, at n and n + 1, and at its other end: through the public API each value
//! works, or the error is `InvalidArgument` and names the limit, and then nothing was made.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::peer::{Peer, obey};
use common::{begin, body, small, start, tiny};
use semel::*;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);
const DAY: Duration = Duration::from_secs(86_400);

/// For the tests below: another process.
#[test]
fn peer() {
    obey();
}

/// The error of a value outside its limit: the kind says what to do, the message names the limit.
fn refused<T>(limit: &Limit, result: Result<T>) {
    let Err(e) = result else { panic!("{} was accepted", limit.name) };
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{}: {e}", limit.name);
    assert!(e.to_string().contains(limit.name), "{e}");
}

fn ms(limit: u64) -> Duration {
    Duration::from_millis(limit)
}

#[test]
fn the_table_is_the_one_that_is_promised() {
    let (kib, mib, gib) = (1 << 10, 1 << 20, 1 << 30);
    let day = 86_400_000;
    let promised = [
        ("key", "bytes", 0, 1, 255),
        ("scope", "bytes", 0, 0, 255),
        ("lease", "ms", 30_000, 10, day),
        ("ttl", "ms", day, 1000, 400 * day),
        ("in_doubt_ttl", "ms", 30 * day, 1000, 400 * day),
        ("response_limit", "bytes", mib, 0, 16 * mib),
        ("meta_limit", "bytes", 64 * kib, 0, 64 * kib),
        ("checkpoint", "bytes", 0, 0, 4 * kib),
        ("downstream_secret", "bytes", 0, 16, kib),
        ("step", "bytes", 0, 1, 255),
        ("tenant", "bytes", 0, 1, 219),
        ("min_len", "bytes", 0, 1, 255),
        ("batch", "requests", 0, 1, 4096),
        ("segment", "bytes", 64 * mib, mib, gib),
        ("first_generation", "words", mib, kib, gib),
        ("processes", "processes", 1024, 1, 4096),
    ];
    let rows = limits::ALL.map(|row| (row.name, row.unit, row.default, row.min, row.max));
    assert_eq!(rows, promised);
}

#[test]
fn a_key_has_1_to_255_bytes_in_every_verb() {
    let store = tiny().open().unwrap();
    for (bytes, fits) in [(0, false), (1, true), (255, true), (256, false)] {
        let key = vec![b'k'; bytes];
        let begun = store.begin(Request::new("", &key)).map(drop);
        let seen = store.peek("", &key).map(drop);
        let resolved = store.resolve("", &key, Fence::from_u64(1), Resolution::Release);
        let marked = store.mark_seen("", &key, Duration::from_secs(1)).map(drop);
        let forgotten = store.forget("", &key).map(drop);
        if fits {
            begun.unwrap();
            seen.unwrap();
            assert_eq!(resolved.unwrap_err().kind(), ErrorKind::Conflict);
            marked.unwrap();
            forgotten.unwrap();
        } else {
            for result in [begun, seen, resolved, marked, forgotten] {
                refused(&limits::KEY, result);
            }
        }
    }
}

#[test]
fn a_scope_has_0_to_255_bytes_not_characters() {
    let store = tiny().open().unwrap();
    let two_bytes_each = "\u{e9}".repeat(128);
    for scope in ["", &"s".repeat(255), &two_bytes_each[2..]] {
        assert!(matches!(store.begin(Request::new(scope, "k")).unwrap(), Outcome::Started(_)));
        store.peek(scope, "k").unwrap();
        store.mark_seen(scope, "seen", Duration::from_secs(1)).unwrap();
        assert!(store.forget(scope, "seen").unwrap());
    }
    for scope in ["s".repeat(256), two_bytes_each] {
        refused(&limits::SCOPE, store.begin(Request::new(&scope, "k")));
        refused(&limits::SCOPE, store.peek(&scope, "k"));
        refused(&limits::SCOPE, store.mark_seen(&scope, "k", Duration::from_secs(1)));
        refused(&limits::SCOPE, store.forget(&scope, "k"));
        refused(&limits::SCOPE, store.resolve(&scope, "k", Fence::from_u64(1), Resolution::Release));
    }
}

#[test]
fn the_longest_scope_and_the_longest_key_are_told_apart_from_their_neighbours() {
    let store = tiny().open().unwrap();
    let long = "x".repeat(255);
    for (scope, key) in [(&long[..], &long[..]), (&long[1..], &long[..]), (&long[..], &long[1..])] {
        let Outcome::Started(claim) = store.begin(Request::new(scope, key)).unwrap() else { panic!("met") };
        claim.complete(Response::new(&format!("{} {}", scope.len(), key.len()))).unwrap();
    }
    let Outcome::Replay(it) = store.begin(Request::new(&long[1..], &long)).unwrap() else { panic!("gone") };
    assert_eq!(it.body(), b"254 255");
}

#[test]
fn a_checkpoint_has_0_to_4096_bytes() {
    let store = tiny().open().unwrap();
    let claim = start(&store, "k");
    for bytes in [4096, 0, 1] {
        claim.checkpoint(&vec![7; bytes]).unwrap();
        assert_eq!(claim.last_checkpoint().unwrap(), vec![7; bytes]);
    }
    refused(&limits::CHECKPOINT, claim.checkpoint(&[7; 4097]));
    assert_eq!(claim.last_checkpoint().unwrap(), [7], "a refused checkpoint was left");
}

#[test]
fn a_batch_has_1_to_4096_requests() {
    let store = tiny().first_generation(1 << 14).open().unwrap();
    let claim = start(&store, "k");
    let keys: Vec<String> = (0..4097).map(|n| n.to_string()).collect();
    let requests: Vec<_> = keys.iter().map(|key| Request::new("", key)).collect();
    let ttl = Duration::from_secs(1);
    for count in [1, 4096] {
        assert_eq!(store.begin_many(&requests[..count]).unwrap().len(), count);
        assert_eq!(store.mark_seen_many("seen", &keys[..count], ttl).unwrap().len(), count);
        assert_eq!(store.complete_many(&vec![(&claim, Response::default()); count]).unwrap().len(), count);
    }
    for count in [0, 4097] {
        refused(&limits::BATCH, store.begin_many(&requests[..count]));
        refused(&limits::BATCH, store.mark_seen_many("more", &keys[..count], ttl));
        refused(&limits::BATCH, store.complete_many(&vec![(&claim, Response::default()); count]));
    }
    assert_eq!(store.list(Query::new().scope_prefix("more")).count(), 0, "a refused batch did something");
}

#[test]
fn a_downstream_secret_has_16_to_1024_bytes() {
    for (bytes, fits) in [(15, false), (16, true), (1024, true), (1025, false), (0, false)] {
        let opened = tiny().downstream_secret(&vec![7; bytes]).open();
        if fits {
            opened.unwrap();
        } else {
            refused(&limits::DOWNSTREAM_SECRET, opened);
        }
    }
}

#[test]
fn a_lease_is_10_ms_to_24_h_wherever_it_is_given() {
    let limit = &limits::LEASE;
    let store = tiny().open().unwrap();
    let claim = start(&store, "beats");
    // Rounded up to whole milliseconds: never shorter than asked for.
    for (n, lease) in [ms(limit.min), ms(limit.min) - NS, ms(limit.max)].into_iter().enumerate() {
        tiny().lease(lease).open().unwrap();
        let key = n.to_string();
        assert!(matches!(store.begin(Request::new("", &key).lease(lease)).unwrap(), Outcome::Started(_)));
        claim.heartbeat(lease).unwrap();
    }
    for lease in [ms(limit.min) - MS, ms(limit.max) + MS, ms(limit.max) + NS, Duration::ZERO, Duration::MAX] {
        refused(limit, tiny().lease(lease).open());
        refused(limit, store.begin(Request::new("", "k").lease(lease)));
        refused(limit, claim.heartbeat(lease));
    }
    assert!(store.peek("", "k").unwrap().is_none(), "a refused lease left a record");
}

#[test]
fn a_ttl_is_1_s_to_400_d_wherever_it_is_given() {
    let limit = &limits::TTL;
    let store = tiny().open().unwrap();
    for (n, ttl) in [ms(limit.min), ms(limit.min) - NS, ms(limit.max)].into_iter().enumerate() {
        tiny().ttl(ttl).open().unwrap();
        start(&store, &n.to_string()).complete(Response::new("").ttl(ttl)).unwrap();
    }
    let claim = start(&store, "k");
    for ttl in [ms(limit.min) - MS, ms(limit.max) + MS, ms(limit.max) + NS, Duration::ZERO, Duration::MAX] {
        refused(limit, tiny().ttl(ttl).open());
        refused(limit, claim.complete(Response::new("").ttl(ttl)));
        refused(limit, claim.fail(Response::new("").ttl(ttl)));
        let resolution = Resolution::Completed(Response::new("").ttl(ttl));
        refused(limit, store.resolve("scope", "k", claim.fence(), resolution));
    }
    claim.complete(Response::new("kept")).unwrap();
}

#[test]
fn an_in_doubt_ttl_is_1_s_to_400_d() {
    let limit = &limits::IN_DOUBT_TTL;
    for ttl in [ms(limit.min), ms(limit.min) - NS, ms(limit.max)] {
        tiny().in_doubt_ttl(ttl).open().unwrap();
    }
    for ttl in [ms(limit.min) - MS, ms(limit.max) + MS, Duration::ZERO, Duration::MAX] {
        refused(limit, tiny().in_doubt_ttl(ttl).open());
    }
}

#[test]
fn the_sizes_of_a_store_are_within_their_bounds_and_powers_of_two() {
    let empty = || Store::builder().response_limit(0).meta_limit(0);
    let (segment, generation) = (&limits::SEGMENT, &limits::FIRST_GENERATION);
    for bytes in [segment.min, 2 * segment.min, segment.max] {
        let _ = start(&empty().segment(bytes).first_generation(generation.min).open().unwrap(), "k");
    }
    for bytes in [0, segment.min - 1, segment.min + 1, 3 << 20, segment.max - 1, segment.max + 1, 2 << 30] {
        refused(segment, empty().segment(bytes).open());
    }
    let _ = start(&tiny().first_generation(2 * generation.min).open().unwrap(), "k");
    let low = generation.min;
    for words in [0, low / 2, low - 1, low + 1, 3 * low, generation.max + 1, 2 * generation.max, u64::MAX] {
        refused(generation, tiny().first_generation(words).open());
    }
    // 8 GiB of address space, touched nowhere: a machine may refuse it, and then says so.
    match tiny().first_generation(generation.max).open() {
        Ok(store) => drop(start(&store, "k")),
        Err(e) => assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}"),
    }
}

#[test]
fn a_handle_keeps_responses_up_to_its_limits_and_no_further() {
    let large = || Store::builder().segment(32 << 20).first_generation(1 << 10);
    let (response, meta) = (&limits::RESPONSE, &limits::META);
    refused(response, large().response_limit(response.max + 1).open());
    refused(response, large().response_limit(u64::MAX).open());
    refused(meta, large().meta_limit(meta.max + 1).open());

    for (most, most_meta) in [(0, 0), (1, 0), (0, 1), (100, 10), (response.max, meta.max)] {
        let store = large().response_limit(most).meta_limit(most_meta).open().unwrap();
        let (kept, headers) = (body("body", most as usize), body("meta", most_meta as usize));
        let (more, more_headers) = (body("body", kept.len() + 1), body("meta", headers.len() + 1));
        let said = |key: &str, response: Response<'_>, fails: bool| {
            let claim = start(&store, key);
            if fails {
                claim.fail(response).unwrap()
            } else {
                claim.complete(response).unwrap()
            }
            begin(&store, key)
        };
        for fails in [false, true] {
            let key = |name: &str| format!("{name} {fails}");
            let outcome = said(&key("n"), Response::new(&kept).meta(&headers).status(7), fails);
            let Outcome::Replay(it) = outcome else { panic!("{most} is not kept: {outcome:?}") };
            assert!(it.body() == kept && it.meta() == headers && it.status() == 7);

            let outcome = said(&key("n + 1"), Response::new(&more).meta(&headers).status(7), fails);
            let Outcome::Omitted(it) = outcome else { panic!("{most} + 1 is kept: {outcome:?}") };
            assert_eq!((it.reason(), it.status()), (OmittedReason::TooLarge, 7));
            assert!(it.meta() == headers, "the metadata fits, and is kept");

            let outcome = said(&key("meta n + 1"), Response::new(&kept).meta(&more_headers), fails);
            let Outcome::Omitted(it) = outcome else { panic!("{most_meta} + 1 is kept: {outcome:?}") };
            assert_eq!((it.reason(), it.meta()), (OmittedReason::TooLarge, &[][..]));
        }
    }
}

#[test]
fn without_options_the_defaults_of_the_table_hold() {
    let clock = Clock::manual(DAY * 20_000);
    let store = Store::builder().clock(clock.clone()).open().unwrap();
    let claim = start(&store, "k");
    let Outcome::InProgress(it) = begin(&store, "k") else { panic!("free") };
    assert_eq!(it.lease_left(), ms(limits::LEASE.default));
    let (kept, headers) =
        (body("b", limits::RESPONSE.default as usize), body("m", limits::META.default as usize));
    claim.complete(Response::new(&kept).meta(&headers)).unwrap();
    clock.advance(ms(limits::TTL.default - 1));
    let Outcome::Replay(it) = begin(&store, "k") else { panic!("not kept") };
    assert!(it.body() == kept && it.meta() == headers);
    clock.advance(MS);
    let doubtful = start(&store, "k");
    doubtful.complete(Response::new(&[kept, vec![0]].concat())).unwrap();
    assert!(matches!(begin(&store, "k"), Outcome::Omitted(_)));

    let doubtful = start(&store, "d");
    doubtful.begin_effect().unwrap();
    clock.advance(ms(limits::LEASE.default + limits::IN_DOUBT_TTL.default - 1));
    assert!(matches!(begin(&store, "d"), Outcome::InDoubt(_)));
    clock.advance(MS);
    assert!(matches!(begin(&store, "d"), Outcome::Started(_)));
}

/// What a record takes besides its body and metadata, with the longest names, and what a segment keeps for
/// itself.
const LONGEST_NAMES: u64 = 88 + 255 + 255 + 32;
const SEGMENT_HEADER: u64 = 4096;

#[test]
fn a_record_that_fills_a_segment_is_kept_and_a_longer_one_is_refused_at_open() {
    let most = (1 << 20) - SEGMENT_HEADER - LONGEST_NAMES;
    let exactly = |bytes: u64| tiny().meta_limit(0).response_limit(bytes);
    let store = exactly(most).open().unwrap();
    let (long, bytes) = ("x".repeat(255), body("b", most as usize));
    for round in 0..3 {
        let key = format!("{round}{}", &long[1..]);
        let request = Request::new(&long, &key).payload("p");
        let Outcome::Started(claim) = store.begin(request).unwrap() else { panic!("not started") };
        claim.complete(Response::new(&bytes)).unwrap();
        let Outcome::Replay(it) = store.begin(request).unwrap() else { panic!("not kept") };
        assert!(it.body() == bytes);
    }
    refused(&limits::RESPONSE, exactly(most + 1).open());
    refused(&limits::META, exactly(most).meta_limit(1).open());
}

#[test]
fn a_refused_open_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    refused(&limits::RESPONSE, small(dir.path()).response_limit(1 << 20).open());
    refused(&limits::SEGMENT, small(dir.path()).segment(1).open());
    assert_eq!(common::names(dir.path()), [""; 0]);
    std::fs::create_dir(dir.path().join("store")).unwrap();
    common::run("chmod", &["700", dir.path().join("store").to_str().unwrap()]);
    refused(&limits::RESPONSE, small(dir.path()).response_limit(1 << 20).open());
    assert_eq!(common::names(&dir.path().join("store")), [""; 0]);
}

#[test]
fn a_second_handle_may_not_ask_for_responses_that_its_segments_cannot_hold() {
    let dir = tempfile::tempdir().unwrap();
    let _first = small(dir.path()).open().unwrap();
    refused(&limits::RESPONSE, small(dir.path()).response_limit(1 << 20).open());
    // The sizes of a store are fixed when it is made: asking for larger segments later gives no larger ones.
    refused(&limits::RESPONSE, small(dir.path()).segment(64 << 20).response_limit(1 << 20).open());
}

#[test]
fn as_many_processes_attach_as_the_limit_says_and_no_more() {
    refused(&limits::PROCESSES, tiny().processes(limits::PROCESSES.min - 1).open());
    refused(&limits::PROCESSES, tiny().processes(limits::PROCESSES.max + 1).open());
    let dir = tempfile::tempdir().unwrap();
    let order = "open-with-processes 3";
    let mut peers: Vec<_> = (0..4).map(|_| Peer::idle(dir.path())).collect();
    for peer in &mut peers[..3] {
        assert_eq!(peer.ask(order), "ok");
    }
    let refusal = peers[3].ask(order);
    assert!(refusal.starts_with("Unavailable") && refusal.contains("3 processes"), "{refusal}");
    assert!(refusal.contains("/store"), "it names the path: {refusal}");
    peers.remove(1).kill();
    assert_eq!(peers[2].ask(order), "ok", "the place of a dead process is free");
}

#[test]
fn the_most_and_the_fewest_processes_may_be_asked_for() {
    for count in [limits::PROCESSES.min, limits::PROCESSES.max] {
        let dir = tempfile::tempdir().unwrap();
        let store = small(dir.path()).processes(count).open().unwrap();
        let _ = start(&store, "k");
    }
}
