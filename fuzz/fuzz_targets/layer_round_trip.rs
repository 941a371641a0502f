//! Layers through everything: tar, changeset, EROFS image in memory, its reader, changeset, merge, fsmeta,
//! its reader.
//!
//! * A layer that is accepted can be written, read back, and is then the same layer: the merge of stored
//!   layers is the merge of the layers, with the same warnings, or fails in the same way.
//! * The merged tree can be written as an fsmeta, and what is read of that is the merged tree.
//! * Every file has the bytes that the tar gave it, wherever they were stored; equal files once.
//! * The same layer gives the same image.
//!
//! The first byte chooses between a script, which nearly always is a stack, and a tar as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_images::disk::erofs::fsmeta;
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::merge::{Merged, merge};
use sandbox_images_fuzz::events::small_limits;
use sandbox_images_fuzz::script::layers;
use sandbox_images_fuzz::stack::{Layer, describe, layer, read_file};

fuzz_target!(|input: &[u8]| {
    let tars = match input {
        [] => return,
        [mode, tar @ ..] if mode % 4 == 0 => vec![tar.to_vec()],
        [_, script @ ..] => layers(script),
    };
    let limits = small_limits();
    let read = |(tar, index): (&Vec<u8>, u16)| layer(tar, &limits, index);
    match tars.iter().zip(0..).map(read).collect::<Result<Vec<Layer>, _>>() {
        Err(error) => {
            assert!(!error.code().is_empty() && error.code() != "layer-output");
        }
        Ok(layers) => {
            let again = layer(&tars[0], &limits, 0).expect("it was accepted before");
            assert_eq!(again.image, layers[0].image);
            check(&layers);
        }
    }
});

fn check(layers: &[Layer]) {
    let direct = merge(layers.iter().map(|layer| layer.changeset.clone()));
    let stored = merge(layers.iter().zip(0..).map(|(layer, index)| layer.stored(index)));
    let (direct, stored) = match (direct, stored) {
        (Ok(direct), Ok(stored)) => (direct, stored),
        (Err(direct), Err(stored)) => return assert_eq!(direct.code(), stored.code()),
        (direct, stored) => panic!("{direct:?} became {stored:?}"),
    };
    let words = |merged: &Merged| {
        describe(&merged.tree, |content| {
            let layer = &layers[usize::from(content.layer)];
            let bytes = layer.files[&content.address].clone();
            assert_eq!(bytes.len() as u64, content.size_bytes);
            bytes
        })
    };
    let expected = words(&direct);
    assert_eq!(words(&stored), expected);
    assert_eq!(stored.warnings, direct.warnings);
    check_fsmeta(layers, &direct, &expected);
}

fn check_fsmeta(layers: &[Layer], merged: &Merged, expected: &[(Vec<u8>, String)]) {
    let facts: Vec<_> = layers.iter().map(|layer| layer.facts).collect();
    let mut bytes = Vec::new();
    let written =
        fsmeta::write(&merged.tree, &facts, &mut bytes).expect("what was merged can be written");
    assert_eq!(bytes.len(), written.blocks as usize * 4096);
    let image = Image::open(&bytes[..]).expect("an fsmeta that was written is one");
    let tree = image.tree(0).expect("a tree that was written is one");
    let devices: Vec<&[u8]> = written.devices.iter().map(|&it| &layers[it].image[..]).collect();
    assert_eq!(describe(&tree, |content| read_file(&devices, content)), expected);
}
