//! A stack of layers, built in memory as the program builds it in a store.

use std::error::Error;
use std::io::Read;

use sandbox_images::disk::erofs::fsmeta;
use sandbox_images::disk::erofs::layer::{LayerImage, LayerWriter};
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;
use sandbox_images::layer::tree::Tree;
use sandbox_images::oci::digest::{DiffId, Digest};

/// A layer that was read, and its image without metadata yet.
pub(crate) type ReadLayer = (Changeset, LayerWriter<Vec<u8>>);

/// The images of a stack, and the tree that they must show.
#[derive(Debug)]
pub(crate) struct Built {
    /// The layers as they were read, merged.
    pub(crate) tree: Tree,
    /// The layer images, bottom to top.
    pub(crate) images: Vec<Vec<u8>>,
    /// The metadata of the layer images as they were read again, merged.
    pub(crate) fsmeta: Vec<u8>,
    /// Indices of the images on the disk.
    devices: Vec<usize>,
}

impl Built {
    /// Builds layer tars, packed or not.
    pub(crate) fn of<R: Read>(tars: impl IntoIterator<Item = R>) -> Result<Self, Box<dyn Error>> {
        let limits = Limits::default();
        let mut layers = Vec::new();
        for (tar, place) in tars.into_iter().zip(0..) {
            let mut writer = LayerWriter::new(Vec::new())?;
            let tar = Decompressor::new(std::io::BufReader::new(tar), &limits)?;
            let changeset =
                Changeset::read(std::io::BufReader::new(tar), &limits, place, &mut writer)?;
            layers.push((changeset, writer));
        }
        Self::finish(layers)
    }

    /// Ends the images of these layers and builds the fsmeta from them alone.
    pub(crate) fn finish(layers: Vec<ReadLayer>) -> Result<Self, Box<dyn Error>> {
        let tree = merge(layers.iter().map(|(changeset, _)| changeset.clone()))?.tree;
        let (mut images, mut facts): (Vec<Vec<u8>>, Vec<LayerImage>) = Default::default();
        let mut stored = Vec::new();
        for ((changeset, writer), place) in layers.into_iter().zip(0..) {
            let diff_id = DiffId(Digest::of(format!("layer {place}")));
            let (image, layer) = writer.finish(&changeset.into_overlay(), diff_id)?;
            stored.push(Changeset::from_overlay(Image::open(&image)?.tree(place)?)?);
            images.push(image);
            facts.push(layer);
        }
        let merged = merge(stored)?.tree;
        let mut bytes = Vec::new();
        let devices = fsmeta::write(&merged, &facts, &mut bytes)?.devices;
        Ok(Self { tree, images, fsmeta: bytes, devices })
    }

    /// The layer images that the disk holds, in its order.
    pub(crate) fn device_images(&self) -> Vec<Vec<u8>> {
        self.devices.iter().map(|&index| self.images[index].clone()).collect()
    }

    /// The disk in one piece.
    pub(crate) fn disk(&self) -> Vec<u8> {
        [vec![self.fsmeta.clone()], self.device_images()].concat().concat()
    }
}
