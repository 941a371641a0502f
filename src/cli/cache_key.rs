//! `cache-key`: a key for the cache of a CI. Reads the lock, and the groups of `sandbox-images.toml`; whether
//! the two agree is for `check` to say.

use sandbox_images::plan::cache_key::cache_key;
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::spec::manifest_file::ImageSet;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::reading::CacheKey;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::{Setup, lock_alone, shown};
use crate::cli::sync::{groups, platforms};

/// What `cache-key --json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    schema: &'static str,
    key: String,
    /// What older keys begin with that a CI may fall back to.
    prefix: String,
}

pub(crate) fn run(setup: &Setup<'_>, wanted: &CacheKey) -> Done {
    let request = SelectionRequest {
        groups: groups(&wanted.group)?,
        images: [].into(),
        platforms: platforms(&wanted.platform)?,
    };
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let texts = project.texts().map_err(|error| Failure::of(Kind::Usage, "file", &error))?;
    let set = texts.image_set.as_deref().map(ImageSet::parse).transpose();
    let set =
        set.map_err(|problems| Failure::in_files(Kind::Usage, problems, shown(&project, texts)))?;
    let selection = select(set.as_ref(), &lock, &request)
        .map_err(|error| Failure::of(Kind::Usage, "selection", &error))?;
    let key = cache_key(&lock, &selection, &request.platforms);
    if setup.output.json {
        let schema = "sandbox-images/cache-key/1";
        output::json(&Answer { schema, key: key.to_string(), prefix: key.prefix });
    } else {
        output::data(format!("{key}\n"));
    }
    Ok(())
}
