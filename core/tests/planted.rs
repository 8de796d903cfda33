//! What somebody planted under the names of a store is refused and left as it is: a link would lead the store
//! to its victim, a fifo would hold it for ever.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::refusal::{closed_store, private_dir, refused, set_mode};
use common::{is_root, small, tree};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use semel::*;
use tempfile::tempdir;

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// What may be planted under a name, beside a victim outside.
fn plant(what: &str, at: &Path, victim: &Path) {
    let _ = fs::remove_file(at);
    match what {
        "symlink" => symlink(victim, at).unwrap(),
        "hard link" => fs::hard_link(victim, at).unwrap(),
        "fifo" => fifo(at),
        "directory" => private_dir(at),
        "open file" => {
            fs::write(at, "").unwrap();
            set_mode(at, 0o644);
        }
        _ => {
            fs::write(at, "").unwrap();
            set_mode(at, 0o600);
            rustix::fs::chown(at, Some(rustix::process::Uid::from_raw(1)), None).unwrap();
        }
    }
}

/// Plants each kind of thing under this name of a store, new or not, and sees that it is left alone.
fn refuses_what_is_planted_as(name: &str, fresh: bool, victim_bytes: &str) {
    for what in ["symlink", "hard link", "fifo", "directory", "open file", "file of another"] {
        if what == "file of another" && !is_root() {
            println!("SKIPPED {what}: only root can give a file away");
            continue;
        }
        let dir = if fresh { tempdir().unwrap() } else { closed_store() };
        let store = dir.path().join("store");
        if fresh {
            private_dir(&store);
        }
        let victim = dir.path().join("victim");
        fs::write(&victim, victim_bytes).unwrap();
        set_mode(&victim, 0o640);
        plant(what, &store.join(name), &victim);
        let before = tree(dir.path());
        let Err(e) = small(dir.path()).open() else { panic!("a {what} named {name} was accepted") };
        assert_eq!(e.kind(), ErrorKind::Refused, "{what} as {name}: {e}");
        assert!(e.to_string().contains(store.join(name).to_str().unwrap()), "{what} as {name}: {e}");
        let after = tree(dir.path());
        for (path, was) in &before {
            // An open of a store that is there may note in its `meta` which index it was about to make.
            if !path.ends_with("meta") || name == "meta" {
                assert_eq!(Some(was), after.get(path), "{what} as {name}: {}", path.display());
            }
        }
        let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        assert!(new.is_empty(), "{what} as {name}: {new:?}");
    }
}

#[test]
fn a_planted_meta_is_refused() {
    for victim in ["", "victim"] {
        refuses_what_is_planted_as("meta", true, victim);
        refuses_what_is_planted_as("meta", false, victim);
    }
}

#[test]
fn a_planted_secret_is_refused() {
    for victim in ["", "victim"] {
        refuses_what_is_planted_as("secret", true, victim);
        refuses_what_is_planted_as("secret", false, victim);
    }
}

#[test]
fn a_planted_lock_is_refused() {
    for victim in ["", "victim"] {
        refuses_what_is_planted_as("lock", true, victim);
        refuses_what_is_planted_as("lock", false, victim);
    }
}

#[test]
fn a_planted_segment_is_refused() {
    for victim in ["", "victim"] {
        refuses_what_is_planted_as("log/00000001.seg", false, victim);
    }
}

#[test]
fn a_planted_log_is_refused() {
    for what in ["symlink", "open file", "fifo"] {
        let dir = closed_store();
        let (store, victim) = (dir.path().join("store"), dir.path().join("victim"));
        fs::rename(store.join("log"), &victim).unwrap();
        set_mode(&victim, 0o750);
        plant(what, &store.join("log"), &victim);
        refused(dir.path(), ErrorKind::Refused, &["store/log"]);
    }
}
