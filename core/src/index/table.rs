//! Probing and swapping, over a borrowed slice of words: a mapping's in the store, a model's in its tests.

use super::word::Word;
use crate::key::Place;
use crate::sync::{AtomicU64, Ordering};

/// Words in a cache line; probing goes line by line.
pub(crate) const LINE: usize = 8;

/// A chain longer than this counts as full: it also bounds what chosen keys can cost.
pub(crate) const PROBE_CAP_LINES: usize = 64;

/// What a probe met, by the number of the word in its generation.
pub(crate) enum Probe<R> {
    /// A live word of the key, and what `open` made of its record.
    Found(usize, Word, R),
    /// The key is not here, and this is where it would go.
    Vacant(usize),
    /// The key is not here, and never will be: its chain is closed.
    Frozen,
    /// Neither the key nor room for it within the cap.
    Full,
}

/// Walks the chain of a place. `open` is asked for each word with the place's tag: it answers with the record
/// if that is of the wanted key.
pub(crate) fn probe<R, E>(
    words: &[AtomicU64],
    place: Place,
    mut open: impl FnMut(Word) -> Result<Option<R>, E>,
) -> Result<Probe<R>, E> {
    let lines = words.len() / LINE;
    let tag = place.tag();
    let mut line = place.home(lines);
    for _ in 0..lines.min(PROBE_CAP_LINES) {
        for (i, word) in words[line * LINE..][..LINE].iter().enumerate() {
            // Acquire meets the Release of the swap that put the word here: the record's bytes are visible.
            let word = Word(word.load(Ordering::Acquire));
            if word == Word::EMPTY {
                return Ok(Probe::Vacant(line * LINE + i));
            }
            if word == Word::FROZEN {
                return Ok(Probe::Frozen);
            }
            if word.tag() == tag
                && !word.is_dead()
                && let Some(record) = open(word)?
            {
                return Ok(Probe::Found(line * LINE + i, word, record));
            }
        }
        line = (line + 1) & (lines - 1);
    }
    Ok(Probe::Full)
}

/// The words of the home line that have the place's tag.
#[inline]
pub(crate) fn candidates(words: &[AtomicU64], place: Place) -> impl Iterator<Item = Word> {
    let line = place.home(words.len() / LINE) * LINE;
    let line = words[line..][..LINE].iter().map(|word| Word(word.load(Ordering::Relaxed)));
    line.filter(move |word| word.is_record() && word.tag() == place.tag())
}

/// The one step that decides. `false`: the word no longer is `from`, and nothing was changed.
pub(crate) fn swap(words: &[AtomicU64], at: usize, from: Word, to: Word) -> bool {
    // Release: whoever loads the word sees the record. Acquire: a loser that looks again sees the winner's.
    words[at].compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// What the word is now.
pub(crate) fn load(words: &[AtomicU64], at: usize) -> Word {
    Word(words[at].load(Ordering::Acquire))
}

/// Closes a chain where it ends; `false` if a key was put there first.
pub(crate) fn close(words: &[AtomicU64], at: usize) -> bool {
    swap(words, at, Word::EMPTY, Word::FROZEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::address::Address;

    fn table(lines: usize) -> Vec<AtomicU64> {
        (0..lines * LINE).map(|_| AtomicU64::new(0)).collect()
    }

    fn find(words: &[AtomicU64], place: Place, address: u64) -> Probe<()> {
        let open = |word: Word| Ok::<_, ()>((word.address().0 == address).then_some(()));
        probe(words, place, open).unwrap()
    }

    #[test]
    fn a_full_hash_collision_still_gives_two_slots() {
        let (words, place) = (table(4), Place(0xABC0_0000_0000_0001));
        for address in 1..=2 {
            let Probe::Vacant(slot) = find(&words, place, address) else { panic!("address {address}") };
            assert!(swap(&words, slot, Word::EMPTY, Word::new(place.tag(), Address(address))));
        }
        assert!(matches!(find(&words, place, 1), Probe::Found(8, ..)));
        assert!(matches!(find(&words, place, 2), Probe::Found(9, ..)));
    }

    #[test]
    fn a_chain_wraps_and_ends_at_the_cap() {
        let (words, place) = (table(128), Place(127));
        for n in 0..PROBE_CAP_LINES * LINE {
            let Probe::Vacant(slot) = find(&words, place, 1 << 40) else { panic!("full after {n}") };
            assert!(swap(&words, slot, Word::EMPTY, Word::new(0, Address(n as u64 + 1))));
        }
        assert!(matches!(find(&words, place, 1 << 40), Probe::Full));
        assert!(matches!(find(&words, place, 9), Probe::Found(0, ..)), "line 127, then line 0");
    }

    #[test]
    fn a_frozen_word_ends_the_probe_and_refuses_a_swap() {
        let words = table(1);
        words[0].store(Word::FROZEN.0, Ordering::Relaxed);
        assert!(matches!(find(&words, Place(0), 1), Probe::Frozen));
        assert!(!swap(&words, 0, Word::EMPTY, Word::new(0, Address(1))));
    }
}
