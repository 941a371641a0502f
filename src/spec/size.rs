//! Numbers of bytes as people write them: `4096`, `500MB`, `64GiB`.

use bytesize::ByteSize;

/// Why a text is not a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a size is a number of bytes, or written like `64GiB`")]
pub struct SizeError;

/// Reads `text` as a number of bytes.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| SizeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_perhaps_with_a_unit() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("500MB"), Ok(500_000_000));
        assert_eq!(parse("64GiB"), Ok(64 << 30));
        for text in ["", "lots", "-1", "64 gibi"] {
            assert_eq!(parse(text), Err(SizeError), "{text}");
        }
    }
}
