//! Pulls one image into a cache directory with the crate `microsandbox-image`, layered, as it does by
//! default: layers as EROFS images, a merged fsmeta and a VMDK.
//!
//! usage: `peer-pull REFERENCE CACHE_DIRECTORY`

use std::error::Error;
use std::path::Path;

use microsandbox_image::{
    GlobalCache, Platform, PullOptions, PullPolicy, Reference, Registry, RootfsMaterialization,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, reference, cache] = arguments.as_slice() else {
        return Err("usage: peer-pull REFERENCE CACHE_DIRECTORY".into());
    };
    let reference: Reference = reference.parse()?;
    let cache = GlobalCache::new(Path::new(cache))?;
    // The registry of a comparison is on this machine and speaks plain HTTP.
    let host = reference.registry().to_string();
    let registry = Registry::builder(Platform::host_linux(), cache)
        .add_insecure_registries(vec![host])
        .build()?;
    let options = PullOptions {
        pull_policy: PullPolicy::IfMissing,
        materialization: RootfsMaterialization::Layered,
        ..Default::default()
    };
    registry.pull(&reference, &options).await?;
    Ok(())
}
