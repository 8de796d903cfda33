//! The stores that this process has open: one path opened twice is one engine, with one process slot.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Engine;
use crate::error::Result;
use crate::options::Plan;
use crate::os::{FileMedium, MemoryMedium};

/// Open stores by device and inode of their directory.
static OPEN: Mutex<Option<OpenStores>> = Mutex::new(None);

type OpenStores = HashMap<(u64, u64), Weak<Engine>>;

/// The engine of this plan: the one that is open already, or a new one.
pub(crate) fn engine_for(plan: &Plan) -> Result<Arc<Engine>> {
    let Some(path) = &plan.path else {
        return Engine::open(Arc::new(MemoryMedium::default()), plan).map(Arc::new);
    };
    // Held while opening: two threads that open one path must not become two processes.
    let mut open = OPEN.lock();
    let open = open.get_or_insert_default();
    if let Some(engine) =
        FileMedium::directory_identity(path).and_then(|id| open.get(&id)).and_then(Weak::upgrade)
    {
        engine.check_fits(&plan.defaults)?;
        return Ok(engine);
    }
    let medium = FileMedium::open(path, plan.index_dir.as_deref())?;
    let engine = Arc::new(Engine::open(Arc::new(medium), plan)?);
    open.retain(|_, engine| engine.strong_count() > 0);
    if let Some(id) = FileMedium::directory_identity(path) {
        open.insert(id, Arc::downgrade(&engine));
    }
    Ok(engine)
}
