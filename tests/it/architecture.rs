//! The layering of `src`: a module uses only what is declared above it.
//!
//! The text check is sound because of two house rules that it also enforces: an import names one module
//! (`use crate::room::…`, never `use crate::{…}`), and nothing climbs further than its own folder
//! (`super::super`).

use std::fs;
use std::path::{Path, PathBuf};

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// The rooms that do no I/O, and what they may therefore not mention.
const PURE_ROOMS: [&str; 5] = ["oci", "layer", "disk", "spec", "plan"];
const IMPURE: [&str; 8] = [
    "tokio::",
    "reqwest::",
    "std::fs",
    "std::env::var",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant",
];

/// The modules that `file` declares, in order.
fn declared(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let name = |line: &str| {
        let rest = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
        Some(rest.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    text.lines().filter_map(name).filter(|name| name != "tests").collect()
}

/// Every Rust file of the module `name` in `folder`: its own file and all below it.
fn files_of(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.join(format!("{name}.rs"))];
    let mut folders = vec![folder.join(name)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// Calls `visit` with file, line number and line for all code of the module, its comments left out.
fn each_line(folder: &Path, name: &str, mut visit: impl FnMut(&Path, usize, &str)) {
    for file in files_of(folder, name) {
        let text = fs::read_to_string(&file).unwrap();
        for (index, line) in text.lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                visit(&file, index + 1, line);
            }
        }
    }
}

/// The violations among the modules that `file` declares, and among those inside them.
fn check(file: &Path, folder: &Path, path: &str, violations: &mut Vec<String>) {
    let modules = declared(file);
    for (place, module) in modules.iter().enumerate() {
        let below = &modules[place + 1..];
        let forms = [format!("{path}::"), "super::".to_owned()];
        let forms = if path == "crate" { &forms[..1] } else { &forms[..] };
        each_line(folder, module, |file, number, line| {
            let own_file = file == folder.join(format!("{module}.rs"));
            for later in below {
                let absolute = line.contains(&format!("{}{later}::", forms[0]));
                let relative =
                    forms.len() > 1 && own_file && line.contains(&format!("super::{later}::"));
                if absolute || relative {
                    violations
                        .push(format!("{}:{number}: `{module}` uses `{later}`", file.display()));
                }
            }
        });
        let inner = folder.join(module);
        if inner.is_dir() {
            check(
                &folder.join(format!("{module}.rs")),
                &inner,
                &format!("{path}::{module}"),
                violations,
            );
        }
    }
}

#[test]
fn a_module_uses_only_what_is_declared_above_it() {
    let src = Path::new(SRC);
    let mut violations = Vec::new();
    check(&src.join("lib.rs"), src, "crate", &mut violations);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn imports_name_one_module_and_stay_in_their_folder() {
    let src = Path::new(SRC);
    for room in declared(&src.join("lib.rs")) {
        each_line(src, &room, |file, number, line| {
            let place = format!("{}:{number}", file.display());
            assert!(!line.contains("use crate::{"), "{place}: import one module at a time");
            assert!(!line.contains("super::super"), "{place}: name the module from `crate`");
        });
    }
}

#[test]
fn the_core_does_no_io() {
    let src = Path::new(SRC);
    let rooms = declared(&src.join("lib.rs"));
    for room in PURE_ROOMS {
        assert!(rooms.iter().any(|name| name == room), "there is no room `{room}`");
        each_line(src, room, |file, number, line| {
            for word in IMPURE {
                assert!(
                    !line.contains(word),
                    "{}:{number}: `{word}` in the pure core",
                    file.display()
                );
            }
        });
    }
}

#[test]
fn the_library_prints_nothing_and_reads_no_environment() {
    let src = Path::new(SRC);
    for room in declared(&src.join("lib.rs")) {
        each_line(src, &room, |file, number, line| {
            for word in ["println!", "eprintln!", "env::var", "std::io::stdout"] {
                assert!(
                    !line.contains(word),
                    "{}:{number}: `{word}` in the library",
                    file.display()
                );
            }
        });
    }
}
