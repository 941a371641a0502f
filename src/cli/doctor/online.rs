//! Whether the images of a project can be had: each is asked for by name, of its registry and of each
//! mirror, as `lock` would ask. Nothing is fetched that a HEAD request tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream;
use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::reference::Reference;
use sandbox_images::registry::Registry;
use sandbox_images::registry::endpoint::Mirror;
use sandbox_images::registry::error::{Error, ErrorKind};
use sandbox_images::registry::event::{EventSink, RegistryEvent};
use sandbox_images::registry::settings::{Retry, Settings};
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::words::with_causes;

use crate::cli::doctor::finding::{Finding, Level};
use crate::cli::failure::Failure;
use crate::cli::report::short;
use crate::cli::setup::Setup;

/// Questions at once to one place.
const AT_ONCE: usize = 8;

pub(super) fn examine(setup: &Setup<'_>, set: &ImageSet) -> Result<Vec<Finding>, Failure> {
    let ignored = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&ignored);
    let events = EventSink::new(move |event| {
        if let RegistryEvent::CredentialsIgnored { registry, reason } = event {
            let finding = Finding::warning("credentials-ignored", &registry, reason);
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
        }
    });
    let settings = setup.config.settings(setup.environment, Some(set), events)?;
    // Who asks a doctor wants to know what fails, not what succeeds at the fifth try.
    let settings = Settings { retry: Retry { tries_max: 1, ..settings.retry }, ..settings };
    let mut findings = setup.block_on(async {
        let mut findings = Vec::new();
        for place in places(set, &settings) {
            findings.extend(place.ask(&settings).await);
        }
        Ok(findings)
    })?;
    findings.append(&mut ignored.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(without_repetitions(findings))
}

/// Somebody who should have images.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    registry: String,
    /// The mirror of the registry; the registry itself, if there is none.
    mirror: Option<Mirror>,
    /// Nobody else is asked where it fails.
    is_needed: bool,
    images: Vec<Reference>,
}

/// Everybody who is asked for the images of `set`.
fn places(set: &ImageSet, settings: &Settings) -> Vec<Place> {
    let mut images: BTreeMap<&str, BTreeMap<String, &Reference>> = BTreeMap::new();
    for reference in set.images.values().filter_map(|image| image.source.reference()) {
        images.entry(reference.registry()).or_default().insert(reference.to_string(), reference);
    }
    let mut places = Vec::new();
    for (registry, images) in images {
        let rule = settings.registries.get(registry).cloned().unwrap_or_default();
        let asks_itself = rule.fallback || rule.mirrors.is_empty();
        let mirrors = rule.mirrors.into_iter().map(Some);
        places.extend(mirrors.chain(asks_itself.then_some(None)).map(|mirror| Place {
            registry: registry.to_owned(),
            is_needed: mirror.is_none() || !asks_itself,
            mirror,
            images: images.values().copied().cloned().collect(),
        }));
    }
    places
}

impl Place {
    /// Asks for all images.
    async fn ask(&self, settings: &Settings) -> Vec<Finding> {
        let client = self.client(settings);
        let answers = stream::iter(&self.images).map(|image| {
            let client = &client;
            async move { (image, client.digest(image).await) }
        });
        let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
        let answers_at_all = answers.iter().any(|(_, answer)| !is_out_of_reach(answer));
        let answering = answers_at_all.then(|| Finding::ok(self.code(), &self.name(), "answers"));
        let images = answers.iter().map(|(image, answer)| self.judge(image, answer));
        answering.into_iter().chain(images).collect()
    }

    /// A client that asks this place and nobody else.
    fn client(&self, settings: &Settings) -> Registry {
        let mut settings = settings.clone();
        let rule = settings.registries.entry(self.registry.clone()).or_default();
        rule.mirrors = self.mirror.iter().cloned().collect();
        rule.fallback = self.mirror.is_none();
        Registry::new(settings)
    }

    fn judge(&self, image: &Reference, answer: &Result<Digest, Error>) -> Finding {
        let error = match answer {
            Ok(digest) => {
                let message = format!("is {} at {}", short(*digest), self.name());
                return Finding::ok("image", image, message);
            }
            Err(error) => error,
        };
        let message = with_causes(error);
        let finding = match error.kind() {
            _ if is_out_of_reach(answer) => Finding::error("out-of-reach", &self.name(), message)
                .help(advice(error, self.host())),
            ErrorKind::Denied => Finding::error("access-denied", image, message).help(format!(
                "`sandbox-images inspect auth {image}` says what is shown; log in with \
                     `docker login {}`, or name a credential in config.toml",
                self.host()
            )),
            ErrorKind::NotFound => Finding::error("image-not-found", image, message)
                .help("check the repository and the tag"),
            ErrorKind::RateLimited => Finding::warning("rate-limited", &self.name(), message)
                .help("come back later; who logs in may ask more often"),
            _ => Finding::error("image-unusable", image, message),
        };
        match finding.severity {
            // What a mirror lacks is asked of the next place.
            Level::Error if !self.is_needed => Finding { severity: Level::Warning, ..finding },
            _ => finding,
        }
    }

