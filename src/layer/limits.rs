//! The largest things a layer may hold. Everything in a layer comes from outside, so everything has a
//! maximum; a limit that is hit is an error that names it, the value and how to raise it.

/// Limits on one layer and on a stack of layers. `Default` is what the documentation states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in one layer. The largest public images hold under a million.
    pub entries_max: u64,
    /// Layers in one image. Docker stops at 127; some build tools go to 500.
    pub layers_max: usize,
    /// Bytes of one layer after decompression.
    pub unpacked_bytes_max: u64,
    /// Below this many bytes, any compression ratio is accepted.
    pub ratio_free_bytes: u64,
    /// Beyond [`Limits::ratio_free_bytes`], unpacked bytes for each compressed byte; `None` accepts all.
    pub ratio_max: Option<u64>,
    /// Apparent sizes of all files of one layer together, holes included.
    pub apparent_bytes_max: u64,
    /// Bytes behind the end-of-archive marker, which are hashed but never read as entries.
    pub trailer_bytes_max: u64,
    /// Bytes of one PAX or GNU extension header. Go's limit.
    pub extension_bytes_max: u64,
    /// Records in one PAX header.
    pub pax_records_max: usize,
    /// Entries in one sparse map.
    pub sparse_entries_max: usize,
    /// Bytes of one extended attribute's name: Linux's `XATTR_NAME_MAX`.
    pub xattr_name_bytes_max: usize,
    /// Bytes of one extended attribute's value: EROFS holds the size in 16 bits.
    pub xattr_value_bytes_max: usize,
    /// Bytes of all extended attributes of one inode: EROFS counts them in units of 4 bytes, in 16 bits,
    /// and Linux lists at most 64 KiB of names.
    pub xattr_inode_bytes_max: usize,
}

/// Bytes of one path component: Linux's `NAME_MAX`, and EROFS's.
pub const NAME_BYTES_MAX: usize = 255;

/// Bytes of one path: Linux's `PATH_MAX`.
pub const PATH_BYTES_MAX: usize = 4096;

/// Components of one path. Deeper trees cannot be walked with bounded stacks and descriptors.
pub const PATH_DEPTH_MAX: usize = 256;

/// Bytes of a symlink's target: Linux's `PATH_MAX` without its NUL.
pub const SYMLINK_BYTES_MAX: usize = 4095;

/// Symlinks followed on the way to one path: Linux's `MAXSYMLINKS`.
pub const SYMLINKS_FOLLOWED_MAX: usize = 40;

/// A limit was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} {what} (`limits.{key}` in the user's `config.toml` raises this)")]
pub struct LimitExceeded {
    /// What there is too much of, in the plural, such as `entries in one layer`.
    pub what: &'static str,
    /// The largest number that is accepted.
    pub max: u64,
    /// The setting that raises the limit: the field of [`Limits`] with hyphens.
    pub key: &'static str,
}

impl LimitExceeded {
    /// Refuses `actual` above `max`.
    pub fn check(actual: u64, max: u64, what: &'static str, key: &'static str) -> Result<(), Self> {
        if actual > max {
            return Err(Self { what, max, key });
        }
        Ok(())
    }
}

impl Limits {
    /// Refuses a stack of `count` layers above [`Limits::layers_max`].
    pub fn check_layers(&self, count: usize) -> Result<(), LimitExceeded> {
        let (count, max) = (count as u64, self.layers_max as u64);
        LimitExceeded::check(count, max, "layers in one image", "layers-max")
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_max: 4_000_000,
            layers_max: 512,
            unpacked_bytes_max: 32 << 30,
            ratio_free_bytes: 1 << 30,
            ratio_max: Some(200),
            apparent_bytes_max: 1 << 40,
            trailer_bytes_max: 16 << 20,
            extension_bytes_max: 1 << 20,
            pax_records_max: 1024,
            sparse_entries_max: 1_048_576,
            xattr_name_bytes_max: 255,
            xattr_value_bytes_max: 65_535,
            xattr_inode_bytes_max: 128 << 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        let limits = Limits::default();
        assert_eq!((limits.entries_max, limits.layers_max), (4_000_000, 512));
        assert_eq!(limits.unpacked_bytes_max, 32 << 30, "32 GiB");
        assert_eq!((limits.ratio_free_bytes, limits.ratio_max), (1 << 30, Some(200)));
        assert_eq!(limits.apparent_bytes_max, 1 << 40, "1 TiB");
        assert_eq!(limits.trailer_bytes_max, 16 << 20, "16 MiB");
        assert_eq!((limits.extension_bytes_max, limits.pax_records_max), (1 << 20, 1024));
        assert_eq!(limits.sparse_entries_max, 1_048_576);
        assert_eq!((limits.xattr_name_bytes_max, limits.xattr_value_bytes_max), (255, 65_535));
        assert_eq!(limits.xattr_inode_bytes_max, 128 << 10, "128 KiB");
    }
}
