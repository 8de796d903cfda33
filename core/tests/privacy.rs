//! Keys, scopes and payloads are the clients' secrets: nothing that a program may log shows them. A canary is
//! put into each of them, and every Debug and Display of every public type, and every error of every verb, is
//! searched for it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::{in_own_mounts, index_of, mount_tmpfs, names, small, tiny};
use semel::*;

const SCOPE: &str = "canary-scope";
const KEY: &str = "canary-key";
const PAYLOAD: &str = "canary-payload";
const BODY: &str = "canary-body";
const META: &str = "canary-meta";
const CHECKPOINT: &str = "canary-checkpoint";

/// Whether a canary is in the text: as itself, as a list of numbers, or in hexadecimal.
fn sings(text: &str) -> bool {
    let lower = text.to_lowercase();
    let numbers: Vec<String> = "canary".bytes().map(|byte| byte.to_string()).collect();
    let hex: String = "canary".bytes().map(|byte| format!("{byte:02x}")).collect();
    lower.contains("canary") || lower.contains(&numbers.join(", ")) || lower.contains(&hex)
}

fn quiet(what: &impl Debug) {
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        assert!(!sings(&text.replace(char::is_whitespace, " ")) && !sings(&text), "{text}");
    }
}

fn quiet_error(error: &Error) {
    quiet(error);
    quiet(&error.kind());
    quiet(&error.winner());
    let mut shown: Vec<String> = vec![error.to_string()];
    let mut source: Option<&dyn std::error::Error> = error.source();
    while let Some(error) = source {
        shown.push(format!("{error} {error:?}"));
        source = error.source();
    }
    assert!(!shown.iter().any(|text| sings(text)), "{shown:?}");
}

fn quiet_display(what: &impl Display) {
    assert!(!sings(&what.to_string()));
}

fn request() -> Request<'static> {
    Request::new(SCOPE, KEY).payload(PAYLOAD)
}

fn response() -> Response<'static> {
    Response::new(BODY).meta(META).status(201)
}

