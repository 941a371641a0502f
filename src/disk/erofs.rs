//! EROFS images: one of each layer, with its data, and one of the merged tree, with metadata alone.
//!
//! The bytes follow the kernel's `fs/erofs/erofs_fs.h` and `Documentation/filesystems/erofs.rst`. A layer
//! image needs Linux 5.4; an fsmeta needs 5.16 with `device=` and 6.4 as part of one stitched disk. The
//! same tree always gives the same bytes.

pub mod error;

pub mod format;

mod names;

mod layout;

mod metadata;

pub mod layer;

pub mod fsmeta;

pub mod reader;

pub mod portable;

pub mod dump;
