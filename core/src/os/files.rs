//! The medium of a store on disk: two directories (the store's, and its index's in shared memory), opened
//! once and never named by path again.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use std::time::Duration;

use parking_lot::RwLock;
use rustix::fs::{Access, AtFlags, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::directory::{self, DIRECTORY_MODE, FILE_MODE};
use super::{ControlLock, Created, FileIdentity, Mapping, Medium, Room, lock};
use crate::error::{Error, ErrorKind, Result};

const META: &str = "meta";
const LOG: &str = "log";
const LOCK: &str = "lock";
const TEMPORARY: &str = "tmp-";
const SHARED_MEMORY: &str = "/dev/shm";
const TMPFS: u64 = 0x0102_1994;

/// A small file is read no further than this, whatever its length is said to be.
const SMALL_FILE: u64 = 64 << 10;

/// Opening may wait this long for another process that opens or recovers the same store.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_micros(500);

/// A store's directory, its lock file, and (once entered) its log and index directories.
#[derive(Debug)]
pub(crate) struct FileMedium {
    path: PathBuf,
    store: Arc<OwnedFd>,
    /// Whether this open made the directory: then a failed open takes it away again.
    made: bool,
    lock: OnceLock<File>,
    log: OnceLock<Arc<OwnedFd>>,
    index: RwLock<Option<(PathBuf, Arc<OwnedFd>)>>,
    index_dir: Option<PathBuf>,
}

struct Held<'a>(&'a File);

impl ControlLock for Held<'_> {}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        lock::unlock(self.0, lock::CONTROL);
    }
}

impl FileMedium {
    /// Opens or makes the directory; writes nothing into it.
    pub(crate) fn open(path: &Path, index_dir: Option<&Path>) -> Result<Self> {
        let (store, made) = directory::open_or_make(path)?;
        refuse_foreign(path, &store)?;
        Ok(Self {
            path: path.to_owned(),
            store: Arc::new(store),
            made,
            lock: OnceLock::new(),
            log: OnceLock::new(),
            index: RwLock::new(None),
            index_dir: index_dir.map(Path::to_owned),
        })
    }

    /// Identity of the store's directory: the same for every path that leads to it.
    pub(crate) fn directory_identity(path: &Path) -> Option<(u64, u64)> {
        rustix::fs::lstat(path).ok().map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// The lock file, made if it is not there.
    fn lock_file(&self) -> Result<&File> {
        if let Some(file) = self.lock.get() {
            return Ok(file);
        }
        let what = self.path.join(LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.store, LOCK, flags, Mode::from_raw_mode(FILE_MODE)) {
            Ok(file) => made(file, &what)?,
            Err(Errno::EXIST) => {
                self.open_file(Room::Store, LOCK, OFlags::RDWR)?.ok_or_else(|| self.gone())?
            }
            Err(e) => return Err(Error::io(cannot_write(&what), e)),
        };
        Ok(self.lock.get_or_init(|| file))
    }

    /// Another opener failed, and took away the directory that it had made.
    fn gone(&self) -> Error {
        let message = format!("{}: it was removed while it was being opened; try again", self.path.display());
        Error::new(ErrorKind::Unavailable, message)
    }

    fn directory(&self, room: Room) -> Result<Arc<OwnedFd>> {
        let entered = match room {
            Room::Store => Some(self.store.clone()),
            Room::Log => self.log.get().cloned(),
            Room::Index => self.index.read().as_ref().map(|(_, directory)| directory.clone()),
        };
        entered.ok_or_else(|| {
            Error::corrupt(format!("{}: its {room:?} directory is not entered", self.path.display()))
        })
    }

    fn what(&self, room: Room, name: &str) -> PathBuf {
        match (room, self.index.read().as_ref()) {
            (Room::Log, _) => self.path.join(LOG).join(name),
            (Room::Index, Some((path, _))) => path.join(name),
            _ => self.path.join(name),
        }
    }

    fn open_file(&self, room: Room, name: &str, flags: OFlags) -> Result<Option<File>> {
        let what = self.what(room, name);
        // Without NONBLOCK a fifo of that name would hold the open until somebody else opens it, too.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory(room)?, name, flags, Mode::empty()) {
            Ok(file) => checked(file, &what).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Err(Error::new(
                ErrorKind::Refused,
                format!("{}: it is not a regular file; was it put there by somebody else?", what.display()),
            )),
            Err(e @ (Errno::ROFS | Errno::ACCESS)) => Err(Error::io(cannot_write(&what), e)),
            Err(e) => Err(Error::io(format!("{}: cannot open it", what.display()), e)),
        }
    }

