//! Damaged at random: all of it is found, none of it served, all of it healed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};

use serde_json::Value;

use super::scene::{Scene, times};
use super::vandal::{Damage, Vandal, listed, targets};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};

/// Damages at once: enough to be quick, and few enough that most of the store is sound.
const AT_ONCE_MAX: u64 = 7;

/// The environment may ask for another one; a failure names the one it had.
const SEED: u64 = 20_240_917;

/// An image of eight layers, of each of which something is seen.
fn scene() -> Scene {
    let layers: Vec<Layer> = (0..8)
        .map(|number| format!("/usr/ 0755\n/usr/lib{number} 0644 random={}", 3000 + 9000 * number))
        .map(|text| Layer::new(&text))
        .collect();
    let scene = Scene::of(&layers.iter().collect::<Vec<_>>());
    scene.project.run(&["sync"]).exits(0);
    scene
}

#[test]
fn random_damage_is_found_is_not_served_and_heals() {
    let scene = scene();
    let wish = times("SANDBOX_IMAGES_TEST_ROUNDS", 200);
    let seed = times("SANDBOX_IMAGES_TEST_SEED", SEED);
    let mut vandal = Vandal::new(seed);
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    let (mut done, mut healed_frozen) = (0, 0);
    while done < wish {
        let count = usize::try_from(1 + vandal.below(AT_ONCE_MAX)).expect("it is small");
        let damages = vandal.damage(&targets(&scene.project.store()), count);
        let after = format!("seed {seed}, damage {done}:\n{}", listed(&damages));
        done += damages.len() as u64;
        for class in found(&scene.project, &damages, &after) {
            *classes.entry(class).or_default() += 1;
        }
        is_not_served(&scene.project, &damages, &after);
        healed_frozen += u64::from(frozen(&scene.project, &damages, &after));
        let ran = scene.project.run(&["verify", "--repair"]);
        assert_eq!(ran.code, 0, "{after}\n{}{}", ran.stdout, ran.stderr);
        scene.heals(&after);
        // What was set aside is not looked at again.
        fs::remove_dir_all(scene.project.store().join("v1/quarantine")).expect("it is there");
    }
    writeln!(
        io::stderr(),
        "measured: {done} damages, all found and healed: {classes:?}; {healed_frozen} times without a network"
    )
    .expect("standard error takes a line");
}

/// Demands that `verify` names exactly what was damaged, and answers the classes.
#[track_caller]
fn found(project: &Project, damages: &[Damage], after: &str) -> Vec<String> {
    let ran = project.run(&["verify", "--json"]);
    let (names, classes): (BTreeSet<String>, Vec<String>) = damaged(&ran).into_iter().unzip();
    let hit: BTreeSet<String> =
        damages.iter().map(|damage| damage.target.artifact.clone()).collect();
    assert_eq!(names, hit, "{after}");
    let only_missing = classes.iter().all(|class| class == "missing");
    assert_eq!(ran.code, if only_missing { 4 } else { 5 }, "{after}\n{}", ran.stdout);
    classes
}

/// What `verify --json` names, and the class of each.
fn damaged(ran: &Ran) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    let report = document.get("verified").unwrap_or(&document);
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let lines = report["damaged"].as_array().expect("it is a list");
    lines.iter().map(|line| (text(&line["artifact"]), text(&line["class"]))).collect()
}

/// Demands that no command takes for good what a size, a superblock, a record or the kind of file gives away.
#[track_caller]
fn is_not_served(project: &Project, damages: &[Damage], after: &str) {
    let plain = |kinds: &[&str]| {
        damages.iter().any(|damage| damage.is_plain && kinds.contains(&damage.target.kind()))
    };
    let refuses = |arguments: &[&str]| {
        let ran = project.run(arguments);
        assert!([4, 5].contains(&ran.code), "{arguments:?}, {after}\n{}", ran.stdout);
        ran
    };
    if plain(&["layer", "fsmeta", "disk"]) {
        assert_eq!(refuses(&["path", "app"]).stdout, "", "{after}");
    }
    if plain(&["layer", "fsmeta"]) {
        refuses(&["disk", "app", "--format", "vmdk"]);
        refuses(&["inspect", "tree", "app"]);
    }
    if plain(&["blob", "layer", "fsmeta", "disk"]) {
        refuses(&["sync", "--check"]);
        let listed: Value = serde_json::from_str(&project.run(&["list", "--json"]).stdout).unwrap();
        let rows = listed["images"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["synced"] == false), "{after}: {listed}");
    }
    for damage in damages.iter().filter(|damage| damage.is_plain && !damage.is_unrecorded) {
        let (_, digest) = damage.target.artifact.split_once(' ').unwrap();
        let ran = project.run(&["why", digest, "--json"]).exits(0);
        let named: Value = serde_json::from_str(&ran.stdout).unwrap();
        let stored = named["digests"][0]["stored"].as_array().unwrap().iter();
        let mut stored = stored.filter(|file| file["artifact"] == damage.target.artifact.as_str());
        assert!(stored.all(|file| !file["damage"].is_null()), "{after}: {named}");
    }
}

/// Demands that a frozen run either makes all again that can be seen, or fails, and answers whether it did.
#[track_caller]
fn frozen(project: &Project, damages: &[Damage], after: &str) -> bool {
    let ran = project.run(&["sync", "--frozen"]);
    assert!([0, 4, 5].contains(&ran.code), "{after}\n{}", ran.stderr);
    let is_lost = |damage: &Damage| {
        let kind = damage.target.kind();
        kind == "blob" || (kind == "layer" && damage.is_plain)
    };
    assert!(ran.code != 0 || !damages.iter().any(is_lost), "{after}");
    if ran.code != 0 {
        return false;
    }
    let hidden = damages.iter().filter(|damage| !damage.is_plain);
    let hidden: BTreeSet<&str> = hidden.map(|damage| &damage.target.artifact[..]).collect();
    for (artifact, _) in damaged(&project.run(&["verify", "--json"])) {
        assert!(hidden.contains(&artifact[..]), "{artifact} is still damaged; {after}");
    }
    true
}

#[test]
fn nothing_is_built_upon_what_is_damaged() {
    let scene = scene();
    let all = targets(&scene.project.store());
    let of = |kind: &str| all.iter().find(|target| target.kind() == kind).expect("there is one");
    // The metadata stand at the end of a layer's image, and no checksum tells of them.
    let layer = &of("layer").file;
    let bytes = fs::read(layer).expect("a layer can be read");
    let name = bytes.windows(3).rposition(|part| part == b"lib").expect("it has a name");
    let mut other = bytes.clone();
    other[name] = b'x';
    fs::remove_file(layer).expect("it is removed");
    fs::write(layer, other).expect("it is written");
    fs::remove_file(&of("fsmeta").file).expect("it is removed");

    let told = scene.project.run(&["sync", "--frozen"]).exits(5).stderr;
    assert!(told.contains("error[artifact-damaged]"), "{told}");
    assert!(scene.project.stored("fsmeta").is_empty());
    scene.heals("a layer was damaged, and its fsmeta was lost");
}
