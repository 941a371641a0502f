//! Secrets that the program is told or shown: none of them is in what it prints, in the store or in the lock.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::{Project, Ran};
use crate::support::pull::sent_to;
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::tunnel::Tunnel;
use crate::support::registry::{Options, Place, TestRegistry};

const PASSWORD: &str = "secret-password";
const TOKEN: &str = "secret-token";
const PROXY_PASSWORD: &str = "secret-of-the-proxy";
const PRESIGNED: &str = "X-Amz-Signature=secret-signature";

/// What may be nowhere; in base64 neither.
const SECRETS: [&str; 4] = [PASSWORD, TOKEN, PROXY_PASSWORD, "secret-signature"];

fn image() -> Image {
    two_platforms(&[&Layer::new("/etc/motd 0644 hello\n/lib 0644 random=100000")])
}

fn registry_with(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::start_with(Options { tls: false, auth });
    serve(&registry, "app", "1", &image());
    registry
}

fn project_of(registry: &TestRegistry) -> Project {
    project_naming(&[("app", &format!("{}/app:1", registry.host()))])
}

/// Keeps `docker` as the user's `config.json` of Docker's.
fn log_in(project: &Project, docker: &str) {
    let folder = project.directory().join("../home/.docker");
    fs::create_dir_all(&folder).expect("a directory is made");
    fs::write(folder.join("config.json"), docker).expect("a file is written");
}

/// Fails where a secret is in `bytes`.
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in SECRETS {
        let encoded = STANDARD.encode(format!("ann:{secret}"));
        assert!(!text.contains(secret), "`{secret}` is in {what}:\n{text}");
        assert!(!text.contains(&encoded), "`{secret}` is in {what}, in base64:\n{text}");
    }
}

fn assert_files_are_clean(folder: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            files += assert_files_are_clean(&path);
        } else {
            assert_clean(
                &path.display().to_string(),
                &fs::read(&path).expect("a file can be read"),
            );
            files += 1;
        }
    }
    files
}

/// Runs all that talks to registries, in each form of output, and looks at everything that is left.
fn assert_keeps_secrets(project: &Project, exits: i32, prepare: impl Fn(&mut Command)) {
    for (number, form) in [
        &["--progress", "json"][..],
        &["--progress", "plain", "--color", "always", "-vv"],
        &["--json"],
        &["--json", "--progress", "json", "-vv"],
    ]
    .into_iter()
    .enumerate()
    {
        // Without a lock, everything is resolved again.
        fs::remove_file(project.lock_path()).ok();
        let commands: &[&str] = if exits == 0 { &["lock", "sync", "verify"] } else { &["lock"] };
        for word in commands {
            let mut command = project.command(&[&[*word], form].concat());
            prepare(&mut command);
            command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
            command.env("SANDBOX_IMAGES_LOG", "trace").env("GITHUB_ACTIONS", "true");
            let ran = Ran::of(&mut command);
            assert!(ran.stderr.contains("debug") || *word == "verify", "{}", ran.stderr);
            assert_clean(&format!("`{word}` {form:?}, output"), ran.stdout.as_bytes());
            assert_clean(&format!("`{word}` {form:?}, messages"), ran.stderr.as_bytes());
            ran.exits(exits);
        }
        if number == 0 && exits == 0 {
            assert!(assert_files_are_clean(&project.store()) > 5);
            fs::remove_dir_all(project.store()).expect("the store is removed");
        }
    }
    if exits == 0 {
        assert!(assert_files_are_clean(&project.store()) > 5);
        assert_clean("the lock", project.lock_text().as_bytes());
    }
}

