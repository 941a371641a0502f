//! Any bytes as a compressed stream.
//!
//! * What comes out, and the kind of error, do not depend on how the stream arrives. Only how much of a
//!   damaged stream comes out before its error does, which may be more than the limit: nothing of that is
//!   kept.
//! * Never more comes out than the limit, but for the buffer that hits it; every error is a typed one.
//! * A stream without a magic comes out as it is.

#![no_main]

use std::io::{BufReader, Read};

use libfuzzer_sys::fuzz_target;
use sandbox_images::layer::decompress::{Compression, DecompressError, Decompressor};
use sandbox_images::layer::limits::Limits;
use sandbox_images_fuzz::events::small_limits;

/// Bytes that are taken at once.
const BUFFER_BYTES: usize = 4096;

fuzz_target!(|stream: &[u8]| {
    let limits = Limits { unpacked_bytes_max: 1 << 18, ..small_limits() };
    let whole = unpacked(stream, stream.len().max(1), &limits);
    for piece in [1, 7, 512] {
        let (bytes, error) = unpacked(stream, piece, &limits);
        let code = |error: &Option<DecompressError>| error.as_ref().map(DecompressError::code);
        let [code, whole_code] = [code(&error), code(&whole.1)];
        let both_failed = code.is_some() && whole_code.is_some();
        let is_too_long = [code, whole_code].contains(&Some("layer-limit"));
        assert!(code == whole_code || (both_failed && is_too_long), "{code:?} {whole_code:?}");
        let common = bytes.len().min(whole.0.len());
        assert_eq!(bytes[..common], whole.0[..common]);
        assert!(error.is_some() || bytes.len() == whole.0.len());
    }
    if Compression::of(stream) == Compression::None && stream.len() < 1 << 18 {
        assert_eq!((&whole.0[..], whole.1), (stream, None));
    }
});

/// What comes out of a stream that arrives in pieces, and how it ended.
fn unpacked(stream: &[u8], piece: usize, limits: &Limits) -> (Vec<u8>, Option<DecompressError>) {
    let input = BufReader::with_capacity(piece, stream);
    let mut reader = Decompressor::new(input, limits).expect("memory can be read");
    let mut bytes = Vec::new();
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => {
                let error = error.downcast::<DecompressError>().expect("every error is typed");
                return (bytes, Some(error));
            }
        }
        assert!(bytes.len() as u64 <= limits.unpacked_bytes_max);
    }
}
