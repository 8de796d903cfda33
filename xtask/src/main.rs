//! The tasks of this workspace. `cargo xtask` lists them. Nothing but cargo is needed to run them.

mod count;
mod demo;
mod prove;
mod run;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  test               every check: format, lints, tests, documentation, dependencies
  demo [--quick] [--keep] [--plant-fault]
                     payments charged once while the workers are killed
  prove [--release]  the proof harnesses, with the figures of every change or those of a release";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["test"] => test::run(),
        ["demo", flags @ ..] => demo::run(flags),
        ["prove"] => prove::run(prove::Figures::Ci),
        ["prove", "--release"] => prove::run(prove::Figures::Release),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
