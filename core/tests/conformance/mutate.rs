//! Wrong expectations: every expected value of a case changed, one at a time.

use serde_json::{Map, Value, json};

use super::compare::is_range;
use super::script::Case;
use super::values::is_bytes;

/// Further than any answer.
const FAR: i64 = 1 << 50;

/// Arguments that are one of a few words.
const CHOICES: [&str; 5] = ["on_crash", "to", "state", "format", "kind"];

/// The case with one expectation changed, in every way there is.
pub(crate) fn mutants(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for (at, step) in case.steps.iter().enumerate() {
        let Some(gives) = step.get("gives") else { continue };
        for wrong in changed(gives) {
            let mut mutant = case.clone();
            mutant.steps[at]["gives"] = wrong;
            found.push(mutant);
        }
    }
    found
}

/// The case with one step outside the language: a verb, an argument or a choice nobody knows, a word too
/// many, an expectation too few.
pub(crate) fn misspelt(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for (at, step) in case.steps.iter().enumerate() {
        let mut spoil = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut mutant = case.clone();
            change(mutant.steps[at].as_object_mut().unwrap());
            found.push(mutant);
        };
        spoil(&|step| drop(step.insert("more".to_owned(), json!(1))));
        spoil(&|step| drop(step.insert("by".to_owned(), json!("nobody"))));
        spoil(&|step| drop(step.remove("do")));
        for name in step.as_object().unwrap().keys() {
            spoil(&|step| {
                let value = step.remove(name).unwrap();
                step.insert(format!("{name}_"), value);
            });
        }
        spoil(&|step| drop(step.insert("do".to_owned(), json!("think"))));
        for name in CHOICES {
            let Some(chosen) = step.get(name) else { continue };
            spoil(&|step| drop(step.insert(name.to_owned(), json!("think"))));
            for (word, value) in chosen.as_object().into_iter().flatten() {
                let word = format!("{word}_");
                spoil(&|step| drop(step.insert(name.to_owned(), json!({ &word: value }))));
                spoil(&|step| {
                    step[name].as_object_mut().unwrap().insert(word.clone(), json!(1));
                });
            }
        }
    }
    found
}

/// Every value that differs from this one in one place.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![json!("~")],
        Value::Bool(it) => vec![json!(!it)],
        Value::Number(it) => vec![json!(it.as_i64().unwrap_or_default() + 1)],
        Value::String(it) => vec![json!(format!("{it}~"))],
        Value::Array(items) => changed_list(items),
        Value::Object(it) if is_range(it) => {
            let (least, most) = (&it["at_least"], &it["at_most"]);
            vec![json!({"at_least": FAR, "at_most": most}), json!({"at_least": least, "at_most": -FAR})]
        }
        Value::Object(it) => changed_object(it),
    }
}

fn changed_list(items: &[Value]) -> Vec<Value> {
    let mut lists = vec![[items, &[json!({})]].concat()];
    for (at, item) in items.iter().enumerate() {
        lists.push([&items[..at], &items[at + 1..]].concat());
        lists
            .extend(changed(item).into_iter().map(|item| [&items[..at], &[item], &items[at + 1..]].concat()));
    }
    lists.into_iter().map(Value::Array).collect()
}

fn changed_object(object: &Map<String, Value>) -> Vec<Value> {
    let with = |name: &str, value: Value| {
        let mut object = object.clone();
        object.insert(name.to_owned(), value);
        object
    };
    let mut objects = vec![with("more", json!(1))];
    for (name, value) in object {
        let mut without = object.clone();
        without.remove(name);
        if name == "above" || name == "same" {
            let other = if name == "above" { "same" } else { "above" };
            objects.push(Map::from_iter([(other.to_owned(), value.clone())]));
        }
        objects.push(without);
        match value {
            Value::String(hex) if name == "hex" => objects.push(with(name, json!(format!("{hex}00")))),
            Value::String(what) if is_bytes(object) => objects.push(with(name, json!(format!("{what}~")))),
            value => objects.extend(changed(value).into_iter().map(|value| with(name, value))),
        }
    }
    objects.into_iter().map(Value::Object).collect()
}
