//! Opening: find or make the store, trust or rebuild its index, take a process slot. All of it under the
//! control lock.

use std::sync::Arc;

use super::Engine;
use super::meta::{Binding, Fixed, META, META_BYTES, Meta};
use crate::clock::LAST_MS;
use crate::control_page::{CONTROL_PAGE, CONTROL_PAGE_BYTES, ControlPage, IndexHead};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::kill_point;
use crate::helper::Helper;
use crate::index::generation::bytes_of;
use crate::index::{Generation, Generations};
use crate::key::Secret;
use crate::log::Log;
use crate::log::address::Geometry;
use crate::log::append::Appender;
use crate::log::record::{self, Holder};
use crate::log::segment::{self, SEGMENT_HEADER};
use crate::options::{Defaults, Plan};
use crate::os::{self, Created, Medium, Room};
use crate::recovery::{self, Recovery};
use crate::sync::AtomicU64;

const SECRET: &str = "secret";
const FIRST_GENERATION: u64 = 1;

/// An index that may be used, and what it cost to get it.
struct Index {
    page: ControlPage,
    generations: Generations,
    recovery: Option<Recovery>,
}

impl Engine {
    /// Opens the store behind this medium, making it if there is none.
    pub(crate) fn open(medium: Arc<dyn Medium>, plan: &Plan) -> Result<Self> {
        let abandoning = |e| {
            medium.abandon();
            e
        };
        // First: a store's secret, and the name of its index, are only as good as the kernel's generator.
        os::check_entropy().map_err(abandoning)?;
        check_before_writing(&*medium, plan).map_err(abandoning)?;
        let (meta, index, log, secret, holder) = {
            let _lock = medium.lock().map_err(abandoning)?;
            Self::open_rooms(&medium, plan).map_err(abandoning)?
        };
        let Index { page, generations, recovery } = index;
        let helper = Arc::new(Helper::new());
        let appender = Appender::new(&log, page.clone(), helper.clone());
        let (generations, log, clock) = (Arc::new(generations), Arc::new(log), plan.clock.clone());
        let asked_behind = AtomicU64::new(0);
        Ok(Self {
            meta,
            page,
            generations,
            log,
            appender,
            helper,
            asked_behind,
            secret,
            clock,
            holder,
            recovery,
        })
    }

