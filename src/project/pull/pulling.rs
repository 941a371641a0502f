//! The work of a pull: each image is found, all are fetched together, and described.

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::engine::error::Error;
use crate::engine::source::Sources;
use crate::oci::document::Document;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::parsed::CONFIG_BYTES_MAX;
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Totals};
use crate::plan::selection::Selection;
use crate::project::pull::{PullError, PullPolicy, Pulled, PulledLayer};
use crate::project::relock::{IMAGES_AT_ONCE, resolve_one};
use crate::project::sync::{Noted, Synced, sync_pulled};
use crate::project::{Project, Session};
use crate::spec::lockfile::{Lock, LockedImage};
use crate::spec::manifest_file::ImageSpec;
use crate::spec::name::ImageName;
use crate::spec::source::{ImageSource, LocalSource};
use crate::store::Store;
use crate::store::pulled::PulledImage;

/// An image that is to be pulled.
pub(super) struct Wanted {
    pub(super) name: ImageName,
    pub(super) spec: ImageSpec,
    /// Its pin, if it has one.
    pub(super) locked: Option<LockedImage>,
}

/// How images are pulled.
#[derive(Clone, Copy)]
pub(super) struct Pulling<'a> {
    pub(super) project: &'a Project,
    pub(super) platform: &'a Platform,
    pub(super) policy: PullPolicy,
    pub(super) session: &'a Session,
}

