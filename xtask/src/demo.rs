//! `cargo xtask demo`: builds and runs examples/payments.

use std::io;

use crate::run::cargo;

pub(crate) fn run(flags: &[&str]) -> io::Result<bool> {
    let mut demo = cargo(&["run", "--locked", "--package", "payments", "--", "demo"]);
    Ok(demo.args(flags).status()?.success())
}
