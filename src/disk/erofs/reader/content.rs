//! The bytes of a file of a tree that was read.

use std::io::{self, Read};

use crate::disk::erofs::format::BLOCK;
use crate::disk::erofs::reader::Image;
use crate::disk::erofs::reader::error::ReadError;
use crate::disk::file::ReadAt;
use crate::layer::tree::Content;

/// Reads one file from the image that holds its blocks.
#[derive(Debug)]
pub struct ContentReader<'a, R> {
    /// None is needed for an empty file.
    image: Option<&'a R>,
    offset: u64,
    left_bytes: u64,
}

impl<'a, R: ReadAt> ContentReader<'a, R> {
    /// Reads the file `content` from the one of `images` that [`Content::layer`] counts to: the layer
    /// images in the order of the device table, or of the stack, as the tree was read.
    pub fn new(images: &'a [R], content: &Content) -> Result<Self, ReadError> {
        let image = images.get(usize::from(content.layer));
        if image.is_none() && content.size_bytes > 0 {
            return Err(ReadError::Device { device: content.layer, devices: images.len() });
        }
        Ok(Self {
            image,
            offset: u64::from(content.address) * BLOCK,
            left_bytes: content.size_bytes,
        })
    }

    /// Reads the file `content` of the tree of `image` from the file that holds that: a layer image, or a
    /// disk, on which the devices follow the fsmeta.
    pub fn on_disk(image: &'a Image<R>, content: &Content) -> Result<Self, ReadError> {
        let devices = image.devices();
        let start = match devices.get(usize::from(content.layer)) {
            Some(device) => device.uniaddr,
            None if devices.is_empty() || content.size_bytes == 0 => 0,
            None => {
                let (device, devices) = (content.layer, devices.len());
                return Err(ReadError::Device { device, devices });
            }
        };
        Ok(Self {
            image: Some(&image.file),
            offset: (u64::from(start) + u64::from(content.address)) * BLOCK,
            left_bytes: content.size_bytes,
        })
    }
}

impl<R: ReadAt> Read for ContentReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(image) = self.image else {
            return Ok(0);
        };
        let count = self.left_bytes.min(buffer.len() as u64);
        let now = usize::try_from(count).map_err(io::Error::other)?;
        image.read_at(self.offset, &mut buffer[..now])?;
        self.offset += count;
        self.left_bytes -= count;
        Ok(now)
    }
}
