//! The house rules that a compiler does not check, read off the sources: which room may lean on which, where
//! unsafe code may be, how long lines and files are, that the kill points are those of the protocol's page,
//! one version everywhere, and that nothing unfinished or from somebody's machine is left lying around.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `core/src`, from the roof down: a room leans on its own row and on those below.
const ROWS: [&[&str]; 18] = [
    &["lib", "fuzz"],
    &["batch", "once"],
    &["store"],
    &["claim", "list"],
    &["grant"],
    &["answer", "carry", "ending", "handover", "look"],
    &["replace", "standing"],
    &["engine"],
    &["recovery"],
    &["index"],
    &["log"],
    &["request"],
    &["key", "keys"],
    &["options"],
    &["limits"],
    &["clock", "control_page", "fault", "helper", "os"],
    &["stats"],
    &["error", "outcome", "sync"],
];

/// Arrows that point up all the same, and why. One that is gone must be struck off this list.
const UPWARD: [(&str, &str, &str); 2] = [
    ("outcome", "claim", "Started hands over the claim"),
    ("options", "store", "Builder::open ends in the hall"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source and page of the repository, with its path from the root.
fn files(ends: &[&str]) -> Vec<(String, String)> {
    let root = root();
    let (mut found, mut open) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let built = ["target", ".git", "corpus", "artifacts", "node_modules"].contains(&name.as_str());
            if path.is_dir() && !built {
                open.push(path);
            } else if path.is_file() && ends.iter().any(|end| name.ends_with(end)) {
                let from_root = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((from_root, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 3, "{ends:?}: is this the repository? {}", root.display());
    found
}

/// The code of a line, without its comment.
fn code(line: &str) -> &str {
    line.find("//").map_or(line, |comment| &line[..comment])
}

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// Each line of these files that the rule names.
fn lines(files: &[(String, String)], breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered =
        files.iter().flat_map(|(path, text)| text.lines().enumerate().map(move |(n, l)| (path, n, l)));
    numbered
        .filter(|(_, _, line)| breaks(line))
        .map(|(path, n, line)| format!("{path}:{}: {line}", n + 1))
        .collect()
}

/// Words of a text: what a name is made of, and the rest cut away.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `room -> room` for each room of core that names another one in its code, and where.
fn arrows() -> BTreeMap<(String, String), String> {
    let sources: Vec<_> =
        files(&[".rs"]).into_iter().filter(|(path, _)| path.starts_with("core/src/")).collect();
    let front = &sources.iter().find(|(path, _)| path == "core/src/lib.rs").unwrap().1;
    // What lib.rs passes on under its own name belongs to the room that it comes from.
    let mut home: BTreeMap<&str, &str> = BTreeMap::new();
    for item in front.split("pub use ").skip(1) {
        let mut names = words(item.split(';').next().unwrap());
        let room = names.next().unwrap();
        home.extend(names.map(|name| (name, room)));
    }
    let mut arrows = BTreeMap::new();
    for (path, text) in &sources {
        let from = words(path.trim_start_matches("core/src/")).next().unwrap();
        let text: String = text.lines().flat_map(|line| [code(line), "\n"]).collect();
        for (at, _) in text.match_indices("crate::") {
            let named = &text[at + "crate::".len()..];
            let end = if named.starts_with('{') { named.find('}').unwrap() } else { named.len() };
            let count = if named.starts_with('{') { usize::MAX } else { 1 };
            for name in words(&named[..end]).take(count) {
                let to = home.get(name).copied().unwrap_or(name);
                if to != from {
                    arrows.insert((from.to_owned(), to.to_owned()), path.clone());
                }
            }
        }
    }
    assert!(arrows.len() > 40, "only {} arrows were found", arrows.len());
    arrows
}

#[test]
fn rooms_lean_only_on_the_rooms_below() {
    let row = |room: &str| ROWS.iter().position(|row| row.contains(&room));
    let mut up = BTreeSet::new();
    for ((from, to), path) in arrows() {
        let (Some(above), Some(below)) = (row(&from), row(&to)) else {
            // A macro or a constant of the crate's root is no room.
            assert!(row(&from).is_some(), "{from} has no row; give it one");
            continue;
        };
        if below < above {
            up.insert((from, to, path));
        }
    }
    let excused = |from: &str, to: &str| UPWARD.iter().any(|arrow| (arrow.0, arrow.1) == (from, to));
    let new: Vec<_> = up.iter().filter(|arrow| !excused(&arrow.0, &arrow.1)).collect();
    assert!(new.is_empty(), "arrows that point up: {new:?}");
    let gone: Vec<_> = UPWARD
        .iter()
        .filter(|arrow| !up.iter().any(|(from, to, _)| (arrow.0, arrow.1) == (from, to)))
        .map(|(from, to, _)| format!("{from} -> {to}"))
        .collect();
    none("these arrows no longer point up; strike them off the list", &gone);
}

#[test]
fn every_room_has_a_row() {
    let known: BTreeSet<&str> = ROWS.concat().into_iter().collect();
    let rooms = fs::read_dir(root().join("core/src")).unwrap();
    let rooms = rooms.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let strange: Vec<_> = rooms.filter(|room| !known.contains(room.as_str())).collect();
    none("rooms without a row", &strange);
}

#[test]
fn unsafe_code_is_in_the_cellar_alone() {
    let word = concat!("un", "safe");
    let outside: Vec<_> =
        files(&[".rs"]).into_iter().filter(|(path, _)| !path.starts_with("core/src/os/")).collect();
    none("outside core/src/os", &lines(&outside, |line| words(code(line)).any(|found| found == word)));
    let cellar: Vec<_> =
        files(&[".rs"]).into_iter().filter(|(path, _)| path.starts_with("core/src/os/")).collect();
    assert!(lines(&cellar, |line| words(line).any(|found| found == word)).len() > 5, "there is some");
}

#[test]
fn lines_are_at_most_110_columns_of_ascii() {
    let all = files(&[".rs", ".md"]);
    // A row of a table cannot be broken.
    let whole = |line: &str| line.starts_with('|');
    none("longer than 110 columns", &lines(&all, |line| line.chars().count() > 110 && !whole(line)));
    none("not ASCII", &lines(&all, |line| !line.is_ascii()));
    none(
        "with a tab, or a blank at its end",
        &lines(&all, |line| line.contains('\t') || line.ends_with(' ')),
    );
}

#[test]
fn files_are_at_most_500_lines() {
    let long = files(&[".rs", ".md"]).into_iter().map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> =
        long.filter(|(_, count)| *count > 500).map(|(path, count)| format!("{path}: {count}")).collect();
    none("longer than 500 lines", &long);
}

#[test]
fn nothing_unfinished_is_left() {
    let marks =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("XX", "X")];
    none("unfinished", &lines(&files(&[".rs", ".md"]), |line| marks.iter().any(|mark| line.contains(mark))));
}

#[test]
fn no_path_of_anybodys_machine_is_left() {
    let places =
        [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let all = files(&[".rs", ".md", ".toml", ".yml", ".json", ".sh"]);
    none("machine paths", &lines(&all, |line| places.iter().any(|place| line.contains(place))));
}

/// The text between each pair of these marks that looks like the name of a kill point.
#[cfg(feature = "kill-points")]
fn kill_points_in(text: &str, mark: char) -> BTreeSet<String> {
    let name = |piece: &&str| {
        let mut parts = piece.split('.');
        let plain = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
        };
        plain(parts.next()) && plain(parts.next()) && parts.next().is_none()
    };
    let file = |piece: &str| [".rs", ".md", ".toml"].iter().any(|end| piece.ends_with(end));
    text.split(mark).filter(name).filter(|piece| !file(piece)).map(str::to_owned).collect()
}

#[cfg(feature = "kill-points")]
#[test]
fn the_kill_points_are_those_of_the_code_and_of_the_protocols_page() {
    let listed: BTreeSet<String> = semel::KILL_POINTS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(listed.len(), semel::KILL_POINTS.len(), "a kill point is listed twice");
    let faults: BTreeSet<String> = semel::PLANTED_FAULTS.iter().map(|(name, _)| (*name).to_owned()).collect();

    let mut reached = BTreeSet::new();
    for (path, text) in files(&[".rs"]) {
        if path.starts_with("core/src/") && path != "core/src/fault.rs" {
            let code: String = text.lines().flat_map(|line| [code(line), "\n"]).collect();
            reached.extend(kill_points_in(&code, '"'));
        }
    }
    let reached: BTreeSet<_> = reached.difference(&faults).cloned().collect();
    assert_eq!(listed, reached, "left: KILL_POINTS, right: the code");

    let page = fs::read_to_string(root().join("core/docs/concurrency.md")).unwrap();
    let written: BTreeSet<_> = kill_points_in(&page, '`').difference(&faults).cloned().collect();
    assert_eq!(listed, written, "left: KILL_POINTS, right: core/docs/concurrency.md");
}

#[test]
fn all_packages_have_one_version() {
    let manifests = files(&["Cargo.toml"]);
    let workspace = &manifests.iter().find(|(path, _)| path == "Cargo.toml").unwrap().1;
    let version = workspace.split("[workspace.package]").nth(1).unwrap();
    let version = version.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    let mut packages = 0;
    for (path, text) in &manifests {
        let Some(package) = text.split("[package]").nth(1) else { continue };
        let package = package.split("\n[").next().unwrap();
        let own = package.lines().find(|line| line.starts_with("version")).unwrap_or_default();
        let same = own == "version.workspace = true" || own == format!("version = {version}");
        assert!(same, "{path}: {own}, and not {version}");
        packages += 1;
    }
    assert!(packages >= 4, "only {packages} packages");
    let passed_on = workspace.lines().find(|line| line.starts_with("semel = ")).unwrap();
    assert!(passed_on.contains(&format!("version = {version}")), "{passed_on}");
}