fn begun(store: &Store) -> Claim {
    match store.begin(request()).unwrap() {
        Outcome::Started(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_search_finds_a_canary_in_any_dress() {
    for text in [format!("{KEY:?}"), format!("{:?}", KEY.as_bytes()), format!("{:?}", Some(BODY))] {
        assert!(sings(&text), "{text}");
    }
    assert!(sings("63616E617279") && !sings("a key in a coal mine"));
}

#[test]
fn what_a_caller_hands_in_is_not_shown() {
    quiet(&request());
    quiet(&request().fingerprint(*b"canary-fingerprint-of-32-bytes!!"));
    quiet(&response());
    quiet(&Resolution::Completed(response()));
    quiet(&Resolution::Failed(response()));
    quiet(&request().rule(7).keyed());
    quiet(&tiny());
    quiet(&tiny().downstream_secret("canary-downstream-key").keyed_fingerprints(true));
    quiet(&Query::new().scope_prefix(SCOPE).state(State::Completed));
    quiet(&Clock::system());
}

#[test]
fn what_a_verb_answers_is_not_shown() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = tiny().clock(clock.clone()).response_limit(20).open().unwrap();
    quiet(&store);
    let peek = || store.peek(SCOPE, KEY).unwrap();
    let begin = || store.begin(request()).unwrap();
    let all = || {
        quiet(&peek());
        quiet(&begin());
        quiet(&store.begin(Request::new(SCOPE, KEY).payload("another canary")).unwrap());
    };
    let claim = begun(&store);
    quiet(&claim);
    quiet(&claim.fence());
    quiet_display(&claim.fence());
    quiet(&claim.reason());
    all();
    claim.begin_effect().unwrap();
    clock.advance(Duration::from_secs(31));
    assert!(matches!(begin(), Outcome::InDoubt(_)));
    all();
    claim.complete(response()).unwrap();
    assert!(matches!(begin(), Outcome::Replay(_)));
    all();
    clock.advance(Duration::from_secs(90_000));
    let claim = begun(&store);
    claim.complete(Response::new(&BODY.repeat(9)).meta(META)).unwrap();
    assert!(matches!(begin(), Outcome::Omitted(it) if it.meta() == META.as_bytes()));
    all();
    clock.advance(Duration::from_secs(90_000));
    quiet(&begun(&store).release().unwrap());
    clock.advance(Duration::from_secs(90_000));
    let claim = begun(&store);
    clock.advance(Duration::from_secs(31));
    assert_eq!(peek(), Some(Peek::Orphaned));
    quiet(&peek());
    drop(claim);
}

#[test]
fn no_error_of_a_verb_shows_a_key() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = tiny().clock(clock.clone()).open().unwrap();
    let long = KEY.repeat(100);
    let fence = Fence::from_u64(7);
    // Over a limit.
    quiet_error(&store.begin(Request::new(SCOPE, &long)).unwrap_err());
    quiet_error(&store.begin(Request::new(&long, KEY)).unwrap_err());
    quiet_error(&store.begin(request().lease(Duration::ZERO)).unwrap_err());
    quiet_error(&store.peek(SCOPE, &long).unwrap_err());
    quiet_error(&store.peek(&long, KEY).unwrap_err());
    quiet_error(&store.resolve(SCOPE, &long, fence, Resolution::Release).unwrap_err());
    // In each wrong state.
    let resolve = |resolution| store.resolve(SCOPE, KEY, fence, resolution).unwrap_err();
    quiet_error(&resolve(Resolution::Completed(response())));
    let late = begun(&store);
    quiet_error(&resolve(Resolution::Failed(response())));
    quiet_error(&late.heartbeat(Duration::ZERO).unwrap_err());
    quiet_error(&late.complete(response().ttl(Duration::ZERO)).unwrap_err());
    clock.advance(Duration::from_secs(31));
    quiet_error(&resolve(Resolution::Release));
    let winner = begun(&store);
    quiet_error(&late.complete(response()).unwrap_err());
    quiet_error(&late.begin_effect().unwrap_err());
    winner.complete(response()).unwrap();
    quiet_error(&resolve(Resolution::Release));
    // With the winner's response in the error.
    let lost = late.complete(response()).unwrap_err();
    assert_eq!(lost.winner().unwrap().body(), BODY.as_bytes());
    quiet_error(&lost);
    quiet_error(&late.heartbeat(Duration::from_secs(1)).unwrap_err());
    quiet_error(&late.release().unwrap_err());
    quiet_error(&winner.release().unwrap_err());
}

#[test]
fn what_a_claim_carries_is_not_shown() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = tiny().clock(clock.clone()).downstream_secret("canary-downstream-key").open().unwrap();
    quiet(&store);
    let claim = begun(&store);
    claim.checkpoint(CHECKPOINT).unwrap();
    quiet(&claim);
    claim.begin_effect().unwrap();
    let bytes = claim.hand_over().unwrap();
    assert!(sings(&format!("{bytes:?}")), "they hold the key, so they must not be logged");
    quiet(&claim);
    let adopted = store.adopt(&bytes).unwrap();
    quiet(&adopted);
    clock.advance(Duration::from_secs(31));
    let Outcome::InDoubt(it) = store.begin(request()).unwrap() else { panic!("not in doubt") };
    assert_eq!(it.checkpoint(), CHECKPOINT.as_bytes());
    quiet(&it);
    quiet(&store.peek(SCOPE, KEY).unwrap());
    let mut list = store.list(Query::new().scope_prefix(SCOPE));
    quiet(&list);
    let entry = list.next().unwrap().unwrap();
    assert_eq!((entry.scope(), entry.key()), (SCOPE, KEY.as_bytes()));
    quiet(&entry);
    quiet(&list);
    quiet(&store.stats().unwrap());
    adopted.release_without_effect().unwrap();
    let next = begun(&store);
    assert_eq!(next.last_checkpoint().unwrap(), CHECKPOINT.as_bytes());
    quiet(&next);
}

