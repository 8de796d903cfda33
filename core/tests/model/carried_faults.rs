//! Every rule of `carried`, left out once. The last ones are those that the search asked for.

use crate::config::Verb::{
    Adopt, Begin, BeginEffect, Checkpoint, Complete, Forget, HandOver, Heartbeat, MarkSeen, Peek, Release,
    ResolveReleased,
};
use crate::config::{Config, Fault, Program};
use crate::faults::{UNMARKED, breaks, faults, unneeded};
use crate::invariants::Broken;

/// One thread of a claim leaves a checkpoint while another one marks the effect.
const CHECKPOINT_EFFECT: &[Program] = &[&[Begin(0), Checkpoint(0)], &[BeginEffect(0)]];
/// The same with a heartbeat.
const CHECKPOINT_BEATS: &[Program] = &[&[Begin(0), Checkpoint(0)], &[Heartbeat(0)]];
/// One thread of a claim leaves a checkpoint while another one completes it.
const CHECKPOINT_COMPLETE: &[Program] = &[&[Begin(0), Checkpoint(0)], &[Complete(0)]];
/// A checkpoint is left, and the claim given up or lost.
const CHECKPOINT_RELEASE: &[Program] = &[&[Begin(0), Checkpoint(0), Release(0)], &[Begin(1)]];
/// A claim is handed over.
const HAND_OVER: &[Program] = &[&[Begin(0), HandOver(0)], &[Adopt(0, 1)]];
/// It is handed over after heartbeats, and adopted on a later clock.
const HAND_OVER_BEATS: &[Program] = &[&[Begin(0), Heartbeat(0), HandOver(0)], &[Adopt(0, 1)]];
/// It is handed over and resolved or taken over.
const HAND_OVER_BEGIN: &[Program] = &[&[Begin(0), HandOver(0)], &[Begin(2)], &[Adopt(0, 1)]];
/// Two adopt it.
const TWO_ADOPT: &[Program] = &[&[Begin(0), HandOver(0), Adopt(0, 1)], &[Adopt(0, 2)]];
/// It is handed over, taken over, and the taker hands over, too.
const TWO_HAND_OVER: &[Program] = &[&[Begin(0), HandOver(0), Begin(2), HandOver(2)], &[Adopt(0, 1)]];
/// The adopter hands over again.
const AGAIN: &[Program] = &[&[Begin(0), HandOver(0), Adopt(0, 1), HandOver(1), Adopt(1, 3)], &[Adopt(0, 2)]];
/// One thread hands over and adopts again; another one goes on with the claim that was handed over.
const BACK: &[Program] =
    &[&[Begin(0), HandOver(0), Adopt(0, 1), Complete(1)], &[Complete(0), BeginEffect(0)]];
/// The same, and the other one completes twice.
const BACK_TWICE: &[Program] =
    &[&[Begin(0), HandOver(0), Adopt(0, 1), Complete(1)], &[Complete(0), Complete(0)]];
/// The same, and the adopter goes no further.
const BACK_AND_ENDS: &[Program] = &[&[Begin(0), HandOver(0), Adopt(0, 1)], &[Complete(0), Complete(0)]];
/// One thread hands over; another one completes.
const HAND_OVER_COMPLETE: &[Program] = &[&[Begin(0), HandOver(0)], &[Complete(0), BeginEffect(0)]];
/// One thread hands over; another one completes and marks the effect; a third adopts.
const HAND_OVER_EFFECT: &[Program] =
    &[&[Begin(0), HandOver(0)], &[Complete(0), BeginEffect(0)], &[Adopt(0, 1)]];
/// A key is forgotten while it is used.
const FORGET: &[Program] = &[&[Begin(0), Complete(0)], &[Forget, Begin(1)]];
/// A key is forgotten while somebody looks at it.
const FORGET_PEEK: &[Program] = &[&[Begin(0), Complete(0)], &[Forget], &[Peek]];
/// A key is noted twice.
const SEEN: &[Program] = &[&[MarkSeen], &[MarkSeen]];
/// A key is noted while it is claimed.
const SEEN_BEGIN: &[Program] = &[&[Begin(0), Complete(0)], &[MarkSeen]];

/// All claims in one process.
const ONE: [u8; 4] = [1; 4];
const SEEN_BLIND: &[Broken] = &[Broken::AnsweredUnmarked, Broken::AnswerLost, Broken::RecoveryWrong];
const DAMAGE: &[Broken] = &[Broken::FalseDamage];
const ITSELF: &[Broken] = &[Broken::LeaseLostOverItself];
const FOREIGN: &[Broken] = &[Broken::ForeignResult];
const SPENT: &[Broken] = &[Broken::SpentClaimActs, Broken::ForeignResult];

