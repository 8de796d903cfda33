//! A helper thread that has the log's pages ready before an appender gets there. Only speed depends on it:
//! where it is late, dead, or left behind by a fork, the appender takes the page faults itself.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;

use crate::os::Mapping;

/// Bytes made ready at a time, and how far ahead of the tail. Few, since pages made ready are pages that will
/// be written to disk.
pub(super) const WINDOW: usize = 1 << 20;
pub(super) const AHEAD: usize = 4 * WINDOW;

/// Windows that may wait for the helper; more are left to the appenders.
const WAITING: usize = 64;

/// The way to the helper, which starts when it is first needed and ends with the log.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    helper: Mutex<Option<SyncSender<Window>>>,
}

struct Window {
    mapping: Mapping,
    offset: usize,
}

impl Ahead {
    /// Asks for the windows that the tail of a segment will reach next, after it moved over `from..to`.
    pub(super) fn moved(&self, mapping: &Mapping, from: usize, to: usize) {
        let reached = |offset: usize| (offset + AHEAD) / WINDOW;
        let first = if from == 0 { 0 } else { reached(from) };
        for window in first..reached(to) {
            let offset = window * WINDOW;
            if offset < mapping.len() {
                self.ask(Window { mapping: mapping.clone(), offset });
            }
        }
    }

    fn ask(&self, window: Window) {
        let mut helper = self.helper.lock();
        if helper.is_none() {
            let (sender, windows) = sync_channel(WAITING);
            let started =
                std::thread::Builder::new().name("semel-ahead".into()).spawn(move || help(&windows));
            if started.is_err() {
                return;
            }
            *helper = Some(sender);
        }
        if let Some(sender) = &*helper {
            let _ = sender.try_send(window);
        }
    }
}

fn help(windows: &Receiver<Window>) {
    while let Ok(window) = windows.recv() {
        window.mapping.populate(window.offset, WINDOW);
    }
}
