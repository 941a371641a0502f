use super::*;
use crate::plan::artifact::Artifact;
use crate::plan::sweep::{Holdings, Limits};
use crate::store::lease::Lease;

const DAY: u64 = 24 * 60 * 60;
const NOW: u64 = 20_000 * DAY;

fn blob(name: &str) -> Artifact {
    Artifact::Blob(Digest::of(name))
}

fn blobs(names: &str) -> BTreeSet<Artifact> {
    names.chars().map(|name| blob(&name.to_string())).collect()
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A store that holds `a` to `f`, and who keeps what: of each root its lock's path, what it wants, and when
/// it was seen.
fn store(roots: &[(&str, &str, u64)]) -> Survey {
    let held = |artifact| (artifact, Held { size_bytes: 1, used: NOW });
    let artifacts = blobs("abcdef").into_iter().map(held).collect();
    let root = |(lock, wanted, seen): &(&str, &str, u64)| {
        let root = Root::next(None, lock.as_ref(), &blobs(wanted), time(*seen)).unwrap();
        (Root::id_for(lock.as_ref()), root)
    };
    Survey {
        holdings: Holdings { artifacts, ..Holdings::default() },
        roots: roots.iter().map(root).collect(),
        ..Survey::default()
    }
}

fn project(lock: &str, wanted: &str) -> ThisProject {
    ThisProject { lock: lock.into(), wanted: blobs(wanted) }
}

/// Locks that are where the roots say, and what they name.
fn locks(present: &[(&str, &str)]) -> BTreeMap<Digest, LockFile> {
    let named = present
        .iter()
        .map(|(lock, wanted)| (Root::id_for(lock.as_ref()), LockFile::Names(blobs(wanted))));
    named.collect()
}

/// The names of the artifacts that go.
#[track_caller]
fn check(survey: &Survey, locks: &BTreeMap<Digest, LockFile>, request: &Request, goes: &str) {
    let collection = decide(survey.clone(), locks.clone(), request, NOW).unwrap().collection;
    let removed = collection.removed().filter_map(|item| match &item.what {
        What::Artifact(artifact) => Some(*artifact),
        _ => None,
    });
    assert_eq!(removed.collect::<BTreeSet<_>>(), blobs(goes));
}

fn everything() -> Request {
    Request::Everything(Limits::default())
}

fn only(project: ThisProject, drop_other_roots: bool) -> Request {
    Request::OnlyThisLock { project, drop_other_roots, limits: Limits::default() }
}

#[test]
fn what_a_living_root_its_lock_or_a_lease_names_stays() {
    let mut survey = store(&[("/p", "ab", 0), ("/moved", "c", NOW), ("/gone", "f", 0)]);
    survey.leases = vec![Lease { holder: "process 7".to_owned(), wanted: vec![blob("d")] }];
    check(&survey, &locks(&[("/p", "be")]), &everything(), "f");
    check(&survey, &locks(&[]), &everything(), "abef");
}

#[test]
fn a_root_that_ended_goes_and_the_others_are_told_with_why() {
    let survey = store(&[("/p", "a", 0), ("/gone", "b", 0)]);
    let decision = decide(survey, locks(&[("/p", "a")]), &everything(), NOW).unwrap();
    let fates: Vec<_> = decision.collection.items.iter().map(|item| &item.fate).collect();
    assert!(fates.contains(&&Fate::Alive(Life::Lock)) && fates.contains(&&Fate::Ended));
    assert!(fates.contains(&&Fate::Wanted { by: vec!["/p".to_owned()] }));
}

#[test]
fn one_lock_alone_is_refused_where_others_live() {
    let survey = store(&[("/p", "ab", NOW), ("/q", "c", NOW), ("/gone", "d", 0)]);
    let present = locks(&[("/p", "a"), ("/q", "c")]);
    let request = only(project("/p", "a"), false);
    let refused = decide(survey.clone(), present.clone(), &request, NOW).unwrap_err();
    assert_eq!(refused.to_string(), "others keep things in this store: /q");
    check(&survey, &present, &only(project("/p", "a"), true), "bcdef");
    check(&store(&[("/gone", "d", 0)]), &locks(&[]), &request, "bcdef");
}

#[test]
fn one_lock_alone_takes_nothing_that_runs() {
    let mut survey = store(&[]);
    survey.leases = vec![Lease { holder: "process 7".to_owned(), wanted: vec![blob("d")] }];
    let refused =
        decide(survey.clone(), locks(&[]), &only(project("/p", "a"), false), NOW).unwrap_err();
    assert_eq!(refused.to_string(), "others keep things in this store: process 7");
    check(&survey, &locks(&[]), &only(project("/p", "a"), true), "bcef");
    survey.leases[0].wanted.clear();
    check(&survey, &locks(&[]), &only(project("/p", "a"), false), "bcdef");
}

#[test]
fn a_project_takes_what_it_drops_now_if_there_is_no_grace() {
    let survey = store(&[("/p", "abc", NOW), ("/q", "b", NOW)]);
    let present = locks(&[("/p", "abc"), ("/q", "b")]);
    let dropped = |days| Request::Dropped {
        project: project("/p", "a"),
        grace: Duration::from_secs(days * DAY),
    };
    check(&survey, &present, &dropped(0), "c");
    check(&survey, &present, &dropped(7), "");
}

#[test]
fn a_root_forgets_what_went_and_what_another_project_keeps() {
    let mut survey = store(&[("/p", "abcd", 1), ("/q", "b", NOW)]);
    let id = Root::id_for("/p".as_ref());
    let old = survey.roots[&id].clone();
    let root = Root::next(Some(old), "/p".as_ref(), &blobs("a"), time(2)).unwrap();
    survey.roots.insert(id, root);
    survey.leases = vec![Lease { holder: "process 7".to_owned(), wanted: vec![blob("d")] }];
    let request = Request::Dropped { project: project("/p", "a"), grace: Duration::ZERO };
    let decision = decide(survey, locks(&[("/q", "b")]), &request, NOW).unwrap();
    let (written, root) = decision.root.unwrap();
    assert_eq!(written, id);
    let left: Vec<Artifact> = root.dropped.iter().map(|dropped| dropped.artifact).collect();
    assert_eq!(left, [blob("d")], "what only a lease keeps goes when the lease ends");
}
