//! Every rule of the protocol, left out once: the search must find what the rule is there for.

use crate::config::Verb::{
    Begin, BeginEffect, Complete, Heartbeat, Peek, Release, ResolveCompleted, ResolveReleased,
};
use crate::config::{Config, Fault, OnCrash, Program};
use crate::invariants::Broken;
use crate::search::search;

/// Two callers race for the key.
const RACE: &[Program] = &[&[Begin(0), Complete(0)], &[Begin(1), Complete(1)]];
/// A second caller meets a claim that heartbeats.
const BEATS: &[Program] = &[&[Begin(0), Heartbeat(0)], &[Begin(1)]];
/// A second caller meets a claim that marks its effect.
const EFFECT: &[Program] = &[&[Begin(0), BeginEffect(0)], &[Begin(1)]];
/// One thread of a claim releases it while another one marks the effect.
const RELEASE_EFFECT: &[Program] = &[&[Begin(0), Release(0)], &[BeginEffect(0)]];
/// An owner dies in its release.
const RELEASE: &[Program] = &[&[Begin(0), Release(0)], &[Begin(1)]];
/// Two threads complete one claim.
const TWO_COMPLETE: &[Program] = &[&[Begin(0), Complete(0)], &[Complete(0)]];
/// Two threads heartbeat one claim, and one of them begins afterwards.
const TWO_BEATS: &[Program] = &[&[Begin(0), Heartbeat(0)], &[Heartbeat(0), Begin(1)]];
/// One thread of a claim completes it while another one marks the effect; a third caller begins.
const COMPLETE_EFFECT: &[Program] = &[&[Begin(0), Complete(0)], &[BeginEffect(0)], &[Begin(1)]];
/// The same with a heartbeat.
const COMPLETE_BEATS: &[Program] = &[&[Begin(0), Complete(0)], &[Heartbeat(0)], &[Begin(1)]];
/// An operator resolves a claim that still heartbeats.
const RESOLVE_BEATS: &[Program] = &[&[Begin(0), Heartbeat(0)], &[ResolveReleased(0)]];
/// An operator completes a claim, and then its owner does.
const RESOLVE_COMPLETE: &[Program] = &[&[Begin(0), Complete(0)], &[ResolveCompleted(0)]];
/// Somebody looks at a claim that heartbeats.
const PEEK_BEATS: &[Program] = &[&[Begin(0), Heartbeat(0)], &[Peek]];
/// The index is lost after a release, and the key is used again.
const REBUILD: &[Program] = &[&[Begin(0), Release(0)], &[Begin(1)]];

/// Leaves the rule out and asks for the invariant that it protects.
pub(crate) fn breaks(name: &str, config: Config, broken: Broken) {
    let outcome = search(&config);
    let violations = usize::from(outcome.broken.is_some());
    let end = if outcome.exhausted { "exhausted" } else { "bounded" };
    let states = outcome.states;
    let (first, trace) = outcome.broken.unzip();
    let trace = trace.unwrap_or_default();
    if let Some(first) = first {
        println!("{first:?} after {} steps: {}\n{}", trace.len(), first.story(), trace.join("\n"));
    }
    println!("\nPROVE model.fault.{name} tried={states} violations={violations} target=found, {end}");
    let what = format!("without the rule {:?} another invariant broke first, or none", config.fault);
    assert_eq!(first, Some(broken), "{what}\n{}", trace.join("\n"));
}

/// One test for each rule: name, fault, the programs, what breaks; then what differs in the run.
macro_rules! faults {
    ($($name:ident: $fault:ident in $programs:ident breaks $broken:ident
        { $($field:ident: $value:expr),* })*) => {
        $(#[test]
        fn $name() {
            let config = Config { fault: Some(Fault::$fault), $($field: $value,)* ..Config::new($programs) };
            breaks(stringify!($name), config, Broken::$broken);
        })*
    };
}

pub(crate) use faults;

