//! Breadth first through every interleaving, with a table of the states seen.

use crate::config::{Config, Fault};
use crate::invariants::{Broken, check, is_late, recovered, winner};
use crate::seen::{Seen, fingerprint};
use crate::state::{Handle, IDLE, NONE, OLDER, Pc, SLOTS, Seal, State, THREADS, Word};
use crate::verbs::{Step, step};

/// One move of the search, small enough to be kept for every state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Move {
    Run(u8),
    Die(u8),
    Tick,
    Foreign(u8),
    Rebuild,
    /// The next generation is published.
    Grow,
    /// A word is closed; a generation gets its filter.
    Close(u8),
    Filter(u8),
}

pub(crate) struct Outcome {
    pub(crate) states: usize,
    pub(crate) exhausted: bool,
    /// The invariant broken first, and the shortest way there in words.
    pub(crate) broken: Option<(Broken, Vec<String>)>,
}

/// Searches until every state is seen, an invariant breaks, or the limit is reached.
pub(crate) fn search(config: &Config) -> Outcome {
    let mut seen = Seen::new();
    let mut parents: Vec<(u32, Move)> = Vec::new();
    let mut first = State::new(config);
    first.settle(config);
    seen.insert(fingerprint(&first));
    parents.push((0, Move::Tick));
    let mut level = vec![(first, 0u32)];
    while !level.is_empty() {
        let mut next = Vec::new();
        for (state, id) in level {
            for step in moves(&state, config) {
                let Some((after, broken)) = apply(&state, config, step) else { continue };
                let broken = broken.or_else(|| check(&after, config).err());
                if broken.is_none() && !seen.insert(fingerprint(&after)) {
                    continue;
                }
                let broken = broken.or_else(|| spins(&after, config));
                let new = u32::try_from(parents.len()).unwrap();
                parents.push((id, step));
                if let Some(broken) = broken {
                    let trace = trace(&parents, new, config);
                    return Outcome {
                        states: parents.len(),
                        exhausted: false,
                        broken: Some((broken, trace)),
                    };
                }
                next.push((after, new));
            }
            if parents.len() >= config.limit {
                return Outcome { states: parents.len(), exhausted: false, broken: None };
            }
        }
        level = next;
    }
    Outcome { states: parents.len(), exhausted: true, broken: None }
}

fn moves(state: &State, config: &Config) -> impl Iterator<Item = Move> {
    let living = (0..THREADS).filter(|t| !config.programs[*t].is_empty());
    let dying = living.clone().filter(|t| state.deaths_left > 0 && state.threads[*t].pc != Pc::Dead);
    let there = config.first_slot(state.newest + 1);
    let empty = (0..there).filter(|slot| state.slots[usize::from(*slot)] == Word::Empty);
    let foreign = empty.filter(|_| state.foreign_left > 0);
    let tick = (state.clock < config.ticks).then_some(Move::Tick);
    let rebuild = (config.late.is_some() && !state.rebuilt).then_some(Move::Rebuild);
    let seals = sealing(state, config);
    let number = |t: usize| u8::try_from(t).unwrap();
    living
        .map(move |t| Move::Run(number(t)))
        .chain(tick)
        .chain(foreign.map(Move::Foreign))
        .chain(dying.map(move |t| Move::Die(number(t))))
        .chain(rebuild)
        .chain(seals)
}

/// What helper threads may do at any moment, whoever they are: any number of them leaves no other traces.
fn sealing(state: &State, config: &Config) -> impl Iterator<Item = Move> {
    let there = config.first_slot(state.newest + u8::from(config.has(Fault::NewestIsSealed)));
    let is_empty = |slot: &u8| state.slots[usize::from(*slot)] == Word::Empty;
    let empty = (0..there).filter(is_empty).map(Move::Close);
    let closed = |generation: &u8| {
        let mut words = config.first_slot(*generation)..config.first_slot(generation + 1);
        state.seals[usize::from(*generation)] == Seal::Open
            && (config.has(Fault::FilterBeforeClosed) || !words.any(|slot| is_empty(&slot)))
    };
    let filters = (0..state.newest).filter(closed).map(Move::Filter);
    let all: Vec<_> = if config.seals { empty.chain(filters).collect() } else { Vec::new() };
    let grows = config.grows && usize::from(state.newest) + 1 < config.shape.len();
    grows.then_some(Move::Grow).into_iter().chain(all)
}

/// The state after a move; None when the move is not possible there.
fn apply(state: &State, config: &Config, step: Move) -> Option<(State, Option<Broken>)> {
    let mut after = match step {
        Move::Run(t) => {
            let Step { state, broken, .. } = run(state, config, t)?;
            if broken.is_some() {
                return Some((state, broken));
            }
            state
        }
        Move::Die(t) => {
            let mut after = state.clone();
            after.deaths_left -= 1;
            after.threads[t as usize] = crate::state::Thread { pc: Pc::Dead, ..IDLE };
            after
        }
        Move::Tick => tick(state, config),
        Move::Foreign(slot) => {
            let mut after = state.clone();
            after.foreign_left -= 1;
            after.slots[slot as usize] = Word::Foreign;
            after
        }
        Move::Rebuild => rebuild(state, config),
        other => helped(state, config, other),
    };
    after.settle(config);
    Some((after, None))
}