    /// Writes a temporary file whole: allocated to its last byte, so that no write to its mapping can fail
    /// later.
    fn fill(&self, room: Room, name: &str, what: &Path, bytes: u64, head: &[u8]) -> Result<File> {
        let failed = |doing: &str, e: Errno| {
            Error::io(format!("{}: cannot {doing} ({bytes} bytes); make room there", what.display()), e)
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory(room)?, name, flags, Mode::from_raw_mode(FILE_MODE))
            .map_err(|e| failed("make it", e))?;
        let file = made(file, what)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)
            .map_err(|e| failed("allocate it", e))?;
        let mut written = 0;
        while written < head.len() {
            written += rustix::io::pwrite(&file, &head[written..], written as u64)
                .map_err(|e| failed("write it", e))?;
        }
        if room != Room::Index {
            rustix::fs::fsync(&file).map_err(|e| failed("sync it", e))?;
        }
        Ok(file)
    }

    fn remove_quietly(&self, room: Room, name: &str) {
        if let Ok(directory) = self.directory(room) {
            let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
        }
    }

    /// Where an index directory may be, in order of preference.
    fn index_places(&self) -> Vec<PathBuf> {
        match &self.index_dir {
            Some(place) => vec![place.clone()],
            None => vec![PathBuf::from(SHARED_MEMORY), self.path.clone()],
        }
    }

    /// Whether an index of so many bytes may be made in this place.
    fn check_index_place(&self, place: &Path, bytes: u64) -> Result<()> {
        let chosen = self.index_dir.is_some();
        rustix::fs::access(place, Access::WRITE_OK)
            .map_err(|e| Error::io(format!("{}: cannot make the index there", place.display()), e))?;
        let system = rustix::fs::statfs(place)
            .map_err(|e| Error::io(format!("{}: cannot use it for the index", place.display()), e))?;
        if !chosen && place != self.path && system.f_type as u64 != TMPFS {
            return Err(Error::new(ErrorKind::Refused, format!("{}: it is not in memory", place.display())));
        }
        if (system.f_bavail).saturating_mul(system.f_bsize as u64) < bytes {
            return Err(Error::full(format!("{}: no room for an index of {bytes} bytes", place.display())));
        }
        Ok(())
    }

    fn make_index(&self, place: &Path, name: &str, bytes: u64) -> Result<()> {
        self.check_index_place(place, bytes)?;
        let path = place.join(name);
        rustix::fs::mkdir(&path, Mode::from_raw_mode(DIRECTORY_MODE))
            .map_err(|e| Error::io(format!("{}: cannot make the index directory", path.display()), e))?;
        rustix::fs::chmod(&path, Mode::from_raw_mode(DIRECTORY_MODE))
            .map_err(|e| Error::io(format!("{}: cannot set its mode", path.display()), e))
    }
}

/// A descriptor that is not one of the three standard ones (a host that closed its stderr must not print into
/// the store), of a file that is ours alone.
fn checked(file: OwnedFd, what: &Path) -> Result<File> {
    let failed = |e: Errno| Error::io(format!("{}: cannot open it", what.display()), e);
    let file = rustix::io::fcntl_dupfd_cloexec(&file, 3).map_err(failed)?;
    let stat = rustix::fs::fstat(&file).map_err(failed)?;
    directory::check_file(&what.display().to_string(), &stat)?;
    Ok(File::from(file))
}

/// The descriptor of a file that was made just now, with its mode whatever the umask is.
fn made(file: OwnedFd, what: &Path) -> Result<File> {
    rustix::fs::fchmod(&file, Mode::from_raw_mode(FILE_MODE))
        .map_err(|e| Error::io(format!("{}: cannot set its mode", what.display()), e))?;
    checked(file, what)
}