pub(crate) const UNMARKED: &[Broken] = &[Broken::AnsweredUnmarked];
const VERSION: &[Broken] = &[Broken::VersionFell];
const FENCE: &[Broken] = &[Broken::FenceFell];
const VERSION_AND_FENCE: &[Broken] = &[Broken::VersionFell, Broken::FenceFell];
const IN_DOUBT: OnCrash = OnCrash::InDoubt;

faults! {
    // Marks.
    marks_never_set: MarksNeverSet in RACE breaks AnswerLost { blind_to: UNMARKED }
    recovery_ignores_marks: RecoveryIgnoresMarks in RACE breaks RecoveryWrong {}
    winner_does_not_mark: WinnerDoesNotMark in RACE breaks AnswerLost { blind_to: UNMARKED }
    helping_skipped: HelpingSkipped in RACE breaks AnsweredUnmarked {}
    helping_skipped_loses_a_replay: HelpingSkipped in RACE breaks AnswerLost { blind_to: UNMARKED }
    look_without_help: LookWithoutHelp in TWO_COMPLETE breaks AnsweredUnmarked {}
    look_without_help_loses_an_ok: LookWithoutHelp in TWO_COMPLETE breaks AnswerLost { blind_to: UNMARKED }
    swap_before_body: SwapBeforeBody in RACE breaks TornRecordReached {}
    // Versions, fences and recovery.
    record_reused: RecordReused in RACE breaks VersionFell {}
    record_reused_misleads_recovery: RecordReused in RACE breaks RecoveryTie { blind_to: VERSION_AND_FENCE }
    version_is_clock_only: VersionIsClockOnly in RACE breaks VersionFell {}
    version_is_clock_only_misleads_recovery: VersionIsClockOnly in RACE breaks RecoveryTie
        { blind_to: VERSION }
    expiry_before_version: ExpiryBeforeVersion in RACE breaks RecoveryWrong { lease: 2 }
    rebuild_without_floor: RebuildWithoutFloor in REBUILD breaks FenceFell { late: Some(1) }
    rebuild_without_floor_loses_a_grant: RebuildWithoutFloor in REBUILD breaks AnswerLost
        { late: Some(1), blind_to: FENCE }
    // TAKEN.
    takeover_without_taken: TakeoverWithoutTaken in EFFECT breaks GrantOverEffect {}
    takeover_without_taken_robs: TakeoverWithoutTaken in BEATS breaks GrantOverLive {}
    expired_without_taken: ExpiredWithoutTaken in BEATS breaks GrantOverLive {}
    taken_by_plain_or: TakenByPlainOr in EFFECT breaks GrantOverEffect {}
    taken_by_plain_or_robs: TakenByPlainOr in BEATS breaks RobbedEarly {}
    taken_by_plain_or_in_release: TakenByPlainOr in RELEASE_EFFECT breaks EffectForgotten {}
    effect_ignores_taken: EffectIgnoresTaken in EFFECT breaks GrantOverEffect {}
    heartbeat_ignores_taken: HeartbeatIgnoresTaken in BEATS breaks RobbedEarly {}
    heartbeat_by_store: HeartbeatByStore in BEATS breaks GrantOverLive {}
    release_without_taken: ReleaseWithoutTaken in RELEASE_EFFECT breaks EffectForgotten {}
    resolve_without_taken: ResolveWithoutTaken in RESOLVE_BEATS breaks ResolvedUndoubted
        { on_crash: IN_DOUBT }
    taken_already_is_lost: TakenAlreadyIsLost in RELEASE breaks Spin {}
    taken_is_in_progress: TakenIsInProgress in RELEASE breaks TakenInProgress {}
    taken_is_lease_lost: TakenIsLeaseLost in COMPLETE_EFFECT breaks LeaseLostOverOwn {}
    // Judging.
    expiry_not_judged: ExpiryNotJudged in RACE breaks AnswerReplaced {}
    on_crash_not_judged: OnCrashNotJudged in RACE breaks GrantOverLive { on_crash: IN_DOUBT }
    effect_not_judged: EffectNotJudged in EFFECT breaks GrantOverEffect {}
    control_before_clock: ControlBeforeClock in PEEK_BEATS breaks BaselessDoubt { lease: 2 }
    release_forgets_effect: ReleaseForgetsEffect in RELEASE_EFFECT breaks EffectForgotten {}
    // Swaps of the word.
    insert_stores_blindly: InsertStoresBlindly in RACE breaks IllegalWord {}
    insert_stores_over_a_claim: InsertStoresBlindly in RACE breaks VersionFell { foreign: 0 }
    lost_insert_takes_next_slot: LostInsertTakesNextSlot in RACE breaks TwoLiveWords {}
    complete_stores_blindly: CompleteStoresBlindly in RACE breaks VersionFell {}
    complete_stores_blindly_over_a_grant: CompleteStoresBlindly in RACE breaks ForeignResult
        { blind_to: VERSION }
    fence_ignored: FenceIgnored in RACE breaks ForeignResult {}
    holder_ignored: HolderIgnored in RESOLVE_COMPLETE breaks OkForForeignResult { on_crash: IN_DOUBT }
    lost_swap_is_lease_lost: LostSwapIsLeaseLost in TWO_COMPLETE breaks LeaseLostOverOwn {}
    // The claim's verbs on its control word.
    effect_no_second_look: EffectNoSecondLook in COMPLETE_EFFECT breaks OldOwnerActs {}
    heartbeat_no_second_look: HeartbeatNoSecondLook in COMPLETE_BEATS breaks OldOwnerActs {}
    heartbeat_lowers_deadline: HeartbeatLowersDeadline in TWO_BEATS breaks RobbedEarly {}
    effect_ok_after_completion: EffectOkAfterCompletion in COMPLETE_EFFECT breaks EffectAfterCompletion {}
}

