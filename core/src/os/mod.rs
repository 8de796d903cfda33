//! The cellar: files, mappings, locks, time. The only room with `unsafe`, and the only one that talks to the
//! operating system; all of it behind one door, [`Medium`], so that tests can put another disk there.

#![allow(unsafe_code)] // mappings and byte locks have no safe interface; each use cites what makes it sound
#![allow(clippy::disallowed_methods)] // this is the room of clocks and randomness

mod directory;
mod entropy;
mod files;
mod lock;
mod mapping;
mod memory;
#[cfg(feature = "kill-points")]
pub(crate) mod testing;
pub(crate) mod time;

use std::fmt;

use crate::error::Result;

pub(crate) use entropy::{check_entropy, random};
pub(crate) use files::{FileMedium, is_temporary};
pub(crate) use mapping::Mapping;
pub(crate) use memory::MemoryMedium;

#[cfg(not(target_endian = "little"))]
compile_error!("semel stores are little-endian: x86-64 and aarch64");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("semel maps segments of up to 1 GiB: a 64-bit target is needed");
#[cfg(not(target_os = "linux"))]
compile_error!("semel needs Linux: open-file-description locks, fallocate, a tmpfs shared by processes");

/// The folders of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Room {
    /// The store's own directory: `meta`, `secret`, `lock`.
    Store,
    /// Its log segments.
    Log,
    /// Its index, in shared memory.
    Index,
}

/// Which file this is, whatever its name: a copy has another identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What came of making a file.
pub(crate) enum Created {
    /// It was made whole, and this is its mapping.
    Made(Mapping),
    /// The name is taken: somebody else made it.
    Taken,
}

/// Held by whoever opens, recovers or removes; the kernel frees it when its process dies.
pub(crate) trait ControlLock {}

/// The one door to the operating system.
///
/// Files are made whole or not at all: allocated in full and filled under a temporary name, then given
/// theirs.
pub(crate) trait Medium: Send + Sync + fmt::Debug {
    /// Maps a file whole; `None` if there is no such file.
    fn map(&self, room: Room, name: &str) -> Result<Option<Mapping>>;
    /// Makes a file of this many bytes that starts with `head` and is zero behind it.
    fn create(&self, room: Room, name: &str, bytes: u64, head: &[u8]) -> Result<Created>;
    /// Reads a small file whole; `None` if there is no such file.
    fn read(&self, room: Room, name: &str) -> Result<Option<Vec<u8>>>;
    /// Names in a room, temporary ones included.
    fn list(&self, room: Room) -> Result<Vec<String>>;
    /// Removes a name; mappings of the file stay valid.
    fn remove(&self, room: Room, name: &str) -> Result<()>;
    /// Identity of a file, `None` if there is no such file.
    fn identity(&self, room: Room, name: &str) -> Result<Option<FileIdentity>>;
    /// Refuses if there is not room for this much in the store's file system, or for so large an index.
    fn check_room(&self, bytes: u64, index_bytes: u64) -> Result<()>;
    /// Makes a room's directory if it is not there.
    fn make_room(&self, room: Room) -> Result<()>;
    /// Enters the index directory of this name; with `bytes`, makes it where that much fits. `false`: not
    /// there.
    fn enter_index(&self, name: &str, bytes: Option<u64>) -> Result<bool>;
    /// Removes the index directory of this name and all in it, wherever it is.
    fn remove_index(&self, name: &str);
    /// Waits for the control lock.
    fn lock(&self) -> Result<Box<dyn ControlLock + '_>>;
    /// Takes a process slot below `count` for as long as this medium lives; `None` when all are taken.
    fn take_slot(&self, count: u64) -> Result<Option<u16>>;
    /// Whether any process holds a slot. Asked under the control lock, before taking one's own.
    fn anyone_attached(&self) -> Result<bool>;
    /// Identifies this boot of the machine.
    fn boot_id(&self) -> Result<[u8; 16]>;
    /// After an open that failed before there was a store: takes away the directory that this open made.
    /// Under the control lock, if that was taken.
    fn abandon(&self);
    /// Where the store is, for messages.
    fn describe(&self) -> String;
}
