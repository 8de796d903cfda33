//! What one run searches: programs, clocks, deaths, and the rule that is left out, if any.

pub(crate) use crate::fault::Fault;
use crate::invariants::Broken;
use crate::state::{CLAIMS, Pc, THREADS, Thread};

/// A verb of a program. The number names the claim that the verb makes or uses; two threads that
/// name the same claim share it, as two threads of one process do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Begin(usize),
    Complete(usize),
    Heartbeat(usize),
    BeginEffect(usize),
    /// release, and drop of a claim.
    Release(usize),
    /// release by a caller who asserts that nothing happened.
    ReleaseClean(usize),
    /// resolve with the fence of that claim.
    ResolveCompleted(usize),
    ResolveReleased(usize),
    Peek,
    Checkpoint(usize),
    HandOver(usize),
    /// adopt: the claim whose bytes it has, and the claim that it makes of them.
    Adopt(usize, usize),
    Forget,
    MarkSeen,
    /// A walk through the index.
    List,
    /// The helper closes the older generations and makes their filters.
    Seal,
}

impl Verb {
    /// The claim whose handle (for resolve: whose fence) the verb needs.
    pub(crate) fn uses(self) -> Option<usize> {
        match self {
            Verb::Begin(_) | Verb::Peek | Verb::Adopt(..) | Verb::Forget | Verb::MarkSeen => None,
            Verb::List | Verb::Seal => None,
            Verb::Checkpoint(c) | Verb::HandOver(c) => Some(c),
            Verb::Complete(c) | Verb::Heartbeat(c) | Verb::BeginEffect(c) => Some(c),
            Verb::Release(c) | Verb::ReleaseClean(c) => Some(c),
            Verb::ResolveCompleted(c) | Verb::ResolveReleased(c) => Some(c),
        }
    }
}

impl Verb {
    /// The claim that the verb makes, if it is granted.
    pub(crate) fn makes(self) -> Option<usize> {
        match self {
            Verb::Begin(c) | Verb::Adopt(_, c) => Some(c),
            _ => None,
        }
    }

    /// Verbs that replace the claim by another record of it, and so need the claim's lock.
    fn carries(self, claim: usize) -> bool {
        self == Verb::Checkpoint(claim) || self == Verb::HandOver(claim)
    }
}

pub(crate) type Program = &'static [Verb];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnCrash {
    Rerun,
    InDoubt,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) programs: [Program; THREADS],
    pub(crate) on_crash: OnCrash,
    /// Some program has a verb of `carried`: the runs without any are kept as small as they can be.
    pub(crate) extended: bool,
    /// Claims whose verbs take a lock, and claims that may be handed over.
    pub(crate) locks: [bool; CLAIMS],
    pub(crate) hands: [bool; CLAIMS],
    /// The process of each claim: two claims of one process have one holder.
    pub(crate) holders: [u8; CLAIMS],
    pub(crate) lease: u8,
    /// How much longer a heartbeat makes the lease than a begin does.
    pub(crate) longer: u8,
    pub(crate) ttl: u8,
    pub(crate) retention: u8,
    /// The clock's last value.
    pub(crate) ticks: u8,
    /// How many threads may die, each at any step.
    pub(crate) deaths: u8,
    /// How many words of other keys may appear, each in any EMPTY slot.
    pub(crate) foreign: u8,
    /// How many words each generation has: there may be so many of them.
    pub(crate) shape: &'static [u8],
    /// Whether the next generation may be published at any moment, and words closed and filters made.
    pub(crate) grows: bool,
    pub(crate) seals: bool,
    /// The index may be lost once, with every thread; this thread runs only after the rebuild.
    pub(crate) late: Option<usize>,
    /// A record becomes complete one step after its length is there.
    pub(crate) torn: bool,
    /// Check in every state that each thread alone can finish its verb.
    pub(crate) progress: bool,
    pub(crate) fault: Option<Fault>,
    /// Invariants that are not checked, so that deeper ones speak.
    pub(crate) blind_to: &'static [Broken],
    /// States after which the search stops.
    pub(crate) limit: usize,
}

impl Config {
    /// Short clocks, one death, one foreign word, no fault.
    pub(crate) fn new(programs: &[Program]) -> Config {
        let mut all: [Program; THREADS] = [&[]; THREADS];
        all[..programs.len()].copy_from_slice(programs);
        let any = |wanted: &dyn Fn(Verb) -> bool| programs.iter().any(|p| p.iter().any(|v| wanted(*v)));
        let new = |v: Verb| {
            use Verb::{Adopt, Checkpoint, Forget, HandOver, MarkSeen};
            matches!(v, Checkpoint(_) | HandOver(_) | Adopt(..) | Forget | MarkSeen)
        };
        Config {
            programs: all,
            on_crash: OnCrash::Rerun,
            extended: any(&new),
            locks: std::array::from_fn(|claim| any(&|v| v.carries(claim))),
            hands: std::array::from_fn(|claim| any(&|v| v == Verb::HandOver(claim))),
            holders: [1, 2, 3, 4],
            lease: 1,
            longer: 0,
            ttl: 1,
            retention: 1,
            ticks: 3,
            deaths: 1,
            foreign: 1,
            shape: &[3],
            grows: false,
            seals: false,
            late: None,
            torn: false,
            progress: true,
            fault: None,
            blind_to: &[],
            limit: 20_000_000,
        }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        use Fault::{AdoptByFenceAlone, EndClearsSpent, SpentClaimKnowsWord, SpentNotSeenAfterLook};
        let asked = [SpentClaimKnowsWord, EndClearsSpent, SpentNotSeenAfterLook, AdoptByFenceAlone];
        self.fault == Some(fault)
            || self.fault == Some(Fault::HandOverAsFirstWritten) && asked.contains(&fault)
    }

    /// Where a generation's words begin; of the one behind the last: where they end.
    pub(crate) fn first_slot(&self, generation: u8) -> u8 {
        self.shape[..usize::from(generation)].iter().sum()
    }

    pub(crate) fn generation_of(&self, slot: u8) -> u8 {
        let behind = |generation: &u8| self.first_slot(generation + 1) > slot;
        (0..).find(behind).expect("slots end with the last generation")
    }

    /// With these faults recovery may choose a record that the rules would never let it choose.
    pub(crate) fn recovery_reads_all(&self) -> bool {
        use Fault::{ExpiryBeforeVersion, ForgottenNotBelieved, RecoveryIgnoresMarks};
        matches!(self.fault, Some(RecoveryIgnoresMarks | ExpiryBeforeVersion | ForgottenNotBelieved))
    }

    /// Whether a verb still to come, or under way, names the claim.
    pub(crate) fn still_used(&self, claim: usize, threads: &[Thread; THREADS]) -> bool {
        threads.iter().zip(&self.programs).any(|(thread, program)| {
            let rest = program.get(thread.verb as usize..).unwrap_or(&[]);
            thread.pc != Pc::Dead && rest.iter().any(|verb| verb.uses() == Some(claim))
        })
    }

    /// Whether an adopt of that claim's bytes is still to come, or under way.
    pub(crate) fn still_adopted(&self, claim: usize, threads: &[Thread; THREADS]) -> bool {
        threads.iter().zip(&self.programs).any(|(thread, program)| {
            let rest = program.get(thread.verb as usize..).unwrap_or(&[]);
            let adopts = |verb: &Verb| matches!(verb, Verb::Adopt(from, _) if *from == claim);
            thread.pc != Pc::Dead && rest.iter().any(adopts)
        })
    }
}
