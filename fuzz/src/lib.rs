//! What the fuzz targets and the program that makes their seeds share.

pub mod archive;

pub mod events;

pub mod pax;

pub mod sparse;

pub mod script;

pub mod stack;
