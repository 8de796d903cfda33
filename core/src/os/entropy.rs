//! Randomness, from the kernel alone: a generator of our own would be copied by fork, and repeat itself.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{Error, ErrorKind, Result};

/// Fills the buffer with random bytes from the kernel.
///
/// Never waits: before the kernel's generator is seeded, early in a boot, this is `Unavailable`.
pub(crate) fn random(buffer: &mut [u8]) -> Result<()> {
    fill(buffer, read)
}

/// Whether random bytes can be had, and look random. It sees a generator that is not seeded, stands still or
/// is missing (some virtual machines and filters of system calls), and not one that is merely weak.
pub(crate) fn check_entropy() -> Result<()> {
    let mut reads = [[0; 32]; 2];
    for bytes in &mut reads {
        random(bytes)?;
    }
    judge(&reads[0], &reads[1])
}

fn read(buffer: &mut [u8]) -> std::result::Result<usize, Errno> {
    #[cfg(feature = "kill-points")]
    if let Some(source) = super::testing::random_source() {
        return source(buffer);
    }
    getrandom(buffer, GetRandomFlags::NONBLOCK)
}

fn fill(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> std::result::Result<usize, Errno>,
) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..]) {
            Ok(0) => return Err(unavailable("gave no bytes")),
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                return Err(unavailable("is not seeded yet; wait until the machine has started up"));
            }
            Err(e) => return Err(Error::io("cannot read random bytes from the kernel", e)),
        }
    }
    Ok(())
}

/// Two reads of a sound generator are zero or equal once in 2^255 times.
fn judge(one: &[u8; 32], other: &[u8; 32]) -> Result<()> {
    if [one, other].contains(&&[0; 32]) {
        return Err(unavailable("gave 32 bytes of zero; nothing that it gives can be trusted"));
    }
    if one == other {
        return Err(unavailable("gave the same 32 bytes twice; nothing that it gives can be trusted"));
    }
    Ok(())
}

fn unavailable(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the kernel's random generator (getrandom) {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<()>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        error.to_string()
    }

    #[test]
    fn a_generator_that_is_not_seeded_is_an_error_at_once() {
        let mut calls = 0;
        let mut unseeded = |_: &mut [u8]| {
            calls += 1;
            if calls == 1 { Err(Errno::AGAIN) } else { Ok(8) }
        };
        assert!(refused(fill(&mut [0; 8], &mut unseeded)).contains("not seeded"));
        assert_eq!(calls, 1, "asked again");
        assert!(refused(fill(&mut [0; 8], |_| Ok(0))).contains("no bytes"), "and no endless loop");
    }

    #[test]
    fn another_failure_keeps_its_cause() {
        let error = fill(&mut [0; 8], |_| Err(Errno::NOSYS)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn short_and_interrupted_reads_fill_the_buffer_all_the_same() {
        let mut step = 0;
        let mut buffer = [0; 7];
        let by_threes = |rest: &mut [u8]| {
            step += 1;
            if step % 2 == 0 {
                return Err(Errno::INTR);
            }
            let count = rest.len().min(3);
            rest[..count].fill(step);
            Ok(count)
        };
        fill(&mut buffer, by_threes).unwrap();
        assert_eq!(buffer, [1, 1, 1, 3, 3, 3, 5]);
    }

    #[test]
    fn two_reads_that_are_zero_or_equal_are_no_entropy() {
        let (one, mut other) = ([7; 32], [7; 32]);
        assert!(refused(judge(&one, &other)).contains("the same 32 bytes"));
        other[31] ^= 1;
        judge(&one, &other).unwrap();
        for (a, b) in [([0; 32], one), (one, [0; 32]), ([0; 32], [0; 32])] {
            assert!(refused(judge(&a, &b)).contains("bytes of zero"));
        }
        check_entropy().unwrap();
    }
}
