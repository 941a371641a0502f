use std::io::{BufReader, Read};

use super::*;

/// Notes what happens, in order.
#[derive(Default)]
struct Log(std::cell::RefCell<Vec<String>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }
}

struct Sink<'a>(&'a Log);

impl DataSink for Sink<'_> {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes == b"fail" {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.add(format!("write {offset_bytes} {}", String::from_utf8_lossy(bytes)));
        Ok(())
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.0.add(format!("finish {size_bytes}"));
        Ok(7)
    }
}

struct Judge<'a>(&'a Log);

impl Visitor for Judge<'_> {
    type Error = ReadError;

    fn wants_data(&mut self, entry: &Entry) -> Result<bool, ReadError> {
        Ok(entry.path != b".wh.a")
    }

    fn entry(&mut self, entry: Entry, address: u32) -> Result<(), ReadError> {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        self.0.add(format!("entry {path} {address}"));
        Ok(())
    }
}

/// A stream that breaks.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap())
    }
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn read(reader: impl Read) -> (Vec<String>, Result<(), ReadError>) {
    let log = Log::default();
    let result =
        read_layer(BufReader::new(reader), &Limits::default(), &mut Sink(&log), &mut Judge(&log));
    (log.0.into_inner(), result)
}

#[test]
fn data_goes_to_the_sink_before_its_entry_goes_to_the_visitor() {
    let layer = tar(&[("a", "one"), ("empty", ""), (".wh.a", "body"), ("b", "two")]);
    let (log, result) = read(&layer[..]);
    result.unwrap();
    assert_eq!(
        log,
        [
            "write 0 one",
            "finish 3",
            "entry a 7",
            "entry empty 0",
            "entry .wh.a 0",
            "write 0 two",
            "finish 3",
            "entry b 7",
        ]
    );
}

#[test]
fn the_stream_is_read_to_its_end() {
    let mut layer = tar(&[("a", "one")]);
    layer.resize(700_000, 1);
    let mut rest = &layer[..];
    assert!(read(&mut rest).1.is_ok());
    assert!(rest.is_empty());
}

#[test]
fn errors_say_where_they_come_from() {
    let layer = tar(&[("a", "fail")]);
    assert!(matches!(read(&layer[..]).1, Err(ReadError::Sink(_))));
    let reset = Broken(Some(io::ErrorKind::ConnectionReset.into()));
    assert!(matches!(read(reset).1, Err(ReadError::Input(_))));
    let cut = DecompressError::Truncated(crate::layer::decompress::Compression::Gzip);
    let (_, result) = read(Broken(Some(cut.into())));
    assert_eq!(result.unwrap_err().code(), "compression-truncated");

    let refused = read(&layer[..513]).1.unwrap_err();
    assert_eq!((refused.entry(), refused.offset_bytes()), (Some(&b"a"[..]), Some(0)));
}

/// Only counts.
#[derive(Default)]
struct Counter {
    bytes: u64,
    size_bytes: u64,
}

impl DataSink for Counter {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        assert_eq!(offset_bytes, self.bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.size_bytes = size_bytes;
        Ok(1)
    }
}

#[test]
fn a_file_above_4_gib_streams_through() {
    let size = (4 << 30) + 1;
    let mut header = ::tar::Header::new_ustar();
    header.set_path("large").unwrap();
    header.set_size(size);
    header.set_cksum();
    let stream = header.as_bytes().chain(io::repeat(0).take(size + 511 + 1024));
    let (log, mut sink) = (Log::default(), Counter::default());
    let stream = BufReader::new(stream);
    read_layer(stream, &Limits::default(), &mut sink, &mut Judge(&log)).unwrap();
    assert_eq!((sink.bytes, sink.size_bytes), (size, size));
    assert_eq!(log.0.into_inner(), ["entry large 1"]);
}

#[test]
fn endless_zeros_behind_the_end_are_refused() {
    let (_, result) = read(io::repeat(0));
    assert_eq!(result.unwrap_err().code(), "layer-limit");
}
