//! What is on a disk, read without mounting it: the merged tree from its metadata, and a file's bytes from the
//! layer that has them.
//!
//! ```console
//! $ cargo run --release --example read_tree
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example shows what it does, and is its own program"
)]

#[path = "stage/support.rs"]
mod support;

use std::error::Error;
use std::io::Read as _;
use std::time::SystemTime;

use sandbox_images::disk::erofs::reader::Image as Erofs;
use sandbox_images::disk::erofs::reader::content::ContentReader;
use sandbox_images::layer::show::DisplayBytes;
use sandbox_images::layer::tree::{Kind, Node};
use sandbox_images::oci::digest::{ChainId, DiffId};
use sandbox_images::oci::platform::Platform;
use sandbox_images::oci::reference::DOCKER_HUB;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::project::Session;
use sandbox_images::project::pull::{PullPolicy, PullRequest, Pulled, pull};
use sandbox_images::spec::source::ImageSource;
use sandbox_images::store::Store;

use support::image::{Family, Image, Layer};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BASE: &str = "
/etc/ 0755
/etc/motd 0644 Welcome to the base layer
/etc/old 0644 to be removed
/bin/sh -> busybox
";

const APPLICATION: &str = "
/app/ 0755 uid=1000 gid=1000
/app/server 04755 uid=1000 gid=1000 random=70000
/etc/motd 0644 Welcome to the application
/etc/old whiteout
";

#[tokio::main]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let layout = directory.path().join("layout");
    let host = Platform::host_linux();
    let (base, application) = (Layer::new(BASE), Layer::new(APPLICATION));
    let image = Image::single(Family::Oci, &host.to_string(), &[&base, &application]);
    image.write_layout(&layout, "v1")?;

    let store = Store::at(directory.path().join("store"));
    let source = ImageSource::parse(&format!("oci:{}:v1", layout.display()), DOCKER_HUB)?;
    let request = PullRequest { source, platform: host, policy: PullPolicy::IfMissing };
    let session = Session::new(None, SystemTime::now());
    list(&store, &pull(&store, &request, &session).await?)
}

/// Prints every path, and the text of short files.
fn list(store: &Store, pulled: &Pulled) -> Result<()> {
    let chain_id = ChainId::of(pulled.layers.iter().map(|layer| layer.diff_id));
    let fsmeta = Erofs::open(store.open(Artifact::Fsmeta(chain_id))?)?;
    // A file's bytes are in the device that its inode counts to, and a device is named after its layer.
    let devices = fsmeta.devices().iter();
    let layers = devices.map(|device| store.open(Artifact::Layer(DiffId(device.tag))));
    let layers = layers.collect::<std::result::Result<Vec<_>, _>>()?;
    let tree = fsmeta.tree(0)?;
    for (path, node) in tree.walk() {
        let what = match node {
            Node::Directory(_) => "/".to_owned(),
            Node::Inode(id) => match &tree.inode(id).kind {
                Kind::File(content) if content.size_bytes < 100 => {
                    let mut text = String::new();
                    ContentReader::new(&layers, content)?.read_to_string(&mut text)?;
                    format!(": {text}")
                }
                Kind::File(content) => format!(": {} bytes", content.size_bytes),
                Kind::Symlink(target) => format!(" -> {}", DisplayBytes(target)),
                other => format!(": {other:?}"),
            },
        };
        println!("/{}{what}", DisplayBytes(&path));
    }
    Ok(())
}
