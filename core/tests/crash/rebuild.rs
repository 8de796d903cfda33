//! Deaths while the index is rebuilt: the next opener finds what was there before, however often it happens.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::journal::{Answer, Asked, Verb};
use super::parent::{SIGKILL, worker_command};
use super::verbs;

/// Set in the environment of a process that only opens the store, or first fills it.
const OPENER: &str = "SEMEL_CRASH_OPENER";
const WORDS: u64 = 1 << 10;
const KEYS: u32 = 60;
/// Each rebuild may move the store's clock on by some seconds.
const DAY_MS: u64 = 86_400_000;
/// So many openers in a row die before one comes through.
const IN_A_ROW: usize = 3;
/// Deaths of a round: those, and one behind the other point.
pub const A_ROUND: usize = IN_A_ROW + 1;

/// The whole life of an opener; `false` if this process is none.
pub fn open_if_told() -> bool {
    let Ok(orders) = std::env::var(OPENER) else { return false };
    let (task, dir) = orders.split_once(':').unwrap();
    let store = verbs::open(Path::new(dir), WORDS);
    if task == "fill" {
        (0..KEYS).for_each(|key| fill(&store, key));
    }
    true
}

/// Every sixth key is completed, failed, released, in doubt, held, or held behind its effect.
fn fill(store: &semel::Store, key: u32) {
    let begin = Asked { ms: DAY_MS, ..Asked::new(Verb::Begin, key) };
    let (answered, claim) = verbs::begin(store, &begin);
    let claim = claim.unwrap();
    let asked = |verb| Asked { fence: answered.fence, author: 1, ms: DAY_MS, ..Asked::new(verb, key) };
    let done = match key % 6 {
        0 => verbs::on_claim(&claim, &asked(Verb::Complete)),
        1 => verbs::on_claim(&claim, &asked(Verb::Fail)),
        2 => verbs::give_back(claim, &asked(Verb::Release)),
        3 => {
            verbs::on_claim(&claim, &asked(Verb::Effect));
            verbs::give_back(claim, &asked(Verb::Drop))
        }
        4 => {
            std::mem::forget(claim);
            return;
        }
        _ => {
            let marked = verbs::on_claim(&claim, &asked(Verb::Effect));
            std::mem::forget(claim);
            marked
        }
    };
    assert!(matches!(done.answer, Answer::Done | Answer::ReleasedAbsent), "{done:?}");
}

fn opener(task: &str, dir: &Path, kill: Option<&str>) -> std::process::ExitStatus {
    let mut command = worker_command();
    command.env(OPENER, format!("{task}:{}", dir.display()));
    if let Some(point) = kill {
        command.env("SEMEL_KILL", format!("{point}:1"));
    }
    command.status().unwrap()
}

/// What every key answers, but for the times in it.
fn answers(store: &semel::Store) -> Vec<String> {
    let look = |key| {
        let it = verbs::peek(store, key);
        format!("{key}: {:?} {:?} {} {} {}", it.answer, it.detail, it.attempt, it.fence, it.author)
    };
    (0..KEYS).map(look).collect()
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Kills openers at both points, `rounds` times; answers with how many died.
pub fn die_and_open(rounds: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let (dir, index) = (dir.path(), dir.path().join("index"));
    std::fs::create_dir(&index).unwrap();
    assert!(opener("fill", dir, None).success());
    let before = answers(&verbs::open(dir, WORDS));
    let mut died = 0;
    for round in 0..rounds {
        for (point, in_a_row) in [("rebuild.indexed", IN_A_ROW), ("rebuild.bound", 1)] {
            for name in names(&index) {
                std::fs::remove_dir_all(index.join(name)).unwrap();
            }
            for _ in 0..in_a_row {
                assert_eq!(opener("open", dir, Some(point)).signal(), Some(SIGKILL), "{point}, {round}");
                died += 1;
            }
            let store = verbs::open(dir, WORDS);
            // Once the new index is bound it is as good as any.
            assert_eq!(store.recovery().is_some(), point == "rebuild.indexed", "{point}, {round}");
            assert_eq!(answers(&store), before, "{point}, {round}");
            assert_eq!(names(&index).len(), 1, "{point}, {round}: indexes nobody uses");
            drop(store);
        }
    }
    died
}
