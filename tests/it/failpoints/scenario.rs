//! What the program is doing when a step fails, and what it begins with.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// An attribute that microsandbox does not read: a layer with it is not linked into its cache.
const ACL: &str = "xattr:system.posix_acl_access=\\x02\\x00\\x00\\x00";

const DAY: Duration = Duration::from_hours(24);

/// Bytes of a layer's blob that are read at once: `INPUT_BYTES` in `engine::layer`.
const PIECE_BYTES_MAX: u64 = 128 << 10;

/// Bytes of a blob that are kept however fast it comes: `KEPT_BYTES_MIN` in `store::partial`.
const KEPT_BYTES_MIN: u64 = 16 << 20;

/// Something that the program does, and that goes through failpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A first sync.
    Fill,
    /// A sync of a lock that has changed, which also deletes what it dropped.
    Change,
    /// A sync that finds a layer, an fsmeta and a disk damaged, each in its own way.
    Heal,
    /// A sync of a layer of which more is kept than it has.
    Large,
    /// A first sync of a user who keeps blobs.
    Keep,
    /// Everything is fetched, and nothing built.
    Fetch,
    /// A collection of what a root that ended, a lease that ended and a project that changed leave.
    Collect,
    /// The first lock.
    Lock,
    /// A lock that exists is written anew.
    Update,
    /// A process is given a path, and a lease.
    Lease,
    /// A root is removed by hand.
    RemoveRoot,
    /// The path of an image that was last used days ago.
    Use,
    /// A bundle fills a host that has nothing.
    Import,
    /// A first pull.
    Pull,
    /// A pull that links the layers' images into a directory.
    HandOut,
    /// A pull that makes directories of the layers, beside one that a killed run left.
    Unpack,
    /// A disk in another form.
    Disk,
    /// A first publication to another program's cache.
    Publish,
    /// A collection that takes an image out of another program's cache.
    Withdraw,
}

impl Scenario {
    pub(crate) const ALL: [Self; 19] = [
        Self::Fill,
        Self::Change,
        Self::Heal,
        Self::Large,
        Self::Keep,
        Self::Fetch,
        Self::Collect,
        Self::Lock,
        Self::Update,
        Self::Lease,
        Self::RemoveRoot,
        Self::Use,
        Self::Import,
        Self::Pull,
        Self::HandOut,
        Self::Unpack,
        Self::Disk,
        Self::Publish,
        Self::Withdraw,
    ];

    /// What is run with a trap, and then without one: what the first left undone the second does.
    pub(crate) fn command(self, stage: &Stage) -> Vec<String> {
        let (lock, pid) = (stage.project.lock_path(), stage.tenant.id().to_string());
        let outside = stage.outside();
        let outside = outside.display();
        let pull = format!("pull {}/app:1 --platform linux/amd64", stage.registry.host());
        let words = match self {
            Self::Fill | Self::Heal | Self::Large | Self::Keep => "sync",
            Self::Fetch => "sync --fetch-only",
            Self::Change => "sync --prune",
            Self::Collect | Self::Withdraw => "gc",
            Self::Lock => "lock",
            Self::Update => "update",
            Self::Lease => &format!("path app --platform linux/amd64 --lease-pid {pid}"),
            Self::RemoveRoot => &format!("roots remove {}", lock.display()),
            Self::Use => "path app --platform linux/amd64",
            Self::Import => &format!("import {}", stage.bundle().display()),
            Self::Pull => &pull,
            Self::HandOut => &format!("{pull} --layers-dir {outside}"),
            Self::Unpack => &format!("{pull} --layers-dir {outside} --layers-format dir"),
            Self::Disk => &format!("disk app --format raw -o {outside}/disk"),
            Self::Publish => &format!("publish microsandbox={outside}"),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    /// How often `id` is passed in every run, of a run in which it was passed `counted` times.
    pub(crate) fn certain_passings(self, id: &str, counted: u64) -> u64 {
        match self {
            Self::Large if id == "partial-write" => {}
            // A small blob comes in as many pieces as the network makes of it: only the first is certain.
            Self::Keep | Self::Fetch if id == "partial-write" => return 1,
            _ => return counted,
        }
        // Each piece that is kept passes. In how many a download comes, and whether its end is kept, is a matter
        // of time; none is larger than this.
        assert!(large().blob.len() as u64 >= KEPT_BYTES_MIN);
        let certain = KEPT_BYTES_MIN / PIECE_BYTES_MAX;
        assert!(counted >= certain, "{counted} pieces are less than {certain}");
        certain
    }

    /// Whether the command finds everything done the second time, and fails for that.
    pub(crate) fn is_done_once(self) -> bool {
        self == Self::RemoveRoot
    }
}

/// A registry and a project, and a process that is given a path.
pub(crate) struct Stage {
    pub(crate) registry: TestRegistry,
    pub(crate) project: Project,
    tenant: Child,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.tenant.kill().expect("a child can be killed");
        self.tenant.wait().expect("a child ends");
    }
}

impl Stage {
    /// A project that names images of a registry and has neither lock nor store.
    pub(crate) fn new() -> Self {
        let registry = TestRegistry::start();
        let tenant = Command::new("sleep").arg("3600").stdout(Stdio::null()).spawn();
        let tenant = tenant.expect("a process starts");
        Self { registry, project: project_naming(&[]), tenant }
    }

