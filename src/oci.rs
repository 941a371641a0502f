//! The OCI specifications' words as types that cannot be wrong.

pub mod digest;

pub mod platform;

pub mod reference;

pub mod document;
