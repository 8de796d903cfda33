//! Every rule of the generations, left out once.

use crate::carried_runs::is_release;
use crate::config::Verb::{Begin, BeginEffect, Complete, Forget, List, MarkSeen, Peek, Release, Seal};
use crate::config::{Config, Fault, OnCrash, Program};
use crate::faults::breaks;
use crate::generations_runs::{ONES, TWO_ONE, growing};
use crate::invariants::Broken;
use crate::search::search;

/// Two begin one key.
const RACE: &[Program] = &[&[Begin(0), Complete(0)], &[Begin(1)]];
/// The same, and somebody looks.
const RACE_LOOK: &[Program] = &[&[Begin(0)], &[Begin(1)], &[Peek]];
/// One looks whether another has begun.
const LOOK: &[Program] = &[&[Begin(0), Complete(0)], &[Peek]];
/// A key is walked over.
const WALK: &[Program] = &[&[Begin(0)], &[List]];
/// A key is begun while a helper thread seals.
const SEALS: &[Program] = &[&[Begin(0)], &[Seal]];
/// The same, and somebody begins it again.
const SEALS_RACE: &[Program] = &[&[Begin(0)], &[Begin(1)], &[Seal]];

const DENIES: &[Broken] = &[Broken::FilterDenies];
const BESIDE: &[Broken] = &[Broken::GrantBeside, Broken::VersionFell];

/// One test for each rule: name, fault, the programs, what breaks; then what differs in the run.
macro_rules! faults {
    ($($name:ident: $fault:ident in $programs:ident of $shape:ident breaks $broken:ident
        { $($field:ident: $value:expr),* })*) => {
        $(#[test]
        fn $name() {
            let config = growing($programs, $shape);
            let config = Config { fault: Some(Fault::$fault), $($field: $value,)* ..config };
            breaks(stringify!($name), config, Broken::$broken);
        })*
    };
}

faults! {
    chains_not_closed: ChainsNotClosed in RACE of ONES breaks GrantBeside {}
    chains_not_closed_gives_two_words: ChainsNotClosed in RACE of ONES breaks TwoLiveWords
        { blind_to: BESIDE }
    lost_close_is_closed: LostCloseIsClosed in RACE of ONES breaks GrantBeside {}
    lost_close_to_other_is_closed: LostCloseToOtherIsClosed in RACE of TWO_ONE breaks GrantBeside {}
    older_not_probed_by_begin: OlderNotProbed in RACE of ONES breaks GrantBeside {}
    older_not_probed_by_a_lookup: OlderNotProbed in LOOK of ONES breaks Overlooked {}
    full_is_absent_to_begin: FullIsAbsent in RACE of ONES breaks Overlooked {}
    full_is_absent_to_a_lookup: FullIsAbsent in LOOK of ONES breaks Overlooked {}
    newest_kept: NewestKept in RACE of ONES breaks Spin {}
    newest_by_store: NewestByStore in RACE of ONES breaks Spin {}
    newest_by_store_hides: NewestByStore in RACE_LOOK of ONES breaks Overlooked
        { seals: false, deaths: 0, ticks: 0, progress: false }
    newest_is_sealed: NewestIsSealed in RACE of ONES breaks Spin {}
    filter_before_closed: FilterBeforeClosed in LOOK of ONES breaks FilterDenies {}
    filter_before_closed_hides: FilterBeforeClosed in LOOK of ONES breaks Overlooked { blind_to: DENIES }
    filter_before_closed_grants: FilterBeforeClosed in RACE of ONES breaks GrantBeside { blind_to: DENIES }
    filter_before_closed_by_a_helper: FilterBeforeClosed in SEALS of ONES breaks FilterDenies
        { seals: false }
    filter_of_closing: FilterOfClosing in SEALS of ONES breaks FilterDenies { seals: false }
    filter_of_closing_grants: FilterOfClosing in SEALS_RACE of ONES breaks GrantBeside
        { seals: false, deaths: 0, blind_to: DENIES, progress: false }
    walk_ends_early: WalkEndsEarly in WALK of ONES breaks Overlooked {}
    record_reused_after_frozen: RecordReused in RACE of ONES breaks VersionFell
        { deaths: 0, progress: false }
}

/// Programs in which a rule that is not needed here would show its need.
const EVERYTHING: [&[Program]; 6] = [
    RACE,
    LOOK,
    &[&[Begin(0), Release(0)], &[Begin(1), Complete(1)]],
    &[&[Begin(0), Complete(0)], &[Forget, Peek]],
    &[&[Begin(0), BeginEffect(0)], &[Begin(1), Peek]],
    &[&[MarkSeen, Peek], &[MarkSeen]],
];

/// Leaves a rule out and expects that nothing breaks.
fn unneeded(name: &str, fault: Fault) {
    let mut states = 0;
    // CI looks at a few of them.
    let (programs, shapes) = if is_release() { (EVERYTHING.len(), 2) } else { (2, 1) };
    for programs in EVERYTHING.into_iter().take(programs) {
        for shape in [ONES, TWO_ONE].into_iter().take(shapes) {
            let config = growing(programs, shape);
            let config = Config { deaths: 0, progress: false, fault: Some(fault), ..config };
            let outcome = search(&Config { on_crash: OnCrash::Rerun, ..config });
            let (broken, trace) = outcome.broken.unzip();
            let trace = trace.unwrap_or_default().join("\n");
            assert!(outcome.exhausted, "{broken:?}: {fault:?} shows its need now, move it up\n{trace}");
            states += outcome.states;
        }
    }
    println!("\nPROVE model.unneeded.{name} tried={states} violations=0 target=exhausted");
}

/// Which generation a lookup goes to first does not matter while a live word never moves and never goes: what
/// stood when newest was loaded stands in one of them until the lookup is through.
#[test]
fn unneeded_newest_first() {
    unneeded("oldest_first", Fault::OldestFirst);
}

/// For the same reason a lookup that found nothing was right when it loaded newest, whatever was added since.
#[test]
fn unneeded_newest_again() {
    unneeded("newest_again", Fault::NewestNotLookedAtAgain);
}

/// A record prepared for an EMPTY word may be put into another one after a restart, since there was no record
/// of the key before. Once words become DEAD there may have been one, with a higher version.
#[test]
fn unneeded_fresh_insert() {
    unneeded("insert_reused", Fault::InsertReused);
}

/// Nor need the clock be read again, for the same reason.
#[test]
fn unneeded_clock_kept_over_growth() {
    unneeded("clock_kept.grows", Fault::ClockKept);
}
