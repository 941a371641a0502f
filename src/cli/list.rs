//! `list`: the images, what they are locked to, and whether they are in the store.

use std::collections::{BTreeMap, BTreeSet};

use sandbox_images::engine::error::Error;
use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::{Artifact, Inventory};
use sandbox_images::plan::extent::{Content, Extent};
use sandbox_images::plan::selection::Selection;
use sandbox_images::plan::{images_of_blobs, plan_within};
use sandbox_images::spec::lockfile::{Lock, LockedPlatform};
use sandbox_images::spec::name::ImageName;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::List;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::report::{aligned, short, size};
use crate::cli::setup::{Setup, lock_alone};

/// What `list --json` prints.
#[derive(Debug, Serialize)]
struct Listing<'l> {
    schema: &'static str,
    images: Vec<Row<'l>>,
}

/// An image on a platform.
#[derive(Debug, Serialize)]
struct Row<'l> {
    image: &'l ImageName,
    source: String,
    platform: &'l Platform,
    /// Of the index or manifest.
    digest: Digest,
    /// Compressed bytes of all layers.
    size_bytes: u64,
    /// Whether all of it is in the store.
    synced: bool,
    /// Whether `sync` makes all of it without a network.
    fetched: bool,
    layers: Vec<Layer<'l>>,
}

/// A layer of an image.
#[derive(Debug, Serialize)]
struct Layer<'l> {
    digest: Digest,
    diff_id: DiffId,
    size_bytes: u64,
    /// Whether its image is in the store.
    synced: bool,
    /// Whether its compressed bytes are.
    fetched: bool,
    /// The other images that have it.
    shared_with: BTreeSet<&'l ImageName>,
}

pub(crate) fn run(setup: &Setup<'_>, list: &List) -> Done {
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let mut all = project.wanted(&lock, &Selection::everything(&lock));
    all.extend(images_of_blobs(&lock).into_keys());
    let mut have = project.store().inventory(all).map_err(|error| Failure::store(&error))?;
    have.retain(|artifact| {
        !matches!(project.open(&lock, *artifact), Err(Error::ArtifactDiffers { .. }))
    });
    let rows = rows(&lock, project.extent(), &have);
    if setup.output.json {
        output::json(&Listing { schema: "sandbox-images/list/1", images: rows });
    } else {
        output::text(&table(&rows, list.layers));
    }
    Ok(())
}

fn rows<'l>(lock: &'l Lock, extent: Extent, have: &Inventory) -> Vec<Row<'l>> {
    let users = users(lock);
    let fetched = Extent { content: Content::Blobs, ..extent };
    let mut rows = Vec::new();
    for (name, image) in lock.images() {
        for (platform, locked) in &image.platforms {
            let only = Selection {
                images: [(name.clone(), [platform.clone()].into())].into(),
                skipped: Vec::new(),
            };
            rows.push(Row {
                image: name,
                source: image.source.to_string(),
                platform,
                digest: image.digest,
                size_bytes: locked
                    .layers
                    .iter()
                    .map(|layer| layer.size)
                    .fold(0, u64::saturating_add),
                synced: plan_within(lock, &only, extent, have).is_empty(),
                fetched: plan_within(lock, &only, fetched, have).is_empty(),
                layers: layers(name, locked, have, &users),
            });
        }
    }
    rows
}

/// Which images have a layer.
fn users(lock: &Lock) -> BTreeMap<DiffId, BTreeSet<&ImageName>> {
    let mut users: BTreeMap<DiffId, BTreeSet<&ImageName>> = BTreeMap::new();
    for (name, image) in lock.images() {
        for diff_id in image.platforms.values().flat_map(LockedPlatform::diff_ids) {
            users.entry(diff_id).or_default().insert(name);
        }
    }
    users
}

fn layers<'l>(
    name: &ImageName,
    locked: &LockedPlatform,
    have: &Inventory,
    users: &BTreeMap<DiffId, BTreeSet<&'l ImageName>>,
) -> Vec<Layer<'l>> {
    let layers = locked.layers.iter().map(|layer| {
        let mut shared_with = users.get(&layer.diff_id).cloned().unwrap_or_default();
        shared_with.remove(name);
        Layer {
            digest: layer.digest,
            diff_id: layer.diff_id,
            size_bytes: layer.size,
            synced: have.contains(&Artifact::Layer(layer.diff_id)),
            fetched: have.contains(&Artifact::Blob(layer.digest)),
            shared_with,
        }
    });
    layers.collect()
}

fn table(rows: &[Row<'_>], with_layers: bool) -> String {
    let state = |synced, fetched| match (synced, fetched) {
        (true, _) => "synced",
        (false, true) => "fetched",
        (false, false) => "missing",
    };
    let mut lines =
        vec![["IMAGE", "PLATFORM", "STATE", "SIZE", "DIGEST", "SOURCE"].map(str::to_owned)];
    for row in rows {
        let Row { image, platform, synced, fetched, digest, source, .. } = row;
        let source = source.clone();
        let columns =
            [image.to_string(), platform.to_string(), state(*synced, *fetched).to_owned()];
        let [image, platform, synced] = columns;
        lines.push([image, platform, synced, size(row.size_bytes), short(*digest), source]);
        for layer in row.layers.iter().filter(|_| with_layers) {
            let shared: Vec<&str> = layer.shared_with.iter().map(|name| name.as_str()).collect();
            let shared = if shared.is_empty() {
                String::new()
            } else {
                format!("also in {}", shared.join(", "))
            };
            let synced = state(layer.synced, layer.fetched).to_owned();
            lines.push([
                "  layer".to_owned(),
                String::new(),
                synced,
                size(layer.size_bytes),
                short(layer.digest),
                shared,
            ]);
        }
    }
    aligned(&lines)
}
