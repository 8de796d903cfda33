//! A small closed store that is damaged, asked, and put back as it was.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use semel::*;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::common::{complete, error_text, index_of, names, replay_of, small, start, text};

/// What an open finds of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// As it was left: the same boot.
    Trusted,
    /// Nothing: another boot.
    Gone,
    /// Damaged in memory: no promise but that of no wrong answer.
    Damaged,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Harm {
    pub(crate) tried: u64,
    pub(crate) errors: u64,
    /// Completed keys that were granted where that may be.
    pub(crate) hidden: u64,
    pub(crate) violations: Vec<String>,
}

impl Harm {
    pub(crate) fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.errors += other.errors;
        self.hidden += other.hidden;
        self.violations.extend(other.violations);
    }
}

/// How a key was left.
enum Left {
    /// Ended: this, and nothing else, is its answer.
    Ended(String),
    Released,
    InDoubt,
    Never,
}

pub(crate) struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    keys: Vec<(String, Left)>,
    /// The files of the store as they were left, by their names in it.
    files: Vec<(String, Vec<u8>)>,
    /// The index that belongs to them; empty when there is none that an open would trust.
    index: Vec<(PathBuf, Vec<u8>)>,
}

const PAST_LIMIT: usize = 1001;

/// Of the first generation.
pub(crate) const FILTER: &str = "filter-00000001";
/// A filter is opened behind the back of those who ask: so often they ask again.
const ROUNDS: usize = 40;

