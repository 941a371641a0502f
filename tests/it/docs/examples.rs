//! The projects in `examples`: their locks are fresh, and are those that their images have.
//!
//! With `SANDBOX_IMAGES_BLESS=1` locks and layouts are written instead.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::stage::{Stage, copy, write_base};
use crate::support::needs::needs;

/// The examples that are projects.
const PROJECTS: [&str; 4] = ["air-gap", "basic", "groups-and-platforms", "monorepo"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The directories of `sandbox-images.toml` below one of them.
fn projects_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        found.extend(folder.join("sandbox-images.toml").is_file().then(|| folder.clone()));
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    found
}

#[test]
fn every_project_is_tested_and_described() {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries
        .filter(|path| path.is_dir() && !projects_below(path).is_empty())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, PROJECTS);
    let index = fs::read_to_string(folder().join("README.md")).unwrap();
    for name in PROJECTS {
        assert!(index.contains(&format!("]({name}/README.md)")), "{name}");
    }
}

#[test]
fn every_project_is_fresh_and_synced_as_it_is_locked() {
    if !needs(&["bash"]) {
        return;
    }
    let blesses = env::var("SANDBOX_IMAGES_BLESS").as_deref() == Ok("1");
    if blesses {
        write_base(&folder().join("air-gap/images/base"));
    }
    for name in PROJECTS {
        let stage = Stage::empty();
        copy(&folder().join(name), &stage.project());
        for project in projects_below(&stage.project()) {
            let place = project.strip_prefix(stage.project()).unwrap().to_owned();
            let run = |words: &str| {
                let command = format!("cd './{}' && sandbox-images {words}", place.display());
                stage.run(name, &command)
            };
            let committed = folder().join(name).join(&place).join("sandbox-images.lock");
            if blesses {
                run("lock");
                fs::copy(project.join("sandbox-images.lock"), &committed).unwrap();
            }
            run("check");
            run("lock --check");
            run("sync --locked --all-groups --platform all");
            run("check --in-sync");
            run("verify");

            fs::remove_file(project.join("sandbox-images.lock")).unwrap();
            run("lock");
            let again = fs::read_to_string(project.join("sandbox-images.lock")).unwrap();
            assert_eq!(again, fs::read_to_string(committed).unwrap(), "{name}: a fresh lock");
        }
    }
}

#[test]
fn the_layout_of_the_air_gap_is_made_of_its_text() {
    let made = tempfile::tempdir().unwrap();
    write_base(made.path());
    let committed = folder().join("air-gap/images/base");
    for file in files_below(made.path()) {
        let name = file.strip_prefix(made.path()).unwrap();
        let same = fs::read(committed.join(name)).unwrap_or_default() == fs::read(&file).unwrap();
        assert!(same, "`{}`", name.display());
    }
    assert_eq!(files_below(&committed).len(), files_below(made.path()).len());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
