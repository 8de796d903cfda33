//! A store of one key in a few words: the index and the control words are the engine's own code, the log is
//! an array of records whose bytes loom watches, and the verbs are the steps of `docs/concurrency.md`.

use loom::cell::Cell;

use crate::index::table::{self, LINE, Probe};
use crate::index::word::Word;
use crate::key::Place;
use crate::log::address::Address;
use crate::log::control::{self, ClaimControl, Swapped};
use crate::sync::{AtomicU64, Ordering};

pub(crate) const PLACE: Place = Place(0xABC0_0000_0000_0000);
/// The lease of a first claim ends here.
pub(crate) const DEADLINE_MS: u64 = 10;
/// Whoever begins late reads this on the clock; whoever heartbeats asks for the deadline behind it.
pub(crate) const LATE_MS: u64 = 20;
pub(crate) const EXTENDED_MS: u64 = 30;

/// Bytes of a record that never change once it is published. A claim's fence is its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    Unwritten,
    Claim { fence: u64 },
    Completed { fence: u64 },
}

struct Record {
    bytes: Cell<Bytes>,
    control: AtomicU64,
}

/// What the models leave out, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The slot is looked at and then stored to.
    StoreForSwap,
    /// The swap publishes nothing.
    RelaxedSwap,
    /// The word is loaded without Acquire.
    RelaxedLoad,
    /// TAKEN is stored over whatever is there.
    StoreForTaken,
    /// COMMITTED is stored over whatever is there.
    StoreForCommitted,
    /// newest is swapped, loaded, a chain closed, the state of a generation stored or loaded so that nothing
    /// is ordered by it.
    RelaxedPublish,
    RelaxedNewest,
    RelaxedClose,
    RelaxedState,
    RelaxedStateLoad,
    /// The older generation is not closed before a key goes into the newest.
    ChainNotClosed,
    /// The filter is built before the generation is closed.
    FilterTooEarly,
}

pub(crate) struct World {
    words: Vec<AtomicU64>,
    records: Vec<Record>,
    fault: Fault,
}

/// What begin answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Started(Claim),
    InProgress { fence: u64 },
    InDoubt,
    Replay { fence: u64 },
}

/// What the verbs of a claim answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Done,
    /// Its own completion was there already.
    Ended,
    /// Another holds the key, or completed it.
    LeaseLost {
        by: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    slot: usize,
    word: u64,
    pub(crate) fence: u64,
}

impl World {
    pub(crate) fn new(records: usize, fault: Fault) -> Self {
        let record = |_| Record { bytes: Cell::new(Bytes::Unwritten), control: AtomicU64::new(0) };
        Self {
            words: (0..LINE).map(|_| AtomicU64::new(Word::EMPTY.0)).collect(),
            records: (0..=records).map(record).collect(),
            fault,
        }
    }

    fn record(&self, word: Word) -> &Record {
        &self.records[word.address().0 as usize]
    }

    fn bytes(&self, word: Word) -> Bytes {
        self.record(word).bytes.get()
    }

    pub(crate) fn control(&self, address: u64) -> &AtomicU64 {
        &self.records[address as usize].control
    }

    /// Writes a record that nobody knows of yet, as the log's append does.
    fn append(&self, address: u64, bytes: Bytes, control: u64) -> Word {
        let record = &self.records[address as usize];
        record.control.store(control, Ordering::Relaxed);
        record.bytes.set(bytes);
        Word::new(PLACE.tag(), Address(address))
    }

    pub(crate) fn append_claim(&self, address: u64, deadline_ms: u64) -> Word {
        let control = ClaimControl::new(deadline_ms, false).bits();
        self.append(address, Bytes::Claim { fence: address }, control)
    }

