//! Why something is out of reach without a network.

use crate::plan::action::Action;
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::error::{Class, Error};

/// What is there and damaged of what `action` would make, or could make it of. Without a network that is what to
/// tell: it is worse than something that is not there.
pub(super) fn damaged(store: &Store, action: &Action) -> Option<Error> {
    let blob = match action {
        Action::FetchLayer(layer) => Some(Artifact::Blob(layer.digest)),
        _ => None,
    };
    let looked_at = [action.makes()].into_iter().chain(blob);
    let mut errors = looked_at.filter_map(|artifact| store.open(artifact).err());
    errors.find(|error| error.class() == Class::Integrity)
}
