//! What a command line asks for and nobody has.

use std::fs;

use super::scene::{locked, plain, shows, shows_under, shows_with, synced};
use crate::support::fixture::project_naming;
use crate::support::needs::needs;
use crate::support::project::Project;

#[test]
fn a_directory_that_is_not_there() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(shows(&project, &["directory"], &["check", "-C", "elsewhere"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[directory]: cannot enter `elsewhere`: No such file or directory (os error 2)
    "###);
}

#[test]
fn a_store_without_a_place() {
    let project = project_naming(&[]);
    let script = "mkdir gone && cd gone && rmdir ../gone";
    let seen = shows_under(&project, &["no-store"], script, &["verify", "--store", "store"]);
    insta::assert_snapshot!(seen, @r###"
    exit 2
    --- stdout
    --- stderr
    error[no-store]: cannot use the store `store`: No such file or directory (os error 2)
    "###);
}

#[test]
fn an_image_that_is_not_locked() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    insta::assert_snapshot!(shows(&project, &["unknown-image"], &["path", "ap"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-image]: there is no image `ap` in the lock
    help: there is app
    "###);
}

#[test]
fn a_platform_that_the_image_is_not_locked_for() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let arguments = ["path", "app", "--platform", "linux/riscv64"];
    insta::assert_snapshot!(shows(&project, &["no-platform"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[no-platform]: image `app` is not locked for linux/riscv64
    help: it is locked for linux/amd64, linux/arm64
    "###);
}

#[test]
fn a_platform_that_is_none() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let arguments = ["path", "app", "--platform", "amd64"];
    insta::assert_snapshot!(shows(&project, &["platform"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[platform]: platform `amd64` is not of the form `os/architecture[/variant]`
    "###);
}

#[test]
fn a_selection_of_what_is_not_there() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let arguments = ["sync", "--image", "apq"];
    insta::assert_snapshot!(shows(&project, &["selection"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[selection]: there is no image `apq`, images are: app
    "###);
    let arguments = ["sync", "--group", "ci"];
    insta::assert_snapshot!(shows(&project, &["selection"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[selection]: no image is in group `ci`, groups are: none
    "###);
    let arguments = ["sync", "--image", "app", "--platform", "linux/riscv64"];
    insta::assert_snapshot!(shows(&project, &["selection"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[selection]: image `app` is not locked for linux/riscv64, it is for: linux/amd64, linux/arm64
    "###);
}

#[test]
fn a_fetch_without_a_network() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let arguments = ["sync", "--fetch-only", "--frozen"];
    insta::assert_snapshot!(shows(&project, &["fetch-only-offline"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[fetch-only-offline]: `--fetch-only` fetches, and there is to be no network
    help: without `--fetch-only`, `sync` builds of what was fetched before
    "###);
}

#[test]
fn a_name_that_is_none() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    insta::assert_snapshot!(shows(&project, &["name"], &["sync", "--image", "App"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[name]: name `App` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit
    "###);
}

#[test]
fn a_group_that_no_image_is_in() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    insta::assert_snapshot!(shows(&project, &["unknown-group"], &["update", "--group", "ci"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-group]: no image is in group `ci`
    help: groups: none
    "###);
}

#[test]
fn images_that_cannot_be_added() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let arguments = ["add", "--no-lock", "app"];
    insta::assert_snapshot!(shows(&project, &["image-exists"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[image-exists]: there is an image `app` already
     --> sandbox-images.toml:4:1
      |
    4 | app = "127.0.0.1:1/app:1"
      | ^^^
      |
    help: choose another name with `--name`, or change its line and run `sandbox-images lock`
    "###);
    let arguments = ["add", "--no-lock", "oci:.."];
    insta::assert_snapshot!(shows(&project, &["no-name"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[no-name]: no name follows from `oci:..`
    help: give it one with `--name`
    "###);
    let arguments = ["add", "--no-lock", "ghcr.io/acme/Tool"];
    insta::assert_snapshot!(shows(&project, &["invalid-reference"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[invalid-reference]: `ghcr.io/acme/Tool` is no image: a repository has lower-case letters only (byte 13 of `ghcr.io/acme/Tool`)
    "###);
    let arguments = ["add", "--no-lock", "alpine", "--name", "Alpine"];
    insta::assert_snapshot!(shows(&project, &["invalid-value"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[invalid-value]: name `Alpine` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit
    "###);
    let arguments = ["add", "--no-lock", "alpine", "busybox", "--name", "base"];
    insta::assert_snapshot!(shows(&project, &["usage"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[usage]: `--name` is for one image, 2 are given
    "###);
}

#[test]
fn images_that_cannot_be_removed() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    insta::assert_snapshot!(shows(&project, &["unknown-image"], &["remove", "ap"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-image]: there is no image `ap`
    help: did you mean `app`?
    "###);
    let project = Project::new("images = { app = \"127.0.0.1:1/app:1\" }\n");
    insta::assert_snapshot!(shows(&project, &["images-in-one-value"], &["remove", "app"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[images-in-one-value]: `images` is written as one value, which is not changed by `add` and `remove`
     --> sandbox-images.toml:1:10
      |
    1 | images = { app = "127.0.0.1:1/app:1" }
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
    help: write a table `[images]` with a line for each image
    "###);
}

#[test]
fn a_project_that_is_there_already() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(shows(&project, &["exists"], &["init"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[exists]: `sandbox-images.toml` exists already
    help: nothing was written; `sandbox-images add` adds images to it
    "###);
}

#[test]
fn digests_that_nobody_has() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    insta::assert_snapshot!(shows(&project, &["invalid-digest"], &["why", "1234"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[invalid-digest]: `1234` is no digest and no file of a store
    help: give at least the first 8 hex digits of a SHA-256, or a path that `path` prints
    "###);
    insta::assert_snapshot!(shows(&project, &["unknown-digest"], &["why", "12345678"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-digest]: neither the lock nor the store has `12345678`
    help: `sandbox-images list --layers` shows what is locked
    "###);
}

#[test]
fn a_lock_to_compare_with_that_is_not_there() {
    if !needs(&["git"]) {
        return;
    }
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let variable = [("GIT_CEILING_DIRECTORIES", "/")];
    let seen = shows_with(&project, &["unknown-revision"], &["diff", "main"], &variable);
    insta::assert_snapshot!(seen, @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-revision]: `main` is no file and no revision that git knows in `.`
    help: name a file, or a revision such as HEAD~1 or origin/main
    "###);
    let script = "PATH=/var/empty";
    let seen = shows_under(&project, &["git"], script, &["diff", "main"]);
    insta::assert_snapshot!(seen, @r###"
    exit 1
    --- stdout
    --- stderr
    error[git]: cannot run `git`: No such file or directory (os error 2)
    help: install git, or name a file to compare with
    "###);
}

#[test]
fn results_that_have_no_place() {
    let (_registry, project) = synced();
    let platform = ["--platform", "linux/amd64"];
    let arguments = [&["disk", "app", "--format", "raw"], &platform[..]].concat();
    insta::assert_snapshot!(shows(&project, &["no-output"], &arguments), @r###"
    exit 2
    --- stdout
    --- stderr
    error[no-output]: a raw disk is not printed: its holes would be lost
    help: name a file with `-o FILE`
    "###);
    let arguments = [&["disk", "app", "--format", "vmdk", "-o", "none/app.vmdk"], &platform[..]];
    insta::assert_snapshot!(shows(&project, &["output"], &arguments.concat()), @r###"
    exit 1
    --- stdout
    --- stderr
    error[output]: app: cannot write `none/app.vmdk`: No such file or directory (os error 2)
    help: see that there is room and that this user may write there, then run the command again
    "###);
}

#[test]
fn words_that_are_no_code_and_no_command() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(shows(&project, &["unknown-code"], &["explain", "lock-stail"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-code]: there is no code `lock-stail`
    help: did you mean `lock-stale`?
    "###);
    insta::assert_snapshot!(shows(&project, &["unknown-command"], &["man", "inspect", "layers"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-command]: there is no command `layers`
    help: there is reference, manifest, layer, tree, auth
    "###);
}

#[test]
fn files_that_are_not_what_is_to_be_inspected() {
    let project = project_naming(&[]);
    let write =
        |name: &str, bytes: &[u8]| fs::write(project.directory().join(name), bytes).unwrap();
    write("page.html", b"<html>log in</html>");
    insta::assert_snapshot!(shows(&project, &["invalid-manifest"], &["inspect", "manifest", "page.html"]), @r###"
    exit 5
    --- stdout
    --- stderr
    error[invalid-manifest]: `page.html`: document is not the expected JSON: expected value at line 1 column 1
    "###);
    let arguments = ["inspect", "tree", "--erofs", "page.html"];
    insta::assert_snapshot!(shows(&project, &["erofs"], &arguments), @r###"
    exit 5
    --- stdout
    --- stderr
    error[erofs]: `page.html`: the image has 19 bytes and needs 4096
    "###);
    insta::assert_snapshot!(shows(&project, &["file"], &["inspect", "layer", "none.tar"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[file]: cannot read `none.tar`: No such file or directory (os error 2)
    "###);
    insta::assert_snapshot!(shows(&project, &["layer-input"], &["inspect", "layer", "."]), @r###"
    exit 5
    --- stdout
    --- stderr
    error[layer-input]: `.`: cannot read the layer: Is a directory (os error 21)
    "###);
    insta::assert_snapshot!(shows(&project, &["invalid-reference"], &["inspect", "reference", "a b"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[invalid-reference]: a repository is words of a-z and 0-9, joined by `/`, `.`, `_`, `__` or dashes (byte 1 of `a b`)
    "###);
}

#[test]
fn an_fsmeta_without_the_layers_that_it_refers_to() {
    let (_registry, project) = synced();
    let fsmeta =
        project.run(&["path", "app", "--platform", "linux/amd64", "--kind", "fsmeta"]).text();
    let seen = shows(&project, &["devices"], &["inspect", "tree", "--erofs", &fsmeta]);
    insta::assert_snapshot!(seen, @r###"
    exit 2
    --- stdout
    --- stderr
    error[devices]: `DIR/store/v1/f1/fsmeta/sha256/DIGEST.erofs` refers to 1 layer image, and none is named
    help: name them with `--device`, in the order of the device table, or a whole raw disk
    "###);
}

#[test]
fn a_machine_that_gives_no_threads() {
    let (_registry, project) = locked(&[&plain("/a 0644 a")]);
    let seen = shows_under(&project, &["runtime"], "ulimit -n 4", &["sync", "--locked"]);
    insta::assert_snapshot!(seen, @r###"
    exit 1
    --- stdout
    --- stderr
    error[runtime]: cannot start the threads of this run: Too many open files (os error 24)
    help: see what `ulimit -n` and `ulimit -u` allow
    "###);
}

#[test]
fn a_log_of_another_program() {
    let project = project_naming(&[]);
    let variables = [("SANDBOX_IMAGES_LOG", "hyper=trace")];
    insta::assert_snapshot!(shows_with(&project, &["log-filter"], &["check"], &variables), @r"
    exit 2
    --- stdout
    --- stderr
    error[log-filter]: `SANDBOX_IMAGES_LOG` is `hyper=trace`, which is not a filter: `hyper` is not a part of this program
    help: such as `debug`, or `sandbox_images::registry=trace`
    ");
}
