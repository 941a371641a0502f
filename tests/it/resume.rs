//! A download that breaks off goes on where it stopped: in the same run, and in the next.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::project::files::Inputs;
use sandbox_images::project::{Project as Library, Session};
use sandbox_images::registry::Registry;
use sandbox_images::registry::settings::{Retry, Settings};
use sandbox_images::store::Store;

use crate::support::fixture::{registry_and_project, two_platforms, wait_until};
use crate::support::image::{Compression, Layer};
use crate::support::needs::{LARGE, needs};
use crate::support::project::Project;
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

const MIB: usize = 1 << 20;

/// A layer that is kept while it comes.
const KEPT: usize = 20 * MIB;

/// A layer of one file, not compressed and without two equal blocks.
fn layer(size: usize) -> Layer {
    let mut state = 1_u64;
    let mut content = Vec::with_capacity(size);
    while content.len() < size {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes());
    }
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(Vec::with_capacity(size + (1 << 12)));
    tar.append_data(&mut header, "data", content.as_slice()).unwrap();
    Layer::packed(&tar.into_inner().unwrap(), Compression::Plain)
}

/// A registry with an image of this layer, and a project that has locked it.
fn locked(layer: &Layer) -> (TestRegistry, Project) {
    let (registry, project) = registry_and_project(&two_platforms(&[layer]));
    project.run(&["lock"]).exits(0);
    registry.clear_requests();
    (registry, project)
}

fn partial(project: &Project, layer: &Layer) -> PathBuf {
    let hex = layer.digest.strip_prefix("sha256:").unwrap();
    project.store().join("v1/partial").join(hex)
}

/// Runs `sync` until `bytes` of the layer are kept, and kills it. So much is kept however fast it comes.
fn kill_after(registry: &TestRegistry, project: &Project, layer: &Layer, bytes: usize) {
    kill_between(registry, project, layer, bytes..=bytes);
}

/// Runs `sync` until the registry stalls and enough of the layer is kept, and kills it.
fn kill_between(
    registry: &TestRegistry,
    project: &Project,
    layer: &Layer,
    kept_bytes: RangeInclusive<usize>,
) {
    registry.fault(Fault::on(&layer.digest, Effect::StallAt(*kept_bytes.end())));
    let mut child = project.start(&["sync"]);
    let kept = partial(project, layer);
    wait_until("the layer is kept", || {
        registry.bytes_sent(&layer.digest) >= *kept_bytes.end() as u64
            && fs::metadata(&kept).is_ok_and(|kept| kept.len() >= *kept_bytes.start() as u64)
    });
    child.kill().expect("the program is killed");
    child.wait().expect("the program ends");
    registry.clear_faults();
}

fn goes_on_after_a_kill(size: usize, kept_bytes: RangeInclusive<usize>) {
    let layer = layer(size);
    let (registry, project) = locked(&layer);
    kill_between(&registry, &project, &layer, kept_bytes);
    let kept = fs::metadata(partial(&project, &layer)).unwrap().len();
    let came = registry.bytes_sent(&layer.digest);
    project.run(&["sync"]).exits(0);
    project.run(&["verify"]).exits(0);

    let requests = registry.requests_to(&layer.digest);
    assert_eq!(requests[1].range, Some(format!("bytes={kept}-")));
    let sent = registry.bytes_sent(&layer.digest);
    assert_eq!(sent, layer.blob.len() as u64 + came - kept, "what is kept is not sent again");
    assert!(!partial(&project, &layer).exists());
}

#[test]
fn a_killed_run_is_continued_by_the_next() {
    goes_on_after_a_kill(KEPT, 13 * MIB..=13 * MIB);
}

#[test]
fn a_killed_run_is_continued_by_the_next_at_any_size() {
    if needs(&[LARGE]) {
        goes_on_after_a_kill(1 << 30, 16 * MIB..=640 * MIB);
    }
}

#[test]
fn a_small_layer_leaves_nothing_behind() {
    let layer = layer(MIB);
    let (registry, project) = locked(&layer);
    project.run(&["sync"]).exits(0);
    assert_eq!(registry.requests_to(&layer.digest).len(), 1);
    assert_eq!(fs::read_dir(project.store().join("v1/partial")).unwrap().count(), 0);
}

