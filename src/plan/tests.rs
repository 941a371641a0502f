use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::oci::digest::{DiffId, Digest};
use crate::oci::document::kind::Kind;
use crate::oci::platform::Platform;
use crate::plan::selection::{PlatformChoice, SelectionRequest, select};
use crate::plan::sweep::{Held, Holdings, Keeper, Limits, Scope, sweep};
use crate::spec::lockfile::LockedLayer;
use crate::spec::source::ImageSource;

/// An image in a line: its layers for each platform, bottom to top. A letter is a layer; an upper-case one is
/// the same layer compressed otherwise.
fn image(name: &str, platforms: &[(&str, &str)], media_type: Kind) -> LockedImage {
    let document = |of: String| LockedDocument { size: of.len() as u64, digest: Digest::of(of) };
    let layer = |letter: char| LockedLayer {
        digest: Digest::of(letter.to_string()),
        size: 100,
        diff_id: DiffId(Digest::of(letter.to_lowercase().to_string())),
        layer_type: "tar".parse().unwrap(),
        erofs: None,
    };
    let platforms: BTreeMap<Platform, LockedPlatform> = platforms
        .iter()
        .map(|(platform, layers)| {
            let locked = LockedPlatform {
                manifest: document(format!("{name} {platform} manifest")),
                config: document(format!("{layers} {platform} config")),
                fsmeta: None,
                layers: layers.chars().map(layer).collect(),
            };
            (platform.parse().unwrap(), locked)
        })
        .collect();
    let root = match platforms.values().next() {
        Some(only) if !media_type.is_index() => only.manifest,
        _ => document(format!("{name} index")),
    };
    LockedImage {
        source: ImageSource::parse(name, "docker.io").unwrap(),
        digest: root.digest,
        media_type,
        size: root.size,
        absent_platforms: BTreeSet::new(),
        platforms,
    }
}

fn lock(images: &[(&str, &[(&str, &str)])]) -> Lock {
    let mut lock = Lock::new();
    for (name, platforms) in images {
        let image = image(name, platforms, Kind::OciIndex);
        lock.insert(name.parse().unwrap(), image);
    }
    lock
}

fn everything(lock: &Lock) -> Selection {
    let host = "linux/amd64".parse().unwrap();
    let request =
        SelectionRequest { platforms: PlatformChoice::All, ..SelectionRequest::default_for(host) };
    select(None, lock, &request).unwrap()
}

fn plan_all(lock: &Lock, have: &Inventory) -> Plan {
    plan(lock, &everything(lock), have)
}

/// Every extent there is.
fn extents() -> impl Iterator<Item = Extent> {
    let contents = [Content::Disk, Content::Blobs, Content::Nothing];
    [Documents::All, Documents::ConfigOnly]
        .into_iter()
        .flat_map(move |documents| contents.map(|content| Extent { documents, content }))
}

/// The laws that hold for every lock, every extent and every inventory.
fn check_laws(lock: &Lock, have: &Inventory) {
    for extent in extents() {
        check_laws_within(lock, extent, have);
    }
}

fn check_laws_within(lock: &Lock, extent: Extent, have: &Inventory) {
    let selection = everything(lock);
    let plan = plan_within(lock, &selection, extent, have);
    let mut store = have.clone();
    for action in &plan.actions {
        assert!(action.needs().is_subset(&store), "every need is there or was made: {action:?}");
        assert!(store.insert(action.makes()), "nothing is made twice: {action:?}");
    }
    let lacking: Inventory = &wanted_within(lock, &selection, extent) - &store;
    if extent.content == Content::Blobs {
        // Of each layer some blob or the image is there.
        let is_there = |layer: &LockedLayer| {
            store.contains(&Artifact::Layer(layer.diff_id))
                || images_of_blobs(lock).iter().any(|(blob, image)| {
                    *image == Artifact::Layer(layer.diff_id) && store.contains(blob)
                })
        };
        let platforms = lock.images().flat_map(|(_, image)| image.platforms.values());
        assert!(platforms.flat_map(|platform| &platform.layers).all(is_there));
    } else {
        assert!(lacking.is_empty(), "all that is wanted is there");
    }
    let again = plan_within(lock, &selection, extent, &store);
    assert!(again.is_empty(), "planning again is empty: {again:?}");
    let had = |artifact: &Artifact| have.contains(artifact);
    let known = wanted_within(lock, &selection, extent);
    let seen: Inventory = known.into_iter().filter(had).collect();
    let substitutes = substitutes(lock, &selection, extent, &seen).into_iter().filter(had);
    let looked_at: Inventory = seen.iter().copied().chain(substitutes).collect();
    let same = plan_within(lock, &selection, extent, &looked_at);
    assert_eq!(same, plan, "who looks only for what is wanted and its substitutes plans the same");
}