/// Programs in which a rule that is not needed here would show its need.
const EVERYTHING: [&[Program]; 11] = [
    RACE,
    BEATS,
    EFFECT,
    RELEASE_EFFECT,
    TWO_COMPLETE,
    TWO_BEATS,
    COMPLETE_EFFECT,
    COMPLETE_BEATS,
    RESOLVE_BEATS,
    RESOLVE_COMPLETE,
    &[&[Begin(0), Complete(0), Begin(2)], &[BeginEffect(0), Heartbeat(0), Release(0)]],
];

/// Leaves a rule out and expects that nothing breaks: the rule earns its place elsewhere.
pub(crate) fn unneeded(name: &str, fault: Fault, everything: &[&[Program]]) {
    let mut states = 0;
    for programs in everything {
        for on_crash in [OnCrash::Rerun, OnCrash::InDoubt] {
            let config = Config { on_crash, deaths: 0, progress: false, ..Config::new(programs) };
            let config = Config { foreign: u8::from(!config.extended), ..config };
            let outcome = search(&Config { fault: Some(fault), ..config });
            let broken = outcome.broken.map(|(broken, _)| broken);
            assert!(outcome.exhausted, "{broken:?}: the model shows the need now, move {fault:?} up");
            states += outcome.states;
        }
    }
    println!("\nPROVE model.unneeded.{name} tried={states} violations=0 target=exhausted");
}

/// A verb that starts again must read the clock again. One generation cannot show why: the version
/// is raised above the record replaced anyway. The rule is needed as soon as a dead word of the key
/// can be passed by, and the new word stands in an EMPTY slot.
#[test]
fn unneeded_clock_kept() {
    unneeded("clock_kept", Fault::ClockKept, &EVERYTHING);
}

/// The look before the control word is a courtesy: it spares a swap on the record of a claim that is
/// over. What keeps a replaced owner from acting is the look after the swap.
#[test]
fn unneeded_first_look() {
    unneeded("first_look", Fault::NoFirstLook, &EVERYTHING);
}
