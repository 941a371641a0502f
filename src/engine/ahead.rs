//! A stream that one thread makes and another uses at the same time, in buffers that go round.
//!
//! Inflating costs about as much as all that is done with what comes out, so one large layer keeps several
//! processors busy. The few buffers that there are are allocated once: the maker waits while all of them
//! are full, the user while all of them are empty.

use std::io::{self, BufRead, Read};
use std::mem;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes of a buffer: large enough that handing it over costs nothing, small enough that it is still in a
/// processor's cache when it is used.
const BUFFER_BYTES: usize = 256 << 10;

/// How many buffers go round: one that is filled, one that is used, and two for when either side is slow.
const BUFFERS: usize = 4;

/// The maker's end.
#[derive(Debug)]
pub(super) struct Filler {
    full: SyncSender<io::Result<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
}

/// The user's end. A stream that its maker could not read ends with the maker's error.
#[derive(Debug)]
pub(super) struct AheadReader {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    used: usize,
}

/// Both ends.
pub(super) fn ahead() -> (Filler, AheadReader) {
    let (full, filled) = sync_channel(BUFFERS);
    let (emptied, empty) = channel();
    for _ in 0..BUFFERS {
        // Both ends are here, so it arrives.
        let _ = emptied.send(Vec::new());
    }
    let reader = AheadReader { full: filled, empty: emptied, current: Vec::new(), used: 0 };
    (Filler { full, empty }, reader)
}

impl Filler {
    /// Makes the stream of what `stream` holds, to its end or as long as it is used. Returns when the
    /// last buffer is handed over.
    pub(super) fn fill(self, stream: io::Result<impl Read>) {
        let error = match stream {
            Ok(stream) => self.pass(stream).err(),
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            // Nobody reads any more, so nobody wants to know.
            let _ = self.full.send(Err(error));
        }
    }

    fn pass(&self, mut stream: impl Read) -> io::Result<()> {
        while let Ok(mut buffer) = self.empty.recv() {
            buffer.resize(BUFFER_BYTES, 0);
            let (count, goes_on) = read_full(&mut stream, &mut buffer);
            buffer.truncate(count);
            let is_used = self.full.send(Ok(buffer)).is_ok();
            if !goes_on? || !is_used {
                break;
            }
        }
        Ok(())
    }
}

/// Reads until `buffer` is full, or the stream ends or fails: how much there is, and whether it goes on.
fn read_full(stream: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<bool>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return (filled, Ok(false)),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(true))
}

impl Read for AheadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for AheadReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.current.len() {
            // A maker that has ended takes no buffer back.
            let _ = self.empty.send(mem::take(&mut self.current));
            self.used = 0;
            self.current = match self.full.recv() {
                Ok(filled) => filled?,
                Err(_) => break,
            };
        }
        Ok(&self.current[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Hands out its bytes in pieces, and then fails.
    struct Breaking<'a>(&'a [u8]);

    impl Read for Breaking<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.0.take(1000).read(buffer).inspect(|&count| self.0 = &self.0[count..])
        }
    }

    fn read_all(stream: io::Result<impl Read + Send>) -> (Vec<u8>, io::Result<usize>) {
        let (filler, mut reader) = ahead();
        thread::scope(|scope| {
            scope.spawn(move || filler.fill(stream));
            let mut bytes = Vec::new();
            let end = reader.read_to_end(&mut bytes);
            (bytes, end)
        })
    }

    #[test]
    fn what_is_made_is_used_in_its_order() {
        let sent: Vec<u8> = (0..10 * BUFFER_BYTES + 7).map(|byte| byte.to_le_bytes()[1]).collect();
        let (bytes, end) = read_all(Ok(sent.as_slice()));
        assert_eq!(end.unwrap(), sent.len());
        assert!(bytes == sent);
    }

    #[test]
    fn an_error_comes_behind_what_came_before_it() {
        let sent = vec![7; BUFFER_BYTES + 5];
        let (bytes, end) = read_all(Ok(Breaking(&sent)));
        assert!(bytes == sent);
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let never_opened = Err::<&[u8], _>(io::ErrorKind::InvalidData.into());
        assert_eq!(read_all(never_opened).1.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_user_that_is_gone_ends_the_maker() {
        let (filler, reader) = ahead();
        drop(reader);
        filler.fill(Ok(io::repeat(0)));
    }
}
