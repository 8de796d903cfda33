//! What one run searches: programs, clocks, deaths, and the rule that is left out, if any.

use crate::invariants::Broken;
use crate::state::{CLAIMS, Pc, THREADS, Thread};

/// A verb of a program. The number names the claim that the verb makes or uses; two threads that
/// name the same claim share it, as two threads of one process do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Begin(usize),
    Complete(usize),
    Heartbeat(usize),
    BeginEffect(usize),
    /// release, and drop of a claim.
    Release(usize),
    /// release by a caller who asserts that nothing happened.
    ReleaseClean(usize),
    /// resolve with the fence of that claim.
    ResolveCompleted(usize),
    ResolveReleased(usize),
    Peek,
    Checkpoint(usize),
    HandOver(usize),
    /// adopt: the claim whose bytes it has, and the claim that it makes of them.
    Adopt(usize, usize),
    Forget,
    MarkSeen,
}

impl Verb {
    /// The claim whose handle (for resolve: whose fence) the verb needs.
    pub(crate) fn uses(self) -> Option<usize> {
        match self {
            Verb::Begin(_) | Verb::Peek | Verb::Adopt(..) | Verb::Forget | Verb::MarkSeen => None,
            Verb::Checkpoint(c) | Verb::HandOver(c) => Some(c),
            Verb::Complete(c) | Verb::Heartbeat(c) | Verb::BeginEffect(c) => Some(c),
            Verb::Release(c) | Verb::ReleaseClean(c) => Some(c),
            Verb::ResolveCompleted(c) | Verb::ResolveReleased(c) => Some(c),
        }
    }
}

impl Verb {
    /// The claim that the verb makes, if it is granted.
    pub(crate) fn makes(self) -> Option<usize> {
        match self {
            Verb::Begin(c) | Verb::Adopt(_, c) => Some(c),
            _ => None,
        }
    }

    /// Verbs that replace the claim by another record of it, and so need the claim's lock.
    fn carries(self, claim: usize) -> bool {
        self == Verb::Checkpoint(claim) || self == Verb::HandOver(claim)
    }
}

pub(crate) type Program = &'static [Verb];

