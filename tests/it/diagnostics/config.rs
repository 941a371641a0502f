//! Errors of the user's `config.toml`.

use super::scene::{shows, shows_with};
use crate::support::fixture::project_naming;

#[test]
fn several_lines_that_cannot_be() {
    let project = project_naming(&[]);
    project.write_config(
        "stroe = \"/srv/images\"\njobs = 0\n\n[network]\nidle-timeout = 30\n\n[limits]\nlayers-max = \"many\"\n\n\
         [registries.\"ghcr.io\"]\nusername = \"ann\"\n",
    );
    insta::assert_snapshot!(shows(&project, &["unknown-key", "invalid-value", "wrong-type", "missing-key"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-key]: unknown key `stroe`
     --> DIR/home/.config/sandbox-images/config.toml:1:1
      |
    1 | stroe = *************
      | ^^^^^
      |
    help: did you mean `store`?
    error[invalid-value]: `jobs` is from 1 to 1024
     --> DIR/home/.config/sandbox-images/config.toml:2:8
      |
    2 | jobs = 0
      |        ^
    error[wrong-type]: `network.idle-timeout` is an integer, not a string
     --> DIR/home/.config/sandbox-images/config.toml:5:16
      |
    5 | idle-timeout = 30
      |                ^^
    error[wrong-type]: `limits.layers-max` is a string, not an integer
     --> DIR/home/.config/sandbox-images/config.toml:8:14
      |
    8 | layers-max = "many"
      |              ^^^^^^
    error[missing-key]: there is a user name and no password
      --> DIR/home/.config/sandbox-images/config.toml:11:1
       |
    11 | username = "ann"
       | ^^^^^^^^
       |
    help: write its password to a file and name that with `password-file`
    "###);
}

#[test]
fn two_credentials_for_one_registry() {
    let project = project_naming(&[]);
    project.write_config(
        "[registries.\"ghcr.io\"]\nhelper = \"ecr-login\"\nidentity-token = \"eyJhbGciOi\"\n",
    );
    let seen = shows(&project, &["conflicting-keys"], &["check"]);
    assert!(!seen.contains("eyJh"), "{seen}");
    insta::assert_snapshot!(seen, @r###"
    exit 2
    --- stdout
    --- stderr
    error[conflicting-keys]: `identity-token` and `helper` exclude each other
     --> DIR/home/.config/sandbox-images/config.toml:2:1
      |
    2 | helper = "ecr-login"
      | ^^^^^^
      |
    help: one registry is shown one credential: keep one of them
    "###);
}

#[test]
fn a_file_that_it_names_and_that_is_not_there() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    project.write_config("[registries.\"127.0.0.1:1\"]\nca = \"corp.pem\"\n");
    insta::assert_snapshot!(shows(&project, &["config-file"], &["lock"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[config-file]: cannot read `DIR/home/.config/sandbox-images/corp.pem`: No such file or directory (os error 2)
     --> DIR/home/.config/sandbox-images/config.toml:2:6
      |
    2 | ca = "corp.pem"
      |      ^^^^^^^^^^
    "###);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(shows(&project, &["config-unreadable"], &["check", "--config", "none.toml"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[config-unreadable]: cannot read the configuration `none.toml`: No such file or directory (os error 2)
    help: `--config` or `SANDBOX_IMAGES_CONFIG` names another
    "###);
    let variable = [("SANDBOX_IMAGES_CONFIG", "other.toml")];
    insta::assert_snapshot!(shows_with(&project, &["config-unreadable"], &["check"], &variable), @r###"
    exit 2
    --- stdout
    --- stderr
    error[config-unreadable]: cannot read the configuration `other.toml`: No such file or directory (os error 2)
    help: `--config` or `SANDBOX_IMAGES_CONFIG` names another
    "###);
}

#[test]
fn a_file_that_is_too_large() {
    let project = project_naming(&[]);
    project.write_config(&"#\n".repeat(1 << 20));
    insta::assert_snapshot!(shows(&project, &["too-large"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[too-large]: the file has 1048577 bytes, at most 1048576 are read
    "###);
}
