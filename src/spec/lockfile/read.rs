//! From the text of a lock to a [`Lock`].

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::digest::Digest;
use crate::oci::document::kind::Kind;
use crate::oci::platform::Platform;
use crate::oci::reference::DOCKER_HUB;
use crate::spec::diagnostic::Source;
use crate::spec::lockfile::{
    Block, FILE_BYTES_MAX, Lock, LockError, LockedDocument, LockedImage, LockedLayer,
    LockedPlatform, REVISION, VERSION, WrongSum, markers, write,
};
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;
use crate::spec::walk::{Problems, Table, Value, document};

/// Reads the whole file.
pub(super) fn lock(text: &str) -> Result<Lock, LockError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(LockError::TooLarge { size: text.len() });
    }
    if let Some(span) = markers::first(text) {
        return Err(LockError::ConflictMarkers { span });
    }
    document(text, Problems::new(Source::Lock), read_root).map_err(LockError::Invalid)?
}

fn read_root(root: &Table<'_>, problems: &mut Problems) -> Result<Lock, LockError> {
    let version = root.require("version", problems);
    if let Some(version) = version
        && let Some(found) = version.number(problems)
        && found != VERSION
    {
        let span = version.span;
        return Err(LockError::Version { found, span });
    }
    let number = |key, problems: &mut Problems| root.get(key)?.number(problems);
    let revision = number("revision", problems).unwrap_or_default();
    let mut lock =
        Lock { revision, artifact_format: number("artifact-format", problems), ..Lock::default() };
    let mut reader = Reader { problems, is_newer: revision > REVISION, met_unknown: false };
    reader.judge_keys(root, &["version", "revision", "artifact-format", "image"]);
    if let Some(images) = root.get("image").and_then(|images| images.table(reader.problems)) {
        for value in images.iter() {
            if let Some((name, image, block)) = reader.image(&value) {
                lock.blocks.insert(name.clone(), block);
                lock.images.insert(name, image);
            }
        }
    }
    Ok(lock)
}

/// Reads blocks by the rules of one revision.
struct Reader<'p> {
    problems: &'p mut Problems,
    /// Whether keys may be there that this tool does not know.
    is_newer: bool,
    /// Whether there were any since this was last reset.
    met_unknown: bool,
}

