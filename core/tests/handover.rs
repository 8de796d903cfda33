//! A claim that is handed over between processes while its lease ends: whoever adopts it and whoever takes it
//! over meet at one word, and exactly one of them runs.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use common::peer::{LEASE, Peer, obey, uptime_us};
use common::{replay_of, start, tiny};
use semel::*;
use tempfile::{TempDir, tempdir};

/// The other process.
#[test]
fn peer() {
    obey();
}

const LOST: &str = "LeaseLost";

fn is_lost(answer: &str) -> bool {
    answer.starts_with(LOST)
}

/// Three processes with clocks that stand still, moved on together.
struct Script {
    _dir: TempDir,
    peers: [Peer; 3],
}

impl Script {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let peers = [(); 3].map(|()| Peer::idle(dir.path()));
        let mut script = Self { _dir: dir, peers };
        for peer in &mut script.peers {
            assert_eq!(peer.ask("open-at 1800000000000"), "ok");
        }
        script
    }

    fn advance(&mut self, ms: u128) {
        for peer in &mut self.peers {
            assert_eq!(peer.ask(&format!("advance {ms}")), "ok");
        }
    }

    /// A begins a key, leaves a checkpoint and hands it over; then its lease runs for so many milliseconds
    /// more.
    fn handed_over(left_ms: u128) -> (Self, String) {
        let mut script = Self::new();
        let [a, ..] = &mut script.peers;
        assert_eq!(a.ask("begin k"), "Started Fresh 1");
        assert_eq!(a.ask("checkpoint k half"), "ok");
        let bytes = a.ask("hand-over k");
        assert!(bytes.starts_with('x'), "{bytes}");
        script.advance(LEASE.as_millis() - left_ms);
        (script, bytes)
    }
}

/// All verbs of this process's claim are refused.
fn is_spent(peer: &mut Peer) {
    for verb in ["heartbeat k", "effect k", "checkpoint k late", "hand-over k", "complete k 10", "release k"]
    {
        let answer = peer.ask(verb);
        assert!(is_lost(&answer), "{verb}: {answer}");
    }
}

fn fence(peer: &mut Peer) -> u64 {
    peer.ask("fence k").parse().unwrap()
}

#[test]
fn until_its_lease_ends_only_the_bytes_bring_a_claim_back() {
    let (mut script, bytes) = Script::handed_over(1);
    let [a, b, c] = &mut script.peers;
    assert_eq!(c.ask("begin k"), "InProgress", "nobody holds it, and the lease protects it");
    assert_eq!(b.ask(&format!("adopt k {bytes}")), "Adopted Adopted 1");
    assert_eq!(fence(a), fence(b), "it is the same grant");
    assert_eq!(b.ask("last-checkpoint k"), "half");
    let again = c.ask(&format!("adopt k {bytes}"));
    assert!(is_lost(&again), "{again}");
    script.advance(LEASE.as_millis() - 1);
    let [a, b, c] = &mut script.peers;
    assert_eq!(c.ask("begin k"), "InProgress", "an adoption gives a lease");
    is_spent(a);
    assert_eq!(b.ask("complete k 10"), "ok");
    for peer in [a, b, c] {
        assert_eq!(peer.ask("begin k"), replay_of("k", 10));
    }
}

#[test]
fn who_takes_over_when_the_lease_has_ended_shuts_the_adopter_out() {
    let (mut script, bytes) = Script::handed_over(0);
    let [a, b, c] = &mut script.peers;
    assert_eq!(c.ask("begin k"), "Started Takeover 2");
    assert_eq!(c.ask("last-checkpoint k"), "half", "and goes on from what was left");
    let refusal = b.ask(&format!("adopt k {bytes}"));
    assert!(is_lost(&refusal), "{refusal}");
    assert!(fence(c) > fence(a), "the fence orders them");
    is_spent(a);
    // It is handed over in its turn: the bytes of the first grant do not name the second.
    let later = c.ask("hand-over k");
    let refusal = b.ask(&format!("adopt k {bytes}"));
    assert!(is_lost(&refusal), "{refusal}");
    assert_eq!(c.ask(&format!("adopt k {later}")), "Adopted Adopted 2");
    assert_eq!(c.ask("complete k 10"), "ok");
    for bytes in [&bytes, &later] {
        let refusal = b.ask(&format!("adopt k {bytes}"));
        assert!(is_lost(&refusal), "{refusal}");
    }
    for peer in [a, b, c] {
        assert_eq!(peer.ask("begin k"), replay_of("k", 10));
    }
}

#[test]
fn an_adopter_that_comes_late_and_first_shuts_out_who_would_take_over() {
    let (mut script, bytes) = Script::handed_over(0);
    script.advance(5000);
    let [a, b, c] = &mut script.peers;
    assert_eq!(b.ask(&format!("adopt k {bytes}")), "Adopted Adopted 1", "nobody took it meanwhile");
    assert_eq!(c.ask("begin k"), "InProgress");
    is_spent(a);
    assert_eq!(b.ask("effect k"), "ok");
    // It goes on to the third, and its effect mark with it.
    let bytes = b.ask("hand-over k");
    is_spent(b);
    assert_eq!(c.ask(&format!("adopt k {bytes}")), "Adopted Adopted 1");
    assert_eq!(c.ask("release k"), "InDoubt");
    for peer in [a, b, c] {
        assert_eq!(peer.ask("begin k"), "InDoubt 1");
    }
}

