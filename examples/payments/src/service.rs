//! The payment service: one worker. Any number of them run over one store, in processes of their own.
//!
//! The path of a payment is `answer`, which takes up each outcome of begin. The order in `charge` is what
//! makes a crash harmless: the effect is marked before the ledger is called, and the answer is recorded
//! before it is sent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use semel::{Claim, ErrorKind, Fence, Outcome, Request, Resolution, Store};
use serde::{Deserialize, Serialize};

use crate::event::{Begun, Event, Tally};
use crate::ledger::{Charge, Ledger, Order};
use crate::{Failure, http};

/// A real service would put the principal in front: the same key of two customers is not the same key.
const SCOPE: &str = "POST /payments";
/// Short, so that the demo need not wait long for a dead worker's keys.
const LEASE: Duration = Duration::from_millis(500);
/// Looking the customer up, before anything has happened: a crash in here is run again.
const SCREENING: Duration = Duration::from_millis(2);
/// The way to a ledger is longer than loopback: a crash in here leaves a payment in doubt that was never
/// sent.
const WIRE: Duration = Duration::from_millis(1);
/// The first turn may find a payment in doubt, the second then charges it, or replays.
const TURNS: usize = 3;

pub(crate) struct Options {
    store: PathBuf,
    index_dir: PathBuf,
    ledger: SocketAddr,
    plant_fault: bool,
}

impl Options {
    pub(crate) fn parse(flags: &[&str]) -> Option<Self> {
        let ["--store", store, "--index-dir", index_dir, "--ledger", ledger, rest @ ..] = flags else {
            return None;
        };
        let plant_fault = match rest {
            [] => false,
            ["--plant-fault"] => true,
            _ => return None,
        };
        Some(Self {
            store: store.into(),
            index_dir: index_dir.into(),
            ledger: ledger.parse().ok()?,
            plant_fault,
        })
    }
}

/// What a client sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) payment: String,
    pub(crate) amount: u64,
}

struct Service {
    store: Store,
    ledger: Ledger,
    tally: Mutex<Tally>,
    plant_fault: bool,
}

pub(crate) async fn serve(options: Options) -> Result<(), Failure> {
    let store = Store::builder().path(options.store).index_dir(options.index_dir).lease(LEASE).open()?;
    let service = Service {
        store,
        ledger: Ledger(options.ledger),
        tally: Mutex::default(),
        plant_fault: options.plant_fault,
    };
    let router =
        Router::new().route("/payments", post(pay)).route("/stats", get(stats)).with_state(Arc::new(service));
    http::serve(router).await
}

async fn stats(State(service): State<Arc<Service>>) -> Json<serde_json::Value> {
    Json(service.tally.lock().report())
}

async fn pay(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(key) = headers.get("idempotency-key") else {
        return problem(StatusCode::BAD_REQUEST, "idempotency-key-missing", "send an Idempotency-Key");
    };
    let payment = match serde_json::from_slice(&body) {
        Ok(payment) => payment,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "payment-invalid", &error.to_string()),
    };
    service.answer(key.as_bytes(), &payment, &body).await.unwrap_or_else(|failure| refusal(&failure))
}

impl Service {
    async fn answer(&self, key: &[u8], payment: &Payment, body: &[u8]) -> Result<Response, Failure> {
        for _ in 0..TURNS {
            return Ok(match self.begin(Request::new(SCOPE, key).payload(body))? {
                Outcome::Started(claim) => self.charge(claim, payment).await?,
                Outcome::Replay(replay) => replayed(&replay),
                Outcome::InProgress(other) => busy(other.retry_after()),
                Outcome::Mismatch(_) => {
                    let detail = "this key was used before, for another payment or amount";
                    problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
                }
                Outcome::InDoubt(doubt) => {
                    self.resolve(key, payment, doubt.fence()).await?;
                    continue;
                }
                _ => problem(StatusCode::CONFLICT, "result-omitted", "paid before; the answer was not kept"),
            });
        }
        Ok(problem(StatusCode::CONFLICT, "outcome-unknown", "this payment is in doubt"))
    }

