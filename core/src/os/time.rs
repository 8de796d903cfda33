//! The clocks of the machine.

use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot, sleep included, the same in every time namespace.
pub(crate) fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let ms = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
    (ms - namespace_offset_ms()) as u64
}

/// Milliseconds since the epoch, by the wall clock.
pub(crate) fn wall_ms() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    (now.tv_sec * 1000 + now.tv_nsec / 1_000_000).max(0) as u64
}

/// A time namespace shifts the time since boot; two containers of one store may be in two of them.
fn namespace_offset_ms() -> i64 {
    static OFFSET: OnceLock<i64> = OnceLock::new();
    *OFFSET.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        parse_offset(&text).unwrap_or(0)
    })
}

fn parse_offset(text: &str) -> Option<i64> {
    let line = text.lines().find(|line| line.starts_with("boottime"))?;
    let mut numbers = line.split_whitespace().skip(1);
    let seconds: i64 = numbers.next()?.parse().ok()?;
    let nanoseconds: i64 = numbers.next()?.parse().ok()?;
    Some(seconds * 1000 + nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn offset_of_a_time_namespace_is_read() {
        let text = "monotonic           0         0\nboottime        86400 500000000\n";
        assert_eq!(super::parse_offset(text), Some(86_400_500));
        assert_eq!(super::parse_offset("garbage"), None);
    }
}
