//! The values of a script: bytes, and the JSON form in which two of them are compared.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// From this length on, a run of one and the same byte is written as `repeat` and `times`.
const LONG: usize = 256;

/// Bytes: a string (its UTF-8), `{"hex": "00ff"}`, or `{"repeat": "x", "times": 3}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl TryFrom<Value> for Bytes {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let unknown = || format!("these are no bytes: {value}");
        match &value {
            Value::String(text) => Ok(Self(text.clone().into_bytes())),
            Value::Object(it) => match (it.len(), it.get("hex"), it.get("repeat"), it.get("times")) {
                (1, Some(Value::String(hex)), None, None) => unhex(hex).map(Self).ok_or_else(unknown),
                (2, None, Some(Value::String(what)), Some(times)) => {
                    let times = times.as_u64().ok_or_else(unknown)?;
                    Ok(Self(what.repeat(times as usize).into_bytes()))
                }
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        canonical(&bytes.0)
    }
}

/// The one form of these bytes, in answers and, before they are compared, in expectations.
pub(crate) fn canonical(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() >= LONG && bytes.iter().all(|byte| *byte == bytes[0]) => {
            json!({"repeat": text[..1], "times": bytes.len()})
        }
        Ok(text) => json!(text),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

/// Whether an object is a way to write bytes.
pub(crate) fn is_bytes(object: &Map<String, Value>) -> bool {
    object.contains_key("hex") || object.contains_key("repeat")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.is_ascii() && text.len().is_multiple_of(2);
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    if pairs { (0..text.len()).step_by(2).map(byte).collect() } else { None }
}
