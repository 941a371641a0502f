//! A file that one thread fills and another one writes.
//!
//! A layer's data passes the page cache by, so each write lasts until the disk has it. The thread that makes the
//! bytes fills another buffer meanwhile. The file goes to the writing thread together with the blocks, and comes
//! back when they are written, so that whatever else is done with it finds them there.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use crate::disk::buffer::Buffer;
use crate::disk::file::{BlockFile, ReadAt};

/// Blocks to be written at an offset of a file.
struct Job<F> {
    file: F,
    offset_bytes: u64,
    buffer: Buffer,
    blocks: usize,
}

/// What comes back: the file, the emptied buffer, and whether it was written.
type Done<F> = (F, Buffer, io::Result<()>);

/// The thread that writes, which ends when this is dropped.
struct Writer<F> {
    jobs: Sender<Job<F>>,
    done: Receiver<Done<F>>,
}

/// A file with its writing thread, which starts when there is a full buffer for it, and gets only such.
pub(super) struct Behind<'scope, 'env, F> {
    scope: &'scope Scope<'scope, 'env>,
    writer: Option<Writer<F>>,
    here: RefCell<Here<F>>,
}

/// What the writing thread has not.
struct Here<F> {
    file: Option<F>,
    spare: Option<Buffer>,
}

impl<'scope, 'env, F: BlockFile + Send + 'scope> Behind<'scope, 'env, F> {
    /// Threads that write `file` belong to `scope`.
    pub(super) const fn new(scope: &'scope Scope<'scope, 'env>, file: F) -> Self {
        let here = RefCell::new(Here { file: Some(file), spare: None });
        Self { scope, writer: None, here }
    }

    /// The file, all written.
    pub(super) fn into_inner(self) -> io::Result<F> {
        self.settle()?;
        self.here.into_inner().file.ok_or_else(gone)
    }

    /// Waits until the file is here.
    fn settle(&self) -> io::Result<()> {
        let mut here = self.here.borrow_mut();
        let (None, Some(writer)) = (&here.file, &self.writer) else {
            return Ok(());
        };
        let (file, buffer, written) = writer.done.recv().map_err(|_| gone())?;
        *here = Here { file: Some(file), spare: written.is_ok().then_some(buffer) };
        written
    }

    /// Does something with the file when it is here.
    fn with<T>(&self, work: impl FnOnce(&mut F) -> io::Result<T>) -> io::Result<T> {
        self.settle()?;
        work(self.here.borrow_mut().file.as_mut().ok_or_else(gone)?)
    }

    fn start(&self) -> io::Result<Writer<F>> {
        let (jobs, taken) = channel::<Job<F>>();
        let (finished, done) = channel();
        let work = move || {
            for Job { mut file, offset_bytes, mut buffer, blocks } in taken {
                let written = file.write_blocks(offset_bytes, &mut buffer, blocks);
                if finished.send((file, buffer, written)).is_err() {
                    break;
                }
            }
        };
        Builder::new().name("write".to_owned()).spawn_scoped(self.scope, work)?;
        Ok(Writer { jobs, done })
    }
}

impl<'scope, F: BlockFile + Send + 'scope> ReadAt for Behind<'scope, '_, F> {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(|file| file.read_at(offset_bytes, buffer))
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.with(|file| file.size_bytes())
    }
}

impl<'scope, F: BlockFile + Send + 'scope> BlockFile for Behind<'scope, '_, F> {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|file| file.write_at(offset_bytes, bytes))
    }

    fn write_data_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|file| file.write_data_at(offset_bytes, bytes))
    }

    fn write_blocks(
        &mut self,
        offset_bytes: u64,
        buffer: &mut Buffer,
        blocks: usize,
    ) -> io::Result<()> {
        if self.writer.is_none() && buffer.is_full() {
            // Where there is no thread to be had, the bytes get there all the same.
            self.writer = self.start().ok();
        }
        if self.writer.is_none() || !buffer.is_full() {
            return self.with(|file| file.write_blocks(offset_bytes, buffer, blocks));
        }
        self.settle()?;
        let mut here = self.here.borrow_mut();
        let (Some(writer), Some(file)) = (&self.writer, here.file.take()) else {
            return Err(gone());
        };
        let mut full = here.spare.take().unwrap_or_else(Buffer::new);
        mem::swap(&mut full, buffer);
        full.move_rest(blocks, buffer);
        let job = Job { file, offset_bytes, buffer: full, blocks };
        writer.jobs.send(job).map_err(|_| gone())
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.with(|file| file.set_len(size_bytes))
    }
}

/// The writing thread has panicked, and took the file along.
fn gone() -> io::Error {
    io::Error::other("the thread that writes the file has ended")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::disk::buffer::{BLOCK_BYTES, BUFFER_BYTES};
    use crate::disk::erofs::layer::LayerWriter;
    use crate::layer::entry::DataSink;
    use crate::layer::tree::{Metadata, Tree};
    use crate::oci::digest::{DiffId, Digest};

    /// Memory that can be written up to a length.
    struct Limited(Vec<u8>, u64);

    impl ReadAt for Limited {
        fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.0.read_at(offset_bytes, buffer)
        }

        fn size_bytes(&self) -> io::Result<u64> {
            self.0.size_bytes()
        }
    }

    impl BlockFile for Limited {
        fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
            if offset_bytes + bytes.len() as u64 > self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write_at(offset_bytes, bytes)
        }

        fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
            BlockFile::set_len(&mut self.0, size_bytes)
        }
    }

    /// Writes an image of files of many lengths, some equal, and answers where each is and the image.
    fn write<F: BlockFile>(file: F) -> (Vec<u32>, F) {
        let mut writer = LayerWriter::new(file).unwrap();
        let sizes = [5000, 3 << 20, 7, 700_000, 3 << 20, 2 << 20, 5000];
        let files = sizes.into_iter().zip(1_u8..).map(|(size, letter)| {
            writer.write(0, &vec![if size == 3 << 20 { 0xff } else { letter }; size]).unwrap();
            DataSink::finish(&mut writer, size as u64).unwrap()
        });
        let places = files.collect();
        let tree = Tree::new(Metadata::implied());
        (places, writer.finish(&tree, DiffId(Digest::of("layer"))).unwrap().0)
    }

    #[test]
    fn what_is_written_behind_is_what_would_have_been_written() {
        let plain = write(Limited(Vec::new(), u64::MAX));
        let behind = thread::scope(|scope| {
            let (places, file) = write(Behind::new(scope, Limited(Vec::new(), u64::MAX)));
            assert!(file.writer.is_some());
            (places, file.into_inner().unwrap())
        });
        assert_eq!(behind.0, plain.0);
        assert!(behind.1.0 == plain.1.0);
        assert!(plain.1.0.len() > 5 << 20);
    }

    #[test]
    fn what_cannot_be_written_is_said_by_what_comes_next() {
        let (size, blocks) = (BUFFER_BYTES as u64, vec![7; BUFFER_BYTES]);
        thread::scope(|scope| {
            let mut behind = Behind::new(scope, Limited(Vec::new(), size));
            let mut buffer = Buffer::new();
            for offset in [0, size] {
                buffer.extend(&blocks);
                behind.write_blocks(offset, &mut buffer, BUFFER_BYTES / BLOCK_BYTES).unwrap();
                assert_eq!(buffer.len(), 0);
            }
            let error = behind.size_bytes().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(behind.into_inner().unwrap().0 == blocks);
        });
    }
}
