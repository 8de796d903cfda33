//! The steps.

/// Where a thread stands: the step that it takes next. Names follow the kill points.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Pc {
    /// Between two verbs.
    Idle,
    Dead,
    /// Load one word of the chain.
    Probe,
    /// Set COMMITTED on the record found.
    Help,
    Clock,
    /// Load the control word, judge, answer or go on.
    Judge,
    /// Swap TAKEN into the control word.
    Take,
    /// Append: with `Config::torn` only the length, and the rest in `Body`.
    Append,
    Body,
    /// Swap the slot.
    Swap,
    /// Set COMMITTED on the record just swapped in, and answer.
    Commit,
    /// A claim's verb loads its slot.
    Look,
    /// A claim's verb sets COMMITTED on what it saw there, and answers from it.
    LookHelp,
    /// A claim's verb loads its control word.
    Load,
    /// heartbeat and begin_effect swap the control word.
    Control,
    /// A verb by key loads its slot again, and answers or goes on.
    Relook,
    /// A claim's verb looks whether the claim was handed over.
    Kept,
    /// A claim's verb takes the claim's lock, and looks whether the claim was handed over.
    Lock,
    /// A completion waits for the lock, once.
    Await,
    /// hand_over sets the flag that the claim is spent.
    Spend,
    /// hand_over answers with the bytes.
    Give,
    /// adopt loads the control word that it will copy.
    Copy,
    /// A verb by key loads newest.
    Newest,
    /// begin closes the key's chain in an older generation.
    Close,
    /// A lookup that found nothing loads newest again.
    NewestAgain,
    /// begin whose chain is full sees whether newest is what it was.
    Grow,
    /// It swaps newest.
    Publish,
    /// list loads one word, or newest behind the last of a generation.
    Walk,
    WalkOn,
    /// seal loads newest, then closes word by word, and says so.
    SealNewest,
    SealWord,
    SealClose,
    SealTell,
    /// seal reads word by word, makes the file of the filter, and says so.
    FilterWord,
    FilterLink,
    FilterTell,
}
