//! A stack of layer tars becomes one tree.

pub mod limits;

pub mod show;

pub mod tree;

pub mod entry;

pub mod tar;

pub mod decompress;

pub mod read;
