//! `inspect auth`: what would be shown to a registry that asks, and who says so. Never the secret.

use std::path::Path;

use sandbox_images::registry::credentials::Credential;
use sandbox_images::registry::credentials::lookup::{Lookup, Origin, look_up};
use sandbox_images::registry::event::EventSink;
use sandbox_images::registry::settings::Settings;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::inspect::parse_reference;
use crate::cli::setup::Setup;

pub(super) fn inspect(setup: &Setup<'_>, text: &str) -> Result<Value, Failure> {
    let reference = parse_reference(text)?;
    let settings = setup.config.settings(setup.environment, None, EventSink::default())?;
    let Settings { registries, credential_files, timeouts, .. } = &settings;
    let rule = registries.get(reference.registry());
    let given = rule.and_then(|rule| rule.credential.as_ref());
    let lookup = setup.block_on(async {
        Ok(look_up(&reference, given, credential_files, timeouts.helper).await)
    })?;
    for problem in &lookup.problems {
        setup.output.note(&format!("warning: {problem}"));
    }
    Ok(shown(&lookup, setup.config.path.as_deref()))
}

/// What of `lookup` may be shown; `config` is the user's configuration.
fn shown(lookup: &Lookup, config: Option<&Path>) -> Value {
    let (kind, username) = match &lookup.credential {
        None => ("anonymous", None),
        Some(Credential::Password { user, .. }) => ("basic", Some(user)),
        Some(Credential::IdentityToken(_)) => ("identity-token", None),
        Some(Credential::RegistryToken(_)) => ("registry-token", None),
    };
    let source = match &lookup.origin {
        Origin::Given => json!({ "config": config }),
        Origin::GivenHelper(name) => json!({ "config": config, "helper": name }),
        Origin::File(path) => json!({ "file": path }),
        Origin::Helper { name, named_by } => json!({ "file": named_by, "helper": name }),
        Origin::Nobody => Value::Null,
    };
    json!({
        "schema": "sandbox-images/inspect-auth/1",
        "source": source,
        "kind": kind,
        "username": username,
        "problems": lookup.problems,
    })
}