#[test]
fn no_error_of_a_verb_that_carries_or_needs_no_claim_shows_a_key() {
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = tiny().clock(clock.clone()).open().unwrap();
    let (long, ttl) = (KEY.repeat(100), Duration::from_secs(60));
    // Over a limit.
    quiet_error(&store.mark_seen(SCOPE, &long, ttl).unwrap_err());
    quiet_error(&store.mark_seen(&long, KEY, ttl).unwrap_err());
    quiet_error(&store.mark_seen(SCOPE, KEY, Duration::ZERO).unwrap_err());
    quiet_error(&store.forget(SCOPE, &long).unwrap_err());
    quiet_error(&store.forget(&long, KEY).unwrap_err());
    let claim = begun(&store);
    quiet_error(&claim.checkpoint(&CHECKPOINT.repeat(1000)).unwrap_err());
    quiet_error(&tiny().downstream_secret("canary").open().unwrap_err());
    quiet_error(&tiny().downstream_secret(&"canary".repeat(200)).open().unwrap_err());
    // In each wrong state.
    quiet_error(&store.forget(SCOPE, KEY).unwrap_err());
    let bytes = claim.hand_over().unwrap();
    quiet_error(&claim.checkpoint(CHECKPOINT).unwrap_err());
    quiet_error(&claim.hand_over().unwrap_err());
    clock.advance(Duration::from_secs(31));
    quiet_error(&store.forget(SCOPE, KEY).unwrap_err());
    let winner = begun(&store);
    winner.begin_effect().unwrap();
    clock.advance(Duration::from_secs(31));
    quiet_error(&store.forget(SCOPE, KEY).unwrap_err());
    winner.complete(response()).unwrap();
    quiet_error(&winner.hand_over().unwrap_err());
    // With the winner's response in the error.
    for lost in [store.adopt(&bytes).map(drop), claim.checkpoint(CHECKPOINT), claim.hand_over().map(drop)] {
        let lost = lost.unwrap_err();
        assert_eq!(lost.winner().unwrap().body(), BODY.as_bytes());
        quiet_error(&lost);
    }
    // What adopt is given is not echoed, whatever is wrong with it.
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        quiet_error(&store.adopt(&changed).unwrap_err());
        quiet_error(&store.adopt(&bytes[at..]).map(drop).map_or_else(|e| e, |()| panic!("adopted")));
    }
    quiet_error(&tiny().open().unwrap().adopt(&bytes).unwrap_err());
    quiet_error(&store.adopt("canary").unwrap_err());
}

#[test]
fn no_result_of_once_shows_what_it_holds() {
    type Unit = std::result::Result<(), OnceError<std::io::Error>>;
    let quiet_once = |result: Unit| {
        let e = result.unwrap_err();
        quiet(&e);
        quiet_display(&e);
        let mut source = e.source();
        while let Some(error) = source {
            assert!(!sings(&format!("{error} {error:?}")));
            source = error.source();
        }
    };
    let clock = Clock::manual(Duration::from_secs(1_800_000_000));
    let store = tiny().clock(clock.clone()).response_limit(200).open().unwrap();
    let once = |key: &str, payload: &str, run: &dyn Fn(&Claim) -> std::io::Result<String>| {
        store.once(SCOPE, key, payload, OnCrash::InDoubt, run).map(drop)
    };
    let broken = || Err(std::io::ErrorKind::BrokenPipe.into());
    let paid = |_: &Claim| Ok(BODY.to_owned());
    quiet_once(once(&KEY.repeat(100), PAYLOAD, &paid));
    quiet_once(once(KEY, PAYLOAD, &|_| broken()));
    once(KEY, PAYLOAD, &paid).unwrap();
    quiet_once(once(KEY, "another canary", &paid));
    quiet_once(once("canary-doubt", PAYLOAD, &|claim| {
        claim.checkpoint(CHECKPOINT).unwrap();
        claim.begin_effect().unwrap();
        broken()
    }));
    quiet_once(once("canary-doubt", PAYLOAD, &paid));
    quiet_once(once("canary-failed", PAYLOAD, &|claim| {
        claim.fail(response()).unwrap();
        broken()
    }));
    quiet_once(once("canary-failed", PAYLOAD, &paid));
    once("canary-large", PAYLOAD, &|_| Ok(BODY.repeat(100))).unwrap();
    quiet_once(once("canary-large", PAYLOAD, &paid));
    quiet_once(once("canary-lost", PAYLOAD, &|claim| {
        drop(claim.hand_over().unwrap());
        Ok(BODY.to_owned())
    }));
}

