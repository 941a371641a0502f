//! A real image: Debian's minimal system, python3 on top of it, and an application that does what layers
//! may do.
//!
//! Each layer is made as image builders make one: as the upper directory of an overlay over the layers
//! below. The packages come from the machine's own Debian mirror and in the machine's own release.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use sandbox_images::oci::digest::{Digest, Hasher};
use serde_json::json;

use super::cache::cached;
use super::image::{Compression, Described, Family, config_json, write_layout_index};
use super::layer_tar::{TarEntry, TarKind};
use super::layer_tree::layer_entries;
use super::needs::debian_mirror;
use super::process::{bounded, output, run};

/// The tag of the image in its layout.
pub(crate) const TAG: &str = "v1";

/// What [`layout`] needs of the machine.
pub(crate) const NEEDS: &[&str] =
    &["root", "debian mirror", "debootstrap", "setfattr", "setfacl", "chroot"];

/// Installs python3 in the directory it is run in. What differs from run to run is left out.
const INSTALL_PYTHON: &str = "
    export DEBIAN_FRONTEND=noninteractive
    chroot . apt-get update -qq
    chroot . apt-get install -y -qq --no-install-recommends python3
    rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb
    rm -rf var/log/* var/cache/ldconfig/aux-cache
";

/// Does to the directory it is run in all that a layer can say: replaces, hides and adds.
const INSTALL_APPLICATION: &str = r#"
    # Hidden: a file, a directory, a name that comes back as something else.
    rm usr/share/common-licenses/GPL-3 etc/debian_version
    rm -r usr/share/man usr/share/zoneinfo
    ln -s ../lib usr/share/man
    rm -r var/backups && echo was a directory > var/backups
    # Hidden and made again: opaque.
    rm -r etc/apt && mkdir etc/apt && echo nothing > etc/apt/sources.list
    # Changed in place: copied up whole.
    chmod 0700 root etc/cron.daily
    echo hello > etc/motd

    mkdir -p app/bin app/data app/shared
    printf '#!/bin/sh\necho hi\n' > app/bin/run
    chown 1000:70000 app/bin/run && chmod 6755 app/bin/run
    ln app/bin/run app/bin/run-too
    ln app/bin/run app/first-of-three
    cp usr/bin/sleep app/bin/ping
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 app/bin/ping
    ln -s run app/bin/link && ln app/bin/link app/bin/link-too
    ln -s "$(printf '%0300d' 7)" app/bin/long-link && ln -s /nowhere app/bin/dangling

    : > app/data/empty
    for size in 1 4095 4096 4097 70001; do head -c $size usr/bin/bash > app/data/$size; done
    truncate -s 8M app/data/sparse && printf middle | dd of=app/data/sparse bs=1 seek=4200000 \
        conv=notrunc status=none
    setfattr -n user.note -v 'a value' app/data/1
    setfattr -n user.binary -v 0x000a3dff app/data/1
    setfattr -n trusted.note -v 1 app/data/4096
    setfacl -m u:1000:r-- app/data/1 && setfacl -d -m g:100:rwx app/shared && chmod g+s app/shared
    mkdir app/tmp && chmod 1777 app/tmp && chown 4000000000:4000000001 app/tmp

    mknod app/null c 1 3 && mknod app/disk b 259 300 && mkfifo -m 0600 app/pipe
    echo long > "app/$(printf '%0255d' 1)"
    deep=app/deep; for level in 1 2 3 4 5 6 7 8; do deep=$deep/$(printf '%040d' $level); done
    mkdir -p $deep && echo deep > $deep/file
    echo bytes > "app/$(printf 'not-utf8-\377\376')" && echo umlaut > app/größe
    echo space > 'app/a name' && echo line > "app/$(printf 'two\nlines')"

    # Times last, directories after what they hold.
    find app -exec touch -h -d '2024-02-29 12:34:56.000000001 UTC' {} +
    touch -d '2001-02-03 04:05:06.123456789 UTC' app/data/1
    touch -d '1969-12-31 23:59:58.25 UTC' app/data/4096
    touch -h -d '1999-12-31 23:59:59.5 UTC' app/bin/link
"#;

/// The image as an OCI layout directory with gzipped layers, built once and kept.
pub(crate) fn layout() -> PathBuf {
    cached("debian-image-1", |directory| {
        build(directory).expect("the image can be built");
    })
}

fn build(layout: &Path) -> io::Result<()> {
    let work = tempfile::tempdir_in(layout)?;
    fs::create_dir_all(layout.join("blobs/sha256"))?;
    let at = |name: &str| work.path().join(name);

    bootstrap(&at("base"));
    let (base, python) = (at("base"), at("python"));
    changed_over(&[&base], &python, INSTALL_PYTHON)?;
    let application = at("application");
    changed_over(&[&python, &base], &application, INSTALL_APPLICATION)?;

    let mut layers = [&base, &python, &application]
        .iter()
        .map(|tree| layer_entries(tree))
        .collect::<io::Result<Vec<_>>>()?;
    // A link to a file of a lower layer, which no overlay would leave behind.
    let target = TarKind::HardLink(b"usr/bin/perl".to_vec());
    layers[2].push(TarEntry::new("app/perl", target, 0o755));
    write_documents(layout, &layers)
}

/// Writes a minimal Debian root file system of the machine's own release.
fn bootstrap(root: &Path) {
    let mirror = debian_mirror().expect("apt knows a Debian mirror");
    let release = fs::read_to_string("/etc/os-release").expect("the machine has a release");
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .expect("the release has a code name");
    run(bounded("debootstrap").args(["--variant=minbase", suite]).arg(root).arg(mirror));
    run(bounded("sh").current_dir(root).args([
        "-euc",
        "rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb var/log/*",
    ]));
}

/// Runs a script in the overlay of `lower` directories, topmost first; what it changes goes to `upper`.
fn changed_over(lower: &[&Path], upper: &Path, script: &str) -> io::Result<()> {
    let overlay = tempfile::tempdir_in(upper.parent().unwrap_or(Path::new("/")))?;
    let (work, merged) = (overlay.path().join("work"), overlay.path().join("merged"));
    for directory in [upper, &work, &merged] {
        fs::create_dir(directory)?;
    }
    let lower: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off",
        lower.join(":"),
        upper.display(),
        work.display()
    );
    run(bounded("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged));
    let changed = output(bounded("sh").current_dir(&merged).args(["-euc", script]));
    run(bounded("umount").arg(&merged));
    let said = String::from_utf8_lossy(&changed.stderr);
    assert!(changed.status.success(), "the layer's script ended with {}\n{said}", changed.status);
    Ok(())
}

fn write_documents(layout: &Path, layers: &[Vec<TarEntry>]) -> io::Result<()> {
    let mut described = Vec::new();
    let mut diff_ids = Vec::new();
    for entries in layers {
        let (layer, diff_id) = write_layer(layout, entries)?;
        described.push(layer.json());
        diff_ids.push(diff_id.to_string());
    }
    let config = config_json(host_platform(), &diff_ids);
    let config = write_document(layout, Family::Oci.config(), &config)?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": Family::Oci.manifest(),
        "config": config.json(), "layers": described,
    });
    let manifest = write_document(layout, Family::Oci.manifest(), &manifest)?;
    write_layout_index(layout, &manifest, TAG)
}

/// What the packages of this machine's mirror run on.
pub(crate) fn host_platform() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
}

fn write_document(
    layout: &Path,
    media_type: &str,
    document: &serde_json::Value,
) -> io::Result<Described> {
    let bytes = document.to_string();
    let described = Described::of(media_type, bytes.as_bytes());
    fs::write(layout.join("blobs/sha256").join(Digest::of(&bytes).hex()), bytes)?;
    Ok(described)
}

/// Writes the gzipped tar of these entries as a blob; answers its description and the tar's digest.
fn write_layer(layout: &Path, entries: &[TarEntry]) -> io::Result<(Described, Digest)> {
    let blobs = layout.join("blobs/sha256");
    let part = blobs.join("part");
    let file = Hashed::new(BufWriter::new(File::create(&part)?));
    let gzip = GzEncoder::new(file, flate2::Compression::new(4));
    let mut archive = tar::Builder::new(Hashed::new(gzip));
    for entry in entries {
        entry.append_to(&mut archive)?;
    }
    let tar = archive.into_inner()?;
    let diff_id = tar.hasher.finish();
    let mut blob = tar.inner.finish()?;
    blob.flush()?;
    let digest = blob.hasher.finish();
    fs::rename(part, blobs.join(digest.hex()))?;
    let described = Described {
        media_type: Family::Oci.layer(Compression::Gzip).to_owned(),
        digest: digest.to_string(),
        size: blob.bytes,
    };
    Ok((described, diff_id))
}

/// Counts and hashes what passes.
struct Hashed<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Hashed<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..len]);
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[test]
fn umoci_unpacks_what_the_image_is_made_of() {
    use super::file_tree::FileTree;
    use super::needs::needs;
    if !needs(&[NEEDS, &["umoci"]].concat()) {
        return;
    }
    let bundle = tempfile::tempdir().expect("a temporary directory is made");
    run(bounded("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:{TAG}", layout().display()))
        .arg(bundle.path().join("b")));
    let tree = FileTree::read(&bundle.path().join("b/rootfs")).to_string();
    let lines_with = |word: &str| tree.lines().filter(|line| line.contains(word)).count();
    assert_eq!(lines_with("same file as=app/bin/run"), 3);
    assert_eq!(lines_with("same file as=app/perl"), 2 + 1, "perl has two names below");
}
