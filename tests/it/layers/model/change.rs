//! What one layer changes, by the paths that its entries resolve to.

use std::collections::{BTreeMap, BTreeSet};

use sandbox_images::layer::entry::{Entry, EntryKind};

/// Names of a path; empty for the root.
pub(super) type Path = Vec<String>;

/// A layer or a stack that is refused.
#[derive(Debug)]
pub(in crate::layers) struct Refused;

/// One file, whatever its names are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// Different for each entry that made one.
    number: usize,
    pub(super) is: Is,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Is {
    Content(u32),
    Symlink(String),
    /// A link into the layers below.
    Lower(Path),
}

#[derive(Debug, Clone)]
pub(super) enum Own {
    File(File),
    /// `None` is an implied directory.
    Directory(Option<u16>),
}

/// What one layer changes.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) entries: BTreeMap<Path, Own>,
    pub(super) opaque: BTreeSet<Path>,
    pub(super) whiteouts: BTreeSet<Path>,
}

pub(super) fn split(path: &[u8]) -> Path {
    let path = std::str::from_utf8(path).unwrap();
    let names = path.split('/').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

pub(super) fn child(parent: &[String], name: &str) -> Path {
    [parent, &[name.to_owned()]].concat()
}

/// What is at a path, for [`follow`].
pub(super) enum At {
    Directory,
    Symlink(String),
    Other,
    Nothing,
}

/// Follows all symlinks in `path`.
pub(super) fn follow(
    path: &[String],
    may_escape: bool,
    at: impl Fn(&[String]) -> At,
) -> Result<Path, Refused> {
    let mut done: Path = Vec::new();
    let mut ahead: Vec<String> = path.iter().rev().cloned().collect();
    let mut symlinks = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            if done.pop().is_none() && !may_escape {
                return Err(Refused);
            }
            continue;
        }
        let next = child(&done, &name);
        match at(&next) {
            At::Other => return Err(Refused),
            At::Directory | At::Nothing => done = next,
            At::Symlink(target) => {
                symlinks += 1;
                if symlinks > 40 {
                    return Err(Refused);
                }
                if target.starts_with('/') {
                    done.clear();
                }
                ahead.extend(split(target.as_bytes()).into_iter().rev());
            }
        }
    }
    Ok(done)
}

impl Change {
    pub(super) fn at(&self, path: &[String]) -> At {
        match self.entries.get(path) {
            None => At::Nothing,
            Some(Own::Directory(_)) => At::Directory,
            Some(Own::File(file)) => file.at(),
        }
    }

    pub(super) fn imply(&mut self, path: &[String]) {
        for end in 1..=path.len() {
            let entry = self.entries.entry(path[..end].to_vec());
            entry.or_insert(Own::Directory(None));
        }
    }

    /// Lets a whiteout beside an own entry act on that alone.
    pub(super) fn settle_whiteouts(&mut self) {
        for path in std::mem::take(&mut self.whiteouts) {
            match self.entries.get_mut(&path) {
                None => {
                    self.whiteouts.insert(path);
                }
                Some(Own::File(_)) => {}
                Some(Own::Directory(mode)) => {
                    *mode = mode.or(Some(0o755));
                    self.opaque.insert(path);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, path: &[String]) {
        let below = |it: &Path| it.starts_with(path);
        self.entries.retain(|it, _| !below(it));
        self.opaque.retain(|it| !below(it));
        self.whiteouts.retain(|it| !(below(it) && it.len() > path.len()));
    }

    pub(super) fn add(
        &mut self,
        entry: &Entry,
        content: u32,
        number: usize,
    ) -> Result<(), Refused> {
        let mut path = split(&entry.path);
        let name = path.pop().unwrap();
        let linked = match entry.kind {
            EntryKind::HardLink if !name.starts_with(".wh.") => {
                let mut target = split(&entry.link);
                let last = target.pop().unwrap();
                Some(child(&follow(&target, false, |it| self.at(it))?, &last))
            }
            _ => None,
        };
        let parent = follow(&path, false, |it| self.at(it))?;
        self.imply(&parent);
        if name == ".wh..wh..opq" {
            self.opaque.insert(parent);
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            self.whiteouts.insert(child(&parent, hidden));
            return Ok(());
        }
        let path = child(&parent, &name);
        let is = match (entry.kind, linked) {
            (EntryKind::Directory, _) => {
                if let Some(Own::File(_)) = self.entries.get(&path) {
                    self.opaque.insert(path.clone());
                }
                let directory = Own::Directory(Some(entry.metadata.mode));
                self.entries.insert(path, directory);
                return Ok(());
            }
            (_, Some(target)) => {
                if target.starts_with(&path) {
                    return Err(Refused);
                }
                match self.entries.get(&target) {
                    Some(Own::Directory(Some(_))) => return Err(Refused),
                    Some(Own::File(file)) => {
                        let file = Own::File(file.clone());
                        self.remove(&path);
                        self.entries.insert(path, file);
                        return Ok(());
                    }
                    Some(Own::Directory(None)) | None => Is::Lower(target),
                }
            }
            (EntryKind::Symlink, None) => {
                Is::Symlink(String::from_utf8(entry.link.clone()).unwrap())
            }
            (_, None) => Is::Content(content),
        };
        self.remove(&path);
        self.entries.insert(path, Own::File(File { number, is }));
        Ok(())
    }
}

impl File {
    pub(super) fn at(&self) -> At {
        match &self.is {
            Is::Symlink(target) => At::Symlink(target.clone()),
            Is::Content(_) | Is::Lower(_) => At::Other,
        }
    }
}