    /// Sets up what `scenario` begins with.
    pub(crate) fn prepare(&self, scenario: Scenario) {
        self.serve(scenario);
        self.name(&["app"]);
        match scenario {
            Scenario::Fill | Scenario::Fetch => drop(self.run(&["lock"])),
            Scenario::Keep => {
                self.project.write_config("keep-blobs = true\n");
                self.run(&["lock"]);
            }
            Scenario::Lock | Scenario::Pull | Scenario::HandOut => {}
            Scenario::Change | Scenario::Update => {
                self.run(&["sync"]);
                let moved = Layer::new("/app 0755 random=9500");
                serve(&self.registry, "app", "1", &two_platforms(&[&base(), &moved]));
                if scenario == Scenario::Change {
                    self.run(&["update"]);
                }
            }
            Scenario::Heal => self.damage(),
            Scenario::Large => self.keep_too_much(),
            Scenario::Collect => self.leave_things(),
            Scenario::Import => self.pack(),
            Scenario::Lease | Scenario::RemoveRoot | Scenario::Publish => {
                self.run(&["sync"]);
            }
            Scenario::Unpack => {
                let left = self.outside().join(".sandbox-images.part.left/filled");
                fs::create_dir_all(left).expect("a directory is made");
            }
            Scenario::Disk => {
                self.run(&["sync"]);
                fs::create_dir(self.outside()).expect("a directory is made");
            }
            Scenario::Withdraw => self.drop_published(),
            Scenario::Use => {
                self.run(&["sync"]);
                for kind in ["blob", "layer", "fsmeta", "disk"] {
                    for record in files_in(&self.at("f1/records").join(kind)) {
                        set_age(&record, DAY * 3);
                    }
                }
            }
        }
    }

    /// Runs the program without a trap, and demands success.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.project.run(arguments).exits(0)
    }

    /// Lets a day pass for files whose records are gone: until then nobody takes them for left over.
    pub(crate) fn age_unrecorded(&self) {
        let folders = [
            ("blob", "blobs/sha256"),
            ("layer", "f1/layers/sha256"),
            ("fsmeta", "f1/fsmeta/sha256"),
            ("disk", "f1/disks/sha256"),
        ];
        for (kind, folder) in folders {
            for file in files_in(&self.at(folder)) {
                let name = file.file_name().expect("it has a name").to_string_lossy();
                let hex = name.split('.').next().expect("a text has a first part");
                if !self.at("f1/records").join(kind).join(format!("{hex}.json")).exists() {
                    set_age(&file, DAY * 2);
                }
            }
        }
    }

    fn serve(&self, scenario: Scenario) {
        let app = if scenario == Scenario::Large {
            vec![large()]
        } else if scenario == Scenario::Publish {
            vec![base(), Layer::new(&format!("/etc/ 0755 {ACL}\n/app 0755 random=9000"))]
        } else {
            vec![base(), Layer::new("/etc/motd whiteout\n/app 0755 random=9000")]
        };
        let layers: Vec<&Layer> = app.iter().collect();
        serve(&self.registry, "app", "1", &two_platforms(&layers));
        serve(&self.registry, "tool", "1", &two_platforms(&[&Layer::new("/tool 0755 run")]));
    }

    fn name(&self, images: &[&str]) {
        let host = self.registry.host();
        let lines = images.iter().map(|name| format!("{name} = \"{host}/{name}:1\"\n"));
        let text = format!("manifest-version = 1\n\n[images]\n{}", lines.collect::<String>());
        let file = self.project.directory().join("sandbox-images.toml");
        fs::write(file, text).expect("`sandbox-images.toml` is written");
    }

    /// A path below the directory of the layout.
    fn at(&self, name: &str) -> PathBuf {
        self.project.store().join("v1").join(name)
    }

    /// Where things go that are of no store. It lies in its directory, where nobody looks at it, so that a
    /// scenario begins anew with both, and both are compared.
    fn outside(&self) -> PathBuf {
        self.project.store().join("outside")
    }

