//! A real image, from a real registry, through the program: what the kernel and a guest see of its disk is
//! what `umoci` unpacks, and other programs read the disk and its parts without complaint.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::support::debian;
use crate::support::docker_registry::DockerRegistry;
use crate::support::file_tree::{FileTree, sha256_of};
use crate::support::fsck::{Depth, fsck};
use crate::support::mount::{Mount, stitch, vmdk_parts};
use crate::support::needs::needs;
use crate::support::process::{bounded, run};
use crate::support::project::{Project, Ran};
use crate::support::qemu::{self, Guest, file_sums_of};

/// The image locked and synced, and unpacked by `umoci`. The registry it came from is gone.
struct Synced {
    project: Project,
    files: tempfile::TempDir,
}

impl Synced {
    /// The one that the tests of a run share while any of them needs it.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Synced>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(synced) = shared.upgrade() {
            return synced;
        }
        let synced = Arc::new(Self::new());
        *shared = Arc::downgrade(&synced);
        synced
    }

    fn new() -> Self {
        let layout = debian::layout();
        let registry = DockerRegistry::start();
        registry.push(&layout, debian::TAG, "debian:v1");
        let project = project_of(&registry);
        project.run(&["lock"]).exits(0);
        project.run(&["sync"]).exits(0);

        let files = tempfile::tempdir().expect("a temporary directory is made");
        run(bounded("umoci")
            .args(["unpack", "--image"])
            .arg(format!("{}:{}", layout.display(), debian::TAG))
            .arg(files.path().join("bundle")));
        Self { project, files }
    }

    fn disk(&self) -> PathBuf {
        self.project.run(&["path", "debian"]).text().into()
    }

    /// The tree that `umoci` unpacked.
    fn unpacked(&self) -> PathBuf {
        self.files.path().join("bundle/rootfs")
    }

    /// The disk as one file, as a hypervisor shows it.
    fn stitched(&self, directory: &Path) -> PathBuf {
        let stitched = directory.join("stitched");
        stitch(&vmdk_parts(&self.disk()), &stitched);
        stitched
    }
}

fn project_of(registry: &DockerRegistry) -> Project {
    Project::new(&format!(
        "manifest-version = 1\n\n\
         [defaults]\nplatforms = [\"{}\"]\n\n\
         [images]\ndebian = \"{}/debian:v1\"\n",
        debian::host_platform(),
        registry.address()
    ))
}

fn needs_image_and(more: &[&str]) -> bool {
    needs(&[debian::NEEDS, &["docker-registry", "skopeo", "umoci"], more].concat())
}

#[test]
fn the_kernel_shows_the_tree_that_umoci_unpacks() {
    if !needs_image_and(&["erofs"]) {
        return;
    }
    let synced = Synced::shared();
    let scratch = tempfile::tempdir().expect("a temporary directory is made");
    let unpacked = FileTree::read(&synced.unpacked());
    assert!(unpacked.len() > 5_000, "a real image has thousands of files");

    let stitched = Mount::erofs(&synced.stitched(scratch.path()));
    FileTree::read(stitched.path()).assert_equals(&unpacked, "the stitched disk", "umoci's tree");

    let parts = vmdk_parts(&synced.disk());
    let with_devices = Mount::erofs_with_devices(&parts[0], &parts[1..]);
    FileTree::read(with_devices.path()).assert_equals(
        &unpacked,
        "fsmeta with its devices",
        "umoci's tree",
    );
}

#[test]
fn a_guest_reads_the_files_that_umoci_unpacks() {
    if !needs_image_and(qemu::NEEDS) {
        return;
    }
    let synced = Synced::shared();
    let sums = Guest::prepare().file_sums(&synced.disk());
    let expected = file_sums_of(&synced.unpacked());
    assert!(expected.lines().count() > 3_000, "a real image has thousands of files");
    let first = sums.lines().zip(expected.lines()).find(|(guest, here)| guest != here);
    assert!(sums == expected, "the first sums that differ, in the guest and here: {first:?}");
}

#[test]
fn fsck_finds_nothing_wrong_in_any_part() {
    if !needs_image_and(&["fsck.erofs"]) {
        return;
    }
    let synced = Synced::shared();
    let scratch = tempfile::tempdir().expect("a temporary directory is made");
    let parts = vmdk_parts(&synced.disk());
    let (fsmeta, layers) = parts.split_first().expect("a disk has an fsmeta");
    for layer in layers {
        fsck(layer, &[], Depth::Contents);
    }
    fsck(fsmeta, layers, Depth::Metadata);
    fsck(&synced.stitched(scratch.path()), layers, Depth::Contents);
}

#[test]
fn qemu_img_reads_the_disk_as_its_parts_in_order() {
    if !needs_image_and(&["qemu-img"]) {
        return;
    }
    let synced = Synced::shared();
    let scratch = tempfile::tempdir().expect("a temporary directory is made");
    let raw = scratch.path().join("raw");
    run(bounded("qemu-img")
        .args(["convert", "-f", "vmdk", "-O", "raw"])
        .arg(synced.disk())
        .arg(&raw));
    let converted = sha256_of(&raw).expect("the converted disk can be read");
    let stitched = sha256_of(&synced.stitched(scratch.path())).expect("the disk can be read");
    assert_eq!(converted, stitched);
}

#[test]
fn two_stores_hold_the_same_bytes_whatever_made_them() {
    if !needs_image_and(&[]) {
        return;
    }
    let registry = DockerRegistry::start();
    registry.push(&debian::layout(), debian::TAG, "debian:v1");
    let [first, second] =
        [("000", "1", "UTC"), ("077", "4", "Asia/Kathmandu")].map(|(umask, jobs, time_zone)| {
            let project = project_of(&registry);
            let shell = ["sh", "-c", &format!("umask {umask}; exec \"$0\" \"$@\"")];
            for command in [&["lock"][..], &["sync", "-j", jobs]] {
                Ran::of(project.command_under(&shell, command).env("TZ", time_zone)).exits(0);
            }
            (project.lock_text(), project.artifacts())
        });
    assert_eq!(first.1.len(), 3 + 2, "three layer images, an fsmeta, a disk");
    assert_eq!(first, second);
}
