//! Responses that can be told from anything that was never written: every byte follows from key, fence and
//! author.

use semel::{Replay, Response, TerminalState};

use super::journal::{Answer, Answered, Checkpoint, Detail};

const HEAD: usize = 24;
const LONGEST: u64 = 6000;

pub struct Body {
    status: u16,
    meta: [u8; 8],
    bytes: Vec<u8>,
}

impl Body {
    pub fn new(key: u32, fence: u64, author: u64) -> Self {
        let mut state = (u64::from(key) ^ fence.rotate_left(17) ^ author.rotate_left(34)) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        // One in eight is long, so that segments roll; the rest are short.
        let long = next().is_multiple_of(8);
        let len = next() % if long { LONGEST } else { 200 };
        let mut bytes = Vec::with_capacity(HEAD + len as usize);
        for word in [u64::from(key), fence, author] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        while bytes.len() < HEAD + len as usize {
            bytes.extend_from_slice(&next().to_le_bytes());
        }
        bytes.truncate(HEAD + len as usize);
        Self { status: next() as u16, meta: next().to_le_bytes(), bytes }
    }

    pub fn response(&self, ttl_ms: u64) -> Response<'_> {
        Response::new(&self.bytes)
            .status(self.status)
            .meta(&self.meta)
            .ttl(std::time::Duration::from_millis(ttl_ms))
    }
}

/// Bytes that name their author.
pub fn checkpoint(key: u32, fence: u64, author: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = [u64::from(key), fence, author].iter().flat_map(|it| it.to_le_bytes()).collect();
    bytes.resize(HEAD + author as usize % 100, author as u8);
    bytes
}

/// The answer, with the checkpoint that came with it; forbidden if those bytes were never left for this key.
pub fn with_checkpoint(key: u32, bytes: &[u8], answered: Answered) -> Answered {
    let word = |at: usize| bytes.get(at..at + 8).and_then(|it| it.try_into().ok()).map(u64::from_le_bytes);
    let read = match (word(8), word(16)) {
        (Some(fence), Some(author)) if bytes == checkpoint(key, fence, author) => {
            Some(Checkpoint { fence, author })
        }
        _ => bytes.is_empty().then(Checkpoint::default),
    };
    read.map_or(Answered::plain(Answer::Forbidden), |checkpoint| Answered { checkpoint, ..answered })
}

/// What a replay says of itself: its fence and its author, if every byte of it is what they make it.
pub fn replayed(key: u32, replay: &Replay) -> Answered {
    let noted = replay.body().is_empty() && replay.meta().is_empty() && replay.status() == 0;
    if noted && replay.state() == TerminalState::Completed {
        let expiry =
            replay.expires_at().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ms = expiry.as_millis() as u64;
        return Answered { detail: Detail::Seen, ms, ..Answered::plain(Answer::Replay) };
    }
    let word = |at: usize| replay.body().get(at..at + 8).and_then(|it| it.try_into().ok());
    let (Some(fence), Some(author)) = (word(8), word(16)) else {
        return Answered::plain(Answer::Forbidden);
    };
    let (fence, author) = (u64::from_le_bytes(fence), u64::from_le_bytes(author));
    let written = Body::new(key, fence, author);
    let whole =
        replay.body() == written.bytes && replay.meta() == written.meta && replay.status() == written.status;
    if !whole {
        return Answered::plain(Answer::Forbidden);
    }
    let detail = match replay.state() {
        TerminalState::Completed => Detail::Completed,
        TerminalState::Failed => Detail::Failed,
    };
    Answered { detail, fence, author, ..Answered::plain(Answer::Replay) }
}
