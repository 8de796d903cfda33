//! Verbs in any order, beside a few lines that say what each key must answer.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::{
    Claim, ErrorKind, Fence, OnCrash, Outcome, Peek, Query, Request, Resolution, Response, StartReason,
    State, Store,
};

const KEYS: [&str; 3] = ["a", "b", "c"];

/// How a key ended, as far as it is known from outside.
struct Ended {
    body: Vec<u8>,
    expires_ms: u64,
}

#[derive(Default)]
struct Key {
    ended: Option<Ended>,
    fence: u64,
    /// The last checkpoint, and the payload that it was for.
    note: Vec<u8>,
    payload: &'static str,
}

struct Held {
    key: usize,
    claim: Claim,
    /// Handed over.
    is_spent: bool,
}

/// What a claim of a key with this fence was handed over as.
struct Handed {
    key: usize,
    fence: u64,
    bytes: Vec<u8>,
}

struct Story {
    store: Store,
    clock: Clock,
    scope: String,
    now_ms: u64,
    keys: [Key; KEYS.len()],
    claims: Vec<Held>,
    handed: Vec<Handed>,
}

/// A store in which this many stories take place, each in a scope of its own: to make one takes longer than a
/// story.
const STORIES: u64 = 500;

/// And until when: deadlines have 45 bits.
const LAST_MS: u64 = 1 << 44;
const FIRST_MS: u64 = 1_800_000_000_000;

/// The store, its clock, what that says, and the stories told.
static STAGE: Mutex<Option<(Store, Clock, u64, u64)>> = Mutex::new(None);

/// Each two bytes are a verb and what it is about.
pub fn verbs(data: &[u8]) {
    let mut stage = STAGE.lock();
    let (store, clock, now_ms, told) = match stage.take() {
        Some(stage) if stage.2 < LAST_MS && stage.3 < STORIES => stage,
        _ => {
            let clock = Clock::manual(Duration::from_millis(FIRST_MS));
            let options = Store::builder().clock(clock.clone()).segment(1 << 20).first_generation(1 << 12);
            let options = options.response_limit(200).ttl(Duration::from_secs(40));
            let Ok(store) = options.open() else { return };
            (store, clock, FIRST_MS, 0)
        }
    };
    let keys = std::array::from_fn(|_| Key::default());
    let (claims, handed) = (Vec::new(), Vec::new());
    let mut story = Story { store, clock, scope: told.to_string(), now_ms, keys, claims, handed };
    for step in data.chunks_exact(2).take(500) {
        story.step(step[0], step[1]);
    }
    story.list();
    *stage = Some((story.store, story.clock, story.now_ms, told + 1));
}

impl Story {
    fn step(&mut self, verb: u8, about: u8) {
        let key = usize::from(about) % KEYS.len();
        match verb % 16 {
            0..=2 => self.begin(key, about),
            3 => self.peek(key),
            4 => self.advance(about),
            5 => self.resolve(key, about),
            6 => self.mark_seen(key, about),
            7 => self.forget(key),
            8 => self.adopt(about),
            _ if self.claims.is_empty() => {}
            verb => {
                let at = usize::from(about) % self.claims.len();
                self.change(verb, at, about);
            }
        }
        assert!(self.claims.len() <= 64 || self.claims.drain(..32).count() == 32);
        assert!(self.handed.len() <= 64 || self.handed.drain(..32).count() == 32);
    }

    fn live(&self, key: usize) -> Option<&Ended> {
        self.keys[key].ended.as_ref().filter(|ended| self.now_ms < ended.expires_ms)
    }

