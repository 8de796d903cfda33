//! What an actor is told to do: the step of a script, its labels replaced by what they stand for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::values::Bytes;

/// The scope of a step that names none.
pub(crate) const SCOPE: &str = "s";

/// One verb with its arguments, checked: an unknown verb or argument is an error.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    Open {},
    Close {},
    OpenNew {
        options: Options,
    },
    Begin(Begin),
    Peek {
        #[serde(default)]
        scope: Name,
        key: Bytes,
    },
    Resolve(Resolve),
    Forget {
        #[serde(default)]
        scope: Name,
        key: Bytes,
    },
    MarkSeen {
        #[serde(default)]
        scope: Name,
        key: Bytes,
        ttl_ms: u64,
        rounds: Option<u64>,
    },
    List {
        #[serde(default)]
        scope_prefix: Option<String>,
        state: Option<Stands>,
        within_ms: Option<u64>,
    },
    Stats {},
    Adopt {
        bytes: Bytes,
        #[serde(rename = "as")]
        label: Option<String>,
    },
    MarkSeenMany {
        #[serde(default)]
        scope: Name,
        key: String,
        keys: u64,
        ttl_ms: u64,
    },
    Fill {
        key: String,
        keys: u64,
    },
    Heartbeat {
        claim: String,
        lease_ms: u64,
    },
    BeginEffect {
        claim: String,
    },
    Checkpoint {
        claim: String,
        bytes: Bytes,
    },
    LastCheckpoint {
        claim: String,
    },
    LeaseLeft {
        claim: String,
    },
    Complete(End),
    Fail(End),
    Release {
        claim: String,
    },
    ReleaseWithoutEffect {
        claim: String,
    },
    Drop {
        claim: String,
    },
    HandOver {
        claim: String,
        #[serde(rename = "as")]
        label: String,
    },
    Derive {
        parts: Vec<Bytes>,
    },
    Downstream(Downstream),
    Normalize {
        format: Format,
        min_len: Option<u64>,
        key: Name,
    },
    Make {
        kind: Kind,
        times: u64,
    },
}

/// Text, written as bytes are. A scope that is left out is the default one.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Name(pub(crate) String);

impl Default for Name {
    fn default() -> Self {
        Self(SCOPE.to_owned())
    }
}

impl TryFrom<Value> for Name {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let bytes = Bytes::try_from(value)?;
        String::from_utf8(bytes.0).map(Self).map_err(|_| "this is text: UTF-8".to_owned())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    #[serde(default)]
    pub(crate) scope: Name,
    pub(crate) key: Bytes,
    pub(crate) payload: Option<Bytes>,
    pub(crate) fingerprint: Option<Bytes>,
    #[serde(default)]
    pub(crate) rule: u8,
    #[serde(default)]
    pub(crate) keyed: bool,
    pub(crate) lease_ms: Option<u64>,
    pub(crate) on_crash: Option<OnCrash>,
    #[serde(rename = "as")]
    pub(crate) label: Option<String>,
    pub(crate) rounds: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnCrash {
    Rerun,
    InDoubt,
}

/// The response of a claim's end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) claim: String,
    #[serde(default)]
    pub(crate) body: Bytes,
    #[serde(default)]
    pub(crate) meta: Bytes,
    #[serde(default)]
    pub(crate) status: u16,
    pub(crate) ttl_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolve {
    #[serde(default)]
    pub(crate) scope: Name,
    pub(crate) key: Bytes,
    /// The number that the label in the script stands for.
    pub(crate) fence: u64,
    pub(crate) to: Resolution,
    #[serde(default)]
    pub(crate) body: Bytes,
    #[serde(default)]
    pub(crate) meta: Bytes,
    #[serde(default)]
    pub(crate) status: u16,
    pub(crate) ttl_ms: Option<u64>,
}

/// Of a claim, or of what is said alone.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Downstream {
    OfClaim {
        claim: String,
        step: Name,
    },
    Of {
        #[serde(default)]
        scope: Name,
        key: Bytes,
        step: Name,
        secret: Option<Bytes>,
    },
}

/// How a key must look.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Any,
    Uuid,
    UuidV4,
    UuidV7,
    Ulid,
    Base64url,
    Regex(String),
}

/// What makes a new key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    UuidV4,
    UuidV7,
    #[serde(rename = "random_128")]
    Random128,
    #[serde(rename = "random_256")]
    Random256,
    /// Of this tenant.
    Hybrid(Name),
}

/// The states that a list tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stands {
    InProgress,
    Orphaned,
    InDoubt,
    Completed,
    Failed,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resolution {
    Completed,
    Failed,
    Release,
}

/// The options of a store. What is left out is the default of the table of limits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) lease_ms: Option<u64>,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) in_doubt_ttl_ms: Option<u64>,
    pub(crate) response_limit: Option<u64>,
    pub(crate) meta_limit: Option<u64>,
    pub(crate) segment: Option<u64>,
    pub(crate) first_generation: Option<u64>,
    pub(crate) processes: Option<u64>,
    pub(crate) unverifiable: Option<Unverifiable>,
    pub(crate) keyed_fingerprints: Option<bool>,
    pub(crate) downstream_secret: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unverifiable {
    Accept,
    Reject,
}

impl Order {
    /// How often it is done, each time for another key.
    pub(crate) fn rounds(&self) -> Option<u64> {
        match self {
            Self::Begin(begin) => begin.rounds,
            Self::MarkSeen { rounds, .. } => *rounds,
            _ => None,
        }
    }
}
