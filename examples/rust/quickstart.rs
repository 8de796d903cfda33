//! A charge that a client retries, and a key that it reuses by mistake.
//!
//! `cargo run -p semel-examples --bin quickstart -- ./charges`. Run it twice: the second run replays what the
//! first one recorded.

use semel::{Outcome, Request, Response, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: quickstart DIRECTORY")?;
    let store = Store::open(path)?; // the same path in every worker is the same store

    println!("first     {}", answer(&store, "order-4711", 1200)?);
    println!("retry     {}", answer(&store, "order-4711", 1200)?);
    println!("reused    {}", answer(&store, "order-4711", 9900)?);
    Ok(())
}

/// What a handler does with a request that carries an idempotency key.
fn answer(store: &Store, key: &str, amount: u64) -> semel::Result<String> {
    let payload = amount.to_le_bytes();
    Ok(match store.begin(Request::new("POST /charges", key).payload(&payload))? {
        Outcome::Started(claim) => {
            claim.begin_effect()?; // from here on a crash means "in doubt", never a second charge
            let receipt = charge(key, amount);
            claim.complete(Response::new(&receipt).status(201))?;
            format!("Started: {receipt}")
        }
        Outcome::Replay(it) => format!("Replay: {} ({})", String::from_utf8_lossy(it.body()), it.status()),
        Outcome::Mismatch(_) => "Mismatch: this key belongs to another amount".into(),
        Outcome::InProgress(it) => format!("InProgress: ask again in {:?}", it.retry_after()),
        Outcome::InDoubt(it) => format!("InDoubt: ask the bank about fence {}", it.fence()),
        _ => "Omitted: it ran, and its answer was not kept".into(),
    })
}

/// The effect on the outside world.
fn charge(order: &str, amount: u64) -> String {
    format!("charged {amount} for {order}")
}
