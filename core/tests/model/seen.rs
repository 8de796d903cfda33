//! The table of states seen, by 64-bit names.

use std::hash::{Hash, Hasher};

use crate::state::State;

/// A 64-bit name of a state. Two states with one name would hide one of them: at ten million
/// states the odds are below one in a hundred thousand.
pub(crate) fn fingerprint(state: &State) -> u64 {
    let mut hasher = Mixer { mixed: 0x9e37_79b9_7f4a_7c15, pending: 0, filled: 0 };
    state.hash(&mut hasher);
    hasher.finish().max(1)
}

/// Gathers the small fields of a state into words and folds each word in by a wide multiplication.
struct Mixer {
    mixed: u64,
    pending: u64,
    filled: u32,
}

impl Mixer {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.mixed ^ word) * 0xa076_1d64_78bd_642f;
        let folded = product as u64 ^ (product >> 64) as u64;
        self.mixed = folded.rotate_left(23).wrapping_add(word ^ 0x2545_f491_4f6c_dd1d);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.pending = self.pending << 8 | u64::from(byte);
        self.filled += 1;
        if self.filled == 8 {
            self.fold(self.pending);
            (self.pending, self.filled) = (0, 0);
        }
    }

    /// The number of an enum's variant, and the length of an array: both small.
    fn write_isize(&mut self, word: isize) {
        self.write_u8(word as u8);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u8(word as u8);
    }

    fn finish(&self) -> u64 {
        let mut last = Mixer { ..*self };
        last.fold(self.pending ^ u64::from(self.filled) << 60);
        last.fold(0);
        last.mixed
    }
}

/// Names of states in an open table, eight bytes each.
pub(crate) struct Seen {
    table: Vec<u64>,
    count: usize,
}

impl Seen {
    pub(crate) fn new() -> Seen {
        Seen { table: vec![0; 1 << 12], count: 0 }
    }

    /// False if the name was there.
    pub(crate) fn insert(&mut self, name: u64) -> bool {
        if self.count * 4 > self.table.len() * 3 {
            let old = std::mem::take(&mut self.table);
            self.table = vec![0; old.len() * 2];
            for name in old.into_iter().filter(|name| *name != 0) {
                self.put(name);
            }
        }
        let new = self.put(name);
        self.count += usize::from(new);
        new
    }

    fn put(&mut self, name: u64) -> bool {
        let mask = self.table.len() - 1;
        let mut at = name as usize & mask;
        while self.table[at] != 0 {
            if self.table[at] == name {
                return false;
            }
            at = (at + 1) & mask;
        }
        self.table[at] = name;
        true
    }
}
