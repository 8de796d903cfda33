//! Byte locks of an open file description: the kernel frees them when the last descriptor of that description
//! is closed, which a dead process cannot fail to do. A lock by process id (POSIX) would be lost by any other
//! close of the file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Byte 0 is the control lock; slot n of the processes is byte `FIRST_SLOT + n`.
pub(super) const CONTROL: u64 = 0;
pub(super) const FIRST_SLOT: u64 = 1024;

fn description(kind: i32, start: u64, len: u64) -> libc::flock {
    // SAFETY: flock is a plain C struct of integers, for which all zeros are valid; l_pid must be 0 for these
    // locks.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start as libc::off_t;
    lock.l_len = len as libc::off_t;
    lock
}

fn call(file: &File, command: i32, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` is borrowed, and `lock` is a valid flock for the call's
    // duration.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes the byte if nobody else has it.
pub(super) fn try_lock(file: &File, byte: u64) -> io::Result<bool> {
    match call(file, libc::F_OFD_SETLK, &mut description(libc::F_WRLCK, byte, 1)) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

pub(super) fn unlock(file: &File, byte: u64) {
    // Cannot fail for a byte that is held; were it to, the lock would end with the descriptor.
    let _ = call(file, libc::F_OFD_SETLK, &mut description(libc::F_UNLCK, byte, 1));
}

/// Whether another description holds this byte or any behind it.
pub(super) fn is_locked_from(file: &File, first: u64) -> io::Result<bool> {
    let mut lock = description(libc::F_WRLCK, first, 0); // 0: to the end, however far that is
    call(file, libc::F_OFD_GETLK, &mut lock)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}
