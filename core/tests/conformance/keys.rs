//! The verbs about keys, which need no store.

#![allow(clippy::disallowed_methods)] // the time in a key is that of the wall clock

use std::collections::BTreeSet;
use std::time::SystemTime;

use semel::Result;
use semel::keys::{self, Format};
use serde_json::{Value, json};

use super::order::{self, Kind};
use super::values::{Bytes, canonical};

/// The time in a key may be off by this: that of version 7 runs ahead where many are made at once.
const NEAR_MS: u64 = 60_000;

pub(crate) fn key_is(key: &str) -> Value {
    json!({ "key": canonical(key.as_bytes()) })
}

pub(crate) fn derived(parts: &[Bytes]) -> Value {
    let parts: Vec<&[u8]> = parts.iter().map(|part| &part.0[..]).collect();
    key_is(&keys::derive(&parts))
}

/// The one spelling of a key. What comes out must go in again: if it does not, that is the answer.
pub(crate) fn normalized(format: &order::Format, min_len: Option<u64>, key: &str) -> Result<Value> {
    let mut format = match format {
        order::Format::Any => Format::any(),
        order::Format::Uuid => Format::uuid(),
        order::Format::UuidV4 => Format::uuid_v4(),
        order::Format::UuidV7 => Format::uuid_v7(),
        order::Format::Ulid => Format::ulid(),
        order::Format::Base64url => Format::base64url(),
        order::Format::Regex(pattern) => Format::regex(pattern)?,
    };
    if let Some(bytes) = min_len {
        format = format.min_len(bytes as usize)?;
    }
    let spelled = format.normalize(key)?;
    let again = format.normalize(&spelled)?;
    Ok(if again == spelled { key_is(&spelled) } else { json!({"key": spelled, "again": again}) })
}

/// Makes so many keys of this kind: what can be said of all of them.
pub(crate) fn made(kind: &Kind, times: u64) -> Result<Value> {
    let make = || match kind {
        Kind::UuidV4 => keys::uuid_v4(),
        Kind::UuidV7 => keys::uuid_v7(),
        Kind::Random128 => keys::random_128(),
        Kind::Random256 => keys::random_256(),
        Kind::Hybrid(tenant) => keys::hybrid(&tenant.0),
    };
    let before_ms = wall_ms();
    let made: Vec<String> = (0..times).map(|_| make()).collect::<Result<_>>()?;
    let near = before_ms - NEAR_MS..wall_ms() + NEAR_MS;
    let format = match kind {
        Kind::UuidV4 => Format::uuid_v4(),
        Kind::UuidV7 => Format::uuid_v7(),
        Kind::Random128 | Kind::Random256 => Format::base64url(),
        Kind::Hybrid(tenant) => {
            Format::regex(&format!(r"{}\.[0-9a-f]{{12}}\.[A-Za-z0-9_-]{{21}}[AQgw]", tenant.0))?
        }
    };
    let accepted = |key: &&String| format.normalize(key).is_ok_and(|spelled| spelled == **key);
    let timely = |key: &&String| time_in(kind, key).is_some_and(|ms| near.contains(&ms));
    let length = made.first().map(String::len);
    let mut told = json!({
        "length": length.filter(|length| made.iter().all(|key| key.len() == *length)),
        "accepted": made.iter().filter(accepted).count(),
        "distinct": made.iter().collect::<BTreeSet<_>>().len(),
    });
    if matches!(kind, Kind::UuidV7 | Kind::Hybrid(_)) {
        told["timely"] = json!(made.iter().filter(timely).count());
    }
    if matches!(kind, Kind::UuidV7) {
        told["rising"] = json!(made.is_sorted_by(|one, next| one < next));
    }
    Ok(json!({ "made": told }))
}

/// The milliseconds since the epoch that are in a key, where its kind has them.
fn time_in(kind: &Kind, key: &str) -> Option<u64> {
    let digits = match kind {
        Kind::UuidV7 => key.replace('-', "").get(..12)?.to_owned(),
        Kind::Hybrid(tenant) => key.strip_prefix(&tenant.0)?.get(1..13)?.to_owned(),
        Kind::UuidV4 | Kind::Random128 | Kind::Random256 => return None,
    };
    u64::from_str_radix(&digits, 16).ok()
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}
