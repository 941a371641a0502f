//! Whatever tree is written is the tree that is read.

use proptest::prelude::*;
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::tree::{Device, Kind, Metadata, Timestamp, Xattrs};

use super::listing;
use super::sample::{Sample, everything};

#[test]
fn one_of_everything_is_read_as_it_was_written() {
    check_layer(everything(1));
    check_stack(everything(3));
}

#[test]
fn a_device_table_may_be_longer_than_the_first_block() {
    let mut sample = Sample::new(60);
    for layer in 0..60 {
        if layer % 3 > 0 {
            let name = format!("file{layer}");
            sample.file(layer, name.as_bytes(), Metadata::implied(), name.as_bytes());
        }
    }
    check_stack(sample);
}

#[test]
fn an_empty_stack_is_a_root() {
    check_stack(Sample::new(0));
    check_layer(Sample::new(1));
}

#[test]
fn links_and_subdirectories_may_be_more_than_16_bits_count() {
    let mut sample = Sample::new(1);
    sample.directory(b"d", Metadata::implied());
    sample.file(0, b"f", Metadata::implied(), b"x");
    for index in 0..66_000 {
        sample.link(format!("l{index}").as_bytes(), b"f");
        sample.directory(format!("d/{index}").as_bytes(), Metadata::implied());
    }
    check_stack(sample);
}

fn check_layer(sample: Sample) {
    let (tree, bytes, _) = sample.layer_image();
    let read = Image::open(&bytes).unwrap().tree(0).unwrap();
    let images = [bytes];
    listing::assert_equal(&listing::of_tree(&read, &images), &listing::of_tree(&tree, &images));
}

fn check_stack(sample: Sample) {
    let stack = sample.stack();
    let image = Image::open(&stack.fsmeta).unwrap();
    let tags: Vec<_> = image.devices().iter().map(|slot| slot.tag).collect();
    let ids = stack.facts.devices.iter().map(|&index| stack.layers[index].diff_id.0);
    assert_eq!(tags, ids.collect::<Vec<_>>());
    listing::assert_equal(
        &listing::of_tree(&image.tree(0).unwrap(), &stack.devices()),
        &listing::of_tree(&stack.tree, &stack.images),
    );
    let disk = stack.disk();
    let stitched = Image::open(&disk).unwrap();
    assert_eq!(stitched.superblock(), image.superblock());
}

/// One entry of a random tree, in the directory that `parent` picks from those before it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    parent: prop::sample::Index,
    name: Vec<u8>,
    metadata: Metadata,
    what: What,
}

impl Entry {
    /// Leaves out the attributes that the kernel does not show as they are: `user.` on anything but files
    /// and directories, and access lists, of which these are none.
    pub(super) fn keep_what_the_kernel_shows(&mut self) {
        let user = matches!(self.what, What::Directory | What::File(..));
        self.metadata.xattrs.retain(|name, _| match &**name {
            b"system.posix_acl_access" => false,
            name => user || !name.starts_with(b"user."),
        });
    }
}

#[derive(Debug, Clone)]
enum What {
    Directory,
    Link(prop::sample::Index),
    File(u16, Vec<u8>),
    Other(Kind),
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![&b"!a"[..], b"-", b"...", b".-", b".a", b"a"])
            .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 1..255).prop_map(|mut name| {
            name.iter_mut().filter(|byte| b"/\0".contains(byte)).for_each(|byte| *byte = 0x80);
            name
        }),
    ]
    .prop_filter("a name", |name| !matches!(&name[..], b"." | b".."))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let times = prop_oneof![Just((7, 7)), (any::<i64>(), 0_u32..1_000_000_000)];
    let owners = prop_oneof![Just(0), Just(65_535), Just(65_536), any::<u32>()];
    let names = prop::sample::select(vec![
        "user.a",
        "user.bb",
        "trusted.ccc",
        "security.d",
        "system.posix_acl_access",
    ]);
    let values = prop_oneof![0_usize..40, 3900_usize..4200];
    let xattrs = prop::collection::btree_map(names, values, 0..3);
    (0_u16..0o10000, owners, times, xattrs).prop_map(|(mode, uid, time, xattrs)| Metadata {
        mode,
        uid,
        gid: 0,
        mtime: Timestamp { seconds: time.0, nanoseconds: time.1 },
        xattrs: xattrs
            .into_iter()
            .map(|(name, len)| (name.as_bytes().into(), vec![1; len].into()))
            .collect::<Xattrs>(),
    })
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop::sample::select(vec![0, 1, 4095, 4096, 4097, 12_288, 20_000]);
    (sizes, 0_u8..4, any::<prop::sample::Index>()).prop_map(|(size, byte, other)| {
        let mut bytes = vec![byte; size];
        if size > 0 {
            bytes[other.index(size)] = 9;
        }
        bytes
    })
}

pub(super) fn entries() -> impl Strategy<Value = Entry> {
    let devices = (0_u32..4096, 0_u32..1 << 20)
        .prop_map(|(major, minor)| What::Other(Kind::CharDevice(Device { major, minor })));
    let targets = prop_oneof![1_usize..40, 3900_usize..4096]
        .prop_map(|len| What::Other(Kind::Symlink(vec![b't'; len].into())));
    let what = prop_oneof![
        3 => Just(What::Directory),
        2 => any::<prop::sample::Index>().prop_map(What::Link),
        5 => (0_u16..3, contents()).prop_map(|(layer, bytes)| What::File(layer, bytes)),
        2 => targets,
        1 => devices,
        1 => Just(What::Other(Kind::Fifo)),
    ];
    (any::<prop::sample::Index>(), names(), metadata(), what)
        .prop_map(|(parent, name, metadata, what)| Entry { parent, name, metadata, what })
}

pub(super) fn build(entries: &[Entry], layers: u16) -> Sample {
    let mut sample = Sample::new(usize::from(layers));
    let mut directories: Vec<Vec<u8>> = vec![Vec::new()];
    let mut others: Vec<Vec<u8>> = Vec::new();
    let mut taken = std::collections::BTreeSet::new();
    for entry in entries {
        let parent = entry.parent.get(&directories);
        let path = match parent.as_slice() {
            b"" => entry.name.clone(),
            parent => [parent, b"/", &entry.name].concat(),
        };
        if !taken.insert(path.clone()) {
            continue;
        }
        let metadata = entry.metadata.clone();
        match &entry.what {
            What::Directory => {
                sample.directory(&path, metadata);
                directories.push(path);
                continue;
            }
            What::Link(_) if others.is_empty() => continue,
            What::Link(target) => sample.link(&path, target.get::<Vec<u8>>(&others)),
            What::File(layer, bytes) => sample.file(layer % layers, &path, metadata, bytes),
            What::Other(kind) => sample.add(&path, metadata, kind.clone()),
        }
        others.push(path);
    }
    sample
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_random_tree_is_read_as_it_was_written(
        entries in prop::collection::vec(entries(), 0..120)
    ) {
        check_layer(build(&entries, 1));
        check_stack(build(&entries, 3));
    }
}