impl Reader<'_> {
    /// An unknown key is an error, in a file of a newer revision a matter of that revision.
    fn judge_keys(&mut self, table: &Table<'_>, known: &[&'static str]) {
        if self.is_newer {
            self.met_unknown |= !table.unknown(known).is_empty();
        } else {
            table.refuse_unknown(known, self.problems);
        }
    }

    fn image(&mut self, value: &Value<'_>) -> Option<(ImageName, LockedImage, Block)> {
        const KEYS: [&str; 7] =
            ["source", "digest", "media-type", "size", "absent-platforms", "sum", "platform"];
        let name = value.key.parse::<ImageName>();
        let name = name.map_err(|error| self.problems.invalid(value.key_span.clone(), error));
        let table = value.table(self.problems)?;
        self.met_unknown = false;
        self.judge_keys(&table, &KEYS);
        let source = table.require("source", self.problems);
        let source_span = source.as_ref().map(|source| source.span.clone());
        let source = source.and_then(|source| self.source(&source));
        let digest = self.required(&table, "digest");
        let media_type = self.kind(&table);
        let size = self.size(&table);
        let absent = table
            .get("absent-platforms")
            .and_then(|absent| absent.parse_all::<Platform>(self.problems));
        let sum = table.get("sum").map(|sum| self.sum(&sum).ok_or(())).transpose();
        let platforms =
            table.get("platform").map(|value| self.platforms(&value).ok_or(())).transpose();
        let image = LockedImage {
            source: source?,
            digest: digest?,
            media_type: media_type?,
            size: size?,
            absent_platforms: absent
                .map(|absent| absent.into_iter().map(|(platform, _)| platform).collect())
                .unwrap_or_default(),
            platforms: platforms.ok()?.unwrap_or_default(),
        };
        let name = name.ok()?;
        let block = Block {
            name_span: value.key_span.clone(),
            source_span: source_span?,
            wrong_sum: self.wrong_sum(sum.ok()?, &name, &image),
        };
        Some((name, image, block))
    }

    /// Compares the sum that was found with the content's. A block with keys of a newer revision cannot be
    /// rendered as its writer did, so its sum says nothing here.
    fn wrong_sum(
        &self,
        found: Option<Digest>,
        name: &ImageName,
        image: &LockedImage,
    ) -> Option<WrongSum> {
        match found {
            _ if self.met_unknown => None,
            None => Some(WrongSum::Missing),
            Some(sum) if sum == write::sum(name, image) => None,
            Some(sum) => Some(WrongSum::Other(sum)),
        }
    }

    /// The lock's sources are canonical, so no default registry matters.
    fn source(&mut self, value: &Value<'_>) -> Option<ImageSource> {
        let source = ImageSource::parse(value.string(self.problems)?, DOCKER_HUB);
        source.map_err(|error| self.problems.invalid(value.span.clone(), error)).ok()
    }

    fn kind(&mut self, table: &Table<'_>) -> Option<Kind> {
        let value = table.require("media-type", self.problems)?;
        let kind = Kind::from_media_type(value.string(self.problems)?);
        kind.map_err(|error| self.problems.invalid(value.span.clone(), error)).ok()
    }

    fn sum(&mut self, value: &Value<'_>) -> Option<Digest> {
        let sum = Digest::from_hex(value.string(self.problems)?);
        if sum.is_err() {
            self.problems.invalid(value.span.clone(), "a sum is 64 lower-case hex digits");
        }
        sum.ok()
    }

    fn required<T>(&mut self, table: &Table<'_>, key: &str) -> Option<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        table.require(key, self.problems)?.parse(self.problems)
    }

    /// A digest that need not be there; an error if it is there and wrong.
    fn optional(&mut self, table: &Table<'_>, key: &str) -> Result<Option<Digest>, ()> {
        table.get(key).map(|value| value.parse(self.problems).ok_or(())).transpose()
    }

    fn size(&mut self, table: &Table<'_>) -> Option<u64> {
        table.require("size", self.problems)?.number(self.problems)
    }

    fn platforms(&mut self, value: &Value<'_>) -> Option<BTreeMap<Platform, LockedPlatform>> {
        let table = value.table(self.problems)?;
        let mut platforms = BTreeMap::new();
        let mut names = BTreeSet::new();
        for value in table.iter() {
            let name = value.key.parse::<Platform>();
            let name = name.map_err(|error| self.problems.invalid(value.key_span.clone(), error));
            let locked = self.platform(&value);
            let Ok(name) = name else { continue };
            if !names.insert(name.clone()) {
                let message = format!("platform `{name}` is there twice");
                self.problems.invalid(value.key_span.clone(), message);
            }
            platforms.extend(locked.map(|locked| (name, locked)));
        }
        Some(platforms)
    }

    fn platform(&mut self, value: &Value<'_>) -> Option<LockedPlatform> {
        let table = value.table(self.problems)?;
        self.judge_keys(&table, &["manifest", "config", "fsmeta", "layers"]);
        let manifest = self.document(&table, "manifest");
        let config = self.document(&table, "config");
        let fsmeta = self.optional(&table, "fsmeta");
        let layers = table.require("layers", self.problems)?.array(self.problems)?;
        let layers: Vec<_> = layers.iter().map(|layer| self.layer(layer)).collect();
        Some(LockedPlatform {
            manifest: manifest?,
            config: config?,
            fsmeta: fsmeta.ok()?,
            layers: layers.into_iter().collect::<Option<_>>()?,
        })
    }

    fn document(&mut self, table: &Table<'_>, key: &str) -> Option<LockedDocument> {
        let table = table.require(key, self.problems)?.table(self.problems)?;
        self.judge_keys(&table, &["digest", "size"]);
        let digest = self.required(&table, "digest");
        let size = self.size(&table);
        Some(LockedDocument { digest: digest?, size: size? })
    }

    fn layer(&mut self, value: &Value<'_>) -> Option<LockedLayer> {
        let table = value.table(self.problems)?;
        self.judge_keys(&table, &["digest", "size", "diff-id", "type", "erofs"]);
        let digest = self.required(&table, "digest");
        let size = self.size(&table);
        let diff_id = self.required(&table, "diff-id");
        let layer_type = self.required(&table, "type");
        let erofs = self.optional(&table, "erofs");
        Some(LockedLayer {
            digest: digest?,
            size: size?,
            diff_id: diff_id?,
            layer_type: layer_type?,
            erofs: erofs.ok()?,
        })
    }
}
