//! Stacks built into disks, and the disks mounted by the kernel: the tree is the one that was merged.

use std::cell::Cell;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use sandbox_images::disk::erofs::layer::LayerWriter;
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::builder::Builder;
use sandbox_images::layer::entry::{DataSink, Entry};
use sandbox_images::layer::limits::Limits;
use sandbox_images::oci::digest::Digest;

use super::cases::cases;
use super::model::Model;
use super::stacks::{entries, line};
use crate::erofs::listing::{self, Listing};
use crate::erofs::oracles::{comparable, of_erofs_rs};
use crate::support::built::{Built, ReadLayer};
use crate::support::mount::Mount;
use crate::support::needs::needs;

/// Random stacks that are mounted.
const MOUNTS: u32 = 40;

/// What the kernel shows of the disk in one piece.
fn mounted(built: &Built) -> Listing {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::write(&disk, built.disk()).unwrap();
    listing::of_mount(Mount::quick(&disk).path())
}

#[test]
fn every_hand_made_layer_is_mounted_as_it_was_merged() {
    let kernel = needs(&["root", "erofs"]);
    let mut accepted = 0;
    for case in cases().iter().filter(|case| case.is_accepted()) {
        println!("case {}", case.name);
        accepted += 1;
        let blobs: Vec<Vec<u8>> = case.blobs().collect();
        let built = Built::of(blobs.iter().map(Vec::as_slice)).unwrap();
        let merged = listing::of_tree(&built.tree, &built.images);
        let read = of_erofs_rs(&built.fsmeta, &built.device_images());
        listing::assert_equal(&comparable(read), &comparable(merged.clone()));
        if kernel {
            listing::assert_equal(&mounted(&built), &as_the_kernel_shows(merged));
        }
    }
    assert!(accepted > 80, "{accepted} cases are accepted");
}

/// The id that means nobody, `(uid_t) -1`, is shown as the overflow id.
fn as_the_kernel_shows(mut listing: Listing) -> Listing {
    let shown = |id: u32| if id == u32::MAX { 65_534 } else { id };
    for entry in listing.values_mut() {
        entry.owner = (shown(entry.owner.0), shown(entry.owner.1));
    }
    listing
}

/// The layers of a stack whose files hold one byte, the number of their content.
fn read_layers(layers: &[Vec<(Entry, u32)>]) -> Option<Vec<ReadLayer>> {
    let read = |(layer, place): (&Vec<(Entry, u32)>, u16)| {
        let mut writer = LayerWriter::new(Vec::new()).unwrap();
        let mut builder = Builder::new(&Limits::default(), place);
        for (entry, content) in layer {
            let mut address = 0;
            if entry.size_bytes > 0 {
                writer.write(0, &[u8::try_from(*content).unwrap()]).unwrap();
                address = DataSink::finish(&mut writer, 1).unwrap();
            }
            builder.add(entry.clone(), address).ok()?;
        }
        Some((builder.finish(), writer))
    };
    layers.iter().zip(0..).map(read).collect()
}

/// The lines of a tree, as the fixture writes them.
fn lines_of(listing: &Listing) -> Vec<String> {
    let text = |path: &[u8]| String::from_utf8(path[1..].to_vec()).unwrap();
    let line = |(path, shown): (&Vec<u8>, &listing::Shown)| {
        let name = text(path);
        match shown.mode & 0o170_000 {
            0o040_000 => format!("{name}/ {:o}", shown.mode & 0o7777),
            _ if shown.first != *path => format!("{name} => {}", text(&shown.first)),
            0o120_000 => format!("{name} -> {}", String::from_utf8_lossy(&shown.target)),
            _ => match shown.content {
                Some((0, _)) => name,
                content => {
                    let (_, digest) = content.unwrap();
                    let number = (1..9_u8).find(|number| Digest::of([*number]) == digest);
                    format!("{name} = {}", number.unwrap())
                }
            },
        }
    };
    listing.iter().skip(1).map(line).collect()
}

#[test]
fn the_kernel_and_the_reader_show_what_the_plain_model_says() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let mounts = Cell::new(0);
    let config = ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    let checked = TestRunner::new(config).run(&vec(vec(line(), 1..7), 1..5), |layers| {
        let layers: Vec<_> = layers.iter().map(|lines| entries(lines)).collect();
        let Ok(model) = Model::new(&layers) else {
            return Ok(());
        };
        if mounts.get() == MOUNTS {
            return Ok(());
        }
        let built = Built::finish(read_layers(&layers).unwrap()).unwrap();
        let read = Image::open(&built.fsmeta).unwrap().tree(0).unwrap();
        let read = listing::of_tree(&read, &built.device_images());
        prop_assert_eq!(lines_of(&read), model.lines());
        let shown = mounted(&built);
        prop_assert_eq!(lines_of(&shown), model.lines());
        listing::assert_equal(&shown, &read);
        mounts.set(mounts.get() + 1);
        Ok::<(), TestCaseError>(())
    });
    checked.unwrap();
    assert_eq!(mounts.get(), MOUNTS);
}