    fn begin(&mut self, key: usize, about: u8) {
        let payload = if about & 0x80 == 0 { "one" } else { "other" };
        let on_crash = if about & 0x40 == 0 { OnCrash::Rerun } else { OnCrash::InDoubt };
        let request = Request::new(&self.scope, KEYS[key]).payload(payload).on_crash(on_crash);
        match self.store.begin(request) {
            Ok(Outcome::Started(claim)) => {
                assert!(self.live(key).is_none(), "granted although it has ended");
                assert!(claim.fence().get() > self.keys[key].fence, "a fence that does not grow");
                let key_of = &mut self.keys[key];
                (key_of.fence, key_of.ended) = (claim.fence().get(), None);
                if claim.reason() == StartReason::Fresh || key_of.payload != payload {
                    key_of.note.clear();
                }
                key_of.payload = payload;
                assert!(claim.last_checkpoint().is_ok_and(|note| note == key_of.note), "another checkpoint");
                self.claims.push(Held { key, claim, is_spent: false });
            }
            Ok(Outcome::InDoubt(it)) => {
                assert!(self.live(key).is_none());
                assert_eq!(
                    (it.checkpoint(), it.fence().get()),
                    (&*self.keys[key].note, self.keys[key].fence)
                );
            }
            Ok(Outcome::Replay(it)) => self.same(key, it.body()),
            Ok(Outcome::Omitted(_)) => assert!(self.live(key).is_some_and(|ended| ended.body.len() > 200)),
            Ok(Outcome::InProgress(_)) => assert!(self.live(key).is_none()),
            Ok(Outcome::Mismatch(_)) => assert!(self.keys[key].fence > 0),
            Err(e) => assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}"),
        }
    }

    fn same(&self, key: usize, body: &[u8]) {
        assert!(self.live(key).is_some_and(|ended| ended.body == body), "a replay of what was not recorded");
    }

    fn peek(&self, key: usize) {
        match self.store.peek(&self.scope, KEYS[key]) {
            Ok(Some(Peek::Replay(it))) => self.same(key, it.body()),
            Ok(Some(Peek::Omitted(_))) => assert!(self.live(key).is_some()),
            Ok(_) => assert!(self.live(key).is_none(), "an end that is not seen"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}"),
        }
    }

    fn advance(&mut self, about: u8) {
        let ms =
            [1, 9_999, 10_000, 29_999, 30_000, 40_000, 3_600_000, 31 * 86_400_000][usize::from(about) % 8];
        self.clock.advance(Duration::from_millis(ms));
        self.now_ms += ms;
    }

    fn body(about: u8) -> Vec<u8> {
        vec![about; usize::from(about)]
    }

    fn end(&mut self, key: usize, about: u8) {
        self.keys[key].ended = Some(Ended { body: Self::body(about), expires_ms: self.now_ms + 40_000 });
    }

    fn resolve(&mut self, key: usize, about: u8) {
        let body = Self::body(about);
        let fence = Fence::from_u64(self.keys[key].fence);
        let resolution = match about >> 6 {
            0 => Resolution::Release,
            1 => Resolution::Failed(Response::new(&body)),
            _ => Resolution::Completed(Response::new(&body)),
        };
        if self.store.resolve(&self.scope, KEYS[key], fence, resolution).is_ok() {
            assert!(self.live(key).is_none(), "resolved although it had ended");
            if about >> 6 != 0 {
                self.end(key, about);
            }
        }
    }

    fn mark_seen(&mut self, key: usize, about: u8) {
        let ttl_ms = 1000 * (1 + u64::from(about));
        match self.store.mark_seen(&self.scope, KEYS[key], Duration::from_millis(ttl_ms)) {
            Ok(true) => {
                assert!(self.live(key).is_none(), "seen for the first time although it has ended");
                let expires_ms = self.now_ms + ttl_ms;
                self.keys[key].ended = Some(Ended { body: Vec::new(), expires_ms });
                self.keys[key].fence += 1; // larger than every claim's
            }
            Ok(false) => {}
            Err(e) => assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}"),
        }
    }

    fn forget(&mut self, key: usize) {
        let live = self.live(key).is_some();
        match self.store.forget(&self.scope, KEYS[key]) {
            Ok(found) => {
                assert_eq!(found, live, "what has ended is forgotten, and nothing else");
                if found {
                    self.keys[key].ended = None;
                }
            }
            Err(e) if e.kind() == ErrorKind::Conflict => assert!(!live, "{e}"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::StoreFull, "{e}"),
        }
    }

    fn adopt(&mut self, about: u8) {
        let Some(at) = usize::from(about).checked_rem(self.handed.len()) else { return };
        let Handed { key, fence, ref bytes } = self.handed[at];
        match self.store.adopt(bytes) {
            Ok(claim) => {
                assert!(self.live(key).is_none(), "adopted although it has ended");
                assert_eq!(fence, self.keys[key].fence, "an old claim was adopted");
                assert_eq!((claim.fence().get(), claim.reason()), (fence, StartReason::Adopted));
                assert!(claim.last_checkpoint().is_ok_and(|note| note == self.keys[key].note));
                let mut same =
                    self.claims.iter().filter(|it| it.key == key && it.claim.fence().get() == fence);
                assert!(same.all(|it| it.is_spent), "two hold one claim");
                self.claims.push(Held { key, claim, is_spent: false });
            }
            Err(e) => {
                assert!(matches!(e.kind(), ErrorKind::LeaseLost | ErrorKind::StoreFull), "{e}");
                e.winner().inspect(|winner| self.same(key, winner.body()));
            }
        }
    }

    /// What has ended is listed once, and nothing twice.
    fn list(&self) {
        let mut listed = BTreeMap::new();
        for entry in self.store.list(Query::new().scope_prefix(&self.scope)) {
            assert!(entry.is_ok(), "{entry:?}");
            if let Ok(entry) = entry
                && entry.scope() == self.scope
            {
                let key = KEYS.iter().position(|key| key.as_bytes() == entry.key());
                assert!(listed.insert(key, entry.state()).is_none(), "listed twice");
            }
        }
        for key in 0..KEYS.len() {
            let ended = matches!(listed.get(&Some(key)), Some(State::Completed | State::Failed));
            assert_eq!(ended, self.live(key).is_some());
        }
    }

    fn change(&mut self, verb: u8, at: usize, about: u8) {
        let Held { key, ref claim, is_spent } = self.claims[at];
        let fence = claim.fence().get();
        let current = fence == self.keys[key].fence && !is_spent;
        let done = match verb {
            9 => {
                let body = Self::body(about);
                let fresh = self.live(key).is_none();
                let response = Response::new(&body);
                let done = if about & 1 == 0 { claim.complete(response) } else { claim.fail(response) };
                if done.is_ok() && self.keys[key].ended.is_none() {
                    self.end(key, about);
                } else if let (Ok(()), true) = (&done, fresh) {
                    assert!(current, "an old claim ended a key");
                }
                if let Some(winner) = done.as_ref().err().and_then(crate::Error::winner) {
                    self.same(key, winner.body());
                }
                done
            }
            10 => claim.heartbeat(Duration::from_millis(10 + u64::from(about) * 1000)),
            11 => claim.begin_effect(),
            12 | 13 => {
                let note = vec![about; 16 * usize::from(about)];
                let done = claim.checkpoint(&note);
                if done.is_ok() && self.keys[key].ended.is_none() {
                    self.keys[key].note = note;
                }
                done
            }
            14 => claim.hand_over().map(|bytes| {
                self.claims[at].is_spent = true;
                self.handed.push(Handed { key, fence, bytes });
            }),
            _ => {
                let claim = self.claims.swap_remove(at).claim;
                let released = if about & 1 == 0 { claim.release() } else { claim.release_without_effect() };
                released.map(drop)
            }
        };
        if let Err(e) = done {
            let ended_before = matches!(verb, 11 | 14) && e.kind() == ErrorKind::Conflict;
            assert!(ended_before || matches!(e.kind(), ErrorKind::LeaseLost | ErrorKind::StoreFull), "{e}");
        } else {
            assert!(current, "a verb of an old claim was carried out");
        }
    }
}
