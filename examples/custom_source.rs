//! An image that no registry has: a program makes it as an OCI layout in a directory, with the library's own words
//! for digests, and pulls it from there like any other.
//!
//! ```console
//! $ cargo run --release --example custom_source
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
use std::path::Path;
use std::time::SystemTime;

use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::platform::Platform;
use sandbox_images::oci::reference::DOCKER_HUB;
use sandbox_images::project::Session;
use sandbox_images::project::pull::{PullPolicy, PullRequest, pull};
use sandbox_images::spec::source::ImageSource;
use sandbox_images::store::Store;
use serde_json::{Value, json};

use support::layer_text::layer_tar;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A layout that is being made.
struct Layout<'p>(&'p Path);

impl Layout<'_> {
    /// Stores `bytes`, and answers what other documents say of them.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let digest = Digest::of(bytes);
        let folder = self.0.join("blobs/sha256");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(digest.hex()), bytes)?;
        Ok(json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() }))
    }

    /// Stores an image of one layer, as `name`.
    fn image(&self, name: &str, tar: &[u8], command: &str) -> Result<()> {
        let host = Platform::host_linux();
        let config = json!({
            "os": host.os(), "architecture": host.architecture(),
            "config": { "Cmd": [command] },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(tar).to_string()] },
        });
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", tar)?;
        let config = config.to_string();
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.as_bytes())?;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer],
        });
        let mut manifest = self.blob(media_type, manifest.to_string().as_bytes())?;
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(self.0.join("index.json"), index.to_string())?;
        fs::write(self.0.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let layout = directory.path().join("generated");
    let tar = layer_tar("/init 0755 #!/bin/sh\\necho made by a program\\n");
    Layout(&layout).image("v1", &tar, "/init")?;

    let source = format!("oci:{}:v1", layout.display());
    let request = PullRequest {
        source: ImageSource::parse(&source, DOCKER_HUB)?,
        platform: Platform::host_linux(),
        policy: PullPolicy::Always,
    };
    let store = Store::at(directory.path().join("store"));
    // No registry: what is asked for is on this machine.
    let session = Session::new(None, SystemTime::now());
    let pulled = pull(&store, &request, &session).await?;
    println!("pulled {} with no network, which runs {:?}", pulled.manifest, pulled.config.cmd);
    Ok(())
}
