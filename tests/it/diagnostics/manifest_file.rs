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
fn values_of_another_type() {
    let project = Project::new(
        "manifest-version = \"1\"\nrequires-tool = 1\n\n[defaults]\nregistry = [\"ghcr.io\"]\nplatforms = \"linux/amd64\"\n\n\
         [images]\nnumber = 1\nlist = [\"alpine\"]\n\n[images.app]\nimage = true\ngroups = \"ci\"\nplatforms = [1]\n\
         allow-platform-mismatch = \"yes\"\n\n[groups]\ndefault = \"ci\"\n\n[policy]\nallow-registries = \"ghcr.io\"\n\
         require-digest = 1\n\n[registries.\"docker.io\"]\nmirrors = \"https://mirror.example\"\n",
    );
    insta::assert_snapshot!(shows(&project, &["wrong-type"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[wrong-type]: `manifest-version` is a string, not an integer
     --> sandbox-images.toml:1:20
      |
    1 | manifest-version = "1"
      |                    ^^^
    error[wrong-type]: `requires-tool` is an integer, not a string
     --> sandbox-images.toml:2:17
      |
    2 | requires-tool = 1
      |                 ^
    error[wrong-type]: `defaults.registry` is an array, not a string
     --> sandbox-images.toml:5:12
      |
    5 | registry = ["ghcr.io"]
      |            ^^^^^^^^^^^
    error[wrong-type]: `defaults.platforms` is a string, not an array
     --> sandbox-images.toml:6:13
      |
    6 | platforms = "linux/amd64"
      |             ^^^^^^^^^^^^^
    error[wrong-type]: `images.number` is an integer, not a string
     --> sandbox-images.toml:9:10
      |
    9 | number = 1
      |          ^
    error[wrong-type]: `images.list` is an array, not a string
      --> sandbox-images.toml:10:8
       |
    10 | list = ["alpine"]
       |        ^^^^^^^^^^
    error[wrong-type]: `images.app.image` is a boolean, not a string
      --> sandbox-images.toml:13:9
       |
    13 | image = true
       |         ^^^^
    error[wrong-type]: `images.app.groups` is a string, not an array
      --> sandbox-images.toml:14:10
       |
    14 | groups = "ci"
       |          ^^^^
    error[wrong-type]: an element of `images.app.platforms` is an integer, not a string
      --> sandbox-images.toml:15:14
       |
    15 | platforms = [1]
       |              ^
    error[wrong-type]: `images.app.allow-platform-mismatch` is a string, not a boolean
      --> sandbox-images.toml:16:27
       |
    16 | allow-platform-mismatch = "yes"
       |                           ^^^^^
    error[wrong-type]: `groups.default` is a string, not an array
      --> sandbox-images.toml:19:11
       |
    19 | default = "ci"
       |           ^^^^
    error[wrong-type]: `policy.allow-registries` is a string, not an array
      --> sandbox-images.toml:22:20
       |
    22 | allow-registries = "ghcr.io"
       |                    ^^^^^^^^^
    error[wrong-type]: `policy.require-digest` is an integer, not a boolean
      --> sandbox-images.toml:23:18
       |
    23 | require-digest = 1
       |                  ^
    error[wrong-type]: `registries.docker.io.mirrors` is a string, not an array
      --> sandbox-images.toml:26:11
       |
    26 | mirrors = "https://mirror.example"
       |           ^^^^^^^^^^^^^^^^^^^^^^^^
    "###);
}

#[test]
fn values_that_cannot_be() {
    let project = Project::new(
        "requires-tool = \"0.1\"\n\n[defaults]\nregistry = \"docker io\"\nplatforms = []\n\n[images]\nUpper = \"alpine\"\n\n\
         [images.app]\nimage = \"alpine:3.20\"\ngroups = [\"Ci\", \"dev\", \"dev\"]\n\
         platforms = [\"linux\", \"linux/arm64\", \"linux/arm64/v8\"]\n\n[policy]\nallow-registries = [\"ghcr.io/acme:1\"]\n\n\
         [registries.\"docker.io\"]\nmirrors = [\"ftp://mirror.example\", \"https://ann@mirror.example\"]\n",
    );
    insta::assert_snapshot!(shows(&project, &["invalid-value"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[invalid-value]: a requirement is of the form `>=0.1` or `>=0.1.2`
     --> sandbox-images.toml:1:17
      |
    1 | requires-tool = "0.1"
      |                 ^^^^^
    error[invalid-value]: the registry is not a host name
     --> sandbox-images.toml:4:19
      |
    4 | registry = "docker io"
      |                   ^^^
    error[invalid-value]: at least one platform must be named
     --> sandbox-images.toml:5:13
      |
    5 | platforms = []
      |             ^^
    error[invalid-value]: name `Upper` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit
     --> sandbox-images.toml:8:1
      |
    8 | Upper = "alpine"
      | ^^^^^
    error[invalid-value]: name `Ci` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit
      --> sandbox-images.toml:12:11
       |
    12 | groups = ["Ci", "dev", "dev"]
       |           ^^^^
    error[invalid-value]: `dev` is named twice
      --> sandbox-images.toml:12:24
       |
    12 | groups = ["Ci", "dev", "dev"]
       |                        ^^^^^
    error[invalid-value]: platform `linux` is not of the form `os/architecture[/variant]`
      --> sandbox-images.toml:13:14
       |
    13 | platforms = ["linux", "linux/arm64", "linux/arm64/v8"]
       |              ^^^^^^^
    error[invalid-value]: `linux/arm64` is named twice
      --> sandbox-images.toml:13:38
       |
    13 | platforms = ["linux", "linux/arm64", "linux/arm64/v8"]
       |                                      ^^^^^^^^^^^^^^^^
    error[invalid-value]: `ghcr.io/acme:1` is not a registry, perhaps with the start of a repository
      --> sandbox-images.toml:16:21
       |
    16 | allow-registries = ["ghcr.io/acme:1"]
       |                     ^^^^^^^^^^^^^^^^
    error[invalid-value]: a mirror is `https://HOST[:PORT][/PATH]`, without user name and query
      --> sandbox-images.toml:19:12
       |
    19 | mirrors = ["ftp://mirror.example", "https://***@mirror.example"]
       |            ^^^^^^^^^^^^^^^^^^^^^^
    error[invalid-value]: a mirror is `https://HOST[:PORT][/PATH]`, without user name and query
      --> sandbox-images.toml:19:36
       |
    19 | mirrors = ["ftp://mirror.example", "https://***@mirror.example"]
       |                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "###);
}

#[test]
fn sources_that_name_no_image() {
    let project = project_naming(&[
        ("capital", "ghcr.io/acme/Tool:1"),
        ("digest", "alpine@sha256:1234"),
        ("empty", ""),
        ("layout", "oci:"),
        ("spaced", "alpine :3.20"),
        ("tags", "alpine:3:20"),
        ("url", "https://ghcr.io/acme/tool"),
    ]);
    insta::assert_snapshot!(shows(&project, &["invalid-reference"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[invalid-reference]: a repository has lower-case letters only (byte 13 of `ghcr.io/acme/Tool:1`)
     --> sandbox-images.toml:4:25
      |
    4 | capital = "ghcr.io/acme/Tool:1"
      |                         ^^^^^^
    error[invalid-reference]: a digest is `sha256:` and 64 lower-case hex digits (byte 7 of `alpine@sha256:1234`)
     --> sandbox-images.toml:5:18
      |
    5 | digest = "alpine@sha256:1234"
      |                  ^^^^^^^^^^^
    error[invalid-reference]: a name is missing (byte 0 of ``)
     --> sandbox-images.toml:6:9
      |
    6 | empty = ""
      |         ^^
    error[invalid-reference]: the path is missing
     --> sandbox-images.toml:7:10
      |
    7 | layout = "oci:"
      |          ^^^^^^
    error[invalid-reference]: a repository is words of a-z and 0-9, joined by `/`, `.`, `_`, `__` or dashes (byte 6 of `alpine :3.20`)
     --> sandbox-images.toml:8:17
      |
    8 | spaced = "alpine :3.20"
      |                 ^^^^^^
    error[invalid-reference]: a tag is letters, digits, `_`, `.` and `-`, and starts with none of the last two (byte 8 of `alpine:3:20`)
     --> sandbox-images.toml:9:17
      |
    9 | tags = "alpine:3:20"
      |                 ^^^
    error[invalid-reference]: the registry's port is not a number from 1 to 65535 (byte 6 of `https://ghcr.io/acme/tool`)
      --> sandbox-images.toml:10:14
       |
    10 | url = "https://ghcr.io/acme/tool"
       |              ^^^^^^^^^^^^^^^^^^^
    "###);
}

#[test]
fn an_image_without_a_source() {
    let project = Project::new("[images.app]\ngroups = [\"ci\"]\n");
    insta::assert_snapshot!(shows(&project, &["missing-key"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[missing-key]: `images.app` has no `image`
     --> sandbox-images.toml:1:9
      |
    1 | [images.app]
      |         ^^^
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

#[test]
fn different_errors_stand_in_the_order_of_their_lines() {
    let project = Project::new(
        "stroe = \"/srv\"\n\n[images]\nalpine = \"alpine:3:20\"\nPython = \"python:3.12\"\ntool = 4\n\n\
         [images.base]\nplatforms = [\"amd64\"]\n",
    );
    insta::assert_snapshot!(shows(&project, &["unknown-key", "invalid-reference", "invalid-value", "wrong-type", "missing-key"], &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-key]: unknown key `stroe`
     --> sandbox-images.toml:1:1
      |
    1 | stroe = "/srv"
      | ^^^^^
      |
    help: known keys here: `manifest-version`, `requires-tool`, `defaults`, `images`, `groups`, `policy`, `registries`
    error[invalid-reference]: a tag is letters, digits, `_`, `.` and `-`, and starts with none of the last two (byte 8 of `alpine:3:20`)
     --> sandbox-images.toml:4:19
      |
    4 | alpine = "alpine:3:20"
      |                   ^^^
    error[invalid-value]: name `Python` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit
     --> sandbox-images.toml:5:1
      |
    5 | Python = "python:3.12"
      | ^^^^^^
    error[wrong-type]: `images.tool` is an integer, not a string
     --> sandbox-images.toml:6:8
      |
    6 | tool = 4
      |        ^
    error[missing-key]: `images.base` has no `image`
     --> sandbox-images.toml:8:9
      |
    8 | [images.base]
      |         ^^^^
    error[invalid-value]: platform `amd64` is not of the form `os/architecture[/variant]`
     --> sandbox-images.toml:9:14
      |
    9 | platforms = ["amd64"]
      |              ^^^^^^^
    "###);
}
