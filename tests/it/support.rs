//! What the tests share: images written as text, registries, mounts, guests, and the words to compare them.

pub(crate) mod process;

pub(crate) mod needs;

pub(crate) mod cache;

pub(crate) mod layer_tar;

pub(crate) mod layer_text;

pub(crate) mod image;

pub(crate) mod archive;

pub(crate) mod archive_listing;

pub(crate) mod registry;

pub(crate) mod serving;

pub(crate) mod pull;

pub(crate) mod file_tree;

pub(crate) mod store_tree;

pub(crate) mod tmpfs;

pub(crate) mod mount;

pub(crate) mod built;

pub(crate) mod alone;

pub(crate) mod fsck;

pub(crate) mod docker_registry;

pub(crate) mod layer_tree;

pub(crate) mod debian;

pub(crate) mod qemu;

pub(crate) mod project;

pub(crate) mod power;

pub(crate) mod terminal;

pub(crate) mod fixture;
