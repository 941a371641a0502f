//! From what `config.toml` says about registries to the rules of a client.

use std::collections::BTreeMap;
use std::path::Path;

use sandbox_images::registry::credentials::{Credential, Given};
use sandbox_images::registry::endpoint::{Mirror, Scheme};
use sandbox_images::registry::settings::RegistryRule;
use sandbox_images::secret::Secret;
use sandbox_images::spec::config::{
    Config, Credential as Configured, Insecure, Placed, Registry, SecretSource,
};
use sandbox_images::spec::diagnostic::{Diagnostic, Source};

use crate::cli::config::files;
use crate::cli::failure::{Failure, Kind};

/// The rules of all registries that `config` names, or what is wrong with the files that it names. Relative
/// paths start at `directory`.
pub(super) fn of(
    config: &Config,
    directory: &Path,
) -> Result<BTreeMap<String, RegistryRule>, Vec<Diagnostic>> {
    let mut reading = Reading { directory, problems: Vec::new() };
    let rules = config
        .registries
        .iter()
        .map(|(name, registry)| (name.clone(), reading.rule(registry)))
        .collect();
    if reading.problems.is_empty() { Ok(rules) } else { Err(reading.problems) }
}

/// Adds the mirrors that a project names for registries for which `config` names none.
pub(super) fn add_mirrors<'m>(
    rules: &mut BTreeMap<String, RegistryRule>,
    config: &Config,
    mirrors: impl IntoIterator<Item = (&'m String, &'m Vec<String>)>,
) -> Result<(), Failure> {
    for (registry, urls) in mirrors {
        if config.registries.get(registry).is_some_and(|named| named.mirrors.is_some()) {
            continue;
        }
        let parse = |url: &String| {
            Mirror::parse(url).map_err(|error| {
                let message = format!("`{url}` is not the URL of a mirror: {error}");
                Failure::new(Kind::Usage, "invalid-value", message)
            })
        };
        rules.entry(registry.clone()).or_default().mirrors =
            urls.iter().map(parse).collect::<Result<_, _>>()?;
    }
    Ok(())
}

/// The files that a configuration names, being read.
struct Reading<'a> {
    directory: &'a Path,
    problems: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn rule(&mut self, registry: &Registry) -> RegistryRule {
        let has_certificates = registry.ca.is_some() || registry.client.is_some();
        let scheme = match registry.insecure {
            Some(Insecure::Http) => Some(Scheme::Http),
            Some(Insecure::SkipVerify) => Some(Scheme::Https),
            None => has_certificates.then_some(Scheme::Https),
        };
        let ca = registry.ca.as_ref().and_then(|ca| self.file(ca, files::certificates));
        RegistryRule {
            scheme,
            ca_pem: ca.map(String::into_bytes),
            any_certificate: registry.insecure == Some(Insecure::SkipVerify),
            identity_pem: self.identity(registry),
            credential: self.given(registry.credential.as_ref()),
            mirrors: registry.mirrors.iter().flatten().filter_map(|url| self.mirror(url)).collect(),
            fallback: registry.fallback,
        }
    }

    fn identity(&mut self, registry: &Registry) -> Option<Secret> {
        let client = registry.client.as_ref()?;
        let key = client.key.as_ref().map(|key| self.directory.join(&key.value));
        self.file(&client.certificate, |path| files::identity(path, key.as_deref()))
    }

    fn given(&mut self, credential: Option<&Configured>) -> Option<Given> {
        Some(match credential? {
            Configured::Anonymous => Given::Nothing,
            Configured::Helper(name) => Given::Helper(name.clone()),
            Configured::Password { username, password } => {
                let (user, password) = (username.clone(), self.secret(password)?);
                Given::Credential(Credential::Password { user, password })
            }
            Configured::IdentityToken(token) => {
                Given::Credential(Credential::IdentityToken(self.secret(token)?))
            }
        })
    }

    fn secret(&mut self, source: &SecretSource) -> Option<Secret> {
        match source {
            SecretSource::Text(text) => Some(text.value.clone()),
            SecretSource::File(path) => self.file(path, files::secret),
        }
    }

    fn mirror(&mut self, url: &Placed<String>) -> Option<Mirror> {
        let mirror = Mirror::parse(&url.value);
        mirror.map_err(|error| self.problem("invalid-value", url, error.to_string())).ok()
    }

    /// What `read` makes of the file that is named at a place.
    fn file<T>(
        &mut self,
        named: &Placed<String>,
        read: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Option<T> {
        let content = read(&self.directory.join(&named.value));
        content.map_err(|why| self.problem("config-file", named, why)).ok()
    }

    fn problem(&mut self, code: &'static str, place: &Placed<String>, message: String) {
        let span = place.span.clone();
        self.problems.push(Diagnostic::error(code, Source::Config, message).at(span));
    }
}