    const fn code(&self) -> &'static str {
        if self.mirror.is_some() { "mirror" } else { "registry" }
    }

    fn name(&self) -> String {
        match &self.mirror {
            Some(mirror) => mirror.to_string(),
            None => self.registry.clone(),
        }
    }

    fn host(&self) -> &str {
        self.mirror.as_ref().map_or(&self.registry, Mirror::host)
    }
}

/// Whether nobody answered who could have the image: what holds for one image holds for all.
fn is_out_of_reach(answer: &Result<Digest, Error>) -> bool {
    matches!(
        answer.as_ref().err().map(Error::kind),
        Some(
            ErrorKind::Network | ErrorKind::Certificate | ErrorKind::Settings | ErrorKind::Protocol
        )
    )
}

/// What to do about an `error` of `host`.
fn advice(error: &Error, host: &str) -> String {
    if error.kind() == ErrorKind::Certificate {
        return format!("name its authority with `ca` in `[registries.\"{host}\"]` of config.toml");
    }
    if with_causes(error).contains("dns error") {
        return "check the name, and the resolver of this host".to_owned();
    }
    "check that it runs, and the proxies and firewalls on the way".to_owned()
}

/// The findings without those that say of one subject what was said of it.
fn without_repetitions(findings: Vec<Finding>) -> Vec<Finding> {
    let mut said = BTreeSet::new();
    let mut is_new = |finding: &Finding| {
        // What is said of an image names the place.
        let message = if finding.code == "image" { finding.message.clone() } else { String::new() };
        said.insert((finding.code, finding.subject.clone(), message))
    };
    findings.into_iter().filter(|finding| is_new(finding)).collect()
}

#[cfg(test)]
mod tests {
    use sandbox_images::registry::settings::RegistryRule;

    use super::*;

    const SET: &str = "
        images.a = 'r.example/a:1'
        images.b = 'r.example/b:1'
        images.again = 'r.example/a:1'
        images.local = 'oci:here'
        images.other = 'alpine:3'";

    fn mirror(url: &str) -> Mirror {
        Mirror::parse(url).unwrap()
    }

    /// Who is asked for what: place, whether it is needed, number of images.
    fn asked(rule: RegistryRule) -> Vec<(String, bool, usize)> {
        let registries = BTreeMap::from([("r.example".to_owned(), rule)]);
        let settings = Settings { registries, ..Settings::default() };
        let places = places(&ImageSet::parse(SET).unwrap(), &settings);
        let describe = |place: &Place| (place.name(), place.is_needed, place.images.len());
        places.iter().map(describe).collect()
    }

    #[test]
    fn each_registry_is_asked_for_each_of_its_images_once() {
        let hub = ("docker.io".to_owned(), true, 1);
        let own = ("r.example".to_owned(), true, 2);
        assert_eq!(asked(RegistryRule::default()), [hub, own]);
    }

    #[test]
    fn a_mirror_is_needed_where_the_registry_is_not_asked() {
        let mirrors = vec![mirror("https://m.example/hub")];
        let with_fallback = RegistryRule { mirrors: mirrors.clone(), ..RegistryRule::default() };
        let alone = RegistryRule { mirrors, fallback: false, ..RegistryRule::default() };
        let of = |needed| ("https://m.example/hub".to_owned(), needed, 2);
        assert_eq!(asked(with_fallback)[1..], [of(false), ("r.example".to_owned(), true, 2)]);
        assert_eq!(asked(alone)[1..], [of(true)]);
    }

    #[test]
    fn what_fails_at_a_mirror_is_a_warning_where_others_are_asked() {
        let place = |is_needed| Place {
            registry: "r.example".to_owned(),
            mirror: Some(mirror("https://m.example")),
            is_needed,
            images: Vec::new(),
        };
        let image: Reference = "r.example/a:1".parse().unwrap();
        let answer = Err(Error::Host { registry: "m.example".to_owned() });
        assert_eq!(place(true).judge(&image, &answer).severity, Level::Error);
        assert_eq!(place(false).judge(&image, &answer).severity, Level::Warning);
    }

    #[test]
    fn what_is_said_twice_is_said_once() {
        let said = |code, message| Finding::error(code, &"r.example", message);
        let findings = vec![
            said("out-of-reach", "a"),
            said("out-of-reach", "b"),
            said("image", "a"),
            said("image", "b"),
        ];
        assert_eq!(without_repetitions(findings).len(), 3);
    }
}
