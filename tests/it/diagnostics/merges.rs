//! Layers that are right by themselves and do not fit on each other.

use super::scene::{locked, plain, shows};

/// One layer after the other, so that the lines have an order; for one platform, whatever this machine's is.
const SYNC: [&str; 5] = ["sync", "--platform", "linux/amd64", "-j", "1"];

#[test]
fn a_hard_link_to_what_no_layer_has() {
    let (_registry, project) = locked(&[&plain("/a 0644 a"), &plain("/c => /b")]);
    insta::assert_snapshot!(shows(&project, &["merge-hard-link"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
       Fetched layer 52e62870d5b2 of app, 2.0 KiB
       Fetched layer 7cfcf2082595 of app, 1.5 KiB
    error[merge-hard-link]: app: the layers of fsmeta sha256:DIGEST do not fit together: hard link `c` in layer 1 has the target `b`, which is in no layer
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_directory_that_is_a_file_below() {
    let (_registry, project) = locked(&[&plain("/a 0644 a"), &plain("/a/b 0644 b")]);
    insta::assert_snapshot!(shows(&project, &["merge-not-directory"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
       Fetched layer 52e62870d5b2 of app, 2.0 KiB
       Fetched layer 9457fd8aab7a of app, 2.0 KiB
    error[merge-not-directory]: app: the layers of fsmeta sha256:DIGEST do not fit together: `a` is a directory in layer 1 but not in the layers below
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_link_that_leads_to_itself() {
    let (_registry, project) = locked(&[&plain("/l -> l"), &plain("/l/x 0644 x")]);
    insta::assert_snapshot!(shows(&project, &["merge-symlink"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
       Fetched layer 7aec401b09ad of app, 1.5 KiB
       Fetched layer 45bde707f77d of app, 2.0 KiB
    error[merge-symlink]: app: the layers of fsmeta sha256:DIGEST do not fit together: `l` in layer 1 lies behind a symlink that cannot be followed: the symlinks on its way form a loop or are too many
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_path_that_grows_too_long() {
    let (_registry, project) = locked(&[&plain(&deep_link()), &plain(&deep_file())]);
    insta::assert_snapshot!(shows(&project, &["merge-path-too-long"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
       Fetched layer d7898d5d0c1b of app, 2.5 KiB
       Fetched layer 030e06c996e4 of app, 3.0 KiB
    error[merge-path-too-long]: app: the layers of fsmeta sha256:DIGEST do not fit together: `d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/…` in layer 1 is deeper than 256 names or longer than 4096 bytes
    note: not synced: app (linux/amd64)
    "###);
}

/// As many directories in each other as an image may have, nearly.
fn deep() -> String {
    "/d".repeat(200)
}

/// A short name for a directory that lies deep.
fn deep_link() -> String {
    format!("/l -> {}", &deep()[1..])
}

/// A file that lies deep below the short name.
fn deep_file() -> String {
    format!("/l{}/x 0644 x", deep())
}
