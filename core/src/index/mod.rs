//! The index: which record stands for a key. Words in shared memory, one compare-and-swap a transition.

pub(crate) mod generation;
pub(crate) mod table;
pub(crate) mod word;

pub(crate) use generation::Generation;
pub(crate) use table::{Probe, Slot};
pub(crate) use word::Word;
