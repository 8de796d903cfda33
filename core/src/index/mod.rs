//! The index: which record stands for a key. Words in shared memory, one compare-and-swap a transition.

mod block;
mod filter;
pub(crate) mod generation;
mod generations;
mod seal;
pub(crate) mod table;
pub(crate) mod word;

pub(crate) use generation::Generation;
pub(crate) use generations::{Due, Generations, Search, Slot};
pub(crate) use table::Probe;
pub(crate) use word::Word;
