//! Payments that are charged once, however often the workers are killed.
//!
//! Three programs in one, so that the demo can start the other two by running itself:
//!
//! - [`ledger`]: charges whatever it is sent, as often as it is sent. It does not deduplicate.
//! - [`service`]: takes payments over HTTP and charges them in the ledger. Two of it run over one store; this
//!   is the file to read for how to use semel.
//! - [`demo`]: starts both, sends thousands of requests, kills workers in mid-charge, and audits the ledger.

#![allow(clippy::disallowed_methods, reason = "a demo reads clocks: it measures and it waits")]

mod demo;
mod event;
mod http;
mod ledger;
mod service;

use std::io::Write;
use std::process::ExitCode;

/// Any failure, told to a person.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints a line; a reader that went away, as `head` does, ends the run.
fn tell(line: impl std::fmt::Display) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

const USAGE: &str = "\
usage: payments demo [--quick] [--keep] [--plant-fault]
       payments ledger
       payments service --store DIR --index-dir DIR --ledger ADDRESS [--plant-fault]

demo: starts a ledger and two workers, loads them, kills workers, and audits the ledger
  --quick        200 payments in 600 requests, instead of 1,000 in 3,000
  --keep         leaves the service running afterwards, until Ctrl-C
  --plant-fault  has the service charge again instead of asking the ledger; the audit must find it
ledger and service end when their standard input closes";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.split_first() {
        Some((&"demo", flags)) => match demo::Options::parse(flags) {
            Some(options) => demo::run(options).await,
            None => return usage(),
        },
        Some((&"ledger", [])) => ledger::serve().await.map(|()| true),
        Some((&"service", flags)) => match service::Options::parse(flags) {
            Some(options) => service::serve(options).await.map(|()| true),
            None => return usage(),
        },
        _ => return usage(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("payments: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
