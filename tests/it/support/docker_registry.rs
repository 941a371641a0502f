//! The CNCF distribution registry (Debian's `docker-registry`) on 127.0.0.1, for as long as a value lives.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::process::{bounded, run};

/// How long the registry may take to listen.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running registry with empty storage of its own.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    process: Child,
    /// `127.0.0.1:PORT`.
    address: String,
    _files: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts the registry and waits until it listens.
    pub(crate) fn start() -> Self {
        let files = tempfile::tempdir().expect("a temporary directory is made");
        let config = files.path().join("config.yml");
        let storage = files.path().join("storage");
        fs::write(&config, config_text(&storage)).expect("a config file is written");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`docker-registry` starts");
        let log = process.stderr.take().expect("its log is a pipe");
        let Some(address) = listening_address(log) else {
            stop(&mut process);
            panic!("`docker-registry` did not listen within {START_TIMEOUT:?}");
        };
        Self { process, address, _files: files }
    }

    /// `127.0.0.1:PORT`, as references begin.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Copies the image `tag` of a layout directory to `name`, every platform of it, byte for byte.
    pub(crate) fn push(&self, layout: &Path, tag: &str, name: &str) {
        run(bounded("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"])
            .arg("--dest-tls-verify=false")
            .arg(format!("oci:{}:{tag}", layout.display()))
            .arg(format!("docker://{}/{name}", self.address)));
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

/// Ends the process; one that has ended already is as good.
fn stop(process: &mut Child) {
    process.kill().ok();
    process.wait().ok();
}

fn config_text(storage: &Path) -> String {
    format!(
        "version: 0.1\n\
         log: {{level: info, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}, maxthreads: 100}}}}\n\
         http: {{addr: \"127.0.0.1:0\"}}\n",
        storage.display()
    )
}

/// What the log says the registry listens on. The rest of the log is read and dropped.
fn listening_address(log: ChildStderr) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
                // Nobody listens any more once the address is known.
                sender.send(rest[..end.unwrap_or(rest.len())].to_owned()).ok();
            }
        }
    });
    receiver.recv_timeout(START_TIMEOUT).ok()
}

#[test]
fn an_image_is_pushed_with_its_digest() {
    use super::image::{Image, Layer};
    use super::needs::needs;
    if !needs(&["docker-registry", "skopeo"]) {
        return;
    }
    let layout = tempfile::tempdir().expect("a temporary directory is made");
    let base = Layer::new("/etc/motd 0644 hello");
    let image = Image::multi(&[("linux/amd64", vec![&base]), ("linux/arm64", vec![&base])]);
    image.write_layout(layout.path(), "v1").expect("a layout is written");

    let registry = DockerRegistry::start();
    registry.push(layout.path(), "v1", "team/app:1");

    let reference = format!("docker://{}/team/app:1", registry.address());
    let served =
        run(bounded("skopeo").args(["inspect", "--raw", "--tls-verify=false", &reference]));
    assert_eq!(served.as_bytes(), image.root_bytes());
}