#[test]
fn what_is_kept_is_checked_like_everything_else() {
    let layer = layer(KEPT);
    for damage in [|kept: &mut Vec<u8>| kept[5 * MIB] ^= 1, |kept: &mut Vec<u8>| kept.truncate(7)] {
        let (registry, project) = locked(&layer);
        kill_after(&registry, &project, &layer, 9 * MIB);
        let mut kept = fs::read(partial(&project, &layer)).unwrap();
        damage(&mut kept);
        fs::write(partial(&project, &layer), kept).unwrap();
        project.run(&["sync"]).exits(0);
        project.run(&["verify"]).exits(0);
        assert!(!partial(&project, &layer).exists());
    }
}

#[test]
fn a_download_that_is_whole_is_built_without_a_network() {
    let layer = layer(KEPT);
    let (mut registry, project) = locked(&layer);
    kill_after(&registry, &project, &layer, 9 * MIB);
    registry.stop();
    project.run(&["sync", "--frozen", "--dry-run"]).exits(4);
    project.run(&["sync", "--frozen"]).exits(4);

    let kept = partial(&project, &layer);
    let mut damaged = layer.blob.clone();
    damaged[MIB] ^= 1;
    fs::write(&kept, damaged).unwrap();
    project.run(&["sync", "--frozen"]).exits(4);
    assert!(!kept.exists(), "what is not the blob is dropped");

    fs::write(&kept, &layer.blob).unwrap();
    project.run(&["sync", "--frozen", "--dry-run"]).exits(0);
    project.run(&["sync", "--frozen"]).exits(0);
    project.run(&["verify"]).exits(0);
    assert!(!kept.exists());
}

#[test]
fn a_wrong_layer_is_not_kept() {
    let layer = layer(KEPT);
    let (registry, project) = locked(&layer);
    registry.fault(Fault::on(&layer.digest, Effect::FlipAt(MIB)));
    project.run(&["sync"]).exits(5);
    assert!(!partial(&project, &layer).exists());
}

/// Syncs by the library, which waits milliseconds where the program waits seconds.
async fn sync(project: &Project) {
    let retry = Retry {
        delay_min: Duration::from_millis(1),
        delay_max: Duration::from_millis(2),
        ..Retry::default()
    };
    let registry = Registry::new(Settings { retry, ..Settings::default() });
    let library = Library::new(project.directory(), Store::at(project.store()));
    let inputs = Inputs::parse(&library.texts().unwrap()).unwrap();
    let request = SelectionRequest::default_for(Platform::host_linux());
    let selection = select(Some(&inputs.image_set), &inputs.lock, &request).unwrap();
    let session = Session::new(Some(registry), SystemTime::UNIX_EPOCH);
    let synced = library.sync(&inputs.lock, &selection, Some(&inputs), &session).await;
    assert!(synced.is_complete(), "{synced:?}");
}

/// A link that is cut each time after so many bytes.
fn survives_cuts(size: usize, cut: usize) {
    let layer = layer(size);
    let (registry, project) = locked(&layer);
    registry.fault(Fault::on(&layer.digest, Effect::CutAt(cut)));
    tokio::runtime::Runtime::new().unwrap().block_on(sync(&project));
    project.run(&["verify"]).exits(0);
    assert_eq!(registry.requests_to(&layer.digest).len(), layer.blob.len().div_ceil(cut));
    let (sent, size) = (registry.bytes_sent(&layer.digest), layer.blob.len() as u64);
    assert!(sent <= size + size / 20, "{sent} bytes for {size}");
}

#[test]
fn a_link_that_is_cut_again_and_again_brings_the_layer() {
    survives_cuts(KEPT, 3 * MIB);
}

#[test]
fn a_link_that_is_cut_again_and_again_brings_a_layer_of_any_size() {
    if needs(&[LARGE]) {
        survives_cuts(1 << 30, 64 * MIB);
    }
}
