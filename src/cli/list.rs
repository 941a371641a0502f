//! `list`: the images, what they are locked to, and whether they are in the store.

use std::collections::{BTreeMap, BTreeSet};

use sandbox_images::engine::error::Error;
use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::{Artifact, Inventory};
use sandbox_images::plan::selection::Selection;
use sandbox_images::plan::wanted;
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
    layers: Vec<Layer<'l>>,
}

/// A layer of an image.
#[derive(Debug, Serialize)]
struct Layer<'l> {
    digest: Digest,
    diff_id: DiffId,
    size_bytes: u64,
    synced: bool,
    /// The other images that have it.
    shared_with: BTreeSet<&'l ImageName>,
}

pub(crate) fn run(setup: &Setup<'_>, list: &List) -> Done {
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let everything = wanted(&lock, &Selection::everything(&lock));
    let mut have = project.store().inventory(everything).map_err(|error| Failure::store(&error))?;
    have.retain(|artifact| {
        !matches!(project.open(&lock, *artifact), Err(Error::ArtifactDiffers { .. }))
    });
    let rows = rows(&lock, &have);
    if setup.output.json {
        output::json(&Listing { schema: "sandbox-images/list/1", images: rows });
    } else {
        output::text(&table(&rows, list.layers));
    }
    Ok(())
}

fn rows<'l>(lock: &'l Lock, have: &Inventory) -> Vec<Row<'l>> {
    let users = users(lock);
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
                synced: wanted(lock, &only).is_subset(have),
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
            shared_with,
        }
    });
    layers.collect()
}

fn table(rows: &[Row<'_>], with_layers: bool) -> String {
    let state = |synced| if synced { "synced" } else { "missing" };
    let mut lines =
        vec![["IMAGE", "PLATFORM", "STATE", "SIZE", "DIGEST", "SOURCE"].map(str::to_owned)];
    for row in rows {
        let Row { image, platform, synced, digest, source, .. } = row;
        let source = source.clone();
        let columns = [image.to_string(), platform.to_string(), state(*synced).to_owned()];
        let [image, platform, synced] = columns;
        lines.push([image, platform, synced, size(row.size_bytes), short(*digest), source]);
        for layer in row.layers.iter().filter(|_| with_layers) {
            let shared: Vec<&str> = layer.shared_with.iter().map(|name| name.as_str()).collect();
            let shared = if shared.is_empty() {
                String::new()
            } else {
                format!("also in {}", shared.join(", "))
            };
            let synced = state(layer.synced).to_owned();
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