    /// Under the control lock.
    fn open_rooms(medium: &Arc<dyn Medium>, plan: &Plan) -> Result<(Meta, Index, Log, Secret, Holder)> {
        let shared = medium.clone();
        let medium = &**medium;
        let place = medium.describe();
        let meta = match medium.map(Room::Store, META)? {
            Some(mapping) => Meta::open(mapping, &place)?,
            None => make_store(medium, plan)?,
        };
        let fixed = meta.fixed;
        check_response_fits(&plan.defaults, fixed.segment_bytes)?;
        let secret = secret_of(medium)?.ok_or_else(|| no_secret(&place))?;
        check_secret(&fixed, &secret, &place)?;
        medium.make_room(Room::Log)?;
        let log = Log::new(shared.clone(), Geometry::new(fixed.segment_bytes), fixed.store, secret.seed);
        let alone = !medium.anyone_attached()?;
        let index = match trusted_index(&shared, &meta)? {
            Some(index) => index,
            None if alone => rebuilt_index(&shared, plan, &meta, &log, secret.hash)?,
            None => return Err(index_out_of_sight(&place)),
        };
        if alone {
            sweep_temporary(medium)?;
        }
        let Some(slot) = medium.take_slot(plan.processes)? else {
            let message =
                format!("{place}: {} processes are attached, the most this store allows", plan.processes);
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        let holder = Holder { slot, incarnation: meta.next_incarnation()? };
        Ok((meta, index, log, secret, holder))
    }

    /// Whether responses of a further handle's limits fit this store's segments.
    pub(super) fn check_fits(&self, defaults: &Defaults) -> Result<()> {
        check_response_fits(defaults, self.meta.fixed.segment_bytes)
    }
}

/// What can be said before anything is written, not even a lock file: a file of somebody else's, or of
/// another version, is left as it is, and where there is no room nothing is begun.
fn check_before_writing(medium: &dyn Medium, plan: &Plan) -> Result<()> {
    let place = medium.describe();
    let meta = medium.read(Room::Store, META)?;
    let fixed = meta.map(|bytes| Fixed::parse(&bytes, bytes.len(), &place)).transpose()?;
    let secret = secret_of(medium)?;
    match fixed {
        Some(fixed) => {
            check_secret(&fixed, &secret.ok_or_else(|| no_secret(&place))?, &place)?;
            check_response_fits(&plan.defaults, fixed.segment_bytes)
        }
        None => {
            check_response_fits(&plan.defaults, plan.segment_bytes)?;
            let index_bytes = bytes_of(plan.first_generation) + CONTROL_PAGE_BYTES;
            medium.check_room(2 * plan.segment_bytes + META_BYTES, index_bytes)
        }
    }
}

fn secret_of(medium: &dyn Medium) -> Result<Option<Secret>> {
    let bytes = medium.read(Room::Store, SECRET)?;
    bytes.map(|bytes| Secret::parse(&bytes, &medium.describe())).transpose()
}

/// Under another store's secret every record would count as unreadable, and every key would run again.
fn check_secret(fixed: &Fixed, secret: &Secret, place: &str) -> Result<()> {
    if fixed.secret_check == secret.check {
        return Ok(());
    }
    let message = format!("{place}: its file {SECRET:?} is another store's; restore its own from a backup");
    Err(Error::corrupt(message))
}

fn no_secret(place: &str) -> Error {
    Error::corrupt(format!("{place}: its file {SECRET:?} is missing; restore it from a backup"))
}

fn index_out_of_sight(place: &str) -> Error {
    let message = format!(
        "{place}: other processes have it open with an index that this one cannot see (another container, \
         another index_dir, or its directory in /dev/shm was removed); give all of them the same \
         index_dir, or restart them"
    );
    Error::new(ErrorKind::Unavailable, message)
}

/// The largest record must fit a segment, or some responses could never be kept whatever the disk has.
fn check_response_fits(defaults: &Defaults, segment_bytes: u64) -> Result<()> {
    let longest = record::longest(defaults.response_limit, defaults.meta_limit);
    if longest + SEGMENT_HEADER <= segment_bytes as usize {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "response_limit and meta_limit make records of up to {longest} bytes, which do not fit a segment of \
         {segment_bytes} bytes; lower them or use larger segments"
    )))
}

/// Makes `secret`, then `meta`: the store is there once its `meta` is.
fn make_store(medium: &dyn Medium, plan: &Plan) -> Result<Meta> {
    let fresh = Secret::generate()?;
    // Taken: an earlier maker died between the two. Its secret has sealed nothing yet, and serves.
    medium.create(Room::Store, SECRET, fresh.len() as u64, &fresh)?;
    let secret = secret_of(medium)?.ok_or_else(|| no_secret(&medium.describe()))?;
    let mut store = [0; 16];
    os::random(&mut store)?;
    let fixed = Fixed {
        secret_check: secret.check,
        store,
        segment_bytes: plan.segment_bytes,
        first_generation: plan.first_generation,
        made_ms: plan.clock.wall_ms(),
    };
    match medium.create(Room::Store, META, META_BYTES, &fixed.head())? {
        Created::Made(mapping) => Meta::open(mapping, &medium.describe()),
        Created::Taken => {
            Err(Error::corrupt(format!("{}: {META:?} appeared while it was locked", medium.describe())))
        }
    }
}

