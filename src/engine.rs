//! Carries decisions out: sources become locked images, and plans become artifacts in a store.

pub mod chain;

pub mod error;

pub mod source;

pub mod resolve;

pub mod context;

mod pipe;

mod ahead;

mod behind;

mod progress;

mod fetch;

mod layer;

mod obtain;

pub(crate) mod raw;

pub mod disk;

pub mod layers_dir;

pub(crate) mod build;

pub mod structure;

mod schedule;

pub mod apply;

pub mod export;

pub mod import;

pub mod collect;
