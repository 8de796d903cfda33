//! What must never happen, each with its story, and the checks that look at a whole state.

use crate::config::{Config, Fault, OnCrash};
use crate::state::{Control, Id, Kind, Record, Seal, State, Word};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    TwoLiveWords,
    IllegalWord,
    TornRecordReached,
    GrantOverLive,
    GrantOverEffect,
    RobbedEarly,
    OldOwnerActs,
    EffectAfterCompletion,
    EffectForgotten,
    ForeignResult,
    OkForForeignResult,
    ResolvedUndoubted,
    AnswerReplaced,
    AnswerLost,
    LeaseLostOverOwn,
    AnsweredUnmarked,
    BaselessDoubt,
    TakenInProgress,
    VersionFell,
    FenceFell,
    RecoveryTie,
    RecoveryWrong,
    Spin,
    LeaseLostOverItself,
    EffectLost,
    DeadlineLowered,
    CheckpointLost,
    ForeignCarry,
    SpentClaimActs,
    GaveWhatItHolds,
    AdoptedTwice,
    FalseDamage,
    ForgotTheLiving,
    ForgottenReturns,
    SeenTwice,
    GrantBeside,
    Overlooked,
    ListedTwice,
    FilterDenies,
}

impl Broken {
    pub(crate) fn story(self) -> &'static str {
        match self {
            Broken::TwoLiveWords => "a key has two words: two owners, each unseen by the other",
            Broken::IllegalWord => "a word changed in a way that the table of transitions does not know",
            Broken::TornRecordReached => "a word led to a record whose checksum is not there yet",
            Broken::GrantOverLive => "Started replaced a record that still stood",
            Broken::GrantOverEffect => "Started replaced a claim with EFFECT: the effect may run twice",
            Broken::RobbedEarly => "an owner was replaced before the deadline that it had been told",
            Broken::OldOwnerActs => "heartbeat or begin_effect said Ok to an owner already replaced",
            Broken::EffectAfterCompletion => "begin_effect said Ok to a claim that was completed",
            Broken::EffectForgotten => "Released was written over EFFECT, and nobody asserted anything",
            Broken::ForeignResult => "a result replaced a record that was not its own claim",
            Broken::OkForForeignResult => "Ok was answered for a result that somebody else wrote",
            Broken::ResolvedUndoubted => "resolve replaced a claim that was not in doubt",
            Broken::AnswerReplaced => "an answered completion was replaced before its expiry",
            Broken::AnswerLost => "a rebuild of the index would lose what a caller was told",
            Broken::LeaseLostOverOwn => "LeaseLost was answered while the claim's own completion stood",
            Broken::AnsweredUnmarked => "an answer came from a record without COMMITTED",
            Broken::BaselessDoubt => "a claim was called InDoubt or orphaned that had never been late",
            Broken::TakenInProgress => "InProgress was answered for a claim whose owner is shut out",
            Broken::VersionFell => "the word went to a record whose version is not higher",
            Broken::FenceFell => "a grant's fence is not above all that somebody may have been told",
            Broken::RecoveryTie => "two records share the highest version: recovery has to guess",
            Broken::RecoveryWrong => "recovery finds neither the current record nor its predecessor",
            Broken::Spin => "a thread alone goes round for ever",
            Broken::LeaseLostOverItself => "LeaseLost was answered while the claim itself stood",
            Broken::EffectLost => "an effect was told, and the claim stands without its mark",
            Broken::DeadlineLowered => "a deadline was told, and the claim stands with an earlier one",
            Broken::CheckpointLost => "a checkpoint was told, and whoever goes on will not find it",
            Broken::ForeignCarry => "a claim was carried on by somebody who could not know that it is free",
            Broken::SpentClaimActs => "a claim that was handed over still did something",
            Broken::GaveWhatItHolds => "hand_over gave out bytes of a claim that still has its holder",
            Broken::AdoptedTwice => "two adopters of the same bytes were told that the claim is theirs",
            Broken::FalseDamage => "damage was answered although nothing is damaged",
            Broken::ForgotTheLiving => "forget replaced a record that was no end",
            Broken::ForgottenReturns => "what was forgotten is there again",
            Broken::GrantBeside => "Started in one generation beside a record that stands in another",
            Broken::Overlooked => "absent, or no room, was answered for a key that was there before the look",
            Broken::ListedTwice => "a walk met one key twice",
            Broken::FilterDenies => "a filter denies a key that its generation has",
            Broken::SeenTwice => "a second caller was the first, although a key was noted as seen",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    InProgress,
    Expired,
    InDoubt,
    Orphaned,
    Released,
    Completed,
}

/// Judging a record at a time `now`: the table of the protocol, row by row.
pub(crate) fn judge(record: &Record, control: Control, now: u8, config: &Config) -> Standing {
    if record.kind == Kind::Claim {
        let taken = control.taken && !config.has(Fault::TakenIsInProgress);
        let in_doubt = config.on_crash == OnCrash::InDoubt && !config.has(Fault::OnCrashNotJudged);
        let effect = control.effect && !config.has(Fault::EffectNotJudged);
        return if !taken && control.deadline > now {
            Standing::InProgress
        } else if now >= control.deadline + config.retention {
            Standing::Expired
        } else if effect || in_doubt {
            Standing::InDoubt
        } else {
            Standing::Orphaned
        };
    }
    match record.kind {
        Kind::Released => Standing::Released,
        Kind::Forgotten => Standing::Expired,
        _ if now >= record.expiry || config.has(Fault::ExpiryNotJudged) => Standing::Expired,
        Kind::InDoubt => Standing::InDoubt,
        _ => Standing::Completed,
    }
}

/// Past its deadline or TAKEN: what lets somebody else act on a claim.
pub(crate) fn is_late(control: Control, clock: u8) -> bool {
    control.taken || control.deadline <= clock
}

/// What a rebuild would put into the index now. Of equal versions it would have to guess.
pub(crate) fn recovered(state: &State, config: &Config) -> Result<Option<Id>, Broken> {
    Ok(winner(state, config)?.filter(|id| !is_absent(state, *id, config)))
}

fn is_absent(state: &State, id: Id, config: &Config) -> bool {
    let r = state.record(id);
    matches!(judge(r, r.control, state.clock, config), Standing::Expired | Standing::Released)
}

/// The record of the highest version, whether it is absent or not.
pub(crate) fn winner(state: &State, config: &Config) -> Result<Option<Id>, Broken> {
    let mut winner: Option<(Id, u8)> = None;
    let mut tie = false;
    for (id, record) in (0..).zip(&state.log) {
        let Some(r) = record.filter(|r| {
            let marked = r.control.committed || config.has(Fault::RecoveryIgnoresMarks);
            let first = config.has(Fault::ExpiryBeforeVersion) && is_absent(state, id, config);
            let passed = config.has(Fault::ForgottenNotBelieved) && r.kind == Kind::Forgotten;
            r.complete && marked && !first && !passed
        }) else {
            continue;
        };
        match winner {
            Some((_, best)) if best > r.version => {}
            Some((_, best)) if best == r.version => tie = true,
            _ => (winner, tie) = (Some((id, r.version)), false),
        }
    }
    if tie {
        return Err(Broken::RecoveryTie);
    }
    Ok(winner.map(|(id, _)| id))
}

/// The checks made in every state.
pub(crate) fn check(state: &State, config: &Config) -> Result<(), Broken> {
    if state.slots.iter().filter(|word| matches!(word, Word::Record(_))).count() > 1 {
        return Err(Broken::TwoLiveWords);
    }
    if config.shape.len() > 1 {
        denies_none(state, config)?;
    }
    let current = state.current();
    let found = recovered(state, config)?;
    let told = current.filter(|id| state.record(*id).answered);
    let expected = match current {
        Some(id) if state.record(id).control.committed => Some(id),
        _ if state.before == crate::state::NONE => None,
        _ => Some(state.before),
    };
    let absent = |id: Id| is_absent(state, id, config);
    if config.extended {
        keeps_its_word(state, config, current)?;
        let forgotten =
            |id: Id| state.record(id).kind == Kind::Forgotten && state.record(id).control.committed;
        if current.is_some_and(forgotten) && found.is_some() {
            return Err(Broken::ForgottenReturns);
        }
    }
    if told.is_some_and(|id| !absent(id) && found != Some(id)) {
        return unless_blind(config, Broken::AnswerLost);
    }
    if found != expected.filter(|id| !absent(*id)) {
        return unless_blind(config, Broken::RecoveryWrong);
    }
    Ok(())
}

/// No filter denies a key that is in its generation.
fn denies_none(state: &State, config: &Config) -> Result<(), Broken> {
    for (generation, seal) in (0..).zip(&state.seals[..config.shape.len() - 1]) {
        let words = config.first_slot(generation)..config.first_slot(generation + 1);
        let has = words.into_iter().any(|slot| matches!(state.slots[usize::from(slot)], Word::Record(_)));
        if has && matches!(seal, Seal::Linked(false) | Seal::Told(false)) {
            unless_blind(config, Broken::FilterDenies)?;
        }
    }
    Ok(())
}

/// What callers were told is in the record that stands, and in the one that a rebuild would find.
fn keeps_its_word(state: &State, config: &Config, current: Option<Id>) -> Result<(), Broken> {
    let told = &state.told;
    for id in [current, winner(state, config)?].into_iter().flatten() {
        let r = state.record(id);
        let claim = r.kind == Kind::Claim;
        if claim && told.effect == r.fence + 1 && !r.control.effect {
            unless_blind(config, Broken::EffectLost)?;
        }
        if claim && told.lease.0 == r.fence + 1 && r.control.deadline < told.lease.1 {
            unless_blind(config, Broken::DeadlineLowered)?;
        }
        let carries = matches!(r.kind, Kind::Claim | Kind::Released | Kind::InDoubt);
        if carries && r.checkpoint < told.checkpoint {
            unless_blind(config, Broken::CheckpointLost)?;
        }
    }
    Ok(())
}

pub(crate) fn unless_blind(config: &Config, broken: Broken) -> Result<(), Broken> {
    if config.blind_to.contains(&broken) { Ok(()) } else { Err(broken) }
}
