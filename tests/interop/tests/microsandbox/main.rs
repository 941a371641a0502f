//! microsandbox's own crate as the judge of what `sandbox-images` writes for it.
//!
//! Needs `docker-registry` and `skopeo`. The program under test is named by `SANDBOX_IMAGES`; without it, it
//! is the one that `cargo build` made beside this workspace.

mod scene;

mod archives;

mod cache;
