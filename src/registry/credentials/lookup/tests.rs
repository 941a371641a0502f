//! Who decides what is shown.

#![expect(clippy::disallowed_methods, reason = "tests write the files that they look into")]

use super::*;
use crate::secret::Secret;

const ANN: &str = r#"{"auths":{"r.example":{"username":"ann","password":"pw"}}}"#;
const BOB: &str = r#"{"auths":{"r.example":{"username":"bob","password":"pw"}}}"#;

fn login(user: &str) -> Credential {
    Credential::Password { user: user.to_owned(), password: Secret::new("pw") }
}

/// Looks into files with these contents; the names of the files are their numbers.
async fn found(given: Option<Given>, contents: &[&str]) -> Lookup {
    let directory = tempfile::tempdir().unwrap();
    let path = |number: usize| directory.path().join(number.to_string());
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(path(number), content).unwrap();
    }
    // One more than there are: a file that does not exist holds nothing.
    let files: Vec<PathBuf> = (0..=contents.len()).map(path).collect();
    let reference = "r.example/team/app:1".parse().unwrap();
    let timeout = Duration::from_secs(10);
    let mut lookup = look_up(&reference, given.as_ref(), &files, timeout).await;
    if let Origin::File(path) | Origin::Helper { named_by: path, .. } = &mut lookup.origin {
        *path = path.file_name().unwrap().into();
    }
    lookup
}

#[tokio::test]
async fn the_first_file_that_holds_something_decides() {
    let expected = |user, number: &str| Lookup {
        credential: Some(login(user)),
        origin: Origin::File(number.into()),
        problems: Vec::new(),
    };
    assert_eq!(found(None, &[ANN, BOB]).await, expected("ann", "0"));
    assert_eq!(found(None, &["{}", BOB]).await, expected("bob", "1"));
    let nobody = Lookup { credential: None, origin: Origin::Nobody, problems: Vec::new() };
    assert_eq!(found(None, &["{}"]).await, nobody);
}

#[tokio::test]
async fn what_is_given_decides_alone() {
    let given = found(Some(Given::Credential(login("eve"))), &[ANN]).await;
    assert_eq!((given.credential, given.origin), (Some(login("eve")), Origin::Given));
    let nothing = found(Some(Given::Nothing), &[ANN]).await;
    assert_eq!((nothing.credential, nothing.origin), (None, Origin::Given));
    let missing = found(Some(Given::Helper("of-nobody".to_owned())), &[ANN]).await;
    assert_eq!(missing.credential, None);
    assert_eq!(missing.origin, Origin::GivenHelper("of-nobody".to_owned()));
    assert_eq!(missing.problems, ["cannot run `docker-credential-of-nobody`"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over_and_told() {
    let hidden = r#"{"auths":{"r.example":"hunter2"}}"#;
    let helper = r#"{"credHelpers":{"r.example":"of-nobody"}}"#;
    let lookup = found(None, &[hidden, helper, BOB]).await;
    assert_eq!(lookup.credential, Some(login("bob")));
    assert_eq!(lookup.problems.len(), 2, "{:?}", lookup.problems);
    assert!(!lookup.problems.concat().contains("hunter2"));
}
