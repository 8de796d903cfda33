//! One handle of the store, and the claims that were started through it. It follows orders and answers in
//! the words of the scripts.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use semel::*;
use serde_json::{Value, json};

use super::answers::{answered, done, entry, left_ms, peeked, reason, refusal, released, state_of};
use super::keys::{derived, key_is, made, normalized};
use super::order::{self, Begin, Downstream, End, Options, Order, Resolve, Stands};
use super::values::{Bytes, canonical, hex};

/// Every manual clock starts here, a moment in 2027.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// Stores are small: what no script asks for is not made.
const SEGMENT: u64 = 4 << 20;
const FIRST_GENERATION: u64 = 1 << 10;

/// A handle and what it holds.
pub(crate) struct Actor {
    pub(crate) store: Store,
    /// What the clock says.
    pub(crate) now_ms: u64,
    claims: HashMap<String, Claim>,
    /// Started, and not named by the script: held until the handle is closed.
    unnamed: Vec<Claim>,
}

/// A store with these options, without a place.
pub(crate) fn builder(options: &Options) -> Builder {
    let mut builder = Store::builder().segment(SEGMENT).first_generation(FIRST_GENERATION);
    let mut set = |value: Option<u64>, with: fn(Builder, u64) -> Builder| {
        if let Some(value) = value {
            builder = with(builder.clone(), value);
        }
    };
    set(options.lease_ms, |it, ms| it.lease(millis(ms)));
    set(options.ttl_ms, |it, ms| it.ttl(millis(ms)));
    set(options.in_doubt_ttl_ms, |it, ms| it.in_doubt_ttl(millis(ms)));
    set(options.response_limit, Builder::response_limit);
    set(options.meta_limit, Builder::meta_limit);
    set(options.segment, Builder::segment);
    set(options.first_generation, Builder::first_generation);
    set(options.processes, Builder::processes);
    let unverifiable = match options.unverifiable {
        Some(order::Unverifiable::Reject) => Unverifiable::Reject,
        Some(order::Unverifiable::Accept) | None => Unverifiable::Accept,
    };
    if let Some(key) = &options.downstream_secret {
        builder = builder.downstream_secret(&key.0);
    }
    builder.unverifiable(unverifiable).keyed_fingerprints(options.keyed_fingerprints.unwrap_or(false))
}

pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Actor {
    pub(crate) fn new(store: Store, now_ms: u64) -> Self {
        Self { store, now_ms, claims: HashMap::new(), unnamed: Vec::new() }
    }

    /// Does what it is told; with `rounds`, once for each of that many keys.
    pub(crate) fn follow(&mut self, order: &Order) -> Value {
        match order.rounds() {
            None => self.once(order, None),
            Some(rounds) => (0..rounds).map(|round| self.once(order, Some(round))).collect(),
        }
    }

    fn once(&mut self, order: &Order, round: Option<u64>) -> Value {
        self.answer(order, round).unwrap_or_else(|e| refusal(&e, self.now_ms))
    }

    fn answer(&mut self, order: &Order, round: Option<u64>) -> Result<Value> {
        let now_ms = self.now_ms;
        match order {
            Order::Open {} | Order::Close {} | Order::OpenNew { .. } => panic!("not for an actor"),
            Order::Begin(begin) => self.begin(begin, round),
            Order::Peek { scope, key } => {
                let peek = self.store.peek(&scope.0, &key.0)?;
                Ok(peek.map_or_else(|| json!("absent"), |peek| peeked(&peek, now_ms)))
            }
            Order::Resolve(it) => self.resolve(it),
            Order::Forget { scope, key } => self.store.forget(&scope.0, &key.0).map(Value::from),
            Order::MarkSeen { scope, key, ttl_ms, .. } => {
                self.store.mark_seen(&scope.0, &key_of(key, round), millis(*ttl_ms)).map(Value::from)
            }
            Order::List { scope_prefix, state, within_ms } => {
                self.list(scope_prefix.as_deref(), *state, *within_ms)
            }
            Order::Stats {} => {
                let stats = self.store.stats()?;
                Ok(json!({"unverifiable": stats.unverifiable(), "forgotten": stats.forgotten()}))
            }
            Order::Adopt { bytes, label } => {
                let claim = self.store.adopt(&bytes.0)?;
                self.started(claim, label.as_ref())
            }
            Order::MarkSeenMany { scope, key, keys, ttl_ms } => {
                let names: Vec<String> = (0..*keys).map(|n| format!("{key}-{n}")).collect();
                let answers = self.store.mark_seen_many(&scope.0, &names, millis(*ttl_ms))?;
                let first = answers.into_iter().collect::<Result<Vec<bool>>>()?;
                let count = first.iter().filter(|first| **first).count();
                Ok(json!({"first": count, "seen": first.len() - count}))
            }
            Order::Fill { key, keys } => Ok(self.fill(key, *keys)),
            Order::Heartbeat { claim, lease_ms } => done(self.claim(claim).heartbeat(millis(*lease_ms))),
            Order::BeginEffect { claim } => done(self.claim(claim).begin_effect()),
            Order::Checkpoint { claim, bytes } => done(self.claim(claim).checkpoint(&bytes.0)),
            Order::LastCheckpoint { claim } => {
                self.claim(claim).last_checkpoint().map(|bytes| canonical(&bytes))
            }
            Order::LeaseLeft { claim } => Ok(json!(left_ms(self.claim(claim).deadline()?, now_ms))),
            Order::Complete(end) => done(self.claim(&end.claim).complete(response(end))),
            Order::Fail(end) => done(self.claim(&end.claim).fail(response(end))),
            Order::Release { claim } => self.take(claim).release().map(released),
            Order::ReleaseWithoutEffect { claim } => self.take(claim).release_without_effect().map(released),
            Order::Drop { claim } => {
                drop(self.take(claim));
                Ok(json!("ok"))
            }
            Order::HandOver { claim, label } => {
                self.claim(claim).hand_over().map(|bytes| json!({"handed": hex(&bytes), "as": label}))
            }
            Order::Derive { parts } => Ok(derived(parts)),
            Order::Downstream(Downstream::OfClaim { claim, step }) => {
                self.claim(claim).downstream(&step.0).map(|key| key_is(&key))
            }
            Order::Downstream(Downstream::Of { scope, key, step, secret }) => {
                let secret = secret.as_ref().map(|secret| &secret.0[..]);
                keys::downstream(&scope.0, &key.0, &step.0, secret).map(|key| key_is(&key))
            }
            Order::Normalize { format, min_len, key } => normalized(format, *min_len, &key.0),
            Order::Make { kind, times } => made(kind, *times),
        }
    }

    fn claim(&self, label: &str) -> &Claim {
        self.claims.get(label).unwrap_or_else(|| panic!("no claim {label:?} here"))
    }

    fn take(&mut self, label: &str) -> Claim {
        self.claims.remove(label).unwrap_or_else(|| panic!("no claim {label:?} here"))
    }

    fn begin(&mut self, begin: &Begin, round: Option<u64>) -> Result<Value> {
        let key = key_of(&begin.key, round);
        let mut request = Request::new(&begin.scope.0, &key).rule(begin.rule);
        if let Some(payload) = &begin.payload {
            request = request.payload(&payload.0);
        }
        if let Some(bytes) = &begin.fingerprint {
            request = request.fingerprint(bytes.0.as_slice().try_into().expect("a fingerprint has 32 bytes"));
        }
        if begin.keyed {
            request = request.keyed();
        }
        if let Some(ms) = begin.lease_ms {
            request = request.lease(millis(ms));
        }
        if let Some(on_crash) = begin.on_crash {
            request = request.on_crash(match on_crash {
                order::OnCrash::Rerun => OnCrash::Rerun,
                order::OnCrash::InDoubt => OnCrash::InDoubt,
            });
        }
        match self.store.begin(request)? {
            Outcome::Started(claim) => self.started(claim, begin.label.as_ref()),
            outcome => Ok(answered(&outcome, self.now_ms)),
        }
    }

    fn started(&mut self, claim: Claim, label: Option<&String>) -> Result<Value> {
        let started = json!({"started": {
            "reason": reason(claim.reason()),
            "attempt": claim.attempt(),
            "fence": claim.fence().get(),
            "lease_left_ms": left_ms(claim.deadline()?, self.now_ms),
            "checkpoint": canonical(&claim.last_checkpoint()?),
        }});
        match label {
            Some(label) => drop(self.claims.insert(label.clone(), claim)),
            None => self.unnamed.push(claim),
        }
        Ok(started)
    }

    fn resolve(&self, it: &Resolve) -> Result<Value> {
        let response = response_of(&it.body, &it.meta, it.status, it.ttl_ms);
        let resolution = match it.to {
            order::Resolution::Completed => Resolution::Completed(response),
            order::Resolution::Failed => Resolution::Failed(response),
            order::Resolution::Release => Resolution::Release,
        };
        done(self.store.resolve(&it.scope.0, &it.key.0, Fence::from_u64(it.fence), resolution))
    }

    fn list(
        &self,
        scope_prefix: Option<&str>,
        state: Option<Stands>,
        within_ms: Option<u64>,
    ) -> Result<Value> {
        let mut query = Query::new().scope_prefix(scope_prefix.unwrap_or_default());
        if let Some(state) = state {
            query = query.state(state_of(state));
        }
        if let Some(ms) = within_ms {
            query = query.since(SystemTime::UNIX_EPOCH + millis(self.now_ms - ms));
        }
        let entries: Result<Vec<Value>> =
            self.store.list(query).map(|it| it.map(|it| entry(&it, self.now_ms))).collect();
        Ok(json!({ "entries": entries? }))
    }

    /// Begins this many keys and completes those that it may: how many, how many were refused, and how.
    fn fill(&self, key: &str, keys: u64) -> Value {
        let (mut completed, mut refused, mut with) = (0, 0, Value::Null);
        for n in 0..keys {
            let key = format!("{key}-{n}");
            match self.store.begin(Request::new(order::SCOPE, &key)) {
                Ok(Outcome::Started(claim)) => {
                    claim.complete(Response::default()).unwrap();
                    completed += 1;
                }
                Ok(other) => return answered(&other, self.now_ms),
                Err(e) => {
                    let how = refusal(&e, self.now_ms);
                    assert!(refused == 0 || how == with, "{how}, and {with}");
                    (refused, with) = (refused + 1, how);
                }
            }
        }
        json!({"completed": completed, "refused": refused, "with": with})
    }
}

/// The key of this round.
fn key_of(key: &Bytes, round: Option<u64>) -> Vec<u8> {
    match round {
        None => key.0.clone(),
        Some(round) => [&key.0[..], format!("-{round}").as_bytes()].concat(),
    }
}

fn response(end: &End) -> Response<'_> {
    response_of(&end.body, &end.meta, end.status, end.ttl_ms)
}

fn response_of<'a>(body: &'a Bytes, meta: &'a Bytes, status: u16, ttl_ms: Option<u64>) -> Response<'a> {
    let response = Response::new(&body.0).meta(&meta.0).status(status);
    match ttl_ms {
        Some(ms) => response.ttl(millis(ms)),
        None => response,
    }
}
