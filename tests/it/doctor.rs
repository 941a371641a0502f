//! `doctor`: every finding has a code, a subject and, where something is wrong, the fix.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::{Options, TestRegistry};

const LOGIN: Login = Login { user: "ann", password: "hunter2" };

/// `severity code subject` of all findings but those about this machine, which no test knows.
fn findings(ran: &Ran) -> Vec<String> {
    let value: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(value["schema"], "sandbox-images/doctor/1");
    let findings = value["findings"].as_array().expect("an array").iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    let line = |finding: &Value| {
        assert!(finding["help"].is_string() || finding["help"].is_null());
        let subject = text(finding, "subject");
        let name = subject.rsplit('/').next().unwrap_or_default();
        format!("{} {} {name}", text(finding, "severity"), text(finding, "code"))
    };
    let machine = ["program", "kernel", "kernel-too-old", "kernel-without-erofs", "store-space"];
    findings
        .filter(|finding| !machine.contains(&text(finding, "code").as_str()))
        .map(line)
        .collect()
}

fn doctor(project: &Project, arguments: &[&str], code: i32) -> Vec<String> {
    let words = [&["doctor", "--json"], arguments].concat();
    findings(&project.run(&words).exits(code))
}

#[test]
fn a_sound_project_has_nothing_but_good_findings() {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    registry.clear_requests();
    let expected = [
        "ok config config.toml",
        "ok limits limits",
        "ok store store",
        "ok credentials credentials",
        "ok project sandbox-images.toml",
        "ok lock sandbox-images.lock",
    ];
    assert_eq!(doctor(&project, &[], 0), expected);
    assert!(registry.requests().is_empty(), "without `--online` nobody is asked");

    let online = doctor(&project, &["--online"], 0);
    assert_eq!(online[..6], expected);
    assert_eq!(
        online[6..],
        [format!("ok registry {}", registry.host()), "ok image app:1".to_owned()]
    );
    assert!(registry.requests_to("/blobs/").is_empty(), "no content is fetched");
}

#[test]
fn people_get_a_line_a_finding_with_the_fix() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let ran = project.run(&["doctor"]).exits(0);
    assert_eq!(ran.stderr, "");
    let stale = ran.stdout.lines().find(|line| line.contains("missing-lock")).expect("a finding");
    assert!(stale.starts_with("warning  missing-lock"), "{stale}");
    assert!(stale.ends_with("does not exist; run `sandbox-images lock` and commit the result"));
    assert!(ran.stdout.contains("entries-max 4000000, layers-max 512"), "{}", ran.stdout);
}

#[test]
fn a_wrong_configuration_is_a_finding_and_the_rest_is_still_examined() {
    let project = project_naming(&[]);
    project.write_config("jobs = 0\n\n[limits]\nlayer-max = 3\n");
    assert_eq!(
        doctor(&project, &[], 1),
        [
            "error invalid-value config.toml:1",
            "error unknown-key config.toml:4",
            "ok store store",
            "ok credentials credentials",
            "ok project sandbox-images.toml",
            "warning missing-lock sandbox-images.lock",
        ]
    );
    project.write_config("[registries.'r.example']\nca = 'missing.pem'\n");
    let found = doctor(&project, &["--online"], 1);
    assert!(found.contains(&"error config-file config.toml:2".to_owned()), "{found:?}");
}

#[test]
fn a_wrong_project_is_told_line_by_line() {
    let project = Project::new("manifest-version = 1\nimages.a = 'a:b:c'\nimages.B = 'b'\n");
    let found = doctor(&project, &[], 1);
    let expected = [
        "error invalid-reference sandbox-images.toml:2",
        "error invalid-value sandbox-images.toml:3",
    ];
    assert_eq!(found[4..], expected);
    fs::remove_file(project.directory().join("sandbox-images.toml")).expect("it is removed");
    assert_eq!(doctor(&project, &[], 0)[4..], ["ok project sandbox-images.toml"]);
}

