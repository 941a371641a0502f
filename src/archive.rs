//! Images in files: read without a registry, and written for those who have none.

pub mod error;

pub mod content;

pub mod members;

pub mod files;

pub mod layout;

pub mod docker;

pub mod output;

pub mod index;

pub mod saved;

pub mod bundle;
