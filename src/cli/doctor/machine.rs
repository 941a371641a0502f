//! What runs here: this program, and the kernel that may mount what it builds.

use std::fs::read_to_string;

use sandbox_images::oci::platform::Platform;

use crate::cli::doctor::finding::Finding;

/// The oldest Linux that mounts a disk whose metadata refers to many devices in one.
const LINUX_MIN: (u32, u32) = (6, 4);

pub(super) fn examine() -> Vec<Finding> {
    let host = Platform::host_linux();
    let program = format!("version {}, on {host}", env!("CARGO_PKG_VERSION"));
    let read = |path: &str| read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let release = release.trim();
    let modules = ["modules.builtin", "modules.dep"]
        .map(|list| read(&format!("/lib/modules/{release}/{list}")));
    vec![
        Finding::ok("program", &"sandbox-images", program),
        kernel(release, &read("/proc/filesystems"), &modules.concat()),
    ]
}

/// Whether the kernel `release` can mount disks, by the file systems it knows now and its lists of modules.
fn kernel(release: &str, filesystems: &str, modules: &str) -> Finding {
    let subject = if release.is_empty() { "Linux".to_owned() } else { format!("Linux {release}") };
    let help = "guests that mount the disks need Linux 6.4 or newer with EROFS, this host need not";
    let is_known = filesystems.lines().any(|line| line.split_whitespace().last() == Some("erofs"));
    if !is_known && !modules.contains("/erofs.ko") {
        let message = "has no EROFS and cannot mount the disks itself";
        return Finding::warning("kernel-without-erofs", &subject, message).help(help);
    }
    if version(release).is_some_and(|version| version < LINUX_MIN) {
        let message = "is too old to mount the disks itself";
        return Finding::warning("kernel-too-old", &subject, message).help(help);
    }
    let how = if is_known { "can mount the disks" } else { "can mount the disks by a module" };
    Finding::ok("kernel", &subject, how)
}

/// Major and minor version of a release such as `6.8.0-45-generic`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_mounts_disks_if_it_knows_erofs_and_is_new() {
        let code = |release, filesystems, modules| kernel(release, filesystems, modules).code;
        assert_eq!(code("6.8.0-45-generic", "nodev\tproc\n\text4\n\terofs\n", ""), "kernel");
        assert_eq!(code("6.4.1", "\text4\n", "kernel/fs/erofs/erofs.ko.xz: x.ko\n"), "kernel");
        assert_eq!(code("7.0-rc1", "\terofs\n", ""), "kernel");
        assert_eq!(code("6.1.0", "\terofs\n", ""), "kernel-too-old");
        assert_eq!(code("6.8.0", "\text4\n", "kernel/fs/ext4/ext4.ko:\n"), "kernel-without-erofs");
        assert_eq!(code("", "", ""), "kernel-without-erofs");
    }
}
