//! The demo passes, and its audit can fail.

use std::io;
use std::process::{Command, Output};

fn demo(flags: &[&str]) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_payments")).args(["demo", "--quick"]).args(flags).output()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// 600 requests through a dozen kills: every payment is in the ledger exactly once.
#[test]
fn every_payment_is_charged_once() -> io::Result<()> {
    let output = demo(&[])?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("exactly once"), "{}", text(&output));
    Ok(())
}

/// A service that charges again instead of asking the ledger is found out.
#[test]
fn the_audit_finds_double_charges() -> io::Result<()> {
    let output = demo(&["--plant-fault"])?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("FAILED: charged more than once"), "{}", text(&output));
    Ok(())
}