#[test]
fn files_of_credentials_and_their_helpers_are_looked_at() {
    let project = project_naming(&[]);
    let files = project.directory();
    let found = |json: &str, mode: u32| {
        fs::write(files.join("auth.json"), json).expect("it is written");
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(files.join("auth.json"), mode).expect("the mode is changed");
        let mut command = project.command(&["doctor", "--json"]);
        let found = findings(&Ran::of(command.env("REGISTRY_AUTH_FILE", "auth.json")).exits(0));
        found[3..found.len() - 2].to_vec()
    };
    let login = r#"{"auths":{"r.example":{"auth":"YW5uOnB3"}},"credsStore":"of-nobody"}"#;
    let helper = "warning helper-missing docker-credential-of-nobody";
    assert_eq!(found(login, 0o600), ["ok credentials auth.json", helper]);
    assert_eq!(found(login, 0o644), ["warning credentials-open-to-others auth.json", helper]);
    assert_eq!(found("{", 0o600), ["warning credentials-unreadable auth.json"]);
}

#[test]
fn a_store_that_cannot_be_made_is_an_error() {
    let project = project_naming(&[]);
    fs::write(project.store(), "a file").expect("it is written");
    let found = doctor(&project, &[], 1);
    assert!(found.contains(&"error store-not-directory store".to_owned()), "{found:?}");
}

#[test]
fn who_is_denied_or_missing_or_out_of_reach_is_told_once() {
    let auth = Auth::Bearer(Some(LOGIN));
    let denying = TestRegistry::start_with(Options { tls: false, auth });
    let serving = TestRegistry::start();
    let untrusted = TestRegistry::start_with(Options { tls: true, auth: Auth::None });
    serve(&serving, "app", "1", &two_platforms(&[&Layer::new("/etc/motd 0644 hello")]));
    let mut stopped = TestRegistry::start();
    stopped.stop();
    let project = project_naming(&[
        ("denied", &format!("{}/app:1", denying.host())),
        ("had", &format!("{}/app:1", serving.host())),
        ("lacking", &format!("{}/app:2", serving.host())),
        ("gone", &format!("{}/app:1", stopped.host())),
        ("gone-too", &format!("{}/app:2", stopped.host())),
        ("untrusted", &format!("{}/app:1", untrusted.host())),
    ]);
    // An authority of its own, and not the one that signed.
    let other = TestRegistry::start_with(Options { tls: true, auth: Auth::None });
    let config = format!("[registries.\"{}\"]\nca = \"other.pem\"\n", untrusted.host());
    let config = project.write_config(&config);
    fs::write(config.with_file_name("other.pem"), other.ca_pem()).expect("it is written");
    let mut found = doctor(&project, &["--online"], 1).split_off(6);
    found.sort();
    let mut expected = vec![
        "error access-denied app:1".to_owned(),
        "error image-not-found app:2".to_owned(),
        format!("error out-of-reach {}", stopped.host()),
        format!("error out-of-reach {}", untrusted.host()),
        "ok image app:1".to_owned(),
        format!("ok registry {}", denying.host()),
        format!("ok registry {}", serving.host()),
    ];
    expected.sort();
    assert_eq!(found, expected);
    let said = project.run(&["doctor", "--online"]).exits(1).stdout;
    let advice = format!("name its authority with `ca` in `[registries.\"{}\"]`", untrusted.host());
    assert!(said.contains(&advice), "{said}");
    assert!(said.contains(&format!("`docker login {}`", denying.host())), "{said}");
}

#[test]
fn each_mirror_is_asked_by_itself() {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (origin, project) = registry_and_project(&image);
    let mirror = TestRegistry::start();
    serve(&mirror, "app", "1", &image);
    let mut stopped = TestRegistry::start();
    stopped.stop();
    let config = format!(
        "[registries.\"{}\"]\nmirrors = [\"{}\", \"{}\"]\n",
        origin.host(),
        mirror.url(),
        stopped.url()
    );
    project.write_config(&config);
    project.run(&["lock"]).exits(0);

    let found = doctor(&project, &["--online"], 0).split_off(6);

    let expected = [
        format!("ok mirror {}", mirror.host()),
        "ok image app:1".to_owned(),
        format!("warning out-of-reach {}", stopped.host()),
        format!("ok registry {}", origin.host()),
        "ok image app:1".to_owned(),
    ];
    assert_eq!(found, expected);
    project.write_config(&format!("{config}fallback = false\n"));
    let found = doctor(&project, &["--online"], 1).split_off(6);
    assert_eq!(found[2], format!("error out-of-reach {}", stopped.host()));
    assert_eq!(found.len(), 3, "the registry itself is not asked");
}