#[test]
fn a_password() {
    let registry = registry_with(Auth::Basic(Login { user: "ann", password: PASSWORD }));
    let project = project_of(&registry);
    let entry = STANDARD.encode(format!("ann:{PASSWORD}"));
    log_in(&project, &format!(r#"{{"auths":{{"{}":{{"auth":"{entry}"}}}}}}"#, registry.host()));
    assert_keeps_secrets(&project, 0, |_| ());
    assert!(sent_to(&registry, &[PASSWORD])[PASSWORD] > 0, "it was shown where it belongs");
}

#[test]
fn a_password_that_is_refused() {
    let registry = registry_with(Auth::Basic(Login { user: "ann", password: "another" }));
    let project = project_of(&registry);
    let entry = STANDARD.encode(format!("ann:{PASSWORD}"));
    log_in(&project, &format!(r#"{{"auths":{{"{}":{{"auth":"{entry}"}}}}}}"#, registry.host()));
    assert_keeps_secrets(&project, 6, |_| ());
}

#[test]
fn an_identity_token_and_the_token_that_it_buys() {
    let registry = registry_with(Auth::Bearer(Some(Login { user: "ann", password: PASSWORD })));
    let given = format!(r#"{{"token":"{TOKEN}"}}"#).into_bytes();
    registry.fault(Fault::on("/token", Effect::Answer(200, Vec::new(), given)));
    registry.accept_token(TOKEN, "repository:app:pull");
    let project = project_of(&registry);
    let entry = format!(r#"{{"identitytoken":"{PASSWORD}"}}"#);
    log_in(&project, &format!(r#"{{"auths":{{"{}":{entry}}}}}"#, registry.host()));
    assert_keeps_secrets(&project, 0, |_| ());
    let sent = sent_to(&registry, &[PASSWORD, TOKEN]);
    assert!(sent.values().all(|times| *times > 0), "{sent:?}");
}

#[test]
fn what_a_helper_says() {
    let registry = registry_with(Auth::Basic(Login { user: "ann", password: PASSWORD }));
    let project = project_of(&registry);
    let helper = project.directory().join("docker-credential-test");
    let says = format!("#!/bin/sh\necho '{{\"Username\":\"ann\",\"Secret\":\"{PASSWORD}\"}}'\n");
    fs::write(&helper, says).expect("a script is written");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a mode");
    log_in(&project, r#"{"credsStore":"test"}"#);
    let path = format!("{}:/usr/bin:/bin", project.directory().display());
    assert_keeps_secrets(&project, 0, |command| {
        command.env("PATH", &path);
    });
    assert!(sent_to(&registry, &[PASSWORD])[PASSWORD] > 0, "it was shown where it belongs");
}

#[test]
fn what_a_broken_helper_says() {
    let registry = registry_with(Auth::Basic(Login { user: "ann", password: PASSWORD }));
    let project = project_of(&registry);
    let helper = project.directory().join("docker-credential-test");
    fs::write(&helper, format!("#!/bin/sh\necho {PASSWORD}; echo {PASSWORD} >&2\n")).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a mode");
    log_in(&project, r#"{"credsStore":"test"}"#);
    let path = format!("{}:/usr/bin:/bin", project.directory().display());
    assert_keeps_secrets(&project, 6, |command| {
        command.env("PATH", &path);
    });
}

#[test]
fn a_file_of_credentials_that_is_broken() {
    let registry = registry_with(Auth::Basic(Login { user: "ann", password: PASSWORD }));
    let project = project_of(&registry);
    log_in(&project, &format!(r#"{{"auths":{{"{}":"{PASSWORD}"}}}}"#, registry.host()));
    assert_keeps_secrets(&project, 6, |_| ());
}

#[test]
fn a_presigned_url() {
    let (registry, storage) = (registry_with(Auth::None), registry_with(Auth::None));
    let image = image();
    let layer = image.platforms["linux/amd64"].manifest.digest.clone();
    for digest in image.blobs.keys().filter(|digest| **digest != layer) {
        let url = format!("{}/v2/app/blobs/{digest}?{PRESIGNED}", storage.url());
        registry.fault(Fault::on(&format!("/blobs/{digest}"), Effect::RedirectExactly(url)));
    }
    let project = project_of(&registry);
    assert_keeps_secrets(&project, 0, |_| ());
    assert!(!storage.requests_to(PRESIGNED).is_empty(), "the storage was asked");
}

#[test]
fn a_presigned_url_that_leads_to_nothing() {
    let (registry, storage) = (registry_with(Auth::None), TestRegistry::start());
    for digest in image().blobs.keys() {
        let url = format!("{}/v2/app/blobs/{digest}?{PRESIGNED}", storage.url());
        registry.fault(Fault::on(&format!("/blobs/{digest}"), Effect::RedirectExactly(url)));
    }
    let project = project_of(&registry);
    assert_keeps_secrets(&project, 1, |_| ());
    assert!(!storage.requests_to(PRESIGNED).is_empty(), "the storage was asked");
}

#[test]
fn a_proxys_password() {
    let place = Place { names: vec!["r.example".to_owned()], ..Place::default() };
    let registry = TestRegistry::start_at(Options { tls: true, auth: Auth::None }, &place);
    serve(&registry, "app", "1", &image());
    let tunnel = Tunnel::to(registry.host());
    let project = project_naming(&[("app", "r.example/app:1")]);
    fs::write(project.directory().join("ca.pem"), registry.ca_pem()).expect("a file is written");
    let ca = project.directory().join("ca.pem");
    project.write_config(&format!("[registries.\"r.example\"]\nca = '{}'\n", ca.display()));
    let proxy = format!("http://ann:{PROXY_PASSWORD}@{}", tunnel.host());
    assert_keeps_secrets(&project, 0, |command| {
        command.env("HTTPS_PROXY", &proxy);
    });
    let heads = tunnel.heads();
    let shown = STANDARD.encode(format!("ann:{PROXY_PASSWORD}"));
    assert!(!heads.is_empty() && heads.iter().all(|head| head.contains(&shown)), "{heads:?}");
    assert_eq!(sent_to(&registry, &[PROXY_PASSWORD])[PROXY_PASSWORD], 0);
}
