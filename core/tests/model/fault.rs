//! The rules that a run may leave out.

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
    /// begin passes an EMPTY word of an older generation by.
    ChainsNotClosed,
    /// begin that lost the swap which closes a chain takes it for closed.
    LostCloseIsClosed,
    /// The same, unless its own key is there now.
    LostCloseToOtherIsClosed,
    /// Nobody looks at the older generations.
    OlderNotProbed,
    /// A chain that is full in the newest generation ends the search for the key.
    FullIsAbsent,
    /// begin that meets FROZEN in the generation it took for the newest goes on with that generation.
    NewestKept,
    /// Growth stores newest instead of comparing and swapping.
    NewestByStore,
    /// The newest generation is sealed with the older ones.
    NewestIsSealed,
    /// The filter is built of a generation that still has EMPTY words.
    FilterBeforeClosed,
    /// The filter is built of what the closing saw before it closed.
    FilterOfClosing,
    /// A walk ends with the generation that was the newest when it began.
    WalkEndsEarly,
    /// A lookup goes through the generations from the oldest to the newest.
    OldestFirst,
    /// A lookup answers absent without a second look at newest.
    NewestNotLookedAtAgain,
    /// A record written for an EMPTY word is swapped into another EMPTY word after a restart.
    InsertReused,
}
