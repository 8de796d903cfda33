//! The processes of the demo: started, listened to, killed and started again.

use std::net::SocketAddr;
use std::ops::Range;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Room;
use super::load::Load;
use crate::Failure;
use crate::event::{Event, Tally};

const STARTING: Duration = Duration::from_secs(20);

/// Where the two workers answer now; they come back on another port.
pub(crate) type Addresses = Arc<Mutex<[SocketAddr; 2]>>;

/// This program, run again as another of its parts. It is killed when dropped, and ends by itself when its
/// standard input closes, which covers a demo that is itself killed.
pub(crate) struct Child {
    process: tokio::process::Child,
    _leash: Option<ChildStdin>,
    address: SocketAddr,
    tally: Arc<Mutex<Tally>>,
    listener: JoinHandle<()>,
}

impl Child {
    pub(crate) async fn start(args: &[&str]) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let leash = process.stdin.take();
        let stdout = process.stdout.take().ok_or("a child without an output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = match timeout(STARTING, lines.next_line()).await?? {
            Some(line) => match Event::read(&line) {
                Some(Event::Listening(address)) => address,
                _ => return Err(format!("{args:?} said {line}").into()),
            },
            None => return Err(format!("{args:?} ended before it answered").into()),
        };
        let tally = Arc::default();
        let listener = tokio::spawn(listen(lines, Arc::clone(&tally)));
        Ok(Self { process, _leash: leash, address, tally, listener })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many charges a worker has marked, or the ledger has taken in hand.
    fn charges_begun(&self) -> u64 {
        let tally = self.tally.lock();
        tally.effects + tally.taken
    }

    /// SIGKILL; then what it still had to say. The pipe keeps that past its death.
    pub(crate) async fn kill(mut self) -> Result<Tally, Failure> {
        self.process.kill().await?;
        timeout(STARTING, &mut self.listener).await??;
        let tally = self.tally.lock().clone();
        Ok(tally)
    }
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, tally: Arc<Mutex<Tally>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(event) = Event::read(&line) {
            tally.lock().add(event);
        }
    }
}

/// The two workers.
pub(crate) struct Crew {
    /// How a worker is started.
    args: Vec<String>,
    seats: [Option<Child>; 2],
    addresses: Addresses,
    /// What the workers that are gone have said.
    pub(crate) past: Tally,
    pub(crate) kills: usize,
}

impl Crew {
    pub(crate) async fn start(room: &Room, ledger: SocketAddr, plant_fault: bool) -> Result<Self, Failure> {
        let (store, index) = (room.store.display().to_string(), room.index.display().to_string());
        let mut args = vec!["service".into(), "--store".into(), store, "--index-dir".into(), index];
        args.extend(["--ledger".into(), ledger.to_string()]);
        if plant_fault {
            args.push("--plant-fault".into());
        }
        let mut crew = Self {
            args,
            seats: [None, None],
            addresses: Arc::new(Mutex::new([ledger; 2])),
            past: Tally::default(),
            kills: 0,
        };
        crew.restart().await?;
        Ok(crew)
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Arc::clone(&self.addresses)
    }

    /// Fills the empty seats.
    pub(crate) async fn restart(&mut self) -> Result<(), Failure> {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        for (seat, address) in self.seats.iter_mut().zip(0..) {
            if seat.is_none() {
                let child = Child::start(&args).await?;
                self.addresses.lock()[address] = child.address();
                *seat = Some(child);
            }
        }
        Ok(())
    }

    /// Strikes all of these workers before it waits for the first.
    async fn kill(&mut self, victims: Range<usize>) -> Result<(), Failure> {
        for child in self.seats[victims.clone()].iter_mut().flatten() {
            child.process.start_kill()?;
            self.kills += 1;
        }
        for seat in victims {
            if let Some(child) = self.seats[seat].take() {
                self.past.merge(&child.kill().await?);
            }
        }
        Ok(())
    }

    /// Ends both workers.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        self.kill(0..2).await
    }

    /// Kills in mid-charge, in this many rounds spread over the load. In one it is a worker that has just
    /// marked an effect, most likely before its call has left. In the next it is both, as soon as the
    /// ledger has a charge in hand: it will be made, and nobody is left who could record it.
    pub(crate) async fn harass(&mut self, load: &Load, ledger: &Child, rounds: usize) -> Result<(), Failure> {
        for round in 0..rounds {
            let due = load.requests() * (round + 1) / (rounds + 1);
            until(|| load.answered() >= due).await;

            let one = round / 2 % 2;
            let (watched, victims) =
                if round % 2 == 0 { (self.seats[one].as_ref(), one..one + 1) } else { (Some(ledger), 0..2) };
            let begun = || watched.map_or(0, Child::charges_begun);
            let before = begun();
            until(|| begun() > before || load.finished()).await;
            if load.finished() {
                break;
            }
            self.kill(victims).await?;
            self.restart().await?;
        }
        Ok(())
    }
}

/// Looks every millisecond; the demo as a whole has a time limit.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        sleep(Duration::from_millis(1)).await;
    }
}
