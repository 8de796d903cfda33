//! The models of an index that grows.

use std::rc::Rc;

use loom::thread;

use crate::grown::Grown;
use crate::world::Fault;
use crate::{both, finds, holds};

/// Two begin one key while a third makes the next generation: one of them adds it, in the one or the other,
/// and the other finds it there.
fn begin_grow_begin(fault: Fault) {
    let grown = Rc::new(Grown::new(fault));
    let third = grown.clone();
    let growing = thread::spawn(move || third.grow());
    let ((one, first), (other, second)) = both(&grown, |grown| grown.begin(1), |grown| grown.begin(2));
    growing.join().unwrap();
    assert_eq!((one, grown.words()), (other, 1));
    assert!(first != second, "one of them adds it");
    assert_eq!(grown.find(), Some(one));
}

/// A key is begun while the generation is followed by another, closed, and given its filter: whoever is told
/// of the key is never told that it is not there.
fn begin_seal_find(fault: Fault) {
    let grown = Rc::new(Grown::new(fault));
    let third = grown.clone();
    let sealing = thread::spawn(move || {
        third.grow();
        third.seal();
    });
    let ((one, _), (other, _)) = both(
        &grown,
        |grown| grown.begin(1),
        |grown| {
            let begun = grown.begin(2);
            assert_eq!(grown.find(), Some(begun.0));
            begun
        },
    );
    sealing.join().unwrap();
    assert_eq!((one, grown.words()), (other, 1));
    assert_eq!(grown.find(), Some(one));
}

#[test]
fn a_key_is_added_to_one_generation() {
    holds("begin-grow-begin", begin_grow_begin);
}

#[test]
fn a_filter_denies_no_key_that_was_told() {
    holds("begin-seal-find", begin_seal_find);
}

#[test]
fn a_generation_published_without_release_is_found() {
    finds("begin-grow-begin.relaxed-publish", begin_grow_begin, Fault::RelaxedPublish);
}

#[test]
fn newest_loaded_without_acquire_is_found() {
    finds("begin-grow-begin.relaxed-newest", begin_grow_begin, Fault::RelaxedNewest);
}

#[test]
fn a_chain_that_is_not_closed_is_found() {
    finds("begin-grow-begin.not-closed", begin_grow_begin, Fault::ChainNotClosed);
}

#[test]
fn a_chain_closed_without_release_is_found() {
    finds("begin-grow-begin.relaxed-close", begin_grow_begin, Fault::RelaxedClose);
}

#[test]
fn a_filter_told_without_release_is_found() {
    finds("begin-seal-find.relaxed-state", begin_seal_find, Fault::RelaxedState);
}

#[test]
fn a_filter_believed_without_acquire_is_found() {
    finds("begin-seal-find.relaxed-state-load", begin_seal_find, Fault::RelaxedStateLoad);
}

#[test]
fn a_filter_built_too_early_is_found() {
    finds("begin-seal-find.too-early", begin_seal_find, Fault::FilterTooEarly);
}
