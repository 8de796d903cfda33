//! The thread that runs ahead of need, one a process and store, started when there is first something to do.
//! Only speed depends on it: where it is late, dead, or left behind by a fork, those who need a thing make it
//! themselves.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::sync::{AtomicU64, Ordering};

/// Jobs that may wait; more are left to those who need what they make.
const WAITING: usize = 64;

/// Something to do ahead of need; a long one asks now and then whether to go on.
type Job = Box<dyn FnOnce(&GoOn) + Send>;

/// Whether the store is still open.
#[derive(Clone, Debug)]
pub(crate) struct GoOn(Arc<AtomicU64>);

impl GoOn {
    pub(crate) fn ask(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// The thread, if it was started. Jobs hold what they work on weakly: a store that is dropped is left at
/// once.
#[derive(Debug)]
pub(crate) struct Helper {
    running: Mutex<Option<Running>>,
    go_on: GoOn,
}

struct Running {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    /// A forked child has no such thread.
    process: u32,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Helper {
    pub(crate) fn new() -> Self {
        Self { running: Mutex::new(None), go_on: GoOn(Arc::new(AtomicU64::new(0))) }
    }

    /// Gives it something to do; `false` if it cannot take it now.
    pub(crate) fn ask(&self, job: impl FnOnce(&GoOn) + Send + 'static) -> bool {
        let mut running = self.running.lock();
        if running.is_none() {
            let (jobs, received) = sync_channel::<Job>(WAITING);
            let go_on = self.go_on.clone();
            let builder = std::thread::Builder::new().name("semel-ahead".into());
            let started = builder.spawn(move || {
                while let Ok(job) = received.recv() {
                    job(&go_on);
                }
            });
            let Ok(thread) = started else { return false };
            *running = Some(Running { jobs, thread, process: std::process::id() });
        }
        let sent = running.as_ref().map(|running| running.jobs.try_send(Box::new(job)));
        !matches!(sent, None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))))
    }
}

impl Drop for Helper {
    /// Waits until the job at hand is done: a store that was dropped makes no more files and holds no process
    /// slot.
    fn drop(&mut self) {
        self.go_on.0.store(1, Ordering::Relaxed);
        if let Some(Running { jobs, thread, process }) = self.running.get_mut().take() {
            drop(jobs);
            if process == std::process::id() {
                let _ = thread.join();
            }
        }
    }
}
