//! An index of two generations, of which the second may be made meanwhile: the words and the steps on them
//! are the engine's own code, the number of the newest generation and the state in a head are words as the
//! control page and the head have them, and what is published through them is a cell that loom watches.

use loom::cell::Cell;

use crate::index::table::{self, LINE, Probe};
use crate::index::word::Word;
use crate::log::address::Address;
use crate::sync::{AtomicU64, Ordering};
use crate::world::{Fault, PLACE};

/// Words of a generation: a line.
type Words = Vec<AtomicU64>;

const FILTERED: u64 = 2;

pub(crate) struct Grown {
    generations: [Words; 2],
    /// Whether the file of the second generation is there.
    file: Cell<bool>,
    newest: AtomicU64,
    /// Of the first generation: its state, and its filter: whether that has the key.
    state: AtomicU64,
    filter: Cell<Option<bool>>,
    /// The bytes of records, by address: whether they are there.
    records: Vec<Cell<bool>>,
    fault: Fault,
}

/// Where the key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) generation: usize,
    pub(crate) address: u64,
}

impl Grown {
    pub(crate) fn new(fault: Fault) -> Self {
        // All but the first two words are other keys' already, so that there is little to close.
        let words = || {
            let other = Word::new(PLACE.tag() ^ 1, Address(9)).0;
            (0..LINE).map(|at| AtomicU64::new(if at < 2 { Word::EMPTY.0 } else { other })).collect()
        };
        Self {
            generations: [words(), words()],
            file: Cell::new(false),
            newest: AtomicU64::new(0),
            state: AtomicU64::new(0),
            filter: Cell::new(None),
            records: (0..4).map(|_| Cell::new(false)).collect(),
            fault,
        }
    }

    fn order(&self, weak: Fault, order: Ordering) -> Ordering {
        if self.fault == weak { Ordering::Relaxed } else { order }
    }

    /// The number of the newest generation, and its file is there.
    fn newest(&self) -> usize {
        let newest = self.newest.load(self.order(Fault::RelaxedNewest, Ordering::Acquire)) as usize;
        assert!(newest == 0 || self.file.get(), "a generation is used before its file is there");
        newest
    }

    /// Makes the second generation.
    pub(crate) fn grow(&self) {
        self.file.set(true);
        let order = self.order(Fault::RelaxedPublish, Ordering::AcqRel);
        assert!(self.newest.compare_exchange(0, 1, order, Ordering::Acquire).is_ok());
    }

    fn probe(&self, generation: usize) -> Probe<()> {
        let open = |word: Word| {
            // The record that the word names is there whole.
            assert!(self.records[word.address().0 as usize].get());
            Ok::<_, ()>(Some(()))
        };
        table::probe(&self.generations[generation], PLACE, open).unwrap()
    }

    fn close(&self, at: usize) -> bool {
        if self.fault != Fault::RelaxedClose {
            return table::close(&self.generations[0], at);
        }
        let (from, to, order) = (Word::EMPTY.0, Word::FROZEN.0, Ordering::Relaxed);
        self.generations[0][at].compare_exchange(from, to, order, order).is_ok()
    }

    /// begin, of a key that never expires: where it stands, and whether by this very begin.
    pub(crate) fn begin(&self, address: u64) -> (At, bool) {
        self.records[address as usize].set(true);
        let mut met_frozen = false;
        loop {
            let newest = self.newest();
            let found = |generation: usize, word: Word| (At { generation, address: word.address().0 }, false);
            let vacant = match self.probe(newest) {
                Probe::Found(_, word, ()) => return found(newest, word),
                Probe::Vacant(at) => at,
                // Whoever closed it knew a newer generation: so does everybody who sees it closed.
                Probe::Frozen => {
                    assert!(!met_frozen, "FROZEN in a generation that still is the newest");
                    met_frozen = true;
                    continue;
                }
                Probe::Full => panic!("there are two words for two keys"),
            };
            if newest == 1
                && self.fault != Fault::ChainNotClosed
                && !self.is_denied()
                && let Some(word) = self.close_chain()
            {
                return found(0, word);
            }
            let word = Word::new(PLACE.tag(), Address(address));
            if table::swap(&self.generations[newest], vacant, Word::EMPTY, word) {
                return (At { generation: newest, address }, true);
            }
        }
    }

    /// The key's word in the first generation, or its chain is closed there.
    fn close_chain(&self) -> Option<Word> {
        loop {
            match self.probe(0) {
                Probe::Found(_, word, ()) => return Some(word),
                Probe::Vacant(at) if self.close(at) => return None,
                Probe::Vacant(_) => {}
                Probe::Frozen | Probe::Full => return None,
            }
        }
    }

    /// Closes the first generation and makes its filter.
    pub(crate) fn seal(&self) {
        if self.newest() == 0 {
            return;
        }
        let words = &self.generations[0];
        if self.fault != Fault::FilterTooEarly {
            for at in 0..words.len() {
                if table::load(words, at) == Word::EMPTY {
                    self.close(at);
                }
            }
        }
        let is_own = |word: Word| {
            let own = word.is_record() && word.tag() == PLACE.tag();
            assert!(!own || self.records[word.address().0 as usize].get());
            own
        };
        let has = (0..words.len()).any(|at| is_own(table::load(words, at)));
        self.filter.set(Some(has));
        self.state.store(FILTERED, self.order(Fault::RelaxedState, Ordering::Release));
    }

    /// Whether the first generation has a filter that does not have the key.
    fn is_denied(&self) -> bool {
        let state = self.state.load(self.order(Fault::RelaxedStateLoad, Ordering::Acquire));
        state == FILTERED && self.filter.get() == Some(false)
    }

    /// Looks for the key, newest generation first.
    pub(crate) fn find(&self) -> Option<At> {
        let newest = self.newest();
        for generation in (0..=newest).rev() {
            if generation < newest && self.is_denied() {
                continue;
            }
            if let Probe::Found(_, word, ()) = self.probe(generation) {
                return Some(At { generation, address: word.address().0 });
            }
        }
        None
    }

    /// The key's words in both generations.
    pub(crate) fn words(&self) -> usize {
        let own = |word: &AtomicU64| {
            let word = Word(word.load(Ordering::Relaxed));
            word.is_record() && word.tag() == PLACE.tag()
        };
        self.generations.iter().flatten().filter(|word| own(word)).count()
    }
}
