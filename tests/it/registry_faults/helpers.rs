//! Credential helpers that hang, crash and speak garbage, found by the `PATH` of a process of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox_images::registry::Registry;
use sandbox_images::registry::event::{EventSink, RegistryEvent};
use tokio::runtime::Runtime;

use crate::support::alone::with_environment;
use crate::support::pull::{Failure, pull, put_image};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::{Options, TestRegistry};

const LOGIN: Login = Login { user: "ann", password: "secret-of-a-helper" };

/// A helper's name, its script, and what is told of it: nothing, or the end of the sentence.
const HELPERS: &[(&str, &str, Option<&str>)] = &[
    (
        "good",
        "cat >/dev/null; echo '{\"Username\":\"ann\",\"Secret\":\"secret-of-a-helper\"}'",
        None,
    ),
    ("deaf", "echo '{\"Username\":\"ann\",\"Secret\":\"secret-of-a-helper\"}'", None),
    ("empty-handed", "echo 'credentials not found in native keychain'; exit 1", None),
    ("blank", "echo '{\"Username\":\"\",\"Secret\":\"\"}'", None),
    ("hanging", "echo '{\"Username\":\"ann\",'; exec sleep 600", Some("did not answer within")),
    ("leaving-a-child", "sleep 600 & sleep 600", Some("did not answer within")),
    ("crashing", "echo secret-of-a-helper; kill -9 $$", Some("failed")),
    ("failing", "echo secret-of-a-helper; exit 3", Some("failed")),
    ("silent", "exit 0", Some("not understood")),
    ("chatty", "echo secret-of-a-helper", Some("not understood")),
    ("half", "echo '{\"Username\":\"ann\"}'", Some("not understood")),
    ("typed", "echo '{\"Username\":1,\"Secret\":\"secret-of-a-helper\"}'", Some("not understood")),
    ("endless", "exec yes secret-of-a-helper", Some("failed")),
];

/// How a pull with this helper ends, and what is told of it.
async fn outcome(auth: Auth, helper: &str) -> (Option<String>, Vec<String>) {
    let registry = TestRegistry::start_with(Options { tls: false, auth });
    put_image(&registry);
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("config.json");
    fs::write(&path, format!(r#"{{"credsStore":"{helper}"}}"#)).expect("a file");
    let mut settings = super::scene::plain(&registry);
    settings.credential_files = vec![path];
    settings.timeouts.helper = Duration::from_millis(300);
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    settings.events = EventSink::new(move |event| {
        if let RegistryEvent::CredentialsIgnored { reason, .. } = event {
            listener.lock().expect("no panic").push(reason);
        }
    });
    let reference = format!("{}/acme/tool:1", registry.host()).parse().expect("a reference");
    let pulled = pull(&Registry::new(settings), &reference).await;
    let text = pulled.as_ref().err().map(Failure::text).unwrap_or_default();
    let told = told.lock().expect("no panic").clone();
    assert!(!format!("{text} {told:?}").contains(LOGIN.password), "{helper}: {text} {told:?}");
    (pulled.err().map(|failure| failure.name()), told)
}

#[test]
fn a_broken_helper_is_a_warning_and_a_public_image_comes() {
    let files = tempfile::tempdir().expect("a directory");
    for (name, script, _) in HELPERS {
        let path = files.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let path = format!("{}:/usr/bin:/bin", files.path().display());

    with_environment(&[("PATH", &path)], || {
        let runtime = Runtime::new().expect("a runtime");
        for &(name, _, told) in HELPERS {
            let knows = matches!(name, "good" | "deaf");
            let (ends, warnings) = runtime.block_on(outcome(Auth::Bearer(None), name));
            assert_eq!(ends, None, "{name}: a public image");
            assert_eq!(warnings.len(), usize::from(told.is_some()), "{name}: {warnings:?}");
            let says = |text: &str| warnings.iter().any(|warning| warning.contains(text));
            assert!(told.is_none_or(says), "{name}: {warnings:?}");

            let private = Auth::Bearer(Some(LOGIN));
            let (ends, _) = runtime.block_on(outcome(private, name));
            let expected = (!knows).then(|| "Denied".to_owned());
            assert_eq!(ends, expected, "{name}: a private image");
        }
    });
}
