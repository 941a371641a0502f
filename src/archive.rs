//! Images in files: read without a registry.

pub mod error;

pub mod layout;
