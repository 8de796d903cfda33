//! What test runners say they ran.

/// Passed, failed, skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What the closing lines say: nextest's `Summary`, or the sum of libtest's `test result`. None if there is
/// no such line, which means that nothing was run.
pub(crate) fn tests(output: &str) -> Option<Count> {
    // nextest shows the output of what failed, and there libtest has its own closing line.
    closing(output, "Summary [", "run:").or_else(|| closing(output, "test result:", ". "))
}

fn closing(output: &str, mark: &str, before_counts: &str) -> Option<Count> {
    let lines = output.lines().filter_map(|line| line.split_once(mark)?.1.split_once(before_counts));
    lines.map(|(_, counts)| counted(counts)).reduce(|mut sum, line| {
        sum.add(line);
        sum
    })
}

fn counted(counts: &str) -> Count {
    let mut sum = Count::default();
    without_asides(counts).split([',', ';']).for_each(|part| sum.add(one(part)));
    sum
}

/// `3 passed` and its like.
fn one(part: &str) -> Count {
    let mut words = part.split_whitespace();
    let Some(number) = words.next().and_then(|word| word.parse().ok()) else { return Count::default() };
    match words.next() {
        Some("passed") => Count { passed: number, ..Count::default() },
        // nextest: failed, exec failed, timed out
        Some("failed" | "exec" | "timed") => Count { failed: number, ..Count::default() },
        Some("skipped" | "ignored") => Count { skipped: number, ..Count::default() },
        _ => Count::default(),
    }
}

/// nextest says `9 passed (1 slow, 1 leaky)`: those are among the nine.
fn without_asides(text: &str) -> String {
    let mut depth = 0;
    let keep = |letter: &char| {
        depth += i32::from(*letter == '(');
        let outside = depth == 0;
        depth -= i32::from(*letter == ')');
        outside
    };
    text.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::{Count, tests};

    #[test]
    fn nextest_is_read_with_its_asides() {
        let line = "     Summary [   1.2s] 9/12 tests run: 6 passed (1 slow, 2 leaky), 2 failed, 1 timed out";
        assert_eq!(tests(line), Some(Count { passed: 6, failed: 3, skipped: 0 }));
    }

    #[test]
    fn nextest_has_the_last_word_on_what_it_ran() {
        let output = "test result: FAILED. 0 passed; 1 failed;\nSummary [1s] 2 tests run: 1 passed, 1 failed";
        assert_eq!(tests(output), Some(Count { passed: 1, failed: 1, skipped: 0 }));
    }

    #[test]
    fn libtest_is_summed_over_binaries() {
        let one = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out";
        let two = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(tests(&format!("{one}\nother\n{two}")), Some(Count { passed: 4, failed: 2, skipped: 1 }));
    }

    #[test]
    fn no_closing_line_is_no_count() {
        assert_eq!(tests("error: could not compile"), None);
    }
}
