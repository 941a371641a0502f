//! Which of the locked images, and which platforms of each, are to be in the store.
//!
//! A selection chooses what to add, never what to keep. Without a wish it is the images of the default groups
//! and those without a group, on the host's platform.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::oci::platform::Platform;
use crate::spec::lockfile::{Lock, LockedImage};
use crate::spec::manifest_file::{ImageSet, ImageSpec};
use crate::spec::name::{GroupName, ImageName};
use crate::words::listed;

#[cfg(test)]
mod tests;

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectionRequest {
    /// Which groups.
    pub groups: GroupChoice,
    /// Images by name. If there are any, other images are taken only from groups that are named too.
    pub images: BTreeSet<ImageName>,
    /// Which platforms.
    pub platforms: PlatformChoice,
}

impl SelectionRequest {
    /// What is synced without a wish, on a machine of this platform.
    pub const fn default_for(host: Platform) -> Self {
        Self {
            groups: GroupChoice::Default,
            images: BTreeSet::new(),
            platforms: PlatformChoice::Host(host),
        }
    }
}

/// Which groups are wanted. Images without a group are wanted with any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChoice {
    /// The default groups of the image set.
    Default,
    /// These.
    Named(BTreeSet<GroupName>),
    /// Every group.
    All,
}

/// Which platforms are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The machine's, or the best locked one whose programs run on it.
    Host(Platform),
    /// All that are locked.
    All,
    /// Exactly these.
    Named(BTreeSet<Platform>),
}

/// What is to be in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// Platforms of each image; each is locked.
    pub images: BTreeMap<ImageName, BTreeSet<Platform>>,
    /// Images that were wanted and are not locked for a wanted platform: worth a note.
    pub skipped: Vec<Skipped>,
}

impl Selection {
    /// All that is locked.
    pub fn everything(lock: &Lock) -> Self {
        let platforms = |image: &LockedImage| image.platforms.keys().cloned().collect();
        let images = lock.images().map(|(name, image)| (name.clone(), platforms(image)));
        Self { images: images.collect(), skipped: Vec::new() }
    }
}

/// An image that is not locked for a wanted platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The image.
    pub image: ImageName,
    /// The platform.
    pub platform: Platform,
    /// The platforms it is locked for.
    pub locked: Vec<Platform>,
}

/// Why a request cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// Groups are named, and there is only a lock, which has none.
    #[error("groups stand in sandbox-images.toml, and only the lock is used")]
    GroupsOfLock,
    /// No image is in a named group.
    #[error("no image is in group `{group}`, groups are: {}", listed(.known))]
    UnknownGroup {
        /// The group.
        group: GroupName,
        /// The groups that exist.
        known: Vec<GroupName>,
    },
    /// A named image does not exist.
    #[error("there is no image `{image}`, images are: {}", listed(.known))]
    UnknownImage {
        /// The image.
        image: ImageName,
        /// The images that exist.
        known: Vec<ImageName>,
    },
    /// A named image is not locked for a wanted platform.
    #[error("image `{image}` is not locked for {platform}, it is for: {}", listed(.locked))]
    NotLockedFor {
        /// The image.
        image: ImageName,
        /// The platform.
        platform: Platform,
        /// The platforms it is locked for.
        locked: Vec<Platform>,
    },
}

/// What `request` means for `lock`. Without an image `set` there are no groups, and all images are wanted.
pub fn select(
    set: Option<&ImageSet>,
    lock: &Lock,
    request: &SelectionRequest,
) -> Result<Selection, SelectionError> {
    let mut selection = Selection::default();
    for name in wanted_images(set, lock, request)? {
        let Some(image) = lock.image(name.as_str()) else {
            continue;
        };
        let is_named = request.images.contains(name);
        for platform in wanted_platforms(image, &request.platforms) {
            match platform {
                Ok(platform) => {
                    selection.images.entry(name.clone()).or_default().insert(platform.clone());
                }
                Err(platform) => {
                    let skipped = Skipped {
                        image: name.clone(),
                        platform: platform.clone(),
                        locked: image.platforms.keys().cloned().collect(),
                    };
                    if is_named {
                        return Err(skipped.into());
                    }
                    selection.skipped.push(skipped);
                }
            }
        }
    }
    Ok(selection)
}

impl From<Skipped> for SelectionError {
    fn from(Skipped { image, platform, locked }: Skipped) -> Self {
        Self::NotLockedFor { image, platform, locked }
    }
}

/// The names of the wanted images, locked or not.
fn wanted_images<'a>(
    set: Option<&'a ImageSet>,
    lock: &'a Lock,
    request: &'a SelectionRequest,
) -> Result<BTreeSet<&'a ImageName>, SelectionError> {
    let known: BTreeSet<&ImageName> = lock.images().map(|(name, _)| name).collect();
    if let Some(image) = request.images.iter().find(|image| !known.contains(image)) {
        return Err(SelectionError::UnknownImage {
            image: image.clone(),
            known: known.into_iter().cloned().collect(),
        });
    }
    let Some(set) = set else {
        return match request.groups {
            GroupChoice::Named(_) => Err(SelectionError::GroupsOfLock),
            _ if request.images.is_empty() => Ok(known),
            _ => Ok(request.images.iter().collect()),
        };
    };
    let groups = wanted_groups(set, &request.groups)?;
    let only_named = !request.images.is_empty();
    let default = request.groups == GroupChoice::Default;
    let of_groups = set.images.iter().filter(|(_, image)| {
        let in_group = image.groups.iter().any(|group| groups.contains(group));
        if only_named { in_group && !default } else { in_group || image.groups.is_empty() }
    });
    Ok(of_groups.map(|(name, _)| name).chain(&request.images).collect())
}

/// The images that are in a group of `choice`, and no others.
pub fn of_groups<'a>(
    set: &'a ImageSet,
    choice: &'a GroupChoice,
) -> Result<BTreeSet<&'a ImageName>, SelectionError> {
    let groups = wanted_groups(set, choice)?;
    let is_in = |image: &ImageSpec| image.groups.iter().any(|group| groups.contains(group));
    Ok(set.images.iter().filter(|(_, image)| is_in(image)).map(|(name, _)| name).collect())
}

fn wanted_groups<'a>(
    set: &'a ImageSet,
    choice: &'a GroupChoice,
) -> Result<BTreeSet<&'a GroupName>, SelectionError> {
    let known = set.groups();
    let named = match choice {
        GroupChoice::All => return Ok(known),
        GroupChoice::Default => &set.default_groups,
        GroupChoice::Named(named) => named,
    };
    match named.iter().find(|group| !known.contains(group)) {
        None => Ok(named.iter().collect()),
        Some(group) => Err(SelectionError::UnknownGroup {
            group: group.clone(),
            known: known.into_iter().cloned().collect(),
        }),
    }
}

/// The wanted platforms of `image`: as `Ok` those it is locked for, as `Err` those it is not.
fn wanted_platforms<'a>(
    image: &'a LockedImage,
    choice: &'a PlatformChoice,
) -> Vec<Result<&'a Platform, &'a Platform>> {
    let locked = |platform: &Platform| image.platforms.get_key_value(platform).map(|(key, _)| key);
    match choice {
        PlatformChoice::All => image.platforms.keys().map(Ok).collect(),
        PlatformChoice::Named(named) => {
            named.iter().map(|platform| locked(platform).ok_or(platform)).collect()
        }
        PlatformChoice::Host(host) => {
            vec![host.compatible().iter().find_map(locked).ok_or(host)]
        }
    }
}
