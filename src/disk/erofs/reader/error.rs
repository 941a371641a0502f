//! Why an image cannot be read.

use std::io;

/// Why an image cannot be read: it is damaged, hostile, or not one that is written here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file that holds the image failed.
    #[error("cannot read the image")]
    Read(#[from] io::Error),
    /// The text of a dump could not be written.
    #[error("cannot write the dump")]
    Write(#[source] io::Error),
    /// The file ends before the image does.
    #[error("the image has {size_bytes} bytes and needs {needed_bytes}")]
    Short {
        /// Length of the file.
        size_bytes: u64,
        /// Length that the superblock states, or that of a superblock's block.
        needed_bytes: u64,
    },
    /// Block 0 is not that of a finished EROFS image.
    #[error("there is no EROFS superblock with the right checksum")]
    Checksum,
    /// Something of the whole image is not as it is written here.
    #[error("the {0} is damaged or uses features that are not supported")]
    Unsupported(&'static str),
    /// Something of one inode is not as it is written here.
    #[error("inode {nid}: {problem}")]
    Inode {
        /// The inode's place.
        nid: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// The structures need more bytes than there are, so some of them share bytes.
    #[error(
        "inode {nid}: all metadata up to it needs more than the {budget_bytes} bytes there are"
    )]
    Budget {
        /// The inode at which it was noticed.
        nid: u64,
        /// How much was allowed.
        budget_bytes: u64,
    },
    /// A file lies on a device that was not given.
    #[error("a file lies on device {device}, and {devices} were given")]
    Device {
        /// The index of the device.
        device: u16,
        /// How many there are.
        devices: usize,
    },
}
