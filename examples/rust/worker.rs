//! A long job, begun by one process and run by others.
//!
//! The front begins a job and hands its claim over to a worker process. The worker adopts the
//! claim, keeps it by heartbeats, and leaves a checkpoint behind each part that is done. It dies in the
//! middle. Its lease ends, the next begin of the same job takes over, finds the checkpoint, and does the
//! rest.
//!
//! `cargo run -p semel-examples --bin worker -- ./jobs`

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use semel::{Claim, Outcome, Request, Response, Store};

type Failure = Box<dyn std::error::Error>;

const SCOPE: &str = "transcode";
const PARTS: u8 = 6;
const LEASE: Duration = Duration::from_millis(400);
/// Two heartbeats may come late before the lease is lost.
const HEARTBEAT: Duration = Duration::from_millis(100);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => front(path),
        [path, "adopt"] => adopt(path),
        _ => Err("usage: worker DIRECTORY".into()),
    }
}

/// Begins the job and gives it away; when the worker has died, does what is left.
fn front(path: &str) -> Result<(), Failure> {
    let store = Store::builder().path(path).lease(LEASE).open()?;
    loop {
        match store.begin(Request::new(SCOPE, "film-17"))? {
            Outcome::Started(claim) if claim.attempt() == 1 => {
                println!("front     began the job, hands it over");
                give_away(path, &claim)?;
            }
            Outcome::Started(claim) => {
                println!("front     takes over: attempt {}, {:?}", claim.attempt(), claim.reason());
                work("front", &claim, PARTS)?;
                claim.complete(Response::new("all parts are done"))?;
            }
            Outcome::InProgress(it) => std::thread::sleep(it.retry_after()),
            Outcome::Replay(it) => {
                println!("anyone    is told: {}", String::from_utf8_lossy(it.body()));
                return Ok(());
            }
            other => return Err(format!("{other:?}").into()),
        }
    }
}

/// The bytes of the claim go to the worker in whatever way jobs go: here, its standard input.
fn give_away(path: &str, claim: &Claim) -> Result<(), Failure> {
    let bytes = claim.hand_over()?;
    let mut worker =
        Command::new(std::env::current_exe()?).args([path, "adopt"]).stdin(Stdio::piped()).spawn()?;
    worker.stdin.take().ok_or("the worker has no input")?.write_all(&bytes)?;
    worker.wait()?;
    Ok(())
}

/// The worker process: does two parts, then dies without a word, as by `kill -9`.
fn adopt(path: &str) -> Result<(), Failure> {
    let store = Store::builder().path(path).lease(LEASE).open()?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let claim = store.adopt(&bytes)?;
    println!("worker    adopted it: attempt {}, fence kept", claim.attempt());
    work("worker", &claim, 2)?;
    println!("worker    dies");
    std::process::exit(9)
}

/// Does the parts that are not done yet, up to this one, while a thread keeps the claim alive.
fn work(who: &str, claim: &Claim, until: u8) -> Result<(), Failure> {
    let done = claim.last_checkpoint()?.first().copied().unwrap_or(0);
    let (stop, stopped) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || keep_alive(claim, &stopped));
        for part in done + 1..=until {
            std::thread::sleep(Duration::from_millis(150)); // the work itself
            // Lost: another one runs the job by now, and this one must stop.
            claim.checkpoint(&[part])?;
            println!("{who:<9} part {part} of {PARTS}");
        }
        drop(stop);
        Ok(())
    })
}

fn keep_alive(claim: &Claim, stopped: &Receiver<()>) {
    while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
        if let Err(lost) = claim.heartbeat(LEASE) {
            return eprintln!("{lost}"); // the next checkpoint is told the same
        }
    }
}
