//! Files of credentials, and the helpers that they and the configuration name. No helper is asked.

use std::collections::BTreeSet;
use std::fs::metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sandbox_images::registry::credentials::CredentialFile;
use sandbox_images::registry::credentials::lookup::read;

use crate::cli::doctor::finding::Finding;
use crate::cli::setup::Setup;

/// Rights of others than the owner.
const OTHERS: u32 = 0o077;

/// Rights to run a program.
const RUN: u32 = 0o111;

pub(super) fn examine(setup: &Setup<'_>) -> Vec<Finding> {
    let search = &setup.environment.search_path;
    let mut findings = Vec::new();
    for path in &setup.environment.credential_files {
        match read(path) {
            Ok(None) => {}
            Err(why) => {
                let help = "until it can be read, its credentials are not used";
                let finding = Finding::warning("credentials-unreadable", &path.display(), why);
                findings.push(finding.help(help));
            }
            Ok(Some(file)) => {
                let mode = metadata(path).map_or(0, |metadata| metadata.permissions().mode());
                findings.push(judge(path, &file, mode));
                let named = file.helpers().into_iter();
                findings.extend(named.map(|name| helper(name, path, is_found(name, search))));
            }
        }
    }
    if findings.is_empty() {
        let message = "there are none; public images need none";
        findings.push(Finding::ok("credentials", &"credentials", message));
    }
    let own: BTreeSet<&str> = setup.config.helpers().collect();
    let path = setup.config.path.as_deref().unwrap_or(Path::new("config.toml"));
    findings.extend(own.into_iter().map(|name| helper(name, path, is_found(name, search))));
    findings
}

/// What is to be said about a file that can be read.
fn judge(path: &Path, file: &CredentialFile, mode: u32) -> Finding {
    let subject = path.display();
    if file.holds_secrets() && mode & OTHERS != 0 {
        let message = "holds secrets and is open to other users";
        return Finding::warning("credentials-open-to-others", &subject, message)
            .help(format!("run `chmod 600 {subject}`"));
    }
    Finding::ok("credentials", &subject, "is read")
}

/// What is to be said about a helper that `named_by` names.
fn helper(name: &str, named_by: &Path, is_found: bool) -> Finding {
    let program = format!("docker-credential-{name}");
    if is_found {
        return Finding::ok("helper", &program, "is on the PATH");
    }
    let message = format!("is named by `{}` and is not on the PATH", named_by.display());
    Finding::warning("helper-missing", &program, message).help("install it, or take its name out")
}

fn is_found(name: &str, search: &[PathBuf]) -> bool {
    let is_program = |folder: &PathBuf| {
        let found = metadata(folder.join(format!("docker-credential-{name}")));
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & RUN != 0)
    };
    search.iter().any(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_for_their_owner_only() {
        let stored = br#"{"auths":{"r.example":{"auth":"YTpi"}}}"#;
        let nothing = br#"{"auths":{"r.example":{}},"credsStore":"pass"}"#;
        let code = |json: &[u8], mode| {
            judge(Path::new("auth.json"), &CredentialFile::parse(json).unwrap(), mode).code
        };
        assert_eq!(code(stored, 0o600), "credentials");
        assert_eq!(code(stored, 0o640), "credentials-open-to-others");
        assert_eq!(code(nothing, 0o644), "credentials");
    }

    #[test]
    fn a_helper_is_a_program_on_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let search = [folder.path().join("none"), folder.path().to_owned()];
        assert!(!is_found("test", &search));
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("docker-credential-test"))
            .unwrap();
        assert!(is_found("test", &search));
        std::os::unix::fs::symlink("/etc", folder.path().join("docker-credential-dir")).unwrap();
        assert!(!is_found("dir", &search));
        assert_eq!(helper("x", Path::new("a"), false).code, "helper-missing");
    }
}
