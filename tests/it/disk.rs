//! `disk`: every form is the same disk, whoever reads it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::file_tree::{FileTree, sha256_of};
use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::mount::{Mount, stitch, vmdk_parts};
use crate::support::needs::needs;
use crate::support::process::{bounded, run};
use crate::support::project::Project;

const ZEROS: u64 = 8 << 20;

/// A synced project, and a directory outside of it and of its store.
fn synced() -> (Project, tempfile::TempDir) {
    let base = Layer::new(&format!("/etc/motd 0644 hello\n/zeros 0600 zeros={ZEROS}"));
    let top = Layer::new("/lib 0755 random=300000\n/etc/motd 0644 changed");
    let (_registry, project) = registry_and_project(&two_platforms(&[&base, &top]));
    project.run(&["lock"]).exits(0);
    project.run(&["sync"]).exits(0);
    (project, tempfile::tempdir().unwrap())
}

/// Writes the disk of `app` to `file`.
fn write(project: &Project, format: &str, file: &Path) {
    let file = file.to_str().expect("paths of tests are UTF-8");
    let written = project.run(&["disk", "app", "--format", format, "-o", file]).exits(0);
    assert_eq!(written.stdout, "");
}

/// The concatenation of the parts that the store's own disk names.
fn stitched(project: &Project, folder: &Path) -> PathBuf {
    let disk = folder.join("stitched");
    let stored: PathBuf = project.run(&["path", "app"]).text().into();
    stitch(&vmdk_parts(&stored), &disk);
    disk
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_raw_disk_is_its_parts_in_one_sparse_file() {
    let (project, folder) = synced();
    let raw = folder.path().join("raw");
    write(&project, "raw", &raw);
    assert_eq!(names(folder.path()), ["raw"], "nothing is left beside it");
    assert_eq!(sha256_of(&raw).unwrap(), sha256_of(&stitched(&project, folder.path())).unwrap());
    let metadata = fs::metadata(&raw).unwrap();
    assert!(metadata.len() > ZEROS, "the zeros are there");
    assert!(metadata.blocks() * 512 < ZEROS / 2, "{} blocks", metadata.blocks());

    fs::write(&raw, "an older disk").unwrap();
    write(&project, "raw", &raw);
    assert_eq!(fs::metadata(&raw).unwrap().len(), metadata.len(), "it is replaced");
}

#[test]
fn qemu_reads_a_raw_disk_and_both_vmdks_alike() {
    if !needs(&["qemu-img"]) {
        return;
    }
    let (project, folder) = synced();
    let at = |name: &str| folder.path().join(name);
    write(&project, "raw", &at("raw"));
    write(&project, "vmdk", &at("relative.vmdk"));
    let absolute = project.run(&["disk", "app", "--format", "vmdk"]).exits(0).stdout;
    fs::write(at("absolute.vmdk"), absolute).unwrap();
    let stored: PathBuf = project.run(&["path", "app"]).text().into();
    let raw = sha256_of(&at("raw")).unwrap();
    for vmdk in [stored, at("relative.vmdk"), at("absolute.vmdk")] {
        let converted = at("converted");
        run(bounded("qemu-img")
            .args(["convert", "-f", "vmdk", "-O", "raw"])
            .args([&vmdk, &converted]));
        assert_eq!(sha256_of(&converted).unwrap(), raw, "{}", vmdk.display());
    }
}

#[test]
fn the_kernel_mounts_a_raw_disk() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let (project, folder) = synced();
    write(&project, "raw", &folder.path().join("raw"));
    let raw = Mount::erofs(&folder.path().join("raw"));
    let stitched = Mount::erofs(&stitched(&project, folder.path()));
    let tree = FileTree::read(raw.path());
    tree.assert_equals(&FileTree::read(stitched.path()), "the raw disk", "its parts");
    assert_eq!(fs::read(raw.path().join("etc/motd")).unwrap(), b"changed");
    assert_eq!(fs::metadata(raw.path().join("zeros")).unwrap().len(), ZEROS);
}

#[test]
fn a_vmdk_is_right_from_where_it_is_written() {
    let (project, folder) = synced();
    let deep = folder.path().join("one/two");
    fs::create_dir_all(&deep).unwrap();
    symlink("one/two", folder.path().join("link")).unwrap();
    for target in [deep.join("disk.vmdk"), folder.path().join("link/through.vmdk")] {
        write(&project, "vmdk", &target);
        let text = fs::read_to_string(&target).unwrap();
        assert!(text.contains("FLAT \"../"), "{text}");
        assert_eq!(vmdk_parts(&target).len(), 3);
    }
}

