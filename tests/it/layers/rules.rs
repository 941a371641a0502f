//! The rules for layers and stacks, one by one. Each test shows its whole input.

use sandbox_images::layer::merge::error::MergeError;
use sandbox_images::layer::merge::merge;
use sandbox_images::layer::tree::{Kind, Metadata, Node};

use super::fixture::{layer, lines, merged, stored};

/// Merges `layers`, bottom first, as they are and after they were stored.
#[track_caller]
fn check(layers: &[&[&str]], expected: &[&str]) {
    assert_eq!(lines(&merged(layers).tree), expected);
    let stored_layers = layers.iter().map(|lines| stored(layer(lines).unwrap()));
    assert_eq!(lines(&merge(stored_layers).unwrap().tree), expected, "stored");
}

/// Reads a layer that is refused, and says why.
#[track_caller]
fn refused(lines: &[&str]) -> String {
    let error = layer(lines).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    format!("{error}: {cause}")
}

#[track_caller]
fn merge_error(layers: &[&[&str]]) -> MergeError {
    merge(layers.iter().map(|lines| layer(lines).unwrap())).unwrap_err()
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    check(&[&["a = 1", "a = 2"]], &["a = 2"]);
    check(&[&["a/ 700", "a/x = 1", "a/ 711"]], &["a/ 711", "a/x = 1"]);
    check(&[&["a/ 700", "a/x = 1", "a = 2"]], &["a = 2"]);
    check(&[&["a -> x", "a = 2"]], &["a = 2"]);
}

#[test]
fn a_directory_that_replaced_an_own_file_shows_nothing_lower() {
    check(&[&["d/ 700", "d/low = 1"], &["d = 2", "d/ 711", "d/x = 3"]], &["d/ 711", "d/x = 3"]);
}

#[test]
fn an_implied_directory_keeps_the_lower_metadata() {
    check(&[&["tmp/ 1777"], &["tmp/a = 1"]], &["tmp/ 1777", "tmp/a = 1"]);
    check(&[&["tmp/a = 1"]], &["tmp/ 755", "tmp/a = 1"]);
    check(&[&["tmp/ 1777"], &["tmp/ 700"]], &["tmp/ 700"]);
}

#[test]
fn what_no_layer_has_an_entry_for_is_roots_0755_of_1970() {
    let tree = merged(&[&["a/b/f = 1"], &["a/c/f = 2"]]).tree;
    for path in ["", "a", "a/b", "a/c"] {
        let Some(Node::Directory(id)) = tree.find(path.as_bytes()) else {
            panic!("`{path}` is a directory");
        };
        assert_eq!(tree.directory(id).metadata, Metadata { mode: 0o755, ..Metadata::default() });
    }
}

#[test]
fn the_roots_metadata_come_from_the_topmost_entry_for_it() {
    check(&[&["./ 700"], &["/ 711"], &["a = 1"]], &["/ 711", "a = 1"]);
}

#[test]
fn whiteouts_act_on_lower_layers_only_and_in_no_order() {
    let low = &["d/ 700", "d/x = 1", "d/y = 2"][..];
    check(&[low, &["d/.wh.x"]], &["d/ 700", "d/y = 2"]);
    check(&[low, &["d/.wh.x", "d/x = 3"]], &["d/ 700", "d/x = 3", "d/y = 2"]);
    check(&[low, &["d/x = 3", "d/.wh.x"]], &["d/ 700", "d/x = 3", "d/y = 2"]);
    check(&[low, &["d/z = 4", "d/.wh..wh..opq"]], &["d/ 700", "d/z = 4"]);
    check(&[low, &["d/z = 4", ".wh.d"]], &["d/ 755", "d/z = 4"]);
    check(&[low, &[".wh.d", "d/ 711"]], &["d/ 711"]);
    check(&[low, &[".wh..wh..opq", "n = 1"]], &["n = 1"]);
    check(&[low, &[".wh.d"], &["d/n = 1"]], &["d/ 755", "d/n = 1"]);
}

