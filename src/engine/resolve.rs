//! Resolve: an image's line in `sandbox-images.toml` becomes its block in the lock.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use crate::engine::error::Error;
use crate::engine::source::Source;
use crate::layer::limits::Limits;
use crate::oci::digest::Digest;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::error::DocumentError;
use crate::oci::document::index::Index;
use crate::oci::document::layer_type::LayerType;
use crate::oci::document::manifest::Manifest;
use crate::oci::document::search::{Search, Step};
use crate::oci::document::{Document, Root, check_layers};
use crate::oci::platform::Platform;
use crate::spec::lockfile::{LockedDocument, LockedImage, LockedLayer, LockedPlatform};
use crate::spec::manifest_file::ImageSpec;

/// A resolved image, and what its user should know.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its block.
    pub image: LockedImage,
    /// One clause each.
    pub warnings: Vec<String>,
}

/// Resolves `spec` from `source`: what its tag names now, or the document with the digest `pin`, which an
/// earlier lock holds. Of an edited pin only the digest is believed.
pub async fn resolve(
    spec: &ImageSpec,
    source: &Source,
    pin: Option<Digest>,
    limits: &Limits,
) -> Result<Resolved, Error> {
    let root = source.root(pin).await?;
    let wanted = spec.platforms.iter();
    let search = Images { spec, source, root: &root, limits };
    let found = try_join_all(wanted.map(|platform| search.platform(platform))).await?;
    let mut platforms = BTreeMap::new();
    let mut absent = BTreeMap::new();
    let mut warnings = Vec::new();
    for (platform, outcome) in spec.platforms.iter().zip(found) {
        match outcome {
            Outcome::Locked(locked, warning) => {
                platforms.insert(platform.clone(), locked);
                warnings.extend(warning);
            }
            Outcome::Absent(available) => {
                absent.insert(platform.clone(), available);
            }
        }
    }
    if platforms.is_empty() {
        let available = absent.into_values().flatten().collect::<BTreeSet<_>>();
        let available = available.into_iter().collect();
        return Err(Error::NoPlatform { reference: spec.source.clone(), available });
    }
    warnings.extend(
        absent.keys().map(|platform| format!("`{}` has no image for {platform}", spec.source)),
    );
    let image = LockedImage {
        source: spec.source.clone(),
        digest: root.digest(),
        media_type: root.parsed().kind(),
        size: root.size(),
        absent_platforms: absent.into_keys().collect(),
        platforms,
    };
    Ok(Resolved { image, warnings })
}

/// What is found for one platform.
enum Outcome {
    /// An image, and perhaps a warning.
    Locked(LockedPlatform, Option<String>),
    /// Nothing, which is no error for a platform that is wanted by default only.
    Absent(Vec<Platform>),
}

/// The images below one root.
struct Images<'a> {
    spec: &'a ImageSpec,
    source: &'a Source,
    root: &'a Document<Root>,
    limits: &'a Limits,
}

impl Images<'_> {
    async fn platform(&self, platform: &Platform) -> Result<Outcome, Error> {
        let found = match self.manifest(platform).await {
            Err(Error::Document {
                source: DocumentError::NoPlatform { available, .. }, ..
            }) if !self.spec.platforms_named => {
                return Ok(Outcome::Absent(available));
            }
            found => found?,
        };
        let config: Document<ImageConfig> = self.source.document(&found.parsed().config).await?;
        let warning = match config.parsed().check_platform(platform) {
            Ok(()) => None,
            Err(_) if !self.is_index() && !self.spec.platforms_named => {
                return Ok(Outcome::Absent(config.parsed().platform().into_iter().collect()));
            }
            Err(mismatch) if self.spec.allow_platform_mismatch => {
                Some(format!("`{}` for {platform}: {mismatch}", self.spec.source))
            }
            Err(mismatch) => return Err(self.refused(mismatch)),
        };
        self.locked(&found, &config).map(|locked| Outcome::Locked(locked, warning))
    }

    fn is_index(&self) -> bool {
        matches!(self.root.parsed(), Root::Index(_))
    }

    /// The manifest for `platform`: the only one, or the best of the index and of those nested in it.
    async fn manifest(&self, platform: &Platform) -> Result<Document<Manifest>, Error> {
        let index = match self.root.parsed() {
            Root::Manifest(_) => {
                let media_type = Some(self.root.parsed().kind().media_type());
                let only = Document::parse(self.root.bytes().to_vec(), media_type);
                return only.map_err(|error| self.refused(error));
            }
            Root::Index(index) => index,
        };
        let mut search = Search::new(platform.clone(), self.root.digest(), index);
        loop {
            match search.step().map_err(|error| self.refused(error))? {
                Step::Found(descriptor) => return self.source.document(&descriptor).await,
                Step::Descend(descriptor) => {
                    let nested: Document<Index> = self.source.document(&descriptor).await?;
                    search.enter(nested.parsed());
                }
            }
        }
    }

    fn locked(
        &self,
        manifest: &Document<Manifest>,
        config: &Document<ImageConfig>,
    ) -> Result<LockedPlatform, Error> {
        check_layers(manifest.parsed(), config.parsed()).map_err(|error| self.refused(error))?;
        let reference = || self.spec.source.clone();
        let count = manifest.parsed().layers.len();
        let too_many = |source| Error::TooManyLayers { reference: reference(), source };
        self.limits.check_layers(count).map_err(too_many)?;
        let layers = manifest.parsed().layers.iter().zip(&config.parsed().diff_ids);
        let layers = layers.map(|(layer, &diff_id)| {
            let layer_type = LayerType::of_own_layer(&layer.media_type);
            Ok(LockedLayer {
                digest: layer.digest,
                size: layer.size,
                diff_id,
                layer_type: layer_type.map_err(|source| self.refused(source))?,
                erofs: None,
            })
        });
        Ok(LockedPlatform {
            manifest: LockedDocument { digest: manifest.digest(), size: manifest.size() },
            config: LockedDocument { digest: config.digest(), size: config.size() },
            fsmeta: None,
            layers: layers.collect::<Result<_, Error>>()?,
        })
    }

    fn refused(&self, source: DocumentError) -> Error {
        Error::Document { reference: self.spec.source.clone(), source }
    }
}
