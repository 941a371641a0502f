//! What is in a store, handed to other programs in the form that they keep such things in.
//!
//! A place of another program is that program's: it is locked as it locks, nothing of it is replaced or
//! deleted but what a note in the store says was put there, and whatever is in the way is told, not moved.

pub mod error;

mod folder;

pub mod microsandbox;
