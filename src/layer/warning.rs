//! What was dropped or decided while a layer was read or merged, as data. Nothing here stops a run.

use std::fmt;

use crate::layer::show::DisplayBytes;

/// Warnings kept of one layer or one merge; further ones are only counted. More than this says nothing
/// new to a person, and a hostile layer must not fill memory with them.
pub const WARNINGS_MAX: usize = 100;

/// What was noticed about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// An extended attribute was dropped: overlayfs, or this program, would take it for an instruction.
    XattrReserved(Box<[u8]>),
    /// An extended attribute was dropped: Linux has no such namespace, nor has EROFS.
    XattrNamespace(Box<[u8]>),
    /// A `user.*` attribute was dropped: Linux has them on regular files and directories only.
    XattrUser(Box<[u8]>),
    /// A hard link's own metadata differs from that of its target, and was ignored.
    LinkMetadata,
    /// The entry arrived through a symlink of a lower layer at this path, where an entry of the same layer already was.
    /// That one was kept.
    LiteralKept(Box<[u8]>),
}

/// A warning about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The entry's path as its layer has it, cleaned.
    pub path: Box<[u8]>,
    /// Where the entry's header starts in the uncompressed tar; `None` when the stack was merged.
    pub offset_bytes: Option<u64>,
    /// What was noticed.
    pub kind: WarningKind,
}

impl Warning {
    /// A stable word for this kind of warning.
    pub const fn code(&self) -> &'static str {
        match self.kind {
            WarningKind::XattrReserved(_) => "xattr-reserved",
            WarningKind::XattrNamespace(_) => "xattr-namespace",
            WarningKind::XattrUser(_) => "xattr-user",
            WarningKind::LinkMetadata => "link-metadata",
            WarningKind::LiteralKept(_) => "literal-kept",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = DisplayBytes(&self.path);
        match &self.kind {
            WarningKind::XattrReserved(name) => {
                let name = DisplayBytes(name);
                write!(f, "`{path}`: reserved attribute `{name}` is dropped")
            }
            WarningKind::XattrNamespace(name) => {
                let name = DisplayBytes(name);
                write!(f, "`{path}`: attribute `{name}` of an unknown namespace is dropped")
            }
            WarningKind::XattrUser(name) => {
                let name = DisplayBytes(name);
                write!(
                    f,
                    "`{path}`: attribute `{name}` is dropped, as neither a file nor a directory can have it"
                )
            }
            WarningKind::LinkMetadata => {
                write!(
                    f,
                    "`{path}`: the hard link's own metadata differs from its target's and is ignored"
                )
            }
            WarningKind::LiteralKept(kept) => {
                let kept = DisplayBytes(kept);
                write!(
                    f,
                    "`{path}`: leads through a symlink to `{kept}`, which the same layer also has and which is kept"
                )
            }
        }
    }
}

/// The first [`WARNINGS_MAX`] warnings, and the number of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings {
    kept: Vec<Warning>,
    dropped: u64,
}

impl Warnings {
    /// Adds one, or counts it when there are enough.
    pub(super) fn push(&mut self, path: &[u8], offset_bytes: Option<u64>, kind: WarningKind) {
        if self.kept.len() < WARNINGS_MAX {
            self.kept.push(Warning { path: path.into(), offset_bytes, kind });
        } else {
            self.dropped += 1;
        }
    }

    /// The warnings that were kept, in the order of what they are about.
    pub fn iter(&self) -> std::slice::Iter<'_, Warning> {
        self.kept.iter()
    }

    /// How many more there were.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether there was nothing to warn of.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl<'a> IntoIterator for &'a Warnings {
    type Item = &'a Warning;
    type IntoIter = std::slice::Iter<'a, Warning>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_bounded_and_the_rest_is_counted() {
        let mut warnings = Warnings::default();
        for _ in 0..WARNINGS_MAX + 7 {
            warnings.push(b"a", Some(512), WarningKind::LinkMetadata);
        }
        assert_eq!((warnings.iter().len(), warnings.dropped()), (100, 7));
    }

    #[test]
    fn a_warning_is_one_safe_line() {
        let mut warnings = Warnings::default();
        warnings.push(b"a\n", None, WarningKind::XattrReserved((*b"trusted.overlay.\x1b").into()));
        let line = warnings.iter().next().unwrap().to_string();
        assert_eq!(line, "`a\\n`: reserved attribute `trusted.overlay.\\u{1b}` is dropped");
    }
}
