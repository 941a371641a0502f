//! A tree becomes bytes: EROFS images, and the disk that joins them.

pub mod buffer;

pub mod file;

pub mod erofs;

pub mod extents;

pub mod vmdk;

pub mod dm;
