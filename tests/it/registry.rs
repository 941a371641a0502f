//! The registry client against a registry that misbehaves.

#[path = "registry/transfer.rs"]
mod transfer;

#[path = "registry/access.rs"]
mod access;

#[path = "registry/documents.rs"]
mod documents;

#[path = "registry/mirrors.rs"]
mod mirrors;

use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::document::descriptor::Descriptor;
use sandbox_images::oci::reference::Reference;
use sandbox_images::registry::Registry;
use sandbox_images::registry::blob::BlobStream;
use sandbox_images::registry::endpoint::Scheme;
use sandbox_images::registry::error::Error;
use sandbox_images::registry::event::{EventSink, RegistryEvent};
use sandbox_images::registry::settings::{RegistryRule, Retry, Settings};

use crate::support::registry::{OCI_MANIFEST, TestRegistry};

/// A layer of a few frames, so that it can be cut in the middle.
fn layer() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A client that waits milliseconds where a real one waits seconds.
fn client() -> Registry {
    Registry::new(settings())
}

fn settings() -> Settings {
    Settings {
        retry: Retry {
            delay_min: Duration::from_millis(1),
            delay_max: Duration::from_millis(2),
            ..Retry::default()
        },
        ..Settings::default()
    }
}

/// Settings for plain http with this registry, so that not even the question for TLS is asked.
fn plain(registry: &TestRegistry) -> Settings {
    let rule = RegistryRule { scheme: Some(Scheme::Http), ..RegistryRule::default() };
    let mut settings = settings();
    settings.registries.insert(registry.host(), rule);
    settings
}

/// Where the events of a client go.
fn record(settings: &mut Settings) -> Arc<Mutex<Vec<RegistryEvent>>> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&events);
    settings.events = EventSink::new(move |event| recorded.lock().expect("no panic").push(event));
    events
}

fn reference(registry: &TestRegistry, rest: &str) -> Reference {
    let text = format!("{}/{rest}", registry.host());
    text.parse().expect("a reference")
}

/// Puts an image of one layer as `acme/tool:1` and tells its manifest's digest.
fn put_image(registry: &TestRegistry) -> Digest {
    let config =
        registry.put_blob(r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#);
    let layer = registry.put_blob(layer());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}",
        "config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":62}},
        "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":400000}}]}}"#
    );
    registry.put_manifest("acme/tool", "1", OCI_MANIFEST, manifest)
}

/// Fetches the layer that [`put_image`] has put.
async fn fetch_layer(client: &Registry, registry: &TestRegistry) -> Result<Vec<u8>, Error> {
    collected(blob_stream(client, registry, ..)).await
}

/// The same, a part of it, as it comes.
fn blob_stream(
    client: &Registry,
    registry: &TestRegistry,
    range: impl RangeBounds<u64>,
) -> BlobStream {
    let layer = layer();
    let descriptor = Descriptor::new("tar", Digest::of(&layer), layer.len() as u64);
    client.fetch_blob(&reference(registry, "acme/tool"), &descriptor, range)
}

async fn collected(stream: BlobStream) -> Result<Vec<u8>, Error> {
    stream
        .try_fold(Vec::new(), |mut all, bytes| async move {
            all.extend_from_slice(&bytes);
            Ok(all)
        })
        .await
}

/// An error and all its causes, as a person or a log would see them.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text} {error} {error:?}");
        cause = error.source();
    }
    text
}
