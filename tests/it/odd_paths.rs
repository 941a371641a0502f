//! Directories whose names are no text: a path is bytes, and the program takes it as it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Ran;

#[test]
fn a_project_in_a_directory_that_is_no_utf_8_is_synced() {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (_registry, project) = registry_and_project(&image);
    let name = OsStr::from_bytes(b"caf\xe9");
    let directory = project.directory().join(name);
    fs::create_dir(&directory).unwrap();
    fs::copy(project.file_path(), directory.join("sandbox-images.toml")).unwrap();
    for words in [&["lock"][..], &["sync", "--locked"], &["check", "--in-sync"], &["gc"]] {
        let ran = Ran::of(project.command(&["-C"]).arg(name).args(words));
        assert_eq!(ran.code, 0, "{words:?}: {ran}");
    }
    assert_eq!(project.stored("disks").len(), 1, "and what it keeps is not collected");
}
