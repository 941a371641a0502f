use super::*;
use crate::layer::builder::Builder;
use crate::layer::entry::{Entry, EntryKind};
use crate::layer::limits::Limits;
use crate::layer::tree::Xattrs;

fn entry(path: &str, kind: EntryKind, link: &str) -> Entry {
    Entry {
        path: path.into(),
        kind,
        link: link.into(),
        size_bytes: 0,
        device: Device::default(),
        metadata: Metadata { mode: 0o700, ..Metadata::default() },
        offset_bytes: 0,
    }
}

fn overlay(entries: impl IntoIterator<Item = Entry>) -> Tree {
    let mut builder = Builder::new(&Limits::default(), 0);
    for entry in entries {
        builder.add(entry, 0).unwrap();
    }
    builder.finish().into_overlay()
}

/// The attributes of what is at `path`.
fn xattrs<'a>(tree: &'a Tree, path: &str) -> &'a Xattrs {
    match tree.find(path.as_bytes()) {
        Some(Node::Directory(id)) => &tree.directory(id).metadata.xattrs,
        Some(Node::Inode(id)) => &tree.inode(id).metadata.xattrs,
        None => panic!("`{path}` is there"),
    }
}

fn marked(pairs: &[(&[u8], &str)]) -> Xattrs {
    let pair = |&(name, value): &(&[u8], &str)| (name.into(), value.as_bytes().into());
    pairs.iter().map(pair).collect()
}

#[test]
fn what_a_layer_removes_is_written_as_overlayfs_does() {
    let tree = overlay([
        entry("d", EntryKind::Directory, ""),
        entry("d/.wh.x", EntryKind::File, ""),
        entry("d/.wh..wh..opq", EntryKind::File, ""),
    ]);
    assert_eq!(xattrs(&tree, "d"), &marked(&[(OPAQUE, "y"), (ORIGIN, "")]));
    let Some(Node::Inode(whiteout)) = tree.find(b"d/x") else {
        panic!("the whiteout has its name")
    };
    assert_eq!(
        tree.inode(whiteout),
        &Inode { metadata: Metadata::default(), kind: Kind::CharDevice(Device::default()) }
    );
}

#[test]
fn what_overlayfs_has_no_word_for_is_an_attribute() {
    let tree = overlay([entry("a/b", EntryKind::HardLink, "/lower/c")]);
    assert_eq!(xattrs(&tree, ""), &marked(&[(IMPLIED, "")]));
    assert_eq!(xattrs(&tree, "a"), &marked(&[(IMPLIED, "")]));
    assert_eq!(xattrs(&tree, "a/b"), &marked(&[(LINK, "lower/c")]));
}

#[test]
fn a_whiteout_beside_an_own_entry_is_settled() {
    let tree = overlay([
        entry(".wh.implied", EntryKind::File, ""),
        entry("implied/x", EntryKind::File, ""),
        entry("explicit", EntryKind::Directory, ""),
        entry(".wh.explicit", EntryKind::File, ""),
        entry(".wh.file", EntryKind::File, ""),
        entry("file", EntryKind::Fifo, ""),
    ]);
    for directory in ["implied", "explicit"] {
        assert_eq!(xattrs(&tree, directory), &marked(&[(OPAQUE, "y")]));
    }
    assert_eq!(xattrs(&tree, "file"), &Xattrs::new());
    assert_eq!(xattrs(&tree, ""), &marked(&[(IMPLIED, "")]));
}

#[test]
fn a_tar_cannot_write_the_markers_itself() {
    let mut smuggling = entry("d", EntryKind::Directory, "");
    smuggling.metadata.xattrs = marked(&[
        (OPAQUE, "y"),
        (LINK, "etc/shadow"),
        (IMPLIED, ""),
        (b"user.overlay.opaque", "y"),
        (b"user.kept", "1"),
    ]);
    let mut builder = Builder::new(&Limits::default(), 0);
    builder.add(smuggling, 0).unwrap();
    let changeset = builder.finish();
    assert_eq!(changeset.warnings().iter().len(), 4);
    let kept = marked(&[(b"user.kept", "1")]);
    assert_eq!(xattrs(&changeset.into_overlay(), "d"), &kept);
}

