//! A stack as large as real ones come.

use sandbox_images::layer::builder::Builder;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;

use super::fixture::entry;

/// Layer `index` of 40: a 40th of 100,000 files and 2,000 directories, some whiteouts, and nothing that
/// says what the directories of the layers below are.
fn layer(index: usize) -> Changeset {
    let mut builder = Builder::new(&Limits::default(), 0);
    let mut add = |line: &str| builder.add(entry(line, 0), 1).unwrap();
    for directory in index * 50..(index + 1) * 50 {
        add(&format!("usr/lib/d{directory}/ 700"));
        for file in 0..40 {
            add(&format!("usr/lib/d{directory}/f{file} = 1"));
        }
    }
    for file in 0..500 {
        let directory = (file * 7) % ((index + 1) * 50);
        add(&format!("usr/lib/d{directory}/l{index}-{file} = 1"));
        if index > 0 && file < 50 {
            add(&format!("usr/lib/d{}/.wh.f{}", (index - 1) * 50 + file, index % 40));
        }
    }
    builder.finish()
}

#[test]
fn forty_layers_of_a_hundred_thousand_files_are_merged() {
    let merged = merge((0..40).map(layer)).unwrap();
    let names = merged.tree.walk().count();
    assert_eq!(names, 2 + 2_000 + 100_000 - 39 * 50);
}