#[test]
fn a_table_has_a_line_for_each_part_of_the_disk() {
    let (project, _folder) = synced();
    let table = project.run(&["disk", "app", "--format", "dm-table"]).exits(0).stdout;
    let stored: PathBuf = project.run(&["path", "app"]).text().into();
    let mut start = 0;
    let lines: Vec<String> = vmdk_parts(&stored)
        .iter()
        .map(|part| {
            let sectors = fs::metadata(part).unwrap().len() / 512;
            start += sectors;
            let path = fs::canonicalize(part).unwrap();
            format!("{} {sectors} linear {} 0\n", start - sectors, path.display())
        })
        .collect();
    assert_eq!(table, lines.concat());
    let printed = project.run(&["disk", "app", "--format", "dm-table", "-o", "-"]).exits(0);
    assert_eq!(printed.stdout, table);
}

#[test]
fn json_tells_the_form_and_the_parts() {
    let (project, folder) = synced();
    let raw = folder.path().join("raw");
    let file = raw.to_str().unwrap();
    let told = project.run(&["disk", "app", "--format", "raw", "-o", file, "--json"]).text();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["schema"], "sandbox-images/disk/1");
    assert_eq!([&told["image"], &told["format"], &told["output"]], ["app", "raw", file]);
    assert_eq!(told["size_bytes"], fs::metadata(&raw).unwrap().len());
    let sizes = told["extents"].as_array().unwrap().iter().map(|it| it["size_bytes"].as_u64());
    assert_eq!(sizes.sum::<Option<u64>>(), told["size_bytes"].as_u64());

    let told = project.run(&["disk", "app", "--format", "dm-table", "--json"]).text();
    let told: Value = serde_json::from_str(&told).unwrap();
    let table = project.run(&["disk", "app", "--format", "dm-table"]).stdout;
    assert_eq!([&told["text"], &told["output"]], [&Value::from(table), &Value::Null]);
}

#[test]
fn what_cannot_be_written_says_why() {
    let (project, folder) = synced();
    let told = project.run(&["disk", "app", "--format", "raw"]).exits(2);
    assert!(told.stderr.contains("-o FILE"), "{}", told.stderr);
    project.run(&["disk", "other", "--format", "vmdk"]).exits(2);

    let directory = folder.path().to_str().unwrap();
    let told = project.run(&["disk", "app", "--format", "raw", "-o", directory]).exits(1);
    assert!(told.stderr.contains("no regular file"), "{}", told.stderr);

    // A store whose path no VMDK and no script can name.
    let spaced = project.store().with_file_name("my store");
    fs::rename(project.store(), &spaced).unwrap();
    symlink(&spaced, project.store()).unwrap();
    let vmdk = folder.path().join("disk.vmdk");
    let file = vmdk.to_str().unwrap();
    let told = project.run(&["disk", "app", "--format", "vmdk", "-o", file]).exits(1);
    assert!(told.stderr.contains("my store"), "{}", told.stderr);
    assert!(told.stderr.contains("--format raw"), "{}", told.stderr);
    assert!(!vmdk.exists());
    write(&project, "raw", &folder.path().join("raw"));
}

#[test]
fn a_disk_that_is_not_in_the_store_exits_4_and_a_damaged_one_5() {
    let layer = Layer::new("/lib 0755 random=300000");
    let (_registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.run(&["lock"]).exits(0);
    for format in ["vmdk", "dm-table", "raw"] {
        project.run(&["disk", "app", "--format", format, "-o", "disk"]).exits(4);
    }
    assert!(!project.directory().join("disk").exists());

    project.run(&["sync"]).exits(0);
    let image: PathBuf = project.run(&["path", "app", "--kind", "layers"]).text().into();
    let bytes = fs::read(&image).unwrap();
    fs::remove_file(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() - 4096]).unwrap();
    project.run(&["disk", "app", "--format", "raw", "-o", "disk"]).exits(5);
    assert!(!project.directory().join("disk").exists());
}

#[test]
fn a_raw_disk_is_inspected_as_the_image_is() {
    let (project, folder) = synced();
    let raw = folder.path().join("raw");
    write(&project, "raw", &raw);
    let tree = project.run(&["inspect", "tree", "app"]).text();
    let entries = serde_json::from_str::<Value>(&tree).unwrap();
    let zeros = entries["entries"].as_array().unwrap().iter().find(|it| it["path"] == "zeros");
    assert_eq!(zeros.unwrap()["size"], ZEROS);
    let inspect = |words: &[&str]| project.run(&[&["inspect", "tree", "--erofs"], words].concat());
    assert_eq!(inspect(&[raw.to_str().unwrap()]).text(), tree);

    let fsmeta = project.run(&["path", "app", "--kind", "fsmeta"]).text();
    let layers = project.run(&["path", "app", "--kind", "layers"]).text();
    let devices: Vec<&str> = layers.lines().collect();
    assert_eq!(inspect(&[&[&fsmeta[..], "--device"], &devices[..]].concat()).text(), tree);
    let told = inspect(&[&fsmeta]).exits(2);
    assert!(told.stderr.contains("--device"), "{}", told.stderr);
    let cut = fs::read(&raw).unwrap();
    fs::write(&raw, &cut[..cut.len() - 1]).unwrap();
    inspect(&[raw.to_str().unwrap()]).exits(2);
}
