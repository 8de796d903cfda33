//! The invariants, a function each. They judge only what is certain: a verb whose worker died inside it may
//! have been done or not, and a moment between two readings of the clock may be either.

use std::collections::HashMap;

use super::history::{Grant, History, ms};
use super::journal::{Answer, Answered, Call, Detail, Verb};
use super::{carried, notes};

/// A broken rule, and what shows it.
pub type Broken = (&'static str, String);

type Rule = fn(&History<'_>, &mut Vec<Broken>);

pub const RULES: [Rule; 19] = [
    answers_are_of_the_contract,
    fences_grow,
    one_owner_at_a_time,
    a_stale_fence_changes_nothing,
    a_completion_stands,
    a_replay_is_what_was_written,
    an_effect_is_never_run_again,
    a_doubt_stays,
    what_was_released_stays_away,
    nothing_goes_by_itself,
    carried::a_spent_claim_does_nothing,
    carried::one_holder_at_a_time,
    carried::no_lease_is_lost_that_runs,
    carried::a_checkpoint_is_found,
    notes::a_note_stands,
    notes::a_key_is_noted_once,
    notes::what_was_seen_was_there,
    notes::only_an_end_is_forgotten,
    notes::what_was_forgotten_stays_away,
];

fn answers_are_of_the_contract(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in history.calls.iter().filter(|call| call.answer() == Some(Answer::Forbidden)) {
        broken.push(("an answer outside the contract", format!("{call:?}")));
    }
}

fn fences_grow(history: &History<'_>, broken: &mut Vec<Broken>) {
    for pair in history.grants.windows(2) {
        if pair[0].fence == pair[1].fence {
            broken.push(("one fence was granted twice", format!("{pair:?}")));
        }
    }
    for grant in &history.grants {
        if let Some(before) = history.newest_before(grant.asked)
            && before.fence > grant.fence
        {
            broken.push(("a fence went back", format!("{before:?} then {grant:?}")));
        }
    }
}

fn one_owner_at_a_time(history: &History<'_>, broken: &mut Vec<Broken>) {
    for pair in history.grants.windows(2) {
        let (owner, next) = (&pair[0], &pair[1]);
        if history.is_held(owner, next.at) {
            broken.push(("granted while a lease ran", format!("{owner:?} then {next:?}")));
        }
    }
    for call in &history.calls {
        let Some(Answered { answer: Answer::InProgress, ms: left, .. }) = call.answered else { continue };
        let until = ms(call.asked.at) + left;
        if call.answered.is_some_and(|it| history.busy_until(it.at) < until) {
            broken.push(("in progress with no lease that could run", format!("{call:?}")));
        }
    }
}

fn a_stale_fence_changes_nothing(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in history.calls.iter().filter(|call| call.asked.fence != 0 && call.is_done()) {
        let dropped = call.asked.verb == Verb::Drop; // which does not say what it found
        if let Some(newer) = history.newest_before(call.asked.at).filter(|it| it.fence > call.asked.fence)
            && !dropped
        {
            broken.push(("a stale fence was obeyed", format!("{newer:?} then {call:?}")));
        }
    }
}

/// Whether a look at the key says that another payload holds it, and rightly.
fn is_mismatch(grant: Option<&Grant>, call: &Call) -> bool {
    call.answer() == Some(Answer::Mismatch) && grant.is_none_or(|it| it.payload != call.asked.payload)
}

/// An ending that somebody was told of: since when that is certain, until when it stands at least.
pub struct Told<'a> {
    pub call: &'a Call,
    pub since: u64,
    pub until_ms: u64,
}

/// The endings that were acknowledged, or replayed to somebody.
pub fn told<'a>(history: &History<'a>) -> Vec<Told<'a>> {
    let mut told: HashMap<(u64, u64), Told<'a>> = HashMap::new();
    let mut add = |call: &'a Call, since: u64| {
        let until_ms = ms(call.asked.at) + call.asked.ms;
        let new = Told { call, since, until_ms };
        let entry = told.entry((call.asked.fence, call.asked.author)).or_insert(new);
        entry.since = entry.since.min(since);
        entry.until_ms = entry.until_ms.min(until_ms); // the first of them wrote it
    };
    for call in &history.calls {
        let Some(it) = call.answered else { continue };
        if call.is_terminal() && it.answer == Answer::Done {
            add(call, it.at);
        } else if it.author != 0
            && let Some(author) = history.author(it.fence, it.author)
        {
            add(author, it.at);
        }
    }
    told.into_values().collect()
}

