//! From a lock that a merge left in conflict to a lock.
//!
//! The sides are read separately and compared image by image. What is the same on both sides, or changed on
//! one side only, stays as it is. Nothing is taken out here: what exists is decided by `sandbox-images.toml`,
//! and an image that one side removed is `removed` there too, or still wanted.
//!
//! Lines of one block may have been merged without a conflict, so that a side's block is of both. Its sum
//! does not fit then, and it is chosen only if the other's does not fit either.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::spec::lockfile::{FILE_BYTES_MAX, Lock, LockError, LockedImage, markers, read};
use crate::spec::manifest_file::ImageSet;
use crate::spec::name::ImageName;

/// A lock between whose lines a merge left its markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The images of both sides, each with one side's pin. Not to be used before it is written without
    /// markers.
    pub lock: Lock,
    /// The images that both sides moved for the same source. They have the pin of the first side.
    pub moved_twice: BTreeSet<ImageName>,
    /// The line of the first marker; empty if there was none.
    pub marker: Range<usize>,
}

/// Settles the conflicts of `text`, for the project that wants `set`.
pub(super) fn settle(text: &str, set: &ImageSet) -> Result<Settled, LockError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(LockError::TooLarge { size: text.len() });
    }
    let sides = markers::sides(text).map_err(|span| LockError::LoneMarker { span })?;
    let (ours, theirs) = (read::lock(&sides.ours)?, read::lock(&sides.theirs)?);
    // The base only tells which side changed a block. Where it cannot be read, both may have.
    let base = sides.base.and_then(|text| read::lock(&text).ok());
    let mut settled = Settled {
        lock: Lock {
            revision: ours.revision.max(theirs.revision),
            artifact_format: ours.artifact_format.max(theirs.artifact_format),
            ..Lock::default()
        },
        moved_twice: BTreeSet::new(),
        marker: markers::first(text).unwrap_or_default(),
    };
    let choice = Choice { set, base: base.as_ref(), ours: &ours, theirs: &theirs };
    for name in ours.images.keys().chain(theirs.images.keys()).collect::<BTreeSet<_>>() {
        let side = choice.side(name, &mut settled.moved_twice);
        settled.lock.copy(name, side);
    }
    Ok(settled)
}

/// What a choice between two blocks is made from.
struct Choice<'l> {
    set: &'l ImageSet,
    base: Option<&'l Lock>,
    ours: &'l Lock,
    theirs: &'l Lock,
}

/// What speaks for a block, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    /// It is of the source that the image set wants.
    is_wanted: bool,
    /// It is not what both sides had before.
    is_changed: bool,
    /// Its sum fits.
    is_consistent: bool,
}

impl<'l> Choice<'l> {
    /// The side whose block of `name` is kept.
    fn side(&self, name: &ImageName, moved_twice: &mut BTreeSet<ImageName>) -> &'l Lock {
        let (Some(ours), Some(theirs)) = (self.ours.images.get(name), self.theirs.images.get(name))
        else {
            return if self.ours.images.contains_key(name) { self.ours } else { self.theirs };
        };
        let our_merit = self.merit(name, ours, self.ours);
        let their_merit = self.merit(name, theirs, self.theirs);
        if our_merit < their_merit {
            return self.theirs;
        }
        if our_merit == their_merit && our_merit.is_wanted && ours != theirs {
            moved_twice.insert(name.clone());
        }
        self.ours
    }

    fn merit(&self, name: &ImageName, image: &LockedImage, side: &Lock) -> Merit {
        let wanted = self.set.images.get(name);
        let before = self.base.and_then(|base| base.images.get(name));
        Merit {
            is_wanted: wanted.is_some_and(|wanted| wanted.source == image.source),
            is_changed: before != Some(image),
            is_consistent: side.is_consistent(name.as_str()),
        }
    }
}

