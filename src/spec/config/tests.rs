use super::*;

/// Every kind of key there is.
const COMPLETE: &str = r#"
store = "/var/lib/sandbox-images"
allow-foreign-owner = true
keep-blobs = true
trust-lock = true
jobs = 4

[network]
connect-timeout = "10s"
idle-timeout = "1m 30s"
helper-timeout = "30s"
tries = 5
failures-per-registry = 30
retry-after-max = "2m"
bytes-per-second-min = 1024

[limits]
entries-max = 5_000_000
unpacked-bytes-max = "64GiB"
ratio-max = "unlimited"

[registries."registry.corp.example:5000"]
mirrors = ["https://mirror.corp.example/hub/", "http://127.0.0.1:5000"]
fallback = false
ca = "corp-ca.pem"
client-certificate = "client.pem"
client-key = "client.key"
username = "ann"
password-file = "/run/secrets/registry"

[registries."index.docker.io"]
helper = "ecr-login"

[registries."127.0.0.1:5000"]
insecure = "http"
anonymous = true

[registries."ghcr.io"]
insecure = "skip-verify"
identity-token = "hunter2"
"#;

fn placed(value: &str) -> Placed<String> {
    let quoted = format!("{value:?}");
    let start = COMPLETE.find(&quoted).unwrap();
    Placed { value: value.to_owned(), span: start..start + quoted.len() }
}

#[test]
fn a_complete_file_is_read() {
    let config = Config::parse(COMPLETE).unwrap();
    assert_eq!(config.store, Some(placed("/var/lib/sandbox-images")));
    assert!(config.allow_foreign_owner && config.keep_blobs && config.trust_lock);
    assert_eq!(config.jobs, NonZeroUsize::new(4));
    let Network { connect_timeout, idle_timeout, tries, retry_after_max, .. } = config.network;
    assert_eq!(connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(idle_timeout, Some(Duration::from_secs(90)));
    assert_eq!((tries, retry_after_max), (Some(5), Some(Duration::from_mins(2))));
    let expected = Limits {
        entries_max: 5_000_000,
        unpacked_bytes_max: 64 << 30,
        ratio_max: None,
        ..Limits::default()
    };
    assert_eq!(config.limits, expected);

    let corp = &config.registries["registry.corp.example:5000"];
    let mirrors: Vec<&str> =
        corp.mirrors.iter().flatten().map(|mirror| mirror.value.as_str()).collect();
    assert_eq!(mirrors, ["https://mirror.corp.example/hub", "http://127.0.0.1:5000"]);
    let client = corp.client.as_ref().unwrap();
    assert_eq!(client.certificate, placed("client.pem"));
    assert_eq!(client.key, Some(placed("client.key")));
    let password = SecretSource::File(placed("/run/secrets/registry"));
    let username = "ann".to_owned();
    assert_eq!(corp.credential, Some(Credential::Password { username, password }));

    let credential = |host: &str| config.registries[host].credential.clone().unwrap();
    assert_eq!(credential("docker.io"), Credential::Helper("ecr-login".to_owned()));
    assert_eq!(credential("127.0.0.1:5000"), Credential::Anonymous);
    assert_eq!(config.registries["127.0.0.1:5000"].insecure, Some(Insecure::Http));
    let secrets: Vec<&str> = config.secrets().map(|secret| secret.value.reveal()).collect();
    assert_eq!(secrets, ["hunter2"]);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(Config::parse(""), Ok(Config::default()));
    let config = Config::parse("[registries.'a.example']\nmirrors = []").unwrap();
    assert_eq!(config.registries["a.example"].mirrors, Some(Vec::new()), "said, and none");
}

/// What is wrong with `text`, a line each: code, the place as it may be shown, message and help.
fn problems(text: &str) -> Vec<String> {
    let shown = shown::shown(text);
    let line = |problem: &Diagnostic| {
        let place = problem.span.clone().map(|span| &shown[span]).unwrap_or_default();
        let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{} at `{place}`: {}{help}", problem.code, problem.message)
    };
    Config::parse(text).expect_err("the text has a problem").iter().map(line).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected);
}

#[test]
fn unknown_keys_are_shown_with_what_was_perhaps_meant() {
    check(
        "stroe = '/srv'\ncolour = true",
        &[
            "unknown-key at `stroe`: unknown key `stroe`; did you mean `store`?",
            "unknown-key at `colour`: unknown key `colour`; known keys here: `store`, `allow-foreign-owner`, `keep-blobs`, `trust-lock`, `jobs`, `publish`, `network`, `limits`, `gc`, `registries`",
        ],
    );
    check(
        "[limits]\nlayer-max = 3\n[network]\ntires = 3",
        &[
            "unknown-key at `layer-max`: unknown key `limits.layer-max`; did you mean `layers-max`?",
            "unknown-key at `tires`: unknown key `network.tires`; did you mean `tries`?",
        ],
    );
    check(
        "[registries.'a.example']\npasword = 'hunter2'",
        &[
            "unknown-key at `pasword`: unknown key `registries.a.example.pasword`; did you mean `password`?",
        ],
    );
}

