//! What a directory must be before a byte is written there.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};

pub(super) const DIRECTORY_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;

/// File systems that do not share a mapping between all who open a file, by their number in `statfs`.
const UNSHARED: [(u64, &str); 10] = [
    (0x6969, "NFS"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE or virtiofs"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x7461_636F, "OCFS2"),
];

fn refused(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("{}: {why}", path.display()))
}

/// Opens the store's directory, making it (but not its parents) if it is not there; says whether it did.
pub(super) fn open_or_make(path: &Path) -> Result<(OwnedFd, bool)> {
    check_parent(path)?;
    match rustix::fs::mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE)) {
        Ok(()) => {
            let directory = open(path)?;
            rustix::fs::fchmod(&directory, Mode::from_raw_mode(DIRECTORY_MODE))
                .map_err(|e| Error::io(format!("{}: cannot set its mode", path.display()), e))?;
            check(path, &directory)?;
            Ok((directory, true))
        }
        Err(Errno::EXIST) => Ok((open_checked(path)?, false)),
        Err(Errno::NOENT) => Err(refused(path, "its parent directory does not exist; make that first")),
        Err(e @ (Errno::ROFS | Errno::ACCESS)) => {
            let path = path.display();
            let message = format!(
                "{path}: cannot make the store's directory; make its parent writable, or choose another"
            );
            Err(Error::io(message, e))
        }
        Err(e) => Err(Error::io(format!("{}: cannot make the store's directory", path.display()), e)),
    }
}

/// Opens a directory and checks that nobody else can write or read there.
pub(super) fn open_checked(path: &Path) -> Result<OwnedFd> {
    let directory = open(path)?;
    check(path, &directory)?;
    Ok(directory)
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|e| match e {
        Errno::LOOP | Errno::NOTDIR => {
            refused(path, "it is a file or a symbolic link; name a directory itself")
        }
        e => Error::io(format!("{}: cannot open the store's directory", path.display()), e),
    })
}

fn check(path: &Path, directory: &OwnedFd) -> Result<()> {
    let stat = stat(path, directory)?;
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me {
        let why = format!(
            "it belongs to user {}, not to {me}; run as its owner, or choose another path",
            stat.st_uid
        );
        return Err(refused(path, &why));
    }
    if stat.st_mode & 0o077 != 0 {
        let mode = stat.st_mode & 0o777;
        return Err(refused(path, &format!("it is open to others (mode {mode:03o}); run: chmod 700 on it")));
    }
    check_file_system(path, directory)
}

fn check_file_system(path: &Path, directory: &OwnedFd) -> Result<()> {
    let system = rustix::fs::fstatfs(directory)
        .map_err(|e| Error::io(format!("{}: cannot ask for its file system", path.display()), e))?;
    let kind = system.f_type as u64 & 0xFFFF_FFFF;
    match UNSHARED.iter().find(|(number, _)| *number == kind) {
        Some((_, name)) => Err(refused(
            path,
            &format!("it is on {name}, which cannot share memory; use a local file system"),
        )),
        None => Ok(()),
    }
}

/// A parent that anyone may write to, without the sticky bit, lets anyone replace the store.
fn check_parent(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(stat) = rustix::fs::stat(parent) else { return Ok(()) };
    if stat.st_mode & 0o002 != 0 && stat.st_mode & 0o1000 == 0 {
        return Err(refused(
            parent,
            "anyone may replace what is in it (mode o+w without the sticky bit); choose another",
        ));
    }
    Ok(())
}

fn stat(path: &Path, directory: &OwnedFd) -> Result<Stat> {
    rustix::fs::fstat(directory)
        .map_err(|e| Error::io(format!("{}: cannot read its owner", path.display()), e))
}

/// What a file of the store must be: regular, ours, of one name, closed to others.
pub(super) fn check_file(what: &str, stat: &Stat) -> Result<()> {
    let why = if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        "it is not a regular file"
    } else if stat.st_uid != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if stat.st_nlink > 1 {
        "it has other names (hard links)"
    } else if stat.st_mode & 0o077 != 0 {
        "it is open to others"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Refused, format!("{what}: {why}; was it put there by somebody else?")))
}
