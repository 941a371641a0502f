//! A file tree as data: all that a container can see of it, and the differences between two.
//!
//! Not compared, because file systems differ in them: sizes and link counts of directories, modes of
//! symbolic links, inode numbers (names of one inode are told by the first of them).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use sandbox_images::oci::digest::{Digest, Hasher};

/// The most differences that are worth reading.
const DIFFERENCES_SHOWN_MAX: usize = 40;

/// The largest extended attribute Linux has.
const XATTR_BYTES_MAX: usize = 65_536;

/// What can be seen of one path, each fact under its name.
type Facts = BTreeMap<String, String>;

/// Every path below a root, and the root as the empty path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FileTree(BTreeMap<Vec<u8>, Facts>);

impl FileTree {
    /// Reads the tree at `root`, contents included.
    pub(crate) fn read(root: &Path) -> Self {
        let mut paths = vec![Vec::new()];
        let mut tree = BTreeMap::new();
        let mut inodes: BTreeMap<(u64, u64), Vec<Vec<u8>>> = BTreeMap::new();
        while let Some(path) = paths.pop() {
            let full = root.join(OsStr::from_bytes(&path));
            let metadata = fs::symlink_metadata(&full).unwrap_or_else(|e| unreadable(&full, &e));
            if metadata.is_dir() {
                let names = fs::read_dir(&full).unwrap_or_else(|e| unreadable(&full, &e));
                paths.extend(names.map(|entry| {
                    let name = entry.unwrap_or_else(|e| unreadable(&full, &e)).file_name();
                    joined(&path, name.as_bytes())
                }));
            } else if metadata.nlink() > 1 {
                let inode = (metadata.dev(), metadata.ino());
                inodes.entry(inode).or_default().push(path.clone());
            }
            let facts = facts(&full, &metadata).unwrap_or_else(|e| unreadable(&full, &e));
            tree.insert(path, facts);
        }
        for mut names in inodes.into_values() {
            names.sort();
            let first = names[0].escape_ascii().to_string();
            for name in &names {
                if let Some(facts) = tree.get_mut(name) {
                    facts.insert("same file as".to_owned(), first.clone());
                }
            }
        }
        Self(tree)
    }

    /// The number of paths, the root included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first differences to `other`, one a line, empty if the trees are equal.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let nothing = Facts::new();
        let mut paths: Vec<&Vec<u8>> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort();
        paths.dedup();
        paths
            .into_iter()
            .flat_map(|path| {
                let (left, right) = (self.0.get(path), other.0.get(path));
                let only = match (left, right) {
                    (Some(_), None) => Some(format!("/{}: only left", path.escape_ascii())),
                    (None, Some(_)) => Some(format!("/{}: only right", path.escape_ascii())),
                    _ => None,
                };
                let both = left.zip(right).unwrap_or((&nothing, &nothing));
                only.into_iter().chain(fact_differences(path, both.0, both.1))
            })
            .take(DIFFERENCES_SHOWN_MAX)
            .collect()
    }

    /// Fails with the first differences if the trees are not equal; `left` and `right` name them.
    pub(crate) fn assert_equals(&self, other: &Self, left: &str, right: &str) {
        let differences = self.differences(other);
        assert!(
            differences.is_empty(),
            "{left} (left, {} paths) is not {right} (right, {} paths):\n{}",
            self.len(),
            other.len(),
            differences.join("\n"),
        );
    }
}

impl fmt::Display for FileTree {
    /// One line a path, sorted by path: for snapshots and for reading.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, facts) in &self.0 {
            write!(f, "/{}", path.escape_ascii())?;
            for (name, value) in facts {
                write!(f, " {name}={value}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ! {
    panic!("cannot read `{}`: {error}", path.display())
}

fn joined(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
    [parent, slash, name].concat()
}

fn fact_differences(path: &[u8], left: &Facts, right: &Facts) -> Vec<String> {
    let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
    names.sort();
    names.dedup();
    let shown = |facts: &Facts, name: &String| facts.get(name).cloned().unwrap_or("none".into());
    names
        .into_iter()
        .filter(|name| left.get(*name) != right.get(*name))
        .map(|name| {
            let (left, right) = (shown(left, name), shown(right, name));
            format!("/{}: {name}: {left} here, {right} there", path.escape_ascii())
        })
        .collect()
}

fn facts(path: &Path, metadata: &fs::Metadata) -> io::Result<Facts> {
    let kind = metadata.file_type();
    let mut facts = xattrs(path)?;
    let mut fact = |name: &str, value: String| facts.insert(name.to_owned(), value);
    fact("uid", metadata.uid().to_string());
    fact("gid", metadata.gid().to_string());
    fact("mtime", format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()));
    if !kind.is_symlink() {
        fact("mode", format!("{:04o}", metadata.mode() & 0o7777));
    }
    if kind.is_file() {
        fact("size", metadata.len().to_string());
        fact("sha256", sha256_of(path)?.hex());
    } else if kind.is_symlink() {
        fact("target", fs::read_link(path)?.as_os_str().as_bytes().escape_ascii().to_string());
    } else if kind.is_char_device() || kind.is_block_device() {
        let device = metadata.rdev();
        fact("device", format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device)));
    }
    fact("type", kind_name(kind).to_owned());
    Ok(facts)
}

fn kind_name(kind: fs::FileType) -> &'static str {
    match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "symlink",
        () if kind.is_char_device() => "char",
        () if kind.is_block_device() => "block",
        () if kind.is_fifo() => "fifo",
        () => "socket",
    }
}

/// The extended attributes of the path itself, `xattr NAME` → the value with escapes.
fn xattrs(path: &Path) -> io::Result<Facts> {
    let attributes = read_xattrs(path)?;
    Ok(attributes
        .into_iter()
        .map(|(name, value)| (format!("xattr {name}"), value.escape_ascii().to_string()))
        .collect())
}

/// The extended attributes of the path itself; of symbolic links too.
pub(crate) fn read_xattrs(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut buffer = vec![0; XATTR_BYTES_MAX];
    let len = rustix::fs::llistxattr(path, &mut buffer[..])?;
    let names = buffer[..len].to_vec();
    names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let len = rustix::fs::lgetxattr(path, name, &mut buffer[..])?;
            Ok((String::from_utf8_lossy(name).into_owned(), buffer[..len].to_vec()))
        })
        .collect()
}

/// The digest of a file's content.
pub(crate) fn sha256_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..len]);
    }
}

#[test]
fn differences_name_path_fact_and_both_sides() {
    let directory = tempfile::tempdir().expect("a temporary directory is made");
    let (left, right) = (directory.path().join("left"), directory.path().join("right"));
    for root in [&left, &right] {
        fs::create_dir(root).expect("a directory is made");
        fs::write(root.join("a"), "same").expect("a file is written");
    }
    fs::hard_link(left.join("a"), left.join("b")).expect("a link is made");
    fs::write(right.join("b"), "other").expect("a file is written");

    let differences = FileTree::read(&left).differences(&FileTree::read(&right)).join("\n");
    assert!(differences.contains("/a: same file as: a here, none there"), "{differences}");
    assert!(differences.contains("/b: size: 4 here, 5 there"), "{differences}");
    assert!(FileTree::read(&left).differences(&FileTree::read(&left)).is_empty());
}
