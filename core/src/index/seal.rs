//! Sealing: a generation that takes no more keys is closed for good and gets its filter.

use super::filter;
use super::generation::Generation;
use super::generations::Generations;
use super::table;
use super::word::Word;
use crate::error::Result;
use crate::fault::{kill_point, planted};
use crate::key::Place;
use crate::os::Room;

/// Words between two looks whether to go on.
const SPAN: usize = 4096;

/// Records that are on their way while one is read.
const AHEAD: usize = 16;

impl Generations {
    /// Closes the older generations and gives them their filters. `place_of` answers with the place of a
    /// word's record, and is told of a word that it will be asked for soon. Any number may do it at the same
    /// time, and any may die over it.
    pub(crate) fn seal_older(
        &self,
        place_of: impl Fn(Word, Option<Word>) -> Result<Place>,
        go_on: impl Fn() -> bool,
    ) -> Result<()> {
        let mut failed = Ok(());
        for number in self.first()..self.page.newest_generation()? {
            let generation = self.get(number)?;
            let is_closed = generation.is_closed() || planted!("filter.early");
            if !is_closed && !close_all(generation, &go_on) {
                return Ok(());
            }
            if !generation.has_filter() {
                // One that gets none hinders no other.
                failed = failed.and(self.make_filter(generation, &place_of, &go_on));
            }
        }
        self.open_filters()?;
        failed
    }

    /// Builds the filter of a closed generation from all its words, and publishes it last. A record that
    /// cannot be read could be any key's: then there is no filter, and the generation is probed.
    fn make_filter(
        &self,
        generation: &Generation,
        place_of: impl Fn(Word, Option<Word>) -> Result<Place>,
        go_on: impl Fn() -> bool,
    ) -> Result<()> {
        let words = generation.words();
        let is_key =
            |word: &Word| *word != Word::FROZEN && !(planted!("filter.early") && *word == Word::EMPTY);
        let records = || (0..words.len()).map(|at| table::load(words, at)).filter(is_key);
        let keys = records().count();
        let mut failed = None;
        let mut soon = records().skip(AHEAD);
        let places = records().enumerate().map_while(|(n, word)| match place_of(word, soon.next()) {
            _ if n.is_multiple_of(SPAN) && !go_on() => {
                failed = Some(Ok(()));
                None
            }
            Ok(place) => Some(place),
            Err(e) => {
                failed = Some(Err(e));
                None
            }
        });
        let bytes = filter::build(generation.number, self.store, places, keys);
        if let Some(why) = failed {
            return why;
        }
        kill_point!("filter.built");
        let name = filter::name(generation.number);
        // Taken: somebody else built the same.
        self.medium.create(Room::Index, &name, bytes.len() as u64, &bytes)?;
        kill_point!("filter.linked");
        generation.set_filtered();
        kill_point!("filter.told");
        Ok(())
    }

    /// Opens the filters that are there.
    pub(crate) fn open_filters(&self) -> Result<()> {
        for number in self.first()..self.page.newest_generation()? {
            let generation = self.get(number)?;
            if generation.has_unopened_filter() {
                generation.open_filter(&*self.medium, self.store)?;
            }
        }
        Ok(())
    }
}

/// Closes what is left open in a generation that is not the newest, word by word: then a search ends there at
/// once where it ended at an empty word before, and its keys are known. `false`: it was stopped.
fn close_all(generation: &Generation, go_on: impl Fn() -> bool) -> bool {
    let words = generation.words();
    for at in 0..words.len() {
        if at.is_multiple_of(SPAN) && !go_on() {
            return false;
        }
        if table::load(words, at) == Word::EMPTY {
            table::close(words, at); // lost: a late key, as good
            kill_point!("seal.closed");
        }
    }
    generation.set_closed();
    kill_point!("seal.told");
    true
}
