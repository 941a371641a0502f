//! Where the files of an archive go that is written: one tar, or a directory.
//!
//! The same files in the same order are the same bytes: an entry has no time, no owner and one mode, and a
//! header is plain USTAR. Only a size that USTAR cannot say stands in a PAX header.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use crate::store::replace::{add_directory, add_file};
use crate::store::unfinished::folder_of;

/// The largest size that eleven octal digits say.
const USTAR_SIZE_BYTES_MAX: u64 = 0o77_777_777_777;

/// Bytes of which all parts of a tar are multiples.
const BLOCK_BYTES: u64 = 512;

/// Bytes of zeros that end a tar.
const END_BYTES: usize = 1024;

/// Bytes that are copied at once.
const BUFFER_BYTES: usize = 256 << 10;

/// How a tar is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// With gzip.
    Gzip,
}

impl Packing {
    /// The packing that the ending of a file's name asks for.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".gz") || name.ends_with(".tgz") { Self::Gzip } else { Self::Plain }
    }
}

/// Takes files one after the other.
#[derive(Debug)]
pub enum Output<W: Write> {
    /// Into a tar.
    Tar(Packer<W>),
    /// Into a directory that exists.
    Directory(PathBuf),
}

/// What a tar is written through.
#[derive(Debug)]
pub enum Packer<W: Write> {
    /// Nothing.
    Plain(W),
    /// A compressor.
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Output<W> {
    /// A tar that goes to `writer`.
    pub fn tar(writer: W, packing: Packing) -> Self {
        Self::Tar(match packing {
            Packing::Plain => Packer::Plain(writer),
            Packing::Gzip => {
                let encoder = GzBuilder::new().mtime(0).write(writer, Compression::default());
                Packer::Gzip(Box::new(encoder))
            }
        })
    }

    /// Adds the file `name`: all of `content`, which must be of `size_bytes`.
    pub fn add(&mut self, name: &str, size_bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        match self {
            Self::Tar(tar) => add_to_tar(tar, name, size_bytes, content),
            Self::Directory(folder) => {
                let path = folder.join(name);
                add_directory(folder_of(&path))?;
                add_file(&path, |file| copy(content, size_bytes, file))
            }
        }
    }

    /// Ends it. What was written is with its writer, and not yet durable.
    pub fn finish(self) -> io::Result<()> {
        let Self::Tar(mut tar) = self else { return Ok(()) };
        tar.write_all(&[0; END_BYTES])?;
        match tar {
            Packer::Plain(mut writer) => writer.flush(),
            Packer::Gzip(encoder) => encoder.finish()?.flush(),
        }
    }
}

fn add_to_tar(
    tar: &mut impl Write,
    name: &str,
    size_bytes: u64,
    content: &mut dyn Read,
) -> io::Result<()> {
    if size_bytes > USTAR_SIZE_BYTES_MAX {
        let size = pax_record("size", &size_bytes.to_string());
        let header = header("PaxHeaders/size", EntryType::XHeader, size.len() as u64)?;
        tar.write_all(header.as_bytes())?;
        tar.write_all(size.as_bytes())?;
        pad(tar, size.len() as u64)?;
    }
    // A reader of the PAX header does not look at the size in this one.
    let header = header(name, EntryType::Regular, size_bytes.min(USTAR_SIZE_BYTES_MAX))?;
    tar.write_all(header.as_bytes())?;
    copy(content, size_bytes, tar)?;
    pad(tar, size_bytes)
}

/// Fills the last block of `size_bytes` that were written.
fn pad(tar: &mut impl Write, size_bytes: u64) -> io::Result<()> {
    let padding_bytes = size_bytes.next_multiple_of(BLOCK_BYTES) - size_bytes;
    io::copy(&mut io::repeat(0).take(padding_bytes), tar).map(drop)
}

fn header(name: &str, kind: EntryType, size_bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_size(size_bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

/// A record of a PAX header, which begins with its own length.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let digits = |length: usize| length.to_string().len();
    let mut length = rest.len() + digits(rest.len());
    length = rest.len() + digits(length);
    format!("{length}{rest}")
}

/// Copies all of `content`, which must be of `size_bytes`.
fn copy(content: &mut dyn Read, size_bytes: u64, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied_bytes = 0;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        copied_bytes += count as u64;
        if copied_bytes > size_bytes {
            break;
        }
        to.write_all(&buffer[..count])?;
    }
    if copied_bytes == size_bytes {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a file changed while it was copied"))
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(writer) => writer.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::entry::EntryKind;
    use crate::layer::limits::Limits;
    use crate::layer::tar::{Event, TarReader};

    fn written(files: &[(&str, &[u8])], packing: Packing) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut output = Output::tar(&mut bytes, packing);
        for (name, mut content) in files.iter().copied() {
            output.add(name, content.len() as u64, &mut content).unwrap();
        }
        output.finish().unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_again_and_depends_on_nothing_else() {
        let files: [(&str, &[u8]); 2] = [("a/b", b"hello"), ("empty", b"")];
        let bytes = written(&files, Packing::Plain);
        assert_eq!(bytes.len(), 512 * 5, "two headers, one block, two that end it");
        let (mut reader, mut input) = (TarReader::new(&Limits::default()), &bytes[..]);
        let mut names = Vec::new();
        loop {
            match reader.next(&mut input).unwrap() {
                Event::Entry(entry) => {
                    assert_eq!(entry.kind, EntryKind::File);
                    names.push(entry.path);
                }
                Event::NeedInput => break,
                _ => {}
            }
        }
        reader.finish().unwrap();
        assert_eq!(names, [b"a/b".to_vec(), b"empty".to_vec()]);
        assert_eq!(written(&files, Packing::Gzip)[4..8], [0; 4], "no time");
    }

    #[test]
    fn a_file_of_another_size_is_an_error() {
        for size_bytes in [4, 6] {
            let mut output = Output::tar(Vec::new(), Packing::Plain);
            assert!(output.add("a", size_bytes, &mut &b"hello"[..]).is_err());
        }
    }

    #[test]
    fn a_size_beyond_ustar_stands_in_a_record_that_knows_its_length() {
        assert_eq!(pax_record("size", "8589934592"), "19 size=8589934592\n");
        assert_eq!(pax_record("size", &"9".repeat(91)).len(), 101);
        assert_eq!(pax_record("size", &"9".repeat(91))[..4], *"101 ");
    }
}
