//! What the demo tells a person.

use std::net::SocketAddr;
use std::time::Duration;

use super::load::Seen;
use crate::event::{Begun, Tally};
use crate::ledger::Charges;

pub(crate) fn table(seen: &Seen, charges: &Charges, begins: &Tally, kills: usize, took: Duration) -> String {
    let mut text = String::new();
    let mut row = |name: &str, count: u64| text += &format!("\n  {name:<32}{:>8}", grouped(count));
    row("requests", seen.answered() + seen.gave_up);
    row("answered", seen.answered());
    row("charges in the ledger", charges.values().map(|held| held.len() as u64).sum());
    row("replays", seen.replays);
    row("conflicts (409, then retried)", seen.conflicts);
    row("mismatches (422)", seen.mismatches);
    row("connections lost, then retried", seen.lost);
    row("unavailable (503, then retried)", seen.unavailable);
    let (in_doubt, charged, released) =
        (begins.of(Begun::InDoubt), begins.resolved_completed, begins.resolved_released);
    row("in doubt", in_doubt);
    row("  resolved: was charged", charged);
    row("  resolved: was not, so run again", released);
    row("  resolved by another request", in_doubt.saturating_sub(charged + released));
    row("takeovers", begins.of(Begun::Takeover));
    row("worker kills", kills as u64);
    let (median, p99) = (grouped(begins.begin_ns(50)), grouped(begins.begin_ns(99)));
    let build = if cfg!(debug_assertions) { ", debug assertions on" } else { "" };
    let count = grouped(begins.begins());
    let (sends, took) = (grouped(seen.sends), took.as_secs_f64());
    text += &format!("\n  time per begin: median {median} ns, p99 {p99} ns ({count} begins{build})");
    text += &format!("\n  sent {sends} times in {took:.1} s");
    text
}

/// What to try by hand while the service is kept running.
pub(crate) fn invitation([one, two]: &[SocketAddr; 2], ledger: SocketAddr) -> String {
    let pay = |worker: &SocketAddr, amount: u64| {
        let body = format!("{{\"payment\":\"mine-1\",\"amount\":{amount}}}");
        format!("  curl -i {worker}/payments -H 'Idempotency-Key: mine-1' \\\n    -d '{body}'")
    };
    let (first, retry, other) = (pay(one, 1200), pay(two, 1200), pay(one, 9900));
    format!(
        "
The service goes on until Ctrl-C. Try:

  # pay
{first}

  # retry, at the other worker: the same answer, replayed
{retry}

  # the same key for another amount: 422
{other}

  # the ledger has it once
  curl {ledger}/charges/mine-1

  # what this worker has counted
  curl {one}/stats"
    )
}

/// 12345 as 12,345.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
