//! `pull`: one image without a project, or the images of a group.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use sandbox_images::engine::layers_dir::{HandedOut, LayersFormat};
use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::oci::document::config::ImageConfig;
use sandbox_images::oci::platform::Platform;
use sandbox_images::oci::reference::{DOCKER_HUB, check_registry};
use sandbox_images::project::Session;
use sandbox_images::project::pull::{PullPolicy, PullRequest, Pulled, PulledLayer, pull};
use sandbox_images::project::sync::Synced;
use sandbox_images::spec::source::ImageSource;
use sandbox_images::store::Store;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::pulling::{LayersForm, Policy, Pull};
use crate::cli::failure::{Failure, Kind};
use crate::cli::incomplete::failure_of;
use crate::cli::output::{self, Tone};
use crate::cli::setup::{Setup, inputs, platform};

/// A name that Docker Hub's images have in some programs.
const SANDBOXES: &str = "sandboxes.io";

/// What `pull --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    images: Vec<Image<'a>>,
}

/// An image that is in the store.
#[derive(Debug, Serialize)]
struct Image<'a> {
    #[serde(rename = "image")]
    name: &'a str,
    /// Canonically.
    source: String,
    platform: &'a Platform,
    /// What the source names: an index or a manifest.
    digest: Digest,
    manifest: Digest,
    /// Whether all of it was there before.
    cached: bool,
    disk: &'a PathBuf,
    fsmeta: &'a PathBuf,
    /// Bottom to top.
    layers: Vec<Layer<'a>>,
    config: Config<'a>,
}

/// A layer of an image.
#[derive(Debug, Serialize)]
struct Layer<'a> {
    diff_id: DiffId,
    digest: Digest,
    path: &'a PathBuf,
    /// Where `--layers-dir` put it.
    handed_out: Option<&'a PathBuf>,
}

/// How an image is started.
#[derive(Debug, Serialize)]
struct Config<'a> {
    env: &'a [String],
    cmd: &'a [String],
    entrypoint: &'a [String],
    workdir: &'a str,
    user: &'a str,
    ports: &'a [String],
    volumes: &'a [String],
    labels: &'a BTreeMap<String, String>,
    stop_signal: Option<&'a str>,
}

pub(crate) fn run(setup: &Setup<'_>, args: &Pull) -> Done {
    let store = setup.store()?;
    let platform = platform(Some(&args.platform))?;
    setup.block_on(async {
        let (session, pulled) = match &args.group {
            Some(group) => group_of(setup, args, group, &platform).await?,
            None => one(setup, args, &store, platform).await?,
        };
        let mut handed_out = Vec::new();
        for image in &pulled {
            let cached = if image.cached { "was there" } else { "is there now" };
            let text = format!("{} for {}, which {cached}", image.source, image.platform);
            setup.output.say(Tone::Done, "Pulled", &text);
            handed_out.push(hand_out(image, args, &store, &session).await?);
        }
        print(setup, &pulled, &handed_out);
        Ok(())
    })
}

async fn one(
    setup: &Setup<'_>,
    args: &Pull,
    store: &Store,
    platform: Platform,
) -> Result<(Session, Vec<Pulled>), Failure> {
    let source = source(setup, args.reference.as_deref().unwrap_or_default())?;
    let request = PullRequest { source, platform, policy: policy(args.policy) };
    let session = setup.session(!args.offline, None, None)?;
    let pulled = pull(store, &request, &session).await;
    let pulled = pulled.map_err(|error| failure(error.synced()))?;
    Ok((session, vec![pulled]))
}

async fn group_of(
    setup: &Setup<'_>,
    args: &Pull,
    group: &str,
    platform: &Platform,
) -> Result<(Session, Vec<Pulled>), Failure> {
    let group = group.parse().map_err(|error| Failure::of(Kind::Usage, "name", &error))?;
    let project = setup.project()?;
    let (inputs, _) = inputs(&project)?;
    let session = setup.session(!args.offline, None, Some(&inputs.image_set))?;
    let pulled = project.pull_group(&inputs, &group, platform, policy(args.policy), &session).await;
    let pulled = pulled.map_err(|error| Failure::of(Kind::Usage, "selection", &error))?;
    let pulled = pulled.map_err(|error| failure(error.synced()))?;
    Ok((session, pulled))
}

