//! Finding the credential for a repository: what the user's configuration gives, else what files hold, in
//! their order, else what the helpers named in them hold.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::oci::reference::Reference;
use crate::registry::credentials::{
    Credential, CredentialFile, Given, Source, helper, server_name,
};

/// Bytes of a file of credentials.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// What is shown; nothing, where nobody holds anything.
    pub credential: Option<Credential>,
    /// Who gave that answer.
    pub origin: Origin,
    /// What could not be read or asked, and was passed over, a sentence each without any secret.
    pub problems: Vec<String>,
}

/// Who decided what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The user's configuration.
    Given,
    /// The helper `docker-credential-NAME`, which the user's configuration names.
    GivenHelper(String),
    /// This file.
    File(PathBuf),
    /// A helper that a file names.
    Helper {
        /// The helper's name.
        name: String,
        /// The file.
        named_by: PathBuf,
    },
    /// Nobody holds a credential.
    Nobody,
}

/// Looks for the credential for `reference`. What is `given` decides alone; else `files` are asked in their
/// order. A helper has `helper_timeout` to answer. What cannot be read or asked is noted and passed over:
/// the image may be public.
pub async fn look_up(
    reference: &Reference,
    given: Option<&Given>,
    files: &[PathBuf],
    helper_timeout: Duration,
) -> Lookup {
    let mut search = Search { reference, helper_timeout, problems: Vec::new() };
    let (credential, origin) = match given {
        Some(given) => search.given(given).await,
        None => search.files(files).await,
    };
    Lookup { credential, origin, problems: search.problems }
}

/// A lookup under way.
struct Search<'a> {
    reference: &'a Reference,
    helper_timeout: Duration,
    problems: Vec<String>,
}

impl Search<'_> {
    async fn given(&mut self, given: &Given) -> (Option<Credential>, Origin) {
        match given {
            Given::Nothing => (None, Origin::Given),
            Given::Credential(credential) => (Some(credential.clone()), Origin::Given),
            Given::Helper(name) => {
                let server = server_name(self.reference);
                (self.ask(name, server).await, Origin::GivenHelper(name.clone()))
            }
        }
    }

    async fn files(&mut self, files: &[PathBuf]) -> (Option<Credential>, Origin) {
        for path in files {
            let file = match read(path) {
                Ok(Some(file)) => file,
                Ok(None) => continue,
                Err(reason) => {
                    self.problems.push(reason);
                    continue;
                }
            };
            for source in file.find(self.reference) {
                match source {
                    Source::Stored(credential) => {
                        return (Some(credential), Origin::File(path.clone()));
                    }
                    Source::Unusable(key) => self.problems.push(format!(
                        "the entry `{}` in `{}` holds neither a user with a password nor a token",
                        key.escape_debug(),
                        path.display()
                    )),
                    Source::Helper { name, server } => {
                        if let Some(credential) = self.ask(&name, &server).await {
                            let named_by = path.clone();
                            return (Some(credential), Origin::Helper { name, named_by });
                        }
                    }
                }
            }
        }
        (None, Origin::Nobody)
    }

    async fn ask(&mut self, name: &str, server: &str) -> Option<Credential> {
        match helper::ask(name, server, self.helper_timeout).await {
            Ok(credential) => credential,
            Err(error) => {
                self.problems.push(error.to_string());
                None
            }
        }
    }
}

/// The file of credentials at `path`, if there is one; why it cannot be used, as a sentence without any
/// part of its content.
pub fn read(path: &Path) -> Result<Option<CredentialFile>, String> {
    let cannot = |why: &dyn Display| format!("cannot read `{}`: {why}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(&error)),
    };
    let mut json = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut json).map_err(|error| cannot(&error))?;
    if json.len() as u64 > FILE_BYTES_MAX {
        return Err(cannot(&format_args!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    CredentialFile::parse(&json).map(Some).map_err(|error| cannot(&error))
}

#[cfg(test)]
mod tests;
