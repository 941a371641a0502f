//! What `doctor` finds, line by line. Findings about this machine itself are left out: no test knows them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::scene::{finds, finds_with, locked, plain};
use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::project::Project;
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::{Options, TestRegistry};

const LOGIN: Login = Login { user: "ann", password: "hunter2" };

#[test]
fn all_is_well() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let seen = finds(
        &project,
        &["config", "limits", "store", "credentials", "project", "lock", "registry", "image"],
        &["--online"],
    );
    insta::assert_snapshot!(seen, @r###"
    exit 0
    ok       config                 config.toml: there is none; all is as by default
    ok       limits                 limits: entries-max 4000000, layers-max 512, unpacked-bytes-max 32.0 GiB, ratio-max 200, ratio-free-bytes 1.0 GiB, apparent-bytes-max 1.0 TiB, trailer-bytes-max 16.0 MiB, extension-bytes-max 1.0 MiB, pax-records-max 1024, sparse-entries-max 1048576, xattr-name-bytes-max 255 B, xattr-value-bytes-max 64.0 KiB, xattr-inode-bytes-max 128.0 KiB
    ok       store                  DIR/store: does not exist yet and will be made
    ok       credentials            credentials: there are none; public images need none
    ok       project                sandbox-images.toml: names 1 image
    ok       lock                   sandbox-images.lock: is up to date
    ok       registry               127.0.0.1:PORT: answers
    ok       image                  127.0.0.1:PORT/app:1: is 896744671f6b at 127.0.0.1:PORT
    "###);
}