#[test]
fn a_whiteout_may_be_an_entry_of_any_kind() {
    let low = &["d/ 700", "d/x = 1", "d/y = 2"][..];
    for whiteout in ["d/.wh.x", "d/.wh.x = 7", "d/.wh.x -> y", "d/.wh.x => nowhere", "d/.wh.x/ 711"]
    {
        check(&[low, &[whiteout]], &["d/ 700", "d/y = 2"]);
    }
}

#[test]
fn a_whiteout_of_nothing_still_implies_its_directory() {
    check(&[&["a/b/.wh.c"]], &["a/ 755", "a/b/ 755"]);
}

#[test]
fn names_of_whiteouts_and_of_aufs_are_reserved() {
    check(&[&[".wh..wh.plnk/1 = 1", ".wh..wh.orph/ 700", "k = 2"]], &["k = 2"]);
    for path in [".wh.", ".wh..", "a/.wh..."] {
        let why = refused(&[path]);
        assert_eq!(why, format!("entry `{path}` at byte 0 is refused: the whiteout names no file"));
    }
    refused(&[".wh.d/x = 1"]);
    refused(&["a => .wh..wh.plnk/1"]);
}

#[test]
fn an_entry_below_an_own_file_is_refused() {
    assert_eq!(
        refused(&["a = 1", "a/b = 2"]),
        "entry `a/b` at byte 512 is refused: its parent is not a directory"
    );
}

#[test]
fn a_parent_may_be_a_symlink_of_the_same_layer() {
    check(
        &[&["link -> ./etc//", "link/a = 1", "link/sub/ 700"]],
        &["etc/ 755", "etc/a = 1", "etc/sub/ 700", "link -> ./etc//"],
    );
    check(
        &[&["usr/up -> ../etc", "usr/up/a = 1"]],
        &["etc/ 755", "etc/a = 1", "usr/ 755", "usr/up -> ../etc"],
    );
    assert!(refused(&["l -> l", "l/a = 1"]).contains("loop"));
    assert!(refused(&["l -> ../..", "l/a = 1"]).contains("out of the root"));
}

#[test]
fn paths_behind_a_symlink_of_the_same_layer_stay_within_the_limits() {
    let symlink = format!("l -> {}", "d/".repeat(200));
    let entry = |depth: usize| format!("l/{}x = 1", "d/".repeat(depth - 201));
    assert!(layer(&[&symlink, &entry(256)]).is_ok());
    assert!(refused(&[&symlink, &entry(257)]).contains("over 4096 bytes, 256 names"));
}

#[test]
fn hard_links_share_one_inode() {
    check(&[&["a = 1", "b => a", "c => ./b"]], &["a = 1", "b => a", "c => a"]);
    check(&[&["s -> x", "t => s"]], &["s -> x", "t => s"]);
    check(&[&["l -> d", "d/a = 1", "b => l/a"]], &["b = 1", "d/ 755", "d/a => b", "l -> d"]);
}

#[test]
fn replacing_a_target_leaves_earlier_links_on_the_old_inode() {
    check(&[&["a = 1", "b => a", "a = 2", "c => a"]], &["a = 2", "b = 1", "c => a"]);
}

#[test]
fn a_hard_link_has_a_target_that_is_no_directory_and_not_itself() {
    assert!(refused(&["d/ 700", "b => d"]).contains("is a directory"));
    assert!(refused(&["a = 1", "a => a"]).contains("replace its own target"));
    assert!(refused(&["a/b = 1", "a => a/b"]).contains("replace its own target"));
    assert!(refused(&["a = 1", "a => ../a"]).contains("leads out of the root"));
    assert!(refused(&["a => ./"]).contains("is a directory"));
    let error = merge_error(&[&["b => nope"]]);
    assert_eq!(
        error.to_string(),
        "hard link `b` in layer 0 has the target `nope`, which is in no layer"
    );
    assert_eq!(merge_error(&[&["d/ 700"], &["b => d"]]).code(), "merge-hard-link");
}

#[test]
fn a_hard_link_finds_a_lower_target_before_this_layers_whiteouts() {
    check(&[&["a = 1"], &["b => a"]], &["a = 1", "b => a"]);
    check(&[&["a = 1"], &[".wh.a", "b => a"]], &["b = 1"]);
    check(&[&["a = 1"], &["b => a", ".wh..wh..opq"]], &["b = 1"]);
    check(&[&["a = 1", "b => a"], &[".wh.a"]], &["b = 1"]);
    check(&[&["a = 1"], &["b => a", "c => b"]], &["a = 1", "b => a", "c => a"]);
}