#[test]
fn a_full_index_does_not_show_a_key() {
    if !in_own_mounts("a_full_index_does_not_show_a_key") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    mount_tmpfs(&dir.path().join("memory"), "64k");
    let store = small(dir.path()).first_generation(1024).index_dir(dir.path().join("memory")).open().unwrap();
    let errors = (0..9000).filter_map(|n| store.begin(Request::new(SCOPE, &format!("{KEY}-{n}"))).err());
    let full: Vec<Error> = errors.collect();
    assert!(full.len() > 100);
    full.iter().for_each(quiet_error);
    let ttl = Duration::from_secs(60);
    let errors = (0..500).filter_map(|n| store.mark_seen(SCOPE, &format!("{KEY}-seen-{n}"), ttl).err());
    let full: Vec<Error> = errors.collect();
    assert!(full.len() > 20);
    full.iter().for_each(quiet_error);
}

#[test]
fn damage_does_not_show_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path()).open().unwrap();
    begun(&store).complete(response()).unwrap();
    drop(store);
    let log = dir.path().join("store/log");
    let mut corrupt = 0;
    let pristine: Vec<_> =
        names(&log).iter().map(|name| (log.join(name), fs::read(log.join(name)).unwrap())).collect();
    for (path, bytes) in &pristine {
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        for at in (0..60).chain(4096..=used).step_by(3) {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[!bytes[at]], at as u64).unwrap();
            if let Ok(store) = small(dir.path()).open() {
                let results = [store.begin(request()).err(), store.peek(SCOPE, KEY).err()];
                let listed = store.list(Query::new()).filter_map(Result::err);
                let results: Vec<_> = results.into_iter().flatten().chain(listed).collect();
                corrupt += results.iter().inspect(|e| quiet_error(e)).count();
                quiet(&store);
            }
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
    }
    assert!(corrupt > 50, "only {corrupt} errors were seen");
    fs::remove_dir_all(index_of(dir.path())).unwrap();
    for (path, _) in &pristine {
        fs::write(path, BODY.repeat(100_000)).unwrap();
    }
    let e = small(dir.path()).open().unwrap_err();
    quiet_error(&e);
}

#[test]
fn an_open_that_fails_does_not_show_what_it_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    fs::create_dir(&store).unwrap();
    common::run("chmod", &["700", store.to_str().unwrap()]);
    fs::write(store.join("meta"), BODY.repeat(1000)).unwrap();
    common::run("chmod", &["600", store.join("meta").to_str().unwrap()]);
    quiet_error(&small(dir.path()).open().unwrap_err());
}

#[test]
fn no_debug_shows_the_secret_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let builder = Store::builder().path(dir.path().join("store")).index_dir(dir.path());
    let store = builder.segment(4 << 20).first_generation(1024).open().unwrap();
    let secret = std::fs::read(dir.path().join("store/secret")).unwrap();
    let shown = format!("{store:?} {store:#?}");
    for word in secret[8..32].chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        assert!(!shown.contains(&word.to_string()), "{shown}");
        assert!(!shown.contains(&format!("{word:x}")), "{shown}");
    }
}
