//! A store whose files were written by somebody else, opened and used.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::{SEED, reseal_records};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::meta::{Fixed, META, META_BYTES};
use crate::error::Result;
use crate::log::address::{Geometry, SegmentNumber};
use crate::log::segment::{CHUNK, number_of};
use crate::options::{Defaults, Plan, Unverifiable};
use crate::os::{ControlLock, Created, FileIdentity, Mapping, Medium, MemoryMedium, Room};
use crate::{Claim, Outcome, Request, Resolution, Response, Store};

const SEGMENT: u64 = 1 << 20;
/// What its secret and its `meta` say, for whoever seals as it does.
pub(super) const AUTHENTICATION: [u8; 32] = [0; 32];
pub(super) const STORE_ID: [u8; 16] = [7; 16];
const KEYS: [&str; 5] = ["completed", "released", "in doubt", "running", "large"];

/// A store in memory, with files that were there before: as on a disk, its index is found again.
#[derive(Debug, Default)]
struct Disk(Arc<MemoryMedium>);

impl Medium for Disk {
    fn map(&self, room: Room, name: &str) -> Result<Option<Mapping>> {
        self.0.map(room, name)
    }
    fn create(&self, room: Room, name: &str, bytes: u64, head: &[u8]) -> Result<Created> {
        assert!(bytes <= 64 << 20, "{name} of {bytes} bytes: a size from the disk was believed");
        self.0.create(room, name, bytes, head)
    }
    fn read(&self, room: Room, name: &str) -> Result<Option<Vec<u8>>> {
        self.0.read(room, name)
    }
    fn list(&self, room: Room) -> Result<Vec<String>> {
        self.0.list(room)
    }
    fn remove(&self, room: Room, name: &str) -> Result<()> {
        self.0.remove(room, name)
    }
    fn identity(&self, room: Room, name: &str) -> Result<Option<FileIdentity>> {
        self.0.identity(room, name)
    }
    fn check_room(&self, bytes: u64, _: u64) -> Result<()> {
        self.0.check_room(bytes, 0)
    }
    fn make_room(&self, room: Room) -> Result<()> {
        self.0.make_room(room)
    }
    fn enter_index(&self, _: &str, bytes: Option<u64>) -> Result<bool> {
        let old = self.list(Room::Index)?;
        if bytes.is_some() {
            old.iter().try_for_each(|name| self.remove(Room::Index, name))?;
        }
        Ok(bytes.is_some() || !old.is_empty())
    }
    fn remove_index(&self, _: &str) {}
    fn lock(&self) -> Result<Box<dyn ControlLock + '_>> {
        self.0.lock()
    }
    fn take_slot(&self, count: u64) -> Result<Option<u16>> {
        self.0.take_slot(count)
    }
    fn anyone_attached(&self) -> Result<bool> {
        Ok(false)
    }
    fn boot_id(&self) -> Result<[u8; 16]> {
        self.0.boot_id()
    }
    fn abandon(&self) {}
    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// A file, without the zeros at its end.
#[derive(Clone)]
struct File {
    room: Room,
    name: String,
    bytes: Vec<u8>,
    len: usize,
}

fn plan() -> Plan {
    Plan {
        path: None,
        index_dir: None,
        clock: Clock::manual(Duration::from_secs(1_800_000_000)),
        defaults: Defaults {
            lease_ms: 30_000,
            ttl_ms: 86_400_000,
            in_doubt_ttl_ms: 86_400_000,
            response_limit: 70_000,
            meta_limit: 100,
            keyed_fingerprints: false,
            unverifiable: Unverifiable::Accept,
            downstream_secret: None,
        },
        segment_bytes: SEGMENT,
        first_generation: 1024,
        processes: 4,
    }
}

fn opened(files: &[File]) -> Result<Store> {
    let disk = Disk::default();
    for file in files {
        disk.create(file.room, &file.name, file.len as u64, &file.bytes[..file.bytes.len().min(file.len)])?;
    }
    let plan = plan();
    Ok(Store::over(Engine::open(Arc::new(disk), &plan)?, plan.defaults))
}

/// A store as it was left, for another door.
pub(super) fn store() -> Result<Store> {
    opened(pristine())
}

/// The files of a small store in which every kind of record lies; the same in every run.
fn pristine() -> &'static [File] {
    static MADE: OnceLock<(Vec<File>, Option<Claim>)> = OnceLock::new();
    &MADE.get_or_init(|| made().unwrap_or_default()).0
}