/// One rule of the protocol, left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nobody sets COMMITTED.
    MarksNeverSet,
    /// Recovery believes records without COMMITTED.
    RecoveryIgnoresMarks,
    /// The winner of a swap answers without setting COMMITTED.
    WinnerDoesNotMark,
    /// begin, resolve and peek act on what they find without setting COMMITTED.
    HelpingSkipped,
    /// A claim's verb answers from what it sees in its slot without setting COMMITTED.
    LookWithoutHelp,
    /// A record appended before a restart is swapped in after it.
    RecordReused,
    /// begin swaps the slot of an orphan without setting TAKEN first.
    TakeoverWithoutTaken,
    /// begin swaps the slot of an expired claim without setting TAKEN first.
    ExpiredWithoutTaken,
    /// begin_effect does not look at TAKEN.
    EffectIgnoresTaken,
    /// heartbeat does not look at TAKEN.
    HeartbeatIgnoresTaken,
    /// heartbeat stores its control word instead of comparing and swapping.
    HeartbeatByStore,
    /// TAKEN is set whatever the control word has become since it was judged.
    TakenByPlainOr,
    ReleaseWithoutTaken,
    ResolveWithoutTaken,
    /// TAKEN found set counts as a lost swap: again from the probe.
    TakenAlreadyIsLost,
    /// version = now, however high the version of the record replaced.
    VersionIsClockOnly,
    /// Recovery leaves expired and released records out before it looks for the highest version.
    ExpiryBeforeVersion,
    /// begin stores its word into what was EMPTY without comparing.
    InsertStoresBlindly,
    /// complete stores its word without comparing.
    CompleteStoresBlindly,
    /// complete goes on with whatever claim it finds after a lost swap.
    FenceIgnored,
    /// After a lost swap the fence alone makes a result the claim's own.
    HolderIgnored,
    /// A lost swap is LeaseLost, without a look at the slot.
    LostSwapIsLeaseLost,
    /// A lost insert goes on with the next slot, without a look at this one.
    LostInsertTakesNextSlot,
    /// heartbeat and begin_effect go to the control word without a look at the slot first.
    NoFirstLook,
    /// Judging calls every completion expired.
    ExpiryNotJudged,
    /// Judging passes over on_crash = in_doubt.
    OnCrashNotJudged,
    /// Judging passes over EFFECT.
    EffectNotJudged,
    /// Judging calls a TAKEN claim InProgress as long as its deadline is ahead.
    TakenIsInProgress,
    /// release writes Released although EFFECT is set and nothing was asserted.
    ReleaseForgetsEffect,
    /// The word is swapped to a record before its body and checksum are there.
    SwapBeforeBody,
    /// begin_effect answers Ok without looking at its slot again after its swap.
    EffectNoSecondLook,
    /// heartbeat answers Ok without looking at its slot again after its swap.
    HeartbeatNoSecondLook,
    /// heartbeat swaps in its deadline though the one that stands is later.
    HeartbeatLowersDeadline,
    /// heartbeat and begin_effect that meet TAKEN answer LeaseLost without a look at the slot.
    TakenIsLeaseLost,
    /// begin_effect answers Ok when the claim's own completion is in the slot.
    EffectOkAfterCompletion,
    /// A verb judges the control word that it loaded before it read the clock.
    ControlBeforeClock,
    /// A verb that starts again keeps its first reading of the clock.
    ClockKept,
    /// A rebuild leaves absent winners out, and no floor for the versions to come.
    RebuildWithoutFloor,
    /// checkpoint does not take the claim's lock.
    CheckpointWithoutLock,
    /// The record that carries a claim on has no effect mark.
    CarryDropsEffect,
    /// The record that carries a claim on has the deadline that the old one was written with.
    CarryKeepsFirstDeadline,
    /// adopt gives its own lease, though the deadline that stands is later.
    AdoptLowersDeadline,
    /// A completion that lost to its own claim's checkpoint is LeaseLost.
    CompletionDoesNotWait,
    /// The bytes of a hand over are given out before its swap.
    BytesBeforeSwap,
    /// The bytes of a hand over are given out before its record is marked.
    BytesBeforeMark,
    /// The record of a hand over names the holder that leaves.
    HandOverKeepsHolder,
    /// The claim that was handed over knows the new word and would end that.
    SpentClaimKnowsWord,
    /// Whoever ends a claim, or finds it lost, clears the flag that it was handed over.
    EndClearsSpent,
    /// A completion that lost its swap does not look at the flag again.
    SpentNotSeenAfterLook,
    /// Nobody looks whether the claim was handed over.
    SpentNotChecked,
    /// adopt takes a claim that has a holder.
    AdoptIgnoresHolder,
    /// adopt takes whatever claim it finds without a holder.
    AdoptIgnoresFence,
    /// adopt looks at the fence alone, so the bytes of an earlier hand over are as good.
    AdoptByFenceAlone,
    /// The four rules of hand over that the search asked for, all left out.
    HandOverAsFirstWritten,
    /// adopt does not look at TAKEN.
    AdoptIgnoresTaken,
    /// forget replaces what it finds, whatever it is.
    ForgetNotJudged,
    /// forget answers true and writes nothing.
    ForgetWritesNothing,
    /// forget makes the word EMPTY.
    ForgetEmpties,
    /// A rebuild passes over Forgotten records.
    ForgottenNotBelieved,
    /// A verb answers from a record without a second look at its slot.
    NoRelook,
    /// mark_seen does not set COMMITTED.
    SeenNotMarked,
    /// mark_seen replaces a claim whose lease runs.
    SeenIgnoresClaims,
    /// release writes no checkpoint.
    ReleaseDropsCheckpoint,
    /// begin over an orphan writes no checkpoint.
    TakeoverDropsCheckpoint,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnCrash {
    Rerun,
    InDoubt,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) programs: [Program; THREADS],
    pub(crate) on_crash: OnCrash,
    /// Some program has a verb of `carried`: the runs without any are kept as small as they can be.
    pub(crate) extended: bool,
    /// Claims whose verbs take a lock, and claims that may be handed over.
    pub(crate) locks: [bool; CLAIMS],
    pub(crate) hands: [bool; CLAIMS],
    /// The process of each claim: two claims of one process have one holder.
    pub(crate) holders: [u8; CLAIMS],
    pub(crate) lease: u8,
    /// How much longer a heartbeat makes the lease than a begin does.
    pub(crate) longer: u8,
    pub(crate) ttl: u8,
    pub(crate) retention: u8,
    /// The clock's last value.
    pub(crate) ticks: u8,
    /// How many threads may die, each at any step.
    pub(crate) deaths: u8,
    /// How many words of other keys may appear, each in any EMPTY slot.
    pub(crate) foreign: u8,
    /// The index may be lost once, with every thread; this thread runs only after the rebuild.
    pub(crate) late: Option<usize>,
    /// A record becomes complete one step after its length is there.
    pub(crate) torn: bool,
    /// Check in every state that each thread alone can finish its verb.
    pub(crate) progress: bool,
    pub(crate) fault: Option<Fault>,
    /// Invariants that are not checked, so that deeper ones speak.
    pub(crate) blind_to: &'static [Broken],
    /// States after which the search stops.
    pub(crate) limit: usize,
}

