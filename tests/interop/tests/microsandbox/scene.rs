//! An image in a registry on 127.0.0.1, a project that is synced, and a cache that is published to.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The program that is built beside this workspace.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/debug/sandbox-images");

const OCI: &str = "application/vnd.oci.image";

/// All that a test needs. Dropping it ends the registry.
pub struct Scene {
    files: tempfile::TempDir,
    registry: Child,
    address: String,
}

impl Scene {
    /// A project whose image `app` has these layers and is synced.
    pub fn with_layers(names: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (registry, address) = start_registry(files.path());
        let scene = Self { files, registry, address };
        scene.write_layout(names);
        scene.push();
        let project = scene.files.path().join("project");
        fs::create_dir(&project).unwrap();
        let text = format!("manifest-version = 1\n\n[images]\napp = \"{}/app:1\"\n", scene.address);
        fs::write(project.join("sandbox-images.toml"), text).unwrap();
        scene.json(&["sync"]);
        scene
    }

    /// Where a test may put things.
    pub fn folder(&self) -> &Path {
        self.files.path()
    }

    /// The directory that is microsandbox's cache.
    pub fn cache(&self) -> PathBuf {
        self.files.path().join("cache")
    }

    /// Publishes the image, and answers what is said of it.
    pub fn publish(&self) -> Value {
        let target = format!("microsandbox={}", self.cache().display());
        self.json(&["publish", &target])["published"][0].clone()
    }

    /// The layer images of the cache.
    pub fn layer_images(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache().join("layers")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|it| it == "erofs")).collect()
    }

    /// Runs the program under test with `--json`, demands success and answers what it prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let program = std::env::var_os("SANDBOX_IMAGES").unwrap_or_else(|| BUILT.into());
        let ran = Command::new(program)
            .current_dir(self.files.path().join("project"))
            .env_remove("CI")
            .arg("--store")
            .arg(self.files.path().join("store"))
            .args(arguments)
            .arg("--json")
            .output()
            .expect("the program under test starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    /// Has skopeo write the image into an archive: `docker-archive` or `oci-archive`.
    pub fn skopeo_archive(&self, form: &str, archive: &Path) {
        let source = format!("docker://{}/app:1", self.address);
        let target = format!("{form}:{}:example.com/team/app:1", archive.display());
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"])
            .args([source, target]));
    }

    fn push(&self) {
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"])
            .arg("--dest-tls-verify=false")
            .arg(format!("oci:{}:1", self.files.path().join("layout").display()))
            .arg(format!("docker://{}/app:1", self.address)));
    }

    /// Writes a layout with an index of two platforms, both with these layers.
    fn write_layout(&self, names: &[&str]) {
        let layout = Layout { folder: self.files.path().join("layout") };
        fs::create_dir_all(layout.folder.join("blobs/sha256")).unwrap();
        let tars: Vec<Vec<u8>> = names.iter().map(|name| layer_tar(name)).collect();
        let layer = format!("{OCI}.layer.v1.tar");
        let layers: Vec<Value> = tars.iter().map(|tar| layout.blob(&layer, tar)).collect();
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let manifests = ["amd64", "arm64"].map(|architecture| {
            let config = layout.json(
                &format!("{OCI}.config.v1+json"),
                &json!({
                    "os": "linux",
                    "architecture": architecture,
                    "rootfs": { "type": "layers", "diff_ids": diff_ids },
                    "config": {
                        "Env": ["PATH=/bin", "NAME=value"],
                        "Cmd": ["run"],
                        "User": "7:8",
                        "ExposedPorts": { "80/tcp": {} },
                        "Labels": { "a": "b" },
                    },
                }),
            );
            let media_type = format!("{OCI}.manifest.v1+json");
            let manifest = json!({
                "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
            });
            let mut manifest = layout.json(&media_type, &manifest);
            manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
            manifest
        });
        let media_type = format!("{OCI}.index.v1+json");
        let index = json!({
            "schemaVersion": 2, "mediaType": media_type, "manifests": manifests,
        });
        let mut index = layout.json(&media_type, &index);
        index["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
        let all = json!({ "schemaVersion": 2, "manifests": [index] });
        fs::write(layout.folder.join("index.json"), all.to_string()).unwrap();
        fs::write(layout.folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.registry.kill().ok();
        self.registry.wait().ok();
    }
}

/// An OCI layout that is being written.
struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Adds a blob and answers its descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.folder.join("blobs/sha256").join(&hex), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() })
    }

    fn json(&self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }
}