fn cannot_write(what: &Path) -> String {
    format!("{}: cannot open it for writing; make it writable, or choose another path", what.display())
}

/// A directory that holds other things but no store is somebody's: nothing is written there.
fn refuse_foreign(path: &Path, directory: &OwnedFd) -> Result<()> {
    let names = list(directory).map_err(|e| Error::io(format!("{}: cannot list it", path.display()), e))?;
    // Without a `meta`: what a making that was cut short leaves. `meta` comes before the log and the index.
    let ours = |name: &String| ["secret", LOCK, "lost+found"].contains(&name.as_str()) || is_temporary(name);
    let Some(other) = names.iter().find(|name| !ours(name)) else { return Ok(()) };
    // Asked now, not in the list: while it was read, another process may have made the store.
    if rustix::fs::statat(directory, META, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(());
    }
    let message = format!(
        "{}: it holds other files ({other:?}) and no store, which has a file {META:?}; \
         name an empty directory",
        path.display()
    );
    Err(Error::new(ErrorKind::Refused, message))
}

/// Whether a file was made to be given its name later: `tmp-` and 16 hexadecimal digits.
pub(crate) fn is_temporary(name: &str) -> bool {
    let digits = name.strip_prefix(TEMPORARY).unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn list(directory: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

impl Medium for FileMedium {
    fn map(&self, room: Room, name: &str) -> Result<Option<Mapping>> {
        match self.open_file(room, name, OFlags::RDWR)? {
            Some(file) => Mapping::of_file(&file, &self.what(room, name).display().to_string()).map(Some),
            None => Ok(None),
        }
    }

    fn create(&self, room: Room, name: &str, bytes: u64, head: &[u8]) -> Result<Created> {
        let mut random = [0; 8];
        super::random(&mut random)?;
        let temporary = format!("{TEMPORARY}{:016x}", u64::from_le_bytes(random));
        let what = self.what(room, name);
        let made = self.fill(room, &temporary, &what, bytes, head).and_then(|file| {
            let mapping = Mapping::of_file(&file, &what.display().to_string())?;
            let directory = self.directory(room)?;
            match rustix::fs::renameat_with(&directory, &temporary, &directory, name, RenameFlags::NOREPLACE)
            {
                Ok(()) => Ok(Created::Made(mapping)),
                Err(Errno::EXIST) => Ok(Created::Taken),
                Err(e) => Err(Error::io(format!("{}: cannot give it its name", what.display()), e)),
            }
        });
        if !matches!(made, Ok(Created::Made(_))) {
            self.remove_quietly(room, &temporary);
        } else if room != Room::Index {
            rustix::fs::fsync(&self.directory(room)?)
                .map_err(|e| Error::io(format!("{}: cannot sync its directory", what.display()), e))?;
        }
        made
    }

    fn read(&self, room: Room, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(room, name, OFlags::RDONLY)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(SMALL_FILE)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(format!("{}: cannot read it", self.what(room, name).display()), e))?;
        Ok(Some(bytes))
    }

    fn list(&self, room: Room) -> Result<Vec<String>> {
        list(&*self.directory(room)?)
            .map_err(|e| Error::io(format!("{}: cannot list it", self.path.display()), e))
    }

    fn remove(&self, room: Room, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.directory(room)?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io(format!("{}: cannot remove it", self.what(room, name).display()), e)),
        }
    }

    fn identity(&self, room: Room, name: &str) -> Result<Option<FileIdentity>> {
        match rustix::fs::statat(&self.directory(room)?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileIdentity { device: stat.st_dev, inode: stat.st_ino })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io(format!("{}: cannot look at it", self.what(room, name).display()), e)),
        }
    }

    fn check_room(&self, bytes: u64, index_bytes: u64) -> Result<()> {
        let places = self.index_places();
        let mut checked = places.iter().map(|place| self.check_index_place(place, index_bytes));
        checked.find(Result::is_ok).unwrap_or_else(|| self.check_index_place(&places[0], index_bytes))?;
        let system = rustix::fs::fstatvfs(&self.store)
            .map_err(|e| Error::io(format!("{}: cannot ask for its free space", self.path.display()), e))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        if free >= bytes {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::full(format!(
            "{path}: a new store needs {bytes} bytes and {free} are free; make room there"
        )))
    }

    fn make_room(&self, room: Room) -> Result<()> {
        if room != Room::Log || self.log.get().is_some() {
            return Ok(());
        }
        match rustix::fs::mkdirat(&self.store, LOG, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(Error::io(format!("{}: cannot make its log", self.path.display()), e)),
        }
        let path = self.path.join(LOG);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let log = rustix::fs::openat(&self.store, LOG, flags, Mode::empty()).map_err(|e| match e {
            Errno::LOOP | Errno::NOTDIR => Error::new(
                ErrorKind::Refused,
                format!("{}: it is not a directory; was it put there by somebody else?", path.display()),
            ),
            e => Error::io(format!("{}: cannot open it", path.display()), e),
        })?;
        rustix::fs::fchmod(&log, Mode::from_raw_mode(DIRECTORY_MODE))
            .map_err(|e| Error::io(format!("{}: cannot set its mode", path.display()), e))?;
        let _ = self.log.set(Arc::new(log));
        Ok(())
    }

    fn enter_index(&self, name: &str, bytes: Option<u64>) -> Result<bool> {
        let mut last = None;
        for place in self.index_places() {
            if let Some(bytes) = bytes
                && let Err(e) = self.make_index(&place, name, bytes)
            {
                last = Some(e);
                continue;
            }
            let path = place.join(name);
            match directory::open_checked(&path) {
                Ok(directory) => {
                    *self.index.write() = Some((path, Arc::new(directory)));
                    return Ok(true);
                }
                Err(e) if bytes.is_some() => last = Some(e),
                Err(_) => {}
            }
        }
        last.map_or(Ok(false), Err)
    }

    fn remove_index(&self, name: &str) {
        for place in self.index_places() {
            let path = place.join(name);
            if directory::open_checked(&path).is_ok() {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }

    fn lock(&self) -> Result<Box<dyn ControlLock + '_>> {
        let file = self.lock_file()?;
        let mut waited = Duration::ZERO;
        loop {
            let locked = lock::try_lock(file, lock::CONTROL)
                .map_err(|e| Error::io(format!("{}: cannot lock it", self.path.display()), e))?;
            if locked {
                let held = Held(file);
                let stat = rustix::fs::fstat(file).map_err(|e| {
                    Error::io(format!("{}: cannot look at its lock file", self.path.display()), e)
                })?;
                return if stat.st_nlink == 0 { Err(self.gone()) } else { Ok(Box::new(held)) };
            }
            if waited >= LOCK_PATIENCE {
                let path = self.path.display();
                let message =
                    format!("{path}: another process has been opening it for {waited:?}; try again");
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            std::thread::sleep(LOCK_PAUSE);
            waited += LOCK_PAUSE;
        }
    }

    fn take_slot(&self, count: u64) -> Result<Option<u16>> {
        let file = self.lock_file()?;
        for slot in 0..count {
            let taken = lock::try_lock(file, lock::FIRST_SLOT + slot)
                .map_err(|e| Error::io(format!("{}: cannot take a process slot", self.path.display()), e))?;
            if taken {
                return Ok(Some(slot as u16));
            }
        }
        Ok(None)
    }

    fn anyone_attached(&self) -> Result<bool> {
        lock::is_locked_from(self.lock_file()?, lock::FIRST_SLOT)
            .map_err(|e| Error::io(format!("{}: cannot ask for its processes", self.path.display()), e))
    }

    fn boot_id(&self) -> Result<[u8; 16]> {
        let path = "/proc/sys/kernel/random/boot_id";
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(format!("cannot read {path}"), e))?;
        let mut id = [0; 16];
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
        }
        Ok(id)
    }

    fn abandon(&self) {
        let is_store = rustix::fs::statat(&self.store, META, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if self.made && !is_store {
            // Only under the lock: others may wait for it, and must see that its file is gone.
            if self.lock.get().is_some() {
                self.remove_quietly(Room::Store, "secret");
                self.remove_quietly(Room::Store, LOCK);
            }
            let _ = rustix::fs::rmdir(&self.path); // fails, rightly, unless it is empty
        }
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}