/// All that is in a segment is in its first chunk.
const USED: usize = 64 << 10;

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Duration::from_secs(1_800_000_000));
        let mut bench = Self { dir, clock, keys: Vec::new(), files: Vec::new(), index: Vec::new() };
        let store = bench.open().unwrap();
        let mut left = |key: &str, how: Left| bench.keys.push((key.into(), how));
        for bytes in [0, 1, 9, 90, 300] {
            let key = format!("completed {bytes}");
            complete(&store, &key, bytes);
            left(&key, Left::Ended(replay_of(&key, bytes)));
        }
        start(&store, "failed").fail(Response::new("no").status(402)).unwrap();
        left("failed", Left::Ended("Replay Failed 402 x6e6f x".into()));
        start(&store, "omitted").complete(Response::new(&[0; PAST_LIMIT]).status(7)).unwrap();
        left("omitted", Left::Ended("Omitted Completed TooLarge 7".into()));
        start(&store, "second").release().unwrap();
        complete(&store, "second", 20);
        left("second", Left::Ended(replay_of("second", 20)));
        start(&store, "released").release().unwrap();
        left("released", Left::Released);
        let claim = start(&store, "in doubt");
        claim.begin_effect().unwrap();
        claim.release().unwrap();
        left("in doubt", Left::InDoubt);
        left("never", Left::Never);
        drop(store);
        bench.look();
        bench
    }

    /// One whose index has grown: most keys lie in a sealed generation with its filter, some in the newest.
    pub(crate) fn grown() -> Self {
        const FILL: usize = 700;
        let mut bench = Self::new();
        let store = bench.open().unwrap();
        (0..FILL).for_each(|n| complete(&store, &format!("fill {n}"), 1));
        // The helper is about to seal it.
        let is_sealed = (0..1_000_000).any(|_| {
            std::thread::yield_now();
            bench.index_names().iter().any(|name| name == FILTER)
        });
        assert!(is_sealed, "{:?}", bench.index_names());
        for bytes in [3, 30] {
            let key = format!("late {bytes}");
            complete(&store, &key, bytes);
            bench.keys.push((key.clone(), Left::Ended(replay_of(&key, bytes))));
        }
        drop(store);
        bench.look();
        bench
    }

    /// Whether its index is still the one that has grown.
    pub(crate) fn is_grown(&self) -> bool {
        self.index.iter().any(|(path, _)| path.ends_with(FILTER) && path.exists())
    }

    fn index_names(&self) -> Vec<String> {
        names(&index_of(self.dir.path()))
    }

    fn open(&self) -> Result<Store> {
        let clock = self.clock.clone();
        small(self.dir.path())
            .first_generation(1024)
            .response_limit(PAST_LIMIT as u64 - 1)
            .clock(clock)
            .open()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("store").join(file)
    }

    /// Remembers how everything is now.
    fn look(&mut self) {
        let read = |file: String| {
            let bytes = fs::read(self.path(&file)).unwrap();
            (file, bytes)
        };
        self.files = self.files().into_iter().map(read).collect();
        let index = index_of(self.dir.path());
        let paths = names(&index).into_iter().map(|name| index.join(name));
        self.index = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    }

    /// The log's segments.
    pub(crate) fn segments(&self) -> Vec<String> {
        names(&self.path("log")).into_iter().map(|name| format!("log/{name}")).collect()
    }

    /// The files that hold something.
    pub(crate) fn files(&self) -> Vec<String> {
        [vec!["meta".into(), "secret".into()], self.segments()].concat()
    }

    /// Bytes of a file up to the last that is not zero, and a little more.
    pub(crate) fn used(&self, file: &str) -> usize {
        let bytes = &self.bytes(file);
        bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| (last + 9).min(bytes.len()))
    }

    fn bytes(&self, file: &str) -> &[u8] {
        &self.files.iter().find(|(name, _)| name == file).unwrap().1
    }

    /// The bytes of a file of the index.
    pub(crate) fn index_bytes(&mut self, name: &str) -> Vec<u8> {
        self.settle();
        fs::read(index_of(self.dir.path()).join(name)).unwrap()
    }

    /// Does the harm, opens, asks, and puts everything back.
    pub(crate) fn tried(&mut self, what: &str, index: Index, harm: impl FnOnce(&Self)) -> Harm {
        if index == Index::Gone {
            self.forget_index();
        } else {
            self.settle();
        }
        harm(self);
        let mut found = Harm { tried: 1, ..Harm::default() };
        let asked = catch_unwind(AssertUnwindSafe(|| self.ask(index, &mut found)));
        if asked.is_err() {
            found.violations.push("a panic".into());
        }
        for violation in &mut found.violations {
            *violation = format!("{what}: {violation}");
        }
        // Who was granted a key has appended, anywhere; who was only answered has not.
        let appended = index == Index::Damaged || found.hidden > 0 || !found.violations.is_empty();
        self.put_back(if appended { usize::MAX } else { USED });
        found
    }

    fn ask(&self, index: Index, found: &mut Harm) {
        let Ok(store) = self.open() else { return found.errors += 1 };
        // A damaged `meta` or index is not trusted, and rebuilt: then the rules of a rebuild hold.
        let may_hide = index == Index::Damaged || store.recovery().is_some();
        self.ask_each(&store, may_hide, found);
        if self.is_grown() {
            for _ in 0..ROUNDS {
                std::thread::yield_now();
                let mut again = Harm::default();
                self.ask_each(&store, may_hide, &mut again);
                found.hidden = found.hidden.max(again.hidden);
                found.violations.extend(again.violations);
            }
        }
        if index == Index::Damaged {
            // New keys may be refused; the old ones must not suffer from where they were written.
            for bytes in [0, 900] {
                let Ok(Outcome::Started(claim)) = store.begin(Request::new("scope", &format!("new {bytes}")))
                else {
                    continue;
                };
                let _ = claim.complete(Response::new(&vec![1; bytes]));
            }
            self.ask_each(&store, may_hide, found);
        }
    }

    fn ask_each(&self, store: &Store, may_hide: bool, found: &mut Harm) {
        for (key, left) in &self.keys {
            let request = Request::new("scope", key).payload("payload");
            let answer = match left {
                Left::Ended(_) => store.begin(request).map(|outcome| text(&outcome)),
                _ => store.peek("scope", key).map(|seen| format!("{seen:?}")),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible) => {
                    found.errors += 1;
                    continue;
                }
                Err(e) => error_text(&e),
            };
            let before_its_record =
                ["InProgress", "Orphaned", "InDoubt", "None", "Some(InProgress", "Some(Orphaned"];
            let right = match left {
                Left::Ended(promised) if *promised == answer => true,
                // Granted, and given back at once: the next one is told so.
                Left::Ended(_) if may_hide && answer.starts_with("Started") => {
                    found.hidden += 1;
                    true
                }
                Left::Released | Left::Never if answer == "None" => true,
                Left::InDoubt if answer.starts_with("Some(InDoubt") => true,
                Left::Never => false,
                _ => may_hide && before_its_record.iter().any(|start| answer.starts_with(start)),
            };
            if !right {
                found.violations.push(format!("{key}: {answer}"));
            }
        }
    }

    /// Writes back what was changed, into the same files: another inode would be another store.
    fn put_back(&mut self, used: usize) {
        for file in self.segments() {
            if !self.files.iter().any(|(known, _)| *known == file) {
                fs::remove_file(self.path(&file)).unwrap();
            }
        }
        for (name, bytes) in &self.files {
            let path = self.path(name);
            let gone = !path.exists();
            restore(&path, bytes, used);
            if gone {
                fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            }
        }
        if self.index.iter().all(|(path, _)| path.exists()) {
            self.index.iter().for_each(|(path, bytes)| restore(path, bytes, usize::MAX));
        } else {
            self.index.clear();
        }
        if self.is_grown() {
            self.shrink_index();
        }
    }

    /// Removes what a growth made.
    fn shrink_index(&self) {
        for name in self.index_names() {
            if !self.index.iter().any(|(path, _)| path.ends_with(&name)) {
                fs::remove_file(index_of(self.dir.path()).join(name)).unwrap();
            }
        }
    }

    fn forget_index(&mut self) {
        self.index.clear();
        for name in names(self.dir.path()).iter().filter(|name| name.starts_with("semel-")) {
            fs::remove_dir_all(self.dir.path().join(name)).unwrap();
        }
    }

    /// Makes an index that will be trusted, if there is none.
    fn settle(&mut self) {
        if self.index.is_empty() {
            self.forget_index();
            drop(self.open().unwrap());
            self.look();
        }
    }

    pub(crate) fn xor(&self, file: &str, at: usize, bits: u8) {
        put(&self.path(file), at, &[self.bytes(file)[at] ^ bits]);
    }

    pub(crate) fn zero(&self, file: &str, at: usize, bytes: usize) {
        put(&self.path(file), at, &vec![0; bytes.min(self.bytes(file).len() - at)]);
    }

    pub(crate) fn resize(&self, file: &str, length: u64) {
        OpenOptions::new().write(true).open(self.path(file)).unwrap().set_len(length).unwrap();
    }

    pub(crate) fn exchange(&self, one: &str, other: &str) {
        restore(&self.path(one), self.bytes(other), usize::MAX);
        restore(&self.path(other), self.bytes(one), usize::MAX);
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    pub(crate) fn xor_index(&self, name: &str, at: usize, bits: u8) {
        let path = index_of(self.dir.path()).join(name);
        let bytes = fs::read(&path).unwrap();
        put(&path, at, &[bytes[at] ^ bits]);
    }

    /// Writes a word into a file of the index.
    pub(crate) fn put_index(&self, name: &str, at: usize, word: u64) {
        put(&index_of(self.dir.path()).join(name), at, &word.to_le_bytes());
    }

    /// Makes a file of the index so long.
    pub(crate) fn resize_index(&self, name: &str, length: u64) {
        let path = index_of(self.dir.path()).join(name);
        OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
    }

    /// Makes a filter say no to everything, under checksums that are right.
    pub(crate) fn reseal_an_empty_filter(&self) {
        let path = index_of(self.dir.path()).join(FILTER);
        let mut bytes = fs::read(&path).unwrap();
        bytes[64..].fill(0);
        let sum = xxh3_64(&bytes[64..]);
        bytes[48..56].copy_from_slice(&sum.to_le_bytes());
        let sum = xxh3_64(&bytes[..56]);
        bytes[56..64].copy_from_slice(&sum.to_le_bytes());
        put(&path, 0, &bytes);
    }

    /// Says of the one generation that it has this many words, under a checksum that is right.
    pub(crate) fn resize_generation(&self, words: u64) {
        let path = index_of(self.dir.path()).join("generation-00000001");
        let mut head = fs::read(&path).unwrap()[..40].to_vec();
        head[32..].copy_from_slice(&words.to_le_bytes());
        head.extend(xxh3_64(&head).to_le_bytes());
        put(&path, 0, &head);
        let length = words.wrapping_mul(8).wrapping_add(4096).min(1 << 20);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
    }

    /// Empties all words of the index.
    pub(crate) fn wipe_index_words(&self) {
        put(&index_of(self.dir.path()).join("generation-00000001"), 4096, &[0; 8 * 1024]);
    }

    /// Changes a byte of a kept response and makes the checksum right again, as only the store itself could.
    /// The record's layout is that of `log/record.rs`.
    pub(crate) fn reseal_another_response(&self) {
        let seed = u64::from_le_bytes(self.bytes("secret")[24..32].try_into().unwrap());
        let needle = super::common::body("completed 90", 90);
        let holds = |file: &String| self.bytes(file).windows(90).any(|piece| piece == needle);
        let file = self.segments().into_iter().find(holds).unwrap();
        let number = u64::from_str_radix(&file[4..12], 16).unwrap();
        let mut bytes = self.bytes(&file).to_vec();
        let record = super::record_around(&bytes, &needle);
        let body = bytes.windows(90).position(|piece| piece == needle).unwrap();
        bytes[body] ^= 1;
        let at = record.start;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let length = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let names_and_fingerprint = usize::from(bytes[at + 84]) + usize::from(bytes[at + 85]) + 32;
        let sealed = at + 24..at + 88 + names_and_fingerprint + length(at + 76) + length(at + 80);
        let address = number << 16 | (at / 16) as u64;
        let seed = seed ^ address.rotate_left(16) ^ word(at).rotate_left(40);
        let sum = xxh3_64_with_seed(&bytes[sealed], seed);
        bytes[at + 16..at + 24].copy_from_slice(&sum.to_le_bytes());
        restore(&self.path(&file), &bytes, usize::MAX);
    }
}

/// Makes a file's contents these, in place; behind `used` bytes it is known to have them.
fn restore(path: &Path, bytes: &[u8], used: usize) {
    let used = used.min(bytes.len());
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    let mut found = vec![0; used];
    let whole = file.metadata().unwrap().len() == bytes.len() as u64;
    if !whole {
        file.set_len(bytes.len() as u64).unwrap();
        file.write_all_at(bytes, 0).unwrap();
    } else if file.read_exact_at(&mut found, 0).is_err() || found != bytes[..used] {
        file.write_all_at(&bytes[..used], 0).unwrap();
    }
}

fn put(path: &Path, at: usize, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at as u64).unwrap();
}
