//! The forms that Docker, Podman and their helpers write.

use super::*;

fn find(json: &str, reference: &str) -> Vec<Source> {
    let file = CredentialFile::parse(json.as_bytes()).unwrap();
    file.find(&Reference::parse(reference, "docker.io").unwrap())
}

fn login(user: &str, password: &str) -> Source {
    Source::Stored(Credential::from_login(user.to_owned(), password.to_owned()))
}

fn auth(user: &str, password: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn docker_hub_is_found_under_each_of_its_names() {
    for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io"] {
        let json = format!(r#"{{"auths":{{"{key}":{}}}}}"#, auth("ann", "pa:ss"));
        assert_eq!(find(&json, "alpine"), [login("ann", "pa:ss")], "{key}");
        assert_eq!(find(&json, "ghcr.io/a/b"), [], "{key}");
    }
}

#[test]
fn the_most_special_entry_wins() {
    let json = format!(
        r#"{{"auths":{{"quay.io":{},"quay.io/acme":{},"quay.io/acme/tool":{}}}}}"#,
        auth("all", "1"),
        auth("acme", "2"),
        auth("tool", "3")
    );
    assert_eq!(find(&json, "quay.io/acme/tool"), [login("tool", "3")]);
    assert_eq!(find(&json, "quay.io/acme/tools"), [login("acme", "2")]);
    assert_eq!(find(&json, "quay.io/acmes/x"), [login("all", "1")]);
}

#[test]
fn a_url_as_key_stands_for_its_host() {
    let json = format!(r#"{{"auths":{{"https://reg.example:5000/v2/":{}}}}}"#, auth("a", "b"));
    assert_eq!(find(&json, "reg.example:5000/x"), [login("a", "b")]);
    assert_eq!(find(&json, "reg.example/x"), []);
}

#[test]
fn tokens_and_plain_fields_are_understood() {
    let one = |entry: &str| {
        let json = format!(r#"{{"auths":{{"r.example":{entry}}}}}"#);
        find(&json, "r.example/x")
    };
    let stored = |credential| vec![Source::Stored(credential)];
    let identity = Credential::IdentityToken(Secret::new("t"));
    assert_eq!(one(r#"{"auth":"YTpi","identitytoken":"t"}"#), stored(identity.clone()));
    assert_eq!(one(r#"{"username":"<token>","password":"t"}"#), stored(identity));
    assert_eq!(
        one(r#"{"registrytoken":"t"}"#),
        stored(Credential::RegistryToken(Secret::new("t")))
    );
    assert_eq!(one(r#"{"username":"a","password":"b"}"#), [login("a", "b")]);
    for empty in ["{}", "null", r#"{"auth":""}"#] {
        assert_eq!(one(empty), [], "{empty}");
    }
    for unusable in [r#"{"auth":"%%%"}"#, r#"{"auth":"YQ=="}"#] {
        assert_eq!(one(unusable), [Source::Unusable("r.example".to_owned())], "{unusable}");
    }
}

#[test]
fn helpers_stand_before_and_after_the_entries() {
    let json = format!(
        r#"{{"auths":{{"r.example":{}}},"credHelpers":{{"r.example":"own"}},"credsStore":"all"}}"#,
        auth("a", "b")
    );
    let helper = |name: &str, server: &str| Source::Helper {
        name: name.to_owned(),
        server: server.to_owned(),
    };
    assert_eq!(find(&json, "r.example/x"), [helper("own", "r.example"), login("a", "b")]);
    let others = json.replacen("r.example", "other.example", 2);
    assert_eq!(find(&others, "r.example/x"), [helper("all", "r.example")]);
    assert_eq!(find(&json, "alpine"), [helper("all", "https://index.docker.io/v1/")]);
}

#[test]
fn no_content_of_a_file_is_shown() {
    let error = CredentialFile::parse(br#"{"auths":{"x":"hunter2"}}"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let json = format!(r#"{{"auths":{{"x.example":{}}}}}"#, auth("a", "hunter2"));
    let file = CredentialFile::parse(json.as_bytes()).unwrap();
    let found = find(&json, "x.example/y");
    let shown = format!("{file:?} {found:?}");
    assert!(!shown.contains("hunter2") && !shown.contains(&STANDARD.encode("a:hunter2")));
}

#[test]
fn nothing_is_found_in_files_that_hold_nothing() {
    for json in
        ["{}", r#"{"auths":null,"credHelpers":null,"credsStore":""}"#, r#"{"HttpHeaders":{}}"#]
    {
        assert_eq!(find(json, "alpine"), [], "{json}");
    }
}

#[tokio::test]
async fn a_helpers_name_is_not_a_path() {
    for name in ["", "../x", "-x", "a b", "a/b"] {
        let asked = helper::ask(name, "x", std::time::Duration::from_secs(1)).await;
        assert!(matches!(asked, Err(helper::HelperError::Name(_))), "{name}");
    }
}
