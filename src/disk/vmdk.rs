//! The disk as a VMDK descriptor: the subset of the format that QEMU, imago and cloud-hypervisor all read.
//!
//! One `RW` line a file, never split and never with an offset, since readers lost bytes silently there;
//! `RW` because QEMU skips or refuses `RDONLY`, so a disk is attached read-only; no keys but these, since
//! imago refuses others. Names are relative to the descriptor. Parsing is strict: a text is accepted if
//! rendering gives it again.

use std::fmt::Write as _;

use crate::disk::extents::Extent;
use crate::oci::digest::Digest;

/// Bytes of one extent's name: QEMU scans it into a buffer of 512.
pub const NAME_BYTES_MAX: usize = 511;

/// Bytes of a descriptor that are read: the longest names of 1,024 extents fit, twice the layers that an
/// image may have.
pub const DESCRIPTOR_BYTES_MAX: usize = 1024 * (NAME_BYTES_MAX + 40) + 1024;

/// Sectors of a cylinder of the geometry that is stated: 16 heads of 63 sectors.
const CYLINDER_SECTORS: u64 = 16 * 63;

/// Why a disk cannot be a VMDK descriptor, or a text is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VmdkError {
    /// A name is not made of the characters that every reader takes as they are.
    #[error("extent name `{}` is not 1 to 511 bytes of `A-Z a-z 0-9 . _ / -`", .0.escape_default())]
    Name(String),
    /// An extent has no sectors, or all have more than can be counted.
    #[error("extent `{name}` has {sectors} sectors, which makes no disk")]
    Sectors {
        /// The extent's file.
        name: String,
        /// Its sectors.
        sectors: u64,
    },
    /// There is nothing on the disk.
    #[error("a disk needs at least one extent")]
    Empty,
    /// The text is longer than any descriptor.
    #[error("the descriptor has {0} bytes, at most {DESCRIPTOR_BYTES_MAX} are read")]
    Long(usize),
    /// A line is not what it must be.
    #[error("line {line} of the descriptor is not as it is written")]
    Line {
        /// The line, counted from 1.
        line: usize,
    },
}

/// A disk as a VMDK descriptor states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vmdk {
    /// The content's identity, from the fsmeta's digest.
    pub cid: u32,
    /// The files, named relative to the descriptor.
    pub extents: Vec<Extent<String>>,
}

impl Vmdk {
    /// The descriptor of a disk whose fsmeta has the SHA-256 `fsmeta`.
    pub fn new(fsmeta: &Digest, extents: Vec<Extent<String>>) -> Self {
        let [a, b, c, d, ..] = *fsmeta.as_bytes();
        // `ffffffff` is how a descriptor says that it has no parent.
        let cid = u32::from_be_bytes([a, b, c, d]).min(0xffff_fffe);
        Self { cid, extents }
    }

    /// The descriptor's text.
    pub fn render(&self) -> Result<String, VmdkError> {
        if self.extents.is_empty() {
            return Err(VmdkError::Empty);
        }
        let mut lines = String::new();
        let mut total = 0_u64;
        for Extent { file, sectors } in &self.extents {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
            if !(1..=NAME_BYTES_MAX).contains(&file.len()) || !file.bytes().all(plain) {
                return Err(VmdkError::Name(file.clone()));
            }
            total = total
                .checked_add(*sectors)
                .filter(|_| *sectors > 0)
                .ok_or_else(|| VmdkError::Sectors { name: file.clone(), sectors: *sectors })?;
            writeln!(lines, "RW {sectors} FLAT \"{file}\" 0")
                .expect("writing to a string cannot fail");
        }
        let cylinders = total.div_ceil(CYLINDER_SECTORS);
        let cid = self.cid;
        Ok(format!(
            "# Disk DescriptorFile\n\
             version=1\n\
             CID={cid:08x}\n\
             parentCID=ffffffff\n\
             createType=\"twoGbMaxExtentFlat\"\n\
             \n\
             # Extent description\n\
             {lines}\
             \n\
             # The Disk Data Base\n\
             #DDB\n\
             ddb.virtualHWVersion = \"4\"\n\
             ddb.geometry.cylinders = \"{cylinders}\"\n\
             ddb.geometry.heads = \"16\"\n\
             ddb.geometry.sectors = \"63\"\n\
             ddb.adapterType = \"ide\"\n"
        ))
    }

