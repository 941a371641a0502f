//! Lock and sync OCI images as bootable EROFS disks for microVM sandboxes.
//!
//! The order of the modules below is the layering: a module uses only what stands above it. `words` to
//! `plan` are the pure core and do no I/O of their own; what follows carries their decisions out.

pub mod words;

pub mod secret;

pub mod oci;

pub mod layer;

pub mod disk;

pub mod spec;

pub mod plan;

pub mod store;

pub mod registry;

pub mod archive;

pub mod engine;

pub mod publish;

pub mod project;
