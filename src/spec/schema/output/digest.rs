//! A digest, as all documents write it.

use schemars::JsonSchema;

/// The SHA-256 of some bytes.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub(in crate::spec::schema) struct Digest(String);
