//! What the parent finds when everybody is dead: every key as a look at it and as a list tells it.

use std::collections::HashMap;
use std::path::Path;

use semel::Store;

use super::journal::{Answer, Answered, Asked, Call, PARENT, Verb};
use super::parent::Parent;
use super::verbs;

impl Parent<'_> {
    pub fn look_at_every_key(&mut self, store: &Store) {
        let mut keys: Vec<u32> = self.calls.iter().map(|call| call.asked.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let listed = self.list_every_key(store);
        for key in keys {
            let asked = Asked { at: self.now(), ..Asked::new(Verb::Peek, key) };
            let mut answered = verbs::peek(store, key);
            answered.at = self.now();
            let as_listed = listed.get(&key).map(|it| it.answer);
            let fits = match answered.answer {
                Answer::Replay => as_listed == Some(Answer::Replay),
                Answer::InDoubt => matches!(as_listed, Some(Answer::InDoubt | Answer::InProgress)),
                _ => true,
            };
            if !fits {
                let story = format!("{key}: {answered:?}, listed as {as_listed:?}");
                self.outcome.report.add(("a list left a key out, or garbled it", story));
            }
            self.calls.push(Call { who: PARENT, asked, answered: Some(answered) });
        }
    }

    /// All have agreed on one sequence of generations: none is missing, at most one is made and not yet
    /// published, and only those that are not the newest have filters.
    pub fn look_at_its_generations(&mut self, index: &Path) {
        const NEWEST: usize = 72;
        let control = std::fs::read(index.join("control")).unwrap();
        let newest = u64::from_le_bytes(control[NEWEST..NEWEST + 8].try_into().unwrap());
        let numbers = |kind: &str| {
            let number = |name: &String| u64::from_str_radix(name.strip_prefix(kind)?, 16).ok();
            let numbers = names_in(index).into_iter().filter_map(|name| number(&name));
            let mut numbers: Vec<_> = numbers.collect();
            numbers.sort_unstable();
            numbers
        };
        let (generations, filters) = (numbers("generation-"), numbers("filter-"));
        let whole =
            generations.iter().copied().eq(1..=newest) || generations.iter().copied().eq(1..=newest + 1);
        if !whole || filters.iter().any(|&filter| filter >= newest) {
            let story = format!("newest is {newest}, of {generations:?}, filters of {filters:?}");
            self.outcome.report.add(("generations that do not follow each other", story));
        }
        self.outcome.generations += generations.len() as u64;
        self.outcome.filters += filters.len() as u64;
    }

    /// What somebody was making when it died is gone from the index once somebody has opened it alone.
    pub fn look_for_leavings(&mut self) {
        const KNOWN: [&str; 3] = ["control", "generation-", "filter-"];
        for index in names_in(&self.dir.join("index")) {
            let left = names_in(&self.dir.join("index").join(index));
            let left: Vec<_> =
                left.iter().filter(|name| !KNOWN.iter().any(|kind| name.starts_with(kind))).collect();
            if !left.is_empty() {
                self.outcome
                    .report
                    .add(("what a dead process was making is still there", format!("{left:?}")));
            }
        }
    }

    /// Lists the store while nobody changes it: each key once at most, and those that a look finds ended, or
    /// in doubt, exactly once.
    fn list_every_key(&mut self, store: &Store) -> HashMap<u32, Answered> {
        let mut all = HashMap::new();
        let mut walk = store.list(verbs::recent(0));
        loop {
            let at = self.now();
            let Some(entry) = walk.next() else { return all };
            let (key, answered) = verbs::listed(entry);
            let answered = Answered { at: self.now(), ..answered };
            if all.insert(key, answered).is_some() {
                self.outcome.report.add(("a key was listed twice", format!("{key}: {answered:?}")));
            }
            let asked = Asked { at, ..Asked::new(Verb::List, key) };
            self.calls.push(Call { who: PARENT, asked, answered: Some(answered) });
        }
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}
