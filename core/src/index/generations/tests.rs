//! Two threads' steps, one after the other, in every order that matters.

use super::*;
use crate::control_page::{CONTROL_PAGE, CONTROL_PAGE_BYTES, IndexHead};
use crate::log::address::Address;
use crate::os::{Created, MemoryMedium, Room};

const STORE: [u8; 16] = [5; 16];
const PLACE: Place = Place(0xABC0_0000_0000_0007);

/// One generation of 1 Ki words.
fn generations() -> Generations {
    let medium = Arc::new(MemoryMedium::default());
    let head = IndexHead { clock_offset_ms: 0, store: STORE, index: [6; 16], generation: 1 };
    let made = medium.create(Room::Index, CONTROL_PAGE, CONTROL_PAGE_BYTES, &head.bytes()).unwrap();
    let Created::Made(mapping) = made else { panic!("taken") };
    let page = ControlPage::open(mapping).unwrap();
    page.begin(1).unwrap();
    Generation::create(&*medium, 1, STORE, 1024).unwrap();
    Generations::new(medium, page, STORE)
}

/// Every word with the tag is the key's own.
fn own(_: Word) -> Result<Option<()>> {
    Ok(Some(()))
}

/// Every record is of the one key.
fn places(_: Word, _: Option<Word>) -> Result<Place> {
    Ok(PLACE)
}

fn vacant(generations: &Generations) -> Slot {
    match generations.find_or_close(PLACE, own).unwrap() {
        Search::Vacant(slot) => slot,
        _ => panic!("it is there, or has no room"),
    }
}

fn word(address: u64) -> Word {
    Word::new(PLACE.tag(), Address(address))
}

#[test]
fn who_still_adds_to_an_older_generation_comes_too_late() {
    let all = generations();
    let late = vacant(&all);
    all.grow(1).unwrap();
    let next = vacant(&all);
    assert!(!all.swap(late, Word::EMPTY, word(1)).unwrap(), "the chain is closed");
    assert!(all.swap(next, Word::EMPTY, word(2)).unwrap());
    assert!(matches!(all.find(PLACE, own).unwrap(), Some((slot, ..)) if slot == next));
}

#[test]
fn what_was_added_to_an_older_generation_is_found_there() {
    let all = generations();
    let first = vacant(&all);
    assert!(all.swap(first, Word::EMPTY, word(1)).unwrap());
    all.grow(1).unwrap();
    all.seal_older(places, || true).unwrap();
    assert!(matches!(all.find_or_close(PLACE, own).unwrap(), Search::Found(slot, ..) if slot == first));
    assert!(matches!(all.find(PLACE, own).unwrap(), Some((slot, ..)) if slot == first));
    assert!(all.swap(first, word(1), word(2)).unwrap(), "and goes on changing");
}

#[test]
fn a_closed_generation_sends_whoever_takes_it_for_the_newest_back() {
    let all = generations();
    let late = vacant(&all);
    all.grow(1).unwrap();
    all.seal_older(places, || false).unwrap();
    assert_eq!(all.load(late).unwrap().0, 0, "stopped before it began");
    all.seal_older(places, || true).unwrap();
    assert!(all.load(late).unwrap() == Word::FROZEN);
    assert!(all.get(1).unwrap().is_closed() && !all.get(2).unwrap().is_closed());
    assert_ne!(vacant(&all), late);
}

#[test]
fn a_filter_denies_what_is_not_there_and_only_where_every_record_was_read() {
    let all = generations();
    let first = vacant(&all);
    assert!(all.swap(first, Word::EMPTY, word(1)).unwrap());
    all.grow(1).unwrap();
    let damaged = |_, _| Err(Error::corrupt("a record"));
    assert!(all.seal_older(damaged, || true).is_err());
    assert!(all.get(1).unwrap().is_closed() && !all.get(1).unwrap().has_filter());
    all.seal_older(places, || true).unwrap();
    assert!(!all.is_denied(all.get(1).unwrap(), PLACE));
    let denied = (1..1000).filter(|n| all.is_denied(all.get(1).unwrap(), Place(n << 40))).count();
    assert!(denied > 950, "{denied} of 999");
    assert!(matches!(all.find(PLACE, own).unwrap(), Some((slot, ..)) if slot == first));
}

#[test]
fn growth_doubles_until_there_are_sixteen() {
    let all = generations();
    let numbers = 1..COUNT_MAX as u64;
    for number in numbers.take(6) {
        all.grow(number).unwrap();
        all.grow(number).unwrap();
        assert_eq!(all.capacity().unwrap(), 1024 << number, "grown once");
    }
    let mut walked = 0;
    let mut at = None;
    while let Some(slot) = all.next_slot(at).unwrap() {
        at = Some(slot);
        walked += 1;
    }
    assert_eq!(walked, 1024 << 6, "a walk meets every word");
    assert!(all.open_all().unwrap());
}
