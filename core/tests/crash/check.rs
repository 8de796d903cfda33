//! All journals of a store, judged key by key.

use std::collections::{BTreeMap, HashMap};

use super::history::History;
use super::journal::{Answer, Call, Detail, Who};
use super::rules::{Broken, RULES};

/// What came of a run.
#[derive(Default)]
pub struct Report {
    pub calls: u64,
    pub unanswered: u64,
    pub grants: u64,
    pub takeovers: u64,
    pub replays: u64,
    pub lost: u64,
    pub broken: BTreeMap<&'static str, u64>,
    /// The first case of each broken rule.
    pub stories: Vec<String>,
}

impl Report {
    pub fn violations(&self) -> u64 {
        self.broken.values().sum()
    }

    pub fn add(&mut self, (rule, story): Broken) {
        let times = self.broken.entry(rule).or_default();
        *times += 1;
        if *times == 1 {
            self.stories.push(format!("{rule}: {story}"));
        }
    }

    /// Judges everything that happened to one store.
    pub fn judge(&mut self, calls: &[Call], deaths: &HashMap<Who, u64>) {
        let mut keys: HashMap<u32, Vec<&Call>> = HashMap::new();
        for call in calls {
            self.count(call);
            keys.entry(call.asked.key).or_default().push(call);
        }
        for (key, calls) in keys {
            let history = History::new(calls, deaths);
            let mut broken = Vec::new();
            RULES.iter().for_each(|rule| rule(&history, &mut broken));
            if broken.iter().any(|(rule, _)| !self.broken.contains_key(rule)) {
                let told: Vec<_> = history.calls.iter().map(|call| format!("{call:?}")).collect();
                self.stories.push(format!("key {key}:\n{}", told.join("\n")));
            }
            broken.into_iter().for_each(|it| self.add(it));
        }
    }

    fn count(&mut self, call: &Call) {
        self.calls += 1;
        let Some(it) = call.answered else {
            self.unanswered += 1;
            return;
        };
        match it.answer {
            Answer::Started => {
                self.grants += 1;
                self.takeovers += u64::from(it.detail == Detail::Takeover);
            }
            Answer::Replay => self.replays += 1,
            Answer::LeaseLost => self.lost += 1,
            _ => {}
        }
    }
}
