//! The environment, read once and nowhere else.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;

/// What the environment says, as values.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is what a variable says")]
pub(crate) struct Environment {
    /// `CI` is set, and not to nothing, `0` or `false`.
    pub(crate) ci: bool,
    /// `SANDBOX_IMAGES_NO_GC` is set, and not to nothing, `0` or `false`.
    pub(crate) no_gc: bool,
    /// `NO_COLOR` is set, and not to nothing.
    pub(crate) no_color: bool,
    /// `TERM` is `dumb`: a terminal that obeys nothing.
    pub(crate) is_dumb: bool,
    /// `GITHUB_ACTIONS` is `true`: the run is a step of GitHub's CI.
    pub(crate) github: bool,
    /// `GITHUB_WORKSPACE`, the top of the checkout there.
    pub(crate) workspace: Option<PathBuf>,
    /// `SANDBOX_IMAGES_LOG`: what of the log is written.
    pub(crate) log: Option<String>,
    /// `OCI_REGISTRY_DOMAIN`: the registry of short names, for `pull` alone.
    pub(crate) registry_domain: Option<String>,
    /// Where a store is that nobody named: `$XDG_CACHE_HOME/sandbox-images`.
    pub(crate) default_store: Option<PathBuf>,
    /// Where a configuration is that nobody named: `$XDG_CONFIG_HOME/sandbox-images/config.toml`.
    pub(crate) default_config: Option<PathBuf>,
    /// Where microsandbox keeps its images: `$MSB_HOME/cache`, else `~/.microsandbox/cache`.
    pub(crate) microsandbox_cache: Option<PathBuf>,
    /// Where credentials may be, in the order in which they are asked.
    pub(crate) credential_files: Vec<PathBuf>,
    /// Where programs are looked for.
    pub(crate) search_path: Vec<PathBuf>,
    /// `SANDBOX_IMAGES_FAILPOINT`: what fails where.
    #[cfg(feature = "failpoints")]
    pub(crate) failpoint: Option<String>,
    /// `SANDBOX_IMAGES_FAILPOINTS_PASSED`: the file that is told how often each failpoint was passed.
    #[cfg(feature = "failpoints")]
    pub(crate) failpoints_passed: Option<PathBuf>,
    /// `SANDBOX_IMAGES_FAILPOINTS_NOW`: what the clock says, in seconds since 1970.
    #[cfg(feature = "failpoints")]
    pub(crate) failpoints_now: Option<String>,
}

impl Environment {
    pub(crate) fn read() -> Self {
        let base = etcetera::choose_base_strategy().ok();
        let home = base.as_ref().map(|base| base.home_dir().to_owned());
        let config = base.as_ref().map(etcetera::BaseStrategy::config_dir);
        Self {
            ci: is_on("CI"),
            no_gc: is_on("SANDBOX_IMAGES_NO_GC"),
            no_color: variable("NO_COLOR").is_some(),
            is_dumb: variable("TERM").is_some_and(|value| value == "dumb"),
            github: variable("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            workspace: variable("GITHUB_WORKSPACE").map(PathBuf::from),
            log: variable("SANDBOX_IMAGES_LOG").map(|value| value.to_string_lossy().into_owned()),
            registry_domain: variable("OCI_REGISTRY_DOMAIN")
                .map(|value| value.to_string_lossy().into_owned()),
            default_config: config.as_ref().map(|config| config.join("sandbox-images/config.toml")),
            default_store: base.map(|base| base.cache_dir().join("sandbox-images")),
            microsandbox_cache: variable("MSB_HOME")
                .map(PathBuf::from)
                .or(home.as_ref().map(|home| home.join(".microsandbox")))
                .map(|microsandbox| microsandbox.join("cache")),
            credential_files: credential_files(home, config),
            search_path: variable("PATH")
                .map(|path| env::split_paths(&path).collect())
                .unwrap_or_default(),
            #[cfg(feature = "failpoints")]
            failpoint: variable("SANDBOX_IMAGES_FAILPOINT")
                .map(|value| value.to_string_lossy().into_owned()),
            #[cfg(feature = "failpoints")]
            failpoints_passed: variable("SANDBOX_IMAGES_FAILPOINTS_PASSED").map(PathBuf::from),
            #[cfg(feature = "failpoints")]
            failpoints_now: variable("SANDBOX_IMAGES_FAILPOINTS_NOW")
                .map(|value| value.to_string_lossy().into_owned()),
        }
    }
}

/// `REGISTRY_AUTH_FILE`, else the containers tools' `auth.json` (containers-auth.json(5)); then Docker's
/// `config.json`.
fn credential_files(home: Option<PathBuf>, config: Option<PathBuf>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        files.push(file.into());
    } else {
        let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let folders = runtime.into_iter().chain(config);
        files.extend(folders.map(|folder| folder.join("containers/auth.json")));
    }
    let docker = variable("DOCKER_CONFIG").map(PathBuf::from);
    files.extend(
        docker.or(home.map(|home| home.join(".docker"))).map(|folder| folder.join("config.json")),
    );
    files
}

/// Whether a variable is set, and not to nothing, `0` or `false`.
fn is_on(name: &str) -> bool {
    variable(name).is_some_and(|value| value != "0" && value != "false")
}

/// The value of a variable that is set, and not to nothing.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
