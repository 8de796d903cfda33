//! What to do with keys in doubt: find them, ask the other side what happened, and say so.
//!
//! Two payment processes die, one just after the bank took the money and one just before. Both had marked
//! their effect, so nobody runs them again by accident; the reconciler lists them and asks the bank, by the
//! reference that each left as its checkpoint.
//!
//! `cargo run -p semel-examples --bin recover -- ./payments`

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use semel::{Outcome, Peek, Query, Request, Resolution, Response, State, Store};

type Failure = Box<dyn std::error::Error>;

const SCOPE: &str = "POST /payments";
/// So short that nobody waits long for this example.
const LEASE: Duration = Duration::from_millis(200);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => reconcile(path),
        [path, "pay", order, fate] => pay(path, order, fate),
        _ => Err("usage: recover DIRECTORY".into()),
    }
}

/// A payment process that dies in the middle.
fn pay(path: &str, order: &str, fate: &str) -> Result<(), Failure> {
    let store = Store::builder().path(path).lease(LEASE).open()?;
    let Outcome::Started(claim) = store.begin(Request::new(SCOPE, order))? else { return Ok(()) };
    let reference = format!("ref-{order}-{}", claim.fence());
    claim.checkpoint(&reference)?;
    claim.begin_effect()?;
    if fate == "charged" {
        std::fs::write(bank(path, &reference), "12.00")?;
    }
    println!("{order}: dies, {fate}");
    std::process::exit(9)
}

/// The bank: one file for each payment that it took.
fn bank(path: &str, reference: &str) -> std::path::PathBuf {
    Path::new(path).with_extension(format!("bank-{reference}"))
}

fn reconcile(path: &str) -> Result<(), Failure> {
    for (order, fate) in [("order-1", "charged"), ("order-2", "not charged")] {
        Command::new(std::env::current_exe()?).args([path, "pay", order, fate]).status()?;
    }
    let store = Store::builder().path(path).lease(LEASE).open()?;
    std::thread::sleep(LEASE); // their leases end: until then they may be alive

    let in_doubt = Query::new().scope_prefix(SCOPE).state(State::InDoubt);
    for entry in store.list(in_doubt) {
        let entry = entry?;
        let Some(Peek::InDoubt(doubt)) = store.peek(entry.scope(), entry.key())? else {
            continue; // its owner was only slow, and has ended it
        };
        let reference = String::from_utf8_lossy(doubt.checkpoint()).into_owned();
        let (told, resolution) = match std::fs::read_to_string(bank(path, &reference)) {
            Ok(amount) => (format!("the bank took {amount}"), true),
            Err(_) => ("the bank knows nothing of it".into(), false),
        };
        println!("{}: in doubt, {told}", String::from_utf8_lossy(entry.key()));
        let receipt = format!("paid ({told})");
        let resolution = match resolution {
            true => Resolution::Completed(Response::new(&receipt).status(201)),
            false => Resolution::Release,
        };
        store.resolve(entry.scope(), entry.key(), doubt.fence(), resolution)?;
    }

    for order in ["order-1", "order-2"] {
        let next = match store.begin(Request::new(SCOPE, order))? {
            Outcome::Replay(it) => format!("Replay: {}", String::from_utf8_lossy(it.body())),
            Outcome::Started(claim) => {
                claim.complete(Response::new("paid at the second attempt").status(201))?;
                format!("Started {:?}: pays now", claim.reason())
            }
            other => format!("{other:?}"),
        };
        println!("{order}: the next request sees {next}");
    }
    Ok(())
}
