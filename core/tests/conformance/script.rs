//! The files of scripts, read strictly: what is not in the language is an error.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::order::{Options, Order};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u64,
    about: String,
    cases: Vec<Case>,
}

/// One story, and the rows of the contract that it shows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) rows: Vec<String>,
    #[serde(default)]
    pub(crate) needs: BTreeSet<Need>,
    #[serde(default)]
    pub(crate) store: Options,
    #[serde(default = "one_actor")]
    pub(crate) actors: Vec<String>,
    /// Actors whose handle is not open yet when the case begins.
    #[serde(default)]
    pub(crate) later: Vec<String>,
    pub(crate) steps: Vec<Value>,
}

/// What not every store and layout has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Need {
    /// A store that outlives its handles.
    Lasting,
    /// Each actor is a process of its own.
    Processes,
    /// The index of the embedded engine.
    Index,
}

/// A step, taken apart.
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) by: Option<String>,
    pub(crate) at_once: Vec<String>,
    pub(crate) gives: Option<Value>,
}

pub(crate) enum What {
    Advance {
        ms: u64,
    },
    Kill,
    LoseIndex,
    /// What one or more actors do, with the labels of the script still in it.
    Verb(Map<String, Value>),
}

fn one_actor() -> Vec<String> {
    vec!["a".to_owned()]
}

/// Every case of every file, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(file.format, 1, "{}: another format", path.display());
        assert!(!file.about.is_empty() && !file.cases.is_empty(), "{}", path.display());
        for case in file.cases {
            check(&case).unwrap_or_else(|e| panic!("{}: {:?}: {e}", path.display(), case.name));
            cases.push(case);
        }
    }
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    cases
}

/// Whether every word of a case is one of the language, before any of it is run.
pub(crate) fn check(case: &Case) -> Result<(), String> {
    let mut labels = BTreeSet::new();
    for (at, step) in case.steps.iter().enumerate() {
        let said = |e: String| format!("step {at}: {e}: {step}");
        let step = take_apart(step).map_err(said)?;
        for actor in step.by.iter().chain(&step.at_once) {
            if !case.actors.contains(actor) && !case.later.contains(actor) {
                return Err(said(format!("no actor is named {actor:?}")));
            }
        }
        if let Some(need) = needed(&step.what).filter(|need| !case.needs.contains(need)) {
            return Err(said(format!("the case does not say that it needs {need:?}")));
        }
        let What::Verb(verb) = &step.what else { continue };
        let known = |label: &str| labels.contains(label).then(|| json!(1));
        let bytes = |label: &str| labels.contains(label).then(|| "00".to_owned());
        let order = resolved(verb, known, bytes).map_err(said)?;
        parse(order).map_err(said)?;
        if let Some(claim) = verb.get("claim").and_then(Value::as_str) {
            if !labels.contains(claim) {
                return Err(said(format!("no claim is named {claim:?} yet")));
            }
            if step.by.is_some() || !step.at_once.is_empty() {
                return Err(said("who holds the claim does it".to_owned()));
            }
        }
        if let Some(label) = verb.get("as").and_then(Value::as_str)
            && !labels.insert(label.to_owned())
        {
            return Err(said(format!("{label:?} is taken")));
        }
    }
    if case.rows.is_empty() || case.steps.is_empty() {
        return Err("a case has rows and steps".to_owned());
    }
    Ok(())
}

/// What not every store and layout can do.
fn needed(what: &What) -> Option<Need> {
    match what {
        What::Advance { .. } => None,
        What::Kill => Some(Need::Processes),
        What::LoseIndex => Some(Need::Index),
        What::Verb(verb) if verb["do"] == "close" => Some(Need::Lasting),
        What::Verb(_) => None,
    }
}

