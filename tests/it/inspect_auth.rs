//! `inspect auth`: who says what is shown to a registry, and never what it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::project::{Project, Ran};

/// What is said about `r.example/team/app`, with these credentials of Docker's and this configuration.
fn shown(docker: &str, config: &str) -> Value {
    let project = Project::new("manifest-version = 1\n");
    project.write_config(config);
    let folder = project.directory().join("docker");
    fs::create_dir(&folder).expect("a directory is made");
    fs::write(folder.join("config.json"), docker).expect("it is written");
    let helper = folder.join("docker-credential-test");
    let answer = "#!/bin/sh\necho '{\"Username\":\"eve\",\"Secret\":\"hunter2\"}'\n";
    fs::write(&helper, answer).expect("it is written");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = project.command(&["inspect", "auth", "r.example/team/app"]);
    let path = std::env::var("PATH").expect("there is a PATH");
    command.env("PATH", format!("{}:{path}", folder.display())).env("DOCKER_CONFIG", "docker");
    let ran = Ran::of(&mut command).exits(0);
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    let mut value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(value["schema"], "sandbox-images/inspect-auth/1");
    value.as_object_mut().expect("an object").remove("schema");
    // Where the temporary directory is says nothing.
    if let Some(path) = value["source"].get_mut("config") {
        *path = json!("config.toml");
    }
    value
}

const DOCKER: &str = r#"{"auths":{"r.example":{"auth":"YW5uOmh1bnRlcjI="}}}"#;

#[test]
fn a_login_of_dockers_is_shown_without_its_password() {
    let expected = json!({
        "source": { "file": "docker/config.json" }, "kind": "basic", "username": "ann", "problems": [],
    });
    assert_eq!(shown(DOCKER, ""), expected);
}

#[test]
fn a_helper_is_asked() {
    let helper = r#"{"credHelpers":{"r.example":"test"}}"#;
    let expected = json!({
        "source": { "file": "docker/config.json", "helper": "test" },
        "kind": "basic", "username": "eve", "problems": [],
    });
    assert_eq!(shown(helper, ""), expected);
}

#[test]
fn the_configuration_decides_before_files_do() {
    let registry = |line: &str| format!("[registries.\"r.example\"]\n{line}\n");
    let expected = |source: Value, kind: &str, username: Value| json!({ "source": source, "kind": kind, "username": username, "problems": [] });
    assert_eq!(
        shown(DOCKER, &registry("identity-token = 'hunter2'")),
        expected(json!({ "config": "config.toml" }), "identity-token", Value::Null)
    );
    assert_eq!(
        shown(DOCKER, &registry("anonymous = true")),
        expected(json!({ "config": "config.toml" }), "anonymous", Value::Null)
    );
    assert_eq!(
        shown(DOCKER, &registry("helper = 'test'")),
        expected(json!({ "config": "config.toml", "helper": "test" }), "basic", json!("eve"))
    );
    assert_eq!(
        shown(DOCKER, &registry("username = 'bob'\npassword = 'hunter2'")),
        expected(json!({ "config": "config.toml" }), "basic", json!("bob"))
    );
}

#[test]
fn nobody_and_problems_are_told() {
    let nobody = json!({ "source": null, "kind": "anonymous", "username": null, "problems": [] });
    assert_eq!(shown("{}", ""), nobody);
    let missing = shown(r#"{"credsStore":"of-nobody"}"#, "");
    assert_eq!(missing["problems"], json!(["cannot run `docker-credential-of-nobody`"]));
    assert_eq!(missing["kind"], "anonymous");
}

#[test]
fn a_wrong_reference_exits_2() {
    let project = Project::new("manifest-version = 1\n");
    let told = project.run(&["inspect", "auth", "Not A Reference"]).exits(2);
    assert!(told.stderr.contains("invalid-reference"), "{}", told.stderr);
}
