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
    let mut command = Command::new(format!("docker-credential-{name}"));
    command.arg("get");
    run(name, command, server, timeout).await
}

async fn run(
    name: &str,
    mut command: Command,
    server: &str,
    timeout: Duration,
) -> Result<Option<Credential>, HelperError> {
    let io_error = |source| HelperError::Io { name: name.to_owned(), source };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(io_error)?;
    let mut group = Group::of(&child);
    let talked = tokio::time::timeout(timeout, talk(&mut child, server)).await;
    let (answer, success) = talked
        .map_err(|_| HelperError::Timeout { name: name.to_owned(), after: timeout })?
        .map_err(io_error)?;
    group.has_ended();
    read(name, &answer, success)
}

async fn talk(child: &mut Child, server: &str) -> io::Result<(Vec<u8>, bool)> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that answers without reading closes its end; its answer counts.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
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
            Err(HelperError::Failed { name: name.to_owned() })
        };
    }
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|_| HelperError::Answer { name: name.to_owned() })?;
    let is_empty = answer.username.is_empty() && answer.secret.is_empty();
    Ok((!is_empty).then(|| Credential::from_login(answer.username, answer.secret)))
}

/// The helper's process group, killed when this is dropped before the helper has ended: after the timeout,
/// or when the caller gave up waiting.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// The number may soon be another group's.
    fn has_ended(&mut self) {
        self.0 = None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    async fn ask_script(
        script: &str,
        timeout: Duration,
    ) -> Result<Option<Credential>, HelperError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run("test", command, "r.example", timeout).await
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_helper_is_asked_for_the_server() {
        let script = r#"read server; echo "{\"Username\":\"ann\",\"Secret\":\"$server\"}""#;
        let expected =
            Credential::Password { user: "ann".to_owned(), password: Secret::new("r.example") };
        assert_eq!(ask_script(script, LONG).await.unwrap(), Some(expected));
        let script = r#"echo '{"Username":"<token>","Secret":"t"}'"#;
        let expected = Credential::IdentityToken(Secret::new("t"));
        assert_eq!(ask_script(script, LONG).await.unwrap(), Some(expected));
    }

    #[tokio::test]
    async fn a_helper_that_holds_nothing_is_no_failure() {
        let script = "echo credentials not found in native keychain; exit 1";
        assert_eq!(ask_script(script, LONG).await.unwrap(), None);
        let failed = ask_script("echo hunter2; exit 1", LONG).await.unwrap_err();
        assert!(matches!(failed, HelperError::Failed { .. }));
        let unclear = ask_script("echo hunter2", LONG).await.unwrap_err();
        assert!(matches!(unclear, HelperError::Answer { .. }));
        assert!(!format!("{failed:?} {unclear:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let script = format!("exec 3>'{}'; sleep 600 & sleep 600", pipe.display());
        let reader = tokio::task::spawn_blocking(move || std::fs::read(pipe));
        let hung = ask_script(&script, Duration::from_millis(200)).await;
        assert!(matches!(hung.unwrap_err(), HelperError::Timeout { .. }));
        // The pipe ends when the last process that holds it has ended.
        assert_eq!(reader.await.unwrap().unwrap(), b"");
    }
}
