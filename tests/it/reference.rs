//! The grammar of references, row by row, and as two other readers see it: `oci-spec`, and `skopeo`, which
//! is built on the reference package of the `distribution` project itself.

#[path = "reference/table.rs"]
mod table;

use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::reference::Reference;
use sandbox_images::oci::reference::error::{ReferenceError, ReferenceProblem};

use self::table::{NAMED, REFUSED, STRICTER};
use crate::support::needs::needs;
use crate::support::process::{bounded_by, output};

/// What `@D` in the tables stands for.
const DIGEST: &str = "@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The text of a row: `@D` is a digest, and `{a*250}` is 250 times `a`.
fn text_of(row: &str) -> String {
    let mut text = String::new();
    let mut rest = row;
    while let Some((before, (repeated, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        let (what, count) = repeated.rsplit_once('*').expect("`{text*count}`");
        text += before;
        text += &what.repeat(count.parse().expect("a count"));
        rest = after;
    }
    (text + rest).replace("@D", DIGEST)
}

/// What ours makes of a text.
fn read(text: &str) -> Result<Reference, (ReferenceProblem, usize)> {
    text.parse().map_err(|error: ReferenceError| (error.problem(), error.offset()))
}

/// The tag and the digest of a table's suffix: `:tag`, `@D`, `:tag@D` or nothing.
fn tag_and_digest(suffix: &str) -> (Option<String>, Option<Digest>) {
    let suffix = text_of(suffix);
    let (tag, digest) = match suffix.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest.parse().expect("a digest"))),
        None => (&suffix[..], None),
    };
    (tag.strip_prefix(':').map(str::to_owned), digest)
}

#[test]
fn each_name_is_read_in_its_parts_and_written_in_one_form() {
    for &(row, registry, repository, suffix) in NAMED {
        let reference = read(&text_of(row));
        let reference = reference.unwrap_or_else(|problem| panic!("{row}: {problem:?}"));
        let (tag, digest) = tag_and_digest(suffix);
        let (registry, repository) = (text_of(registry), text_of(repository));
        assert_eq!(reference.registry(), registry, "{row}");
        assert_eq!(reference.repository(), repository, "{row}");
        assert_eq!(reference.tag(), tag.as_deref(), "{row}");
        assert_eq!(reference.digest(), digest, "{row}");
        let canonical = format!("{registry}/{repository}{}", text_of(suffix));
        assert_eq!(reference.to_string(), canonical, "{row}");
        assert_eq!(read(&canonical), Ok(reference), "{row}: the one form reads as the same");
    }
}

#[test]
fn each_fault_is_named_with_its_place() {
    let rows = REFUSED.iter().chain(STRICTER.iter().map(|(row, _)| row));
    let wrong: Vec<_> = rows
        .map(|&(row, problem, offset)| (row, read(&text_of(row)), Err((problem, offset))))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "text, found, expected: {wrong:#?}");
}

#[test]
fn the_table_is_large_and_says_nothing_twice() {
    let named = NAMED.iter().map(|row| row.0);
    let mut rows: Vec<&str> = named
        .chain(REFUSED.iter().map(|row| row.0))
        .chain(STRICTER.iter().map(|(row, _)| row.0))
        .collect();
    assert!(rows.len() >= 120, "{} rows", rows.len());
    rows.sort_unstable();
    let twice: Vec<_> = rows.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Names with every host, and with every suffix: more than a person would write down.
fn combinations() -> Vec<String> {
    let hosts = [
        "",
        "/",
        "localhost/",
        "r.io/",
        "r.io:5000/",
        "docker.io/",
        "index.docker.io/",
        "a/",
        "10.0.0.1:80/",
        "r-.io/",
        "r..io/",
        ".io/",
        "r.io./",
        "r.io:/",
        "r_x/",
        "-r.io/",
        "r.io:x/",
    ];
    let names = [
        "",
        "a",
        "a/b",
        "library/a",
        "a__b",
        "a___b",
        "a-b",
        "a--b",
        "a.b",
        "a..b",
        "a_.b",
        "a.-b",
        "_a",
        "a_",
        "a/",
        "a//b",
        "A",
        "a/B",
        "0",
        "é",
        "a b",
    ];
    let suffixes = ["", ":1", ":", ":_A.b-c", ":.x", ":-x", ":a:b", ":é", "@D", "@", "@x", ":@D"];
    let mut texts = Vec::new();
    for name in names {
        texts.extend(hosts.map(|host| format!("{host}{name}")));
        texts.extend(suffixes.map(|suffix| text_of(&format!("{name}{suffix}"))));
        texts.extend(suffixes.map(|suffix| text_of(&format!("r.io:5000/{name}{suffix}"))));
    }
    texts
}

/// All texts there are: those of the table that are read or refused for the grammar's sake, and the
/// combinations.
fn texts() -> Vec<String> {
    let named = NAMED.iter().map(|row| row.0);
    let table = named.chain(REFUSED.iter().map(|row| row.0)).map(text_of);
    table.chain(combinations()).collect()
}

/// `oci-spec` knows no address in brackets, takes a name in upper case for a namespace of Docker Hub, and
/// its `\w` in tags means the letters of all scripts.
fn oci_spec_reads_otherwise(text: &str) -> bool {
    text.contains('[') || text.bytes().any(|byte| byte.is_ascii_uppercase()) || !text.is_ascii()
}

#[test]
fn what_oci_spec_reads_too_is_read_alike() {
    let mut both = 0;
    for text in texts().iter().filter(|text| !oci_spec_reads_otherwise(text)) {
        let theirs = text.parse::<oci_spec::distribution::Reference>();
        let (Ok(ours), Ok(theirs)) = (read(text), theirs) else { continue };
        both += 1;
        let ours = ours.or_latest();
        assert_eq!(ours.registry(), theirs.registry(), "{text}");
        assert_eq!(ours.repository(), theirs.repository(), "{text}");
        assert_eq!(ours.tag(), theirs.tag(), "{text}");
        assert_eq!(ours.digest().map(|it| it.to_string()).as_deref(), theirs.digest(), "{text}");
        assert_eq!(ours.to_string(), theirs.whole(), "{text}");
    }
    assert!(both > 200, "only {both} texts are read by both");
}

/// Old versions of the package know no address in brackets and no registry by its upper case, and count a
/// host as a part of the name's length; `skopeo` itself refuses a tag beside a digest, and an argument that
/// begins with a slash.
fn skopeo_depends_on_its_version(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    text.contains('[')
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
        || text.len() > 200
        || (text.contains(DIGEST) && text.split('@').next().is_some_and(|name| name.contains(':')))
}

/// A first component with a `.` that is no host name is taken for a part of the repository, of no registry.
fn is_no_host(text: &str) -> bool {
    read(text).is_err_and(|(problem, _)| problem == ReferenceProblem::Host)
}

#[test]
fn the_distribution_projects_package_accepts_the_same() {
    if !needs(&["skopeo"]) {
        return;
    }
    let mut compared = 0;
    for text in texts().iter().filter(|text| !skopeo_depends_on_its_version(text)) {
        if is_no_host(text) {
            continue;
        }
        // The destination is wrong in any case, and is looked at after the source: nothing is asked for.
        let source = format!("docker://{text}");
        let told = output(bounded_by(60, "skopeo").args(["copy", "--", &source, "nowhere:"]));
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        let accepts = told.contains("Invalid destination name");
        assert!(accepts || told.contains("Invalid source name"), "{text}: {told}");
        assert_eq!(accepts, read(text).is_ok(), "{text}: {told}");
        compared += 1;
    }
    assert!(compared > 500, "only {compared} texts were compared");
}