fn helped(state: &State, config: &Config, step: Move) -> State {
    let mut after = state.clone();
    match step {
        Move::Close(slot) => after.slots[slot as usize] = Word::Frozen,
        Move::Filter(generation) => {
            let mut words = config.first_slot(generation)..config.first_slot(generation + 1);
            let has = words.any(|slot| matches!(state.slots[usize::from(slot)], Word::Record(_)));
            after.seals[usize::from(generation)] = Seal::Told(has);
        }
        _ => after.newest += 1,
    }
    after
}

fn run(state: &State, config: &Config, t: u8) -> Option<Step> {
    step(state, config, t as usize)
}

fn tick(state: &State, config: &Config) -> State {
    let mut after = state.clone();
    after.clock += 1;
    if config.has(Fault::ControlBeforeClock) {
        for t in 0..THREADS {
            let thread = after.threads[t];
            if thread.found != NONE && matches!(thread.pc, Pc::Clock | Pc::Judge) {
                after.threads[t].late |= is_late(after.record(thread.found).control, after.clock);
            }
        }
    }
    after
}

/// The index is lost with every thread, and made again from the log. What is absent is left out, so
/// that the floor alone keeps the next version of the key above it; but where checkpoints are told,
/// since a release keeps one.
fn rebuild(state: &State, config: &Config) -> State {
    let mut after = state.clone();
    for (t, thread) in after.threads.iter_mut().enumerate() {
        if config.late != Some(t) {
            *thread = crate::state::Thread { pc: Pc::Dead, ..IDLE };
        }
    }
    for handle in &mut after.handles {
        if matches!(handle, Handle::Held { .. }) {
            *handle = Handle::Gone;
        }
    }
    let keeps = if config.extended { winner(state, config) } else { recovered(state, config) };
    let found = keeps.ok().flatten();
    after.slots = [Word::Empty; SLOTS];
    (after.newest, after.seals) = (0, [Seal::Open; OLDER]);
    after.slots[0] = found.map_or(Word::Empty, Word::Record);
    let highest = state.log.iter().flatten().map(|record| record.version + 1).max();
    after.floor = if config.has(Fault::RebuildWithoutFloor) { 0 } else { highest.unwrap_or(0) };
    (after.before, after.rebuilt) = (NONE, true);
    after
}

/// Steps that a thread alone may need for one verb: far above what any verb takes.
const ALONE: usize = 40;

/// Progress: with nobody else moving, every thread in the middle of a verb comes to its end.
fn spins(state: &State, config: &Config) -> Option<Broken> {
    let alone = |t: usize| {
        let verb = state.threads[t].verb;
        let mut at = state.clone();
        for _ in 0..ALONE {
            match step(&at, config, t) {
                Some(next) if next.broken.is_none() => at = next.state,
                _ => return false,
            }
            if at.threads[t].verb != verb {
                return false;
            }
        }
        true
    };
    let busy = |t: &usize| !matches!(state.threads[*t].pc, Pc::Idle | Pc::Dead);
    (config.progress && (0..THREADS).filter(busy).any(alone)).then_some(Broken::Spin)
}

fn trace(parents: &[(u32, Move)], last: u32, config: &Config) -> Vec<String> {
    let mut way = Vec::new();
    let mut at = last;
    while at != 0 {
        let (parent, step) = parents[at as usize];
        way.push(step);
        at = parent;
    }
    let mut state = State::new(config);
    state.settle(config);
    let mut lines = Vec::new();
    for step in way.iter().rev() {
        let what = match step {
            Move::Run(t) => {
                let taken = run(&state, config, *t).expect("the way was possible once");
                let answer = taken.answer.map(|a| format!(" => {a}")).unwrap_or_default();
                format!("T{t} {:?} {}{answer}", taken.verb, taken.label)
            }
            other => format!("{other:?}"),
        };
        if let Some((after, _)) = apply(&state, config, *step) {
            state = after;
        }
        lines.push(format!("{what:<60} clock {} {}", state.clock, word(&state)));
    }
    lines
}

fn word(state: &State) -> String {
    let Some(id) = state.current() else { return "no record".to_string() };
    let r = state.record(id);
    let c = r.control;
    let flags = [(c.committed, "COMMITTED"), (c.effect, "EFFECT"), (c.taken, "TAKEN")];
    let set: Vec<_> = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    let ends = if r.kind == crate::state::Kind::Claim { c.deadline } else { r.expiry };
    format!("{:?} v{} f{} of {} until {ends} {}", r.kind, r.version, r.fence, r.holder, set.join("|"))
}
