//! `--layers-dir`: what other programs find there, beside what the kernel and umoci make of the same layers.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

use super::pulled;
use crate::support::file_tree::{FileTree, sha256_of};
use crate::support::fixture::{serve, two_platforms, wait_until};
use crate::support::image::{Compression, Image, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::mount::{Mount, stitch, vmdk_parts};
use crate::support::needs::needs;
use crate::support::process::{bounded, run};
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::tmpfs::Tmpfs;

/// All that a layer can have.
const BASE: &str = "
/bin/ 0755
/bin/sh -> busybox
/dev/ 0755
/dev/null char 1:3 0666
/dev/disk block 8:1 0660 gid=6
/etc/ 0755 mtime=1600000000.5
/etc/motd 0640 uid=7 gid=8 mtime=1600000000.25 hello
/etc/motd.link => /etc/motd
/locked/ 0500 uid=9
/locked/file 0400 uid=9 secret
/run/ 0755
/run/pipe fifo 0600
/srv/ 02775 gid=50
/srv/gone 0644 gone
/srv/stays 0644 stays
/suid 04755 uid=1000 program
/var/ 0755
/var/data/ 0755
/var/data/hidden 0644 hidden
/with 0644 xattr:user.note=read\\sme text
/zeros 0644 zeros=300000
";

/// What takes away from it and adds to it.
const TOP: &str = "
/etc/ 0755 mtime=1600000001
/etc/motd 0644 newer
/srv/ 02775 gid=50
/srv/gone whiteout
/var/ 0755
/var/data/ 0700 uid=3
/var/data opaque
/var/data/shown 0644 shown
";

/// A registry with an image of these layers as `app:1`, a user, and the directory that the layers go to.
fn scene(layers: &[&str]) -> (TestRegistry, Project, String, PathBuf) {
    let layers: Vec<Layer> = layers.iter().map(|lines| Layer::new(lines)).collect();
    let registry = TestRegistry::start();
    serve(&registry, "app", "1", &two_platforms(&layers.iter().collect::<Vec<_>>()));
    let user = Project::new("");
    let directory = user.directory().join("layers");
    let reference = format!("{}/app:1", registry.host());
    (registry, user, reference, directory)
}

/// Pulls with these further arguments, and answers each layer's image in the store and where it was put.
fn put(user: &Project, reference: &str, more: &[&str]) -> Vec<(PathBuf, PathBuf)> {
    let arguments = [&["pull", reference, "--json", "--layers-dir", "layers"], more].concat();
    let found = pulled(user.run(&arguments));
    let path = |value: &Value| PathBuf::from(value.as_str().unwrap());
    let layers = found["layers"].as_array().unwrap().iter();
    layers.map(|layer| (path(&layer["path"]), path(&layer["handed_out"]))).collect()
}

#[test]
fn an_image_of_a_layer_is_the_stores_own_file_where_that_can_be() {
    let (_registry, user, reference, directory) = scene(&["/a 0644 a", "/b 0644 b"]);
    let layers = put(&user, &reference, &[]);
    assert_eq!(layers.len(), 2);
    for (stored, entry) in &layers {
        assert_eq!(entry.parent(), Some(&*directory));
        assert_eq!(entry.file_name(), stored.file_name());
        assert_eq!(fs::metadata(entry).unwrap().ino(), fs::metadata(stored).unwrap().ino());
    }
    let names = || fs::read_dir(&directory).unwrap().count();
    put(&user, &reference, &["--policy", "never"]);
    assert_eq!(names(), 2, "what is there is used again");

    let (stored, entry) = &layers[0];
    fs::remove_file(entry).unwrap();
    fs::write(entry, "something else").unwrap();
    put(&user, &reference, &[]);
    assert_eq!(sha256_of(entry).unwrap(), sha256_of(stored).unwrap());

    fs::remove_file(entry).unwrap();
    symlink("/etc/passwd", entry).unwrap();
    let ran = user.run(&["pull", &reference, "--layers-dir", "layers"]).exits(1);
    assert!(ran.stderr.contains("error[output]") && entry.is_symlink(), "{ran:?}");
}

#[test]
fn on_another_file_system_it_is_a_copy() {
    if !needs(&["root"]) {
        return;
    }
    let (_registry, user, reference, directory) = scene(&["/a 0644 a\n/zeros 0644 zeros=300000"]);
    let _elsewhere = Tmpfs::mount(&directory, "size=4m");
    for _ in 0..2 {
        let (stored, entry) = put(&user, &reference, &[]).remove(0);
        assert_ne!(fs::metadata(&entry).unwrap().dev(), fs::metadata(&stored).unwrap().dev());
        assert_eq!(sha256_of(&entry).unwrap(), sha256_of(&stored).unwrap());
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

#[test]
fn a_directory_is_what_the_kernel_shows_of_the_layer() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let (_registry, user, reference, _) = scene(&[BASE, TOP]);
    for (stored, entry) in put(&user, &reference, &["--layers-format", "dir"]) {
        let mounted = Mount::quick(&stored);
        let (unpacked, shown) = (FileTree::read(&entry), FileTree::read(mounted.path()));
        unpacked.assert_equals(&shown, "the directory", "the mounted layer");
        assert!(unpacked.len() > 5);
    }
}

/// Layers as the kernel's overlay file system stacks them, unmounted when dropped.
struct Overlay(tempfile::TempDir);

impl Overlay {
    fn of(layers: &[PathBuf]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let lower = layers.iter().rev().map(|layer| layer.to_str().unwrap());
        let options = format!("lowerdir={}", lower.collect::<Vec<_>>().join(":"));
        let options = CString::new(options).unwrap();
        mount("overlay", place.path(), "overlay", MountFlags::RDONLY, Some(options.as_c_str()))
            .unwrap();
        Self(place)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn stacked_directories_are_the_disk() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let (_registry, user, reference, _) = scene(&[BASE, TOP]);
    let layers = put(&user, &reference, &["--layers-format", "dir"]);
    let entries: Vec<PathBuf> = layers.into_iter().map(|(_, entry)| entry).collect();
    let disk = user.run(&["pull", &reference]).text();
    let stitched = user.files().join("stitched");
    stitch(&vmdk_parts(Path::new(&disk)), &stitched);
    let (overlay, disk) = (Overlay::of(&entries), Mount::quick(&stitched));
    let differences = FileTree::read(overlay.0.path()).differences(&FileTree::read(disk.path()));
    // The mark of a directory that no layer has an entry for, here the root; and a count of links by which
    // overlayfs means a name that is hidden.
    let known = ["trusted.sandbox-images.implied", "/etc/motd.link: same file as"];
    let others = differences.iter().filter(|line| !known.iter().any(|known| line.contains(known)));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn a_directory_is_what_umoci_unpacks() {
    if !needs(&["root", "umoci"]) {
        return;
    }
    let (_registry, user, reference, _) = scene(&[BASE]);
    let (_, entry) = put(&user, &reference, &["--layers-format", "dir"]).remove(0);
    let layer = Layer::packed(&layer_tar(BASE), Compression::Gzip);
    let host = super::host();
    let layout = user.files().join("layout");
    Image::multi(&[(&host, vec![&layer])]).write_layout(&layout, "v1").unwrap();
    let bundle = user.files().join("bundle");
    run(bounded("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:v1", layout.display()))
        .arg(&bundle));
    let theirs = FileTree::read(&bundle.join("rootfs"));
    let differences = FileTree::read(&entry).differences(&theirs);
    // No layer has an entry for the root.
    let others = differences.iter().filter(|line| !line.starts_with("/:"));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn what_is_there_whole_is_used_again_and_what_is_not_whole_is_not_there() {
    let (_registry, user, reference, directory) = scene(&["/etc/motd 0644 hello"]);
    let (_, entry) = put(&user, &reference, &["--layers-format", "dir"]).remove(0);
    let before = fs::metadata(&entry).unwrap();
    put(&user, &reference, &["--layers-format", "dir"]);
    let after = fs::metadata(&entry).unwrap();
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));

    fs::remove_dir_all(&entry).unwrap();
    fs::write(&entry, "in the way").unwrap();
    let arguments = ["pull", &reference, "--layers-dir", "layers", "--layers-format", "dir"];
    let ran = user.run(&arguments).exits(1);
    assert!(ran.stderr.contains("error[output]"), "{ran:?}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing unfinished stays");
}

#[test]
fn what_a_killed_pull_left_is_removed_by_the_next() {
    let lines: Vec<String> = (0..4000).map(|place| format!("/{place} 0644 x")).collect();
    let (_registry, user, reference, directory) = scene(&[&lines.join("\n"), "/a 0644 a"]);
    user.run(&["pull", &reference]).exits(0);
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&directory).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let is_part = |name: &String| name.starts_with(".sandbox-images.part.");
    let arguments = ["pull", &reference, "--layers-dir", "layers", "--layers-format", "dir"];
    let mut child = user.start(&arguments);
    wait_until("a layer is being unpacked", || names().iter().any(is_part));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(names().iter().any(is_part), "it was killed in the middle");

    let others = directory.join(".sandbox-images.part.others");
    fs::create_dir(&others).unwrap();
    let lock = fs::File::open(&others).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    user.run(&arguments).exits(0);
    let parts: Vec<String> = names().into_iter().filter(is_part).collect();
    assert_eq!(parts, [".sandbox-images.part.others"], "another process fills it");
    drop(lock);
    user.run(&["pull", &reference, "--layers-dir", "layers"]).exits(0);
    assert!(!names().iter().any(is_part));
    assert_eq!(names().len(), 4, "each layer in both forms");
}

#[test]
fn what_a_directory_lacks_is_told() {
    let (_registry, user, reference, _) = scene(&["/lib/old 0644 old", "/lib/new => /lib/old"]);
    let arguments = ["pull", &reference, "--layers-dir", "layers", "--layers-format", "dir"];
    let ran = user.run(&[&arguments[..], &["--progress", "json"]].concat()).exits(0);
    let warning = ran.stderr.lines().find(|line| line.contains(r#""code":"layers-dir""#)).unwrap();
    assert!(warning.contains("hard links to files of lower layers are empty files"), "{warning}");
}

#[test]
fn a_user_without_rights_gets_whiteouts_and_is_told_of_the_rest() {
    if !needs(&["root", "setpriv", "chown"]) {
        return;
    }
    let (_registry, user, reference, directory) = scene(&[BASE, TOP]);
    run(bounded("chown").args(["-R", "65534:65534"]).arg(user.files()));
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let arguments =
        ["pull", &reference, "--layers-dir", "layers", "--layers-format", "dir", "--json"];
    let ran = Ran::of(&mut user.command_under(&nobody, &arguments));
    assert!(ran.stderr.contains("2 device nodes are left out"), "{ran:?}");
    assert!(ran.stderr.contains("files belong to this user"), "{ran:?}");
    let found = pulled(ran);
    let entry =
        |place: usize| PathBuf::from(found["layers"][place]["handed_out"].as_str().unwrap());
    let (base, top) = (entry(0), entry(1));
    assert!(base.starts_with(&directory) && !base.join("dev/null").exists());
    assert_eq!(fs::metadata(base.join("suid")).unwrap().permissions().mode() & 0o7777, 0o4755);
    assert_eq!(fs::read(base.join("locked/file")).unwrap(), b"secret");
    let shown = FileTree::read(&top).to_string();
    assert!(
        fs::symlink_metadata(top.join("srv/gone")).is_ok_and(|gone| gone.rdev() == 0),
        "{shown}"
    );
    let opaque = shown.lines().find(|line| line.starts_with("/var/data ")).unwrap();
    assert!(opaque.contains("xattr user.overlay.opaque=y"), "{opaque}");
}