fn a_completion_stands(history: &History<'_>, broken: &mut Vec<Broken>) {
    let told = told(history);
    for ended in &told {
        let (fence, author) = (ended.call.asked.fence, ended.call.asked.author);
        if told.iter().any(|other| other.call.asked.fence == fence && other.call.asked.author > author) {
            broken.push(("one claim ended twice", format!("{:?}", ended.call)));
        }
        let forgotten = |at: u64| history.may_be_forgotten(fence, ended.call.asked.at, at);
        let over = |it: &&Grant| it.fence > fence && ms(it.at) < ended.until_ms && !forgotten(it.at);
        for grant in history.grants.iter().filter(over) {
            broken.push(("granted over a completion", format!("{:?} and {grant:?}", ended.call)));
        }
        for call in history.calls.iter().filter(|call| call.asked.at > ended.since) {
            let Some(it) = call.observed().filter(|it| ms(it.at) < ended.until_ms) else { continue };
            // A list does not say who wrote it.
            let same_author = call.asked.verb == Verb::List || it.author == author;
            let same = it.answer == Answer::Replay && it.fence == fence && same_author;
            if !same && !is_mismatch(history.grant(fence), call) && !forgotten(it.at) {
                broken.push(("a completion was lost or changed", format!("{:?} then {call:?}", ended.call)));
            }
        }
    }
}

fn a_replay_is_what_was_written(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in &history.calls {
        let Some(it) = call.answered else { continue };
        if it.answer == Answer::Mismatch
            && !history.calls.iter().any(|other| {
                let begun = other.asked.verb == Verb::Begin && other.asked.at < it.at;
                begun && other.asked.payload != call.asked.payload
            })
        {
            broken.push(("a mismatch with nothing", format!("{call:?}")));
        }
        if it.author == 0 {
            continue;
        }
        let Some(author) = history.author(it.fence, it.author).filter(|author| author.asked.at < it.at)
        else {
            broken.push(("replayed what nobody wrote, or was refused", format!("{call:?}")));
            continue;
        };
        if it.detail != author.ending() {
            broken.push(("replayed with another ending", format!("{author:?} then {call:?}")));
        }
        let Some(ended) = call.observed().and(author.answered) else { continue };
        if ms(call.asked.at) >= ms(ended.at) + author.asked.ms {
            broken.push(("replayed past its time to live", format!("{author:?} then {call:?}")));
        }
        let grant = history.grant(it.fence);
        if call.asked.verb == Verb::Begin && grant.is_some_and(|grant| grant.payload != call.asked.payload) {
            broken.push(("replayed to another payload", format!("{grant:?} then {call:?}")));
        }
    }
}

fn an_effect_is_never_run_again(history: &History<'_>, broken: &mut Vec<Broken>) {
    for pair in history.grants.windows(2) {
        let (first, next) = (&pair[0], &pair[1]);
        if let Some(rule) = runs_again(history, first, next.at) {
            broken.push((rule, format!("{first:?} then {next:?}")));
        }
    }
}