const fn policy(policy: Policy) -> PullPolicy {
    match policy {
        Policy::IfMissing => PullPolicy::IfMissing,
        Policy::Always => PullPolicy::Always,
        Policy::Never => PullPolicy::Never,
    }
}

fn failure(synced: &Synced) -> Failure {
    let failure = failure_of(synced);
    let failure = failure.unwrap_or_else(|| Failure::new(Kind::Failed, "aborted", "not pulled"));
    if synced.out_of_reach.is_empty() {
        return failure;
    }
    failure.help("run `sandbox-images pull` again with a network")
}

/// The source that `text` names. A short name is of the registry that the environment names.
fn source(setup: &Setup<'_>, text: &str) -> Result<ImageSource, Failure> {
    let domain = setup.environment.registry_domain.as_deref().unwrap_or(DOCKER_HUB);
    check_registry(domain).map_err(|error| {
        Failure::of(Kind::Usage, "invalid-reference", &error).help(
            "`OCI_REGISTRY_DOMAIN` names the registry of short names: a host, perhaps with a port",
        )
    })?;
    let wrong = |error| Failure::of(Kind::Usage, "invalid-reference", &error);
    let named = ImageSource::parse(text, domain).map_err(wrong)?;
    if named.reference().is_none_or(|reference| reference.registry() != SANDBOXES) {
        return Ok(named);
    }
    setup.output.note(&format!("images of `{SANDBOXES}` are served from `{DOCKER_HUB}`"));
    let prefix = format!("{SANDBOXES}/");
    ImageSource::parse(text.strip_prefix(&prefix).unwrap_or(text), DOCKER_HUB).map_err(wrong)
}

/// Puts the layers of `image` where the command line asks for them.
async fn hand_out(
    image: &Pulled,
    args: &Pull,
    store: &Store,
    session: &Session,
) -> Result<Vec<HandedOut>, Failure> {
    let Some(directory) = &args.layers_dir else {
        return Ok(Vec::new());
    };
    let format = match args.layers_format {
        LayersForm::Erofs => LayersFormat::Erofs,
        LayersForm::Dir => LayersFormat::Dir,
    };
    let directory = Store::absolute(directory).map_err(|error| Failure::store(&error))?;
    let handed_out = image.hand_out(store, &directory, format, session).await;
    handed_out.map_err(|error| Failure::engine(image.name.as_str(), &error))
}

fn print(setup: &Setup<'_>, pulled: &[Pulled], handed_out: &[Vec<HandedOut>]) {
    if setup.output.json {
        let images =
            pulled.iter().zip(handed_out).map(|(pulled, layers)| described(pulled, layers));
        output::json(&Report { schema: "sandbox-images/pull/1", images: images.collect() });
        return;
    }
    for image in pulled {
        output::data([image.disk.as_os_str().as_bytes(), b"\n"].concat());
    }
}

fn described<'a>(pulled: &'a Pulled, handed_out: &'a [HandedOut]) -> Image<'a> {
    let layer = |(place, layer): (usize, &'a PulledLayer)| Layer {
        diff_id: layer.diff_id,
        digest: layer.digest,
        path: &layer.path,
        handed_out: handed_out.get(place).map(|layer| &layer.path),
    };
    Image {
        name: pulled.name.as_str(),
        source: pulled.source.to_string(),
        platform: &pulled.platform,
        digest: pulled.digest,
        manifest: pulled.manifest,
        cached: pulled.cached,
        disk: &pulled.disk,
        fsmeta: &pulled.fsmeta,
        layers: pulled.layers.iter().enumerate().map(layer).collect(),
        config: config(&pulled.config),
    }
}

fn config(config: &ImageConfig) -> Config<'_> {
    Config {
        env: &config.env,
        cmd: &config.cmd,
        entrypoint: &config.entrypoint,
        workdir: &config.working_dir,
        user: &config.user,
        ports: &config.exposed_ports,
        volumes: &config.volumes,
        labels: &config.labels,
        stop_signal: config.stop_signal.as_deref(),
    }
}
