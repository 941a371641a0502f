//! What commands work with: the project, the two files as values, and a session.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::event::{Event, Reporter};
use sandbox_images::plan::extent::Extent;
use sandbox_images::project::files::{FileError, InputError, Inputs, Texts as FileTexts};
use sandbox_images::project::telling::{caller, registry_events};
use sandbox_images::project::{Project, Session};
use sandbox_images::registry::Registry;
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::misplaced::without_secrets;
use sandbox_images::store::Store;
use sandbox_images::store::guard::Caller;
use sandbox_images::store::unfinished::give_up;
use sandbox_images::words::with_causes;

use crate::cli::args::Global;
use crate::cli::config::UserConfig;
use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::help::invoked;
use crate::cli::output::Output;
use crate::cli::report::reporter;
use crate::cli::signals::{interrupted, listen};
use crate::cli::texts::{Text, Texts};

/// The command line, the environment and where words go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) global: &'a Global,
    pub(crate) environment: &'a Environment,
    pub(crate) config: &'a UserConfig,
    pub(crate) output: Output,
}

impl Setup<'_> {
    /// The project that the command line names.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        let image_set = self.global.file.clone();
        let beside = || image_set.with_file_name("sandbox-images.lock");
        let lock = self.global.lockfile.clone().unwrap_or_else(beside);
        let project = Project::with_files(image_set, lock, self.store()?);
        let extent = Extent { documents: self.config.documents(), ..Extent::default() };
        Ok(project.with_extent(extent))
    }

    /// The store that the command line, the environment or the configuration names.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        let named = self.global.store.clone().or_else(|| self.config.store());
        let path = named.or_else(|| self.environment.default_store.clone());
        let path = path.ok_or_else(|| {
            Failure::new(Kind::Usage, "no-store", "there is no home directory to keep the store in")
                .help("name one with `--store`")
        })?;
        let absolute = std::path::absolute(&path).map_err(|error| {
            Failure::new(
                Kind::Usage,
                "no-store",
                format!("cannot use the store `{}`: {error}", path.display()),
            )
        })?;
        let mut store = Store::at(absolute);
        if self.config.allow_foreign_owner() {
            store = store.allow_foreign_owner();
        }
        if self.config.keep_blobs() {
            store = store.keep_blobs();
        }
        Ok(store)
    }

    /// A session, with registries or without. The mirrors are those of the user and of `image_set`.
    pub(crate) fn session(
        &self,
        network: bool,
        jobs: Option<NonZeroUsize>,
        image_set: Option<&ImageSet>,
    ) -> Result<Session, Failure> {
        self.session_telling(reporter(self.output), network, jobs, image_set)
    }

    /// As [`Setup::session`], which tells a reporter that others tell too.
    pub(crate) fn session_telling(
        &self,
        reporter: Arc<dyn Reporter>,
        network: bool,
        jobs: Option<NonZeroUsize>,
        image_set: Option<&ImageSet>,
    ) -> Result<Session, Failure> {
        let registry = if network { Some(self.registry(&reporter, image_set)?) } else { None };
        let session = Session::new(registry, now());
        Ok(Session {
            limits: self.config.limits(),
            jobs: jobs.or(self.config.jobs()).unwrap_or(session.jobs),
            caller: self.caller(&reporter),
            reporter,
            ..session
        })
    }

    /// Runs `work` to its end, or to Ctrl-C or SIGTERM. What threads still do then gets a moment to stop.
    pub(crate) fn block_on<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        const MOMENT: Duration = Duration::from_millis(700);
        let no_runtime = |error| {
            let message = format!("cannot start the threads of this run: {error}");
            Failure::new(Kind::Failed, "runtime", message)
                .help("see what `ulimit -n` and `ulimit -u` allow")
        };
        let runtime = tokio::runtime::Runtime::new().map_err(no_runtime)?;
        let signals = listen(self.output, self.environment.clone()).map_err(no_runtime)?;
        let result = runtime.block_on(async {
            tokio::select! {
                result = work => result,
                Ok(kind) = signals => {
                    give_up();
                    Err(interrupted(kind))
                }
            }
        });
        runtime.shutdown_timeout(MOMENT);
        result
    }

    fn registry(
        &self,
        reporter: &Arc<dyn Reporter>,
        image_set: Option<&ImageSet>,
    ) -> Result<Registry, Failure> {
        if let Some(message) = self.config.warning() {
            let code = "config-open-to-others".to_owned();
            reporter.report(Event::Warning { code, image: None, message });
        }
        let events = registry_events(Arc::clone(reporter));
        Ok(Registry::new(self.config.settings(self.environment, image_set, events)?))
    }

    fn caller(&self, reporter: &Arc<dyn Reporter>) -> Caller {
        caller(invoked(), self.global.wait_timeout, Arc::clone(reporter))
    }
}

