//! Following symlinks inside a tree that is not on any disk, as the kernel would below a `chroot`.
//!
//! A path is walked name by name. A symlink's target takes the name's place, from the root when it is
//! absolute. What is missing is not an error: a caller that puts something there creates it.

use crate::layer::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX, SYMLINKS_FOLLOWED_MAX};
use crate::layer::tree::{DirectoryId, InodeId, Kind, Name, Node, Tree};

/// Names looked at on the way to one path, those in the targets of symlinks included. Forty symlinks of
/// 2,000 names each would otherwise cost each entry of a hostile layer 80,000 lookups.
const NAMES_LOOKED_AT_MAX: usize = 1024;

/// What a name in a place is.
pub(super) enum Step<'a, P> {
    /// A directory, and the place that it is.
    Directory(P),
    /// A symlink with this target.
    Symlink(&'a [u8]),
    /// Anything else.
    Other,
    /// Nothing.
    Missing,
}

/// What `name` is in the directory `place` of `tree`.
pub(super) fn look_up<'a>(
    tree: &'a Tree,
    place: DirectoryId,
    name: &[u8],
) -> Step<'a, DirectoryId> {
    match tree.directory(place).entries.get(name) {
        None => Step::Missing,
        Some(&Node::Directory(id)) => Step::Directory(id),
        Some(&Node::Inode(id)) => look_at(tree, id),
    }
}

/// What an inode of `tree` is to a path that goes on behind it.
pub(super) fn look_at<P>(tree: &Tree, inode: InodeId) -> Step<'_, P> {
    match &tree.inode(inode).kind {
        Kind::Symlink(target) => Step::Symlink(target),
        _ => Step::Other,
    }
}

/// What `..` does at the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtRoot {
    /// It stays there, as for the kernel.
    Stay,
    /// It is an error: a layer has no business above its own root.
    Refuse,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Something on the way exists and cannot have entries.
    #[error("its parent is not a directory")]
    NotDirectory,
    /// More symlinks than Linux follows, or more names than any real path has.
    #[error("the symlinks on its way form a loop or are too many")]
    Loop,
    /// A symlink of the layer leads above the root.
    #[error("a symlink on its way leads out of the root")]
    Escape,
    /// The path behind the symlinks is longer than a path may be.
    #[error(
        "the path behind its symlinks is over {PATH_BYTES_MAX} bytes, {PATH_DEPTH_MAX} names, or {NAME_BYTES_MAX} bytes a name"
    )]
    TooLong,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Resolved<P> {
    /// The deepest directory on the way that exists.
    pub(super) place: P,
    /// The names below it that do not exist yet.
    pub(super) missing: Vec<Name>,
    /// The path without symlinks, `.` and `..`, without a leading `/`; empty for the root.
    pub(super) path: Vec<u8>,
}

/// Follows `path` from the directory `root` to a directory, asking `look_up` what each name is.
pub(super) fn resolve<'a, P: Copy>(
    root: P,
    path: &'a [u8],
    at_root: AtRoot,
    look_up: impl Fn(P, &[u8]) -> Step<'a, P>,
) -> Result<Resolved<P>, ResolveError> {
    let mut places = vec![root];
    let mut names: Vec<&'a [u8]> = Vec::new();
    let mut ahead = vec![path];
    let mut looked_at = 0;
    let mut followed = 0;
    while let Some(name) = next_name(&mut ahead) {
        looked_at += 1;
        if looked_at > NAMES_LOOKED_AT_MAX {
            return Err(ResolveError::Loop);
        }
        if name == b".." {
            if names.pop().is_none() && at_root == AtRoot::Refuse {
                return Err(ResolveError::Escape);
            }
            places.truncate(names.len() + 1);
            continue;
        }
        let exists = places.len() == names.len() + 1;
        match places.last().filter(|_| exists) {
            None => names.push(name),
            Some(&place) => match look_up(place, name) {
                Step::Missing => names.push(name),
                Step::Other => return Err(ResolveError::NotDirectory),
                Step::Directory(next) => {
                    names.push(name);
                    places.push(next);
                }
                Step::Symlink(target) => {
                    followed += 1;
                    if followed > SYMLINKS_FOLLOWED_MAX {
                        return Err(ResolveError::Loop);
                    }
                    if target.starts_with(b"/") {
                        names.clear();
                        places.truncate(1);
                    }
                    ahead.push(target);
                }
            },
        }
    }
    let place = places.last().copied().unwrap_or(root);
    let path = names.join(&b'/');
    let name_bytes_max = names.iter().map(|name| name.len()).max().unwrap_or(0);
    if path.len() > PATH_BYTES_MAX
        || names.len() > PATH_DEPTH_MAX
        || name_bytes_max > NAME_BYTES_MAX
    {
        return Err(ResolveError::TooLong);
    }
    let missing = names.drain(places.len() - 1..).map(Name::from).collect();
    Ok(Resolved { place, missing, path })
}

/// Takes the next name, `..` included, from the innermost text that has one.
fn next_name<'a>(ahead: &mut Vec<&'a [u8]>) -> Option<&'a [u8]> {
    while let Some(text) = ahead.last_mut() {
        if text.is_empty() {
            ahead.pop();
            continue;
        }
        let end = text.iter().position(|&byte| byte == b'/');
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        *text = rest.strip_prefix(b"/").unwrap_or(rest);
        if !name.is_empty() && name != b"." {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory `usr` with a directory `lib`, symlinks beside it, and a file.
    fn example<'a>(place: u8, name: &[u8]) -> Step<'a, u8> {
        match (place, name) {
            (0, b"usr") => Step::Directory(1),
            (1, b"lib") => Step::Directory(2),
            (0, b"lib") => Step::Symlink(b"usr/./lib"),
            (1, b"absolute") => Step::Symlink(b"/usr//lib/"),
            (1, b"up") => Step::Symlink(b"../../usr"),
            (0, b"loop") => Step::Symlink(b"loop"),
            (0, b"dangling") => Step::Symlink(b"no/where/../there"),
            (0, b"file") => Step::Other,
            _ => Step::Missing,
        }
    }

    #[track_caller]
    fn check(path: &str, expected: Result<(&str, usize), ResolveError>) {
        let resolved = resolve(0, path.as_bytes(), AtRoot::Refuse, example);
        let resolved = resolved.map(|it| (String::from_utf8(it.path).unwrap(), it.missing.len()));
        assert_eq!(resolved, expected.map(|(path, n)| (path.to_owned(), n)));
    }

    #[test]
    fn symlinks_are_followed_inside_the_root() {
        check("usr/lib", Ok(("usr/lib", 0)));
        check("lib", Ok(("usr/lib", 0)));
        check("usr/absolute/x/y", Ok(("usr/lib/x/y", 2)));
        check("dangling", Ok(("no/there", 2)));
        check("", Ok(("", 0)));
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        check("file/x", Err(ResolveError::NotDirectory));
        check("loop", Err(ResolveError::Loop));
        check("usr/up", Err(ResolveError::Escape));
        check(&"x/".repeat(257), Err(ResolveError::TooLong));
        check(&"x/".repeat(1025), Err(ResolveError::Loop));
        check(&"x".repeat(256), Err(ResolveError::TooLong));
    }

    #[test]
    fn above_the_root_there_is_only_the_root() {
        let resolved = resolve(0, b"usr/up/lib", AtRoot::Stay, example).unwrap();
        assert_eq!((resolved.place, &resolved.path[..]), (2, &b"usr/lib"[..]));
    }
}
