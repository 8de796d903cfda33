//! A store in anonymous memory: the same engine, nothing to outlive the process.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{ControlLock, Created, FileIdentity, Mapping, Medium, Room};
use crate::error::{Error, Result};

/// Files are pieces of anonymous memory, kept by name.
#[derive(Debug, Default)]
pub(crate) struct MemoryMedium {
    files: Mutex<HashMap<(Room, String), Mapping>>,
}

struct NoLock;

impl ControlLock for NoLock {}

impl Medium for MemoryMedium {
    fn map(&self, room: Room, name: &str) -> Result<Option<Mapping>> {
        Ok(self.files.lock().get(&(room, name.to_owned())).cloned())
    }

    fn create(&self, room: Room, name: &str, bytes: u64, head: &[u8]) -> Result<Created> {
        let mapping = Mapping::anonymous(bytes)?;
        mapping.write(0, head).ok_or_else(|| Error::corrupt("a file's head is longer than the file"))?;
        let mut files = self.files.lock();
        if files.contains_key(&(room, name.to_owned())) {
            return Ok(Created::Taken);
        }
        files.insert((room, name.to_owned()), mapping.clone());
        Ok(Created::Made(mapping))
    }

    fn read(&self, room: Room, name: &str) -> Result<Option<Vec<u8>>> {
        let mapping = self.map(room, name)?;
        Ok(mapping.and_then(|mapping| mapping.bytes(0, mapping.len()).map(<[u8]>::to_vec)))
    }

    fn list(&self, room: Room) -> Result<Vec<String>> {
        Ok(self.files.lock().keys().filter(|(r, _)| *r == room).map(|(_, name)| name.clone()).collect())
    }

    fn remove(&self, room: Room, name: &str) -> Result<()> {
        self.files.lock().remove(&(room, name.to_owned()));
        Ok(())
    }

    fn identity(&self, _: Room, _: &str) -> Result<Option<FileIdentity>> {
        Ok(Some(FileIdentity::default()))
    }

    fn check_room(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn make_room(&self, _: Room) -> Result<()> {
        Ok(())
    }

    fn enter_index(&self, _: &str, bytes: Option<u64>) -> Result<bool> {
        Ok(bytes.is_some())
    }

    fn remove_index(&self, _: &str) {}

    fn lock(&self) -> Result<Box<dyn ControlLock + '_>> {
        Ok(Box::new(NoLock))
    }

    fn take_slot(&self, _: u64) -> Result<Option<u16>> {
        Ok(Some(0))
    }

    fn anyone_attached(&self) -> Result<bool> {
        Ok(false)
    }

    fn boot_id(&self) -> Result<[u8; 16]> {
        Ok([0; 16])
    }

    fn abandon(&self) {}

    fn describe(&self) -> String {
        "the store in memory".into()
    }
}
