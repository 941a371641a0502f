//! The registry client alone: a manifest, a part of a layer, all layers with progress.
//!
//! ```console
//! $ cargo run --release --example registry
//! ```
//!
//! It starts a registry in this process, so it needs no network.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "../tests/it/support/registry.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod registry;

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use flate2::write::GzEncoder;
use futures_util::TryStreamExt as _;
use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::document::Document;
use sandbox_images::oci::document::descriptor::Descriptor;
use sandbox_images::oci::document::manifest::Manifest;
use sandbox_images::oci::platform::Platform;
use sandbox_images::oci::reference::Reference;
use sandbox_images::registry::Registry;
use sandbox_images::registry::event::EventSink;
use sandbox_images::registry::settings::{Retry, Settings};

use registry::fault::{Effect, Fault};
use registry::{OCI_MANIFEST, TestRegistry};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let server = serve()?;
    let reference: Reference = format!("{}/acme/tool:1.0", server.host()).parse()?;
    let client = Registry::new(Settings {
        retry: Retry { delay_min: Duration::from_millis(50), ..Retry::default() },
        events: EventSink::new(|event| println!("  {event:?}")),
        ..Settings::default()
    });

    println!("the manifest of {reference}");
    let manifest = client.resolve_platform(&reference, &Platform::host_linux()).await?;
    let config = client.fetch_config(&reference, manifest.parsed()).await?;
    println!(
        "  {}, {} layers for {}",
        manifest.digest(),
        config.parsed().diff_ids.len(),
        config.parsed().platform().map_or_else(String::new, |platform| platform.to_string())
    );

    println!("16 bytes of its first layer");
    let layer = &manifest.parsed().layers[0];
    let part: Vec<_> = client.fetch_blob(&reference, layer, 4..20).try_collect().await?;
    println!("  {:02x?}", part.concat());

    println!("all of it, over a link that breaks");
    server.fault(Fault::on(&layer.digest.to_string(), Effect::CutAt(30_000)).first(1));
    pull(&client, &reference, &manifest).await
}

/// Fetches all layers and says how far they are. What is not written anywhere is at least checked.
async fn pull(
    client: &Registry,
    reference: &Reference,
    manifest: &Document<Manifest>,
) -> Result<()> {
    for layer in &manifest.parsed().layers {
        let mut stream = client.fetch_blob(reference, layer, ..);
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
            println!("  {:3} %", bytes.len() as u64 * 100 / layer.size);
        }
        let actual = Digest::of(&bytes);
        if actual != layer.digest {
            return Err(format!("{} has digest {actual}", layer.digest).into());
        }
        println!("  {actual} is complete");
    }
    Ok(())
}

/// A registry with an image of one layer.
fn serve() -> Result<TestRegistry> {
    let server = TestRegistry::start();
    let tar: Vec<u8> =
        (0..40_000_u32).flat_map(|word| (word ^ (word << 13)).to_le_bytes()).collect();
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar)?;
    let layer = gzip.finish()?;
    let config = format!(
        r#"{{"os":"linux","architecture":"{}","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        Platform::host_linux().architecture(),
        Digest::of(&tar)
    );
    let describe = |media_type: &str, bytes: &[u8]| {
        let Descriptor { media_type, digest, size, .. } =
            Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64);
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}]}}"#,
        describe("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        describe("application/vnd.oci.image.layer.v1.tar+gzip", &layer)
    );
    server.put_blob(config);
    server.put_blob(layer);
    server.put_manifest("acme/tool", "1.0", OCI_MANIFEST, manifest);
    Ok(server)
}
