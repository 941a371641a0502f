//! The whole of it in one program: a registry on 127.0.0.1 with a small image for two platforms, `lock`,
//! `sync`, a second `sync`, a frozen one without the registry, and a look at the disk.
//!
//! ```console
//! $ cargo run --release --example quickstart
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example shows what it does, and is its own program"
)]

#[path = "stage/support.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use sandbox_images::disk::erofs::reader::Image as Erofs;
use sandbox_images::disk::vmdk::Vmdk;
use sandbox_images::layer::show::DisplayBytes;
use sandbox_images::layer::tree::{Kind, Node};
use sandbox_images::oci::digest::ChainId;
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::selection::{Selection, SelectionRequest, select};
use sandbox_images::project::files::Inputs;
use sandbox_images::project::{Project, Session};
use sandbox_images::registry::Registry;
use sandbox_images::registry::settings::Settings;
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::store::Store;

use support::image::Layer;
use support::registry::TestRegistry;
use support::serving::{serve, two_platforms};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What every image begins with.
const BASE: &str = r"
/bin/ 0755
/bin/busybox 0755 random=300000
/bin/sh -> busybox
/etc/ 0755
/etc/motd 0644 Welcome to the base layer\n
/tmp/ 01777
/var/cache/ 0755
/var/cache/old 0644 to be removed
";

/// What the application adds, replaces and removes.
const APPLICATION: &str = r"
/app/ 0755 uid=1000 gid=1000
/app/server 04755 uid=1000 gid=1000 xattr:user.build=release random=70000
/app/server-1.0 => /app/server
/etc/motd 0644 Welcome to the application\n
/tmp/socket fifo 0600
/var/cache/old whiteout
";

#[tokio::main]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut registry = start_registry();
    let image = format!("{}/acme/app:1.0", registry.host());
    let text = format!("manifest-version = 1\n\n[images]\napp = \"{image}\"\n");
    fs::write(directory.path().join("sandbox-images.toml"), &text)?;
    println!("sandbox-images.toml\n\n{text}");

    let store = Store::at(directory.path().join("store"));
    let project = Project::new(directory.path(), store);
    let online = Session::new(Some(Registry::new(Settings::default())), SystemTime::now());
    lock(&project, &online).await?;
    println!("sandbox-images.lock\n\n{}", fs::read_to_string(project.lock_path())?);

    sync("sync", &project, &online).await?;
    sync("second sync", &project, &online).await?;
    registry.stop();
    let (lock, selection) =
        sync("frozen sync, registry stopped", &project, &Session::new(None, SystemTime::now()))
            .await?;

    let chain_id =
        chain_id(&lock, &selection).ok_or("the image is not locked for this platform")?;
    show_tree(&project, chain_id)?;
    let disk = project.store().path_of(Artifact::Disk(chain_id));
    println!("\ndisk {}\n\n{}", disk.display(), fs::read_to_string(&disk)?);
    mount(&disk, directory.path())
}

/// A registry that holds the image for two platforms.
fn start_registry() -> TestRegistry {
    let (base, application) = (Layer::new(BASE), Layer::new(APPLICATION));
    let image = two_platforms(&[&base, &application]);
    let registry = TestRegistry::start();
    serve(&registry, "acme/app", "1.0", &image);
    registry
}

/// Pins the image to its digests.
async fn lock(project: &Project, session: &Session) -> Result<()> {
    let inputs = read(project)?;
    let relocked = project.lock(&inputs, session).await;
    if let Some((image, error)) = relocked.failures.into_iter().next() {
        return Err(format!("{image}: {error}").into());
    }
    project.write_lock(&relocked.lock.render())?;
    Ok(())
}

/// Makes the store hold what the lock says, and says how long that took.
async fn sync(what: &str, project: &Project, session: &Session) -> Result<(Lock, Selection)> {
    let started = Instant::now();
    let inputs = read(project)?;
    if !inputs.stale.is_empty() {
        return Err("the lock does not match sandbox-images.toml".into());
    }
    let request = SelectionRequest::default_for(Platform::host_linux());
    let selection = select(Some(&inputs.image_set), &inputs.lock, &request)?;
    let synced = project.sync(&inputs.lock, &selection, Some(&inputs), session).await;
    if let Some((image, error)) = synced.failures.into_iter().next() {
        return Err(format!("{image}: {error}").into());
    }
    let totals = synced.totals;
    println!(
        "{what}: {} layers and {} disks built in {:?}",
        totals.layers,
        totals.disks,
        started.elapsed()
    );
    Ok((inputs.lock, selection))
}

fn read(project: &Project) -> Result<Inputs> {
    Inputs::parse(&project.texts()?).map_err(|problems| format!("{problems:?}").into())
}

/// The identity of the image's stack of layers: the name of its disk.
fn chain_id(lock: &Lock, selection: &Selection) -> Option<ChainId> {
    let (name, platforms) = selection.images.first_key_value()?;
    Some(lock.image(name.as_str())?.platforms.get(platforms.first()?)?.chain_id())
}

/// Prints the merged tree, read from its metadata image alone.
fn show_tree(project: &Project, chain_id: ChainId) -> Result<()> {
    let fsmeta = project.store().open(Artifact::Fsmeta(chain_id))?;
    let tree = Erofs::open(fsmeta)?.tree(0)?;
    println!();
    for (path, node) in tree.walk() {
        let (metadata, what) = match node {
            Node::Directory(id) => (&tree.directory(id).metadata, "/".to_owned()),
            Node::Inode(id) => {
                let inode = tree.inode(id);
                let what = match &inode.kind {
                    Kind::File(content) => format!("  {} bytes", content.size_bytes),
                    Kind::Symlink(target) => format!(" -> {}", DisplayBytes(target)),
                    Kind::Fifo => "  fifo".to_owned(),
                    Kind::CharDevice(_) | Kind::BlockDevice(_) => "  device".to_owned(),
                };
                (&inode.metadata, what)
            }
        };
        println!(
            "{:04o} {}:{} /{}{what}",
            metadata.mode,
            metadata.uid,
            metadata.gid,
            DisplayBytes(&path)
        );
    }
    Ok(())
}

/// Mounts the disk, where this user may: as a hypervisor does, the parts one behind the other.
fn mount(disk: &Path, scratch: &Path) -> Result<()> {
    if !cfg!(target_os = "linux") || !rustix::process::geteuid().is_root() {
        println!("not mounted: that needs root on Linux");
        return Ok(());
    }
    let (stitched, mountpoint) = (scratch.join("disk.raw"), scratch.join("mnt"));
    let folder = disk.parent().ok_or("the disk is in a folder")?;
    let mut whole = fs::File::create(&stitched)?;
    for extent in Vmdk::parse(&fs::read_to_string(disk)?)?.extents {
        io::copy(&mut fs::File::open(folder.join(extent.file))?, &mut whole)?;
    }
    fs::create_dir(&mountpoint)?;
    let mounted = Command::new("mount")
        .args(["-t", "erofs", "-o", "ro,loop"])
        .args([&stitched, &mountpoint])
        .status()?;
    if !mounted.success() {
        println!("not mounted: this kernel or container does not allow it");
        return Ok(());
    }
    let motd = fs::read_to_string(mountpoint.join("etc/motd"));
    Command::new("umount").arg(&mountpoint).status()?;
    println!("mounted by the kernel, /etc/motd says: {}", motd?.trim_end());
    Ok(())
}