impl Config {
    /// Short clocks, one death, one foreign word, no fault.
    pub(crate) fn new(programs: &[Program]) -> Config {
        let mut all: [Program; THREADS] = [&[]; THREADS];
        all[..programs.len()].copy_from_slice(programs);
        let any = |wanted: &dyn Fn(Verb) -> bool| programs.iter().any(|p| p.iter().any(|v| wanted(*v)));
        let new = |v: Verb| {
            use Verb::{Adopt, Checkpoint, Forget, HandOver, MarkSeen};
            matches!(v, Checkpoint(_) | HandOver(_) | Adopt(..) | Forget | MarkSeen)
        };
        Config {
            programs: all,
            on_crash: OnCrash::Rerun,
            extended: any(&new),
            locks: std::array::from_fn(|claim| any(&|v| v.carries(claim))),
            hands: std::array::from_fn(|claim| any(&|v| v == Verb::HandOver(claim))),
            holders: [1, 2, 3, 4],
            lease: 1,
            longer: 0,
            ttl: 1,
            retention: 1,
            ticks: 3,
            deaths: 1,
            foreign: 1,
            late: None,
            torn: false,
            progress: true,
            fault: None,
            blind_to: &[],
            limit: 20_000_000,
        }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        use Fault::{AdoptByFenceAlone, EndClearsSpent, SpentClaimKnowsWord, SpentNotSeenAfterLook};
        let asked = [SpentClaimKnowsWord, EndClearsSpent, SpentNotSeenAfterLook, AdoptByFenceAlone];
        self.fault == Some(fault)
            || self.fault == Some(Fault::HandOverAsFirstWritten) && asked.contains(&fault)
    }

    /// With these faults recovery may choose a record that the rules would never let it choose.
    pub(crate) fn recovery_reads_all(&self) -> bool {
        use Fault::{ExpiryBeforeVersion, ForgottenNotBelieved, RecoveryIgnoresMarks};
        matches!(self.fault, Some(RecoveryIgnoresMarks | ExpiryBeforeVersion | ForgottenNotBelieved))
    }

    /// Whether a verb still to come, or under way, names the claim.
    pub(crate) fn still_used(&self, claim: usize, threads: &[Thread; THREADS]) -> bool {
        threads.iter().zip(&self.programs).any(|(thread, program)| {
            let rest = program.get(thread.verb as usize..).unwrap_or(&[]);
            thread.pc != Pc::Dead && rest.iter().any(|verb| verb.uses() == Some(claim))
        })
    }

    /// Whether an adopt of that claim's bytes is still to come, or under way.
    pub(crate) fn still_adopted(&self, claim: usize, threads: &[Thread; THREADS]) -> bool {
        threads.iter().zip(&self.programs).any(|(thread, program)| {
            let rest = program.get(thread.verb as usize..).unwrap_or(&[]);
            let adopts = |verb: &Verb| matches!(verb, Verb::Adopt(from, _) if *from == claim);
            thread.pc != Pc::Dead && rest.iter().any(adopts)
        })
    }
}