#[test]
fn a_claim_whose_adopter_dies_is_taken_over_when_its_lease_ends() {
    let (script, bytes) = Script::handed_over(1);
    let Script { _dir, peers: [a, mut b, mut c] } = script;
    a.kill();
    assert_eq!(b.ask(&format!("adopt k {bytes}")), "Adopted Adopted 1");
    b.kill();
    let again = c.ask(&format!("adopt k {bytes}"));
    assert!(is_lost(&again), "it had a holder, if a dead one: {again}");
    assert_eq!(c.ask("begin k"), "InProgress");
    assert_eq!(c.ask(&format!("advance {}", LEASE.as_millis())), "ok");
    assert_eq!(c.ask("begin k"), "Started Takeover 2");
    assert_eq!(c.ask("last-checkpoint k"), "half");
}

const RACES: usize = 200;
const LEASE_US: u64 = 10_000;

/// What one race came to: who ran it, and what the other was told.
fn race(a: &mut Peer, b: &mut Peer, c: &mut Peer, round: usize) -> bool {
    let key = format!("k{round}");
    assert_eq!(a.ask(&format!("begin {key}")), "Started Fresh 1");
    let begun = uptime_us();
    let bytes = a.ask(&format!("hand-over {key}"));
    // Around the millisecond in which the lease ends; sometimes the one, sometimes the other is first.
    let moment = begun + LEASE_US - 300 + (round as u64 * 37) % 600;
    b.tell(&format!("adopt-at {moment} {key} {bytes}"));
    c.tell(&format!("begin-at {moment} {key}"));
    let (adopted, taken) = (b.hear(), c.hear());
    let adopter_runs = adopted == "Adopted Adopted 1";
    let (winner, loser) = if adopter_runs {
        assert_eq!(taken, "InProgress", "round {round}, beside an adopter");
        (b, c)
    } else {
        assert!(is_lost(&adopted), "round {round}: {adopted}");
        assert_eq!(taken, "Started Takeover 2", "round {round}");
        (c, b)
    };
    let fences = [a.ask(&format!("fence {key}")), winner.ask(&format!("fence {key}"))];
    let [first, second] = fences.map(|fence| fence.parse::<u64>().unwrap());
    assert!(if adopter_runs { first == second } else { first < second }, "round {round}");
    let spent = a.ask(&format!("complete {key} 7"));
    assert!(is_lost(&spent), "round {round}: {spent}");
    assert_eq!(winner.ask(&format!("complete {key} 10")), "ok", "round {round}");
    for peer in [a, winner, loser] {
        assert_eq!(peer.ask(&format!("begin {key}")), replay_of(&key, 10), "round {round}");
    }
    adopter_runs
}

#[test]
fn of_an_adopter_and_a_taker_in_the_same_moment_one_runs() {
    let dir = tempdir().unwrap();
    // Only the lease that was handed over is short: who wins has time, however busy the machine is.
    let [mut a, mut b, mut c] = [LEASE_US / 1000, 60_000, 60_000].map(|lease_ms| {
        let mut peer = Peer::idle(dir.path());
        assert_eq!(peer.ask(&format!("open-with-lease {lease_ms}")), "ok");
        peer
    });
    let adopted = (0..RACES).filter(|&round| race(&mut a, &mut b, &mut c, round)).count();
    println!("of {RACES} races {adopted} were the adopter's");
    assert!((1..RACES).contains(&adopted), "it was no race: {adopted} of {RACES} were the adopter's");
}

/// A hand over in one thread, a completion in another, a few moments apart.
#[test]
fn of_a_hand_over_and_a_completion_by_two_threads_one_is_done() {
    let rounds = 2000;
    let store = tiny().open().unwrap();
    let (mut given, mut completed) = (0, 0);
    for round in 0..rounds {
        let claim = start(&store, &format!("k{round}"));
        let ready = std::sync::Barrier::new(2);
        let (bytes, ended) = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                ready.wait();
                claim.hand_over()
            });
            ready.wait();
            (0..round % 50).for_each(|_| std::hint::spin_loop());
            let ended = claim.complete(Response::new("x"));
            (other.join().unwrap(), ended)
        });
        assert_ne!(bytes.is_ok(), ended.is_ok(), "round {round}: {bytes:?} and {ended:?}");
        if let Err(refusal) = bytes {
            completed += 1;
            assert_eq!(refusal.kind(), ErrorKind::Conflict, "round {round}");
            continue;
        }
        given += 1;
        for late in [claim.begin_effect(), claim.checkpoint("late"), claim.complete(Response::new("y"))] {
            let refusal = late.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::LeaseLost, "round {round}: it was given away");
        }
    }
    println!("{given} handed over, {completed} completed");
}
