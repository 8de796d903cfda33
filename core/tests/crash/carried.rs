//! Rules of claims that go from hand to hand, and of the checkpoints that go with them.

use super::history::{History, ms};
use super::journal::{Answer, Call, Checkpoint, Detail, Verb};
use super::rules::Broken;

pub fn a_spent_claim_does_nothing(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in history.calls.iter().filter(|call| history.is_spent(call)) {
        let refused = matches!(call.answer(), None | Some(Answer::LeaseLost));
        if !refused && call.asked.verb != Verb::Drop {
            broken.push(("a claim acted that was handed over", format!("{call:?}")));
        }
    }
    for call in history.calls.iter().filter(|call| call.answer() == Some(Answer::Conflict)) {
        let after_its_end = matches!(call.asked.verb, Verb::HandOver | Verb::Effect);
        let ended = |it: &Call| {
            matches!(it.asked.verb, Verb::Complete | Verb::Fail) && it.asked.holding == call.asked.holding
        };
        if call.is_of_a_claim()
            && !(after_its_end && history.on(call.asked.fence).any(|it| ended(it) && it.is_done()))
        {
            broken.push(("a conflict with no end", format!("{call:?}")));
        }
    }
}

/// Each holding gives the claim away once at most, so it names a letter, which is adopted once at most.
pub fn one_holder_at_a_time(history: &History<'_>, broken: &mut Vec<Broken>) {
    for adoption in history.calls.iter().filter(|call| call.asked.verb == Verb::Adopt) {
        let Some(it) = adoption.answered else { continue };
        let fence = adoption.asked.fence;
        let of_letter = |verb| {
            let of_verb = history.on(fence).filter(move |call| call.asked.verb == verb);
            of_verb.filter(|call| call.asked.holding == adoption.asked.holding)
        };
        if it.answer == Answer::LeaseLost {
            let given =
                of_letter(Verb::HandOver).any(|call| call.is_done() && history.end(call) < adoption.asked.at);
            let taken = of_letter(Verb::Adopt).any(|call| call.may_be_done_by(it.at));
            let held = history
                .grant(fence)
                .is_some_and(|grant| ms(it.at) < history.lease_until(grant, adoption.asked.at));
            if given && !taken && held {
                broken.push(("an adoption was refused that nobody forestalled", format!("{adoption:?}")));
            }
        }
        if it.answer != Answer::Done {
            continue;
        }
        if !of_letter(Verb::HandOver).any(|call| call.may_be_done_by(it.at)) {
            broken.push(("adopted what nobody handed over", format!("{adoption:?}")));
        }
        let adopted = of_letter(Verb::Adopt).filter(|call| call.is_done() && history.end(call) <= it.at);
        if adopted.count() > 1 {
            broken.push(("one claim had two holders", format!("{adoption:?}")));
        }
        let grant = history.grant(fence);
        if it.fence != fence || grant.is_none_or(|grant| grant.attempt != it.attempt) {
            broken.push(("adopted what nobody handed over", format!("{grant:?} then {adoption:?}")));
        }
        let ends =
            |call: &Call| call.is_end_by_owner() && call.asked.verb != Verb::Drop || call.is_resolution();
        let ended = history
            .on(fence)
            .find(|call| ends(call) && call.is_done() && history.end(call) < adoption.asked.at);
        if let Some(ended) = ended {
            broken.push(("adopted what had ended", format!("{ended:?} then {adoption:?}")));
        }
    }
}

/// Whose lease runs, and who has not ended its claim nor given it away, is not told that it lost it. A
/// release shuts its own claim out first, and then another may be quicker.
pub fn no_lease_is_lost_that_runs(history: &History<'_>, broken: &mut Vec<Broken>) {
    for call in history.calls.iter().filter(|call| call.is_of_a_claim() && !call.is_given_up()) {
        let Some(it) = call.answered.filter(|it| it.answer == Answer::LeaseLost) else { continue };
        if history.is_spent(call) {
            continue;
        }
        let Some(grant) = history.grant(call.asked.fence) else { continue };
        let runs = ms(it.at) < history.lease_until(grant, call.asked.at);
        if runs && !history.may_be_given_up(grant.fence, call.asked.at) {
            broken.push(("a lease was lost that ran", format!("{grant:?} then {call:?}")));
        }
    }
}

