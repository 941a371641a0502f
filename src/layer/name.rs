//! What an entry's name says: which path it is, and whether it is a whiteout.
//!
//! Only the text is judged here. A leading `/`, `//` and `.` are dropped, and `..` takes the name before
//! it away, as containerd has it; a name that would leave the root, or is nothing but `..`, is refused
//! where containerd clamps it.

use crate::layer::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX};

/// The prefix of a whiteout (OCI image-spec `layer.md`, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";

/// The name of an opaque marker (OCI image-spec `layer.md`, "Opaque Whiteout").
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The prefix of AUFS's own files, such as `.wh..wh.plnk`; Docker and containerd skip them all.
const AUFS: &[u8] = b".wh..wh.";

/// Why a name is not one that a layer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// No file system can hold it.
    #[error("the name holds a NUL byte")]
    Nul,
    /// `..` beyond the root, or nothing but `..`.
    #[error("the name leads out of the root")]
    Escape,
    /// More than `PATH_MAX`.
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    PathTooLong,
    /// More than `NAME_MAX`.
    #[error("a name in the path is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// Deeper than what can be walked.
    #[error("the path is deeper than {PATH_DEPTH_MAX} names")]
    TooDeep,
    /// A whiteout of nothing, of `.` or of `..`.
    #[error("the whiteout names no file")]
    Whiteout,
    /// A directory that begins with `.wh.`.
    #[error("a directory in the path begins with `.wh.`")]
    BelowWhiteout,
}

/// What a name means, apart from the kind of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The root itself.
    Root,
    /// An entry of this name.
    Entry,
    /// Removes the lower entry of this name, which is the last name of the path without `.wh.`.
    Whiteout(Box<[u8]>),
    /// Hides what is lower in the directory.
    Opaque,
    /// AUFS's own, of no meaning.
    Aufs,
}

/// A path without `.`, `..` and empty names, within all limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanPath {
    bytes: Vec<u8>,
    parent_bytes: usize,
}

impl CleanPath {
    /// Cleans and judges `path` as an archive has it.
    pub fn parse(path: &[u8]) -> Result<Self, NameError> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut bytes = 0;
        let mut went_up = false;
        for name in path.split(|&byte| byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." => {
                    let left = names.pop().ok_or(NameError::Escape)?;
                    bytes -= left.len() + 1;
                    went_up = true;
                }
                _ => {
                    bytes += name.len() + 1;
                    names.push(name);
                }
            }
        }
        if path.is_empty() {
            return Err(NameError::Empty);
        }
        if names.is_empty() && went_up {
            return Err(NameError::Escape);
        }
        check_limits(&names, bytes.saturating_sub(1))?;
        let name_bytes = names.last().map_or(0, |name| name.len());
        let bytes = names.join(&b'/');
        Ok(Self { parent_bytes: bytes.len().saturating_sub(name_bytes + 1), bytes })
    }

    /// The whole path, without a leading `/`; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The path of the directory that the last name is in; empty for the root.
    pub fn parent(&self) -> &[u8] {
        &self.bytes[..self.parent_bytes]
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &[u8] {
        let name = &self.bytes[self.parent_bytes..];
        name.strip_prefix(b"/").unwrap_or(name)
    }

    /// What the path means in a layer.
    pub fn meaning(&self) -> Result<Meaning, NameError> {
        if self.bytes.is_empty() {
            return Ok(Meaning::Root);
        }
        for name in self.parent().split(|&byte| byte == b'/') {
            if is_aufs(name) {
                return Ok(Meaning::Aufs);
            }
            if name.starts_with(WHITEOUT) {
                return Err(NameError::BelowWhiteout);
            }
        }
        match self.name() {
            OPAQUE => Ok(Meaning::Opaque),
            name if is_aufs(name) => Ok(Meaning::Aufs),
            name => match name.strip_prefix(WHITEOUT) {
                None => Ok(Meaning::Entry),
                Some(b"" | b"." | b"..") => Err(NameError::Whiteout),
                Some(hidden) => Ok(Meaning::Whiteout(hidden.into())),
            },
        }
    }
}

/// The path of `name` in the directory at `parent`, which is empty for the root.
pub(super) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, name].join(&b'/') }
}

