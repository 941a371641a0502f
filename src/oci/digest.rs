//! Content digests: what names a blob, a layer and a stack of layers.
//!
//! A [`Digest`] is 32 bytes and `Copy`, so its text form is always `sha256:` and 64 lower-case hex
//! digits and is safe in a path or a URL because of what it is. [`DiffId`] and [`ChainId`] are digests of
//! other things and therefore other types. SHA-512, which the specification also registers, is refused by
//! name: no registry in wide use serves it.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The algorithm is missing or is not SHA-256.
    #[error("digest `{0}` does not start with `sha256:`")]
    Algorithm(String),
    /// What follows the algorithm is not 64 lower-case hex digits.
    #[error("digest `{0}` does not have 64 lower-case hex digits after `sha256:`")]
    Hex(String),
}

/// What a digest's text begins with: the algorithm.
const PREFIX: &str = "sha256:";

const HEX_CHARS: usize = 64;

/// SHA-256 of a byte string, as OCI's `descriptor.md` ("Digests") writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes.as_ref());
        hasher.finish()
    }

    /// The 32 bytes themselves.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits, without the algorithm: a safe file name.
    pub fn hex(&self) -> String {
        ascii(&self.hex_digits()).to_owned()
    }

    fn hex_digits(&self) -> [u8; HEX_CHARS] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; HEX_CHARS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }

    /// Reads 64 lower-case hex digits, as [`Digest::hex`] writes them.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        let wrong = || DigestError::Hex(shortened(hex));
        let digits: &[u8; HEX_CHARS] = hex.as_bytes().try_into().map_err(|_| wrong())?;
        let mut bytes = [0; 32];
        let mut seen = 0;
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
            seen |= high | low;
            *byte = high << 4 | low;
        }
        if seen > 15 { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

/// What each lower-case hex digit stands for; more than 15 for all other bytes. A lock of a hundred images has
/// thousands of digests, so they are read without a branch for each digit.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    nibbles
};

/// What was made of digits and letters only, as text.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("digits and letters are ASCII")
}

/// What is shown of a text that should have been a digest: enough to find it, never a page of it.
fn shortened(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hex =
            text.strip_prefix(PREFIX).ok_or_else(|| DigestError::Algorithm(shortened(text)))?;
        Self::from_hex(hex).map_err(|_| DigestError::Hex(shortened(text)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; PREFIX.len() + HEX_CHARS];
        text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        text[PREFIX.len()..].copy_from_slice(&self.hex_digits());
        f.pad(ascii(&text))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Declares a digest of something else than transferred bytes: same text form, another type.
macro_rules! digest_of {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl $name {
            /// The 64 lower-case hex digits, without the algorithm: a safe file name.
            pub fn hex(&self) -> String {
                self.0.hex()
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

digest_of! {
    /// Digest of a layer's uncompressed tar (OCI `config.md`, "Layer DiffID").
    DiffId
}

digest_of! {
    /// Identity of an ordered stack of layers (OCI `config.md`, "Layer ChainID").
    ChainId
}

impl ChainId {
    /// The ChainID of `diff_ids`, bottom to top. The specification leaves the empty stack open: it gets
    /// the digest of the empty string.
    pub fn of(diff_ids: impl IntoIterator<Item = DiffId>) -> Self {
        diff_ids
            .into_iter()
            .map(|DiffId(digest)| digest)
            .reduce(|chain, diff_id| Digest::of(format!("{chain} {diff_id}")))
            .map_or_else(|| Self(Digest::of("")), Self)
    }
}

/// A running SHA-256.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// A reader that counts and hashes what passes through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    size_bytes: u64,
}

impl<R> HashingReader<R> {
    /// Hashes what will be read from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::new(), size_bytes: 0 }
    }

    /// The inner reader, with the digest and the number of the bytes that were read from it.
    pub fn finish(self) -> (R, Digest, u64) {
        (self.inner, self.hasher.finish(), self.size_bytes)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for HashingReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        // What is consumed was filled before, and is there still.
        let bytes = self.inner.fill_buf().unwrap_or_default();
        self.hasher.update(&bytes[..count]);
        self.size_bytes += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | sha256sum`.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_reads_what_it_writes() {
        let digest = Digest::of("abc");
        assert_eq!(digest.to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(digest));
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{ABC}\""));
    }

    #[test]
    fn what_is_not_a_digest_is_refused_before_it_is_near_a_path() {
        let upper = ABC.to_uppercase().replace("SHA256", "sha256");
        for text in
            ["", "sha256:", "../../etc/passwd", "md5:zz", &ABC[..70], &upper, &format!("{ABC}0")]
        {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_hashing_reader_knows_what_passed() {
        let mut reader = HashingReader::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let (_, digest, size_bytes) = reader.finish();
        assert_eq!((digest.to_string().as_str(), size_bytes), (ABC, 3));
    }

    #[test]
    fn a_hashing_reader_knows_what_was_used_of_a_buffer() {
        let mut reader = HashingReader::new(&b"abcdef"[..]);
        for count in [1, 2] {
            reader.fill_buf().unwrap();
            reader.consume(count);
        }
        let (rest, digest, size_bytes) = reader.finish();
        assert_eq!((digest.to_string().as_str(), size_bytes, rest), (ABC, 3, &b"def"[..]));
    }

    #[test]
    fn a_chain_id_is_folded_over_the_layers() {
        let [a, b] = ["a", "b"].map(|text| DiffId(Digest::of(text)));
        assert_eq!(ChainId::of([a]), ChainId(a.0));
        assert_eq!(ChainId::of([a, b]), ChainId(Digest::of(format!("{a} {b}"))));
        assert_ne!(ChainId::of([a, b]), ChainId::of([b, a]));
        assert_eq!(ChainId::of([]).0, Digest::of(""));
    }
}
