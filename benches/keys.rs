//! What a key costs: each generator beside the `uuid` crate's (without `fast-rng`, which repeats itself in a
//! forked child) in the same run, what is derived, and the spelling of each format. One thread. Read the
//! ratios of one run; run with `cargo bench -p semel-benches --bench keys`.

#![allow(missing_docs, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)] // the rivals are the generators that semel does not use

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use semel::keys::{self, Format};
use uuid::Uuid;

const V4: &str = "919108f7-52d1-4320-9bac-f847db4148a8";
const V7: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn generators(c: &mut Criterion) {
    let mut group = c.benchmark_group("generate");
    group.bench_function("uuid_v4", |b| b.iter(|| keys::uuid_v4().unwrap()));
    group.bench_function("uuid_v4/uuid crate", |b| b.iter(|| Uuid::new_v4().to_string()));
    group.bench_function("uuid_v7", |b| b.iter(|| keys::uuid_v7().unwrap()));
    group.bench_function("uuid_v7/uuid crate", |b| b.iter(|| Uuid::now_v7().to_string()));
    group.bench_function("random_128", |b| b.iter(|| keys::random_128().unwrap()));
    group.bench_function("random_256", |b| b.iter(|| keys::random_256().unwrap()));
    group.bench_function("hybrid", |b| b.iter(|| keys::hybrid(black_box("acct_42")).unwrap()));
    group.finish();
}

fn derived(c: &mut Criterion) {
    let mut group = c.benchmark_group("derive");
    let parts: [&[u8]; 3] = [b"invoice", b"4711", b"2026-11"];
    group.bench_function("derive", |b| b.iter(|| keys::derive(black_box(&parts))));
    let secret: &[u8] = &[7; 32];
    for (name, secret) in [("downstream", None), ("downstream, keyed", Some(secret))] {
        group.bench_function(name, |b| {
            b.iter(|| keys::downstream("POST /orders", black_box(V4), "charge the card", secret).unwrap());
        });
    }
    group.finish();
}

fn formats(c: &mut Criterion) {
    let mut group = c.benchmark_group("normalize");
    let pattern = |pattern| Format::regex(pattern).unwrap();
    let rows = [
        ("any", Format::any(), V4.to_owned()),
        ("uuid", Format::uuid(), V4.into()),
        ("uuid, upper case", Format::uuid(), V4.to_uppercase()),
        ("uuid, no hyphens", Format::uuid(), V4.replace('-', "")),
        ("uuid_v4", Format::uuid_v4(), V4.into()),
        ("uuid_v7", Format::uuid_v7(), V7.into()),
        ("ulid", Format::ulid(), ULID.into()),
        ("ulid, lower case", Format::ulid(), ULID.to_lowercase()),
        ("base64url, 43 characters", Format::base64url(), "A".repeat(43)),
        ("regex, 10 characters", pattern("order-[0-9]{4,12}"), "order-4711".into()),
        ("regex, 36 characters", pattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), V4.into()),
        ("regex, hostile, 255", pattern("(a*)*(a|aa)+[a-z]{1,99}.*"), "a".repeat(255)),
    ];
    for (name, format, key) in rows {
        group
            .bench_function(name, |b| b.iter(|| black_box(format.normalize(black_box(&key)).unwrap().len())));
    }
    group.finish();
}

criterion_group!(benches, generators, derived, formats);
criterion_main!(benches);
