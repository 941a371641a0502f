//! The store: there or to be made, writable, of this version, with room.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::room::Room;
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::project::Project;
use sandbox_images::spec::manifest_file::ImageSet;

use crate::cli::doctor::finding::Finding;
use crate::cli::report::size;

/// The directory of this version's layout in a store.
const LAYOUT: &str = "v1";

/// Room that is not worth a warning where nobody knows what is missing: some small images.
const ROOM_BYTES_MIN: u64 = 1 << 30;

pub(super) fn examine(project: &Project) -> Vec<Finding> {
    let path = project.store().path();
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let is_writable = access(existing, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let state = State {
        path: path.to_owned(),
        existing: existing.to_owned(),
        is_directory: existing.is_dir(),
        is_writable,
        layouts: layouts(path),
    };
    let mut findings = vec![state.judge()];
    if let Ok(space) = statvfs(existing) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        findings.push(room(path, free, missing(project)));
    }
    findings
}

/// What can be seen of a store.
struct State {
    path: PathBuf,
    /// The store, or the nearest directory above it that exists.
    existing: PathBuf,
    is_directory: bool,
    is_writable: bool,
    /// The layouts in it.
    layouts: Vec<String>,
}

impl State {
    fn judge(&self) -> Finding {
        let Self { path, existing, is_directory, is_writable, layouts } = self;
        let is_there = path == existing;
        let subject = path.display();
        if !is_directory {
            let message = format!("`{}` is not a directory", existing.display());
            return Finding::error("store-not-directory", &subject, message)
                .help("name another with `--store` or in config.toml");
        }
        if !is_there && !is_writable {
            let message = format!("it cannot be made in `{}`", existing.display());
            return Finding::error("store-cannot-be-made", &subject, message)
                .help("name another with `--store` or in config.toml");
        }
        if !is_writable {
            return Finding::warning("store-read-only", &subject, "this user may not write to it")
                .help("what is in it can be used, and nothing can be added");
        }
        let others: Vec<&str> =
            layouts.iter().map(String::as_str).filter(|layout| *layout != LAYOUT).collect();
        let message = match (is_there, others.is_empty()) {
            (false, _) => "does not exist yet and will be made".to_owned(),
            (true, true) => format!("has layout {LAYOUT}"),
            (true, false) => {
                format!("has layout {LAYOUT} beside {}, which are left alone", others.join(", "))
            }
        };
        Finding::ok("store", &subject, message)
    }
}

/// The directories of layouts in a store.
fn layouts(store: &Path) -> Vec<String> {
    let is_layout = |name: &String| {
        let number = name.strip_prefix('v').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let entries = read_dir(store).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut layouts: Vec<String> = names.filter(is_layout).collect();
    layouts.sort();
    layouts
}

/// Bytes that a sync of this project would fetch, if its lock can be read.
fn missing(project: &Project) -> Option<u64> {
    let texts = project.texts().ok()?;
    let lock = texts.parse_lock().ok()??;
    let set = texts.image_set.as_deref().and_then(|text| ImageSet::parse(text).ok());
    let request = SelectionRequest::default_for(Platform::host_linux());
    let selection = select(set.as_ref(), &lock, &request).ok()?;
    Some(project.plan(&lock, &selection).ok()?.totals().download_bytes)
}

/// Whether `free` bytes are enough for what is missing.
fn room(store: &Path, free: u64, missing: Option<u64>) -> Finding {
    let subject = store.display();
    let has = format!("{} free", size(free));
    let help = "make room, or name a store elsewhere with `--store` or in config.toml";
    let Some(missing) = missing else {
        return if free < ROOM_BYTES_MIN {
            Finding::warning("store-space", &subject, has).help(help)
        } else {
            Finding::ok("store-space", &subject, has)
        };
    };
    match Room::of(free, missing) {
        Room::Short => {
            let message = format!("{has}, and {} are to be fetched", size(missing));
            Finding::error("store-full", &subject, message).help(help)
        }
        Room::Tight => {
            let message = format!("{has}, and {} are to be fetched and unpacked", size(missing));
            Finding::warning("store-space", &subject, message).help(help)
        }
        Room::Enough => Finding::ok("store-space", &subject, has),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(existing: &str, is_directory: bool, is_writable: bool, layouts: &[&str]) -> Finding {
        let layouts = layouts.iter().map(|&layout| layout.to_owned()).collect();
        let (path, existing) = ("/srv/store".into(), existing.into());
        State { path, existing, is_directory, is_writable, layouts }.judge()
    }

    #[test]
    fn a_store_is_there_or_can_be_made() {
        assert_eq!(judged("/srv/store", true, true, &["v1"]).message, "has layout v1");
        let newer = judged("/srv/store", true, true, &["v1", "v2"]);
        assert_eq!(newer.message, "has layout v1 beside v2, which are left alone");
        assert_eq!(judged("/srv", true, true, &[]).code, "store");
        assert_eq!(judged("/srv", true, false, &[]).code, "store-cannot-be-made");
        assert_eq!(judged("/srv/store", true, false, &[]).code, "store-read-only");
        assert_eq!(judged("/srv/store", false, true, &[]).code, "store-not-directory");
        assert_eq!(judged("/srv", false, true, &[]).code, "store-not-directory");
    }

    #[test]
    fn room_is_judged_by_what_is_missing() {
        let code = |free, missing| {
            let Finding { code, severity, .. } = room(Path::new("/srv"), free, missing);
            format!("{code} {severity:?}")
        };
        assert_eq!(code(100, Some(101)), "store-full Error");
        assert_eq!(code(100, Some(34)), "store-space Warning");
        assert_eq!(code(100, Some(33)), "store-space Ok");
        assert_eq!(code(100, None), "store-space Warning");
        assert_eq!(code(1 << 30, None), "store-space Ok");
    }
}
