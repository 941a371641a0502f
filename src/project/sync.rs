//! Sync: the store is made to hold what a lock says.
//!
//! Of each image the documents come first, then their chain is checked, then come layers, then what is built of
//! them; images do not wait for each other. An image whose documents are missing or contradict its block is left out
//! of the rest, and nothing is fetched on its word; all others go on. When everything is committed, the project's
//! root is. Where the lock has digests of artifacts, what is in the store is held to them.

mod room;

mod reach;

mod reasons;

pub(super) mod subset;

mod chains;

mod anew;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::engine::apply;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::source::Sources;
use crate::oci::platform::Platform;
use crate::plan::action::Action;
use crate::plan::artifact::{Artifact, Inventory};
use crate::plan::event::{Event, Totals};
use crate::plan::extent::{Content, Extent};
use crate::plan::locked::check_format;
use crate::plan::selection::Selection;
use crate::plan::{Plan, plan_within, substitutes};
use crate::project::files::Inputs;
use crate::project::locked::{differing, digests, note_sha256};
use crate::project::parts::Parts;
use crate::project::sync::subset::{Broken, only, pairs, without};
use crate::project::{Project, Session};
use crate::spec::lockfile::Lock;
use crate::spec::name::ImageName;
use crate::store::error::Error as StoreError;
use crate::store::pulled::PulledImage;
use crate::store::root::Root;

/// What came of a sync.
#[derive(Debug, Default)]
pub struct Synced {
    /// What was done.
    pub totals: Totals,
    /// What went wrong, the causes only: what was left out because of them is not repeated.
    pub failures: Vec<(ImageName, Error)>,
    /// What is to be fetched, and cannot be without a network.
    pub out_of_reach: Vec<Action>,
    /// Images and platforms that are not whole in the store now.
    pub incomplete: BTreeMap<ImageName, BTreeSet<Platform>>,
}

impl Synced {
    /// Whether everything that was selected is in the store.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.out_of_reach.is_empty() && self.incomplete.is_empty()
    }
}

pub(super) async fn sync(
    project: &Project,
    lock: &Lock,
    selection: &Selection,
    inputs: Option<&Inputs>,
    session: &Session,
) -> Synced {
    let sources = project.sources(session);
    Work { project, lock, inputs, session, sources, notes: Notes::Lock }.whole(selection).await
}

/// As [`sync`], and what is noted in the store is each image by itself: what was pulled, and of what.
pub(super) async fn sync_pulled(
    project: &Project,
    lock: &Lock,
    selection: &Selection,
    pulled: &[Noted],
    sources: Sources,
    session: &Session,
) -> Synced {
    let notes = Notes::Pulled(pulled);
    Work { project, lock, inputs: None, session, sources, notes }.whole(selection).await
}

/// Fetches the `blobs` of compressed layers of `lock` that are not there, and builds nothing. Adds what came of
/// that to `synced`.
pub(super) async fn fetch_again(
    project: &Project,
    lock: &Lock,
    blobs: &BTreeSet<Artifact>,
    session: &Session,
    mut synced: Synced,
) -> Synced {
    let extent = Extent { content: Content::Blobs, ..project.extent() };
    let (project, sources) = (project.clone().with_extent(extent), project.sources(session));
    let (everything, notes) = (Selection::everything(lock), Notes::Lock);
    let work = Work { project: &project, lock, inputs: None, session, sources, notes };
    let all = plan_within(lock, &everything, extent, &Inventory::new()).actions.into_iter();
    let wanted = all.filter(|action| blobs.contains(&action.makes()));
    let is_reachable =
        |action: &Action| session.registry.is_some() || !project.needs_network(action);
    let (actions, lost): (Vec<Action>, Vec<Action>) = wanted.partition(is_reachable);
    synced.out_of_reach.extend(lost);
    if let Some(first) = actions.first() {
        match work.context(&everything) {
            Ok(context) => drop(synced.note(apply::all(&context, &actions).await)),
            Err(error) => synced.failures.push((first.origin().image.clone(), error)),
        }
    }
    synced
}

/// An image that is pulled.
#[derive(Debug)]
pub(super) struct Noted {
    /// Its name in the lock.
    pub(super) name: ImageName,
    /// What is noted of it.
    pub(super) image: PulledImage,
    /// Whether a config that names another platform than the lock is meant.
    pub(super) allow_platform_mismatch: bool,
}

/// What is noted in the store when all is there.
#[derive(Clone, Copy)]
enum Notes<'a> {
    /// That the project wants all of its lock.
    Lock,
    /// What each source is.
    Pulled(&'a [Noted]),
}

