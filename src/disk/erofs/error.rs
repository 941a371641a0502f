//! Why a tree cannot become an EROFS image.

use std::io;

/// Why a tree cannot become an EROFS image. Each limit is one of the format's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is empty, too long, `.` or `..`, or holds `/` or NUL.
    #[error("`{}` cannot be a file name", .0.escape_ascii())]
    Name(Box<[u8]>),
    /// Two names refer to one directory.
    #[error("directory `{}` has a second name", .0.escape_ascii())]
    DirectoryTwice(Box<[u8]>),
    /// An attribute's namespace has no number in EROFS, or its name has no or too much text in it.
    #[error("extended attribute `{}` has a name that EROFS cannot hold", .0.escape_ascii())]
    XattrName(Box<[u8]>),
    /// An attribute's value is too long.
    #[error(
        "extended attribute `{}` has {size_bytes} bytes, EROFS holds at most 65535", name.escape_ascii()
    )]
    XattrValue {
        /// The attribute's full name.
        name: Box<[u8]>,
        /// Bytes of its value.
        size_bytes: usize,
    },
    /// All attributes of one inode are too long together.
    #[error("the extended attributes of one inode need {0} bytes, EROFS holds at most 262148")]
    Xattrs(usize),
    /// A symlink's target is empty or too long.
    #[error("a symlink's target has {0} bytes, not 1 to 4095")]
    Symlink(usize),
    /// A device number is beyond Linux's 12 and 20 bits.
    #[error("device {major}:{minor} is beyond 4095:1048575")]
    Device {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// A time has a whole second or more in its nanoseconds.
    #[error("a time has {0} nanoseconds past its second")]
    Nanoseconds(u32),
    /// A file's bytes are in a layer that the stack does not have.
    #[error("a file lies in layer {layer} of a stack of {layers}")]
    Layer {
        /// The layer that was named, counted from 0.
        layer: u16,
        /// How many there are.
        layers: usize,
    },
    /// A file's bytes are outside the layer image that should hold them.
    #[error(
        "a file of {size_bytes} bytes at block {address} lies outside its image of {blocks} blocks"
    )]
    Content {
        /// The file's first block.
        address: u32,
        /// Its apparent size.
        size_bytes: u64,
        /// The length of the image.
        blocks: u32,
    },
    /// A file ends before bytes that were written to it.
    #[error("a file of {size_bytes} bytes was given bytes up to {written_bytes}")]
    Size {
        /// The size that was stated at its end.
        size_bytes: u64,
        /// Where its last bytes ended.
        written_bytes: u64,
    },
    /// Blocks are counted in 32 bits, of which the largest value means "none".
    #[error("{0} needs more than 4294967294 blocks of 4096 bytes")]
    Blocks(&'static str),
    /// Inodes, names and attributes are too many together.
    #[error("the metadata needs {size_bytes} bytes, at most {max_bytes} are written")]
    Metadata {
        /// What it needs.
        size_bytes: u64,
        /// The limit, [`METADATA_BYTES_MAX`](super::format::METADATA_BYTES_MAX).
        max_bytes: u64,
    },
    /// The file that takes the image failed.
    #[error("cannot write the image")]
    Io(#[from] io::Error),
}
