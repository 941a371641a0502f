//! Import: a bundle fills the store, with no network.
//!
//! The bundle's lock comes first, and must be the project's. Then all of the bundle is read and verified, and
//! only when nothing is wrong or missing is anything published: a lock where there was none, what the store
//! lacked, and the project's root.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::archive::bundle::contents::MemberKind;
use crate::archive::bundle::error::BundleError;
use crate::archive::bundle::reader::BundleReader;
use crate::archive::index::{self, MARKER_TEXT};
use crate::engine::chain::Block;
use crate::engine::error::Error;
use crate::engine::import::Importer;
use crate::engine::import::staged::Staged;
use crate::oci::digest::Digest;
use crate::oci::document::parsed::MANIFEST_BYTES_MAX;
use crate::plan::action::Action;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Totals};
use crate::plan::locked::check_format;
use crate::plan::selection::Selection;
use crate::plan::wanted;
use crate::project::documents::{Desk, Documents};
use crate::project::files::FileError;
use crate::project::sync::subset::pairs;
use crate::project::{Project, Session};
use crate::spec::lockfile::{FILE_BYTES_MAX, Lock};
use crate::spec::name::ImageName;
use crate::store::Store;
use crate::words::with_causes;

/// A bundle to be imported.
pub struct Bundle {
    /// Its bytes.
    pub bytes: Box<dyn Read + Send>,
    /// What messages call it.
    pub origin: String,
    /// Whether the project must have the bundle's lock already.
    pub locked: bool,
    /// What is to come of it.
    pub purpose: Purpose,
}

/// What is to come of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// The store holds what it holds.
    Import,
    /// It is known whether it could be imported. What of it is read twice lies in this directory meanwhile, and
    /// the store is only read, if there is one.
    Verify(PathBuf),
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// What is in the store now that was not.
    pub totals: Totals,
    /// What the bundle was for.
    pub selection: Selection,
    /// Whether the project has a lock now that had none.
    pub lock_written: bool,
}

/// Why nothing was imported.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The project has another lock.
    OtherLock,
    /// The project has no lock, and was to have the bundle's.
    NoLock,
    /// The bundle builds on artifacts that are not in the store.
    Missing(Vec<Action>),
    /// The lock cannot be read.
    File(FileError),
    /// The lock cannot be written. The store holds what the bundle held.
    LockNotWritten(FileError),
    /// Something is wrong with the bundle or the store.
    Failed(Option<ImageName>, Error),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(None, error.into())
    }
}