#[test]
fn values_are_checked_where_they_stand() {
    check(
        "store = '~/store'\njobs = 0",
        &[
            "invalid-value at `'~/store'`: `~` does not stand for a directory here: write the whole path",
            "invalid-value at `0`: `jobs` is from 1 to 1024",
        ],
    );
    check(
        "[network]\nconnect-timeout = '0s'\nidle-timeout = 30\nretry-after-max = '36h'\ntries = 0\nbytes-per-second-min = -1",
        &[
            "invalid-value at `'0s'`: `network.connect-timeout` is longer than nothing",
            "wrong-type at `30`: `network.idle-timeout` is an integer, not a string",
            "invalid-value at `'36h'`: a duration is from 0 to 24 hours",
            "invalid-value at `0`: `tries` is from 1 to 1000000",
            "invalid-value at `-1`: `network.bytes-per-second-min` is not from 0 to 2⁶⁴−1",
        ],
    );
    check(
        "[limits]\nentries-max = 0\nlayers-max = '3'\nunpacked-bytes-max = 'lots'\nratio-max = 'none'\nxattr-value-bytes-max = '1MiB'",
        &[
            "invalid-value at `0`: `limits.entries-max` is from 1 to 2147483648",
            "wrong-type at `'3'`: `limits.layers-max` is a string, not an integer",
            "invalid-value at `'lots'`: a size is a number of bytes, or written like `64GiB`",
            "invalid-value at `'none'`: a ratio is a number, or `unlimited`",
            "invalid-value at `'1MiB'`: `limits.xattr-value-bytes-max` is from 1 to 65535",
        ],
    );
    check(
        "[registries]\n'a b' = {}\n'docker.io' = {}\n'index.docker.io' = {}",
        &[
            "invalid-value at ` b`: the registry is not a host name",
            "invalid-value at `'index.docker.io'`: registry `docker.io` is named twice",
        ],
    );
    check(
        "[registries.'ann:hunter2@a.example']\nx = 1",
        &[
            "invalid-value at `*****************`: the registry's port is not a number from 1 to 65535",
        ],
    );
    check(
        "[registries.a]\nmirrors = ['https://ann:hunter2@m.example', 'https://m.example']\ninsecure = 'tls'",
        &[
            "invalid-value at `*******************************`: a mirror is `https://HOST[:PORT][/PATH]`, without user name and query",
            "invalid-value at `'tls'`: `insecure` is `http` (no TLS) or `skip-verify` (any certificate)",
        ],
    );
}

#[test]
fn a_registry_is_shown_one_credential() {
    let check = |text: &str, expected: &str| {
        assert_eq!(problems(&format!("[registries.'a.example']\n{text}")).join("\n"), expected);
    };
    check(
        "username = 'ann'",
        "missing-key at `username`: there is a user name and no password; write its password to a file and name that with `password-file`",
    );
    check(
        "password = 'hunter2'",
        "missing-key at `password`: `password` has no `username` beside it",
    );
    check(
        "username = 'a:b'\npassword = ''",
        "invalid-value at `'a:b'`: a user name is not empty and has no `:`\ninvalid-value at `**`: `password` is empty",
    );
    check(
        "username = 'ann'\npassword = 'hunter2'\nhelper = 'x'",
        "conflicting-keys at `helper`: `password` and `helper` exclude each other; one registry is shown one credential: keep one of them",
    );
    check(
        "username = 'ann'\nidentity-token = 'hunter2'",
        "conflicting-keys at `username`: `username` and `identity-token` exclude each other; a user name goes with `password` or `password-file`",
    );
    check(
        "helper = '../x'",
        "invalid-value at `'../x'`: a helper is named like `ecr-login` of `docker-credential-ecr-login`",
    );
}

#[test]
fn certificates_need_tls() {
    let check = |text: &str, expected: &str| {
        assert_eq!(problems(&format!("[registries.'a.example']\n{text}")).join("\n"), expected);
    };
    check(
        "insecure = 'http'\nclient-certificate = 'b'",
        "conflicting-keys at `client-certificate`: `client-certificate` and `insecure = \"http\"` exclude each other",
    );
    check(
        "insecure = 'skip-verify'\nca = 'a'",
        "conflicting-keys at `ca`: `ca` and `insecure = \"skip-verify\"` exclude each other",
    );
    check(
        "client-key = 'b'",
        "missing-key at `client-key`: `client-key` has no `client-certificate` beside it",
    );
}

#[test]
fn a_broken_file_shows_no_secret() {
    for text in [
        "password = 'hunter2",
        "password = hunter2",
        "password 'hunter2'",
        "password: hunter2",
        "= hunter2",
        "[registries.a] password = 'hunter2'",
        "[registries.a\npassword = \"hunter2\\q\"",
        "password = '''\nhunter2",
        "password = 'x'\npassword = 'hunter2'",
        "password = 1 hunter2",
        "password = { hunter2 }",
    ] {
        let said = problems(text).join("\n");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!shown::shown(text).contains("hunter2"), "{text}");
    }
}

#[test]
fn a_hostile_file_gives_a_page_of_problems_at_most() {
    let lines: Vec<String> = (0..10_000).map(|key| format!("k{key} = 1")).collect();
    assert_eq!(Config::parse(&lines.join("\n")).unwrap_err().len(), 100);
    let large = "#".repeat(FILE_BYTES_MAX + 1);
    assert_eq!(Config::parse(&large).unwrap_err()[0].code, "too-large");
}
