//! What is not a store, or not safe to use as one, is refused: the error has the documented kind, names the
//! path and says what to do, and nothing is written, not even a lock file. Two equal listings, with modes and
//! contents, prove it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::refusal::{closed_store, private_dir, refused, refused_at, set_mode};
use common::{
    as_another_user, begin, complete, given_dir, in_own_mounts, in_own_process, is_root, names, replay_of,
    run, small, text, tree,
};
use rustix::fs::Mode;
use semel::*;
use tempfile::tempdir;

fn change(path: &Path, to: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    to(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_missing_parent_is_not_made() {
    let dir = tempdir().unwrap();
    let options = small(dir.path()).path(dir.path().join("missing/store"));
    refused_at(dir.path(), options, ErrorKind::Refused, &["missing/store", "parent", "make that first"]);
}

#[test]
fn a_file_is_no_directory() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("store"), "mine").unwrap();
    refused(dir.path(), ErrorKind::Refused, &["store", "name a directory"]);
}

#[test]
fn a_symbolic_link_is_no_directory() {
    let dir = tempdir().unwrap();
    private_dir(&dir.path().join("elsewhere"));
    symlink(dir.path().join("elsewhere"), dir.path().join("store")).unwrap();
    refused(dir.path(), ErrorKind::Refused, &["store", "symbolic link", "name a directory"]);
    symlink(dir.path().join("nowhere"), dir.path().join("dangling")).unwrap();
    let options = small(dir.path()).path(dir.path().join("dangling"));
    refused_at(dir.path(), options, ErrorKind::Refused, &["dangling", "symbolic link"]);
}

#[test]
fn a_directory_open_to_others_is_refused() {
    for mode in [0o755, 0o770, 0o701, 0o710, 0o702, 0o777] {
        let dir = tempdir().unwrap();
        private_dir(&dir.path().join("store"));
        set_mode(&dir.path().join("store"), mode);
        refused(dir.path(), ErrorKind::Refused, &["store", "open to others", "chmod 700"]);

        let dir = closed_store();
        set_mode(&dir.path().join("store"), mode);
        refused(dir.path(), ErrorKind::Refused, &["store", "open to others", "chmod 700"]);
    }
}

#[test]
fn a_directory_of_another_user_is_refused() {
    if !is_root() {
        return println!("SKIPPED: only root can give a directory away");
    }
    for dir in [tempdir().unwrap(), closed_store()] {
        let store = dir.path().join("store");
        fs::create_dir_all(&store).unwrap();
        set_mode(&store, 0o700);
        rustix::fs::chown(&store, Some(rustix::process::Uid::from_raw(1)), None).unwrap();
        refused(dir.path(), ErrorKind::Refused, &["store", "user 1", "run as its owner"]);
    }
}

#[test]
fn a_parent_that_anyone_may_write_to_needs_the_sticky_bit() {
    let dir = tempdir().unwrap();
    set_mode(dir.path(), 0o777);
    refused(dir.path(), ErrorKind::Refused, &["sticky", "choose another"]);
    set_mode(dir.path(), 0o1777);
    small(dir.path()).open().unwrap();
}

#[test]
fn a_directory_that_holds_other_things_is_somebody_elses() {
    // Also names that a store knows: without a `meta` nothing shows that they are a store's.
    for name in ["thesis.txt", "log", "tmp-thesis", "tmp-00112233445566zz", "semel-", "Meta", "metadata"] {
        let dir = tempdir().unwrap();
        let store = dir.path().join("store");
        private_dir(&store);
        if name == "log" {
            fs::create_dir(store.join(name)).unwrap();
            fs::write(store.join(name).join("access.log"), "GET /").unwrap();
        } else {
            fs::write(store.join(name), "years of work").unwrap();
        }
        refused(dir.path(), ErrorKind::Refused, &["store", "name an empty directory"]);
    }
}

#[test]
fn leftovers_of_a_making_that_was_cut_short_are_no_foreign_things() {
    let dir = tempdir().unwrap();
    let store = dir.path().join("store");
    private_dir(&store);
    for name in ["lock", "tmp-0123456789abcdef"] {
        fs::write(store.join(name), "").unwrap();
        set_mode(&store.join(name), 0o600);
    }
    small(dir.path()).open().unwrap();
    assert_eq!(names(&store), ["lock", "log", "meta", "secret"]);
}

#[test]
fn a_meta_that_is_not_semels_is_refused_and_left() {
    for garbage in [&b""[..], b"x", b"PK\x03\x04", &[0; 4096], &[0xFF; 4096], &[0xA5; 100_000]] {
        let dir = tempdir().unwrap();
        let store = dir.path().join("store");
        private_dir(&store);
        fs::write(store.join("meta"), garbage).unwrap();
        set_mode(&store.join("meta"), 0o600);
        refused(dir.path(), ErrorKind::Refused, &["store", "meta", "move it away"]);

        let dir = closed_store();
        fs::write(dir.path().join("store/meta"), garbage).unwrap();
        refused(dir.path(), ErrorKind::Refused, &["store", "meta", "move it away"]);
    }
}

