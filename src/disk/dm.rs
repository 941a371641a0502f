//! The disk as a device-mapper table: one linear target a file, for scripts that attach loop devices.
//!
//! A target names a block device, and a file becomes one only when somebody attaches it. So each line has
//! the file in the device's place, as `losetup --find --show --read-only` takes it:
//!
//! ```text
//! <first sector> <sectors> linear <file> 0
//! ```
//!
//! The words of a line are separated by one space, and no file that is named has a space, so a script
//! reads them with `read -r start sectors target file offset`.

use std::fmt::Write as _;

use crate::disk::extents::Extent;

/// Why a disk cannot be a device-mapper table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DmError {
    /// A script would take the name for several words, or for another name.
    #[error("file name `{}` has a space, a backslash, a quote or a control character", .0.escape_default())]
    Name(String),
    /// An extent has no sectors, or all have more than can be counted.
    #[error("extent `{name}` has {sectors} sectors, which makes no disk")]
    Sectors {
        /// The extent's file.
        name: String,
        /// Its sectors.
        sectors: u64,
    },
}

/// The table of a disk, a line for each of its files.
pub fn table(extents: &[Extent<String>]) -> Result<String, DmError> {
    let mut table = String::new();
    let mut start = 0_u64;
    for Extent { file, sectors } in extents {
        if file.is_empty() || !file.chars().all(is_plain) {
            return Err(DmError::Name(file.clone()));
        }
        writeln!(table, "{start} {sectors} linear {file} 0")
            .expect("writing to a string cannot fail");
        start = start
            .checked_add(*sectors)
            .filter(|_| *sectors > 0)
            .ok_or_else(|| DmError::Sectors { name: file.clone(), sectors: *sectors })?;
    }
    Ok(table)
}

/// Whether a shell reads the character as it is, and as a part of one word.
fn is_plain(char: char) -> bool {
    !char.is_whitespace() && !char.is_control() && !"\\\"'".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(file: &str, sectors: u64) -> Extent<String> {
        Extent { file: file.to_owned(), sectors }
    }

    #[test]
    fn each_file_begins_where_the_one_before_ends() {
        let extents = [extent("/s/a.erofs", 16), extent("/s/größe", 24), extent("/s/c", 8)];
        assert_eq!(
            table(&extents).unwrap(),
            "0 16 linear /s/a.erofs 0\n16 24 linear /s/größe 0\n40 8 linear /s/c 0\n"
        );
    }

    #[test]
    fn a_name_that_a_script_would_misread_is_refused() {
        for name in ["", "/a b", "/a\tb", "/a\nb", "/a\\b", "/a'b", "/a\u{7f}b"] {
            assert_eq!(table(&[extent(name, 8)]), Err(DmError::Name(name.to_owned())));
        }
        assert!(matches!(table(&[extent("/a", 0)]), Err(DmError::Sectors { .. })));
        let endless = [extent("/a", u64::MAX), extent("/b", 1)];
        assert!(matches!(table(&endless), Err(DmError::Sectors { .. })));
    }
}
