//! Random stacks of layers: the merge, the merge of stored layers, and the plain model agree.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use sandbox_images::layer::builder::Builder;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::entry::Entry;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;

use super::fixture::{entry, lines, stored};
use super::model::Model;

/// Few names, so that they meet.
fn path() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "c"]), 1..4).prop_map(|names| names.join("/"))
}

fn symlink_target() -> impl Strategy<Value = String> {
    let above = select(vec!["", "/", "../", "../../", "b/../"]);
    (above, path()).prop_map(|(above, path)| format!("{above}{path}"))
}

/// A line of the fixture.
pub(super) fn line() -> impl Strategy<Value = String> {
    let mode = select(vec!["700", "711", "1777"]);
    prop_oneof![
        5 => (path(), 1..9).prop_map(|(path, content)| format!("{path} = {content}")),
        2 => (path(), mode).prop_map(|(path, mode)| format!("{path}/ {mode}")),
        4 => (path(), symlink_target()).prop_map(|(path, target)| format!("{path} -> {target}")),
        1 => (path(), path()).prop_map(|(path, target)| format!("{path} => {target}")),
        2 => path().prop_map(|path| match path.rsplit_once('/') {
            Some((parent, name)) => format!("{parent}/.wh.{name}"),
            None => format!(".wh.{path}"),
        }),
        1 => path().prop_map(|path| format!("{path}/.wh..wh..opq")),
    ]
}

/// The entries of a layer, each with the number of its content.
pub(super) fn entries(lines: &[String]) -> Vec<(Entry, u32)> {
    let content = |line: &String| {
        let content = line.rsplit_once(" = ");
        content.map_or(0, |(_, content)| content.parse().unwrap())
    };
    lines.iter().map(|line| (entry(line, 0), content(line))).collect()
}

fn changesets(layers: &[Vec<(Entry, u32)>]) -> Option<Vec<Changeset>> {
    let changeset = |layer: &Vec<(Entry, u32)>| {
        let mut builder = Builder::new(&Limits::default(), 0);
        for (entry, content) in layer {
            builder.add(entry.clone(), *content).ok()?;
        }
        Some(builder.finish())
    };
    layers.iter().map(changeset).collect()
}

fn merged_lines(changesets: Vec<Changeset>) -> Option<Vec<String>> {
    merge(changesets).ok().map(|merged| lines(&merged.tree))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_merge_is_what_the_plain_model_says(layers in vec(vec(line(), 0..7), 1..5)) {
        let layers: Vec<_> = layers.iter().map(|lines| entries(lines)).collect();
        let modelled = Model::new(&layers).ok().map(|model| model.lines());
        let changesets = changesets(&layers);
        let ours = changesets.clone().and_then(merged_lines);
        prop_assert_eq!(&ours, &modelled);
        let stored = changesets.map(|all| all.into_iter().map(stored).collect());
        prop_assert_eq!(stored.and_then(merged_lines), modelled);
    }
}