/// A stored layer with a directory `d`, a file `f` in it and a whiteout, which `damage` changes.
#[track_caller]
fn refused(problem: OverlayProblem, damage: impl FnOnce(&mut Tree, DirectoryId, InodeId)) {
    let mut tree = overlay([
        entry("d", EntryKind::Directory, ""),
        entry("d/f", EntryKind::File, ""),
        entry("d/.wh.w", EntryKind::File, ""),
    ]);
    let (Some(Node::Directory(d)), Some(Node::Inode(f))) = (tree.find(b"d"), tree.find(b"d/f"))
    else {
        panic!("both are there")
    };
    assert!(Changeset::from_overlay(tree.clone()).is_ok());
    damage(&mut tree, d, f);
    assert_eq!(Changeset::from_overlay(tree).unwrap_err().problem, problem);
}

#[test]
fn a_directory_with_two_names_is_refused() {
    refused(OverlayProblem::SharedDirectory, |tree, d, _| {
        tree.insert(d, (*b"again").into(), Node::Directory(d));
    });
    refused(OverlayProblem::SharedDirectory, |tree, d, _| {
        tree.insert(DirectoryId::ROOT, (*b"e").into(), Node::Directory(d));
    });
}

#[test]
fn names_that_no_layer_can_have_are_refused() {
    let long = [b'n'; 256];
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0b", b".wh.x", &long] {
        refused(OverlayProblem::Name, |tree, d, f| {
            tree.insert(d, name.into(), Node::Inode(f));
        });
    }
}

#[test]
fn a_tree_too_deep_to_walk_is_refused() {
    refused(OverlayProblem::TooLong, |tree, d, _| {
        let mut parent = d;
        for _ in 0..100_000 {
            let child = tree.add_directory(Metadata::default());
            tree.insert(parent, (*b"x").into(), Node::Directory(child));
            parent = child;
        }
    });
}

#[test]
fn markers_that_contradict_the_rest_are_refused() {
    for (name, value) in [(OPAQUE, "x"), (ORIGIN, "1"), (IMPLIED, ""), (IMPLIED, "1")] {
        refused(OverlayProblem::Marker, |tree, d, _| {
            let xattrs = &mut tree.directory_mut(d).metadata.xattrs;
            xattrs.insert(name.into(), value.as_bytes().into());
        });
    }
    refused(OverlayProblem::Marker, |tree, d, _| {
        tree.directory_mut(d).metadata.xattrs.remove(ORIGIN);
    });
    for target in ["", "/etc/shadow", "../x", "a//b", "d/.wh.x"] {
        refused(OverlayProblem::Marker, |tree, _, f| {
            let xattrs = &mut tree.inode_mut(f).metadata.xattrs;
            xattrs.insert(LINK.into(), target.as_bytes().into());
        });
    }
}

#[test]
fn what_linux_or_erofs_cannot_hold_is_refused() {
    refused(OverlayProblem::Range, |tree, _, f| {
        tree.inode_mut(f).metadata.mode = 0o10000;
    });
    refused(OverlayProblem::Range, |tree, _, f| {
        tree.inode_mut(f).kind = Kind::Symlink(Box::default());
    });
    refused(OverlayProblem::Range, |tree, _, f| {
        let device = Device { major: 1 << 12, minor: 0 };
        tree.inode_mut(f).kind = Kind::BlockDevice(device);
    });
    for name in ["trusted.overlay.redirect", "trusted.sandbox-images.implied", "user.", "bogus.x"] {
        refused(OverlayProblem::Xattr, |tree, _, f| {
            let xattrs = &mut tree.inode_mut(f).metadata.xattrs;
            xattrs.insert(name.as_bytes().into(), Box::default());
        });
    }
}
