//! The client: every payment is asked for three times, and every request is repeated with its key until
//! answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, header};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::crew::Addresses;
use crate::Failure;
use crate::http::{self, Answer};
use crate::service::Payment;

/// Payments under way at a time.
const TILLS: usize = 24;
/// The service says Retry-After in whole seconds; this client is in a hurry.
const RETRY: Duration = Duration::from_millis(25);
/// A request unanswered for so long is given up, and the run has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the client saw.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) sends: u64,
    pub(crate) paid: u64,
    pub(crate) mismatches: u64,
    pub(crate) conflicts: u64,
    pub(crate) replays: u64,
    pub(crate) unavailable: u64,
    pub(crate) lost: u64,
    pub(crate) gave_up: u64,
    /// The first receipt of each payment; every later one must be the same, byte for byte.
    receipts: BTreeMap<String, Bytes>,
    /// Answers that must not be.
    pub(crate) wrong: Vec<String>,
}

impl Seen {
    pub(crate) fn answered(&self) -> u64 {
        self.paid + self.mismatches
    }
}

#[derive(Clone)]
pub(crate) struct Load {
    payments: usize,
    workers: Addresses,
    seen: Arc<Mutex<Seen>>,
}

/// The answer that a request is to get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Paid,
    Mismatch,
}

impl Load {
    pub(crate) fn new(payments: usize, workers: Addresses) -> Self {
        Self { payments, workers, seen: Arc::default() }
    }

    pub(crate) fn requests(&self) -> usize {
        self.payments * 3
    }

    pub(crate) fn answered(&self) -> usize {
        self.seen.lock().answered() as usize
    }

    pub(crate) fn finished(&self) -> bool {
        let seen = self.seen.lock();
        (seen.answered() + seen.gave_up) as usize >= self.requests()
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    /// What the ledger must hold: each payment with its amount.
    pub(crate) fn payments(&self) -> impl Iterator<Item = Payment> {
        (0..self.payments).map(payment)
    }

    pub(crate) async fn run(&self) -> Result<(), Failure> {
        let mut tills = JoinSet::new();
        for till in 0..TILLS {
            let load = self.clone();
            tills.spawn(async move {
                for number in (till..load.payments).step_by(TILLS) {
                    load.pay(number).await;
                }
            });
        }
        while let Some(till) = tills.join_next().await {
            till?;
        }
        Ok(())
    }

    /// One payment, in one of four ways. Another amount is only tried once the payment is made: a key that
    /// was released is free, and would take it.
    async fn pay(&self, number: usize) {
        let bill = payment(number);
        let ask = |worker| self.ask(&bill, worker, Expect::Paid);
        let raise = |worker| {
            let other = Payment { amount: bill.amount + 1, ..bill.clone() };
            async move { self.ask(&other, worker, Expect::Mismatch).await }
        };
        match number % 4 {
            0 => {
                tokio::join!(ask(0), ask(1), ask(0));
            }
            1 => {
                tokio::join!(ask(0), ask(1));
                ask(1).await;
            }
            2 => {
                tokio::join!(ask(1), ask(0));
                raise(0).await;
            }
            _ => {
                ask(1).await;
                tokio::join!(ask(0), raise(1));
            }
        }
    }

    /// One request, sent with the same key to one worker after the other until it is answered.
    async fn ask(&self, bill: &Payment, worker: usize, expect: Expect) {
        let start = Instant::now();
        let mut turn = worker;
        while start.elapsed() < PATIENCE {
            let to = self.workers.lock()[turn % 2];
            turn += 1;
            self.seen.lock().sends += 1;
            let answer = match request(bill) {
                Ok(request) => http::send(to, request).await,
                Err(failure) => Err(failure),
            };
            if self.settles(bill, expect, answer) {
                return;
            }
            sleep(RETRY).await;
        }
        self.seen.lock().gave_up += 1;
    }

    /// Counts what came back; true if it is an answer to the request.
    fn settles(&self, bill: &Payment, expect: Expect, answer: Result<Answer, Failure>) -> bool {
        let mut seen = self.seen.lock();
        let Ok(answer) = answer else {
            seen.lost += 1;
            return false;
        };
        match answer.status.as_u16() {
            201 => seen.paid += 1,
            422 => seen.mismatches += 1,
            409 => seen.conflicts += 1,
            503 => seen.unavailable += 1,
            _ => seen.wrong.push(format!("{}: {}", bill.payment, answer.status)),
        }
        match answer.status.as_u16() {
            201 if expect == Expect::Paid => {
                seen.replays += u64::from(answer.headers.contains_key("idempotent-replayed"));
                let first = seen.receipts.entry(bill.payment.clone()).or_insert_with(|| answer.body.clone());
                if *first != answer.body {
                    seen.wrong.push(format!("{}: a replay differs from the original answer", bill.payment));
                }
                true
            }
            422 if expect == Expect::Mismatch => true,
            201 | 422 => {
                seen.wrong.push(format!("{} of {}: {}", bill.payment, bill.amount, answer.status));
                true
            }
            _ => false,
        }
    }
}

fn payment(number: usize) -> Payment {
    Payment { payment: format!("pay-{number:04}"), amount: 1000 + number as u64 * 17 % 9000 }
}

/// The key names the payment, not the try: that is what makes a retry safe.
fn request(bill: &Payment) -> Result<Request<http_body_util::Full<Bytes>>, Failure> {
    let request = Request::post("/payments")
        .header("idempotency-key", format!("key-of-{}", bill.payment))
        .header(header::CONTENT_TYPE, "application/json");
    Ok(request.body(serde_json::to_vec(bill)?.into())?)
}
