//! The little HTTP that a client needs, and the start that both servers share.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;
use crate::event::Event;

/// No call on loopback takes this long unless something hangs.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body of a success; every other status is a failure.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if self.status.is_success() {
            return Ok(serde_json::from_slice(&self.body)?);
        }
        Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Result<Answer, Failure> {
    send(to, Request::get(path).body(Full::default())?).await
}

pub(crate) async fn post<T: Serialize>(to: SocketAddr, path: &str, body: &T) -> Result<Answer, Failure> {
    let json = Full::from(serde_json::to_vec(body)?);
    let request = Request::builder().method(Method::POST).uri(path);
    send(to, request.header(header::CONTENT_TYPE, "application/json").body(json)?).await
}

/// Sends one request over a connection of its own: a killed server then fails the requests it held and no
/// other.
pub(crate) async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    tokio::time::timeout(TIMEOUT, exchange(to, request)).await?
}

async fn exchange(to: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    request.headers_mut().insert(header::HOST, to.to_string().parse()?);
    let (mut sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
}

/// Serves on a free port of loopback, and says which. Ends with standard input: a child does not outlive the
/// demo, however that ends.
pub(crate) async fn serve(router: Router) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Event::Listening(listener.local_addr()?).say();
    Ok(axum::serve(listener, router).await?)
}
