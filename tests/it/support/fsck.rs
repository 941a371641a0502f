//! `fsck.erofs`, and what it takes for it to be content.

use std::path::{Path, PathBuf};

use super::process::{bounded, output};

/// How thoroughly an image is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Superblock, inodes and directories.
    Metadata,
    /// The content of every file too.
    Contents,
}

/// Demands that `fsck.erofs` finds no error and nothing to warn of.
///
/// Its exit code is 0 also for a damaged image, so its words are judged. Old versions open a device table
/// only if devices are given, and yet read files from the image itself: contents can be checked on a
/// stitched disk, which is given its devices for the sake of the table.
pub(crate) fn fsck(image: &Path, devices: &[PathBuf], depth: Depth) {
    let mut command = bounded("fsck.erofs");
    command.arg("-d3");
    if depth == Depth::Contents {
        command.arg("--extract");
    }
    for device in devices {
        command.arg(format!("--device={}", device.display()));
    }
    let said = output(command.arg(image));
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let is_content =
        text.contains("No errors found") && !text.contains("<E>") && !text.contains("<W>");
    assert!(is_content, "`{}`:\n{text}", image.display());
}
