//! A bounded pipe from a task that receives to a thread that reads.
//!
//! What is bounded is bytes, not chunks: a fast network ahead of a slow disk holds [`PIPE_BYTES`] and no
//! more. A reader that is dropped ends the sender, and the other way round: the sender's end is the end of
//! the stream, so whoever joins both must look at the sender's result first.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes on their way: a few network reads ahead of the reader.
const PIPE_BYTES: u32 = 512 << 10;

/// A chunk with the room that it takes.
type Chunk = (Bytes, OwnedSemaphorePermit);

/// The end that the network fills.
#[derive(Debug)]
pub(super) struct Sender {
    chunks: UnboundedSender<Chunk>,
    room: Arc<Semaphore>,
}

/// The end that a blocking thread reads.
#[derive(Debug)]
pub(super) struct Reader {
    chunks: UnboundedReceiver<Chunk>,
    current: Option<Chunk>,
}

/// A pipe.
pub(super) fn pipe() -> (Sender, Reader) {
    let (sender, receiver) = unbounded_channel();
    let room = Arc::new(Semaphore::new(PIPE_BYTES as usize));
    (Sender { chunks: sender, room }, Reader { chunks: receiver, current: None })
}

impl Sender {
    /// Sends `bytes` when there is room for them; `false` if nobody reads any more.
    pub(super) async fn send(&self, bytes: Bytes) -> bool {
        let needed = u32::try_from(bytes.len()).unwrap_or(PIPE_BYTES).min(PIPE_BYTES);
        tokio::select! {
            () = self.chunks.closed() => false,
            room = Arc::clone(&self.room).acquire_many_owned(needed) => {
                room.is_ok_and(|room| self.chunks.send((bytes, room)).is_ok())
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((bytes, _)) = &mut self.current {
                if bytes.has_remaining() {
                    let count = bytes.remaining().min(buffer.len());
                    bytes.copy_to_slice(&mut buffer[..count]);
                    return Ok(count);
                }
                self.current = None;
            }
            self.current = self.chunks.blocking_recv();
            if self.current.is_none() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_read_however_large_it_is() {
        let (sender, mut reader) = pipe();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let sent: Vec<u8> = (0..5_u8 << 2).flat_map(|byte| vec![byte; 1 << 18]).collect();
        let (large, small) = sent.split_at(4 << 20);
        for chunk in [large].into_iter().chain(small.chunks(1000)) {
            assert!(sender.send(Bytes::copy_from_slice(chunk)).await);
        }
        drop(sender);
        assert_eq!(read.await.unwrap().unwrap(), sent);
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_ends_the_sender() {
        let (sender, reader) = pipe();
        drop(reader);
        assert!(!sender.send(Bytes::from_static(b"x")).await);
    }
}
