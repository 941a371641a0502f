use super::version::Version;
use super::*;

/// Every key there is.
const COMPLETE: &str = include_str!("../../../tests/data/image-sets/every-key.toml");

#[test]
fn a_complete_file_is_read_and_normalised() {
    let set = ImageSet::parse(COMPLETE).unwrap();
    let names: Vec<&str> = set.images.keys().map(ImageName::as_str).collect();
    assert_eq!(names, ["alpine", "base", "python", "tool"]);

    let alpine = &set.images["alpine"];
    assert_eq!(alpine.source.to_string(), "docker.io/library/alpine:3.20");
    assert_eq!(&COMPLETE[alpine.source_span.clone()], "\"alpine:3.20\"");
    assert_eq!(alpine.platforms, default_platforms());
    assert!(!alpine.platforms_named && alpine.groups.is_empty());

    let python = &set.images["python"];
    assert_eq!(python.platforms, ["linux/amd64".parse().unwrap()].into());
    assert!(python.platforms_named && python.allow_platform_mismatch);
    assert_eq!(&COMPLETE[python.platforms_span.clone().unwrap()], "[\"linux/x86_64\"]");

    assert!(set.images["base"].source.is_local());
    assert_eq!(set.default_groups, ["ci".parse().unwrap()].into());
    assert_eq!(set.mirrors["docker.io"], ["https://mirror.corp.example"]);
    assert_eq!(set.policy.allow_registries.as_ref().unwrap().len(), 2);
}

#[test]
fn an_empty_file_wants_nothing() {
    assert_eq!(ImageSet::parse(""), Ok(ImageSet::default()));
}

#[test]
fn short_names_are_of_the_default_registry() {
    let text = "defaults.registry = 'ghcr.io'\nimages.tool = 'acme/tool'";
    let set = ImageSet::parse(text).unwrap();
    assert_eq!(set.images["tool"].source.to_string(), "ghcr.io/acme/tool:latest");
}

/// Checks that `text` has one problem: its code, what its span covers, its message and its help.
#[track_caller]
fn refused(text: &str, code: &str, place: &str, words: &str) {
    let problems = ImageSet::parse(text).unwrap_err();
    let [problem] = &problems[..] else { panic!("one problem in {text:?}: {problems:#?}") };
    assert_eq!(problem.code, code, "{problem:?}");
    assert_eq!(&text[problem.span.clone().unwrap()], place);
    let said = format!("{}; {}", problem.message, problem.help.as_deref().unwrap_or_default());
    assert!(said.contains(words), "`{words}` in `{said}`");
}

#[test]
fn an_unknown_key_is_shown_with_what_was_perhaps_meant() {
    refused("imagse.a = 'a'", "unknown-key", "imagse", "did you mean `images`?");
    refused("images.a = { imgae = 'a', image = 'a' }", "unknown-key", "imgae", "`image`");
    refused("[policy]\nrequire-digests = true", "unknown-key", "require-digests", "require-digest");
    refused("[defaults]\nxyzzy = 1", "unknown-key", "xyzzy", "known keys here: `registry`");
}

#[test]
fn settings_of_the_machine_are_sent_to_the_users_configuration() {
    refused("store = '/srv'", "machine-setting", "store", "`config.toml`");
    refused("[gc]\nmax-age = '30d'", "machine-setting", "gc", "not of the project");
    let text = "[registries.'a.io']\ntls = 'x'";
    refused(text, "machine-setting", "tls", "`config.toml`");
}

