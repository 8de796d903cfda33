//! Running commands: where, and what becomes of their output.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The features of every test build. One set for all steps: another set would be another build.
pub(crate) const FEATURES: [&str; 2] = ["--features", "semel/kill-points"];

/// The cargo that runs this task, in the root of the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root()).env("CARGO_TERM_COLOR", "never");
    command
}

/// Whether this cargo has that subcommand.
pub(crate) fn has(subcommand: &str) -> bool {
    succeeds(&mut cargo(&[subcommand, "--version"]))
}

/// Runs a command in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    here.join("..")
}

/// The one build directory.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A folder for what the tasks keep: logs, and a tool that was installed.
pub(crate) fn workshop() -> io::Result<PathBuf> {
    let workshop = target().join("xtask");
    fs::create_dir_all(&workshop)?;
    workshop.canonicalize()
}

/// What a command printed, both streams in order, and whether it succeeded.
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) output: String,
}

/// Runs a command into a log of that name.
pub(crate) fn logged(name: &str, mut command: Command) -> io::Result<Finished> {
    let log = workshop()?.join(name.replace(' ', "-")).with_extension("log");
    let file = File::create(&log)?;
    let status = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).status()?;
    let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    Ok(Finished { success: status.success(), output })
}
