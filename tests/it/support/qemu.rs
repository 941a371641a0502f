//! A guest: Debian's 6.12 cloud kernel in QEMU, without acceleration, that boots from an initramfs, mounts
//! the disk it is given and writes the sums of all files to a second disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::cache::cached;
use super::process::{bounded, bounded_by, output, run};

/// What [`Guest::prepare`] and [`file_sums_of`] need of the machine.
pub(crate) const NEEDS: &[&str] =
    &["x86_64", "qemu-system-x86_64", "apt-get", "dpkg", "xz", "cpio", "busybox"];

/// How long a guest may run. Its emulated CPU hashes some ten megabytes a second.
const GUEST_SECONDS_MAX: u32 = 240;

/// Room for the guest's sums: far more than any test writes, and sparse.
const SUMS_BYTES_MAX: u64 = 64 << 20;

/// The last line of the sums, without which they are not whole.
const SUMS_END: &str = "all sums are written\n";

/// Lists the content of every file below the current directory, in words that busybox knows.
const FILE_SUMS: &str = "busybox find . -xdev -type f -print0 | busybox sort -z \
    | busybox xargs -0 busybox sha256sum";

/// The modules the guest loads. What they depend on is read out of them.
const MODULES: [&str; 2] = ["virtio_blk", "erofs"];

/// A kernel and an initramfs.
#[derive(Debug)]
pub(crate) struct Guest {
    kernel: PathBuf,
    initramfs: PathBuf,
}

impl Guest {
    /// Downloads the newest 6.12 cloud kernel that apt knows and packs the initramfs; both are kept.
    pub(crate) fn prepare() -> Self {
        let directory = cached("guest-1", |directory| {
            let package = directory.join("package");
            fs::create_dir(&package).expect("a directory is made");
            download_kernel(&package);
            let kernel = find(&package.join("boot"), &|name| name.starts_with("vmlinuz-"));
            let kernel = kernel.expect("a kernel package has a kernel");
            fs::rename(kernel, directory.join("vmlinuz")).expect("the kernel is moved");
            pack_initramfs(&package, directory);
            fs::remove_dir_all(&package).expect("the unpacked package is removed");
        });
        Self { kernel: directory.join("vmlinuz"), initramfs: directory.join("initramfs") }
    }

    /// Boots with `disk`, a VMDK, as `/dev/vda` and answers the sums of its files.
    pub(crate) fn file_sums(&self, disk: &Path) -> String {
        let directory = tempfile::tempdir().expect("a temporary directory is made");
        let sums = directory.path().join("sums");
        let file = File::create(&sums).expect("a disk file is made");
        file.set_len(SUMS_BYTES_MAX).expect("a disk file gets its length");
        let vda = format!("file={},format=vmdk,if=virtio,readonly=on", disk.display());
        let vdb = format!("file={},format=raw,if=virtio", sums.display());
        let console = output(
            bounded_by(GUEST_SECONDS_MAX, "qemu-system-x86_64")
                .args(["-accel", "tcg", "-m", "512", "-nodefaults", "-no-reboot"])
                .args(["-display", "none", "-serial", "stdio"])
                .args(["-append", "console=ttyS0 quiet panic=-1"])
                .arg("-kernel")
                .arg(&self.kernel)
                .arg("-initrd")
                .arg(&self.initramfs)
                .args(["-drive", &vda, "-drive", &vdb]),
        );
        let sums = fs::read(sums).expect("the sums can be read");
        let len = sums.iter().position(|&byte| byte == 0).unwrap_or(sums.len());
        let sums = String::from_utf8_lossy(&sums[..len]);
        let whole = sums.strip_suffix(SUMS_END).unwrap_or_else(|| {
            panic!(
                "the guest wrote no whole sums ({})\n{}{}",
                console.status,
                String::from_utf8_lossy(&console.stdout),
                String::from_utf8_lossy(&console.stderr)
            )
        });
        whole.to_owned()
    }
}

/// The sums of a tree of this machine, in the guest's words.
pub(crate) fn file_sums_of(tree: &Path) -> String {
    run(bounded("sh").current_dir(tree).args(["-euc", FILE_SUMS]))
}

fn download_kernel(package: &Path) {
    let pattern = r"^linux-image-6\.12\..*cloud-amd64(-unsigned)?$";
    let known = run(bounded("apt-cache").args(["search", "--names-only", pattern]));
    let mut names: Vec<&str> =
        known.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_by_key(|name| version_numbers(name));
    let newest = names.last().expect("apt knows a 6.12 cloud kernel");
    run(bounded("apt-get").args(["-qq", "download", newest]).current_dir(package));
    let archive =
        find(package, &|name| name.starts_with("linux-image-")).expect("apt downloads a package");
    run(bounded("dpkg").arg("-x").arg(archive).arg(package));
}