/// The files, and the claim that runs in them.
fn made() -> Result<(Vec<File>, Option<Claim>)> {
    let mut secret = b"semelkey".to_vec();
    secret.extend([1; 16]);
    secret.extend(SEED.to_le_bytes());
    secret.extend(AUTHENTICATION);
    let sum = xxh3_64(&secret);
    secret.extend(sum.to_le_bytes());
    let fixed = Fixed {
        secret_check: sum as u32,
        store: STORE_ID,
        segment_bytes: SEGMENT,
        first_generation: 1024,
        made_ms: 1,
    };
    let disk = Disk::default();
    disk.create(Room::Store, "secret", secret.len() as u64, &secret)?;
    disk.create(Room::Store, META, META_BYTES, &fixed.head())?;
    let plan = plan();
    let memory = disk.0.clone();
    let store = Store::over(Engine::open(Arc::new(disk), &plan)?, plan.defaults);
    let mut running = None;
    for key in KEYS {
        let Outcome::Started(claim) = store.begin(request(key))? else { continue };
        match key {
            "released" => drop(claim.release()?),
            "in doubt" => {
                claim.begin_effect()?;
                claim.release()?;
            }
            "running" => running = Some(claim),
            "large" => claim.complete(Response::new(&vec![1; 66_000]).meta("m"))?,
            _ => claim.complete(Response::new(key).meta("meta"))?,
        }
    }
    let mut files = Vec::new();
    for room in [Room::Store, Room::Log, Room::Index] {
        let mut names = memory.list(room)?;
        names.sort();
        for name in names {
            let mut bytes = memory.read(room, &name)?.unwrap_or_default();
            let len = bytes.len();
            bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
            files.push(File { room, name, bytes, len });
        }
    }
    Ok((files, running))
}

fn request(key: &str) -> Request<'_> {
    Request::new("scope", key).payload("payload")
}

/// Overwrites the files of a small store as the bytes say, opens it and runs every verb. The first byte says
/// which checksums are made right afterwards, so that what lies behind them is reached; each later step names
/// a file, an offset and the bytes that are put there, or where the file is cut off.
pub fn open(data: &[u8]) {
    let Some((&mode, mut data)) = data.split_first() else { return };
    let mut files = pristine().to_vec();
    while let [which, low, high, count, rest @ ..] = data {
        let count_of = files.len();
        let file = &mut files[usize::from(*which) % count_of];
        let at = usize::from(*low) | usize::from(*high) << 8;
        let take = usize::from(*count).min(rest.len());
        if *count == 255 {
            file.len = at;
        } else {
            if file.bytes.len() < at + take {
                file.bytes.resize(at + take, 0);
            }
            file.bytes[at..at + take].copy_from_slice(&rest[..take]);
        }
        data = &rest[take..];
    }
    for file in &mut files {
        reseal(file, mode);
    }
    let Ok(store) = opened(&files) else { return };
    if mode & LOOK_ONLY == 0 {
        use_every_verb(&store);
    } else {
        KEYS.iter().for_each(|key| drop(store.peek("scope", *key)));
    }
}

const HEADS: u8 = 1;
const RECORDS: u8 = 2;
const WITHOUT_INDEX: u8 = 4;
/// Nothing is appended, which takes most of the time.
const LOOK_ONLY: u8 = 8;

fn reseal(file: &mut File, mode: u8) {
    let number = number_of(&file.name);
    if mode & HEADS != 0 {
        // Where the checksum of each file's head is: of all bytes before it.
        let (head, from) = match (file.room, &*file.name) {
            (Room::Store, "secret") => (64, 0),
            (Room::Store, _) | (Room::Index, "control") => (56, 0),
            (Room::Log, _) => (48, 0),
            (Room::Index, _) => (40, 0),
        };
        seal(file, from, head);
        if file.name == META {
            seal(file, 64, 128);
        }
    }
    if let (Some(number), true) = (number.filter(|n| n.0 < 1 << 20), mode & RECORDS != 0) {
        file.bytes.resize(3 * CHUNK, 0);
        reseal_records(&mut file.bytes, Geometry::new(SEGMENT), SegmentNumber(number.0));
    }
    if mode & WITHOUT_INDEX != 0 && file.name == META {
        file.bytes.resize(256, 0);
        file.bytes[64..136].fill(0);
    }
}

fn seal(file: &mut File, from: usize, at: usize) {
    if file.bytes.len() < at + 8 {
        file.bytes.resize(at + 8, 0);
    }
    let sum = xxh3_64(&file.bytes[from..at]);
    file.bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
}

/// Errors are as good as answers.
fn use_every_verb(store: &Store) {
    for key in KEYS.into_iter().chain(["new", "newer"]) {
        let _ = store.peek("scope", key);
        match store.begin(request(key)) {
            Ok(Outcome::Started(claim)) => {
                let _ = claim.heartbeat(Duration::from_secs(60));
                let _ = claim.begin_effect();
                let _ = if key == "new" { claim.complete(Response::new(&[2; 70_000])) } else { Ok(()) };
            }
            Ok(Outcome::InDoubt(it)) => {
                let _ = store.resolve("scope", key, it.fence(), Resolution::Completed(Response::new(key)));
            }
            _ => {}
        }
    }
}
