//! How an open is refused: the error, and a directory in which nothing was written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use semel::*;
use tempfile::{TempDir, tempdir};

use super::{complete, remove_index, small, tree};

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn private_dir(path: &Path) {
    fs::create_dir(path).unwrap();
    set_mode(path, 0o700);
}

/// Opening `dir/store` fails with this kind, its message has each of these in it, and all below `dir` stays
/// as it was.
pub(crate) fn refused(dir: &Path, kind: ErrorKind, says: &[&str]) {
    refused_at(dir, small(dir), kind, says);
}

pub(crate) fn refused_at(dir: &Path, options: Builder, kind: ErrorKind, says: &[&str]) {
    let before = tree(dir);
    for round in 1..=2 {
        let Err(e) = options.clone().open() else { panic!("{says:?} was accepted") };
        assert_eq!(e.kind(), kind, "{e}");
        for word in says {
            assert!(e.to_string().contains(word), "{word:?} is not in {e}");
        }
        let path = dir.to_str().unwrap();
        assert!(e.to_string().contains(path), "{path} is not named: {e}");
        let after = tree(dir);
        let changed = |name: &&PathBuf| before.get(*name) != after.get(*name);
        let changes: Vec<_> = before.keys().chain(after.keys()).filter(changed).collect();
        assert!(changes.is_empty(), "round {round}, {says:?}: written to {changes:?}");
    }
}

/// A closed store with one key in it, its index gone, so that nothing in the store is trusted unseen.
pub(crate) fn closed_store() -> TempDir {
    let dir = tempdir().unwrap();
    complete(&small(dir.path()).open().unwrap(), "k", 100);
    remove_index(dir.path());
    dir
}