impl Pulling<'_> {
    /// Makes all of `wanted` whole, each by itself, and describes them in their order.
    pub(super) async fn all(&self, wanted: Vec<Wanted>) -> Result<Vec<Pulled>, PullError> {
        let session = &self.session();
        let sources = self.project.sources(session);
        let mut found = stream::iter(wanted)
            .map(|wanted| self.find(wanted, &sources, session))
            .buffered(IMAGES_AT_ONCE);
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        while let Some((wanted, image)) = found.next().await {
            match image {
                Ok(image) => images.push(Found { wanted, image }),
                Err(error) => failures.push((wanted.name, error)),
            }
        }
        drop(found);
        if images.is_empty() {
            let (success, totals) = (failures.is_empty(), Totals::default());
            session.reporter.report(Event::Done { success, totals, elapsed_ms: 0 });
        }
        self.fetch(&images, failures, sources, session).await
    }

    /// The session, without a network where nothing may be fetched.
    fn session(&self) -> Session {
        let mut session = self.session.clone();
        if self.policy == PullPolicy::Never {
            session.registry = None;
        }
        session
    }

    /// What `wanted` is: by its pin, by what was pulled before, or by what its source names now.
    async fn find(
        &self,
        wanted: Wanted,
        sources: &Sources,
        session: &Session,
    ) -> (Wanted, Result<LockedImage, Error>) {
        let image = self.find_image(&wanted, sources, session).await;
        (wanted, image)
    }

    async fn find_image(
        &self,
        wanted: &Wanted,
        sources: &Sources,
        session: &Session,
    ) -> Result<LockedImage, Error> {
        let Wanted { name, spec, locked } = wanted;
        if self.policy != PullPolicy::Always {
            if let Some(locked) = locked {
                return Ok(locked.clone());
            }
            let known = self.project.store().pulled(&self.anchored(&spec.source), self.platform)?;
            if let Some(image) = known.as_ref().and_then(PulledImage::image) {
                return Ok(LockedImage { source: spec.source.clone(), ..image.clone() });
            }
        }
        if self.policy == PullPolicy::Never {
            let (reference, platform) = (spec.source.clone(), self.platform.clone());
            return Err(Error::NotPulled { reference, platform });
        }
        Ok(resolve_one(name, spec, None, sources, session).await?.image)
    }

    /// The source as it is noted in a store, which knows no project: a path is absolute.
    fn anchored(&self, source: &ImageSource) -> ImageSource {
        let anchored = |local: &LocalSource| {
            let path = self.project.directory().join(&local.path);
            let path = Store::absolute(&path).unwrap_or(path);
            let path = path.to_string_lossy().into_owned();
            LocalSource { path, selector: local.selector.clone() }
        };
        match source {
            ImageSource::Registry(_) => source.clone(),
            ImageSource::OciLayout(local) => ImageSource::OciLayout(anchored(local)),
            ImageSource::DockerArchive(local) => ImageSource::DockerArchive(anchored(local)),
        }
    }

    async fn fetch(
        &self,
        images: &[Found],
        failures: Vec<(ImageName, Error)>,
        sources: Sources,
        session: &Session,
    ) -> Result<Vec<Pulled>, PullError> {
        let mut lock = Lock::new();
        for Found { wanted, image } in images {
            lock.insert(wanted.name.clone(), image.clone());
        }
        let selection = Selection::everything(&lock);
        let noted: Vec<Noted> = images.iter().map(|found| self.noted(found)).collect();
        let cached: Vec<bool> = images.iter().map(|found| self.is_there(found)).collect();
        let mut synced = if images.is_empty() {
            Synced::default()
        } else {
            sync_pulled(self.project, &lock, &selection, &noted, sources, session).await
        };
        synced.failures.extend(failures);
        if !synced.is_complete() {
            return Err(PullError(Box::new(synced)));
        }
        let described =
            images.iter().zip(cached).map(|(found, cached)| self.describe(found, cached));
        described.collect()
    }

    fn noted(&self, Found { wanted, image }: &Found) -> Noted {
        let (source, platform) = (self.anchored(&wanted.spec.source), self.platform.clone());
        Noted {
            name: wanted.name.clone(),
            image: PulledImage::new(source, platform, wanted.name.clone(), image),
            allow_platform_mismatch: wanted.spec.allow_platform_mismatch,
        }
    }

    /// Whether nothing of the image is missing. A store that cannot be looked at fails later, with a reason.
    fn is_there(&self, Found { wanted, image }: &Found) -> bool {
        let mut lock = Lock::new();
        lock.insert(wanted.name.clone(), image.clone());
        let plan = self.project.plan(&lock, &Selection::everything(&lock));
        plan.is_ok_and(|plan| plan.is_empty())
    }

    /// The image as whoever asked for it sees it. Notes that it is used.
    fn describe(&self, found: &Found, cached: bool) -> Result<Pulled, PullError> {
        let Found { wanted: Wanted { name, spec, .. }, image } = found;
        let failed = |error: Error| PullError::of(name, error);
        let (reference, platform) = (spec.source.clone(), self.platform.clone());
        let locked = image.platforms.get(self.platform).ok_or_else(|| {
            failed(Error::NotPulled { reference: reference.clone(), platform: platform.clone() })
        })?;
        let store = self.project.store();
        let config = store.read_blob(locked.config.digest, CONFIG_BYTES_MAX);
        let config = config.map_err(|error| failed(error.into()))?;
        let config: Document<ImageConfig> = Document::parse(config, None)
            .map_err(|source| failed(Error::Document { reference: reference.clone(), source }))?;
        let chain_id = locked.chain_id();
        let (fsmeta, disk) = (Artifact::Fsmeta(chain_id), Artifact::Disk(chain_id));
        let layers = locked.diff_ids().map(Artifact::Layer);
        for artifact in layers.chain([fsmeta, disk]) {
            store.touch(artifact, self.session.now).map_err(|error| failed(error.into()))?;
        }
        let layers = locked.layers.iter().map(|layer| PulledLayer {
            diff_id: layer.diff_id,
            digest: layer.digest,
            path: store.path_of(Artifact::Layer(layer.diff_id)),
        });
        Ok(Pulled {
            name: name.clone(),
            source: spec.source.clone(),
            platform,
            digest: image.digest,
            manifest: locked.manifest.digest,
            layers: layers.collect(),
            fsmeta: store.path_of(fsmeta),
            disk: store.path_of(disk),
            config: config.parsed().clone(),
            cached,
        })
    }
}

/// An image that is to be pulled, and what it is.
struct Found {
    wanted: Wanted,
    image: LockedImage,
}
