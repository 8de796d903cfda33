//! The benches of semel; see `benches/`.
