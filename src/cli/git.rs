//! Files as they were in a revision of git, asked of the program itself.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::failure::{Failure, Kind};

/// What a revision has at a path.
#[derive(Debug)]
pub(crate) enum Committed {
    /// A file of these bytes.
    File(Vec<u8>),
    /// Nothing.
    Nothing,
}

/// The file `path` as `revision` has it; at most `limit_bytes` of it, and one more where there is more.
pub(crate) fn file_at(
    revision: &str,
    path: &Path,
    limit_bytes: usize,
) -> Result<Committed, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let commit = format!("{revision}^{{commit}}");
    let (known, _) =
        git(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], 1 << 10)?;
    if !known {
        let message = format!(
            "`{revision}` is no file and no revision that git knows in `{}`",
            folder.display()
        );
        return Err(Failure::new(Kind::Usage, "unknown-revision", message)
            .help("name a file, or a revision such as HEAD~1 or origin/main"));
    }
    let object = format!("{revision}:./{name}");
    let (found, bytes) = git(folder, &["cat-file", "blob", &object], limit_bytes)?;
    Ok(if found { Committed::File(bytes) } else { Committed::Nothing })
}

/// Whether git succeeds, and what it prints, cut one byte behind `limit_bytes`.
fn git(folder: &Path, arguments: &[&str], limit_bytes: usize) -> Result<(bool, Vec<u8>), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Failed, "git", format!("cannot run `git`: {error}"))
            .help("install git, or name a file to compare with")
    };
    let mut child = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut bytes = Vec::new();
    let output = child.stdout.take().expect("it is piped");
    output.take(limit_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    Ok((status.success() || bytes.len() > limit_bytes, bytes))
}
