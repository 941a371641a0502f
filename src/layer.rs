//! A stack of layer tars becomes one tree.

pub mod limits;

pub mod tree;

pub mod entry;