    /// Reads a text that [`Vmdk::render`] has written, and no other.
    pub fn parse(text: &str) -> Result<Self, VmdkError> {
        if text.len() > DESCRIPTOR_BYTES_MAX {
            return Err(VmdkError::Long(text.len()));
        }
        let cid = text
            .lines()
            .nth(2)
            .and_then(|line| u32::from_str_radix(line.strip_prefix("CID=")?, 16).ok())
            .filter(|&cid| cid != u32::MAX)
            .ok_or(VmdkError::Line { line: 3 })?;
        let mut extents = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("RW ") {
                extents.push(parse_extent(line).ok_or(VmdkError::Line { line: index + 1 })?);
            }
        }
        let vmdk = Self { cid, extents };
        let expected = vmdk.render()?;
        let equal_lines = text
            .split_inclusive('\n')
            .zip(expected.split_inclusive('\n'))
            .take_while(|(actual, expected)| actual == expected)
            .count();
        if text == expected {
            return Ok(vmdk);
        }
        Err(VmdkError::Line { line: equal_lines + 1 })
    }
}

fn parse_extent(line: &str) -> Option<Extent<String>> {
    let (sectors, name) = line.strip_prefix("RW ")?.split_once(" FLAT \"")?;
    Some(Extent { file: name.strip_suffix("\" 0")?.to_owned(), sectors: sectors.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(file: &str, sectors: u64) -> Extent<String> {
        Extent { file: file.to_owned(), sectors }
    }

    fn example() -> Vmdk {
        let extents = vec![
            extent("../fsmeta/sha256/ab.erofs", 16),
            extent("../layers/sha256/cd.erofs", 1000),
        ];
        Vmdk::new(&Digest::of("abc"), extents)
    }

    #[test]
    fn a_descriptor_reads_what_it_writes() {
        let text = example().render().unwrap();
        assert_eq!(
            text,
            r#"# Disk DescriptorFile
version=1
CID=ba7816bf
parentCID=ffffffff
createType="twoGbMaxExtentFlat"

# Extent description
RW 16 FLAT "../fsmeta/sha256/ab.erofs" 0
RW 1000 FLAT "../layers/sha256/cd.erofs" 0

# The Disk Data Base
#DDB
ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "2"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
"#
        );
        assert_eq!(Vmdk::parse(&text), Ok(example()));
    }

    #[test]
    fn any_other_text_is_refused_with_its_line() {
        let text = example().render().unwrap();
        for (from, to, line) in [
            ("CID=ba", "CID=BA", 3),
            ("CID=ba7816bf", "CID=ffffffff", 3),
            ("RW 16", "RW 016", 8),
            ("RW 16", "RW +16", 8),
            ("RW 16", "RDONLY 16", 8),
            ("ab.erofs\" 0", "ab.erofs\" 8", 8),
            ("\"2\"", "\"3\"", 14),
            ("\"ide\"\n", "\"ide\"", 17),
            ("\"ide\"\n", "\"ide\"\nencoding=\"UTF-8\"\n", 18),
        ] {
            let other = text.replacen(from, to, 1);
            assert_eq!(Vmdk::parse(&other), Err(VmdkError::Line { line }), "{to}");
        }
        assert!(Vmdk::parse("").is_err());
    }

    #[test]
    fn names_that_readers_disagree_on_are_refused() {
        for name in ["", "a b", "a\"b", "a\\b", "ü", &"a".repeat(512)] {
            let vmdk = Vmdk { cid: 0, extents: vec![extent(name, 8)] };
            assert_eq!(vmdk.render(), Err(VmdkError::Name(name.to_owned())));
        }
        let empty = Vmdk { cid: 0, extents: vec![extent("a", 0)] };
        assert!(matches!(empty.render(), Err(VmdkError::Sectors { .. })));
    }

    #[test]
    fn the_cid_is_never_the_one_that_means_no_parent() {
        let all_ones = Digest::from_hex(&"f".repeat(64)).unwrap();
        assert_eq!(Vmdk::new(&all_ones, vec![]).cid, 0xffff_fffe);
    }
}
