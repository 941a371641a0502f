//! The files that `config.toml` names: secrets and certificates. Their content is in no message.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sandbox_images::secret::Secret;

/// Bytes of a file with one secret: more than any token has.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Bytes of a file of certificates: a hundred of the system's own hold a quarter of this.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// How a certificate begins in PEM (RFC 7468).
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// How a key's first line ends in PEM, whatever its kind.
const KEY: &str = " PRIVATE KEY-----";

/// The secret in a file, without the line's end that editors and `echo` put behind it.
pub(super) fn secret(path: &Path) -> Result<Secret, String> {
    let text = text(path, SECRET_BYTES_MAX)?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(format!("`{}` is empty", path.display()));
    }
    Ok(Secret::new(secret))
}

/// Certificates of authorities.
pub(super) fn certificates(path: &Path) -> Result<String, String> {
    let pem = text(path, PEM_BYTES_MAX)?;
    if !pem.contains(CERTIFICATE) {
        return Err(format!("`{}` holds no certificate in PEM", path.display()));
    }
    Ok(pem)
}

/// A client's certificate and its key, which may stand in one file.
pub(super) fn identity(certificate: &Path, key: Option<&Path>) -> Result<Secret, String> {
    let certificates = certificates(certificate)?;
    let key_path = key.unwrap_or(certificate);
    let keys = key.map_or_else(|| Ok(String::new()), |key| text(key, PEM_BYTES_MAX))?;
    let pem = format!("{certificates}\n{keys}");
    if !pem.contains(KEY) {
        return Err(format!("`{}` holds no private key in PEM", key_path.display()));
    }
    Ok(Secret::new(pem))
}

/// The text of a file of at most `limit` bytes; why it cannot be used, as a sentence.
fn text(path: &Path, limit: u64) -> Result<String, String> {
    let cannot = |why: &str| format!("cannot read `{}`: {why}", path.display());
    let file = File::open(path).map_err(|error| cannot(&error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| cannot(&error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(cannot(&format!("it has more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the files that they read")]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn one_line_feed_is_not_part_of_a_secret() {
        for (content, expected) in
            [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" pw", " pw")]
        {
            let secret = secret(file(content.as_bytes()).path()).unwrap();
            assert_eq!(secret.reveal(), expected);
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_without_showing_it() {
        let large = vec![b'x'; 65 << 10];
        for (content, why) in [
            (&b"\n"[..], "is empty"),
            (&large, "more than 65536 bytes"),
            (b"hunter2\xff", "not UTF-8"),
        ] {
            let error = secret(file(content).path()).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn certificates_and_keys_are_told_apart() {
        let certificate = file(b"-----BEGIN CERTIFICATE-----\n");
        let key = file(b"-----BEGIN EC PRIVATE KEY-----\n");
        assert!(certificates(certificate.path()).is_ok());
        assert!(certificates(key.path()).unwrap_err().contains("no certificate"));
        assert!(identity(certificate.path(), Some(key.path())).is_ok());
        assert!(identity(certificate.path(), None).unwrap_err().contains("no private key"));
        assert!(identity(key.path(), None).unwrap_err().contains("no certificate"));
    }
}
