//! The demo: a ledger, two workers over one store, a load, kills, an audit.

mod audit;
mod crew;
mod load;
mod summary;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit::Audit;
use crew::{Child, Crew};
use load::Load;
use tokio::signal::unix::{SignalKind, signal};

use crate::ledger::Ledger;
use crate::{Failure, tell};

/// Far more than a run takes; past it something hangs, and that is a failure.
const PATIENCE: Duration = Duration::from_secs(120);
/// Far more than the ledger works on a charge.
const SETTLING: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    quick: bool,
    keep: bool,
    plant_fault: bool,
}

impl Options {
    pub(crate) fn parse(flags: &[&str]) -> Option<Self> {
        let mut options = Self { quick: false, keep: false, plant_fault: false };
        for flag in flags {
            match *flag {
                "--quick" => options.quick = true,
                "--keep" => options.keep = true,
                "--plant-fault" => options.plant_fault = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs the demo; true if the audit found every payment exactly once.
pub(crate) async fn run(options: Options) -> Result<bool, Failure> {
    let room = Room::new()?;
    let ledger = Child::start(&["ledger"]).await?;
    let mut crew = Crew::start(&room, ledger.address(), options.plant_fault).await?;
    let passed = tokio::select! {
        passed = perform(options, &mut crew, &ledger) => passed?,
        stop = asked_to_stop() => stop.and(Err("interrupted".into()))?,
    };
    if options.keep {
        crew.restart().await?;
        let workers = *crew.addresses().lock();
        tell(summary::invitation(&workers, ledger.address()))?;
        asked_to_stop().await?;
        crew.stop().await?;
    } else {
        tell("\nto try it with curl: cargo xtask demo --keep")?;
    }
    ledger.kill().await?;
    Ok(passed)
}

async fn perform(options: Options, crew: &mut Crew, ledger: &Child) -> Result<bool, Failure> {
    let (payments, rounds) = if options.quick { (200, 10) } else { (1000, 24) };
    let load = Load::new(payments, crew.addresses());
    let (paying, asking) = (summary::grouped(payments as u64), summary::grouped(load.requests() as u64));
    tell(format!(
        "{paying} payments in {asking} requests, 2 workers on one store, kill -9 again and again ..."
    ))?;

    let start = Instant::now();
    let both = async { tokio::try_join!(load.run(), crew.harass(&load, ledger, rounds)) };
    tokio::time::timeout(PATIENCE, both).await.map_err(|_| "the demo hangs")??;
    let (took, kills) = (start.elapsed(), crew.kills);

    // What dead workers had sent may still land, and is to be seen.
    crew.stop().await?;
    tokio::time::sleep(SETTLING).await;
    let seen = load.seen();
    let charges = Ledger(ledger.address()).charges().await?;
    let audit = Audit::of(&load, &seen, &charges, &crew.past);
    tell(summary::table(&seen, &charges, &crew.past, kills, took))?;
    tell(audit.verdict())?;
    Ok(audit.passed())
}

/// Ctrl-C or SIGTERM: the room is then tidied as after a run.
async fn asked_to_stop() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The directory of the store and the directory of its index, for one run.
struct Room {
    store: PathBuf,
    index: PathBuf,
}

impl Room {
    fn new() -> Result<Self, Failure> {
        let name = format!("payments-demo-{}", std::process::id());
        let memory = PathBuf::from("/dev/shm");
        let index = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let room = Self { store: std::env::temp_dir().join(&name), index: index.join(name + "-index") };
        private_dir(&room.store)?;
        private_dir(&room.index)?;
        Ok(room)
    }
}

/// Open to this user alone, and not there before.
fn private_dir(path: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|error| format!("{}: {error}", path.display()).into())
}

impl Drop for Room {
    fn drop(&mut self) {
        for dir in [&self.store, &self.index] {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}
