//! What the tests from outside share: a small store in a directory of its own, outcomes as text, a directory
//! as a value, other processes, and mounts that end with their process.

#![allow(dead_code)] // each test crate uses its part

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use semel::*;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) mod each;
pub(crate) mod peer;
pub(crate) mod refusal;

/// Options of a store that is quick to make: the smallest segments and index, everything inside `dir`.
pub(crate) fn small(dir: &Path) -> Builder {
    tiny().path(dir.join("store")).index_dir(dir)
}

/// The same in memory.
pub(crate) fn tiny() -> Builder {
    Store::builder().segment(1 << 20).first_generation(1 << 12).response_limit(256 << 10)
}

pub(crate) fn begin(store: &Store, key: &str) -> Outcome {
    store.begin(Request::new("scope", key).payload("payload")).unwrap()
}

pub(crate) fn start(store: &Store, key: &str) -> Claim {
    match begin(store, key) {
        Outcome::Started(claim) => claim,
        other => panic!("{key}: {other:?}"),
    }
}

/// Begins and completes a key with its [`body`].
pub(crate) fn complete(store: &Store, key: &str, bytes: usize) {
    start(store, key).complete(Response::new(&body(key, bytes)).status(201).meta(key)).unwrap();
}

/// Bytes that belong to a key.
pub(crate) fn body(key: &str, bytes: usize) -> Vec<u8> {
    let mut state = key.bytes().fold(0x9E37_79B9_7F4A_7C15, |sum: u64, byte| mix(sum ^ u64::from(byte)));
    let mut next = || {
        state = mix(state);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// One step of a generator of numbers that look random and are the same in every run.
pub(crate) fn mix(state: u64) -> u64 {
    let mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// What an outcome says, without what the clock adds.
pub(crate) fn text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Started(claim) => format!("Started {:?} {}", claim.reason(), claim.attempt()),
        Outcome::Replay(it) => replay_text(it),
        Outcome::InProgress(_) => "InProgress".into(),
        Outcome::Mismatch(_) => "Mismatch".into(),
        Outcome::InDoubt(it) => format!("InDoubt {}", it.attempt()),
        Outcome::Omitted(it) => format!("Omitted {:?} {:?} {}", it.state(), it.reason(), it.status()),
        other => format!("{other:?}"),
    }
}

pub(crate) fn replay_text(it: &Replay) -> String {
    format!("Replay {:?} {} {} {}", it.state(), it.status(), hex(it.body()), hex(it.meta()))
}

/// What a key completed by [`complete`] must replay.
pub(crate) fn replay_of(key: &str, bytes: usize) -> String {
    format!("Replay Completed 201 {} {}", hex(&body(key, bytes)), hex(key.as_bytes()))
}

pub(crate) fn error_text(error: &Error) -> String {
    format!("{:?}: {error}", error.kind())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("x"), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Everything below a path: kind, owner, mode and contents of each name. Two equal values: nothing was
/// written between.
pub(crate) fn tree(path: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(meta) = path.symlink_metadata() else { continue };
        let kind = meta.file_type();
        let what = if kind.is_symlink() {
            format!("-> {}", std::fs::read_link(&path).unwrap().display())
        } else if kind.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
            "directory".into()
        } else if kind.is_fifo() {
            "fifo".into()
        } else {
            let bytes = std::fs::read(&path).unwrap();
            format!("{} bytes {:016x}", bytes.len(), xxh3_64(&bytes))
        };
        found.insert(path, format!("{:o} {}:{} {what}", meta.mode(), meta.uid(), meta.gid()));
    }
    found
}

/// Names in a directory, in order.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The files of the index of the one store whose `index_dir` this is.
pub(crate) fn index_of(dir: &Path) -> PathBuf {
    let mut found = names(dir).into_iter().filter(|name| name.starts_with("semel-"));
    let name = found.next().expect("no index");
    assert!(found.next().is_none(), "two indexes in {}", dir.display());
    dir.join(name)
}

/// Removes the index, as a reboot does.
pub(crate) fn remove_index(dir: &Path) {
    std::fs::remove_dir_all(index_of(dir)).unwrap();
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs this test again in a mount namespace of its own, whose mounts end with it, however it ends. `true`:
/// this is that run. Where mounts are not permitted the test is skipped, with a note.
pub(crate) fn in_own_mounts(test: &str) -> bool {
    let root: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    let unshare = || {
        let mut command = Command::new("unshare");
        command.arg("--mount").args(root);
        command
    };
    let probe = ["sh", "-c", "mount -t tmpfs none /mnt"];
    if !is_again() && !unshare().args(probe).output().is_ok_and(|done| done.status.success()) {
        println!("SKIPPED {test}: mounting is not permitted here");
        return false;
    }
    again(unshare(), test)
}

/// Runs this test again in a process of its own, for what belongs to a process. `true`: this is that run.
pub(crate) fn in_own_process(test: &str) -> bool {
    again(Command::new("env"), test)
}

/// Runs this test again as a user to whom this one's files are closed. `true`: this is that run, in `dir`,
/// which is open to it. Only root can.
pub(crate) fn as_another_user(test: &str, dir: &Path) -> bool {
    if is_again() {
        return true;
    }
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(exe);
    command.args([test, "--exact", "--nocapture"]).env(AGAIN, dir).uid(65_534);
    match command.status() {
        Ok(status) => assert!(status.success(), "{test}, as another user: {status}"),
        Err(e) => println!("SKIPPED {test}: cannot run as another user ({e})"),
    }
    false
}

pub(crate) fn given_dir() -> PathBuf {
    std::env::var_os(AGAIN).unwrap().into()
}

const AGAIN: &str = "SEMEL_TEST_AGAIN";

fn is_again() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// By way of this command, which runs what its arguments say.
fn again(mut command: Command, test: &str) -> bool {
    if is_again() {
        return true;
    }
    let exe = std::env::current_exe().unwrap();
    let status = command.arg(exe).args([test, "--exact", "--nocapture"]).env(AGAIN, "1").status().unwrap();
    assert!(status.success(), "{test}, run again by itself: {status}");
    false
}

/// Mounts a tmpfs of this size; only [`in_own_mounts`].
pub(crate) fn mount_tmpfs(at: &Path, size: &str) {
    std::fs::create_dir_all(at).unwrap();
    run("mount", &["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs", at.to_str().unwrap()]);
}
