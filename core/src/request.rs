//! What a caller hands in: the request that begins a key, and the response that completes it.

use std::fmt;
use std::time::Duration;

use crate::key::Seal;
use crate::key::fingerprint::{self, Bound, Fingerprint};

/// What happens to a claim whose owner died, or let its lease end, before it marked an effect. A claim that
/// is dropped, by an error or a panic of its owner, is no such claim: it is given back.
///
/// After [`begin_effect`](crate::Claim::begin_effect) the key is always in doubt: a second run is never the
/// answer to a crash from there on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnCrash {
    /// The next begin takes over and runs again.
    #[default]
    Rerun,
    /// The key is in doubt until it is resolved.
    InDoubt,
}

/// One request: a scope and a key, what it is bound to, and how long its claim may last.
///
/// ```
/// # use semel::Request;
/// let request = Request::new("POST /charges", "6c7a2b3e").payload(br#"{"amount": 1200}"#);
/// ```
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub(crate) scope: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) binding: Binding<'a>,
    pub(crate) rule: u8,
    pub(crate) is_keyed: bool,
    pub(crate) lease: Option<Duration>,
    pub(crate) on_crash: OnCrash,
}

/// What a request is bound to; hashed only once the key is known to be valid.
#[derive(Clone, Copy)]
pub(crate) enum Binding<'a> {
    Unbound,
    Payload(&'a [u8]),
    Fingerprint(Fingerprint),
}

impl<'a> Request<'a> {
    /// A request with this scope (UTF-8, at most 255 bytes: tenant, operation) and key (1 to 255 bytes, any).
    pub fn new<K: AsRef<[u8]> + ?Sized>(scope: &'a str, key: &'a K) -> Self {
        Self {
            scope,
            key: key.as_ref(),
            binding: Binding::Unbound,
            rule: 0,
            is_keyed: false,
            lease: None,
            on_crash: OnCrash::Rerun,
        }
    }

    /// Binds the key to this payload, by its SHA-256: the same key with another payload is a Mismatch.
    #[must_use]
    pub fn payload<P: AsRef<[u8]> + ?Sized>(mut self, payload: &'a P) -> Self {
        self.binding = Binding::Payload(payload.as_ref());
        self
    }

    /// Binds the key to 32 bytes that the caller made of its payload.
    #[must_use]
    pub fn fingerprint(mut self, bytes: [u8; 32]) -> Self {
        self.binding = Binding::Fingerprint(bytes);
        self
    }

    /// Version of the rule by which the caller chose what to hash: 0 unless said here. Raise it when the rule
    /// changes. Fingerprints of two rules cannot be compared; the store's
    /// [`unverifiable`](crate::Builder::unverifiable) option says what happens then.
    #[must_use]
    pub fn rule(mut self, version: u8) -> Self {
        self.rule = version;
        self
    }

    /// Stores the fingerprint under the store's secret: whoever reads the files without it cannot try
    /// payloads against it. Keyed and plain fingerprints of one payload are the same payload.
    #[must_use]
    pub fn keyed(mut self) -> Self {
        self.is_keyed = true;
        self
    }

    /// How long the claim lasts without a heartbeat, instead of the store's default.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// What a crash before the effect mark means for this claim; rerun, unless said here.
    #[must_use]
    pub fn on_crash(mut self, on_crash: OnCrash) -> Self {
        self.on_crash = on_crash;
        self
    }

    /// What it is bound to; `keyed`: as if it had asked for that.
    pub(crate) fn bound(&self, keyed: bool, seal: &Seal) -> Option<Bound> {
        let plain = match self.binding {
            Binding::Unbound => return None,
            Binding::Payload(payload) => fingerprint::of(payload),
            Binding::Fingerprint(bytes) => bytes,
        };
        Some(Bound::new(plain, self.rule, keyed || self.is_keyed, seal))
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("lease", &self.lease)
            .field("on_crash", &self.on_crash)
            .finish_non_exhaustive()
    }
}

/// The answer to a request, kept to be replayed: a status, a little metadata, a body.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) meta: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) ttl: Option<Duration>,
}

impl<'a> Response<'a> {
    /// A response with this body. A body over the store's limit is not kept; the key still never runs twice.
    pub fn new<B: AsRef<[u8]> + ?Sized>(body: &'a B) -> Self {
        Self { body: body.as_ref(), ..Self::default() }
    }

    /// A number of the caller's, typically the HTTP status; 0 unless said here.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Bytes kept beside the body, typically headers.
    #[must_use]
    pub fn meta<M: AsRef<[u8]> + ?Sized>(mut self, meta: &'a M) -> Self {
        self.meta = meta.as_ref();
        self
    }

    /// How long the response is replayed, from its completion, instead of the store's default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("meta_bytes", &self.meta.len())
            .field("body_bytes", &self.body.len())
            .field("ttl", &self.ttl)
            .finish()
    }
}

/// How an operator or a reconciler ends a key that is in doubt.
#[derive(Clone, Debug)]
pub enum Resolution<'a> {
    /// It did happen: replay this from now on.
    Completed(Response<'a>),
    /// It failed for good: replay this from now on.
    Failed(Response<'a>),
    /// It did not happen: the next begin runs it.
    Release,
}