/// The tar of one of the layers that tests name.
fn layer_tar(name: &str) -> Vec<u8> {
    let mut tar = Tar(tar::Builder::new(Vec::new()));
    match name {
        "base" => {
            tar.entry("etc/", tar::EntryType::Directory, b"", "");
            tar.entry("etc/motd", tar::EntryType::Regular, b"hello", "");
            tar.entry("etc/old", tar::EntryType::Regular, b"goes", "");
            tar.entry("bin/", tar::EntryType::Directory, b"", "");
            tar.entry("bin/tool", tar::EntryType::Regular, &[7; 10_000], "");
            tar.entry("bin/sh", tar::EntryType::Symlink, b"", "tool");
            tar.entry("bin/ash", tar::EntryType::Link, b"", "bin/tool");
            tar.entry("run/", tar::EntryType::Directory, b"", "");
            tar.entry("run/pipe", tar::EntryType::Fifo, b"", "");
            tar.xattr("user.note", b"12345678901");
            tar.entry("bin/noted", tar::EntryType::Regular, b"noted", "");
            for number in 0..300 {
                let name = format!("etc/a-long-name-that-fills-a-directory-{number}");
                tar.entry(&name, tar::EntryType::Regular, name.as_bytes(), "");
            }
        }
        "change" => {
            tar.entry("etc/.wh.old", tar::EntryType::Regular, b"", "");
            tar.entry("etc/motd", tar::EntryType::Regular, b"changed", "");
            tar.entry("run/", tar::EntryType::Directory, b"", "");
            tar.entry("run/.wh..wh..opq", tar::EntryType::Regular, b"", "");
        }
        "acls" => {
            let acl = b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x04\0\x05\0\xff\xff\xff\xff\x20\0\x05\0\xff\xff\xff\xff";
            tar.xattr("system.posix_acl_access", acl);
            tar.entry("shared/", tar::EntryType::Directory, b"", "");
            tar.xattr("system.posix_acl_access", acl);
            tar.entry("shared/file", tar::EntryType::Regular, b"content", "");
            tar.xattr("user.odd", b"1");
            tar.entry("shared/odd", tar::EntryType::Regular, b"odd", "");
        }
        other => panic!("there is no layer `{other}`"),
    }
    tar.0.into_inner().unwrap()
}

/// A tar that is being written.
struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    fn entry(&mut self, path: &str, kind: tar::EntryType, content: &[u8], link: &str) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(3);
        header.set_gid(4);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        self.0.append_data(&mut header, path, content).unwrap();
    }

    /// Gives the next entry an extended attribute.
    fn xattr(&mut self, name: &str, value: &[u8]) {
        let key = format!("SCHILY.xattr.{name}");
        self.0.append_pax_extensions([(key.as_str(), value)]).unwrap();
    }
}

/// Starts Debian's `docker-registry` with storage of its own, and answers where it listens.
fn start_registry(files: &Path) -> (Child, String) {
    let config = files.join("registry.yml");
    let text = format!(
        "version: 0.1\n\
         log: {{level: info, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}/storage, maxthreads: 100}}}}\n\
         http: {{addr: \"127.0.0.1:0\"}}\n",
        files.display()
    );
    fs::write(&config, text).unwrap();
    let mut process = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`docker-registry` starts");
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let rest = line.split("listening on ").nth(1)?;
            let is_address = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':');
            Some(rest.chars().take_while(|c| is_address(*c)).collect::<String>())
        })
        .expect("`docker-registry` says where it listens");
    // A pipe that nobody reads would stop it one day.
    std::thread::spawn(move || lines.for_each(drop));
    (process, address)
}

fn run(command: &mut Command) {
    let ran = command.output().expect("the program starts");
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}