#[test]
fn values_are_checked_where_they_stand() {
    refused("images.a = 1", "wrong-type", "1", "`images.a` is an integer, not a string");
    refused("images = 'a'", "wrong-type", "'a'", "not a table");
    refused("images.A = 'a'", "invalid-value", "A", "name `A`");
    refused("images.a = 'b:c:d'", "invalid-reference", ":d", "a tag is");
    refused("images.a = 'acme/Tool'", "invalid-reference", "Tool", "lower-case");
    refused("images.a = 'oci:'", "invalid-reference", "'oci:'", "path is missing");
    refused("[images.a]\ngroups = []", "missing-key", "a", "`images.a` has no `image`");
    refused("defaults.platforms = []", "invalid-value", "[]", "at least one");
    refused("defaults.platforms = ['linux']", "invalid-value", "'linux'", "os/architecture");
    refused(
        "defaults.platforms = ['linux/arm64', 'linux/arm64/v8']",
        "invalid-value",
        "'linux/arm64/v8'",
        "`linux/arm64` is named twice",
    );
    refused("defaults.registry = 'a b'", "invalid-value", " b", "host name");
    refused("policy.allow-registries = ['a.io/b:c']", "invalid-value", "'a.io/b:c'", "registry");
    refused("[registries.'a.io']\nmirrors = ['ftp://x']", "invalid-value", "'ftp://x'", "https");
    refused("[registries.'a.io']\nmirrors = ['https://u@x']", "invalid-value", "'https://u@x'", "");
    refused("[images.a]\nimage='a'\ngroups=['A']", "invalid-value", "'A'", "name `A`");
    let text = "images.a = { image = 'a', groups = ['nightly'] }\ngroups.default = ['nigtly']";
    refused(text, "unknown-group", "'nigtly'", "did you mean `nightly`?");
}

#[test]
fn newer_files_are_refused_before_their_keys_are_judged() {
    refused("manifest-version = 2\nnew-key = 1", "unknown-version", "2", "reads version 1");
    refused("requires-tool = '>=99.0'\nnew-key = 1", "tool-too-old", "'>=99.0'", "99.0.0 or newer");
    // The program's own version is said alone: the rest is for the newer one to judge.
    let text = "manifest-version = 9\nrequires-tool = '>=99.0'\n[channels]\na = 1";
    refused(text, "tool-too-old", "'>=99.0'", "install a newer sandbox-images");
    refused("requires-tool = '1'", "invalid-value", "'1'", ">=0.1");
    assert!(read::image_set("requires-tool = '>=1.2.3'", Version(1, 2, 3)).is_ok());
    assert!(read::image_set("requires-tool = '>=1.2.3'", Version(1, 2, 2)).is_err());
}

#[test]
fn all_problems_are_found_in_one_run_in_the_order_of_the_file() {
    let text = "stoer = 1\n[images]\na = 'A'\nb = { image = 2, platform = 3 }\nC = 'c'\n";
    let problems = ImageSet::parse(text).unwrap_err();
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    let expected =
        ["unknown-key", "invalid-reference", "wrong-type", "unknown-key", "invalid-value"];
    assert_eq!(codes, expected);
}

#[test]
fn syntax_errors_are_all_reported_and_nothing_else() {
    let problems = ImageSet::parse("a = \nb = 1 2\nc = [").unwrap_err();
    assert!(problems.len() >= 3, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.code == "toml-syntax" && problem.span.is_some()));
}

#[test]
fn a_policy_names_each_image_that_breaks_it() {
    let text = "
        policy = { allow-registries = ['ghcr.io/acme'], require-digest = true }
        images.a = 'alpine'
        images.b = 'ghcr.io/acme/b:1'
        images.c = 'oci:c'";
    let found = ImageSet::parse(text).unwrap().policy_violations();
    let codes: Vec<_> = found.iter().map(|p| (p.code, &text[p.span.clone().unwrap()])).collect();
    let expected = [
        ("policy-registry", "'alpine'"),
        ("policy-digest", "'alpine'"),
        ("policy-digest", "'ghcr.io/acme/b:1'"),
    ];
    assert_eq!(codes, expected);
}

#[test]
fn a_hostile_file_gives_a_page_of_problems_at_most() {
    let lines: Vec<String> = (0..100_000).map(|key| format!("k{key} = 1")).collect();
    assert_eq!(ImageSet::parse(&lines.join("\n")).unwrap_err().len(), 100);
    assert_eq!(ImageSet::parse(&"#".repeat(FILE_BYTES_MAX + 1)).unwrap_err()[0].code, "too-large");
    assert!(ImageSet::parse(&format!("a = {}", "[".repeat(100_000))).is_err());
}