#[test]
fn an_own_target_must_come_before_its_link() {
    check(&[&["a = 1"], &["a = 2", "b => a"]], &["a = 2", "b => a"]);
    check(&[&["a = 1"], &["b => a", "a = 2"]], &["a = 2", "b = 1"]);
    assert_eq!(merge_error(&[&["b => a", "a = 1"]]).code(), "merge-hard-link");
}

#[test]
fn a_lower_target_is_found_behind_lower_symlinks() {
    check(
        &[&["lib -> usr/lib", "usr/lib/a = 1"], &["b => lib/a"]],
        &["b = 1", "lib -> usr/lib", "usr/ 755", "usr/lib/ 755", "usr/lib/a => b"],
    );
}

#[test]
fn a_link_into_a_lower_layer_whose_metadata_differ_is_warned_of() {
    let warnings = |layers: &[&[&str]]| {
        merged(layers).warnings.iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    assert_eq!(warnings(&[&["a = 1"], &["same => a"]]), [""; 0]);
    assert_eq!(
        warnings(&[&["s -> x"], &["mode-644 => s"]]),
        ["`mode-644`: the hard link's own metadata differs from its target's and is ignored"]
    );
}

#[test]
fn links_to_a_lower_symlink_name_the_symlink() {
    check(&[&["s -> x"], &["t => s"]], &["s -> x", "t => s"]);
}

#[test]
fn an_implied_directory_follows_a_lower_symlink() {
    let low = &["usr/lib/ 711", "usr/lib/old = 1", "lib -> usr/lib"][..];
    check(
        &[low, &["lib/new = 2"]],
        &["lib -> usr/lib", "usr/ 755", "usr/lib/ 711", "usr/lib/new = 2", "usr/lib/old = 1"],
    );
    check(
        &[low, &["lib/ 700", "lib/new = 2"]],
        &["lib/ 700", "lib/new = 2", "usr/ 755", "usr/lib/ 711", "usr/lib/old = 1"],
    );
    check(&[low, &["lib/.wh.old"]], &["lib -> usr/lib", "usr/ 755", "usr/lib/ 711"]);
    check(
        &[low, &["lib/.wh..wh..opq", "lib/new = 2", "usr/lib/kept = 3"]],
        &["lib -> usr/lib", "usr/ 755", "usr/lib/ 711", "usr/lib/kept = 3", "usr/lib/new = 2"],
    );
    check(
        &[low, &[".wh.lib", "lib/new = 2"]],
        &["lib/ 755", "lib/new = 2", "usr/ 755", "usr/lib/ 711", "usr/lib/old = 1"],
    );
}

#[test]
fn a_lower_symlink_that_the_layer_hides_is_not_followed() {
    let low = &["a/ 700", "a/l -> ../b", "b/ 711"][..];
    check(&[low, &["a/.wh..wh..opq", "a/l/x = 1"]], &["a/ 700", "a/l/ 755", "a/l/x = 1", "b/ 711"]);
    check(&[low, &["a/.wh.l", "a/l/x = 1"]], &["a/ 700", "a/l/ 755", "a/l/x = 1", "b/ 711"]);
    check(
        &[&["a -> b", "b -> c", "c/ 700"], &[".wh.b", "a/x = 1"]],
        &["a -> b", "b/ 755", "b/x = 1", "c/ 700"],
    );
}

#[test]
fn symlinks_of_several_layers_lead_on_to_each_other() {
    check(
        &[&["a -> b"], &["b -> c/d"], &["a/x = 1"]],
        &["a -> b", "b -> c/d", "c/ 755", "c/d/ 755", "c/d/x = 1"],
    );
    check(&[&["a -> b"], &["b -> c", "a/x = 1"]], &["a -> b", "b -> c", "c/ 755", "c/x = 1"]);
}

#[test]
fn a_lower_symlink_never_leaves_the_root() {
    check(
        &[&["up -> ../../..", "d/l -> ../../e"], &["up/x = 1", "d/l/y = 2"]],
        &["d/ 755", "d/l -> ../../e", "e/ 755", "e/y = 2", "up -> ../../..", "x = 1"],
    );
    assert_eq!(merge_error(&[&["l -> l"], &["l/x = 1"]]).code(), "merge-symlink");
}

#[test]
fn literal_names_win_over_names_through_a_lower_symlink() {
    let layers: &[&[&str]] = &[
        &["lib -> usr/lib", "usr/lib/ 700"],
        &["lib/x = 1", "usr/lib/x = 2", "lib/sub/a = 3", "usr/lib/sub/ 711"],
    ];
    check(
        layers,
        &[
            "lib -> usr/lib",
            "usr/ 755",
            "usr/lib/ 700",
            "usr/lib/sub/ 711",
            "usr/lib/sub/a = 3",
            "usr/lib/x = 2",
        ],
    );
    let warnings = merged(layers).warnings;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "`lib/x`: leads through a symlink to `usr/lib/x`, which the same layer also has and which is kept"
        ]
    );
}

