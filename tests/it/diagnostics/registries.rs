//! Registries that refuse, fail, lie or are not there, and what is said of mirrors and credentials.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::scene::{plain, shown, shows, shows_with, warns};
use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::project::{Project, Ran};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::{Options, TestRegistry};

const LOGIN: Login = Login { user: "ann", password: "hunter2" };

/// A project whose image a registry of this kind has, asked only once for each thing.
fn of(options: Options) -> (TestRegistry, Project) {
    let registry = TestRegistry::start_with(options);
    serve(&registry, "app", "1", &two_platforms(&[&plain("/a 0644 a")]));
    let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    project.write_config("[network]\ntries = 1\n");
    (registry, project)
}

/// As [`of`], where every request for the image's documents gets this answer.
fn answering(
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: &str,
) -> (TestRegistry, Project) {
    let (registry, project) = of(Options::default());
    let answer = Effect::Answer(status, headers, body.as_bytes().to_vec());
    registry.fault(Fault::on("/manifests/", answer));
    (registry, project)
}

#[test]
fn nobody_is_there() {
    let (mut registry, project) = of(Options::default());
    registry.stop();
    insta::assert_snapshot!(shows(&project, &["network"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[network]: app: cannot get `http://127.0.0.1:PORT/v2/app/manifests/1`: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
    "###);
}

#[test]
fn a_login_is_wanted() {
    let (_registry, project) = of(Options { tls: false, auth: Auth::Basic(LOGIN) });
    insta::assert_snapshot!(shows(&project, &["denied"], &["lock"]), @r###"
    exit 6
    --- stdout
    --- stderr
    error[denied]: app: `127.0.0.1:PORT` denies access to `app`: UNAUTHORIZED: show yourself
    help: log in with `docker login`, or check the name
    "###);
}

#[test]
fn there_is_no_such_tag() {
    let registry = TestRegistry::start();
    let project = project_naming(&[("app", &format!("{}/app:2", registry.host()))]);
    insta::assert_snapshot!(shows(&project, &["not-found"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[not-found]: app: `http://127.0.0.1:PORT/v2/app/manifests/2` answered with 404: MANIFEST_UNKNOWN: manifest unknown
    "###);
}

#[test]
fn there_were_too_many_requests() {
    let wait = vec![("retry-after", "3600".to_owned())];
    let (_registry, project) = answering(429, wait, "{}");
    insta::assert_snapshot!(shows(&project, &["rate-limited"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[rate-limited]: app: `http://127.0.0.1:PORT/v2/app/manifests/1` answered with 429
    help: come back later, log in, or name a mirror
    "###);
}

#[test]
fn a_registry_sends_everybody_round_in_circles() {
    let (registry, project) = of(Options::default());
    let itself = format!("{}/v2/app/manifests/1", registry.url());
    registry.fault(Fault::on("/manifests/", Effect::RedirectExactly(itself)));
    insta::assert_snapshot!(shows(&project, &["registry-protocol"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[registry-protocol]: app: redirect by `http://127.0.0.1:PORT/v2/app/manifests/1` is not followed: there were too many before it
    "###);
}

#[test]
fn nobody_vouches_for_the_certificate() {
    let (registry, project) = of(Options { tls: true, auth: Auth::None });
    let other = TestRegistry::start_with(Options { tls: true, auth: Auth::None });
    let config = format!(
        "[network]\ntries = 1\n\n[registries.\"{}\"]\nca = \"corp.pem\"\n",
        registry.host()
    );
    let config = project.write_config(&config);
    fs::write(config.with_file_name("corp.pem"), other.ca_pem()).unwrap();
    insta::assert_snapshot!(shows(&project, &["tls-certificate"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tls-certificate]: app: `https://127.0.0.1:PORT/v2/app/manifests/1` shows a certificate that is not trusted: error sending request: client error (Connect): invalid peer certificate: BadSignature
    help: name its authority as `ca` of the registry in `config.toml`, or by `SSL_CERT_FILE`
    "###);
}

#[test]
fn a_machine_without_authorities() {
    let project = project_naming(&[("app", "registry.invalid/app:1")]);
    project.write_config("[network]\ntries = 1\n");
    let variables = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/var/empty")];
    insta::assert_snapshot!(shows_with(&project, &["tls-setup"], &["lock"], &variables), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tls-setup]: app: cannot prepare connections to `registry.invalid`: builder error: unexpected error: No CA certificates were loaded from the system
    "###);
}

#[test]
fn a_mirror_is_passed_over() {
    let (registry, project) = registry_and_project(&two_platforms(&[&plain("/a 0644 a")]));
    let mut mirror = TestRegistry::start();
    mirror.stop();
    project.write_config(&format!(
        "[network]\ntries = 1\n\n[registries.\"{}\"]\nmirrors = [\"{}\"]\n",
        registry.host(),
        mirror.url()
    ));
    // One for each request; how many there are is not what this is about.
    let seen = warns(&project, &["mirror-failed"], &["lock"]);
    let first = seen.lines().find(|line| line.contains("Warning")).unwrap();
    insta::assert_snapshot!(first.trim_start(), @"Warning mirror `127.0.0.1:PORT` of `127.0.0.1:PORT` is passed over: cannot get `http://127.0.0.1:PORT/v2/app/manifests/1?…`: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)");
}

#[test]
fn a_secret_in_a_file_that_others_may_read() {
    let (registry, project) = registry_and_project(&two_platforms(&[&plain("/a 0644 a")]));
    let table =
        format!("[registries.\"{}\"]\nusername = \"ann\"\npassword = \"x\"\n", registry.host());
    let config = project.write_config(&table);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!(warns(&project, &["config-open-to-others"], &["lock"]), @r"
    exit 0
    --- stdout
    --- stderr
       Warning `DIR/home/.config/sandbox-images/config.toml` holds a secret and is open to other users; run `chmod 600 DIR/home/.config/sandbox-images/config.toml`
      Resolved app 896744671f6b (linux/amd64, linux/arm64)
        Locked 1 image, 1 of them resolved now
    ");
}

#[test]
fn credentials_that_cannot_be_had() {
    let (_registry, project) = of(Options { tls: false, auth: Auth::Basic(LOGIN) });
    let home = project.directory().with_file_name("home");
    fs::create_dir(home.join(".docker")).unwrap();
    fs::write(home.join(".docker/config.json"), "{\"credsStore\":\"of-nobody\"}").unwrap();
    let events = project.run(&["lock", "--progress", "json"]).exits(6).stderr;
    assert!(events.contains("\"code\":\"credentials-ignored\""), "{events}");
    let people: Ran = project.run(&["lock"]);
    insta::assert_snapshot!(shown(&project, &people), @r###"
    exit 6
    --- stdout
    --- stderr
       Warning credentials for `127.0.0.1:PORT` are not used: cannot run `docker-credential-of-nobody`
    error[denied]: app: `127.0.0.1:PORT` denies access to `app`: UNAUTHORIZED: show yourself
    help: log in with `docker login`, or check the name
    "###);
}
