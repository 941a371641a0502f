//! Roots of other projects, of projects that moved, and such as cannot be read.

use std::fs;

use super::{
    DAY, SYNC, edit_root, holds, in_store_of, name_images, root_files, seconds_now, seen, sync,
    world,
};
use crate::support::fixture::project_naming;

#[test]
fn one_lock_alone_is_refused_where_another_lives() {
    let (registry, project) = world();
    let other = project_naming(&[]);
    name_images(&other, &registry, &["tool"]);
    name_images(&project, &registry, &["app"]);
    sync(&project, &[]).exits(0);
    in_store_of(&project, &other, &SYNC).exits(0);
    let told = project.run(&["gc", "--only-this-lock"]).exits(4);
    assert!(told.stderr.starts_with("error[gc-refused]: others keep things in this store: /"));
    assert_eq!(holds(&project), (3, 2));

    fs::remove_file(other.lock_path()).unwrap();
    edit_root(&project, "project", |root| root["last_seen"] = 1.into());
    let kept = root_files(&project).len();
    assert_eq!(kept, 2, "both were there");
    project.run(&["gc", "--only-this-lock"]).exits(0);
    assert_eq!(holds(&project), (2, 1), "a root that ended keeps nothing");

    in_store_of(&project, &other, &SYNC).exits(0);
    project.run(&["gc", "--only-this-lock", "--drop-other-roots"]).exits(0);
    assert_eq!((holds(&project), root_files(&project).len()), ((2, 1), 1));
    sync(&project, &["--check"]).exits(0);
    insta::assert_snapshot!(seen(&project, &["gc", "--drop-other-roots"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
    --only-this-lock

    Usage: sandbox-images gc --only-this-lock --drop-other-roots

    For more information, try '--help'.
    "###);
}

#[test]
fn a_project_that_moved_is_kept_for_a_month() {
    let (_registry, project) = world();
    sync(&project, &[]).exits(0);
    let away = project.store().parent().unwrap().join("away");
    fs::rename(project.lock_path(), &away).unwrap();
    let gc = || project.run(&["gc"]).exits(0);
    edit_root(&project, "project", |root| root["last_seen"] = (seconds_now() - 29 * DAY).into());
    gc();
    assert_eq!(holds(&project), (3, 2));
    edit_root(&project, "project", |root| root["last_seen"] = (seconds_now() + 3650 * DAY).into());
    gc();
    assert_eq!(holds(&project), (3, 2), "a clock that was ahead ends nothing");
    edit_root(&project, "project", |root| root["last_seen"] = (seconds_now() - 31 * DAY).into());
    gc();
    assert_eq!(holds(&project), (0, 0));
    assert!(root_files(&project).is_empty());
    fs::rename(away, project.lock_path()).unwrap();
    sync(&project, &["--locked"]).exits(0);
}

#[test]
fn a_root_that_cannot_be_read_is_named_and_sync_goes_on() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    let roots = project.store().join("v1/roots");
    fs::write(roots.join(format!("{}.json", "a".repeat(64))), "{").unwrap();
    insta::assert_snapshot!(seen(&project, &["gc"]), @r"
    exit 1
    --- stdout
    --- stderr
    error[keeper-damaged]: `/store/v1/roots/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.json` is no root: EOF while parsing an object at line 1 column 1
    help: sync its project again, or remove it with `sandbox-images roots remove`; until then nothing is deleted
    ");
    name_images(&project, &registry, &["app"]);
    let told = sync(&project, &["--prune"]).exits(0).stderr;
    assert!(told.contains("Warning nothing was removed: `"), "{told}");
    assert_eq!(holds(&project), (3, 2));
    project.run(&["roots", "remove", &"a".repeat(64)]).exits(0);
    project.run(&["gc"]).exits(0);
}