    /// An image that is published and that the project wants no more.
    fn drop_published(&self) {
        self.name(&["app", "tool"]);
        self.run(&["sync"]);
        let target = format!("microsandbox={}", self.outside().display());
        self.run(&["publish", &target, "--image", "tool"]);
        self.name(&["app"]);
        self.run(&["lock"]);
        self.run(&["sync", "--no-gc"]);
    }

    /// A layer of wrong bytes, an fsmeta that is a directory, a disk without a record.
    fn damage(&self) {
        self.run(&["sync"]);
        let file = |kind: &str| files_in(&self.at("f1").join(kind).join("sha256")).remove(0);
        let layer = file("layers");
        fs::remove_file(&layer).expect("a layer is removed");
        fs::write(&layer, [7; 5000]).expect("a damaged layer is written");
        let fsmeta = file("fsmeta");
        fs::remove_file(&fsmeta).expect("an fsmeta is removed");
        fs::create_dir(&fsmeta).expect("a directory is made");
        for record in files_in(&self.at("f1/records/disk")) {
            fs::remove_file(record).expect("a record is removed");
        }
    }

    /// Where a bundle of the project is.
    fn bundle(&self) -> PathBuf {
        self.project.files().join("bundle.tar")
    }

    /// A bundle, and no lock and no store beside it.
    fn pack(&self) {
        self.run(&["sync"]);
        let bundle = self.bundle();
        let output = bundle.to_str().expect("temporary paths are UTF-8");
        self.run(&["export", "-o", output, "--content", "both"]);
        fs::remove_dir_all(self.project.store()).expect("the store is removed");
        fs::remove_file(self.project.lock_path()).expect("the lock is removed");
    }

    /// More of the layer's blob than it has.
    fn keep_too_much(&self) {
        self.run(&["lock"]);
        let large = large();
        let hex = large.digest.strip_prefix("sha256:").expect("a digest is SHA-256");
        fs::create_dir_all(self.at("partial")).expect("a directory is made");
        let kept = File::create(self.at("partial").join(hex)).expect("a file is made");
        kept.set_len(large.blob.len() as u64 + 1).expect("a file takes any length");
        mask(&kept);
    }

    /// Artifacts of an image that is no longer named, a root and leases that ended, an old file without a
    /// record and an old piece of a download; a guard and a lease as a umask leaves them in the moment after
    /// they were made.
    fn leave_things(&self) {
        self.name(&["app", "tool"]);
        self.run(&["sync"]);
        let mut tenant = Command::new("sleep").arg("3600").spawn().expect("a process starts");
        let pid = tenant.id().to_string();
        self.run(&["path", "tool", "--platform", "linux/amd64", "--lease-pid", &pid]);
        tenant.kill().expect("a child can be killed");
        tenant.wait().expect("a child ends");
        self.name(&["app"]);
        self.run(&["lock"]);
        self.run(&["sync", "--no-gc"]);

        let root = files_in(&self.at("roots")).remove(0);
        let text = fs::read_to_string(&root).expect("a root is text");
        let lines = text.lines().map(|line| match line.split_once("\"last_seen\":") {
            Some((before, _)) => format!("{before}\"last_seen\": 1"),
            None => line.replace("sandbox-images.lock", "gone.lock"),
        });
        let ended = self.at("roots").join(format!("{}.json", "a".repeat(64)));
        fs::write(ended, lines.collect::<Vec<_>>().join("\n")).expect("a root is written");
        for (name, age) in [("partial", DAY * 8), ("f1/disks/sha256", DAY * 2)] {
            let extension = if name == "partial" { "" } else { ".vmdk" };
            let file = self.at(name).join(format!("{}{extension}", "b".repeat(64)));
            fs::write(&file, "left over").expect("a file is written");
            set_age(&file, age);
        }
        for name in ["guards/store", "leases/run-1-0.json"] {
            let file = File::options().create(true).append(true).open(self.at(name));
            mask(&file.expect("a file is made"));
        }
    }
}

/// Takes everybody's right to a file but its owner's, as a umask does.
fn mask(file: &File) {
    let mode = Permissions::from_mode(0o600);
    file.set_permissions(mode).expect("a file takes a mode");
}

fn base() -> Layer {
    Layer::new("/etc/ 0755\n/etc/motd 0644 hello\n/lib 0644 random=30000")
}

/// Large enough to be kept while it comes.
fn large() -> Layer {
    Layer::new("/lib 0644 random=17000000")
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a directory can be listed");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a directory can be listed").path()).collect();
    files.sort();
    files
}

fn set_age(file: &Path, age: Duration) {
    let file = File::open(file).expect("a file can be opened");
    file.set_modified(SystemTime::now() - age).expect("a file takes a time");
}