/// The index that `meta` names, if this boot, this file and that index are the ones it was bound for.
fn trusted_index(medium: &Arc<dyn Medium>, meta: &Meta) -> Result<Option<Index>> {
    let Some(binding) = meta.binding()? else { return Ok(None) };
    let here =
        binding.boot == medium.boot_id()? && Some(binding.meta) == medium.identity(Room::Store, META)?;
    if !here || !medium.enter_index(&index_name(&binding.index), None)? {
        return Ok(None);
    }
    if medium.identity(Room::Index, CONTROL_PAGE)? != Some(binding.control) {
        return Ok(None);
    }
    let Some(page) = medium.map(Room::Index, CONTROL_PAGE)?.and_then(ControlPage::open) else {
        return Ok(None);
    };
    if page.head.index != binding.index || page.head.store != meta.fixed.store {
        return Ok(None);
    }
    let generations = Generations::new(medium.clone(), page.clone(), meta.fixed.store);
    Ok(generations.open_all()?.then_some(Index { page, generations, recovery: None }))
}

/// A new index, from the log. Only while nobody else is attached: two indexes would each grant every key.
fn rebuilt_index(
    shared: &Arc<dyn Medium>,
    plan: &Plan,
    meta: &Meta,
    log: &Log,
    hash: [u64; 2],
) -> Result<Index> {
    let medium = &**shared;
    let high_water_ms = meta.high_water_ms()?;
    let identity = medium.identity(Room::Store, META)?.unwrap_or_default();
    if let Some(old) = meta.binding()?.filter(|old| old.meta == identity) {
        medium.remove_index(&index_name(&old.index)); // of this very store, not of the one it was copied from
    }
    let store = meta.fixed.store;
    let mut index = [0; 16];
    os::random(&mut index)?;
    // Named before it is made, on no boot: whoever dies from here on leaves an index that the next open
    // removes.
    let mut binding = Binding { index, meta: identity, ..Binding::default() };
    meta.bind(&binding)?;

    let mut segments = recovery::segments(medium)?;
    let next_segment = segments.last().map_or(1, |last| last.0 + 1);
    let (survey, empty) = recovery::survey(log, &segments)?;
    for number in &empty {
        medium.remove(Room::Log, &segment::name(*number))?; // made ready, or by a growth that died
    }
    segments.retain(|number| !empty.contains(number));
    let words = recovery::words_for(survey.committed, meta.fixed.first_generation);
    medium.enter_index(&index_name(&index), Some(bytes_of(words) + CONTROL_PAGE_BYTES))?;
    let generation = Generation::create(medium, FIRST_GENERATION, store, words)?;
    let recovery = recovery::rebuild(log, &segments, &generation, hash)?;
    kill_point!("rebuild.indexed");

    let base = high_water_ms.max(recovery.newest_ms + 1).max(plan.clock.wall_ms());
    if base > LAST_MS {
        let message = "the clock of this machine, or the last time in the store, is beyond the year 2527";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    let clock_offset_ms = base.wrapping_sub(plan.clock.boot_ms());
    let head = IndexHead { clock_offset_ms, store, index, generation: FIRST_GENERATION };
    let Created::Made(mapping) =
        medium.create(Room::Index, CONTROL_PAGE, CONTROL_PAGE_BYTES, &head.bytes())?
    else {
        return Err(Error::corrupt("a new index already holds a control page"));
    };
    let page =
        ControlPage::open(mapping).ok_or_else(|| Error::corrupt("a new control page cannot be read back"))?;
    page.begin(next_segment)?;
    binding.boot = medium.boot_id()?;
    binding.control = medium.identity(Room::Index, CONTROL_PAGE)?.unwrap_or_default();
    meta.bind(&binding)?;
    kill_point!("rebuild.bound");
    let recovery = (!segments.is_empty()).then_some(recovery);
    let generations = Generations::new(shared.clone(), page.clone(), store);
    Ok(Index { page, generations, recovery })
}

fn index_name(index: &[u8; 16]) -> String {
    format!("semel-{:032x}", u128::from_be_bytes(*index))
}

/// Files whose maker died before they got their name. Nobody else is attached, so nobody is making one.
fn sweep_temporary(medium: &dyn Medium) -> Result<()> {
    for room in [Room::Store, Room::Log, Room::Index] {
        for name in medium.list(room)?.iter().filter(|name| os::is_temporary(name)) {
            medium.remove(room, name)?;
        }
    }
    Ok(())
}
