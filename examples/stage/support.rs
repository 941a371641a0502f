//! What stands for the world in the examples: images written as text, and a registry in the same process. The
//! tests use them, too.

#![expect(dead_code, reason = "no example uses all of it")]

#[path = "../../tests/it/support/layer_tar.rs"]
pub(crate) mod layer_tar;

#[path = "../../tests/it/support/layer_text.rs"]
pub(crate) mod layer_text;

#[path = "../../tests/it/support/image.rs"]
pub(crate) mod image;

#[path = "../../tests/it/support/registry.rs"]
pub(crate) mod registry;

#[path = "../../tests/it/support/serving.rs"]
pub(crate) mod serving;
