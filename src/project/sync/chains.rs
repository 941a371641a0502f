//! Whether the documents of images are there and make the chains that the lock states.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::chain::Block;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::selection::Selection;
use crate::project::documents::{Desk, Documents};
use crate::project::sync::subset::{Broken, only, pairs};
use crate::project::sync::{Notes, Work};
use crate::spec::name::ImageName;
use crate::store::error::Error as StoreError;
use crate::store::reader::Reader;

impl Work<'_> {
    /// The images whose documents are among the `failed`, or do not make the chain that the lock states.
    /// Only the latter have an error: the former's was told when it failed. Where the documents that did
    /// come contradict the lock, that is told too: it is why a registry does not know the others.
    pub(super) async fn broken(
        &self,
        selection: &Selection,
        heal: Option<&Arc<Context>>,
        failed: &BTreeSet<Artifact>,
    ) -> Result<Broken, StoreError> {
        let mut broken = Broken::new();
        let opened = match heal {
            Some(context) => Arc::clone(&context.reader),
            None => Arc::new(self.project.store().reader()?),
        };
        for (name, platform) in pairs(selection) {
            let has_failed = !failed.is_empty()
                && !self.project.wanted(self.lock, &only(name, platform)).is_disjoint(failed);
            let heal = heal.filter(|_| !has_failed);
            let checked = self.check(&opened, (name, platform), heal).await;
            let checked = checked.and_then(Result::err);
            let told = checked.filter(|error| !has_failed || matches!(error, Error::Chain(_)));
            if has_failed || told.is_some() {
                broken.insert((name.clone(), platform.clone()), told);
            }
        }
        Ok(broken)
    }

    /// Whether the documents of an image are there and make the chain that the lock states; nothing if the lock does
    /// not have it.
    pub(super) async fn check(
        &self,
        reader: &Reader,
        (name, platform): (&ImageName, &Platform),
        heal: Option<&Arc<Context>>,
    ) -> Option<Result<(), Error>> {
        let image = self.lock.image(name.as_str())?;
        let locked = image.platforms.get(platform)?;
        // Without a network what is damaged stays where it is, and is told.
        let is_reachable = self.session.registry.is_some() || image.source.is_local();
        let desk = Desk::Store { reader, heal: heal.filter(|_| is_reachable) };
        let documents = Documents { block: Block { name, image, platform, locked }, desk };
        let wanted = self.project.extent().documents;
        Some(documents.check(wanted, self.allows_mismatch(name)).await)
    }

    fn allows_mismatch(&self, name: &ImageName) -> bool {
        if let Notes::Pulled(pulled) = self.notes {
            return pulled.iter().any(|one| one.name == *name && one.allow_platform_mismatch);
        }
        // Without `sandbox-images.toml` nobody says that a mismatch is meant.
        let spec = self.inputs.and_then(|inputs| inputs.image_set.images.get(name));
        spec.is_some_and(|spec| spec.allow_platform_mismatch)
    }
}
