use proptest::prelude::*;

use super::*;
use crate::spec::manifest_file::ImageSet;

fn new_image(name: &str, source: &str, groups: &[&str], platforms: &[&str]) -> NewImage {
    NewImage {
        name: name.parse().unwrap(),
        source: source.to_owned(),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        platforms: platforms.iter().map(|platform| platform.parse().unwrap()).collect(),
    }
}

fn short(name: &str) -> NewImage {
    new_image(name, "r.io/x:1", &[], &[])
}

fn long(name: &str) -> NewImage {
    new_image(name, "r.io/x:1", &["ci", "dev"], &["linux/amd64"])
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Adds `image` to `before`, and takes it away again.
#[track_caller]
fn check(before: &str, image: &NewImage, after: &str) {
    let added = add(before, std::slice::from_ref(image)).unwrap();
    assert_eq!(added, after);
    assert!(ImageSet::parse(&added).unwrap().images.contains_key(image.name.as_str()));
    assert_eq!(remove(&added, &names(&[image.name.as_str()])).unwrap(), before);
}

#[test]
fn a_line_goes_to_its_place_among_sorted_lines_and_else_to_their_end() {
    let sorted = "[images]\n# first\na = 'a' # why\n\n  c   = \"c\"\n# last\n\n[groups]\n";
    check(sorted, &short("b"), &sorted.replace("why\n", "why\nb = \"r.io/x:1\"\n"));
    check(sorted, &short("d"), &sorted.replace("\"c\"\n", "\"c\"\nd = \"r.io/x:1\"\n"));
    check(sorted, &short("0"), &sorted.replace("[images]\n", "[images]\n0 = \"r.io/x:1\"\n"));
    let unsorted = "[images]\nc = 'c'\na = 'a'\n# end\n";
    check(unsorted, &short("b"), &unsorted.replace("'a'\n", "'a'\nb = \"r.io/x:1\"\n"));
    check("[images]", &short("a.b"), "[images]\n\"a.b\" = \"r.io/x:1\"");
}

#[test]
fn options_need_a_table() {
    let table = "[images.b]\nimage = \"r.io/x:1\"\ngroups = [\"ci\", \"dev\"]\nplatforms = [\"linux/amd64\"]\n";
    let lines = "[images]\nz = 'z'\n# [images.x]\n\n\n# about groups\n[groups]\ndefault = []\n";
    check(lines, &long("b"), &lines.replace("x]\n", &format!("x]\n\n{table}")));
    let tables = "[images.a]\nimage = 'a'\n\n# c\n[images.c]\n# x\nimage = 'c'\n";
    check(tables, &long("b"), &tables.replace("'a'\n", &format!("'a'\n\n{table}")));
    check("[images]\n# x\n", &long("b"), &format!("[images]\n# x\n\n{table}"));
    check("# only\n", &long("b"), &format!("# only\n\n{table}"));
    check("", &long("b"), table);
}

#[test]
fn a_file_of_tables_gets_a_table_and_one_of_dotted_keys_a_dotted_key() {
    let tables = "# c\n[images.c]\nimage = 'c'";
    check(tables, &short("d"), &format!("{tables}\n\n[images.d]\nimage = \"r.io/x:1\""));
    check(tables, &short("b"), &format!("[images.b]\nimage = \"r.io/x:1\"\n\n{tables}"));
    let dotted = "images.a.image = 'a'\nmanifest-version = 1\nimages.a.groups = ['x']\n";
    check(dotted, &short("b"), &format!("{dotted}images.b = \"r.io/x:1\"\n"));
    let inline =
        "{ image = \"r.io/x:1\", groups = [\"ci\", \"dev\"], platforms = [\"linux/amd64\"] }";
    check(dotted, &long("0"), &format!("images.0 = {inline}\n{dotted}"));
    assert_eq!(remove(dotted, &names(&["a"])).unwrap(), "manifest-version = 1\n");
}

#[test]
fn a_file_without_images_gets_a_section() {
    let added = add("manifest-version = 1\n", &[short("b"), short("a")]).unwrap();
    let section = "\n[images]\na = \"r.io/x:1\"\nb = \"r.io/x:1\"\n";
    assert_eq!(added, format!("manifest-version = 1\n{section}"));
}

#[test]
fn line_ends_are_kept_also_where_they_are_mixed() {
    let crlf = "[images]\r\na = 'a' # ü\r\nc = 'c'\n\r\n[groups]\n";
    check(crlf, &short("b"), &crlf.replace("# ü\r\n", "# ü\r\nb = \"r.io/x:1\"\r\n"));
    let open = "[images]\r\na = 'a' # ü";
    check(open, &short("b"), "[images]\r\na = 'a' # ü\r\nb = \"r.io/x:1\"");
}

#[test]
fn what_is_taken_away_takes_its_lines_and_nobodys_comment() {
    let text = "[images]\n# a\na = '''\na'''  # gone\nb = 'b'\n# c\n[images.c]\n# gone\nimage = 'c'\ngroups = [\n  'x',\n]\n# kept\n\n[groups]\n";
    let left = "[images]\n# a\nb = 'b'\n# c\n# kept\n\n[groups]\n";
    assert_eq!(remove(text, &names(&["a", "c"])).unwrap(), left);
    assert_eq!(remove("[images]\nb='b'\na='a'", &names(&["a", "b"])).unwrap(), "[images]");
    assert_eq!(
        remove("[images.a]\nimage='a'\n\n[images.b]\nimage='b'", &names(&["a", "b"])),
        Ok(String::new())
    );
}

#[track_caller]
fn refused(result: Result<String, Vec<EditError>>, expected: &[(&str, &str)]) {
    let problems = result.unwrap_err();
    let said: Vec<String> =
        problems.iter().map(|problem| format!("{:?}", problem.diagnostic())).collect();
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, (code, words)) in said.iter().zip(expected) {
        assert!(said.contains(code) && said.contains(words), "`{code}`, `{words}` in {said}");
    }
}

