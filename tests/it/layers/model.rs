//! The same rules once more, in the plainest way: maps from whole paths, no tables, no care for speed.

mod change;

use std::collections::BTreeMap;

use sandbox_images::layer::entry::Entry;

pub(super) use self::change::Refused;
use self::change::{At, Change, File, Is, Own, Path, child, follow};

#[derive(Debug, Clone)]
enum Merged {
    File(File),
    Directory(u16),
}

/// The merged tree of all layers.
#[derive(Debug)]
pub(super) struct Model {
    entries: BTreeMap<Path, Merged>,
}

impl Model {
    /// Merges layers of entries with their contents, bottom first.
    pub(super) fn new(layers: &[Vec<(Entry, u32)>]) -> Result<Self, Refused> {
        let mut model = Self { entries: BTreeMap::new() };
        let mut number = 0;
        let mut changes = Vec::new();
        for layer in layers {
            let mut change = Change::default();
            for (entry, content) in layer {
                number += 1;
                change.add(entry, *content, number)?;
            }
            change.settle_whiteouts();
            changes.push(change);
        }
        for change in changes {
            model.apply(change)?;
        }
        Ok(model)
    }

    fn at(&self, path: &[String]) -> At {
        match self.entries.get(path) {
            None => At::Nothing,
            Some(Merged::Directory(_)) => At::Directory,
            Some(Merged::File(file)) => file.at(),
        }
    }

    /// The lower entry at `path`, unless `change` hides it.
    fn visible(&self, change: &Change, path: &[String]) -> Option<&Merged> {
        let hidden = (1..=path.len()).any(|end| {
            change.whiteouts.contains(&path[..end]) || change.opaque.contains(&path[..end - 1])
        });
        self.entries.get(path).filter(|_| !hidden)
    }

    /// What `path` is in the layer and below it.
    fn seen(&self, change: &Change, path: &[String]) -> At {
        match (change.entries.get(path), self.visible(change, path)) {
            (Some(Own::File(file)), _)
            | (Some(Own::Directory(None)) | None, Some(Merged::File(file))) => file.at(),
            (None, None) => At::Nothing,
            _ => At::Directory,
        }
    }

    fn apply(&mut self, mut change: Change) -> Result<(), Refused> {
        self.link(&mut change)?;
        while let Some(path) = self.first_behind_symlink(&change) {
            self.move_away(&mut change, &path)?;
        }
        self.entries.retain(|path, _| {
            !(1..=path.len()).any(|end| {
                change.whiteouts.contains(&path[..end]) || change.opaque.contains(&path[..end - 1])
            })
        });
        for (path, own) in change.entries {
            let lower = self.entries.get(&path).cloned();
            let merged = match (own, lower) {
                (Own::Directory(None), Some(Merged::Directory(mode)))
                | (Own::Directory(Some(mode)), _) => Merged::Directory(mode),
                (Own::Directory(None), _) => Merged::Directory(0o755),
                (Own::File(file), _) => {
                    self.entries.retain(|it, _| !it.starts_with(&path));
                    Merged::File(file)
                }
            };
            self.entries.insert(path, merged);
        }
        Ok(())
    }

    /// Turns links into this stack into the files that they mean.
    fn link(&self, change: &mut Change) -> Result<(), Refused> {
        for own in change.entries.values_mut() {
            if let Own::File(file) = own
                && let Is::Lower(target) = &file.is
            {
                let (last, parent) = target.split_last().unwrap();
                let parent = follow(parent, true, |it| self.at(it))?;
                *own = match self.entries.get(&child(&parent, last)) {
                    Some(Merged::File(lower)) => Own::File(lower.clone()),
                    Some(Merged::Directory(_)) | None => return Err(Refused),
                };
            }
        }
        Ok(())
    }

    fn first_behind_symlink(&self, change: &Change) -> Option<Path> {
        let behind = |path: &&Path| {
            matches!(change.entries[*path], Own::Directory(None))
                && matches!(self.visible(change, path), Some(Merged::File(_)))
        };
        let paths = change.entries.keys().filter(behind);
        paths.min_by_key(|path| path.join("/")).cloned()
    }

