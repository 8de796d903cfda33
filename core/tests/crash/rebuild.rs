//! Deaths while the index is rebuilt: the next opener finds what was there before, however often it happens.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::journal::{Answer, Answered, Asked, Checkpoint, Verb};
use super::mailbox::{Letter, Mailbox};
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
        let mut mailbox = Mailbox::open(Path::new(dir));
        (0..KEYS).for_each(|key| fill(&store, key, &mut mailbox));
    }
    true
}

/// The author of everything that is left in these keys.
const AUTHOR: u64 = 1;
const CHECKPOINTED: u32 = 6;
const HANDED_OVER: u32 = 7;
const ADOPTED: u32 = 8;
const FORGOTTEN: u32 = 9;
const NOTED: u32 = 10;
const RELEASED_WITH_CHECKPOINT: u32 = 11;
const STATES: u32 = 12;

/// One key in twelve is completed, failed, released, in doubt, held, held behind its effect, and so on.
fn fill(store: &semel::Store, key: u32, mailbox: &mut Mailbox) {
    if key % STATES == NOTED {
        let noted = verbs::mark_seen(store, &Asked { ms: DAY_MS, ..Asked::new(Verb::Seen, key) });
        return assert_eq!(noted.answer, Answer::Noted);
    }
    let begin = Asked { ms: DAY_MS, ..Asked::new(Verb::Begin, key) };
    let (answered, claim) = verbs::begin(store, &begin);
    let claim = claim.unwrap();
    let asked = |verb| Asked { fence: answered.fence, author: AUTHOR, ms: DAY_MS, ..Asked::new(verb, key) };
    let of_claim = |verb| verbs::on_claim(&claim, &asked(verb));
    let hand_over = || verbs::hand_over(&claim, &asked(Verb::HandOver)).1.unwrap();
    let done = match key % STATES {
        0 => of_claim(Verb::Complete),
        1 => of_claim(Verb::Fail),
        2 => return released(verbs::give_back(claim, &asked(Verb::Release))),
        3 => {
            of_claim(Verb::Effect);
            verbs::give_back(claim, &asked(Verb::Drop));
            return;
        }
        4 => Answered::plain(Answer::Done),
        CHECKPOINTED => of_claim(Verb::Checkpoint),
        HANDED_OVER => {
            of_claim(Verb::Checkpoint);
            let marked = of_claim(Verb::Effect);
            mailbox.post(&Letter { key, fence: answered.fence, holding: 0, deadline: 0, bytes: hand_over() });
            marked
        }
        ADOPTED => {
            let (adopted, its) = verbs::adopt(store, &asked(Verb::Adopt), &hand_over());
            std::mem::forget(its);
            adopted
        }
        FORGOTTEN => {
            of_claim(Verb::Complete);
            let forgotten = verbs::forget(store, &asked(Verb::Forget));
            assert_eq!(forgotten.answer, Answer::Forgotten);
            Answered::plain(Answer::Done)
        }
        RELEASED_WITH_CHECKPOINT => {
            of_claim(Verb::Checkpoint);
            return released(verbs::give_back(claim, &asked(Verb::Release)));
        }
        _ => of_claim(Verb::Effect),
    };
    assert_eq!(done.answer, Answer::Done, "key {key}");
    std::mem::forget(claim);
}

fn released(answered: Answered) {
    assert_eq!(answered.answer, Answer::ReleasedAbsent);
}

/// What was on its way is adopted once, with all that it carried; and the next run of what was released goes
/// on from its checkpoint.
fn go_on(dir: &Path, store: &semel::Store) {
    let mut mailbox = Mailbox::open(dir);
    let mut letters = 0;
    while let Some(Letter { key, fence, bytes, .. }) = mailbox.next() {
        letters += 1;
        let asked = |verb| Asked { fence, ..Asked::new(verb, key) };
        let left = Checkpoint { fence, author: AUTHOR };
        let (adopted, claim) = verbs::adopt(store, &asked(Verb::Adopt), &bytes);
        assert_eq!((adopted.answer, adopted.checkpoint), (Answer::Done, left), "key {key}");
        assert_eq!(verbs::adopt(store, &asked(Verb::Adopt), &bytes).0.answer, Answer::LeaseLost, "key {key}");
        let ended = verbs::give_back(claim.unwrap(), &asked(Verb::Release));
        assert_eq!(ended.answer, Answer::ReleasedInDoubt, "key {key}");
        let looked = verbs::peek(store, key);
        assert_eq!((looked.answer, looked.checkpoint), (Answer::InDoubt, left), "key {key}");
    }
    assert_eq!(letters, KEYS / STATES);
    for key in (0..KEYS).filter(|key| key % STATES == RELEASED_WITH_CHECKPOINT) {
        let (started, _claim) = verbs::begin(store, &Asked { ms: DAY_MS, ..Asked::new(Verb::Begin, key) });
        assert_eq!((started.attempt, started.checkpoint.author), (2, AUTHOR), "key {key}");
    }
}

fn opener(task: &str, dir: &Path, kill: Option<&str>) -> std::process::ExitStatus {
    let mut command = worker_command();
    command.env(OPENER, format!("{task}:{}", dir.display()));
    if let Some(point) = kill {
        command.env("SEMEL_KILL", format!("{point}:1"));
    }
    command.status().unwrap()
}

/// What every key answers, and what a list says, but for the times in it.
fn answers(store: &semel::Store) -> Vec<String> {
    let told = |key: u32, it: Answered| {
        let Answered { answer, detail, attempt, fence, author, checkpoint, .. } = it;
        format!("{key}: {answer:?} {detail:?} {attempt} {fence} {author} {checkpoint:?}")
    };
    let looks = (0..KEYS).map(|key| told(key, verbs::peek(store, key)));
    let mut answers: Vec<String> = looks.collect();
    let listed = store.list(verbs::recent(0)).map(verbs::listed);
    answers.extend(listed.map(|(key, it)| format!("listed {}", told(key, it))));
    answers.sort();
    answers
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
    go_on(dir, &verbs::open(dir, WORDS));
    died
}
