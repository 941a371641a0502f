//! Credential helpers: programs named `docker-credential-NAME` that keep credentials elsewhere (the
//! protocol of `docker-credential-helpers`).

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::registry::credentials::Credential;

/// Bytes of a helper's answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What helpers say when they hold nothing; their exit status tells no more than that something is wrong.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Why a helper did not answer. Its output, which may hold secrets, is not in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// The name could be a path or an option.
    #[error("`{0}` is not the name of a credential helper")]
    Name(String),
    /// It cannot be started or talked to.
    #[error("cannot run `docker-credential-{name}`")]
    Io {
        /// The helper's name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It did not answer in time, and was killed.
    #[error("`docker-credential-{name}` did not answer within {} s", .after.as_secs())]
    Timeout {
        /// The helper's name.
        name: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// It failed.
    #[error("`docker-credential-{name}` failed")]
    Failed {
        /// The helper's name.
        name: String,
    },
    /// Its answer is not what the protocol asks for.
    #[error("`docker-credential-{name}` gave an answer that is not understood")]
    Answer {
        /// The helper's name.
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the helper `name` for the credential for `server`; `None` if it holds none. After `timeout` the
/// helper and all that it started are killed.
pub async fn ask(
    name: &str,
    server: &str,
    timeout: Duration,
) -> Result<Option<Credential>, HelperError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.bytes().all(plain) {
        return Err(HelperError::Name(name.escape_debug().to_string()));
    }
    let io_error = |source| HelperError::Io {
        name: name.to_owned(),
        source,
    };
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(io_error)?;
    let group = Group::of(&child);
    let talked = tokio::time::timeout(timeout, talk(&mut child, server)).await;
    drop(group);
    let Ok(talked) = talked else {
        return Err(HelperError::Timeout {
            name: name.to_owned(),
            after: timeout,
        });
    };
    let (answer, success) = talked.map_err(io_error)?;
    read(name, &answer, success)
}

async fn talk(child: &mut Child, server: &str) -> io::Result<(Vec<u8>, bool)> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that answers without reading closes its end; its answer counts.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
    }
    let status = child.wait().await?;
    Ok((answer, status.success()))
}

fn read(name: &str, answer: &[u8], success: bool) -> Result<Option<Credential>, HelperError> {
    if !success {
        let says_not_found = String::from_utf8_lossy(answer).trim() == NOT_FOUND;
        return if says_not_found {
            Ok(None)
        } else {
            Err(HelperError::Failed {
                name: name.to_owned(),
            })
        };
    }
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| HelperError::Answer {
        name: name.to_owned(),
    })?;
    let is_empty = answer.username.is_empty() && answer.secret.is_empty();
    Ok((!is_empty).then(|| Credential::from_login(answer.username, answer.secret)))
}

/// The helper's process group, killed when this is dropped, also where the caller gave up waiting.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // A group that has ended by itself cannot be killed, and need not be.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
