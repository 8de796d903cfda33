//! What the parent finds when everybody is dead: every key as a look at it and as a list tells it.

use std::collections::HashMap;

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