#[test]
fn another_format_version_is_left_to_its_version() {
    for format in [0_u32, 2, 0x0100_0000, u32::MAX] {
        let dir = closed_store();
        change(&dir.path().join("store/meta"), |bytes| bytes[8..12].copy_from_slice(&format.to_le_bytes()));
        let says = ["store", &format!("format {format}"), "open it with"];
        refused(dir.path(), ErrorKind::Incompatible, &says);
    }
}

#[test]
fn a_damaged_meta_or_secret_is_corrupt_and_left() {
    for (file, bytes) in [("meta", 64), ("secret", 72)] {
        for cut in [9, 15, 16, 40, bytes - 1] {
            let dir = closed_store();
            change(&dir.path().join("store").join(file), |bytes| bytes.truncate(cut));
            refused(dir.path(), ErrorKind::Corrupt, &[file, "restore it from a backup"]);
        }
        for at in (16..bytes).step_by(7) {
            let dir = closed_store();
            change(&dir.path().join("store").join(file), |bytes| bytes[at] ^= 0x10);
            refused(dir.path(), ErrorKind::Corrupt, &[file, "restore it from a backup"]);
        }
        let dir = closed_store();
        change(&dir.path().join("store").join(file), |bytes| bytes.push(0));
        refused(dir.path(), ErrorKind::Corrupt, &[file, "restore it from a backup"]);
    }
}

#[test]
fn a_store_without_its_secret_is_not_given_another() {
    let dir = closed_store();
    fs::remove_file(dir.path().join("store/secret")).unwrap();
    refused(dir.path(), ErrorKind::Corrupt, &["store", "secret", "restore it from a backup"]);
}

#[test]
fn a_store_without_its_meta_is_not_made_over() {
    let dir = closed_store();
    fs::remove_file(dir.path().join("store/meta")).unwrap();
    refused(dir.path(), ErrorKind::Refused, &["store", "meta"]);
}

#[test]
fn the_secret_of_another_store_is_not_believed() {
    let (dir, other) = (closed_store(), closed_store());
    fs::copy(other.path().join("store/secret"), dir.path().join("store/secret")).unwrap();
    refused(dir.path(), ErrorKind::Corrupt, &["store", "secret", "another store's"]);
}

#[test]
fn whoever_starts_with_an_odd_umask_makes_the_same_modes() {
    if !in_own_process("whoever_starts_with_an_odd_umask_makes_the_same_modes") {
        return;
    }
    for umask in [0, 0o177, 0o077] {
        let dir = tempdir().unwrap();
        let before = rustix::process::umask(Mode::from_raw_mode(umask));
        let opened = small(dir.path()).open();
        rustix::process::umask(before);
        complete(&opened.unwrap(), "k", 10);
        for (path, what) in tree(dir.path()).into_iter().skip(1) {
            let directory = what.contains("directory");
            assert!(
                what.starts_with(if directory { "40700" } else { "100600" }),
                "{umask:o}: {} {what}",
                path.display()
            );
        }
    }
}

#[test]
fn a_file_system_that_cannot_be_written_is_an_error_that_names_the_path() {
    if !in_own_mounts("a_file_system_that_cannot_be_written_is_an_error_that_names_the_path") {
        return;
    }
    let dir = closed_store();
    let (path, store) = (dir.path().to_str().unwrap(), dir.path().join("store"));
    run("mount", &["--bind", path, path]);
    run("mount", &["-o", "remount,ro,bind", path]);
    refused(dir.path(), ErrorKind::Io, &["store", "Read-only", "make it writable"]);
    let options = small(dir.path()).path(dir.path().join("new"));
    refused_at(dir.path(), options, ErrorKind::Io, &["new", "Read-only", "make its parent writable"]);
    run("umount", &[path]);
    let store = small(dir.path()).path(&store).open().unwrap();
    assert_eq!(text(&begin(&store, "k")), replay_of("k", 100));
}

#[test]
fn a_place_that_is_closed_to_this_user_is_an_error_that_names_it() {
    const TEST: &str = "a_place_that_is_closed_to_this_user_is_an_error_that_names_it";
    let dir = tempdir().unwrap();
    if std::env::var_os("SEMEL_TEST_AGAIN").is_none() {
        if !is_root() {
            return println!("SKIPPED: only root can run as another user");
        }
        set_mode(dir.path(), 0o755);
        private_dir(&dir.path().join("closed"));
        complete(&small(dir.path()).open().unwrap(), "k", 10);
    }
    if !as_another_user(TEST, dir.path()) {
        return;
    }
    let dir = given_dir();
    let error_of = |path: &str| {
        let path = dir.join(path);
        let e = common::tiny().path(&path).index_dir(&dir).open().unwrap_err();
        assert!(e.to_string().contains(path.to_str().unwrap()), "{e}");
        e
    };
    let new = error_of("new");
    assert!(new.kind() == ErrorKind::Io && new.to_string().contains("make its parent writable"), "{new}");
    for path in ["closed/store", "store"] {
        let e = error_of(path);
        assert!(matches!(e.kind(), ErrorKind::Io | ErrorKind::Refused), "{e}");
        assert!(e.to_string().contains("Permission denied"), "{e}");
    }
}

#[test]
fn a_file_system_that_no_store_can_be_on_is_named() {
    let proc = Path::new("/proc/self/semel-store");
    let e = Store::builder().path(proc).open().unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Refused | ErrorKind::Io), "{e}");
    assert!(e.to_string().contains("/proc/self/semel-store"), "{e}");
}