/// Two images that share a layer, one of them on two platforms with the same layers.
fn small_world() -> Lock {
    lock(&[("a", &[("linux/amd64", "x"), ("linux/arm64", "x")]), ("b", &[("linux/amd64", "xy")])])
}

#[test]
fn the_laws_hold_for_every_inventory_of_a_small_world() {
    let lock = small_world();
    let artifacts: Vec<Artifact> = wanted(&lock, &everything(&lock)).into_iter().collect();
    assert_eq!(artifacts.len(), 14);
    for bits in 0_u32..1 << artifacts.len() {
        let there = artifacts.iter().enumerate().filter(|(nth, _)| bits & (1 << nth) != 0);
        check_laws(&lock, &there.map(|(_, artifact)| *artifact).collect());
    }
}

#[test]
fn what_was_fetched_before_is_built_without_a_network() {
    let lock = lock(&[("a", &[("linux/amd64", "xy")]), ("b", &[("linux/amd64", "Xz")])]);
    let blobs = Extent { content: Content::Blobs, ..Extent::default() };
    let fetched = plan_within(&lock, &everything(&lock), blobs, &Inventory::new());
    assert_eq!(
        (fetched.totals().blobs, fetched.totals().layers),
        (3, 0),
        "x is packed in two ways"
    );
    let have: Inventory = fetched.actions.iter().map(Action::makes).collect();
    let plan = plan_all(&lock, &have);
    assert!(!plan.actions.iter().any(Action::needs_network), "{plan:?}");
    assert_eq!((plan.totals().layers, plan.totals().download_bytes), (3, 0));
}

#[test]
fn who_trusts_a_lock_wants_of_the_documents_only_the_config() {
    let lock = lock(&[("a", &[("linux/amd64", "x")])]);
    let extent = Extent { documents: Documents::ConfigOnly, ..Extent::default() };
    let plan = plan_within(&lock, &everything(&lock), extent, &Inventory::new());
    assert_eq!(made(&plan), ["blob", "layer", "fsmeta", "disk"]);
}

fn made(plan: &Plan) -> Vec<&'static str> {
    plan.actions.iter().map(|action| action.makes().kind()).collect()
}

#[test]
fn an_image_needs_its_documents_layers_fsmeta_and_disk() {
    let plan = plan_all(&lock(&[("a", &[("linux/amd64", "xy")])]), &Inventory::new());
    let expected = ["blob", "blob", "blob", "layer", "layer", "fsmeta", "disk"];
    assert_eq!(made(&plan), expected);
    assert_eq!(plan.totals().download_bytes, 7 + 22 + 21 + 100 + 100);
}

#[test]
fn a_single_manifest_is_fetched_once() {
    let mut lock = Lock::new();
    let image = image("a", &[("linux/amd64", "x")], Kind::DockerManifest);
    lock.insert("a".parse().unwrap(), image);
    assert_eq!(
        made(&plan_all(&lock, &Inventory::new())),
        ["blob", "blob", "layer", "fsmeta", "disk"]
    );
}

#[test]
fn a_shared_layer_is_fetched_once_for_the_first_image_by_name() {
    let lock = lock(&[("b", &[("linux/amd64", "x")]), ("a", &[("linux/amd64", "Xy")])]);
    let plan = plan_all(&lock, &Inventory::new());
    let layers: Vec<_> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::FetchLayer(layer) => Some((layer.origin.image.as_str(), layer.digest)),
            _ => None,
        })
        .collect();
    assert_eq!(layers, [("a", Digest::of("X")), ("a", Digest::of("y"))]);
}

#[test]
fn images_with_the_same_layers_share_their_disk() {
    let lock = lock(&[("a", &[("linux/amd64", "x")]), ("b", &[("linux/amd64", "x")])]);
    let totals = plan_all(&lock, &Inventory::new()).totals();
    assert_eq!((totals.layers, totals.fsmetas, totals.disks), (1, 1, 1));
}

#[test]
fn an_image_without_layers_still_has_a_disk() {
    let plan = plan_all(&lock(&[("a", &[("linux/amd64", "")])]), &Inventory::new());
    assert_eq!(made(&plan), ["blob", "blob", "blob", "fsmeta", "disk"]);
}

