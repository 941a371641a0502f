//! Files of credentials in all the forms that programs and people write: what is shown to whom, which
//! helper is asked, and what is told where nothing can be read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox_images::oci::reference::Reference;
use sandbox_images::registry::credentials::lookup::{Lookup, look_up};
use sandbox_images::registry::credentials::{Credential, CredentialFile, Source};

/// A file's content, where `<<x>>` is the base64 of `x`; a reference; and where the lookup leads, in order:
/// `user:password`, `identity T`, `token T`, `ask HELPER for SERVER`, `unusable KEY`.
type Row = (&'static str, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const ENTRIES: &[Row] = &[
    // The key is the host, as references name it.
    (r#"{"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "s.example/a", &[]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "sub.r.example/a", &[]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example:5000/a", &[]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example:443/a", &[]),
    (r#"{"auths":{"r.example:5000":{"auth":"<<ann:pw>>"}}}"#, "r.example:5000/a", &["ann:pw"]),
    (r#"{"auths":{"r.example:5000":{"auth":"<<ann:pw>>"}}}"#, "r.example:5001/a", &[]),
    (r#"{"auths":{"r.example:5000":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"R.Example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"[::1]:5000":{"auth":"<<ann:pw>>"}}}"#, "[::1]:5000/a", &["ann:pw"]),
    (r#"{"auths":{"*.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    // The key is a URL, as old programs wrote it.
    (r#"{"auths":{"https://r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"https://r.example/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"https://r.example/v1/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"https://r.example/v2/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"http://r.example:80/v2/":{"auth":"<<ann:pw>>"}}}"#, "r.example:80/a", &["ann:pw"]),
    (r#"{"auths":{"r.example/v1/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"https://r.example:5000/v2/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"https://evil.example/r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"https://r.example@evil.example/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"https://r.example.evil/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"ftp://r.example/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"https://r.example/":{"auth":"<<bob:1>>"},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    // The key is a repository or a part of its name.
    (r#"{"auths":{"r.example/a":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example/a":{"auth":"<<ann:pw>>"}}}"#, "r.example/a/b/c:1", &["ann:pw"]),
    (r#"{"auths":{"r.example/a":{"auth":"<<ann:pw>>"}}}"#, "r.example/ab", &[]),
    (r#"{"auths":{"r.example/a":{"auth":"<<ann:pw>>"}}}"#, "r.example/b", &[]),
    (r#"{"auths":{"r.example/a/b":{"auth":"<<bob:1>>"},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a/b", &["bob:1"]),
    (r#"{"auths":{"r.example/a/b":{"auth":"<<bob:1>>"},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a/c", &["ann:pw"]),
    (r#"{"auths":{"r.example/a":{"auth":"<<bob:1>>"},"r.example/a/b":{"auth":"<<eve:2>>"}}}"#, "r.example/a/b/c", &["eve:2"]),
    (r#"{"auths":{"r.example/a/":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"r.example:5000/a":{"auth":"<<ann:pw>>"}}}"#, "r.example:5000/a/b", &["ann:pw"]),
    (r#"{"auths":{"docker.io/library":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"docker.io/acme":{"auth":"<<ann:pw>>"}}}"#, "alpine", &[]),
    // Docker Hub has several names.
    (r#"{"auths":{"https://index.docker.io/v1/":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"https://index.docker.io/v2/":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"index.docker.io":{"auth":"<<ann:pw>>"}}}"#, "acme/tool", &["ann:pw"]),
    (r#"{"auths":{"index.docker.io/v1/":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"docker.io":{"auth":"<<ann:pw>>"}}}"#, "index.docker.io/acme/tool", &["ann:pw"]),
    (r#"{"auths":{"https://docker.io":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"registry-1.docker.io":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"https://registry-1.docker.io/v2/":{"auth":"<<ann:pw>>"}}}"#, "alpine", &["ann:pw"]),
    (r#"{"auths":{"hub.docker.com":{"auth":"<<ann:pw>>"}}}"#, "alpine", &[]),
    (r#"{"auths":{"https://index.docker.io/v1/":{"auth":"<<ann:pw>>"}}}"#, "ghcr.io/a", &[]),
    (r#"{"auths":{"docker.io":{"auth":"<<ann:pw>>"},"https://index.docker.io/v1/":{"auth":"<<bob:1>>"}}}"#, "alpine", &["ann:pw"]),
    // What an entry may hold.
    (r#"{"auths":{"r.example":{"auth":"<<ann:p:w:>>"}}}"#, "r.example/a", &["ann:p:w:"]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:>>"}}}"#, "r.example/a", &["ann:"]),
    (r#"{"auths":{"r.example":{"auth":"<<:pw>>"}}}"#, "r.example/a", &[":pw"]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:pässwört>>"}}}"#, "r.example/a", &["ann:pässwört"]),
    ("{\"auths\":{\"r.example\":{\"auth\":\"<<ann:pw\0\0>>\"}}}", "r.example/a", &["ann:pw"]),
    ("{\"auths\":{\"r.example\":{\"auth\":\"<<ann:\0pw>>\"}}}", "r.example/a", &["ann:pw"]),
    ("{\"auths\":{\"r.example\":{\"auth\":\"<<ann:p\nw>>\"}}}", "r.example/a", &["ann:p\nw"]),
    (r#"{"auths":{"r.example":{"auth":"YW5u\r\nOnB3\n"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"auth":" <<ann:pw>> "}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"username":"ann","password":"pw"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"username":"bob","password":"1","auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"auth":"<<ann:pw>>","email":"ann@example.org"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"identitytoken":"T"}}}"#, "r.example/a", &["identity T"]),
    (r#"{"auths":{"r.example":{"auth":"<<00000000-0000-0000-0000-000000000000:>>","identitytoken":"T"}}}"#, "r.example/a", &["identity T"]),
    (r#"{"auths":{"r.example":{"auth":"<<<token>:T>>"}}}"#, "r.example/a", &["identity T"]),
    (r#"{"auths":{"r.example":{"username":"<token>","password":"T"}}}"#, "r.example/a", &["identity T"]),
    (r#"{"auths":{"r.example":{"registrytoken":"T"}}}"#, "r.example/a", &["token T"]),
    (r#"{"auths":{"r.example":{"registrytoken":"T","identitytoken":"I","auth":"<<ann:pw>>"}}}"#, "r.example/a", &["token T"]),
    (r#"{"auths":{"r.example":{"registrytoken":"","identitytoken":"","auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    (r#"{"auths":{"r.example":{"auth":"<<bob:1>>"},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    // Entries that hold nothing are passed over.
    (r#"{"auths":{"r.example":{}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"r.example":null}}"#, "r.example/a", &[]),
    (r#"{"auths":{"r.example":{"auth":""}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"r.example":{"auth":null,"username":null,"password":null}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"r.example":{"email":"ann@example.org"}}}"#, "r.example/a", &[]),
    (r#"{"auths":{"r.example/a":{},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw"]),
    // Entries that hold something else are told, and passed over.
    (r#"{"auths":{"r.example":{"auth":"<<ann>>"}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example":{"auth":"<<:>>"}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example":{"auth":"ann:pw"}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example":{"auth":"YW5uOnB3YQ"}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example":{"auth":"//86/w=="}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example":{"username":"ann"}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example":{"password":"pw"}}}"#, "r.example/a", &["unusable r.example"]),
    (r#"{"auths":{"r.example/a":{"auth":"?"},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["unusable r.example/a", "ann:pw"]),
    (r#"{"auths":{"r.example/a":{"auth":"?"},"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/b", &["ann:pw"]),
];

#[rustfmt::skip]
const HELPERS: &[Row] = &[
    (r#"{"credsStore":"all"}"#, "r.example:5000/a", &["ask all for r.example:5000"]),
    (r#"{"credsStore":"all"}"#, "alpine", &["ask all for https://index.docker.io/v1/"]),
    (r#"{"credHelpers":{"r.example":"own"}}"#, "r.example/a", &["ask own for r.example"]),
    (r#"{"credHelpers":{"r.example":"own"}}"#, "s.example/a", &[]),
    (r#"{"credHelpers":{"r.example:5000":"own"}}"#, "r.example/a", &[]),
    (r#"{"credHelpers":{"docker.io":"own"}}"#, "alpine", &["ask own for https://index.docker.io/v1/"]),
    (r#"{"credHelpers":{"index.docker.io":"own"}}"#, "alpine", &["ask own for https://index.docker.io/v1/"]),
    (r#"{"credHelpers":{"https://index.docker.io/v1/":"own"}}"#, "alpine", &["ask own for https://index.docker.io/v1/"]),
    (r#"{"credHelpers":{"r.example":"own"},"credsStore":"all"}"#, "r.example/a", &["ask own for r.example"]),
    (r#"{"credHelpers":{"r.example":"own"},"credsStore":"all"}"#, "s.example/a", &["ask all for s.example"]),
    (r#"{"credHelpers":{"r.example":""},"credsStore":"all"}"#, "r.example/a", &[]),
    (r#"{"credHelpers":{"r.example":"own"},"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ask own for r.example", "ann:pw"]),
    (r#"{"credsStore":"all","auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#, "r.example/a", &["ann:pw", "ask all for r.example"]),
    (r#"{"credsStore":"all","auths":{"r.example":{}}}"#, "r.example/a", &["ask all for r.example"]),
    (r#"{"credsStore":"all","auths":{"r.example":{"auth":"?"}}}"#, "r.example/a", &["unusable r.example", "ask all for r.example"]),
    (r#"{"credsStore":""}"#, "r.example/a", &[]),
    (r#"{"credsStore":null,"credHelpers":null,"auths":null}"#, "r.example/a", &[]),
    // Files that hold nothing of this kind.
    ("", "r.example/a", &[]),
    (" \n", "r.example/a", &[]),
    ("{}", "r.example/a", &[]),
    (r#"{"auths":{}}"#, "r.example/a", &[]),
    (r#"{"HttpHeaders":{"User-Agent":"x"},"detachKeys":"ctrl-a","proxies":{}}"#, "r.example/a", &[]),
];

/// Contents that are not such a file, and the line where that is seen.
#[rustfmt::skip]
const BROKEN: &[(&[u8], &str)] = &[
    (b"{", "line 1"),
    (b"hunter2", "line 1"),
    (b"[]", "line 1"),
    (b"null", "line 1"),
    (b"\"hunter2\"", "line 1"),
    (b"\xef\xbb\xbf{}", "line 1"),
    (b"\xff\xfe{\0}\0", "line 1"),
    (b"{}\n{}", "line 2"),
    (b"{\"auths\":{\"r.example\":{\"auth\":\"hunter2\"}},}", "line 1"),
    (b"{\"auths\":{\"r.example\":\"hunter2\"}}", "line 1"),
    (b"{\"auths\":{\"r.example\":{\"auth\":7}}}", "line 1"),
    (b"{\"auths\":{\"r.example\":{\"auth\":[\"hunter2\"]}}}", "line 1"),
    (b"{\"auths\":{\"r.example\":{\"auth\":\"hunter2\",\"auth\":\"x\"}}}", "line 1"),
    (b"{\"auths\":[\"hunter2\"]}", "line 1"),
    (b"{\"auths\":\"hunter2\"}", "line 1"),
    (b"{\"credsStore\":7}", "line 1"),
    (b"{\"credHelpers\":{\"r.example\":7}}", "line 1"),
    (b"{\"auths\":{\"r.example\":{\"auth\":\"\xff\"}}}", "line 1"),
];

/// A row's content with the base64 that `<<x>>` stands for.
fn content_of(row: &str) -> String {
    let mut content = String::new();
    let mut rest = row;
    while let Some((before, (plain, after))) =
        rest.split_once("<<").and_then(|(before, rest)| Some((before, rest.split_once(">>")?)))
    {
        content += before;
        content += &STANDARD.encode(plain);
        rest = after;
    }
    content + rest
}

/// Where a lookup leads, in a row's words.
fn words(source: &Source) -> String {
    match source {
        Source::Stored(Credential::Password { user, password }) => {
            format!("{user}:{}", password.reveal())
        }
        Source::Stored(Credential::IdentityToken(token)) => format!("identity {}", token.reveal()),
        Source::Stored(Credential::RegistryToken(token)) => format!("token {}", token.reveal()),
        Source::Helper { name, server } => format!("ask {name} for {server}"),
        Source::Unusable(key) => format!("unusable {key}"),
    }
}

#[test]
fn each_form_leads_to_its_credential_or_helper() {
    let mut wrong = Vec::new();
    for &(content, reference, expected) in ENTRIES.iter().chain(HELPERS) {
        let file = CredentialFile::parse(content_of(content).as_bytes());
        let file = file.unwrap_or_else(|error| panic!("{content}: {error}"));
        let reference: Reference = reference.parse().expect("a reference");
        let found: Vec<String> = file.find(&reference).iter().map(words).collect();
        if found != expected {
            wrong.push((content, reference, found, expected));
        }
    }
    assert!(wrong.is_empty(), "content, reference, found, expected: {wrong:#?}");
}

#[test]
fn each_broken_form_is_told_with_its_place_and_nothing_of_its_content() {
    for (content, place) in BROKEN {
        let shown = String::from_utf8_lossy(content);
        let error = CredentialFile::parse(content).expect_err(&shown);
        let text = format!("{error}");
        assert!(text.contains(&format!("expected JSON at {place}, column ")), "{shown}: {text}");
        assert!(!format!("{text} {error:?}").contains("hunter2"), "{shown}: {text}");
    }
}

/// Looks into what is at `path`.
async fn look_into(path: PathBuf) -> Lookup {
    let reference = "r.example/a".parse().expect("a reference");
    look_up(&reference, None, &[path], Duration::from_secs(10)).await
}

/// What is at a path, and what the lookup there says; nothing, where it finds `ann:pw`.
async fn check(make: impl FnOnce(&Path), expected: Option<&str>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.json");
    make(&path);
    let lookup = look_into(path.clone()).await;
    let shown = path.display().to_string();
    let problems: Vec<String> =
        lookup.problems.iter().map(|problem| problem.replace(&shown, "FILE")).collect();
    match expected {
        Some(problem) => {
            assert_eq!((lookup.credential, problems), (None, vec![problem.to_owned()]));
        }
        None => assert_eq!(
            (lookup.credential.map(|it| words(&Source::Stored(it))), problems),
            (Some("ann:pw".to_owned()), Vec::new())
        ),
    }
}

fn good() -> String {
    content_of(r#"{"auths":{"r.example":{"auth":"<<ann:pw>>"}}}"#)
}

#[tokio::test]
async fn what_is_no_readable_file_is_told() {
    check(|path| fs::write(path, good()).unwrap(), None).await;
    let directory = Some("cannot read `FILE`: Is a directory (os error 21)");
    check(|path| fs::create_dir(path).unwrap(), directory).await;
    let below_a_file = Some("cannot read `FILE`: Too many levels of symbolic links (os error 40)");
    check(|path| symlink(path, path).unwrap(), below_a_file).await;
    let long = Some("cannot read `FILE`: it is longer than 1048576 bytes");
    check(|path| fs::write(path, vec![b' '; 10 << 20]).unwrap(), long).await;
    check(|path| fs::write(path, good() + &" ".repeat(10 << 20)).unwrap(), long).await;
    let padded = good().len();
    check(|path| fs::write(path, good() + &" ".repeat((1 << 20) - padded)).unwrap(), None).await;
    let broken = "cannot read `FILE`: credentials are not the expected JSON at line 1, column 9";
    check(|path| fs::write(path, "\"hunter2\"").unwrap(), Some(broken)).await;
    let unusable =
        "the entry `r.example` in `FILE` holds neither a user with a password nor a token";
    let entry = r#"{"auths":{"r.example":{"auth":"hunter2"}}}"#;
    check(|path| fs::write(path, entry).unwrap(), Some(unusable)).await;
    let helper = r#"{"credsStore":"../../bin/sh"}"#;
    let named = "`../../bin/sh` is not the name of a credential helper";
    check(|path| fs::write(path, helper).unwrap(), Some(named)).await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let forbid = |path: &Path| {
        fs::write(path, good()).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
    };
    // Nothing is forbidden to root.
    let is_root = rustix::process::geteuid().is_root();
    let told = "cannot read `FILE`: Permission denied (os error 13)";
    check(forbid, (!is_root).then_some(told)).await;
}

#[tokio::test]
async fn files_that_do_not_exist_are_not_worth_a_word() {
    let nobody = look_into("/nowhere/config.json".into()).await;
    assert_eq!((nobody.credential, nobody.problems), (None, Vec::new()));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.json");
    symlink("nowhere", &path).unwrap();
    let dangling = look_into(path).await;
    assert_eq!((dangling.credential, dangling.problems), (None, Vec::new()));
}