    /// Moves all that is at and below `path` to where the lower symlink there leads.
    fn move_away(&self, change: &mut Change, path: &[String]) -> Result<(), Refused> {
        let target = follow(path, true, |it| self.seen(change, it))?;
        let mut moving = Change::default();
        let below = |it: &Path| it.starts_with(path);
        moving.entries = change.entries.extract_if(.., |it, _| below(it)).collect();
        moving.opaque = change.opaque.extract_if(.., |it| below(it)).collect();
        let inside = |it: &Path| below(it) && it.len() > path.len();
        moving.whiteouts = change.whiteouts.extract_if(.., |it| inside(it)).collect();
        let mut left = vec![(path.to_vec(), target)];
        while let Some((from, to)) = left.pop() {
            change.imply(&to);
            let later = Self::absorb(change, &mut moving, &from, &to);
            for (from, resting) in later.into_iter().rev() {
                let to = follow(&resting, true, |it| self.seen(change, it))?;
                left.push((from, to));
            }
        }
        Ok(())
    }

    /// Moves the directory `from` into the directory `to`, and answers what has to go further.
    fn absorb(
        change: &mut Change,
        moving: &mut Change,
        from: &[String],
        to: &[String],
    ) -> Vec<(Path, Path)> {
        let mut later = Vec::new();
        if moving.opaque.remove(from) {
            change.opaque.insert(to.to_vec());
        }
        for whiteout in &moving.whiteouts {
            if let Some((name, parent)) = whiteout.split_last()
                && parent == from
            {
                change.whiteouts.insert(child(to, name));
            }
        }
        if let (Some(Own::Directory(mode)), Some(Own::Directory(kept))) =
            (moving.entries.get(from), change.entries.get_mut(to))
        {
            *kept = kept.or(*mode);
        }
        let children: Vec<Path> = moving
            .entries
            .keys()
            .filter(|it| it.len() == from.len() + 1 && it.starts_with(from))
            .cloned()
            .collect();
        for path in children {
            let dest = child(to, path.last().unwrap());
            let inside = |it: &Path| it.len() > path.len() && it.starts_with(&path);
            let empty = !moving.entries.keys().any(inside);
            match (change.entries.get(&dest), &moving.entries[&path]) {
                (None, Own::File(file)) => {
                    change.entries.insert(dest, Own::File(file.clone()));
                }
                (None, Own::Directory(mode)) => {
                    change.entries.insert(dest.clone(), Own::Directory(*mode));
                    later.extend(Self::absorb(change, moving, &path, &dest));
                }
                (Some(Own::Directory(_)), Own::Directory(_)) => {
                    later.extend(Self::absorb(change, moving, &path, &dest));
                }
                (Some(Own::File(_)), Own::Directory(mode)) if mode.is_none() || !empty => {
                    later.push((path, dest));
                }
                (Some(_), _) => {}
            }
        }
        later
    }

    /// The lines of the tree, as the fixture writes them.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut names: BTreeMap<&File, String> = BTreeMap::new();
        let mut paths: Vec<(String, &Merged)> =
            self.entries.iter().map(|(path, merged)| (path.join("/"), merged)).collect();
        paths.sort_by(|(a, _), (b, _)| a.cmp(b));
        let line = |(path, merged)| match merged {
            &Merged::Directory(mode) => format!("{path}/ {mode:o}"),
            Merged::File(file) => {
                if let Some(first) = names.get(file) {
                    return format!("{path} => {first}");
                }
                let line = match &file.is {
                    Is::Content(content) => format!("{path} = {content}"),
                    Is::Symlink(target) => format!("{path} -> {target}"),
                    Is::Lower(_) => unreachable!("links are resolved before they are merged"),
                };
                names.insert(file, path);
                line
            }
        };
        paths.into_iter().map(line).collect()
    }
}
