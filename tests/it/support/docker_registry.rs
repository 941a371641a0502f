//! The CNCF distribution registry (Debian's `docker-registry`) on 127.0.0.1, for as long as a value lives.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::process::{bounded, run};

/// How long the registry may take to listen.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Who may use a private registry.
pub(crate) const USER: &str = "ann";

/// That user's password.
pub(crate) const PASSWORD: &str = "secret-of-the-real-registry";

/// The same for the registry: bcrypt, the only form that it reads.
const HTPASSWD: &str = "ann:$2y$05$abcdefghijklmnopqrstuuCKdxXVg/4GIUnG.7mps78PtY5E1hGqK\n";

/// A running registry with empty storage of its own.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    process: Child,
    /// `127.0.0.1:PORT`.
    address: String,
    /// The authority of its certificate, where it speaks TLS and wants a password.
    ca_pem: Option<String>,
    files: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts an open registry over plain http, and waits until it listens.
    pub(crate) fn start() -> Self {
        Self::start_as(false)
    }

    /// Starts a registry over TLS, with an authority of its own, that wants [`USER`] and [`PASSWORD`].
    pub(crate) fn start_private() -> Self {
        Self::start_as(true)
    }

    fn start_as(private: bool) -> Self {
        let files = tempfile::tempdir().expect("a temporary directory is made");
        let ca_pem = private.then(|| write_secrets(files.path()));
        let config = files.path().join("config.yml");
        fs::write(&config, config_text(files.path(), private)).expect("a config file is written");
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
        Self { process, address, ca_pem, files }
    }

    /// The authority that a client must trust, where the registry is private.
    pub(crate) fn ca_pem(&self) -> &str {
        self.ca_pem.as_deref().expect("started as a private one")
    }

    /// `127.0.0.1:PORT`, as references begin.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Copies the image `tag` of a layout directory to `name`, every platform of it, byte for byte.
    pub(crate) fn push(&self, layout: &Path, tag: &str, name: &str) {
        let mut skopeo = bounded("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]);
        if self.ca_pem.is_some() {
            skopeo.arg("--dest-cert-dir").arg(self.files.path().join("trusted"));
            skopeo.arg("--dest-creds").arg(format!("{USER}:{PASSWORD}"));
        } else {
            skopeo.arg("--dest-tls-verify=false");
        }
        run(skopeo
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

fn config_text(files: &Path, private: bool) -> String {
    let files = files.display();
    let (tls, auth) = if private {
        (
            format!(", tls: {{certificate: {files}/own.crt, key: {files}/own.key}}"),
            format!("auth: {{htpasswd: {{realm: test, path: {files}/htpasswd}}}}\n"),
        )
    } else {
        (String::new(), String::new())
    };
    format!(
        "version: 0.1\n\
         log: {{level: info, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {files}/storage, maxthreads: 100}}}}\n\
         http: {{addr: \"127.0.0.1:0\"{tls}}}\n{auth}"
    )
}

/// Writes a certificate, its key and the password, and answers the authority's certificate.
fn write_secrets(files: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let ca = ca.expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let own = own.signed_by(&key, &ca).expect("a certificate");
    fs::create_dir(files.join("trusted")).expect("a directory is made");
    for (name, text) in [
        ("own.crt", own.pem()),
        ("own.key", key.serialize_pem()),
        ("htpasswd", HTPASSWD.to_owned()),
        ("trusted/ca.crt", ca.pem()),
    ] {
        fs::write(files.join(name), text).expect("a file is written");
    }
    ca.pem()
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
