//! Runs a case: each step is done, and its answer compared.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::compare::{Held, Name, Told, name_of};
use super::layout::{Layout, Stage};
use super::script::{Case, What, check, resolved, take_apart};

struct Run {
    stage: Stage,
    told: Told,
    /// What was handed over, in hex.
    handed: BTreeMap<String, String>,
    first: String,
}

/// Runs a case; an error says which step answered what.
pub(crate) fn run(case: &Case, layout: Layout) -> Result<(), String> {
    check(case)?;
    let first = case.actors.first().ok_or("a case has an actor")?.clone();
    let mut run =
        Run { stage: Stage::new(layout, case), told: Told::default(), handed: BTreeMap::new(), first };
    for (at, step) in case.steps.iter().enumerate() {
        run.step(step).map_err(|e| format!("{:?}, step {at}: {step}\n    {e}", case.name))?;
    }
    Ok(())
}

impl Run {
    fn step(&mut self, step: &Value) -> Result<(), String> {
        let step = take_apart(step)?;
        let by = step.by.clone();
        let verb = match step.what {
            What::Advance { ms } => {
                self.stage.advance(ms);
                return Ok(());
            }
            What::LoseIndex => {
                self.stage.lose_index();
                return Ok(());
            }
            What::Kill => {
                self.stage.kill(&by.unwrap_or_default());
                return Ok(());
            }
            What::Verb(verb) => verb,
        };
        let gives = step.gives.ok_or("nothing is expected")?;
        let holder = verb.get("claim").and_then(Value::as_str).and_then(|it| self.told.claims.get(it));
        let who = holder.map(|held| held.actor.clone()).or(by).unwrap_or_else(|| self.first.clone());
        if !step.at_once.is_empty() {
            return self.at_once(&step.at_once, &verb, &gives);
        }
        let mut answer = match verb["do"].as_str() {
            Some("open") => self.stage.open(&who),
            Some("close") => {
                self.stage.close(&who);
                json!("ok")
            }
            _ => {
                let order = self.order(&verb)?;
                self.stage.ask(std::slice::from_ref(&who), &order).remove(0)
            }
        };
        if let Some(Value::String(hex)) = answer.get("handed") {
            let label = answer["as"].as_str().unwrap_or_default();
            self.handed.insert(label.to_owned(), hex.clone());
            answer = json!("ok");
        }
        let about = self.about(&verb, None);
        if let Some(how) = self.told.differs(&gives, &answer, about.as_ref()) {
            return Err(how);
        }
        self.remember(&verb, &who, &answer, about)
    }

    /// Several actors do the same at once, perhaps for many keys.
    fn at_once(&mut self, who: &[String], verb: &Map<String, Value>, gives: &Value) -> Result<(), String> {
        let order = self.order(verb)?;
        let answers = self.stage.ask(who, &order);
        let rounds = verb.get("rounds").and_then(Value::as_u64);
        for round in 0..rounds.unwrap_or(1) as usize {
            let of_round: Vec<&Value> =
                answers.iter().map(|answer| rounds.map_or(answer, |_| &answer[round])).collect();
            let about = self.about(verb, rounds.map(|_| round));
            if let Some(how) = self.told.counts_differ(gives, &of_round, about.as_ref()) {
                return Err(format!("round {round}: {how}"));
            }
            for (who, answer) in who.iter().zip(&of_round) {
                self.remember(verb, who, answer, about.clone())?;
            }
        }
        Ok(())
    }

    fn order(&self, verb: &Map<String, Value>) -> Result<Value, String> {
        let fence = |label: &str| self.told.claims.get(label).map(|held| json!(held.fence));
        resolved(verb, fence, |label| self.handed.get(label).cloned())
    }

    /// The key that a verb is about.
    fn about(&self, verb: &Map<String, Value>, round: Option<usize>) -> Option<Name> {
        let claim = verb.get("claim").or_else(|| verb.get("bytes").and_then(|bytes| bytes.get("handed")));
        match claim.and_then(Value::as_str).map(|label| self.name_behind(label)) {
            Some(name) => name,
            None => name_of(verb, round),
        }
    }

    fn name_behind(&self, label: &str) -> Option<Name> {
        self.told.claims.get(label).map(|held| held.name.clone())
    }

    /// Keeps what a grant told, and sees that its fence is above all before it.
    fn remember(
        &mut self,
        verb: &Map<String, Value>,
        who: &str,
        answer: &Value,
        about: Option<Name>,
    ) -> Result<(), String> {
        if verb["do"] == "hand_over" {
            // Under the label of the bytes, the claim that they are about.
            let claim = &self.told.claims[verb["claim"].as_str().unwrap_or_default()];
            let held = Held { actor: claim.actor.clone(), name: claim.name.clone(), fence: claim.fence };
            self.told.claims.insert(verb["as"].as_str().unwrap_or_default().to_owned(), held);
            return Ok(());
        }
        let (Some(fence), Some(name)) = (answer["started"]["fence"].as_u64(), about) else { return Ok(()) };
        let highest = self.told.fences.entry(name.clone()).or_default();
        if verb["do"] == "begin" && fence <= *highest {
            return Err(format!("the fence {fence} is not above {highest}"));
        }
        *highest = fence.max(*highest);
        if let Some(label) = verb.get("as").and_then(Value::as_str) {
            self.told.claims.insert(label.to_owned(), Held { actor: who.to_owned(), name, fence });
        }
        Ok(())
    }
}
