//! What is dropped or decided while an image is made, and said.

use super::scene::{hostile, plain, warns};
use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::{Compression, Layer};
use crate::support::layer_tar::{TarEntry, TarKind, tar_of};
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

/// One layer after the other, so that the lines have an order; for one platform, whatever this machine's is.
const SYNC: [&str; 6] = ["sync", "--no-locked", "--platform", "linux/amd64", "-j", "1"];

/// An image of these layers, and a project that has not locked it yet.
fn fresh(layers: &[&Layer]) -> (TestRegistry, Project) {
    registry_and_project(&two_platforms(layers))
}

#[test]
fn attributes_of_an_overlay_are_dropped() {
    let (_registry, project) = fresh(&[&plain("/a/ 0755 xattr:trusted.overlay.opaque=y")]);
    insta::assert_snapshot!(warns(&project, &["xattr-reserved"], &SYNC), @r"
    exit 0
    --- stdout
    --- stderr
      Resolved app 6c39b46f1525 (linux/amd64, linux/arm64)
       Warning app: layer `sha256:DIGEST`: `a`: reserved attribute `trusted.overlay.opaque` is dropped
       Fetched layer d69a0fa2001c of app, 2.5 KiB
        Merged layers of app, 8.0 KiB
         Built disk of app
        Synced 1 image: 3.6 KiB fetched, 1 layer and 1 disk built (TIME)
    ");
}

#[test]
fn attributes_of_no_linux_are_dropped() {
    let (_registry, project) = fresh(&[&plain("/a 0644 xattr:com.apple.quarantine=1 a")]);
    insta::assert_snapshot!(warns(&project, &["xattr-namespace"], &SYNC), @r"
    exit 0
    --- stdout
    --- stderr
      Resolved app f166ce5f0632 (linux/amd64, linux/arm64)
       Warning app: layer `sha256:DIGEST`: `a`: attribute `com.apple.quarantine` of an unknown namespace is dropped
       Fetched layer 4fdb778e1d0c of app, 3.0 KiB
        Merged layers of app, 8.0 KiB
         Built disk of app
        Synced 1 image: 4.1 KiB fetched, 1 layer and 1 disk built (TIME)
    ");
}

#[test]
fn attributes_of_users_on_links_are_dropped() {
    let (_registry, project) = fresh(&[&hostile("xattr-on-symlink.0.tar")]);
    insta::assert_snapshot!(warns(&project, &["xattr-user"], &SYNC), @r"
    exit 0
    --- stdout
    --- stderr
      Resolved app 91021bf2c7f7 (linux/amd64, linux/arm64)
       Warning app: layer `sha256:DIGEST`: `a`: attribute `user.k` is dropped, as neither a file nor a directory can have it
       Fetched layer 0875bcb98b91 of app, 2.5 KiB
        Merged layers of app, 8.0 KiB
         Built disk of app
        Synced 1 image: 3.6 KiB fetched, 1 layer and 1 disk built (TIME)
    ");
}

#[test]
fn metadata_of_hard_links_are_ignored() {
    let (_registry, project) = fresh(&[&plain("/a 0600 a\n/b => /a")]);
    insta::assert_snapshot!(warns(&project, &["link-metadata"], &SYNC), @r"
    exit 0
    --- stdout
    --- stderr
      Resolved app 39914ea70b7a (linux/amd64, linux/arm64)
       Warning app: layer `sha256:DIGEST`: `b`: the hard link's own metadata differs from its target's and is ignored
       Fetched layer f0f7c8722252 of app, 2.5 KiB
        Merged layers of app, 8.0 KiB
         Built disk of app
        Synced 1 image: 3.6 KiB fetched, 1 layer and 1 disk built (TIME)
    ");
}

#[test]
fn what_two_names_lead_to_is_kept_once() {
    let (_registry, project) = fresh(&[
        &plain("/usr/ 0755\n/usr/lib/ 0755\n/lib -> usr/lib"),
        &plain("/usr/lib/x 0644 1\n/lib/x 0644 2"),
    ]);
    insta::assert_snapshot!(warns(&project, &["literal-kept"], &SYNC), @r"
    exit 0
    --- stdout
    --- stderr
      Resolved app c9058c706dd1 (linux/amd64, linux/arm64)
       Fetched layer 35c726bd53e9 of app, 2.5 KiB
       Fetched layer cf6b8343b2d7 of app, 3.0 KiB
       Warning app: its layers together: `lib/x`: leads through a symlink to `usr/lib/x`, which the same layer also has and which is kept
        Merged layers of app, 8.0 KiB
         Built disk of app
        Synced 1 image: 6.9 KiB fetched, 2 layers and 1 disk built (TIME)
    ");
}

#[test]
fn of_many_warnings_the_last_counts_the_others() {
    let links = (0..103).map(|number| TarEntry {
        xattrs: [("user.a".to_owned(), b"1".to_vec())].into(),
        ..TarEntry::new(format!("link-{number}"), TarKind::Symlink(b"target".to_vec()), 0o777)
    });
    let tar = tar_of(&links.collect::<Vec<_>>()).unwrap();
    let (_registry, project) = fresh(&[&Layer::packed(&tar, Compression::Plain)]);
    let seen = warns(&project, &["more-warnings"], &SYNC);
    let last = seen.lines().rfind(|line| line.contains("Warning")).unwrap();
    insta::assert_snapshot!(last, @r###"   Warning app: layer `sha256:DIGEST`: 3 more warnings"###);
}