/// The numbers in a package's name, so that 6.12.9 comes before 6.12.117.
fn version_numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Packs busybox, the modules in loading order, and an init that reports and powers off.
fn pack_initramfs(package: &Path, directory: &Path) {
    let root = directory.join("root");
    for folder in ["bin", "dev", "mnt", "modules"] {
        fs::create_dir_all(root.join(folder)).expect("a directory is made");
    }
    let busybox = run(bounded("sh").args(["-euc", "command -v busybox"]));
    fs::copy(busybox.trim(), root.join("bin/busybox")).expect("busybox is copied");
    let mut loaded = Vec::new();
    for module in MODULES {
        unpack_module(module, package, &root.join("modules"), &mut loaded);
    }
    fs::write(root.join("init"), init_script(&loaded)).expect("the init is written");
    run(bounded("sh").current_dir(&root).args([
        "-euc",
        "chmod 755 init bin/busybox; find . | cpio --quiet -o -H newc | gzip -1 > ../initramfs",
    ]));
    fs::remove_dir_all(root).expect("what is packed is removed");
}

/// Unpacks a module after those it depends on, each once, and notes the order.
fn unpack_module(module: &str, package: &Path, folder: &Path, loaded: &mut Vec<String>) {
    if loaded.iter().any(|name| name == module) {
        return;
    }
    let file_name = format!("{module}.ko");
    let packed = find(package, &|name| name.starts_with(&file_name))
        .unwrap_or_else(|| panic!("the kernel package has no module `{module}`"));
    let unpacked = folder.join(&file_name);
    let is_packed = packed.extension().is_some_and(|extension| extension == "xz");
    let unpack = if is_packed { "xz -dc \"$0\" > \"$1\"" } else { "cp \"$0\" \"$1\"" };
    run(bounded("sh").args(["-euc", unpack]).arg(&packed).arg(&unpacked));
    let bytes = fs::read(&unpacked).expect("a module can be read");
    for dependency in module_dependencies(&bytes) {
        unpack_module(&dependency, package, folder, loaded);
    }
    loaded.push(module.to_owned());
}

/// What the `depends=` record of a module's `.modinfo` section names.
fn module_dependencies(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let value = module[at + key.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(value)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn init_script(modules: &[String]) -> String {
    let modules = modules.join(" ");
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin\n\
         busybox mount -t devtmpfs dev /dev\n\
         for module in {modules}; do busybox insmod /modules/$module.ko; done\n\
         if busybox mount -t erofs -o ro /dev/vda /mnt; then\n\
         cd /mnt\n\
         {{ {FILE_SUMS}; printf '{}\\n'; }} > /dev/vdb\n\
         busybox sync\n\
         fi\n\
         busybox poweroff -f\n",
        SUMS_END.trim_end()
    )
}

/// The first file below a directory, by path, whose name is wanted.
fn find(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().find_map(|path| {
        if path.is_dir() && !path.is_symlink() {
            return find(path, wanted);
        }
        wanted(path.file_name()?.to_str()?).then(|| path.clone())
    })
}

#[test]
fn newer_kernels_have_greater_numbers() {
    let older = version_numbers("linux-image-6.12.9+deb12-cloud-amd64");
    assert!(older < version_numbers("linux-image-6.12.117+deb12-cloud-amd64-unsigned"));
    assert_eq!(module_dependencies(b"x\0depends=netfs,libcrc32c\0y"), ["netfs", "libcrc32c"]);
}

#[test]
fn a_guest_sees_the_files_of_a_disk_in_two_parts() {
    use super::needs::needs;
    use super::process::run_program;
    if !needs(&[NEEDS, &["mkfs.erofs"]].concat()) {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory is made");
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("tree")).expect("a directory is made");
    fs::write(at("tree/motd"), "hello").expect("a file is written");
    fs::write(at("tree/large"), vec![7; 100_000]).expect("a file is written");
    let [image, tree] = ["image", "tree"].map(|name| at(name).display().to_string());
    run_program("mkfs.erofs", [&image, &tree]);
    let bytes = fs::read(&image).expect("the image can be read");
    let (first, second) = bytes.split_at(8192);
    fs::write(at("first.erofs"), first).expect("a part is written");
    fs::write(at("second.erofs"), second).expect("a part is written");
    let vmdk = format!(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n\
         createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n\
         RW {} FLAT \"first.erofs\" 0\nRW {} FLAT \"second.erofs\" 0\n\n\
         # The Disk Data Base\n#DDB\nddb.virtualHWVersion = \"4\"\n\
         ddb.geometry.cylinders = \"1\"\nddb.geometry.heads = \"16\"\n\
         ddb.geometry.sectors = \"63\"\nddb.adapterType = \"ide\"\n",
        first.len() / 512,
        second.len() / 512
    );
    fs::write(at("disk.vmdk"), vmdk).expect("a disk is written");

    let sums = Guest::prepare().file_sums(&at("disk.vmdk"));

    assert_eq!(sums, file_sums_of(&at("tree")));
}
