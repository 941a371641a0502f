//! `inspect`: how the tool reads something, as JSON.

mod auth;

mod entry;

mod layer;

mod tree;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::document::descriptor::Descriptor;
use sandbox_images::oci::document::error::DocumentError;
use sandbox_images::oci::document::kind::Kind as DocumentKind;
use sandbox_images::oci::document::media_type::{OCI_ARTIFACT, OCI_MANIFEST};
use sandbox_images::oci::document::parsed::MANIFEST_BYTES_MAX;
use sandbox_images::oci::document::{Document, Root};
use sandbox_images::oci::reference::Reference;
use sandbox_images::oci::reference::error::ReferenceError;
use sandbox_images::words::with_causes;
use serde_json::{Value, json};

use crate::cli::Done;
use crate::cli::args::Inspect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::Setup;

pub(crate) fn run(setup: &Setup<'_>, inspect: &Inspect) -> Done {
    let shown = match inspect {
        Inspect::Reference { reference: text } => reference(text)?,
        Inspect::Manifest { file } => manifest(file)?,
        Inspect::Layer { file } => layer::inspect(setup, file)?,
        Inspect::Tree(tree) => tree::inspect(setup, tree)?,
        Inspect::Auth { reference } => auth::inspect(setup, reference)?,
    };
    output::json(&shown);
    Ok(())
}

fn reference(text: &str) -> Result<Value, Failure> {
    let reference = parse_reference(text)?;
    Ok(json!({
        "schema": "sandbox-images/inspect-reference/1",
        "registry": reference.registry(),
        "repository": reference.repository(),
        "tag": reference.tag(),
        "digest": reference.digest(),
        "canonical": reference.to_string(),
    }))
}

fn parse_reference(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error: ReferenceError| {
        let (message, offset) = (error.to_string(), error.offset());
        let code = "invalid-reference";
        let shown = json!({ "code": code, "message": message, "entry": null, "offset": offset });
        Failure::of(Kind::Usage, code, &error).with("error", &shown)
    })
}

fn manifest(file: &Path) -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    let read = open(file)?.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(file, &error))?;
    let (digest, size) = (Digest::of(&bytes), bytes.len());
    let document: Document<Root> = match Document::parse(bytes, None) {
        Ok(document) => document,
        Err(DocumentError::Artifact(what)) => {
            // Artifacts used to have a document of their own; now they are manifests with another config.
            let media_type = if what == OCI_ARTIFACT { OCI_ARTIFACT } else { OCI_MANIFEST };
            return Ok(json!({
                "schema": "sandbox-images/inspect-manifest/1",
                "kind": "artifact", "media_type": media_type, "digest": digest, "size": size,
                "platforms": [], "config": null, "layers": [],
            }));
        }
        Err(error) => {
            return Err(refused("invalid-manifest", &error, None, None).about(&name_of(file)));
        }
    };
    let kind: DocumentKind = document.parsed().kind();
    let (platforms, config, layers) = match document.parsed() {
        Root::Index(index) => (index.platforms(), Value::Null, Vec::new()),
        Root::Manifest(manifest) => {
            let layers = manifest.layers.iter().map(descriptor).collect();
            (Vec::new(), descriptor(&manifest.config), layers)
        }
    };
    Ok(json!({
        "schema": "sandbox-images/inspect-manifest/1",
        "kind": kind.as_str(), "media_type": kind.media_type(), "digest": digest, "size": size,
        "platforms": platforms, "config": config, "layers": layers,
    }))
}

fn descriptor(descriptor: &Descriptor) -> Value {
    json!({ "media_type": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size })
}

/// Opens a file, or standard input for `-`.
fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(file))
}

/// What messages call a file.
fn name_of(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    format!("`{}`", path.display())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Kind::Failed, "file", format!("cannot read {}: {error}", name_of(path)))
}

/// Content that is refused, with what is known of its place.
fn refused(
    code: &'static str,
    error: &dyn std::error::Error,
    entry: Option<&[u8]>,
    offset: Option<u64>,
) -> Failure {
    let entry = entry.map(entry::Bytes);
    let message = with_causes(error);
    let shown = json!({ "code": code, "message": message, "entry": entry, "offset": offset });
    Failure::new(Kind::Integrity, code, message).with("error", &shown)
}
