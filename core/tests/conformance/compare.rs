//! Whether an answer is the expected one, in everything that it carries.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::order::SCOPE;
use super::values::{Bytes, canonical, is_bytes};

/// Scope and key.
pub(crate) type Name = (Vec<u8>, Vec<u8>);

/// A claim that a script has named.
pub(crate) struct Held {
    pub(crate) actor: String,
    pub(crate) name: Name,
    pub(crate) fence: u64,
}

/// What the answers have told so far.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) claims: BTreeMap<String, Held>,
    /// The highest fence of each key.
    pub(crate) fences: BTreeMap<Name, u64>,
}

/// What a step, or an entry of a list, is about.
pub(crate) fn name_of(object: &Map<String, Value>, round: Option<usize>) -> Option<Name> {
    let bytes = |value: &Value| Bytes::try_from(value.clone()).ok().map(|bytes| bytes.0);
    let scope = object.get("scope").map_or_else(|| Some(SCOPE.into()), bytes)?;
    let mut key = bytes(object.get("key")?)?;
    if let Some(round) = round {
        key.extend(format!("-{round}").bytes());
    }
    Some((scope, key))
}

impl Told {
    /// How the answer differs from what is expected; nothing, if it does not. `about`: the key of the step.
    pub(crate) fn differs(&self, expected: &Value, answer: &Value, about: Option<&Name>) -> Option<String> {
        let differ = || Some(format!("expected {expected}, and not {answer}"));
        match (expected, answer) {
            (Value::Object(it), _) if is_range(it) => {
                let (least, most) = (it["at_least"].as_i64(), it["at_most"].as_i64());
                let inside =
                    |n: i64| least.is_some_and(|least| least <= n) && most.is_some_and(|most| n <= most);
                if answer.as_i64().is_some_and(inside) { None } else { differ() }
            }
            (Value::Object(it), _) if is_bytes(it) => match Bytes::try_from(expected.clone()) {
                Ok(bytes) if canonical(&bytes.0) == *answer => None,
                _ => differ(),
            },
            (Value::String(text), _) if canonical(text.as_bytes()) == *answer => None,
            (Value::Object(it), Value::Object(other)) => {
                if !it.keys().eq(other.keys()) {
                    return differ();
                }
                let own = name_of(other, None);
                let about = own.as_ref().or(about);
                let field = |name: &String| match name.as_str() {
                    "fence" => self.fence_differs(&it[name], &other[name], about),
                    _ => self.differs(&it[name], &other[name], about),
                };
                it.keys().find_map(|name| field(name).map(|how| format!("{name}: {how}")))
            }
            (Value::Array(it), Value::Array(other)) => self.sets_differ(it, other, about),
            _ if expected == answer => None,
            _ => differ(),
        }
    }

    /// In any order.
    fn sets_differ(&self, expected: &[Value], answer: &[Value], about: Option<&Name>) -> Option<String> {
        let mut left: Vec<&Value> = answer.iter().collect();
        for one in expected {
            let Some(at) = left.iter().position(|other| self.differs(one, other, about).is_none()) else {
                return Some(format!("{one} is not among {answer:?}"));
            };
            left.remove(at);
        }
        (!left.is_empty()).then(|| format!("not expected: {left:?}"))
    }

    /// `first`: of a key no fence of which was told before. `{"above": claim}`, `{"same": claim}`: of a claim
    /// on the same key.
    fn fence_differs(&self, expected: &Value, answer: &Value, about: Option<&Name>) -> Option<String> {
        let differ = |why: &str| Some(format!("expected {expected}, and not {answer}: {why}"));
        let (Some(fence), Some(about)) = (answer.as_u64(), about) else { return differ("no fence of a key") };
        if expected == "first" {
            let known = self.fences.get(about);
            return if known.is_none() && fence > 0 { None } else { differ("it is not the first") };
        }
        let relation = expected.as_object().filter(|it| it.len() == 1).and_then(|it| it.iter().next());
        let Some((word, Value::String(label))) = relation else { return differ("unknown words") };
        let Some(held) = self.claims.get(label) else { return differ("there is no such claim") };
        if held.name != *about {
            return differ("that claim is on another key");
        }
        let holds = match word.as_str() {
            "above" => fence > held.fence,
            "same" => fence == held.fence,
            _ => return differ("unknown words"),
        };
        if holds { None } else { differ("it does not hold") }
    }

    /// Several answers to what was done at once: so many times this, so many times that.
    pub(crate) fn counts_differ(
        &self,
        expected: &Value,
        answers: &[&Value],
        about: Option<&Name>,
    ) -> Option<String> {
        let Some(kinds) = expected.as_array() else { return Some("expected is no list".to_owned()) };
        let mut counted = 0;
        for kind in kinds {
            let words = kind.as_object().filter(|it| it.len() == 2);
            let Some((Some(times), Some(outcome))) = words.map(|it| (it.get("times"), it.get("outcome")))
            else {
                return Some(format!("{kind} is no count of an outcome"));
            };
            let met = answers.iter().filter(|answer| self.differs(outcome, answer, about).is_none()).count();
            if times.as_u64() != Some(met as u64) {
                return Some(format!("{met} times {outcome}, in {answers:?}"));
            }
            counted += met;
        }
        (counted != answers.len()).then(|| format!("not expected, among {answers:?}"))
    }
}

/// `{"at_least": 1, "at_most": 2}`
pub(crate) fn is_range(object: &Map<String, Value>) -> bool {
    object.len() == 2 && object.contains_key("at_least") && object.contains_key("at_most")
}
