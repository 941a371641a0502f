//! `config.toml` as a schema sees it.

#![expect(dead_code, reason = "of these types only the schema is used")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::layer::limits::Limits as Values;
use crate::spec::config::limits::{LIMITS, Limit, Unit};

/// What holds for one user on one machine, whatever the project. Relative paths start at this file's
/// directory.
#[derive(JsonSchema)]
#[schemars(title = "config.toml", deny_unknown_fields)]
pub(super) struct Config {
    /// Where the store is. `--store` and `SANDBOX_IMAGES_STORE` are stronger.
    store: Option<Path>,
    /// Whether the store may be added to even if it belongs to another user.
    #[schemars(rename = "allow-foreign-owner", extend("default" = false))]
    allow_foreign_owner: Option<bool>,
    /// Whether compressed layers stay in the store beside what is built of them.
    #[schemars(rename = "keep-blobs", extend("default" = false))]
    keep_blobs: Option<bool>,
    /// Whether a lock is believed without index and manifest: of each image only the config is fetched, and
    /// compared.
    #[schemars(rename = "trust-lock", extend("default" = false))]
    trust_lock: Option<bool>,
    /// How many layers are worked on at once; by default, twice the processors, from 4 to 16. `-j` and
    /// `SANDBOX_IMAGES_CONCURRENCY` are stronger.
    #[schemars(range(min = 1, max = 1024))]
    jobs: Option<u64>,
    /// Where `sync` publishes to, unless `--publish` is given: `microsandbox`, or `microsandbox=DIR`.
    publish: Option<Vec<Target>>,
    /// How the network is used.
    network: Option<Network>,
    /// What layers and images may hold.
    limits: Option<Limits>,
    /// What `gc` keeps of what nobody wants, and whether `sync` collects.
    gc: Option<Gc>,
    /// What is special about single registries, by host and perhaps port.
    registries: Option<BTreeMap<String, Registry>>,
}

/// A path. `~` has no meaning in it.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^([^~]|~[^/])", "maxLength" = 4096))]
struct Path(String);

/// A program that images are published to, and perhaps its directory.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^microsandbox(=([^~]|~[^/]).*)?$"))]
struct Target(String);

/// A duration such as `30s`, `10m` or `1h 30m`, at most 24 hours.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = r"[0-9]\s*[A-Za-z]"))]
struct Duration(String);

/// What `gc` keeps of what nobody wants, and whether `sync` collects.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Gc {
    /// What was used more lately than this ago stays: `12h`, `30d`, `2w`. Without any limit, nothing stays.
    #[schemars(extend("pattern" = r"[0-9]\s*[A-Za-z]"))]
    max_age: Option<String>,
    /// The store may have as many bytes.
    max_size: Option<Size>,
    /// Whether `sync` takes what its project dropped over a week ago and nobody else wants.
    #[schemars(extend("default" = true))]
    auto: Option<bool>,
}

/// A number of bytes, or a size such as `64GiB`.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
enum Size {
    /// Bytes.
    Bytes(u64),
    /// With a unit.
    Written(Written),
}

/// A number and perhaps a unit.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = r"^[0-9.]+\s*([KMGTPkmgtp][Ii]?)?[Bb]?$"))]
struct Written(String);

/// How the network is used.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Network {
    /// How long a connection may take to be made.
    #[schemars(extend("default" = "10s"))]
    connect_timeout: Option<Duration>,
    /// How long the next bytes may take to come.
    #[schemars(extend("default" = "30s"))]
    idle_timeout: Option<Duration>,
    /// How long a credential helper may take to answer.
    #[schemars(extend("default" = "30s"))]
    helper_timeout: Option<Duration>,
    /// Tries of one request without progress.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 5))]
    tries: Option<u64>,
    /// Failures of one registry in a run.
    #[schemars(range(max = 1_000_000), extend("default" = 30))]
    failures_per_registry: Option<u64>,
    /// The longest pause that a registry may ask for. For a longer one the command fails at once.
    #[schemars(extend("default" = "2m"))]
    retry_after_max: Option<Duration>,
    /// Bytes a second below which, over a minute, a transfer is given up and made again; 0 accepts any.
    #[schemars(range(max = 1_099_511_627_776_u64), extend("default" = 1024))]
    bytes_per_second_min: Option<u64>,
}

/// How one registry is reached and what it is shown: `username` with `password` or `password-file`, or an
/// identity token, or a helper, or nothing.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Registry {
    /// Base URLs to ask before the registry, in order; they replace those of a project.
    mirrors: Option<Vec<Mirror>>,
    /// Whether the registry itself is asked where there are mirrors.
    #[schemars(extend("default" = true))]
    fallback: Option<bool>,
    /// `http`: there is no TLS. `skip-verify`: any certificate will do.
    insecure: Option<Insecure>,
    /// Certificates, in PEM, of authorities that are trusted beside the system's.
    ca: Option<Path>,
    /// The client's certificate, in PEM, and perhaps its key.
    client_certificate: Option<Path>,
    /// The client's key, in PEM, if it has a file of its own.
    client_key: Option<Path>,
    /// The user's name.
    #[schemars(regex(pattern = r"^[^:\x00-\x1f]+$"))]
    username: Option<String>,
    /// The password itself. Better is `password-file`.
    #[schemars(length(min = 1))]
    password: Option<String>,
    /// The file that holds the password.
    password_file: Option<Path>,
    /// The identity token itself. Better is `identity-token-file`.
    #[schemars(length(min = 1))]
    identity_token: Option<String>,
    /// The file that holds the identity token.
    identity_token_file: Option<Path>,
    /// NAME of the program `docker-credential-NAME` that holds the credential.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"))]
    helper: Option<String>,
    /// `true`: nothing is shown, whatever other programs have stored.
    #[schemars(extend("default" = false))]
    anonymous: Option<bool>,
}

/// What of the protection of TLS is given up.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Insecure {
    Http,
    SkipVerify,
}

/// `https://HOST[:PORT][/PATH]`, without user name and query.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = r"^https?://[^\s?#@]+$"))]
struct Mirror(String);

/// All limits, from the table that the reader reads by.
struct Limits;

impl JsonSchema for Limits {
    fn schema_name() -> Cow<'static, str> {
        "Limits".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> =
            LIMITS.iter().map(|limit| (limit.key.to_owned(), of_limit(limit))).collect();
        json_schema!({
            "description": "What layers and images may hold.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn of_limit(limit: &Limit) -> Value {
    let number = json!({ "type": "integer", "minimum": 1, "maximum": limit.max });
    let default = limit.value(&Values::default());
    match limit.unit {
        Unit::Count => {
            let mut schema = number;
            schema["default"] = json!(default);
            schema
        }
        Unit::Bytes => {
            let size =
                json!({ "type": "string", "pattern": r"^[0-9.]+\s*([KMGTPkmgtp][Ii]?)?[Bb]?$" });
            json!({ "anyOf": [number, size], "default": default })
        }
        Unit::Ratio => {
            json!({ "anyOf": [number, { "const": "unlimited" }], "default": default })
        }
    }
}
