//! Errors of `sandbox-images.toml`: each with its line, its caret and what to do, all of a file in one run.

use std::fs;

use super::scene::shows;
use crate::support::fixture::project_naming;
use crate::support::project::Project;

#[test]
fn keys_that_nobody_knows() {
    let project = Project::new(
        "manifest-version = 1\nimgaes = 1\n\n[default]\nregistry = \"ghcr.io\"\n\n[images.app]\n\
         image = \"alpine:3.20\"\nplatform = [\"linux/amd64\"]\ncolour = \"red\"\n\n[policy]\n\
         require-digests = true\n\n[registries.\"docker.io\"]\nmirror = []\n",
    );
    insta::assert_snapshot!(shows(&project, &["unknown-key"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-key]: unknown key `imgaes`
     --> sandbox-images.toml:2:1
      |
    2 | imgaes = 1
      | ^^^^^^
      |
    help: did you mean `images`?
    error[unknown-key]: unknown key `default`
     --> sandbox-images.toml:4:2
      |
    4 | [default]
      |  ^^^^^^^
      |
    help: did you mean `defaults`?
    error[unknown-key]: unknown key `images.app.platform`
     --> sandbox-images.toml:9:1
      |
    9 | platform = ["linux/amd64"]
      | ^^^^^^^^
      |
    help: did you mean `platforms`?
    error[unknown-key]: unknown key `images.app.colour`
      --> sandbox-images.toml:10:1
       |
    10 | colour = "red"
       | ^^^^^^
       |
    help: known keys here: `image`, `groups`, `platforms`, `allow-platform-mismatch`
    error[unknown-key]: unknown key `policy.require-digests`
      --> sandbox-images.toml:13:1
       |
    13 | require-digests = true
       | ^^^^^^^^^^^^^^^
       |
    help: did you mean `require-digest`?
    error[unknown-key]: unknown key `registries.docker.io.mirror`
      --> sandbox-images.toml:16:1
       |
    16 | mirror = []
       | ^^^^^^
       |
    help: did you mean `mirrors`?
    "###);
}

#[test]
fn a_file_that_is_no_toml() {
    let project =
        Project::new("[images]\nalpine = alpine:3.20\npython = \"python:3.12\n\n[policy\n");
    insta::assert_snapshot!(shows(&project, &["toml-syntax"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[toml-syntax]: string values must be quoted, expected literal string
     --> sandbox-images.toml:2:10
      |
    2 | alpine = alpine:3.20
      |          ^^^^^^^^^^^
    error[toml-syntax]: invalid basic string, expected `"`
     --> sandbox-images.toml:3:22
      |
    3 | python = "python:3.12
      |                      ^
    error[toml-syntax]: unclosed table, expected `]`
     --> sandbox-images.toml:5:8
      |
    5 | [policy
      |        ^
    "###);
}

#[test]
fn settings_of_a_machine() {
    let project = Project::new(
        "store = \"/srv/images\"\njobs = 4\n\n[images]\nalpine = \"alpine:3.20\"\n\n[registries.\"ghcr.io\"]\n\
         username = \"ann\"\npassword = \"hunter2\"\nca = \"corp.pem\"\n\n[limits]\nlayers-max = 3\n\n[gc]\nmax-age = \"30d\"\n",
    );
    let seen = shows(&project, &["machine-setting"], &["check"]);
    assert!(!seen.contains("hunter2"), "{seen}");
    insta::assert_snapshot!(seen, @r###"
    exit 2
    --- stdout
    --- stderr
    error[machine-setting]: `store` is a setting of the machine, not of the project
     --> sandbox-images.toml:1:1
      |
    1 | store = "/srv/images"
      | ^^^^^
      |
    help: move it to the user's `config.toml`, which no lock depends on
    error[machine-setting]: `jobs` is a setting of the machine, not of the project
     --> sandbox-images.toml:2:1
      |
    2 | jobs = 4
      | ^^^^
      |
    help: move it to the user's `config.toml`, which no lock depends on
    error[machine-setting]: `username` is a setting of the machine, not of the project
     --> sandbox-images.toml:8:1
      |
    8 | username = "ann"
      | ^^^^^^^^
      |
    help: move it to the user's `config.toml`, which no lock depends on
    error[machine-setting]: `password` is a setting of the machine, not of the project
     --> sandbox-images.toml:9:1
      |
    9 | password =**********
      | ^^^^^^^^
      |
    help: move it to the user's `config.toml`, which no lock depends on
    error[machine-setting]: `ca` is a setting of the machine, not of the project
      --> sandbox-images.toml:10:1
       |
    10 | ca = "corp.pem"
       | ^^
       |
    help: move it to the user's `config.toml`, which no lock depends on
    error[machine-setting]: `limits` is a setting of the machine, not of the project
      --> sandbox-images.toml:12:2
       |
    12 | [limits]
       |  ^^^^^^
       |
    help: move it to the user's `config.toml`, which no lock depends on
    error[machine-setting]: `gc` is a setting of the machine, not of the project
      --> sandbox-images.toml:15:2
       |
    15 | [gc]
       |  ^^
       |
    help: move it to the user's `config.toml`, which no lock depends on
    "###);
}

#[test]
fn a_default_group_that_no_image_is_in() {
    let project = Project::new(
        "[images.app]\nimage = \"alpine:3.20\"\ngroups = [\"nightly\"]\n\n[groups]\ndefault = [\"nigtly\"]\n",
    );
    insta::assert_snapshot!(shows(&project, &["unknown-group"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-group]: no image is in group `nigtly`
     --> sandbox-images.toml:6:12
      |
    6 | default = ["nigtly"]
      |            ^^^^^^^^
      |
    help: did you mean `nightly`?
    "###);
}

#[test]
fn a_project_for_a_newer_program_is_not_judged_by_this_one() {
    let project = Project::new(
        "manifest-version = 7\nrequires-tool = \">=99.1\"\n\n[channels]\nstable = \"alpine:3.20\"\n",
    );
    insta::assert_snapshot!(shows(&project, &["tool-too-old"], &["sync"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[tool-too-old]: this project needs sandbox-images 99.1.0 or newer, this is 0.1.0
     --> sandbox-images.toml:2:17
      |
    2 | requires-tool = ">=99.1"
      |                 ^^^^^^^^
      |
    help: install a newer sandbox-images
    "###);
}

#[test]
fn a_version_of_the_file_that_nobody_knows_yet() {
    let project = Project::new("manifest-version = 2\n\n[channels]\nstable = \"alpine:3.20\"\n");
    insta::assert_snapshot!(shows(&project, &["unknown-version"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-version]: `manifest-version` is 2, this tool reads version 1
     --> sandbox-images.toml:1:20
      |
    1 | manifest-version = 2
      |                    ^
      |
    help: install a newer sandbox-images
    "###);
}

#[test]
fn what_the_policy_forbids() {
    let project = Project::new(
        "[images]\nhub = \"alpine:3.20\"\nother = \"ghcr.io/other/tool:1\"\nours = \"ghcr.io/acme/tool:1\"\n\n\
         [policy]\nallow-registries = [\"ghcr.io/acme\"]\nrequire-digest = true\n",
    );
    let seen = shows(&project, &["policy-registry", "policy-digest"], &["check"]);
    insta::assert_snapshot!(seen, @r###"
    exit 6
    --- stdout
    --- stderr
    error[policy-registry]: the policy does not allow image `hub` from `docker.io/library/alpine:3.20`
     --> sandbox-images.toml:2:7
      |
    2 | hub = "alpine:3.20"
      |       ^^^^^^^^^^^^^
      |
    help: allowed by `policy.allow-registries`: ghcr.io/acme
    error[policy-digest]: the policy wants a digest for image `hub`
     --> sandbox-images.toml:2:7
      |
    2 | hub = "alpine:3.20"
      |       ^^^^^^^^^^^^^
      |
    help: write `…@sha256:…` behind the tag
    error[policy-registry]: the policy does not allow image `other` from `ghcr.io/other/tool:1`
     --> sandbox-images.toml:3:9
      |
    3 | other = "ghcr.io/other/tool:1"
      |         ^^^^^^^^^^^^^^^^^^^^^^
      |
    help: allowed by `policy.allow-registries`: ghcr.io/acme
    error[policy-digest]: the policy wants a digest for image `other`
     --> sandbox-images.toml:3:9
      |
    3 | other = "ghcr.io/other/tool:1"
      |         ^^^^^^^^^^^^^^^^^^^^^^
      |
    help: write `…@sha256:…` behind the tag
    error[policy-digest]: the policy wants a digest for image `ours`
     --> sandbox-images.toml:4:8
      |
    4 | ours = "ghcr.io/acme/tool:1"
      |        ^^^^^^^^^^^^^^^^^^^^^
      |
    help: write `…@sha256:…` behind the tag
    "###);
}

#[test]
fn a_project_without_the_file() {
    let project = project_naming(&[]);
    fs::remove_file(project.directory().join("sandbox-images.toml")).unwrap();
    insta::assert_snapshot!(shows(&project, &["no-image-set"], &["lock"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[no-image-set]: `sandbox-images.toml` does not exist
    help: run `sandbox-images init`, or name its directory with `-C`
    "###);
}

#[test]
fn a_file_that_is_no_text() {
    let project = project_naming(&[]);
    fs::write(project.directory().join("sandbox-images.toml"), b"[images]\n\xff = 1\n").unwrap();
    insta::assert_snapshot!(shows(&project, &["file"], &["lock"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[file]: `sandbox-images.toml` is not UTF-8
    "###);
}