/// Splits a step into who, what and the answer.
pub(crate) fn take_apart(step: &Value) -> Result<Step, String> {
    let mut verb = step.as_object().ok_or("a step is an object")?.clone();
    let gives = verb.remove("gives");
    let by = verb.remove("by").map(|by| name(&by)).transpose()?;
    let at_once = match verb.remove("at_once") {
        None => Vec::new(),
        Some(Value::Array(actors)) => actors.iter().map(name).collect::<Result<_, _>>()?,
        Some(other) => return Err(format!("at_once is {other}")),
    };
    let word = verb.get("do").and_then(Value::as_str).ok_or("a step says what to do")?.to_owned();
    let what = match word.as_str() {
        "advance" => What::Advance { ms: number(&mut verb, "ms")? },
        "kill" => What::Kill,
        "lose_index" => What::LoseIndex,
        _ => What::Verb(verb.clone()),
    };
    let is_verb = matches!(what, What::Verb(_));
    if is_verb != gives.is_some() {
        return Err("an answer is expected of every verb of a store, and of nothing else".to_owned());
    }
    if !is_verb && verb.len() > 1 {
        return Err(format!("{word} has too many words"));
    }
    let alone = by.is_none() && at_once.is_empty();
    let who_fits = match &what {
        What::Advance { .. } | What::LoseIndex => alone,
        What::Kill => by.is_some() && at_once.is_empty(),
        What::Verb(_) => by.is_none() || at_once.is_empty(),
    };
    if !who_fits {
        return Err(format!("this is not how it is said who does {word}"));
    }
    if verb.contains_key("rounds") && (at_once.is_empty() || verb.contains_key("as")) {
        return Err("rounds are for what is done at once, and none of them is named".to_owned());
    }
    Ok(Step { what, by, at_once, gives })
}

fn name(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no name"))
}

fn number(from: &mut Map<String, Value>, field: &str) -> Result<u64, String> {
    let value = from.remove(field).ok_or_else(|| format!("{field} is missing"))?;
    value.as_u64().ok_or_else(|| format!("{field} is {value}"))
}

/// The verb with its labels replaced: the fence of a claim, the bytes of one that was handed over.
pub(crate) fn resolved(
    verb: &Map<String, Value>,
    fence: impl Fn(&str) -> Option<Value>,
    bytes: impl Fn(&str) -> Option<String>,
) -> Result<Value, String> {
    let mut order = verb.clone();
    for (field, value) in &mut order {
        if field == "fence" {
            let label = name(value)?;
            *value = fence(&label).ok_or_else(|| format!("no claim is named {label:?} yet"))?;
        } else if let Some(handed) = value.get("handed") {
            let label = name(handed)?;
            let hex = bytes(&label).ok_or_else(|| format!("nothing was handed over as {label:?} yet"))?;
            *value = json!({ "hex": changed(hex, value)? });
        }
    }
    Ok(Value::Object(order))
}

/// What was handed over, damaged as the script says: `flip` a byte, counted from the start, or from the end
/// if negative; `cut` so many bytes off the end; `add` this behind it.
fn changed(mut hex: String, how: &Value) -> Result<String, String> {
    for (word, value) in how.as_object().into_iter().flatten() {
        match (word.as_str(), value.as_i64()) {
            ("handed", _) => {}
            ("flip", Some(at)) => {
                let length = hex.len() as i64 / 2;
                let at = (2 * if at < 0 { length + at } else { at }).clamp(0, 2 * (length - 1)) as usize;
                let flipped = if &hex[at..=at] == "0" { "1" } else { "0" };
                hex.replace_range(at..=at, flipped);
            }
            ("cut", Some(bytes)) => hex.truncate(hex.len().saturating_sub(2 * bytes as usize)),
            ("add", None) => hex.push_str(value.as_str().ok_or("add is followed by hex digits")?),
            _ => return Err(format!("{word} is no way to change what was handed over")),
        }
    }
    Ok(hex)
}

pub(crate) fn parse(order: Value) -> Result<Order, String> {
    serde_json::from_value(order).map_err(|e| e.to_string())
}
