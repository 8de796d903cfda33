//! The oracle's memory, outside the store: each worker's journal, one record when a verb is asked and one
//! when it answers.
//!
//! A journal is a file of its worker; a record is one `pwrite` of 64 bytes into the page cache, which a
//! `kill -9` does not touch. So a verb whose worker was killed inside it is there as asked and not answered.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Who did something: a worker's number, from 1. The parent looks, too.
pub type Who = u32;
pub const PARENT: Who = 0;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($variant),* }

        impl $name {
            fn from_number(number: u64) -> Self {
                const ALL: &[$name] = &[$($name::$variant),*];
                ALL[number as usize & 0xFF]
            }
        }
    };
}

numbered! {
    /// What was asked.
    Verb {
        Begin, Peek, Heartbeat, Effect, Complete, Fail, Release, ReleaseClean, Drop,
        ResolveCompleted, ResolveFailed, ResolveRelease, Checkpoint, HandOver, Adopt, Forget, Seen, List,
    }
}

numbered! {
    /// What was answered. Noted and SeenBefore: it was, or was not, the first time that the key was seen.
    Answer {
        Started, Replay, InProgress, InDoubt, Mismatch, Orphaned, Absent,
        Done, ReleasedAbsent, ReleasedInDoubt, LeaseLost, Conflict, Forbidden, Forgotten, Noted, SeenBefore,
    }
}

numbered! {
    /// What comes with some answers: why it was started, or how it ended. Seen: by a note, with no response.
    Detail { None, Fresh, AfterRelease, Takeover, Completed, Failed, Seen }
}

/// What is asked. Times are nanoseconds by the clock of the store.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub at: u64,
    pub verb: Verb,
    pub key: u32,
    /// begin: which of two payloads.
    pub payload: u8,
    /// begin: in doubt on a crash.
    pub in_doubt: bool,
    /// Claims, adoptions and resolutions: the fence.
    pub fence: u64,
    /// Completions and checkpoints: the author's number, which is in the bytes. Adoptions: the number of the
    /// holding that they make.
    pub author: u64,
    /// Claims: by which holding of the fence, 0 for the one that was granted. Adoptions: which holding gave
    /// it away.
    pub holding: u64,
    /// The lease or the time to live asked for, in milliseconds.
    pub ms: u64,
}

/// What is answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub at: u64,
    pub answer: Answer,
    pub detail: Detail,
    pub attempt: u16,
    /// The grant's fence, that of the doubt, or the one in the body that was replayed.
    pub fence: u64,
    /// Replays, and the winners of lost leases: who wrote the body; 0 if none came.
    pub author: u64,
    /// What is left of the lease, in milliseconds; when what was only noted expires, by the store's clock.
    pub ms: u64,
    /// The last checkpoint that came with it.
    pub checkpoint: Checkpoint,
}

/// Which checkpoint: under which fence, by which author; zeros for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    pub fence: u64,
    pub author: u64,
}

/// A verb, with its answer if there was one.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub who: Who,
    pub asked: Asked,
    pub answered: Option<Answered>,
}

impl Answered {
    pub fn plain(answer: Answer) -> Self {
        let checkpoint = Checkpoint::default();
        Self { at: 0, answer, detail: Detail::None, attempt: 0, fence: 0, author: 0, ms: 0, checkpoint }
    }
}

impl Asked {
    pub fn new(verb: Verb, key: u32) -> Self {
        Self { at: 0, verb, key, payload: 0, in_doubt: false, fence: 0, author: 0, holding: 0, ms: 0 }
    }
}

const RECORD: usize = 64;
const ASKED: u64 = 0x4153_4B45_4400_0001;
const ANSWERED: u64 = 0x414E_5357_0000_0001;

/// A worker's own journal.
pub struct Journal {
    file: File,
    end: u64,
}

pub fn path_of(dir: &Path, who: Who) -> PathBuf {
    dir.join(format!("journal-{who}"))
}

impl Journal {
    pub fn create(dir: &Path, who: Who) -> Self {
        let file = OpenOptions::new().write(true).create_new(true).open(path_of(dir, who)).unwrap();
        Self { file, end: 0 }
    }

    fn write(&mut self, words: [u64; RECORD / 8]) {
        let mut bytes = [0; RECORD];
        for (piece, word) in bytes.chunks_exact_mut(8).zip(words) {
            piece.copy_from_slice(&word.to_le_bytes());
        }
        self.file.write_all_at(&bytes, self.end).unwrap();
        self.end += RECORD as u64;
    }

    pub fn asked(&mut self, it: &Asked) {
        let what = it.verb as u64
            | u64::from(it.payload) << 8
            | u64::from(it.in_doubt) << 16
            | u64::from(it.key) << 32;
        self.write([ASKED, it.at, what, it.fence, it.author, it.ms, it.holding, 0]);
    }

    pub fn answered(&mut self, it: &Answered) {
        let what = it.answer as u64 | (it.detail as u64) << 8 | u64::from(it.attempt) << 16;
        let Checkpoint { fence, author } = it.checkpoint;
        self.write([ANSWERED, it.at, what, it.fence, it.author, it.ms, fence, author]);
    }
}

/// Reads a journal. Whoever died may have left a verb without its answer at the end, and nowhere else.
pub fn read(dir: &Path, who: Who, calls: &mut Vec<Call>) {
    let Ok(bytes) = std::fs::read(path_of(dir, who)) else { return }; // killed before it made one
    for record in bytes.chunks_exact(RECORD) {
        let word = |at: usize| u64::from_le_bytes(record[at * 8..][..8].try_into().unwrap());
        let what = word(2);
        match word(0) {
            ASKED => {
                let asked = Asked {
                    at: word(1),
                    verb: Verb::from_number(what & 0xFF),
                    key: (what >> 32) as u32,
                    payload: (what >> 8) as u8,
                    in_doubt: what >> 16 & 1 == 1,
                    fence: word(3),
                    author: word(4),
                    ms: word(5),
                    holding: word(6),
                };
                calls.push(Call { who, asked, answered: None });
            }
            ANSWERED => {
                let answered = Answered {
                    at: word(1),
                    answer: Answer::from_number(what & 0xFF),
                    detail: Detail::from_number(what >> 8 & 0xFF),
                    attempt: (what >> 16) as u16,
                    fence: word(3),
                    author: word(4),
                    ms: word(5),
                    checkpoint: Checkpoint { fence: word(6), author: word(7) },
                };
                calls.last_mut().unwrap().answered = Some(answered);
            }
            other => panic!("journal {who} holds {other:#x}"),
        }
    }
}
