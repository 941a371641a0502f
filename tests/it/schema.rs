//! The JSON Schemas in `schema/` are those of this version, and agree with the readers.

use std::path::Path;
use std::{env, fs};

use sandbox_images::plan::event_schema::of_events;
use sandbox_images::spec::config::Config;
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::schema;
use serde_json::Value;

/// Checks that the file holds `text`; with `SANDBOX_IMAGES_BLESS=1` it is written instead.
#[track_caller]
fn check_file(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    if env::var("SANDBOX_IMAGES_BLESS").as_deref() == Ok("1") {
        fs::write(&path, text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "`schema/{name}` is not what `spec::schema` makes: look whether the change is meant, then run \
         `SANDBOX_IMAGES_BLESS=1 cargo test --test it schema`"
    );
}

/// Whether the schema allows `toml`.
fn allows(schema: &str, toml: &str) -> bool {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let value: Value = toml::from_str(toml).unwrap();
    jsonschema::validator_for(&schema).unwrap().is_valid(&value)
}

#[test]
fn the_schemas_of_this_version_are_in_the_repository() {
    check_file("sandbox-images.v1.schema.json", &schema::of_image_set());
    check_file("sandbox-images-lock.v1.schema.json", &schema::of_lock());
    check_file("config.v1.schema.json", &schema::of_config());
    check_file("output.v1.schema.json", &schema::of_output());
    check_file("events.v1.schema.json", &of_events());
}

/// Every key that `sandbox-images.toml` knows.
const COMPLETE: &str = include_str!("../data/image-sets/every-key.toml");

#[test]
fn the_schema_of_the_image_set_allows_what_the_reader_reads() {
    let schema = schema::of_image_set();
    for toml in ["", "images = {}", COMPLETE] {
        assert!(ImageSet::parse(toml).is_ok(), "{toml}");
        assert!(allows(&schema, toml), "{toml}");
    }
}

#[test]
fn the_schema_of_the_image_set_refuses_what_the_reader_refuses() {
    let schema = schema::of_image_set();
    for toml in [
        "image.a = 'a'",
        "images.Name = 'a'",
        "images.a = ['a']",
        "images.a = { groups = ['g'] }",
        "images.a = { image = 'a', platform = 'linux/amd64' }",
        "images.a = { image = 'a', platforms = [] }",
        "images.a = { image = 'a', platforms = ['amd64'] }",
        "manifest-version = 2",
        "requires-tool = '0.1'",
        "groups.ci = ['a']",
        "policy.require-digest = 'yes'",
        "registries.'docker.io'.mirrors = ['ftp://mirror.example']",
    ] {
        assert!(ImageSet::parse(toml).is_err(), "{toml}");
        assert!(!allows(&schema, toml), "{toml}");
    }
}

#[test]
fn the_schema_of_the_lock_allows_old_locks_and_the_documented_one() {
    let page = include_str!("../../docs/lockfile.md");
    let example = page.split("```").find_map(|block| block.strip_prefix("toml\n")).unwrap();
    let schema = schema::of_lock();
    for toml in [include_str!("../data/locks/v1.lock"), example, &Lock::new().render()] {
        assert!(Lock::parse(toml).is_ok(), "{toml}");
        assert!(allows(&schema, toml), "{toml}");
    }
}

#[test]
fn the_schema_of_the_lock_refuses_what_the_reader_refuses() {
    let schema = schema::of_lock();
    let lock = include_str!("../data/locks/v1.lock");
    for (right, wrong) in [
        ("version = 1\n", "version = 2\n"),
        ("version = 1\n", ""),
        ("digest = \"sha256:", "digest = \"sha512:"),
        ("type = \"tar", "type = \"rar"),
        ("size = ", "length = "),
        ("platform.\"linux/", "platform.\"linux-"),
    ] {
        let toml = lock.replacen(right, wrong, 1);
        assert!(toml != lock && Lock::parse(&toml).is_err(), "{wrong}");
        assert!(!allows(&schema, &toml), "{wrong}");
    }
}

/// Every example of the page about `config.toml`.
fn documented_configurations() -> impl Iterator<Item = &'static str> {
    let page = include_str!("../../docs/config.md");
    page.split("```").filter_map(|block| block.strip_prefix("toml\n"))
}

#[test]
fn the_schema_of_the_configuration_allows_what_is_documented() {
    let schema = schema::of_config();
    let mut keys = String::new();
    for toml in documented_configurations() {
        assert_eq!(Config::parse(toml).err(), None, "{toml}");
        assert!(allows(&schema, toml), "{toml}");
        keys.push_str(toml);
    }
    // All keys of the schema are in some example, and so are known to the reader.
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let network = &schema["definitions"]["Network"]["properties"];
    let registry = &schema["definitions"]["Registry"]["properties"];
    let limits = &schema["definitions"]["Limits"]["properties"];
    let gc = &schema["definitions"]["Gc"]["properties"];
    for properties in [&schema["properties"], network, registry, limits, gc] {
        for key in properties.as_object().unwrap().keys() {
            assert!(keys.contains(key), "`{key}` is in an example of `docs/config.md`");
        }
    }
}

#[test]
fn the_schema_of_the_configuration_refuses_what_the_reader_refuses() {
    let schema = schema::of_config();
    for toml in [
        "stroe = '/srv'",
        "store = '~/store'",
        "jobs = 0",
        "publish = 'microsandbox'",
        "publish = ['docker']",
        "publish = ['microsandbox=~/cache']",
        "network.tries = 0",
        "network.idle-timeout = 30",
        "network.idle-timeout = 'soon'",
        "limits.layer-max = 1",
        "limits.layers-max = '1'",
        "limits.layers-max = 65536",
        "limits.unpacked-bytes-max = 'lots'",
        "limits.ratio-max = 'none'",
        "gc.max-age = 30",
        "gc.max-age = 'soon'",
        "gc.max-size = 'lots'",
        "gc.auto = 'no'",
        "gc.age-max = '1d'",
        "registries.a.mirrors = ['ftp://mirror.example']",
        "registries.a.insecure = 'tls'",
        "registries.a.helper = '../x'",
        "registries.a.pasword = 'x'",
        "registries.a = { username = 'a:b', password = 'x' }",
    ] {
        assert!(Config::parse(toml).is_err(), "{toml}");
        assert!(!allows(&schema, toml), "{toml}");
    }
}