struct Work<'a> {
    project: &'a Project,
    lock: &'a Lock,
    inputs: Option<&'a Inputs>,
    session: &'a Session,
    sources: Sources,
    notes: Notes<'a>,
}

impl Work<'_> {
    async fn whole(&self, selection: &Selection) -> Synced {
        let started = Instant::now();
        let mut synced = Synced::default();
        if let Err(error) = self.run(selection, &mut synced).await {
            let any = self.lock.images().next().map(|(name, _)| name);
            let image = selection.images.keys().next().or(any);
            synced.failures.extend(image.map(|image| (image.clone(), error)));
        }
        self.session.reporter.report(Event::Done {
            success: synced.is_complete(),
            totals: synced.totals,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        synced
    }

    async fn run(&self, selection: &Selection, synced: &mut Synced) -> Result<(), Error> {
        check_format(self.lock)?;
        let mut missing = self.project.plan(self.lock, selection)?;
        self.session.reporter.report(Event::Planned(missing.totals()));
        if tracing::enabled!(tracing::Level::DEBUG) {
            reasons::log(self.project, &self.project.wanted(self.lock, selection), &missing);
        }
        let selection = &self.within_reach(selection, &missing, synced);
        let all_within_reach = synced.is_complete();
        if !all_within_reach {
            missing = self.project.plan(self.lock, selection)?;
        }
        if missing.is_empty() && self.broken(selection, None, &BTreeSet::new()).await?.is_empty() {
            if !all_within_reach {
                return Ok(());
            }
            self.compare(selection, synced);
            self.sweep_remains(selection, &BTreeSet::new());
            let noted = match self.note(synced) {
                // Whoever may not write to a store may still use what is in it.
                Err(
                    StoreError::ReadOnly { .. }
                    | StoreError::Denied { .. }
                    | StoreError::Foreign { .. },
                ) => false,
                noted => noted?,
            };
            // Whoever deletes may have come between the look and a new root. From now on nobody takes
            // what is there.
            if !noted || self.project.plan(self.lock, selection)?.is_empty() {
                return Ok(());
            }
        }
        room::check(self.project, &missing, &*self.session.reporter)?;
        let context = self.context(selection)?;
        self.fill(&context, selection, synced).await?;
        self.compare(selection, synced);
        self.note(synced)?;
        Ok(())
    }

    /// Notes which files in the store are not what the lock says. What is not there is told elsewhere.
    fn compare(&self, selection: &Selection, synced: &mut Synced) {
        let store = self.project.store();
        let held_to = digests(self.lock).into_keys();
        note_sha256(store, held_to, &self.session.caller);
        let differing = differing(store, self.lock, selection);
        let wrong: BTreeSet<Artifact> = differing.keys().copied().collect();
        for (name, platform) in pairs(selection).filter(|_| !wrong.is_empty()) {
            if !self.project.wanted(self.lock, &only(name, platform)).is_disjoint(&wrong) {
                synced.is_incomplete(name, platform);
            }
        }
        synced.failures.extend(differing.into_values());
    }

    /// Leaves out, where there is no network, the images that need something from one.
    fn within_reach(&self, selection: &Selection, plan: &Plan, synced: &mut Synced) -> Selection {
        if self.session.registry.is_some() {
            return selection.clone();
        }
        let mut lost = BTreeSet::new();
        for action in plan.actions.iter().filter(|action| self.project.needs_network(action)) {
            lost.insert(action.makes());
            match reach::damaged(self.project.store(), action) {
                Some(error) => synced.failures.push((action.origin().image.clone(), error.into())),
                None => synced.out_of_reach.push(action.clone()),
            }
        }
        let affected = pairs(selection)
            .filter(|(name, platform)| {
                !self.project.wanted(self.lock, &only(name, platform)).is_disjoint(&lost)
            })
            .map(|(name, platform)| ((name.clone(), platform.clone()), None))
            .collect::<Broken>();
        let selection = without(selection, &affected);
        synced.note_broken(affected);
        selection
    }

    /// Does what is missing, in a run that keeps others from deleting what this one found.
    async fn fill(
        &self,
        context: &Arc<Context>,
        selection: &Selection,
        synced: &mut Synced,
    ) -> Result<(), Error> {
        let todo = self.missing(context, selection)?;
        let lost = self.do_anew(context, &todo, synced).await?;
        let broken = self.broken(selection, Some(context), &lost.documents).await?;
        let sound = without(selection, &broken);
        synced.note_broken(broken);
        let sound = self.upon_whole_parts(context, sound, synced).await?;
        let rest = self.missing(context, &sound)?.without(lost.others);
        synced.note(apply::all(context, &rest.actions).await);

        let left = self.missing(context, selection)?;
        let left: BTreeSet<Artifact> = left.actions.iter().map(Action::makes).collect();
        self.sweep_remains(selection, &left);
        for action in todo.actions.iter().filter(|action| !left.contains(&action.makes())) {
            synced.totals.add(action);
        }
        for (name, platform) in pairs(&sound) {
            if !self.project.wanted(self.lock, &only(name, platform)).is_disjoint(&left) {
                synced.is_incomplete(name, platform);
            }
        }
        Ok(())
    }

    /// Sets aside what is damaged of what is to be built upon, and leaves out the images of which something
    /// damaged cannot be made again.
    async fn upon_whole_parts(
        &self,
        context: &Arc<Context>,
        selection: Selection,
        synced: &mut Synced,
    ) -> Result<Selection, Error> {
        let has_network = self.session.registry.is_some();
        let parts = Parts { project: self.project, context, lock: self.lock, has_network };
        let mut stuck = parts.set_aside_damaged(&selection).await?;
        let damaged: BTreeSet<Artifact> = stuck.keys().copied().collect();
        let mut broken = Broken::new();
        for (name, platform) in pairs(&selection).filter(|_| !damaged.is_empty()) {
            let wanted = self.project.wanted(self.lock, &only(name, platform));
            if !wanted.is_disjoint(&damaged) {
                // What several images have is told for the first.
                let told = wanted.iter().find_map(|artifact| stuck.remove(artifact));
                broken.insert((name.clone(), platform.clone()), told.map(Error::from));
            }
        }
        let sound = without(&selection, &broken);
        synced.note_broken(broken);
        Ok(sound)
    }

    /// Removes what dead runs have left, and what they kept of layers that are there now.
    fn sweep_remains(&self, selection: &Selection, missing: &BTreeSet<Artifact>) {
        let locked = pairs(selection)
            .filter_map(|(name, platform)| self.lock.image(name.as_str())?.platforms.get(platform));
        let complete = locked
            .flat_map(|locked| &locked.layers)
            .filter(|layer| !missing.contains(&Artifact::Layer(layer.diff_id)))
            .map(|layer| layer.digest);
        // What stays harms nobody, and the next run tries again.
        let _ = self.project.store().sweep_remains(&complete.collect());
    }

    fn missing(&self, context: &Context, selection: &Selection) -> Result<Plan, Error> {
        let look = |artifacts: &[Artifact]| context.run.inventory(artifacts);
        Ok(self.project.plan_by(self.lock, selection, look)?)
    }

    fn context(&self, selection: &Selection) -> Result<Arc<Context>, Error> {
        let Session { limits, jobs, caller, reporter, .. } = self.session;
        let store = self.project.store().clone();
        let extent = self.project.extent();
        let mut artifacts = self.project.wanted(self.lock, selection);
        artifacts.extend(substitutes(self.lock, selection, extent, &Inventory::new()));
        let artifacts: Vec<Artifact> = artifacts.into_iter().collect();
        Ok(Arc::new(Context {
            run: store.shared()?.begin_run(&artifacts, caller.clone())?,
            reader: Arc::new(store.reader()?),
            store,
            sources: self.sources.clone(),
            limits: *limits,
            jobs: *jobs,
            reporter: Arc::clone(reporter),
        }))
    }

    /// Notes in the store what keeps what was synced. Answers whether that was to be written.
    fn note(&self, synced: &Synced) -> Result<bool, StoreError> {
        let Notes::Pulled(pulled) = self.notes else {
            return self.note_root();
        };
        let Session { now, caller, .. } = self.session;
        let whole = pulled.iter().filter(|one| !synced.incomplete.contains_key(&one.name));
        whole
            .map(|one| self.project.store().put_pulled(&one.image, *now, caller.clone()))
            .try_fold(false, |noted_any, noted| Ok(noted? || noted_any))
    }

    /// Notes that the project wants all of its lock, whatever was selected this time. Answers whether that
    /// was to be written.
    fn note_root(&self) -> Result<bool, StoreError> {
        let wanted = |previous: Option<&Root>| self.project.kept(self.lock, previous);
        let Session { now, caller, .. } = self.session;
        let (store, lock) = (self.project.store(), self.project.lock_path());
        store.put_root_after(lock, wanted, *now, caller.clone())
    }
}
