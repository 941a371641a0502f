//! What microsandbox calls things in its cache.

use crate::oci::digest::{DiffId, Digest};

/// Layer images, by `diff_id`.
pub(super) const LAYERS: &str = "layers";

/// Merged metadata, by the digest of the platform's manifest.
pub(super) const FSMETA: &str = "fsmeta";

/// Disks, by the same.
pub(super) const VMDK: &str = "vmdk";

/// What is known of images, by how they are asked for.
pub(super) const MANIFESTS: &str = "manifests";

/// Locks on single entries, in the directory of the entry.
pub(super) const LEASES: &str = ".msb-leases";

/// The image of a layer.
pub(super) fn layer(diff_id: DiffId) -> String {
    format!("{}.erofs", safe(diff_id.0))
}

/// The merged metadata of the image with this manifest.
pub(super) fn fsmeta(manifest: Digest) -> String {
    format!("{}.erofs", safe(manifest))
}

/// The disk of the image with this manifest.
pub(super) fn vmdk(manifest: Digest) -> String {
    format!("{}.vmdk", safe(manifest))
}

/// What stands for a reference in names: the SHA-256 of its canonical text.
pub(super) fn key(reference: &str) -> String {
    Digest::of(reference).hex()
}

/// What is known of the image that is asked for by what `key` stands for.
pub(super) fn metadata(key: &str) -> String {
    format!("{key}.json")
}

/// Held by who pulls it.
pub(super) fn pull_lock(key: &str) -> String {
    format!("{key}.lock")
}

/// The entry whose lease is held by who replaces what is known of it, and shared by who reads that.
pub(super) fn gate(key: &str) -> String {
    format!("{key}.publication")
}

/// Held by who makes the EROFS image `name`.
pub(super) fn making_lock(name: &str) -> String {
    format!("{name}.lock")
}

/// The lock of the entry `name`, in [`LEASES`].
pub(super) fn lease(name: &str) -> String {
    format!("{}.lock", Digest::of(name).hex())
}

/// A digest as a part of a file name.
fn safe(digest: Digest) -> String {
    digest.to_string().replace(':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_digests_and_of_hashes_of_texts() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of("abc");
        assert_eq!(layer(DiffId(digest)), format!("sha256_{hex}.erofs"));
        assert_eq!(fsmeta(digest), format!("sha256_{hex}.erofs"));
        assert_eq!(vmdk(digest), format!("sha256_{hex}.vmdk"));
        assert_eq!(key("abc"), hex);
        assert_eq!(lease("abc"), format!("{hex}.lock"));
        assert_eq!(making_lock(&layer(DiffId(digest))), format!("sha256_{hex}.erofs.lock"));
        assert_eq!(gate(hex), format!("{hex}.publication"));
    }
}
