//! Decisions: what should be in the store, what is missing, and what to do about it. No I/O.

pub mod artifact;
