//! The manifest of an image that has none. Its digest is in locks, so its bytes never change:
//! `docs/lockfile.md` states the rule.

use crate::layer::decompress::Compression;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::media_type::OCI_MANIFEST;

/// The OCI manifest of an image of this config and these layers, bottom to top.
pub(super) fn manifest(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    let layers: Vec<String> = layers.iter().map(descriptor).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}]}}"#,
        descriptor(config),
        layers.join(",")
    )
    .into_bytes()
}

/// The media type of a layer that is compressed so.
pub(super) const fn layer_type(packing: Compression) -> &'static str {
    match packing {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// A descriptor as JSON. None of its texts needs an escape.
fn descriptor(descriptor: &Descriptor) -> String {
    let Descriptor { media_type, digest, size, .. } = descriptor;
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;
    use crate::oci::document::media_type::OCI_CONFIG;

    #[test]
    fn the_bytes_of_a_manifest_are_fixed() {
        let config = Descriptor::new(OCI_CONFIG, Digest::of("config"), 6);
        let layer = |packing, text: &str| {
            Descriptor::new(layer_type(packing), Digest::of(text), text.len() as u64)
        };
        let layers = [
            layer(Compression::None, "one"),
            layer(Compression::Gzip, "three"),
            layer(Compression::Zstd, "three"),
        ];
        let bytes = manifest(&config, &layers);
        let expected = concat!(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#,
            r#""digest":"sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910","#,
            r#""size":6},"layers":["#,
            r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","#,
            r#""digest":"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed","size":3},"#,
            r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","#,
            r#""digest":"sha256:8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f","size":5},"#,
            r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","#,
            r#""digest":"sha256:8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f","size":5}]}"#,
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        assert_eq!(
            Digest::of(expected).hex(),
            "a1da3a424e2a0cbff31297383b8e3ec5b4f5b236c3b149b37c3696d8e0fcbcfd"
        );
    }
}