#[test]
fn files_that_others_may_read() {
    let project = project_naming(&[]);
    let config =
        project.write_config("[registries.\"ghcr.io\"]\nusername = \"ann\"\npassword = \"x\"\n");
    let auth = project.directory().join("auth.json");
    fs::write(&auth, r#"{"auths":{"r.example":{"auth":"YW5uOnB3"}},"credsStore":"of-nobody"}"#)
        .unwrap();
    for file in [&config, &auth] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let seen = finds_with(
        &project,
        &["config-open-to-others", "credentials-open-to-others", "helper-missing"],
        &[],
        &[("REGISTRY_AUTH_FILE", "auth.json")],
    );
    insta::assert_snapshot!(seen, @r###"
    exit 0
    warning  config-open-to-others  DIR/home/.config/sandbox-images/config.toml: `DIR/home/.config/sandbox-images/config.toml` holds a secret and is open to other users; run `chmod 600 DIR/home/.config/sandbox-images/config.toml`
    warning  credentials-open-to-others auth.json: holds secrets and is open to other users; run `chmod 600 auth.json`
    warning  helper-missing         docker-credential-of-nobody: is named by `auth.json` and is not on the PATH; install it, or take its name out
    "###);
}

#[test]
fn credentials_of_programs_and_files_that_are_none() {
    let project = project_naming(&[]);
    let folder = project.directory();
    fs::write(folder.join("auth.json"), r#"{"credsStore":"of-ann"}"#).unwrap();
    fs::write(folder.join("docker-credential-of-ann"), "#!/bin/sh\n").unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.join("docker-credential-of-ann"), mode).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let variables = [("REGISTRY_AUTH_FILE", "auth.json"), ("PATH", &path[..])];
    insta::assert_snapshot!(finds_with(&project, &["helper"], &[], &variables), @r###"
    exit 0
    ok       helper                 docker-credential-of-ann: is on the PATH
    "###);
    fs::write(folder.join("auth.json"), "{").unwrap();
    insta::assert_snapshot!(finds_with(&project, &["credentials-unreadable"], &[], &variables), @r###"
    exit 0
    warning  credentials-unreadable auth.json: cannot read `auth.json`: credentials are not the expected JSON at line 1, column 1; until it can be read, its credentials are not used
    "###);
}

#[test]
fn stores_that_cannot_be() {
    let project = project_naming(&[]);
    fs::write(project.store(), "a file").unwrap();
    insta::assert_snapshot!(finds(&project, &["store-not-directory"], &[]), @r###"
    exit 1
    error    store-not-directory    DIR/store: `DIR/store` is not a directory; name another with `--store` or in config.toml
    "###);
}

/// A project with an image of each of these sources.
fn naming(sources: &[String]) -> Project {
    let lines = sources.iter().zip('a'..).map(|(source, name)| format!("{name} = \"{source}\"\n"));
    Project::new(&format!("[images]\n{}", lines.collect::<String>()))
}

#[test]
fn registries_and_mirrors_that_answer_in_other_ways() {
    let denying = TestRegistry::start_with(Options { tls: false, auth: Auth::Basic(LOGIN) });
    let serving = TestRegistry::start();
    serve(&serving, "app", "1", &two_platforms(&[&plain("/a 0644 a")]));
    let busy = TestRegistry::start();
    busy.fault(Fault::on("/v2/", Effect::Answer(429, Vec::new(), Vec::new())));
    let mut stopped = TestRegistry::start();
    stopped.stop();
    let project = naming(&[
        format!("{}/app:1", denying.host()),
        format!("{}/app:2", serving.host()),
        format!("{}/app:1", stopped.host()),
    ]);
    let home = project.directory().with_file_name("home");
    fs::create_dir(home.join(".docker")).unwrap();
    fs::write(home.join(".docker/config.json"), "{\"credsStore\":\"of-nobody\"}").unwrap();
    insta::assert_snapshot!(finds(&project, &["access-denied"], &["--online"]), @r###"
    exit 1
    error    access-denied          127.0.0.1:PORT/app:1: `127.0.0.1:PORT` denies access to `app`: UNAUTHORIZED: show yourself; `sandbox-images inspect auth 127.0.0.1:PORT/app:1` says what is shown; log in with `docker login 127.0.0.1:PORT`, or name a credential in config.toml
    "###);
    insta::assert_snapshot!(finds(&project, &["image-not-found"], &["--online"]), @r###"
    exit 1
    error    image-not-found        127.0.0.1:PORT/app:2: `http://127.0.0.1:PORT/v2/app/manifests/2` answered with 404: MANIFEST_UNKNOWN: manifest unknown; check the repository and the tag
    "###);
    insta::assert_snapshot!(finds(&project, &["out-of-reach"], &["--online"]), @r###"
    exit 1
    error    out-of-reach           127.0.0.1:PORT: cannot get `http://127.0.0.1:PORT/v2/app/manifests/1`: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111); check that it runs, and the proxies and firewalls on the way
    "###);
    let ignored = naming(&[format!("{}/app:1", denying.host())]);
    let variables = [("REGISTRY_AUTH_FILE", "auth.json")];
    fs::write(ignored.directory().join("auth.json"), "{\"credsStore\":\"of-nobody\"}").unwrap();
    let seen = finds_with(&ignored, &["credentials-ignored"], &["--online"], &variables);
    insta::assert_snapshot!(seen, @r###"
    exit 1
    warning  credentials-ignored    127.0.0.1:PORT: cannot run `docker-credential-of-nobody`
    "###);
    let limited = naming(&[format!("{}/app:1", busy.host())]);
    insta::assert_snapshot!(finds(&limited, &["rate-limited"], &["--online"]), @r###"
    exit 0
    warning  rate-limited           127.0.0.1:PORT: `http://127.0.0.1:PORT/v2/app/manifests/1` answered with 429; come back later; who logs in may ask more often
    "###);
}

#[test]
fn a_mirror_that_answers() {
    let (origin, project) = locked(&[&plain("/a 0644 a")]);
    let mirror = TestRegistry::start();
    serve(&mirror, "app", "1", &two_platforms(&[&plain("/a 0644 a")]));
    let table = format!("[registries.\"{}\"]\nmirrors = [\"{}\"]\n", origin.host(), mirror.url());
    project.write_config(&table);
    insta::assert_snapshot!(finds(&project, &["mirror"], &["--online"]), @r###"
    exit 0
    ok       mirror                 http://127.0.0.1:PORT: answers
    "###);
}

#[test]
fn an_answer_that_cannot_be_used() {
    let registry = TestRegistry::start();
    let type_of_a_page = vec![("content-type", "application/json".to_owned())];
    registry.fault(Fault::on("/manifests/", Effect::Answer(200, type_of_a_page, b"{}".to_vec())));
    let project = naming(&[format!("{}/app:1", registry.host())]);
    insta::assert_snapshot!(finds(&project, &["image-unusable"], &["--online"]), @r###"
    exit 1
    error    image-unusable         127.0.0.1:PORT/app:1: cannot use `http://127.0.0.1:PORT/v2/app/manifests/1`: document is neither an image index nor an image manifest
    "###);
}
