//! Bytes given to `adopt`: any, changed ones, and ones that are sealed as only the store can.

#![allow(clippy::panic)] // which is how a door tells

use parking_lot::Mutex;

use super::disk;
use crate::handover::HandOver;
use crate::key::{Identity, SEAL_BYTES, Seal};
use crate::{Claim, ErrorKind, Outcome, Query, Request, Response, Store};

/// A store with records of every kind, of which none was handed over.
struct Stage {
    store: Store,
    /// What it seals with.
    seal: Seal,
    /// Scope, key and fence of what stands in it: sealed, their bytes name what nobody handed over.
    standing: Vec<(String, Vec<u8>, u64)>,
    begun: u64,
}

/// A store takes this many keys; then another is made.
const KEYS: u64 = 600;
static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

struct Handed {
    bytes: Vec<u8>,
    fence: u64,
    /// Nobody adopted it yet.
    is_out: bool,
}

struct Story<'s> {
    stage: &'s mut Stage,
    handed: Vec<Handed>,
    held: Vec<(usize, Claim)>,
}

/// Each step is a byte that says what is given to `adopt`, one that chooses, one that counts up to 31, and
/// so many bytes. Panics if bytes are adopted that are not those of a claim that was handed over, or if such
/// bytes are refused.
pub fn adopt(data: &[u8]) {
    let mut kept = STAGE.lock();
    let stage = kept.take().filter(|stage| stage.begun < KEYS).or_else(new_stage);
    let Some(mut stage) = stage else { return };
    let mut story = Story { stage: &mut stage, handed: Vec::new(), held: Vec::new() };
    let mut data = data;
    for _ in 0..100 {
        let [step, which, count, rest @ ..] = data else { break };
        let (given, rest) = rest.split_at(usize::from(*count % 32).min(rest.len()));
        story.step(*step, usize::from(*which), given);
        data = rest;
    }
    // Or the next story could find the right bytes for what this one left.
    let left: Vec<_> = story.handed.iter().filter(|it| it.is_out).map(|it| it.bytes.clone()).collect();
    left.iter().for_each(|bytes| story.adopt(bytes));
    drop(story);
    *kept = Some(stage);
}

fn new_stage() -> Option<Stage> {
    let store = disk::store().ok()?;
    let entries = store.list(Query::new()).filter_map(Result::ok);
    let standing = entries.map(|it| (it.scope().to_owned(), it.key().to_vec(), it.fence().get())).collect();
    Some(Stage { store, seal: Seal::new(&disk::AUTHENTICATION), standing, begun: 0 })
}

impl Story<'_> {
    fn step(&mut self, step: u8, which: usize, given: &[u8]) {
        let known = which.checked_rem(self.handed.len()).map(|at| self.handed[at].bytes.clone());
        let mut bytes = known.unwrap_or_default();
        match step % 8 {
            0 => return self.hand_over_new(given),
            1 => return self.end_one(which, given.len()),
            2 => bytes = given.to_vec(),
            3 => bytes = self.sealed(given.to_vec()),
            4 => bytes = self.sealed(changed(unsealed(bytes), given)),
            5 => bytes = changed(bytes, given),
            6 => bytes = self.of_what_stands(which, given),
            _ => {}
        }
        self.adopt(&bytes);
    }

    fn sealed(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let seal = self.stage.seal.hand_over(&bytes);
        bytes.extend(seal);
        bytes
    }

    /// As if a claim of a key that was there before had been handed over; under its fence, if nothing else is
    /// given.
    fn of_what_stands(&self, which: usize, given: &[u8]) -> Vec<u8> {
        let Some((scope, key, fence)) = self.stage.standing.get(which % self.stage.standing.len().max(1))
        else {
            return Vec::new();
        };
        let fence = given.first().map_or(*fence, |&off| fence.wrapping_add(u64::from(off)));
        let identity = Identity { scope: scope.as_bytes(), key };
        // The first record of a claim has the fence as its version.
        HandOver { identity, fence, version: fence }.to_bytes(&disk::STORE_ID, &self.stage.seal)
    }

    fn hand_over_new(&mut self, given: &[u8]) {
        self.stage.begun += 1;
        let name = [&self.stage.begun.to_le_bytes(), given].concat();
        let request = Request::new("adopted", &name[..name.len().min(255)]);
        match self.stage.store.begin(request) {
            Ok(Outcome::Started(claim)) => {
                let fence = claim.fence().get();
                let Ok(bytes) = claim.hand_over() else { panic!("a claim is not handed over") };
                self.handed.push(Handed { bytes, fence, is_out: true });
            }
            Ok(other) => panic!("{other:?}"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}"),
        }
    }

    /// An adopted claim ends, or goes on its way again.
    fn end_one(&mut self, which: usize, how: usize) {
        let Some(at) = which.checked_rem(self.held.len()) else { return };
        let (of, claim) = self.held.swap_remove(at);
        let done = match how % 3 {
            0 => claim.hand_over().map(|bytes| {
                assert!(bytes != self.handed[of].bytes, "another hand over, the same bytes");
                let fence = self.handed[of].fence;
                self.handed.push(Handed { bytes, fence, is_out: true });
            }),
            1 => claim.release().map(drop),
            _ => claim.complete(Response::new("adopted")),
        };
        assert!(done.is_ok(), "an adopted claim does not hold its key: {done:?}");
    }

    fn adopt(&mut self, bytes: &[u8]) {
        let out = self.handed.iter().position(|handed| handed.is_out && handed.bytes == bytes);
        match (self.stage.store.adopt(bytes), out) {
            (Ok(claim), Some(of)) => {
                assert_eq!(claim.fence().get(), self.handed[of].fence);
                self.handed[of].is_out = false;
                self.held.push((of, claim));
            }
            (Ok(_), None) => panic!("adopted what nobody handed over"),
            (Err(e), Some(_)) => panic!("refused what was handed over: {e}"),
            (Err(e), None) => {
                assert!(matches!(e.kind(), ErrorKind::InvalidArgument | ErrorKind::LeaseLost), "{e}");
            }
        }
    }
}

fn unsealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(SEAL_BYTES));
    bytes
}

/// Two bytes are an offset and what is changed there; a single one at the end is so many bytes cut off, or
/// put behind.
fn changed(mut bytes: Vec<u8>, given: &[u8]) -> Vec<u8> {
    let (pairs, last) = given.as_chunks::<2>();
    for [at, change] in pairs {
        if let Some(at) = usize::from(*at).checked_rem(bytes.len()) {
            bytes[at] ^= change;
        }
    }
    if let [count] = *last {
        let by = usize::from(count / 2);
        bytes.resize(if count & 1 == 0 { bytes.len().saturating_sub(by) } else { bytes.len() + by }, count);
    }
    bytes
}