/// Does `work` where it may wait for a disk or for another process. `None` where the runtime ends, which gives
/// up what was begun: then nobody waits for the answer.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => None,
    }
}

/// The two files as values, and their texts for those who point into them.
pub(crate) fn inputs(project: &Project) -> Result<(Inputs, Texts), Failure> {
    let texts = project.texts().map_err(|error| unreadable(&error))?;
    if texts.image_set.is_none() {
        let path = project.image_set_path().display();
        return Err(Failure::new(Kind::Usage, "no-image-set", format!("`{path}` does not exist"))
            .help("run `sandbox-images init`, or name its directory with `-C`"));
    }
    parsed(project, texts)
}

/// The texts as values.
pub(crate) fn parsed(project: &Project, texts: FileTexts) -> Result<(Inputs, Texts), Failure> {
    let inputs = Inputs::parse(&texts);
    let texts = shown(project, texts);
    match inputs {
        Ok(inputs) => Ok((inputs, texts)),
        Err(InputError::ImageSet(problems)) => Err(Failure::in_files(Kind::Usage, problems, texts)),
        Err(InputError::Lock(problems)) => Err(Failure::in_files(Kind::Stale, problems, texts)),
        Err(InputError::Policy(problems)) => Err(Failure::in_files(Kind::Denied, problems, texts)),
    }
}

/// The lock alone, whatever `sandbox-images.toml` says.
pub(crate) fn lock_alone(project: &Project) -> Result<Lock, Failure> {
    let texts = project.texts().map_err(|error| unreadable(&error))?;
    match texts.parse_lock() {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => {
            let path = project.lock_path().display();
            Err(Failure::new(Kind::Stale, "missing-lock", format!("`{path}` does not exist"))
                .help("run `sandbox-images lock`"))
        }
        Err(error) => {
            Err(Failure::in_files(Kind::Stale, error.diagnostics(), shown(project, texts)))
        }
    }
}

/// The time, for those who note when something was used.
#[expect(clippy::disallowed_methods, reason = "here time comes in")]
pub(crate) fn now() -> SystemTime {
    #[cfg(feature = "failpoints")]
    if let Some(now) = crate::cli::failpoints::now() {
        return now;
    }
    SystemTime::now()
}

/// The platform of `--platform`, or the host's.
pub(crate) fn platform(wanted: Option<&str>) -> Result<Platform, Failure> {
    match wanted {
        None | Some("host") => Ok(Platform::host_linux()),
        Some(text) => text.parse().map_err(|error| Failure::of(Kind::Usage, "platform", &error)),
    }
}

pub(crate) fn unreadable(error: &FileError) -> Failure {
    Failure::new(Kind::Usage, "file", with_causes(error))
}

/// A file of the project could not be written.
pub(crate) fn unwritten(error: &FileError) -> Failure {
    let advice = match error {
        FileError::Changed(_) => "run the command again",
        _ => {
            "see that there is room and that this user may write there, then run the command again"
        }
    };
    Failure::of(Kind::Failed, "file", error).help(advice)
}

/// The texts as diagnostics point into them.
pub(crate) fn shown(project: &Project, texts: FileTexts) -> Texts {
    let image_set = texts.image_set.as_deref().map(without_secrets);
    let text = |path: &std::path::Path, text: Option<String>| Text {
        path: PathBuf::from(path),
        text: text.unwrap_or_default(),
    };
    Texts {
        image_set: text(project.image_set_path(), image_set),
        lock: text(project.lock_path(), texts.lock),
        ..Texts::default()
    }
}
