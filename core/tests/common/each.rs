//! A story that is told over a store in memory and again over one on disk.

use std::time::Duration;

use semel::*;

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Each store has a clock that stands still until it is moved.
pub(crate) fn on_each(story: impl Fn(&Store, &Clock)) {
    on_each_with(|builder| builder, story);
}

/// As [`on_each`], with further options.
pub(crate) fn on_each_with(options: impl Fn(Builder) -> Builder, story: impl Fn(&Store, &Clock)) {
    let clock = || Clock::manual(secs(1_800_000_000));
    let open = |builder: Builder, clock: &Clock| options(builder).clock(clock.clone()).open().unwrap();
    let own = clock();
    story(&open(super::tiny(), &own), &own);
    let dir = tempfile::tempdir().unwrap();
    let own = clock();
    story(&open(super::small(dir.path()), &own), &own);
}