faults! {
    checkpoint_without_lock: CheckpointWithoutLock in CHECKPOINT_EFFECT breaks EffectLost {}
    checkpoint_without_lock_hides: CheckpointWithoutLock in CHECKPOINT_BEATS breaks LeaseLostOverItself {}
    checkpoint_without_lock_lowers: CheckpointWithoutLock in CHECKPOINT_BEATS breaks DeadlineLowered
        { blind_to: ITSELF }
    carry_drops_effect: CarryDropsEffect in CHECKPOINT_EFFECT breaks EffectLost {}
    carry_keeps_first_deadline: CarryKeepsFirstDeadline in CHECKPOINT_BEATS breaks DeadlineLowered {}
    adopt_lowers_deadline: AdoptLowersDeadline in HAND_OVER_BEATS breaks DeadlineLowered { longer: 1 }
    completion_does_not_wait: CompletionDoesNotWait in CHECKPOINT_COMPLETE breaks LeaseLostOverItself {}
    release_drops_checkpoint: ReleaseDropsCheckpoint in CHECKPOINT_RELEASE breaks CheckpointLost {}
    takeover_drops_checkpoint: TakeoverDropsCheckpoint in CHECKPOINT_RELEASE breaks CheckpointLost {}
    bytes_before_swap: BytesBeforeSwap in HAND_OVER breaks GaveWhatItHolds {}
    bytes_before_mark: BytesBeforeMark in HAND_OVER breaks AnsweredUnmarked {}
    bytes_before_mark_lost: BytesBeforeMark in HAND_OVER breaks AnswerLost { blind_to: UNMARKED }
    hand_over_keeps_holder: HandOverKeepsHolder in HAND_OVER breaks GaveWhatItHolds {}
    adopt_ignores_holder: AdoptIgnoresHolder in TWO_ADOPT breaks ForeignCarry {}
    adopt_ignores_fence: AdoptIgnoresFence in TWO_HAND_OVER breaks ForeignCarry {}
    spent_not_checked: SpentNotChecked in BACK breaks FalseDamage { holders: ONE }
    spent_not_checked_acts: SpentNotChecked in BACK breaks SpentClaimActs
        { holders: ONE, blind_to: DAMAGE, progress: false }
    forget_not_judged: ForgetNotJudged in FORGET breaks ForgotTheLiving {}
    forget_writes_nothing: ForgetWritesNothing in FORGET breaks ForgottenReturns {}
    forget_empties: ForgetEmpties in FORGET breaks RecoveryWrong {}
    forgotten_not_believed: ForgottenNotBelieved in FORGET breaks ForgottenReturns {}
    seen_not_marked: SeenNotMarked in SEEN breaks AnsweredUnmarked {}
    seen_not_marked_lost: SeenNotMarked in SEEN breaks AnswerLost { blind_to: UNMARKED }
    seen_not_marked_twice: SeenNotMarked in SEEN breaks SeenTwice { blind_to: SEEN_BLIND, late: Some(1) }
    seen_ignores_claims: SeenIgnoresClaims in SEEN_BEGIN breaks RobbedEarly {}
    // What the search asked for.
    spent_claim_knows_word: SpentClaimKnowsWord in HAND_OVER_COMPLETE breaks ForeignResult {}
    end_clears_spent: EndClearsSpent in BACK_TWICE breaks FalseDamage { holders: ONE }
    end_clears_spent_acts: EndClearsSpent in BACK_TWICE breaks SpentClaimActs
        { holders: ONE, blind_to: DAMAGE, progress: false }
    spent_not_seen_after_look: SpentNotSeenAfterLook in BACK breaks SpentClaimActs { holders: ONE }
    hand_over_as_first_written: HandOverAsFirstWritten in HAND_OVER_EFFECT breaks SpentClaimActs
        { blind_to: FOREIGN }
    hand_over_as_first_written_loses_an_effect: HandOverAsFirstWritten in HAND_OVER_EFFECT breaks EffectLost
        { blind_to: SPENT }
    hand_over_as_first_written_tells_damage: HandOverAsFirstWritten in BACK_AND_ENDS breaks FalseDamage
        { holders: ONE, blind_to: SPENT }
    adopt_by_fence_alone: AdoptByFenceAlone in AGAIN breaks AdoptedTwice {}
}

/// Programs in which a rule that is not needed here would show its need.
const EVERYTHING: [&[Program]; 9] = [
    CHECKPOINT_RELEASE,
    HAND_OVER_BEGIN,
    TWO_ADOPT,
    TWO_HAND_OVER,
    FORGET,
    FORGET_PEEK,
    SEEN_BEGIN,
    &[&[Begin(0), BeginEffect(0), HandOver(0)], &[Adopt(0, 1)], &[ResolveReleased(0), Begin(2)]],
    &[&[Begin(0), Checkpoint(0), Release(0)], &[Peek], &[Begin(1)]],
];

/// adopt refuses a claim that is TAKEN, as its owner's own verbs would. That only spares the taker a lost
/// swap: whoever swaps the word first has won, and the taker that loses finds a lease that runs.
#[test]
fn unneeded_adopt_looks_at_taken() {
    unneeded("adopt_ignores_taken", Fault::AdoptIgnoresTaken, &EVERYTHING);
}

/// A verb by key loads its slot again after it judged. In one generation, and with the clock read before
/// the probe, an answer from a record replaced meanwhile was true when the word was loaded first.
#[test]
fn unneeded_second_look() {
    unneeded("no_relook", Fault::NoRelook, &EVERYTHING);
}