#[test]
fn an_implied_directory_over_a_lower_file_is_an_error() {
    assert_eq!(
        merge_error(&[&["f = 1"], &["f/x = 2"]]).to_string(),
        "`f` is a directory in layer 1 but not in the layers below"
    );
    assert_eq!(merge_error(&[&["l -> f", "f = 1"], &["l/x = 2"]]).code(), "merge-symlink");
}

#[test]
fn paths_that_grow_behind_symlinks_stay_within_the_limits() {
    let deep = "d/".repeat(200);
    let symlink = format!("l -> {deep}");
    let entry = format!("l/{deep}x = 1");
    let layers = [layer(&[symlink]).unwrap(), layer(&[entry]).unwrap()];
    assert_eq!(merge(layers).unwrap_err().code(), "merge-path-too-long");
}

#[test]
fn a_file_or_link_replaces_a_lower_subtree() {
    check(&[&["d/ 700", "d/x = 1"], &["d -> e"]], &["d -> e"]);
    check(&[&["d/ 700", "d/x = 1", "a = 2"], &["d => a"]], &["a = 2", "d => a"]);
    check(&[&["d = 1"], &["d/ 700"]], &["d/ 700"]);
}

#[test]
fn a_directory_behind_a_symlink_meets_an_own_file() {
    let low = &["lib -> usr"][..];
    check(
        &[low, &["usr/x -> y", "lib/x/a = 1"]],
        &["lib -> usr", "usr/ 755", "usr/x -> y", "usr/y/ 755", "usr/y/a = 1"],
    );
    check(&[low, &["usr/x = 1", "lib/x/ 700"]], &["lib -> usr", "usr/ 755", "usr/x = 1"]);
    assert_eq!(
        merge_error(&[low, &["usr/x = 1", "lib/x/ 700", "lib/x/a = 2"]]).code(),
        "merge-symlink"
    );
}

#[test]
fn each_file_knows_its_layer() {
    let tree = merged(&[&["a = 1", "b = 2"], &["b = 3"], &["c => a"]]).tree;
    let layers = ["a", "b", "c"].map(|path| match tree.find(path.as_bytes()) {
        Some(Node::Inode(id)) => match tree.inode(id).kind {
            Kind::File(content) => content.layer,
            _ => panic!("`{path}` is a file"),
        },
        _ => panic!("`{path}` is there"),
    });
    assert_eq!(layers, [0, 1, 0]);
}

#[test]
fn only_surviving_names_count_as_links() {
    let tree = merged(&[&["a = 1", "b => a", "c => a", "d = 2"], &[".wh.a", "d => c"]]).tree;
    let mut counts = tree.link_counts();
    counts.retain(|&count| count > 0);
    assert_eq!(counts, [3]);
}

#[test]
fn a_symlink_that_leads_upwards_is_followed_until_it_ends() {
    check(
        &[&["a/l -> .."], &["a/l/a/l/a/l/x = 1", "a/l/a/y = 2"]],
        &["a/ 755", "a/l -> ..", "a/y = 2", "x = 1"],
    );
}
