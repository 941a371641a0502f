//! Values of `sandbox-images.toml` that cannot be: of another type, of another form, or missing.

use super::scene::shows;
use crate::support::fixture::project_naming;
use crate::support::project::Project;

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
    error[invalid-reference]: a reference begins with the registry, without a scheme such as `https://` (byte 5 of `https://ghcr.io/acme/tool`)
      --> sandbox-images.toml:10:13
       |
    10 | url = "https://ghcr.io/acme/tool"
       |             ^^^^^^^^^^^^^^^^^^^^
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
