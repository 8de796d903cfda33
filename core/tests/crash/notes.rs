//! Rules of what was noted as seen, what was forgotten, and what a list says.

use super::history::{History, ms};
use super::journal::{Answer, Answered, Call, Detail, Verb};
use super::rules::{Broken, runs_again, told};

fn noted<'h, 'a>(history: &'h History<'a>) -> impl Iterator<Item = (&'a Call, u64)> + 'h {
    let noted = history.calls.iter().filter(|call| call.answer() == Some(Answer::Noted));
    noted.map(|call| (*call, history.end(call)))
}

/// Until when a note stands at least.
fn until_ms(note: &Call) -> u64 {
    ms(note.asked.at) + note.asked.ms
}

/// Whether it may have been forgotten before this moment.
fn may_be_forgotten(history: &History<'_>, note: &Call, at: u64) -> bool {
    let forgets = history.calls.iter().filter(|call| call.asked.verb == Verb::Forget);
    forgets.filter(|call| call.may_be_done_by(at)).any(|call| history.end(call) > note.asked.at)
}

/// Whether an answer that names this expiry may be this note's.
fn is_of(history: &History<'_>, note: &Call, expiry_ms: u64) -> bool {
    let latest = ms(history.end(note)).saturating_add(note.asked.ms);
    (until_ms(note)..=latest).contains(&expiry_ms)
}

pub fn a_note_stands(history: &History<'_>, broken: &mut Vec<Broken>) {
    for (note, since) in noted(history) {
        let stands = |at: u64| ms(at) < until_ms(note) && !may_be_forgotten(history, note, at);
        for grant in history.grants.iter().filter(|it| it.asked > since && stands(it.at)) {
            broken.push(("granted over a note", format!("{note:?} then {grant:?}")));
        }
        for call in history.calls.iter().filter(|call| call.asked.at > since) {
            let Some(it) = call.observed().filter(|it| stands(it.at)) else { continue };
            let same = match call.asked.verb {
                Verb::List => it.answer == Answer::Replay && it.detail == Detail::Completed,
                _ => it.answer == Answer::Replay && it.detail == Detail::Seen && is_of(history, note, it.ms),
            };
            // It keeps the payload of the claim that it took over.
            if !same && it.answer != Answer::Mismatch {
                broken.push(("a note was lost", format!("{note:?} then {call:?}")));
            }
        }
    }
}

/// True once, and never while a claim holds the key, behind an effect, or over an end that stands.
pub fn a_key_is_noted_once(history: &History<'_>, broken: &mut Vec<Broken>) {
    let noted: Vec<_> = noted(history).collect();
    let ended = if noted.is_empty() { Vec::new() } else { told(history) };
    for (at, &(note, end)) in noted.iter().enumerate() {
        for &(other, other_end) in &noted[at + 1..] {
            let expired = ms(other_end) >= until_ms(note) || ms(end) >= until_ms(other);
            if !expired && !may_be_forgotten(history, note, other_end) {
                broken.push(("noted twice", format!("{note:?} then {other:?}")));
            }
        }
        let over = ended.iter().find(|it| {
            let (fence, asked) = (it.call.asked.fence, it.call.asked.at);
            let stands = it.since < note.asked.at && ms(end) < it.until_ms;
            stands && !history.may_be_forgotten(fence, asked, end)
        });
        if let Some(over) = over {
            broken.push(("noted over a completion", format!("{:?} then {note:?}", over.call)));
        }
        let Some(owner) = history.newest_before(note.asked.at) else { continue };
        if history.is_held(owner, end) {
            broken.push(("noted while a lease ran", format!("{owner:?} then {note:?}")));
        }
        if let Some(rule) = runs_again(history, owner, end) {
            broken.push((rule, format!("{owner:?} then {note:?}")));
        }
    }
}

/// What is said to be there was put there by somebody, and is not over.
pub fn what_was_seen_was_there(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in &history.calls {
        let Some(it) = call.answered else { continue };
        if it.detail == Detail::Seen {
            let wrote = |note: &&Call| {
                note.asked.verb == Verb::Seen && note.may_be_done_by(it.at) && is_of(history, note, it.ms)
            };
            if !history.calls.iter().copied().any(|note| wrote(&note)) || ms(call.asked.at) >= it.ms {
                broken.push(("a note that nobody wrote, or that is over", format!("{call:?}")));
            }
        }
        if it.answer == Answer::SeenBefore && !may_stand(history, call, &it) {
            broken.push(("seen before, by nobody", format!("{call:?}")));
        }
        if call.asked.verb == Verb::List {
            is_as_it_may_be(history, call, &it, broken);
        }
    }
}

/// Whether the key may have been held, in doubt or ended when this verb looked.
fn may_stand(history: &History<'_>, call: &Call, it: &Answered) -> bool {
    let held = history.busy_until(it.at) >= ms(call.asked.at);
    let doubt = history.calls.iter().any(|other| match other.asked.verb {
        Verb::Begin => other.asked.in_doubt && other.asked.at < it.at,
        Verb::Effect => other.may_be_done_by(it.at),
        _ => false,
    });
    held || doubt
        || history.ends(0, it.at).any(|end| {
            let expires_ms = ms(history.end(end)).saturating_add(end.asked.ms);
            let other = end.asked.at != call.asked.at || end.who != call.who;
            other && ms(call.asked.at) < expires_ms
        })
}

/// An entry of a list names a fence that was the newest, and its attempt; an end is one that was asked for.
fn is_as_it_may_be(history: &History<'_>, call: &Call, it: &Answered, broken: &mut Vec<Broken>) {
    let of_another = history.grant(it.fence).is_some_and(|grant| grant.attempt != it.attempt);
    let stale = history.newest_before(call.asked.at).is_some_and(|newest| newest.fence > it.fence);
    if of_another || stale {
        broken.push(("listed under another fence", format!("{call:?}")));
    }
    let ended = |end: &Call| match end.asked.verb {
        Verb::Seen => it.detail == Detail::Completed,
        _ => end.asked.fence == it.fence && end.ending() == it.detail,
    };
    if it.answer == Answer::Replay && !history.ends(0, it.at).any(ended) {
        broken.push(("listed with an end that nobody asked for", format!("{call:?}")));
    }
}

pub fn only_an_end_is_forgotten(history: &History<'_>, broken: &mut Vec<Broken>) {
    let mut forgets: Vec<_> =
        history.calls.iter().filter(|call| call.answer() == Some(Answer::Forgotten)).collect();
    forgets.sort_by_key(|call| history.end(call));
    for (before, call) in forgets.iter().enumerate() {
        let at = history.end(call);
        let newest = history.newest_before(call.asked.at).map_or(0, |newest| newest.fence);
        let stands = |end: &Call| ms(call.asked.at) < ms(history.end(end)).saturating_add(end.asked.ms);
        if !history.ends(newest, at).any(stands) {
            broken.push(("forgot what had not ended", format!("{call:?}")));
        }
        // A claim ends once; each note counts.
        let mut ends: Vec<_> = history
            .ends(0, at)
            .map(|end| if end.asked.verb == Verb::Seen { (0, end.asked.at) } else { (end.asked.fence, 0) })
            .collect();
        ends.sort_unstable();
        ends.dedup();
        if ends.len() <= before {
            broken.push(("forgot more than had ended", format!("{call:?}")));
        }
    }
}

pub fn what_was_forgotten_stays_away(history: &History<'_>, broken: &mut Vec<Broken>) {
    let forgets = history.calls.iter().filter(|call| call.answer() == Some(Answer::Forgotten));
    let forgets: Vec<_> = forgets.map(|call| (*call, history.end(call))).collect();
    let told = if forgets.is_empty() { Vec::new() } else { told(history) };
    for &(forget, since) in &forgets {
        let ended = told.iter().filter(|it| it.since < forget.asked.at);
        let gone: Vec<_> = ended.map(|it| (it.call.asked.fence, it.call.asked.author)).collect();
        for call in history.calls.iter().filter(|call| call.asked.at > since) {
            let Some(it) = call.answered else { continue };
            let back = gone.iter().any(|&(fence, author)| {
                let listed = call.asked.verb == Verb::List && it.answer == Answer::Replay;
                (it.fence, it.author) == (fence, author) || listed && it.fence == fence
            });
            let obeyed = call.is_done() && call.asked.verb != Verb::Drop;
            let obeyed = obeyed && gone.iter().any(|&(fence, _)| fence == call.asked.fence);
            if back || obeyed {
                broken.push(("a forgotten end came back", format!("{forget:?} then {call:?}")));
            }
            let begun = |other: &&&Call| {
                let begins = other.asked.verb == Verb::Begin && other.asked.at != call.asked.at;
                let starts = matches!(other.answer(), None | Some(Answer::Started));
                begins && starts && other.asked.at < it.at && history.end(other) > forget.asked.at
            };
            let goes_on = it.answer == Answer::Started && it.attempt > 1;
            if goes_on && history.calls.iter().find(begun).is_none() {
                broken.push(("attempts went on behind a forget", format!("{forget:?} then {call:?}")));
            }
        }
        for (note, end) in noted(history).filter(|&(_, end)| end < forget.asked.at) {
            let later = history.calls.iter().filter(|call| call.asked.at > since);
            let names = |call: &&&Call| {
                call.answered.is_some_and(|it| it.detail == Detail::Seen && is_of(history, note, it.ms))
            };
            let again = |it: u64| {
                history.ends(0, u64::MAX).any(|other| {
                    other.asked.verb == Verb::Seen && other.asked.at > end && is_of(history, other, it)
                })
            };
            for call in later.filter(names) {
                if !again(call.answered.map_or(0, |it| it.ms)) {
                    broken.push(("a forgotten note came back", format!("{note:?}, {forget:?}, {call:?}")));
                }
            }
        }
    }
}
