//! What tests do to the machine under a store: another random generator, and forked children.

use std::cell::Cell;
use std::io::{self, Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

/// A random generator: fills a buffer from its front and says how far.
pub type RandomSource = fn(&mut [u8]) -> Result<usize, Errno>;

thread_local!(static SOURCE: Cell<Option<RandomSource>> = const { Cell::new(None) });

/// Runs this while this thread takes `source` for the kernel's generator.
pub fn with_random_source<T>(source: RandomSource, run: impl FnOnce() -> T) -> T {
    SOURCE.set(Some(source));
    let done = run();
    SOURCE.set(None);
    done
}

/// What this thread takes for the kernel's generator, if that is another one.
pub(super) fn random_source() -> Option<RandomSource> {
    SOURCE.get()
}

/// Runs `work` in so many forked children at a time, and hands back what each answered, in order. A child
/// ends as soon as it has answered: nothing of the parent is dropped or flushed in it.
///
/// Only the thread that calls this lives on in a child. What another thread held locked stays locked there
/// for ever: call it where no other thread works.
///
/// # Errors
/// What the operating system says to the fork, or that a child did not end well.
pub fn in_children(count: usize, work: impl Fn(usize) -> Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
    let mut children = Vec::with_capacity(count);
    for number in 0..count {
        let (reader, mut writer) = pipe()?;
        // SAFETY: the child runs on a copy of this thread alone. It frees and unlocks nothing that another
        // thread owned, so nothing in its memory is seen half changed except behind a lock that it would
        // wait for; glibc makes its own allocator usable in a child.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(reader);
            let done = catch_unwind(AssertUnwindSafe(|| writer.write_all(&work(number)).is_ok()));
            let status = i32::from(!done.unwrap_or(false));
            // SAFETY: ends the process at once; takes no pointer and does not return.
            unsafe { libc::_exit(status) }
        }
        if child < 0 {
            return Err(io::Error::last_os_error());
        }
        drop(writer);
        children.extend(Pid::from_raw(child).map(|child| (child, reader)));
    }
    let mut answers = Vec::with_capacity(count);
    for (child, mut reader) in children {
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer)?;
        let ended = waitpid(Some(child), WaitOptions::empty())?;
        if ended.and_then(|(_, status)| status.exit_status()) != Some(0) {
            return Err(io::Error::other("a child did not end well"));
        }
        answers.push(answer);
    }
    Ok(answers)
}