#[test]
fn a_plan_has_a_stable_form_in_json() {
    let lock = lock(&[("a", &[("linux/amd64", "x")])]);
    let json = serde_json::to_value(plan_all(&lock, &Inventory::new())).unwrap();
    let layer = &json["actions"][3];
    assert_eq!(layer["action"], "fetch-layer");
    assert_eq!(layer["size_bytes"], 100);
    assert_eq!(layer["origin"]["source"], "docker.io/library/a:latest");
    assert_eq!(layer["media_type"], "application/vnd.oci.image.layer.v1.tar");
}

/// What the store of all that is in `have` holds after a plan for `lock` and a sweep.
fn after_plan_and_sweep(lock: &Lock, have: &Inventory) -> Inventory {
    let made = plan_all(lock, have).actions.iter().map(Action::makes).collect::<Inventory>();
    let mut store = have | &made;
    let held = |&artifact: &Artifact| (artifact, Held { size_bytes: 1, used: 0 });
    let artifacts = store.iter().map(held).collect();
    let holdings = Holdings { artifacts, ..Holdings::default() };
    let root = Keeper { name: "lock".to_owned(), wanted: wanted(lock, &everything(lock)) };
    let swept = sweep(&holdings, &[root], &Scope::Everything(Limits::default()), 0);
    store.retain(|artifact| !swept.taken().contains(artifact));
    store
}

fn any_lock() -> impl Strategy<Value = Lock> {
    let platforms =
        prop::collection::btree_map("linux/(amd64|arm64|arm/v7)", "[a-dA-D]{0,5}", 1..3);
    let images = prop::collection::btree_map("[a-f]", (platforms, any::<bool>()), 0..5);
    images.prop_map(|images| {
        let mut lock = Lock::new();
        for (name, (platforms, index)) in &images {
            let platforms: Vec<_> = platforms
                .iter()
                .map(|(platform, layers)| (platform.as_str(), layers.as_str()))
                .collect();
            let one = !index && platforms.len() == 1;
            let media_type = if one { Kind::OciManifest } else { Kind::OciIndex };
            lock.insert(name.parse().unwrap(), image(name, &platforms, media_type));
        }
        lock
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_for_random_locks(lock in any_lock(), seed in any::<u64>()) {
        let artifacts = wanted(&lock, &everything(&lock));
        let have = artifacts
            .into_iter()
            .enumerate()
            .filter(|(nth, _)| seed >> (nth % 64) & 1 == 1)
            .map(|(_, artifact)| artifact)
            .collect();
        check_laws(&lock, &have);
    }

    #[test]
    fn plan_and_sweep_leave_exactly_what_is_wanted(lock in any_lock(), before in any_lock()) {
        let have = wanted(&before, &everything(&before));
        prop_assert_eq!(after_plan_and_sweep(&lock, &have), wanted(&lock, &everything(&lock)));
    }

    #[test]
    fn every_layer_is_fetched_and_every_stack_built_once(lock in any_lock()) {
        let platforms = || lock.images().flat_map(|(_, image)| image.platforms.values());
        let layers: BTreeSet<DiffId> = platforms().flat_map(LockedPlatform::diff_ids).collect();
        let stacks: BTreeSet<_> = platforms().map(LockedPlatform::chain_id).collect();
        let totals = plan_all(&lock, &Inventory::new()).totals();
        prop_assert_eq!(totals.layers, layers.len() as u64);
        prop_assert_eq!(totals.fsmetas, stacks.len() as u64);
        prop_assert_eq!(totals.disks, stacks.len() as u64);
    }
}

#[test]
fn what_is_built_of_something_older_is_not_made_anew_and_what_needs_something_lost_is_not_made() {
    let lock = lock(&[("one", &[("linux/amd64", "ab")]), ("two", &[("linux/amd64", "ac")])]);
    let layer = |letter: &str| Artifact::Layer(DiffId(Digest::of(letter)));
    let makes = |plan: Plan| plan.actions.iter().map(Action::makes).collect::<BTreeSet<_>>();
    let stacks = |artifacts: &BTreeSet<Artifact>| {
        artifacts.iter().filter(|it| matches!(it, Artifact::Fsmeta(_) | Artifact::Disk(_))).count()
    };
    let all = || plan(&lock, &everything(&lock), &Inventory::new());
    assert_eq!(all().anew(), all());
    let upon_a = plan(&lock, &everything(&lock), &Inventory::from([layer("a"), layer("c")]));
    assert_eq!(stacks(&makes(upon_a.anew())), 0);

    let without_b = makes(all().without(BTreeSet::from([layer("b")])));
    assert!(!without_b.contains(&layer("b")) && without_b.contains(&layer("a")));
    assert_eq!(stacks(&without_b), 2);
    assert_eq!(stacks(&makes(all().without(BTreeSet::from([layer("a")])))), 0);
}