    fn begin(&self, request: Request<'_>) -> semel::Result<Outcome> {
        let start = Instant::now();
        let outcome = self.store.begin(request)?;
        let ns = start.elapsed().as_nanos() as u64;
        self.say(Event::Begin { outcome: Begun::from(&outcome), ns });
        Ok(outcome)
    }

    /// Charges the payment. A failure on the way drops the claim: before the mark that releases the key,
    /// after it the key is in doubt, and the client's next try asks the ledger.
    async fn charge(&self, claim: Claim, payment: &Payment) -> Result<Response, Failure> {
        tokio::time::sleep(SCREENING).await;

        claim.begin_effect()?;
        self.say(Event::Effect);

        tokio::time::sleep(WIRE).await;
        let Payment { payment, amount } = payment.clone();
        let charge = self
            .ledger
            .charge(&Order { payment: payment.clone(), amount, fence: claim.fence().get() })
            .await?;
        let receipt = receipt(&payment, &charge)?;

        claim.complete(semel::Response::new(&receipt).status(201).meta("application/json"))?;
        Ok(answered(201, b"application/json", receipt))
    }

    /// Ends a doubt by asking the ledger, which also closes the attempt: see there for why.
    async fn resolve(&self, key: &[u8], payment: &Payment, fence: Fence) -> Result<(), Failure> {
        // The planted fault: "it probably failed, so run it again".
        let charge =
            if self.plant_fault { None } else { self.ledger.close(&payment.payment, fence.get()).await? };
        let receipt = charge.as_ref().map(|charge| receipt(&payment.payment, charge)).transpose()?;
        let resolution = match &receipt {
            Some(receipt) => {
                Resolution::Completed(semel::Response::new(receipt).status(201).meta("application/json"))
            }
            None => Resolution::Release,
        };
        match self.store.resolve(SCOPE, key, fence, resolution) {
            Ok(()) => self.say(Event::Resolved { charged: charge.is_some() }),
            // Another request resolved it first; what it left is found by the next turn.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn say(&self, event: Event) {
        self.tally.lock().add(event);
        event.say();
    }
}

/// The answer to a payment, made from the charge alone: whoever makes it, it is the same byte for byte.
fn receipt(payment: &str, charge: &Charge) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Receipt<'a> {
        payment: &'a str,
        amount: u64,
        charge: u64,
    }
    serde_json::to_vec(&Receipt { payment, amount: charge.amount, charge: charge.id })
}

fn answered(status: u16, content_type: &[u8], body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn replayed(replay: &semel::Replay) -> Response {
    let answer = answered(replay.status(), replay.meta(), replay.body().to_vec());
    ([("idempotent-replayed", "true")], answer).into_response()
}

fn busy(retry_after: Duration) -> Response {
    let seconds = retry_after.as_millis().div_ceil(1000).clamp(1, 30).to_string();
    let body = problem(StatusCode::CONFLICT, "request-in-progress", "this payment is being made");
    ([(header::RETRY_AFTER, seconds)], body).into_response()
}

/// A failure is no answer to the payment: the client tries again with the same key and gets that.
fn refusal(failure: &Failure) -> Response {
    match failure.downcast_ref::<semel::Error>().map(semel::Error::kind) {
        Some(ErrorKind::InvalidArgument) => {
            problem(StatusCode::BAD_REQUEST, "idempotency-key-invalid", &failure.to_string())
        }
        _ => {
            let body = problem(StatusCode::SERVICE_UNAVAILABLE, "payment-unavailable", &failure.to_string());
            ([(header::RETRY_AFTER, "1")], body).into_response()
        }
    }
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = serde_json::json!({ "status": status.as_u16(), "code": code, "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
