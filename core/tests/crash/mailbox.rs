//! Where claims lie on their way from one worker to another: a file outside the store, to which whoever hands
//! over appends, and which all read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Key, fence, the giver's holding, end of the lease as it knew it, length of the bytes, the bytes, zeros.
const RECORD: usize = 168;
const HEAD: usize = 40;
/// A worker that was just born looks at so many letters of those who came before.
const LOOKS_BACK: u64 = 16;

/// A claim that was handed over.
#[derive(Clone)]
pub struct Letter {
    pub key: u32,
    pub fence: u64,
    /// Which holding of the fence gave it away.
    pub holding: u64,
    pub deadline: u64,
    pub bytes: Vec<u8>,
}

pub struct Mailbox {
    file: File,
    read: u64,
}

impl Mailbox {
    pub fn open(dir: &Path) -> Self {
        let file = OpenOptions::new().append(true).read(true).create(true).open(dir.join("mailbox")).unwrap();
        let letters = file.metadata().unwrap().len() / RECORD as u64;
        Self { file, read: letters.saturating_sub(LOOKS_BACK) * RECORD as u64 }
    }

    pub fn post(&mut self, letter: &Letter) {
        let mut record = Vec::with_capacity(RECORD);
        let Letter { key, fence, holding, deadline, bytes } = letter;
        for word in [u64::from(*key), *fence, *holding, *deadline, bytes.len() as u64] {
            record.extend(word.to_le_bytes());
        }
        record.extend(bytes);
        assert!(record.len() <= RECORD, "{} bytes of a claim", bytes.len());
        record.resize(RECORD, 0);
        self.file.write_all(&record).unwrap(); // at the end, in one piece
    }

    /// The next letter, if there is one.
    pub fn next(&mut self) -> Option<Letter> {
        let mut record = [0; RECORD];
        self.file.read_exact_at(&mut record, self.read).ok()?;
        self.read += RECORD as u64;
        let word = |at: usize| u64::from_le_bytes(record[at * 8..][..8].try_into().unwrap());
        let bytes = record[HEAD..][..word(4) as usize].to_vec();
        Some(Letter { key: word(0) as u32, fence: word(1), holding: word(2), deadline: word(3), bytes })
    }
}
