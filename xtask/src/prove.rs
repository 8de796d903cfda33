//! `cargo xtask prove`: the proof harnesses and their figures.
//!
//! A harness is a test file of core. It prints a line for each thing it shows: `PROVE <name> tried=<n>
//! violations=<n> target=<text>`. It is met if the test passed, as many were tried as the target begins with
//! (`500 cycles`), and nothing was violated. A name with `.fault.` in it is a fault that was planted to show
//! that the harness can fail: it is met if it was found.

use std::io;

use crate::run::{FEATURES, cargo, logged, root};

const HARNESSES: [&str; 6] = ["model", "loom", "oracle", "conformance", "crash", "corruption"];

/// How much is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figures {
    /// On every change.
    Ci,
    /// Before a release, in a release build.
    Release,
}

pub(crate) fn run(figures: Figures) -> io::Result<bool> {
    let mut rows = Vec::new();
    for harness in HARNESSES {
        eprintln!("proving {harness} ...");
        rows.extend(prove(harness, figures)?);
    }
    print(&rows);
    Ok(rows.iter().all(|row| row.met))
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    tried: String,
    violations: String,
    target: String,
    met: bool,
}

impl Row {
    fn missed(name: &str, why: &str) -> Self {
        let none = || "-".to_owned();
        Self { name: name.into(), tried: none(), violations: none(), target: why.into(), met: false }
    }

    fn cells(&self) -> [&str; 5] {
        let met = if self.met { "met" } else { "missed" };
        [&self.name, &self.tried, &self.violations, &self.target, met]
    }

    /// Reads what follows `PROVE `.
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(" tried=")?;
        let (tried, rest) = rest.split_once(" violations=")?;
        let (violations, target) = rest.split_once(" target=")?;
        let enough = number(target).is_none_or(|least| number(tried).is_some_and(|tried| tried >= least));
        let is_planted = name.contains(".fault.");
        let as_expected = number(violations).is_some_and(|found| (found > 0) == is_planted);
        Some(Self {
            name: name.into(),
            tried: tried.into(),
            violations: violations.into(),
            target: target.trim_end().into(),
            met: enough && as_expected,
        })
    }
}

/// The number at the start of a text, such as `1,000 x 4`.
fn number(text: &str) -> Option<u64> {
    let digits = text.chars().filter(|c| !matches!(c, ',' | '_')).take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}

fn prove(harness: &str, figures: Figures) -> io::Result<Vec<Row>> {
    if !root().join("core/tests").join(harness).with_extension("rs").exists() {
        return Ok(vec![Row::missed(harness, "there is no such harness")]);
    }
    let mut test = cargo(&["test", "--locked", "--test", harness]);
    test.args(FEATURES).env("SEMEL_PROOF", if figures == Figures::Ci { "ci" } else { "release" });
    if figures == Figures::Release {
        test.arg("--release");
    }
    test.args(["--", "--nocapture", "--test-threads=1"]);
    let finished = logged(&format!("prove {harness}"), test)?;
    // libtest leaves the name of the test before the first thing that it prints.
    let lines = finished.output.lines().filter_map(|line| line.split_once("PROVE "));
    let mut rows: Vec<Row> = lines.filter_map(|(_, text)| Row::parse(text)).collect();
    if !finished.success {
        eprintln!("{}", finished.output.trim_end());
        rows.push(Row::missed(harness, "the test failed"));
    } else if rows.is_empty() {
        rows.push(Row::missed(harness, "the test says nothing"));
    }
    Ok(rows)
}

fn print(rows: &[Row]) {
    let titles = ["name", "tried", "violations", "target", ""];
    let table: Vec<[&str; 5]> = [titles].into_iter().chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| table.iter().map(|cells| cells[column].len()).max().unwrap_or(0);
    let [name, tried, violations, target] = [width(0), width(1), width(2), width(3)];
    for [a, b, c, d, met] in table {
        println!("{a:<name$}  {b:>tried$}  {c:>violations$}  {d:<target$}  {met}");
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    fn met(text: &str) -> bool {
        Row::parse(text).is_some_and(|row| row.met)
    }

    #[test]
    fn a_target_is_met_by_as_many_tries_without_a_violation() {
        assert!(met("crash tried=500 violations=0 target=500 cycles"));
        assert!(met("crash tried=10000 violations=0 target=10,000 cycles"));
        assert!(met("model.two tried=77 violations=0 target=exhausted"));
        assert!(!met("crash tried=499 violations=0 target=500 cycles"));
        assert!(!met("crash tried=500 violations=1 target=500 cycles"));
        assert!(!met("crash tried=500 violations= target=500 cycles"));
    }

    #[test]
    fn a_planted_fault_is_to_be_found() {
        assert!(met("model.fault.fence_ignored tried=77 violations=1 target=found"));
        assert!(!met("model.fault.fence_ignored tried=77 violations=0 target=found"));
    }
}