/// Bytes of the longest name that may stand in the directory at `parent`, as far as the path's length and depth go.
pub(super) fn longest_name_in(parent: &[u8]) -> usize {
    if parent.is_empty() {
        return PATH_BYTES_MAX;
    }
    let names = parent.split(|&byte| byte == b'/').count();
    if names < PATH_DEPTH_MAX { PATH_BYTES_MAX.saturating_sub(parent.len() + 1) } else { 0 }
}

/// Whether `path` may stand in a tree, as far as its length and depth go.
pub(super) fn is_short_enough(path: &[u8]) -> bool {
    path.len() <= PATH_BYTES_MAX && path.split(|&byte| byte == b'/').count() <= PATH_DEPTH_MAX
}

fn check_limits(names: &[&[u8]], path_bytes: usize) -> Result<(), NameError> {
    if names.iter().any(|name| name.contains(&0)) {
        Err(NameError::Nul)
    } else if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        Err(NameError::NameTooLong)
    } else if names.len() > PATH_DEPTH_MAX {
        Err(NameError::TooDeep)
    } else if path_bytes > PATH_BYTES_MAX {
        Err(NameError::PathTooLong)
    } else {
        Ok(())
    }
}

fn is_aufs(name: &[u8]) -> bool {
    name.starts_with(AUFS) && name != OPAQUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<&str, NameError>) {
        let cleaned = CleanPath::parse(path.as_bytes());
        let cleaned = cleaned.map(|path| String::from_utf8(path.bytes).unwrap());
        assert_eq!(cleaned, expected.map(str::to_owned), "{path:.80}");
    }

    #[test]
    fn names_are_cleaned() {
        check("./etc/a", Ok("etc/a"));
        check("//etc/.//x/./y/", Ok("etc/x/y"));
        check("a/../b", Ok("b"));
        check("./", Ok(""));
        check("/", Ok(""));
        check("...", Ok("..."));
    }

    #[test]
    fn names_that_cannot_be_stored_are_refused() {
        check("", Err(NameError::Empty));
        check("..", Err(NameError::Escape));
        check("a/..", Err(NameError::Escape));
        check("a/../../a/b", Err(NameError::Escape));
        check("a\0b", Err(NameError::Nul));
        check(&"n".repeat(255), Ok(&"n".repeat(255)));
        check(&"n".repeat(256), Err(NameError::NameTooLong));
        check(&"d/".repeat(257), Err(NameError::TooDeep));
        check(&format!("{}/", "n".repeat(240)).repeat(18), Err(NameError::PathTooLong));
    }

    #[track_caller]
    fn check_meaning(path: &str, expected: &Result<Meaning, NameError>) {
        let path = CleanPath::parse(path.as_bytes()).unwrap();
        assert_eq!(&path.meaning(), expected);
    }

    #[test]
    fn the_last_name_tells_a_whiteout() {
        check_meaning("./", &Ok(Meaning::Root));
        check_meaning("a/b", &Ok(Meaning::Entry));
        check_meaning("a/.wh.b", &Ok(Meaning::Whiteout((*b"b").into())));
        check_meaning(".wh..wh..opq", &Ok(Meaning::Opaque));
        check_meaning(".wh..wh.plnk/1.2", &Ok(Meaning::Aufs));
        check_meaning("a/.wh..wh.orph", &Ok(Meaning::Aufs));
        check_meaning("a/.whale", &Ok(Meaning::Entry));
        for path in [".wh.", ".wh..", "a/.wh..."] {
            check_meaning(path, &Err(NameError::Whiteout));
        }
        for path in [".wh.d/x", "a/.wh..wh..opq/b"] {
            check_meaning(path, &Err(NameError::BelowWhiteout));
        }
    }

    #[test]
    fn a_path_is_split_at_its_last_name() {
        let path = CleanPath::parse(b"a/b/c").unwrap();
        assert_eq!((path.parent(), path.name()), (&b"a/b"[..], &b"c"[..]));
        let path = CleanPath::parse(b"abc").unwrap();
        assert_eq!((path.parent(), path.name()), (&b""[..], &b"abc"[..]));
    }
}