/// A checkpoint that somebody was told of, and since when.
struct Left {
    it: Checkpoint,
    asked: u64,
    since: u64,
}

/// The verb that left it.
fn author<'a>(history: &History<'a>, it: Checkpoint) -> Option<&'a Call> {
    history.on(it.fence).find(|call| {
        call.asked.verb == Verb::Checkpoint && call.asked.author == it.author && call.may_be_done()
    })
}

/// Those that were acknowledged, or found by somebody.
fn left(history: &History<'_>) -> Vec<Left> {
    let mut left = Vec::new();
    for call in &history.calls {
        let Some(answered) = call.answered else { continue };
        let Checkpoint { fence, author: number } = answered.checkpoint;
        if call.asked.verb == Verb::Checkpoint && call.is_done() && !history.is_spent(call) {
            let it = Checkpoint { fence: call.asked.fence, author: call.asked.author };
            left.push(Left { it, asked: call.asked.at, since: answered.at });
        } else if number != 0
            && let Some(author) = author(history, Checkpoint { fence, author: number })
        {
            left.push(Left { it: answered.checkpoint, asked: author.asked.at, since: answered.at });
        }
    }
    left
}

/// Whoever is granted or adopts a claim, or is told of its doubt, finds the last checkpoint of this run or of
/// an earlier one of the same request.
pub fn a_checkpoint_is_found(history: &History<'_>, broken: &mut Vec<Broken>) {
    let left = left(history);
    for call in &history.calls {
        let Some(it) = call.answered else { continue };
        let found = it.checkpoint;
        let finds = match it.answer {
            Answer::Started => true,
            Answer::Done => call.asked.verb == Verb::Adopt,
            Answer::InDoubt => call.asked.verb != Verb::List,
            _ => false,
        };
        if !finds {
            continue;
        }
        let author =
            author(history, found).filter(|author| author.asked.at < it.at && found.fence <= it.fence);
        if found.author != 0 && author.is_none() {
            broken.push(("a checkpoint that nobody left", format!("{call:?}")));
        }
        if it.detail == Detail::Fresh {
            if found.author != 0 {
                broken.push(("a fresh run found a checkpoint", format!("{call:?}")));
            }
            continue;
        }
        let fresh = history.grants.iter().find(|grant| {
            grant.attempt == 1 && found.author != 0 && grant.fence > found.fence && grant.fence <= it.fence
        });
        if let Some(fresh) = fresh {
            broken.push(("a checkpoint of another request", format!("{fresh:?} then {call:?}")));
        }
        // By fence, and within one fence by time: its holdings follow each other.
        let found_at = (found.fence, author.map_or(0, |author| author.asked.at));
        for left in &left {
            let before = left.since < call.asked.at && left.it.fence <= it.fence;
            if before
                && (left.it.fence, left.asked) > found_at
                && !begun_anew(history, left, it.fence, it.at)
                && !was_for_another_payload(history, left, it.fence)
            {
                broken.push(("a checkpoint was lost", format!("{:?}, then {call:?}", left.it)));
            }
        }
    }
}

/// Whether the key was released and begun with another payload since: what was left for the first is not left
/// for the second, nor for those that follow it.
fn was_for_another_payload(history: &History<'_>, left: &Left, fence: u64) -> bool {
    let payload = history.grant(left.it.fence).map(|grant| grant.payload);
    let since = history.grants.iter().filter(|grant| grant.fence > left.it.fence && grant.fence <= fence);
    since.into_iter().any(|grant| Some(grant.payload) != payload)
}

/// Whether the request may have ended between this checkpoint and the grant of this fence.
fn begun_anew(history: &History<'_>, left: &Left, fence: u64, at: u64) -> bool {
    let of = left.it.fence;
    history.ends(of, at).any(|end| {
        let before = end.asked.verb == Verb::Seen || end.asked.fence < fence;
        before && !(end.asked.verb == Verb::Seen && history.end(end) < left.asked)
    })
}
