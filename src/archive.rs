//! Images in files: read without a registry.

pub mod error;

pub mod content;

pub mod members;

pub mod files;

pub mod layout;

pub mod docker;