pub(super) async fn import(
    project: &Project,
    bundle: Bundle,
    session: &Session,
) -> Result<Imported, Refusal> {
    let started = Instant::now();
    let imported = run(project, bundle, session).await;
    session.reporter.report(Event::Done {
        success: imported.is_ok(),
        totals: imported.as_ref().map(|imported| imported.totals).unwrap_or_default(),
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    imported
}

async fn run(project: &Project, bundle: Bundle, session: &Session) -> Result<Imported, Refusal> {
    let Bundle { bytes, origin, locked, purpose } = bundle;
    let (limits, name) = (session.limits, origin.clone());
    let opened = blocking(move || Opened::read(bytes, &name, &limits)).await?;
    let has_lock = compare_locks(project, &opened.lock, locked)?;
    check_format(&opened.lock)?;

    let (workplace, _scratch) = workplace(project.store(), &purpose)?;
    let Opened { reader, lock, lock_text, selection } = opened;
    let artifacts: Vec<Artifact> = wanted(&lock, &selection).into_iter().collect();
    let importer = Arc::new(Importer {
        run: workplace.shared()?.begin_run(&artifacts, session.caller.clone())?,
        store: project.store().clone(),
        lock,
        selection: selection.clone(),
        limits: session.limits,
        reporter: Arc::clone(&session.reporter),
    });
    let staged = verified(&importer, reader, origin).await?;
    let (mut totals, lock_written) = (Totals::default(), purpose == Purpose::Import && !has_lock);
    if lock_written {
        project.write_lock(&lock_text).map_err(Refusal::LockNotWritten)?;
    }
    if purpose == Purpose::Import {
        let publishing = Arc::clone(&importer);
        totals = blocking(move || Ok(publishing.publish(staged)?)).await?;
        let all = wanted(&importer.lock, &Selection::everything(&importer.lock));
        let caller = session.caller.clone();
        project.store().put_root(project.lock_path(), &all, session.now, caller)?;
    }
    Ok(Imported { totals, selection, lock_written })
}

/// All of the bundle, of which nothing is wrong or missing.
async fn verified(
    importer: &Arc<Importer>,
    mut reader: BundleReader<Box<dyn Read + Send>>,
    origin: String,
) -> Result<Staged, Refusal> {
    let reading = Arc::clone(importer);
    let staged = blocking(move || Ok(reading.read(&mut reader)?)).await?;
    let missing = importer.missing(&staged)?;
    if !missing.is_empty() {
        return Err(Refusal::Missing(missing));
    }
    check_documents(importer, &staged, &origin).await?;
    let deriving = Arc::clone(importer);
    blocking(move || {
        let mut staged = staged;
        deriving.derive(&mut staged, &origin)?;
        Ok(staged)
    })
    .await
}

/// Where files come to lie before they are verified: in the store, or in a store of their own, which goes when
/// the answer is dropped.
fn workplace(store: &Store, purpose: &Purpose) -> Result<(Store, Option<TempDir>), Refusal> {
    match purpose {
        Purpose::Import => Ok((store.clone(), None)),
        Purpose::Verify(folder) => {
            let scratch = tempfile::Builder::new().prefix("sandbox-images.").tempdir_in(folder);
            let scratch =
                scratch.map_err(|source| Error::Output { path: folder.clone(), source })?;
            Ok((Store::at(scratch.path()), Some(scratch)))
        }
    }
}

/// A bundle whose lock was read.
struct Opened {
    reader: BundleReader<Box<dyn Read + Send>>,
    lock: Lock,
    lock_text: String,
    selection: Selection,
}

impl Opened {
    fn read(
        bytes: Box<dyn Read + Send>,
        origin: &str,
        limits: &crate::layer::limits::Limits,
    ) -> Result<Self, Refusal> {
        let mut reader = BundleReader::open(bytes, origin, limits).map_err(Error::from)?;
        let marker = read(&mut reader, MemberKind::Marker, MARKER_TEXT.len() as u64)?;
        let layout_index = read(&mut reader, MemberKind::Index, MANIFEST_BYTES_MAX)?;
        let text = read(&mut reader, MemberKind::Lock, FILE_BYTES_MAX as u64)?;
        let wrong_lock = |reason| BundleError::Lock { origin: origin.to_owned(), reason };
        let lock_text = String::from_utf8(text).map_err(|error| wrong_lock(error.to_string()))?;
        let lock = Lock::parse(&lock_text).map_err(|error| wrong_lock(with_causes(&error)))?;

        if let Some((name, _)) = lock.images().find(|(name, _)| !lock.is_consistent(name.as_str()))
        {
            return Err(wrong_lock(format!("the block of `{name}` does not have its sum")).into());
        }
        let images = reader.contents().images.clone();
        for (image, platforms) in &images {
            let locked = lock.image(image.as_str());
            let has = |platform| locked.is_some_and(|it| it.platforms.contains_key(platform));
            if let Some(platform) = platforms.iter().find(|platform| !has(platform)) {
                let (origin, image) = (origin.to_owned(), image.clone());
                let platform = platform.to_string();
                return Err(BundleError::NotLocked { origin, image, platform }.into());
            }
        }
        let listed = lock.images().filter(|(name, _)| images.contains_key(*name));
        let names = index::index(listed);
        let is_layout = marker == MARKER_TEXT.as_bytes() && layout_index == names;
        if !is_layout {
            let (origin, name) = (origin.to_owned(), MemberKind::Index.name());
            return Err(BundleError::Layout { origin, name }.into());
        }
        let selection = Selection { images, skipped: Vec::new() };
        Ok(Self { reader, lock, lock_text, selection })
    }
}

/// The next member, which the list has here: see `Contents`.
fn read<R: Read>(
    reader: &mut BundleReader<R>,
    kind: MemberKind,
    limit: u64,
) -> Result<Vec<u8>, Refusal> {
    match reader.next_member()? {
        Some(member) if member.kind == kind => Ok(reader.read_member(limit)?),
        _ => {
            let (origin, expected) = (reader.origin().to_owned(), kind.name());
            Err(BundleError::Cut { origin, expected }.into())
        }
    }
}

/// Whether the project has the bundle's lock; an error if it has another, or must have it and does not.
fn compare_locks(project: &Project, lock: &Lock, locked: bool) -> Result<bool, Refusal> {
    let texts = project.texts().map_err(Refusal::File)?;
    match texts.parse_lock() {
        Ok(Some(own)) if own == *lock => Ok(true),
        Ok(None) if locked => Err(Refusal::NoLock),
        Ok(None) => Ok(false),
        Ok(Some(_)) | Err(_) => Err(Refusal::OtherLock),
    }
}

/// Checks that the documents are those of the images, and that there are no others.
async fn check_documents(
    importer: &Importer,
    staged: &Staged,
    origin: &str,
) -> Result<(), Refusal> {
    let mut known: BTreeSet<Digest> = BTreeSet::new();
    for (name, platform) in pairs(&importer.selection) {
        let Some(image) = importer.lock.image(name.as_str()) else { continue };
        let Some(locked) = image.platforms.get(platform) else { continue };
        let block = Block { name, image, platform, locked };
        let desk = Desk::Bundle { documents: &staged.documents, store: &importer.store };
        let documents = Documents { block, desk };
        // Whoever exported has judged whether a mismatch of platforms is meant.
        let chain = documents.checked(true).await;
        let chain = chain.map_err(|error| Refusal::Failed(Some(name.clone()), error))?;
        known.extend(chain.into_bytes().map(|(digest, _)| digest));
    }
    let foreign = staged.documents.keys().find(|digest| !known.contains(digest));
    foreign.map_or(Ok(()), |&digest| {
        let (origin, artifact) = (origin.to_owned(), Artifact::Blob(digest));
        Err(BundleError::Foreign { origin, artifact }.into())
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => {
            let source = std::io::Error::other(ended);
            Err(BundleError::Io { origin: "the bundle".to_owned(), source }.into())
        }
    }
}
