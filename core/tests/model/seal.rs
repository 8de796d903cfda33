//! Sealing as the helper thread does it: the older generations one after the other, word by word.

use crate::config::Fault;
use crate::state::{Pc, Seal, Word};
use crate::verbs::{Checked, Turn};

impl Turn<'_> {
    pub(crate) fn seal(&mut self, pc: Pc) -> Checked {
        match pc {
            Pc::SealNewest => {
                (self.me().top, self.me().slot) = (self.s.newest, 0);
                self.seal_generation("loads newest")
            }
            Pc::SealWord => self.seal_word(),
            Pc::SealClose => self.seal_close(),
            Pc::SealTell => {
                let seal = self.seal_here();
                if *seal == Seal::Open {
                    *seal = Seal::Closed;
                }
                if self.has(Fault::FilterOfClosing) {
                    return self.to("says that it is closed", Pc::FilterLink);
                }
                self.begin_filter("says that it is closed")
            }
            Pc::FilterWord => self.filter_word(),
            Pc::FilterLink => {
                let has = self.me().met > 0;
                let seal = self.seal_here();
                if matches!(seal, Seal::Open | Seal::Closed) {
                    *seal = Seal::Linked(has);
                }
                self.to("makes the filter", Pc::FilterTell)
            }
            _ => {
                let seal = self.seal_here();
                if let Seal::Linked(has) = *seal {
                    *seal = Seal::Told(has);
                }
                self.seal_next("says that it is there")
            }
        }
    }

    /// The generation that its slot is in, or just behind the last word of.
    fn seal_here(&mut self) -> &mut Seal {
        let here = self.config.generation_of(self.me().slot);
        &mut self.s.seals[usize::from(here)]
    }

    fn is_last_word(&mut self) -> bool {
        let slot = self.me().slot;
        slot + 1 == self.config.first_slot(self.config.generation_of(slot) + 1)
    }

    /// What is left to do in the generation that begins with its slot. The state is loaded with the word
    /// before: it only ever rises, and to find it lower costs work alone.
    fn seal_generation(&mut self, label: &'static str) -> Checked {
        self.me().met = 0;
        if self.config.generation_of(self.me().slot) >= self.me().top {
            return self.say(label, "Ok");
        }
        let seal = *self.seal_here();
        match seal {
            Seal::Open if self.has(Fault::FilterBeforeClosed) => self.to(label, Pc::FilterWord),
            Seal::Open => self.to(label, Pc::SealWord),
            Seal::Told(_) => {
                self.skip_words();
                self.seal_next(label)
            }
            _ => self.to(label, Pc::FilterWord),
        }
    }

    fn skip_words(&mut self) {
        let here = self.config.generation_of(self.me().slot);
        self.me().slot = self.config.first_slot(here + 1) - 1;
    }

    fn seal_next(&mut self, label: &'static str) -> Checked {
        self.me().slot += 1;
        self.seal_generation(label)
    }

    fn seal_word(&mut self) -> Checked {
        match self.s.slots[usize::from(self.me().slot)] {
            Word::Empty => return self.to("loads a word: EMPTY", Pc::SealClose),
            Word::Record(_) => self.me().met = 1,
            _ => {}
        }
        self.seal_word_done("loads a word")
    }

    fn seal_close(&mut self) -> Checked {
        let word = &mut self.s.slots[usize::from(self.s.threads[self.t].slot)];
        if *word == Word::Empty {
            *word = Word::Frozen;
        }
        self.seal_word_done("closes it, or comes late")
    }

    fn seal_word_done(&mut self, label: &'static str) -> Checked {
        if self.is_last_word() {
            return self.to(label, Pc::SealTell);
        }
        self.me().slot += 1;
        self.to(label, Pc::SealWord)
    }

    fn begin_filter(&mut self, label: &'static str) -> Checked {
        let here = self.config.generation_of(self.me().slot);
        (self.me().slot, self.me().met) = (self.config.first_slot(here), 0);
        self.to(label, Pc::FilterWord)
    }

    fn filter_word(&mut self) -> Checked {
        if matches!(self.s.slots[usize::from(self.me().slot)], Word::Record(_)) {
            self.me().met = 1;
        }
        if self.is_last_word() {
            return self.to("reads a word", Pc::FilterLink);
        }
        self.me().slot += 1;
        self.to("reads a word", Pc::FilterWord)
    }
}