#[test]
fn what_cannot_be_done_is_told_all_at_once() {
    let text = "[images]\nalpine = 'a'\npython = 'b'\n";
    let three = [short("alpine"), short("new"), short("new")];
    refused(add(text, &three), &[("image-exists", "9..15"), ("image-exists", "`new`")]);
    let wrong = names(&["alpin", "alpine", "xyz"]);
    let unknown =
        [("unknown-image", "did you mean `alpine`?"), ("unknown-image", "images: alpine, python")];
    refused(remove(text, &wrong), &unknown);
    let value = "images = { a = 'a' }";
    refused(add(value, &[short("b")]), &[("images-in-one-value", "9..20")]);
    refused(remove("a = [", &names(&["b"])), &[("toml-syntax", "span: Some")]);
}

#[test]
fn a_name_is_the_last_component() {
    let check = |text: &str, name: Option<&str>| {
        let source = ImageSource::parse(text, "docker.io").unwrap();
        assert_eq!(name_for(&source).as_ref().map(ImageName::as_str), name, "{text}");
    };
    check("alpine", Some("alpine"));
    check("ghcr.io/acme/tool.x:1.4", Some("tool.x"));
    check("oci:./Images/Base/:v1", Some("base"));
    check("docker-archive:/srv/app.tar:app:1", Some("app"));
    check("oci:..", None);
}

/// A line, or a few, of a file with images `a` to `h`.
fn piece() -> impl Strategy<Value = String> {
    let name = "[a-h]";
    prop_oneof![
        "(\n|# ü\n|  # x = 1\n){0,2}",
        name.prop_map(|name| format!("{name} = 'r.io/{name}:1' # c\n")),
        name.prop_map(|name| format!("{name}.image = \"r.io/{name}\"\n")),
        name.prop_map(|name| format!("[images.{name}]\n# x\nimage = 'r.io/{name}'\n\n")),
        name.prop_map(|name| format!(
            "\n\n[images.{name}]\ngroups = [\n'x']\nimage = 'r.io/{name}'\n"
        )),
        Just("[policy]\n# p\nrequire-digest = false\n".to_owned()),
    ]
}

proptest! {
    #[test]
    fn adding_and_taking_away_leaves_the_same_bytes(
        pieces in proptest::collection::vec(piece(), 0..8),
        header in prop_oneof![Just("manifest-version = 1\n[images]\n"), Just("# none\n"), Just("[images]\n\n")],
        name in "[a-z]{1,2}",
        with_options: bool,
        with_line_end: bool,
        crlf: bool,
    ) {
        let mut text = format!("{header}{}", pieces.concat());
        if !with_line_end {
            text.truncate(text.trim_end().len());
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let Ok(before) = ImageSet::parse(&text) else { return Ok(()) };
        prop_assume!(!before.images.contains_key(name.as_str()));
        let image = if with_options { long(&name) } else { short(&name) };
        let edited = add(&text, std::slice::from_ref(&image)).unwrap();
        prop_assert_eq!(edited.contains("\r\n"), text.contains("\r\n"));

        let after = ImageSet::parse(&edited).unwrap();
        let (added, rest): (Vec<_>, Vec<_>) = after.images.iter().partition(|(other, _)| **other == image.name);
        let spec = added[0].1;
        prop_assert_eq!(spec.source.to_string(), "r.io/x:1");
        prop_assert_eq!(&spec.groups, &image.groups);
        prop_assert_eq!(spec.platforms_named, with_options);
        let sources = |images: Vec<(&ImageName, &crate::spec::manifest_file::ImageSpec)>| {
            images.into_iter().map(|(name, spec)| (name.clone(), spec.source.clone(), spec.groups.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(sources(rest), sources(before.images.iter().collect()));

        let removed = remove(&edited, &BTreeSet::from([name])).unwrap();
        let made_a_section = !text.contains("images") && !with_options;
        prop_assert!(removed == text || made_a_section, "{:?} {:?} {:?}", text, edited, removed);
    }

    #[test]
    fn taking_away_leaves_all_others(pieces in proptest::collection::vec(piece(), 0..8), name in "[a-h]") {
        let text = format!("[images]\n{}", pieces.concat());
        let Ok(mut before) = ImageSet::parse(&text) else { return Ok(()) };
        prop_assume!(before.images.remove(name.as_str()).is_some());
        let after = ImageSet::parse(&remove(&text, &BTreeSet::from([name])).unwrap()).unwrap();
        prop_assert!(after.images.keys().eq(before.images.keys()));
        prop_assert_eq!(after.policy, before.policy);
    }
}
