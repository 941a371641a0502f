//! Bundles: all that a host without a network needs of a lock, in one tar.
//!
//! A bundle is an OCI layout with some more files in it: the lock, and the artifacts under the names that they
//! have in a store. Its first entry, `bundle.json`, lists all others in their order, each with size and
//! digest, so a bundle is read in one pass, and whatever is missing, moved, added or changed is found.

pub mod contents;

pub mod error;

pub mod reader;