/// What is broken if the key was granted again behind this grant before this moment, or noted. An effect
/// counts by whichever holding of the claim it was marked.
pub fn runs_again(history: &History<'_>, first: &Grant, at: u64) -> Option<&'static str> {
    let marked = history.on(first.fence).any(|call| call.asked.verb == Verb::Effect && call.is_done());
    if !marked && !first.in_doubt {
        return None;
    }
    let allowed = history.on(first.fence).any(|call| {
        let frees = match call.asked.verb {
            Verb::ResolveRelease | Verb::ReleaseClean => true,
            Verb::Release | Verb::Drop => !marked,
            _ => false,
        };
        frees && call.may_be_done_by(at)
    });
    let rule = if marked { "ran again behind its effect" } else { "ran again, not in doubt" };
    (!allowed && !history.may_be_gone(first.fence, at)).then_some(rule)
}

fn a_doubt_stays(history: &History<'_>, broken: &mut Vec<Broken>) {
    // Since when, and whether its owner has had its last word.
    let mut doubts: HashMap<u64, (u64, bool)> = HashMap::new();
    for call in &history.calls {
        let Some(it) = call.answered else { continue };
        let (fence, last_word) = match it.answer {
            Answer::InDoubt => (it.fence, false),
            Answer::ReleasedInDoubt => (call.asked.fence, true),
            _ => continue,
        };
        let effect = history.may_have_effect(fence, it.at);
        if history.grant(fence).is_some_and(|grant| !grant.in_doubt && !effect) {
            broken.push(("in doubt without an effect", format!("{call:?}")));
        }
        let entry = doubts.entry(fence).or_insert((it.at, last_word));
        *entry = if last_word { (it.at, true) } else { (entry.0.min(it.at), entry.1) };
    }
    for (fence, (since, last_word)) in doubts {
        for call in history.calls.iter().filter(|call| call.asked.at > since) {
            let Some(it) = call.observed() else { continue };
            let same = it.answer == Answer::InDoubt && it.fence == fence;
            // A late owner whom nobody shut out may still end it, and may even come back with a heartbeat, or
            // an adopter instead of it.
            let ended = |other: &Call| {
                let returns = matches!(other.asked.verb, Verb::Heartbeat | Verb::Adopt);
                let back = returns && it.answer == Answer::InProgress;
                let ends = other.is_resolution() || !last_word && (other.is_end_by_owner() || back);
                ends && other.may_be_done_by(it.at)
            };
            if !same && !is_mismatch(history.grant(fence), call) && !history.on(fence).any(ended) {
                broken.push(("a doubt was dropped", format!("fence {fence}, then {call:?}")));
            }
        }
    }
    for fence in history.fences() {
        let done: Vec<_> = history.on(fence).filter(|call| call.is_resolution() && call.is_done()).collect();
        if done.len() > 1 {
            broken.push(("resolved twice", format!("{done:?}")));
        }
        let (Some(grant), Some(call)) = (history.grant(fence), done.first()) else { continue };
        let at = call.answered.map_or(0, |it| it.at);
        let running = ms(at) < history.lease_until(grant, at) && !history.may_be_given_up(fence, at);
        if running || !(grant.in_doubt || history.may_have_effect(fence, at)) {
            broken.push(("resolved what was not in doubt", format!("{grant:?} then {call:?}")));
        }
    }
}

fn what_was_released_stays_away(history: &History<'_>, broken: &mut Vec<Broken>) {
    let mut released: HashMap<u64, u64> = HashMap::new();
    for call in &history.calls {
        let Some(it) = call.answered else { continue };
        let resolved = call.asked.verb == Verb::ResolveRelease && it.answer == Answer::Done;
        if resolved || it.answer == Answer::ReleasedAbsent {
            released.insert(call.asked.fence, it.at);
        }
    }
    for call in history.calls.iter() {
        let Some(it) = call.observed() else { continue };
        let back = matches!(it.answer, Answer::Replay | Answer::InDoubt);
        if back && released.get(&it.fence).is_some_and(|&at| call.asked.at > at) {
            broken.push(("a released claim came back", format!("{call:?}")));
        }
    }
}

fn nothing_goes_by_itself(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in &history.calls {
        let Some(it) = call.observed() else { continue };
        let fresh = it.answer == Answer::Started && it.detail == Detail::Fresh;
        if fresh != (it.answer == Answer::Started && it.attempt == 1) {
            broken.push(("an attempt that does not fit its reason", format!("{call:?}")));
        }
        let Some(last) = history.newest_before(call.asked.at) else { continue };
        let forgot = match it.answer {
            Answer::Started => fresh || it.attempt <= last.attempt,
            Answer::Absent => !may_be_freed(history, last.fence, it.at),
            _ => false,
        };
        if forgot && !history.may_be_gone(last.fence, it.at) {
            broken.push(("a grant was forgotten", format!("{last:?} then {call:?}")));
        }
    }
}

/// Whether some claim from this fence on may have been given back before this moment.
fn may_be_freed(history: &History<'_>, fence: u64, at: u64) -> bool {
    history.calls.iter().any(|call| {
        use Verb::{Drop, Release, ReleaseClean, ResolveRelease};
        let frees = matches!(call.asked.verb, Drop | Release | ReleaseClean | ResolveRelease);
        frees && call.asked.fence >= fence && call.may_be_done_by(at)
    })
}