impl Lock {
    /// Takes over the block of `name` from `side`, as it is.
    fn copy(&mut self, name: &ImageName, side: &Self) {
        let image = side.images.get(name).cloned();
        self.images.extend(image.map(|image| (name.clone(), image)));
        let block = side.blocks.get(name).cloned();
        self.blocks.extend(block.map(|block| (name.clone(), block)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;
    use crate::oci::document::kind::Kind;
    use crate::spec::source::ImageSource;

    /// An image of `source` that was locked when its tag named `what`.
    fn image(source: &str, what: &str) -> LockedImage {
        LockedImage {
            source: ImageSource::parse(source, "docker.io").unwrap(),
            digest: Digest::of(what),
            media_type: Kind::OciIndex,
            size: what.len() as u64,
            absent_platforms: BTreeSet::new(),
            platforms: [].into(),
        }
    }

    /// An image that is written `NAME SOURCE WHAT`.
    fn read_line(line: &str) -> (ImageName, LockedImage) {
        let [name, source, what] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        (name.parse().unwrap(), image(source, what))
    }

    /// The blocks of such images.
    fn blocks(lines: &[&str]) -> String {
        let mut lock = Lock::new();
        for (name, image) in lines.iter().map(|line| read_line(line)) {
            lock.insert(name, image);
        }
        lock.render().split_off(Lock::new().render().len())
    }

    /// Settles a lock with one conflict, whose base is shown if there is one.
    fn merged(toml: &str, base: Option<&[&str]>, ours: &[&str], theirs: &[&str]) -> Settled {
        let base = base.map(|base| format!("||||||| base\n{}", blocks(base)));
        let text = format!(
            "{}<<<<<<< ours\n{}{}=======\n{}>>>>>>> theirs\n{}",
            Lock::new().render(),
            blocks(ours),
            base.unwrap_or_default(),
            blocks(theirs),
            blocks(&["z z 1"])
        );
        let settled = settle(&text, &ImageSet::parse(toml).unwrap()).unwrap();
        for (name, image) in settled.lock.images() {
            let source = settled.lock.source_span(name.as_str()).unwrap();
            assert_eq!(text[source], format!("\"{}\"", image.source));
        }
        settled
    }

    #[track_caller]
    fn check(settled: &Settled, expected: &[&str]) {
        let read = Lock::parse(&settled.lock.render()).unwrap();
        let images = read.images().map(|(name, image)| (name.clone(), image.clone()));
        let expected = expected.iter().chain(&["z z 1"]).map(|line| read_line(line));
        assert_eq!(images.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn images_that_two_people_added_in_one_gap_are_both_kept() {
        let toml = "images = { b = 'b', c = 'c' }";
        for base in [None, Some(&[][..])] {
            let settled = merged(toml, base, &["b b 1"], &["c c 1"]);
            check(&settled, &["b b 1", "c c 1"]);
            assert!(settled.moved_twice.is_empty());
        }
    }

    #[test]
    fn an_image_that_one_side_moved_stays_moved() {
        let toml = "images = { a = 'a', b = 'b' }";
        let base = ["a a 1", "b b 1"];
        let settled = merged(toml, Some(&base), &["a a 2", "b b 1"], &["a a 1", "b b 2"]);
        check(&settled, &["a a 2", "b b 2"]);
        assert!(settled.moved_twice.is_empty());
    }

    #[test]
    fn an_image_that_both_sides_moved_has_the_first_sides_pin_and_is_named() {
        let toml = "images = { a = 'a' }";
        for base in [None, Some(&["a a 1"][..])] {
            let settled = merged(toml, base, &["a a 2"], &["a a 3"]);
            check(&settled, &["a a 2"]);
            assert_eq!(settled.moved_twice, ["a".parse().unwrap()].into());
        }
    }

    #[test]
    fn a_pin_is_taken_from_the_side_that_has_the_wanted_source() {
        let settled = merged("images = { a = 'a:2' }", None, &["a a:1 1"], &["a a:2 2"]);
        check(&settled, &["a a:2 2"]);
        assert!(settled.moved_twice.is_empty());
    }

    #[test]
    fn an_image_that_one_side_removed_is_left_to_the_image_set() {
        let base = ["a a 1", "b b 1"];
        let settled = merged("images = { b = 'b' }", Some(&base), &["b b 2"], &["a a 2", "b b 1"]);
        check(&settled, &["a a 2", "b b 2"]);
    }

    #[test]
    fn a_block_that_was_mixed_of_both_sides_gives_way_to_a_whole_one() {
        let text = format!("{}{}{}", Lock::new().render(), blocks(&["a a 1"]), blocks(&["z z 1"]));
        let digest = |what| format!("digest = \"{}\"\n", Digest::of(what));
        let conflict =
            format!("<<<<<<< ours\n{}=======\n{}>>>>>>> theirs\n", digest("9"), digest("1"));
        let text = text.replace(&digest("1"), &conflict);
        let settled = settle(&text, &ImageSet::parse("images = { a = 'a' }").unwrap()).unwrap();
        check(&settled, &["a a 1"]);
        assert_eq!(&text[settled.marker], "<<<<<<< ours");
    }
}
