//! A ledger: somebody else's process, which charges what it is sent, as often as it is sent. It does not
//! deduplicate: two charges of one payment are two charges.
//!
//! What it can do, as any ledger worth paying through: say whether a payment was charged, and close a failed
//! attempt. Asking alone would not be enough to resolve a payment in doubt. The dead worker's request may
//! still be on its way, and "not charged" would be true only for now. So the question closes every attempt up
//! to the fence it names: what was not charged by then never will be, however late its request arrives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::{Failure, http};

/// What a worker sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) payment: String,
    pub(crate) amount: u64,
    pub(crate) fence: u64,
}

/// What stands in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: u64,
    pub(crate) amount: u64,
}

/// All payments with their charges.
pub(crate) type Charges = BTreeMap<String, Vec<Charge>>;

#[derive(Default)]
struct Book {
    charges: Charges,
    /// By payment: the last attempt that was closed.
    closed: BTreeMap<String, u64>,
    last_id: u64,
}

impl Book {
    /// Charges, unless this attempt was closed.
    fn charge(&mut self, order: Order) -> Option<Charge> {
        if self.closed.get(&order.payment).is_some_and(|closed| order.fence <= *closed) {
            return None;
        }
        self.last_id += 1;
        let charge = Charge { id: self.last_id, amount: order.amount };
        self.charges.entry(order.payment).or_default().push(charge.clone());
        Some(charge)
    }

    /// The charge of this payment. If there is none, no attempt up to this fence makes one from now on.
    fn close(&mut self, payment: String, fence: u64) -> Option<Charge> {
        if let Some(charge) = self.charges.get(&payment).and_then(|charges| charges.first()) {
            return Some(charge.clone());
        }
        let closed = self.closed.entry(payment).or_default();
        *closed = fence.max(*closed);
        None
    }
}

type Shared = State<Arc<Mutex<Book>>>;

pub(crate) async fn serve() -> Result<(), Failure> {
    let router = Router::new()
        .route("/charges", post(take).get(list))
        .route("/charges/{payment}", get(show))
        .route("/charges/{payment}/close", post(close))
        .with_state(Arc::default());
    http::serve(router).await
}

/// A few milliseconds of work, then the charge. The work is not the connection's: the ledger goes on with
/// what it was sent when the worker that sent it is dead.
async fn take(
    State(book): Shared,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Charge>), StatusCode> {
    Event::Taken.say();
    let work = async move {
        tokio::time::sleep(Duration::from_millis(5 + order.amount % 7)).await;
        book.lock().charge(order)
    };
    match tokio::spawn(work).await {
        Ok(Some(charge)) => Ok((StatusCode::CREATED, Json(charge))),
        Ok(None) => Err(StatusCode::CONFLICT),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn list(State(book): Shared) -> Json<Charges> {
    Json(book.lock().charges.clone())
}

async fn show(State(book): Shared, Path(payment): Path<String>) -> Json<Vec<Charge>> {
    Json(book.lock().charges.get(&payment).cloned().unwrap_or_default())
}

async fn close(
    State(book): Shared,
    Path(payment): Path<String>,
    Json(fence): Json<u64>,
) -> Json<Option<Charge>> {
    Json(book.lock().close(payment, fence))
}

/// The ledger as the others see it.
#[derive(Clone, Copy)]
pub(crate) struct Ledger(pub(crate) SocketAddr);

impl Ledger {
    pub(crate) async fn charge(self, order: &Order) -> Result<Charge, Failure> {
        http::post(self.0, "/charges", order).await?.json()
    }

    pub(crate) async fn close(self, payment: &str, fence: u64) -> Result<Option<Charge>, Failure> {
        http::post(self.0, &format!("/charges/{payment}/close"), &fence).await?.json()
    }

    pub(crate) async fn charges(self) -> Result<Charges, Failure> {
        http::get(self.0, "/charges").await?.json()
    }
}
