//! EROFS images as the kernel shows them, and disks stitched from the parts that a VMDK names.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use super::needs::kernel_mounts_files;
use super::process::{bounded, output, run_program};

/// The step in which disks are copied: whole steps of zeros become holes.
const COPY_STEP_BYTES: usize = 64 * 1024;

/// A read-only mount in a temporary place, ended when dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    place: tempfile::TempDir,
    loops: Vec<String>,
}

impl Mount {
    /// Mounts one image, or one stitched disk, as a guest mounts its `/dev/vda`.
    pub(crate) fn erofs(image: &Path) -> Self {
        Self::erofs_with_devices(image, &[])
    }

    /// Mounts an image whose data lies in `devices`, in the order of its device table.
    pub(crate) fn erofs_with_devices(image: &Path, devices: &[PathBuf]) -> Self {
        let place = tempfile::tempdir().expect("a temporary directory is made");
        let mut mount = Self { place, loops: Vec::new() };
        let mut options = String::from("ro");
        for device in devices {
            let device = mount.attach(device);
            options.push_str(",device=");
            options.push_str(&device);
        }
        let image = mount.attach(image);
        let place = mount.place.path().display().to_string();
        run_program("mount", ["-t", "erofs", "-o", &options, &image, &place]);
        mount
    }

    /// As [`Mount::erofs_with_devices`], without loop devices: the kernel reads the files themselves, as it
    /// can since 6.12.
    pub(crate) fn erofs_from_files(image: &Path, devices: &[PathBuf]) -> Self {
        let place = tempfile::tempdir().expect("a temporary directory is made");
        let devices = devices.iter().map(|device| format!("device={}", device.display()));
        let options = CString::new(devices.collect::<Vec<_>>().join(",")).expect("no NUL in paths");
        let mounted =
            mount(image, place.path(), "erofs", MountFlags::RDONLY, Some(options.as_c_str()));
        mounted.unwrap_or_else(|error| panic!("`{}`: {error}", image.display()));
        Self { place, loops: Vec::new() }
    }

    /// Mounts one image or one stitched disk in the cheapest way that this kernel has.
    pub(crate) fn quick(image: &Path) -> Self {
        if kernel_mounts_files() { Self::erofs_from_files(image, &[]) } else { Self::erofs(image) }
    }

    /// Where the tree is.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    fn attach(&mut self, file: &Path) -> String {
        let file = file.to_str().expect("paths of tests are UTF-8");
        let device = run_program("losetup", ["--find", "--show", "--read-only", file]);
        let device = device.trim().to_owned();
        self.loops.push(device.clone());
        device
    }
}

impl Drop for Mount {
    /// Unmounts and detaches whatever was reached. Failures are left to the next assertion of the test.
    fn drop(&mut self) {
        output(bounded("umount").arg(self.place.path()));
        for device in &self.loops {
            output(bounded("losetup").args(["--detach", device]));
        }
    }
}

/// The files that a VMDK joins, in order, as absolute paths; each is as long as its extent says.
pub(crate) fn vmdk_parts(vmdk: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(vmdk).expect("the disk is a text");
    let folder = vmdk.parent().expect("a disk lies in a directory");
    let parts: Vec<PathBuf> = text
        .lines()
        .filter(|line| line.starts_with("RW "))
        .map(|line| vmdk_part(folder, line))
        .collect();
    assert!(!parts.is_empty(), "`{}` names no extent", vmdk.display());
    parts
}

fn vmdk_part(folder: &Path, line: &str) -> PathBuf {
    let words: Vec<&str> = line.split(' ').collect();
    let ["RW", sectors, "FLAT", name, "0"] = words[..] else {
        panic!("`{line}` is not a flat extent");
    };
    let part = folder.join(name.trim_matches('"'));
    let sectors: u64 = sectors.parse().expect("an extent has a number of sectors");
    let size = fs::metadata(&part).unwrap_or_else(|e| panic!("`{}`: {e}", part.display())).len();
    assert_eq!(size, sectors * 512, "size of `{}`", part.display());
    part
}

/// Writes the parts of a disk one after another to a new sparse file: what a hypervisor shows its guest.
pub(crate) fn stitch(parts: &[PathBuf], disk: &Path) {
    let mut out = File::create(disk).expect("a disk file is made");
    for part in parts {
        let file = File::open(part).expect("a part can be read");
        append_sparse(file, &mut out).expect("a part can be copied");
    }
    let end = out.stream_position().expect("a file has a position");
    out.set_len(end).expect("a disk gets its full length");
}

fn append_sparse(mut from: File, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; COPY_STEP_BYTES];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        if buffer[..len].iter().all(|&byte| byte == 0) {
            to.seek(SeekFrom::Current(i64::try_from(len).expect("a step is small")))?;
        } else {
            to.write_all(&buffer[..len])?;
        }
    }
}

#[test]
fn a_disk_is_the_concatenation_of_its_parts() {
    let directory = tempfile::tempdir().expect("a temporary directory is made");
    let at = |name: &str| directory.path().join(name);
    fs::write(at("a.erofs"), [1; 1024]).expect("a part is written");
    fs::write(at("b.erofs"), vec![0; COPY_STEP_BYTES]).expect("a part is written");
    let text = "version=1\nRW 2 FLAT \"a.erofs\" 0\nRW 128 FLAT \"b.erofs\" 0\n";
    fs::write(at("c.vmdk"), text).expect("a disk is written");

    stitch(&vmdk_parts(&at("c.vmdk")), &at("raw"));

    let expected = [vec![1; 1024], vec![0; COPY_STEP_BYTES]].concat();
    assert_eq!(fs::read(at("raw")).expect("the disk is there"), expected);
}

#[test]
fn the_kernel_shows_what_an_image_holds() {
    use super::file_tree::FileTree;
    use super::needs::needs;
    if !needs(&["root", "erofs", "mkfs.erofs"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory is made");
    let (tree, image) = (directory.path().join("tree"), directory.path().join("image.erofs"));
    fs::create_dir(&tree).expect("a directory is made");
    fs::write(tree.join("motd"), "hello").expect("a file is written");
    let [image_text, tree_text] = [&image, &tree].map(|path| path.display().to_string());
    run_program("mkfs.erofs", [&image_text, &tree_text]);

    let mount = Mount::erofs(&image);
    let shown = FileTree::read(mount.path());
    shown.assert_equals(&FileTree::read(&tree), "the mount", "what was packed");
    let place = mount.path().to_owned();
    drop(mount);
    assert!(!place.exists(), "a mount ends with its place");
}
