//! A stack of layer tars becomes one tree.

pub mod limits;

pub mod show;

pub mod table;

pub mod tree;

pub mod entry;

pub mod tar;

pub mod decompress;

pub mod read;

pub mod walk;

pub mod warning;

pub mod name;

pub mod xattrs;

pub mod resolve;

pub mod changeset;

pub mod builder;

pub mod overlay;

pub mod merge;