    pub(crate) fn swap(&self, slot: usize, from: Word, to: Word) -> bool {
        match self.fault {
            Fault::StoreForSwap => {
                let same = table::load(&self.words, slot) == from;
                if same {
                    self.words[slot].store(to.0, Ordering::Release);
                }
                same
            }
            Fault::RelaxedSwap => {
                self.words[slot].compare_exchange(from.0, to.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
            _ => table::swap(&self.words, slot, from, to),
        }
    }

    /// The key's word and bytes, or where they would go.
    pub(crate) fn probe(&self) -> Probe<Bytes> {
        if self.fault == Fault::RelaxedLoad {
            let word = Word(self.words[0].load(Ordering::Relaxed));
            return match word {
                Word::EMPTY => Probe::Vacant(0),
                word => Probe::Found(0, word, self.bytes(word)),
            };
        }
        let found = table::probe(&self.words, PLACE, |word| Ok::<_, ()>(Some(self.bytes(word))));
        found.unwrap_or(Probe::Full)
    }

    /// Sets COMMITTED on the record of this word.
    pub(crate) fn commit(&self, word: Word, bytes: Bytes) {
        let control = &self.record(word).control;
        match bytes {
            Bytes::Claim { .. } if self.fault == Fault::StoreForCommitted => {
                let copy = AtomicU64::new(control.load(Ordering::Acquire));
                control::commit_claim(&copy);
                control.store(copy.load(Ordering::Relaxed), Ordering::Release);
            }
            Bytes::Claim { .. } => assert_eq!(control::commit_claim(control), Swapped::Done),
            _ => control::commit(control),
        }
    }

    pub(crate) fn is_committed(&self, word: Word, bytes: Bytes) -> bool {
        let control = &self.record(word).control;
        match bytes {
            Bytes::Claim { .. } => ClaimControl::load(control).unwrap().is_committed(),
            _ => control::is_committed(control).unwrap(),
        }
    }

    fn help(&self, word: Word, bytes: Bytes) {
        if !self.is_committed(word, bytes) {
            self.commit(word, bytes);
        }
    }

    fn take(&self, judged: ClaimControl, control: &AtomicU64) -> bool {
        if self.fault == Fault::StoreForTaken {
            let copy = AtomicU64::new(judged.bits());
            assert!(judged.take(&copy));
            control.store(copy.load(Ordering::Relaxed), Ordering::Release);
            return true;
        }
        judged.take(control)
    }

    /// begin, at this time, with an address for each attempt: a record appended before a restart is never
    /// used.
    pub(crate) fn begin(&self, now_ms: u64, addresses: &[u64]) -> Begun {
        let mut addresses = addresses.iter();
        loop {
            let (slot, from) = match self.probe() {
                Probe::Vacant(slot) => (slot, Word::EMPTY),
                Probe::Found(_, word, bytes @ Bytes::Completed { fence }) => {
                    self.help(word, bytes);
                    return Begun::Replay { fence };
                }
                Probe::Found(slot, word, bytes @ Bytes::Claim { fence }) => {
                    self.help(word, bytes);
                    let control = &self.record(word).control;
                    let judged = ClaimControl::load(control).unwrap();
                    if !judged.is_taken() && judged.deadline_ms() > now_ms {
                        return Begun::InProgress { fence };
                    }
                    if judged.has_effect() {
                        return Begun::InDoubt;
                    }
                    if !self.take(judged, control) {
                        continue;
                    }
                    (slot, word)
                }
                _ => panic!("a word without a record"),
            };
            let fence = *addresses.next().unwrap();
            let word = self.append_claim(fence, now_ms + DEADLINE_MS);
            if self.swap(slot, from, word) {
                self.commit(word, Bytes::Claim { fence });
                return Begun::Started(Claim { slot, word: word.0, fence });
            }
        }
    }

    /// A claim that is there before the threads start.
    pub(crate) fn claimed(&self, address: u64) -> Claim {
        match self.begin(0, &[address]) {
            Begun::Started(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    fn word_of(&self, claim: Claim) -> Word {
        table::load(&self.words, claim.slot)
    }

    pub(crate) fn heartbeat(&self, claim: Claim) -> Said {
        self.change(claim, |control| ClaimControl::extend(control, EXTENDED_MS))
    }

    pub(crate) fn begin_effect(&self, claim: Claim) -> Said {
        self.change(claim, ClaimControl::mark_effect)
    }

    fn change(&self, claim: Claim, swap: impl Fn(&AtomicU64) -> Swapped) -> Said {
        match swap(self.control(claim.fence)) {
            Swapped::Done if self.word_of(claim).0 == claim.word => Said::Done,
            Swapped::Done | Swapped::Lost => self.successor(claim),
            Swapped::Corrupt => panic!("a damaged control word"),
        }
    }

    /// complete, with an address for its record.
    pub(crate) fn complete(&self, claim: Claim, address: u64) -> Said {
        let bytes = Bytes::Completed { fence: claim.fence };
        let word = self.append(address, bytes, 0);
        if self.swap(claim.slot, Word(claim.word), word) {
            self.commit(word, bytes);
            return Said::Done;
        }
        match self.successor(claim) {
            Said::Ended => Said::Done,
            other => other,
        }
    }

    /// What stands where the claim's word was.
    fn successor(&self, claim: Claim) -> Said {
        let word = self.word_of(claim);
        let bytes = self.bytes(word);
        self.help(word, bytes);
        match bytes {
            Bytes::Completed { fence } if fence == claim.fence => Said::Ended,
            Bytes::Completed { fence } | Bytes::Claim { fence } => Said::LeaseLost { by: fence },
            Bytes::Unwritten => panic!("a word without a record"),
        }
    }
}
