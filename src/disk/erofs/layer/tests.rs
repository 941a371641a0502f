use proptest::prelude::*;

use super::*;

/// Blocks that are alike, and how they come.
#[derive(Debug, Clone, Copy)]
enum Run {
    Data(u8, usize),
    Hole(usize),
}

/// Runs of few kinds of blocks, so that many files are equal or begin alike, and some bytes behind them.
fn file() -> impl Strategy<Value = (Vec<Run>, usize)> {
    let count = prop_oneof![1..4_usize, 14..19_usize, Just(40)];
    let run = (0..4_u8, count).prop_map(|(kind, count)| match kind {
        0 => Run::Hole(count),
        1 => Run::Data(0, count),
        letter => Run::Data(letter, count),
    });
    (prop::collection::vec(run, 1..4), prop_oneof![Just(1_usize), Just(BLOCK_BYTES)])
}

/// Writes the file, and answers its first block and its bytes.
fn write(writer: &mut LayerWriter<Vec<u8>>, runs: &[Run], rest: usize) -> (u32, Vec<u8>) {
    let mut bytes = Vec::new();
    for run in runs {
        match *run {
            Run::Hole(count) => bytes.resize(bytes.len() + count * BLOCK_BYTES, 0),
            Run::Data(letter, count) => {
                let data = vec![letter; count * BLOCK_BYTES];
                writer.write(bytes.len() as u64, &data).unwrap();
                bytes.extend(data);
            }
        }
    }
    bytes.resize(bytes.len() + rest, 0);
    (DataSink::finish(writer, bytes.len() as u64).unwrap(), bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn files_have_one_place_if_and_only_if_they_are_equal(
        files in prop::collection::vec(file(), 2..8),
    ) {
        let mut writer = LayerWriter::new(Vec::new()).unwrap();
        let files: Vec<_> =
            files.iter().map(|(runs, rest)| write(&mut writer, runs, *rest)).collect();
        let image = writer.out.finish().unwrap();
        for (index, (address, bytes)) in files.iter().enumerate() {
            let start = *address as usize * BLOCK_BYTES;
            prop_assert!(image[start..start + bytes.len()] == **bytes);
            for (other, its) in &files[..index] {
                prop_assert_eq!(address == other, bytes == its);
            }
        }
    }
}

/// What was read of a file in memory.
struct Counted(Vec<u8>, std::cell::Cell<u64>);

impl crate::disk::file::ReadAt for Counted {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.1.set(self.1.get() + buffer.len() as u64);
        self.0.read_at(offset_bytes, buffer)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.0.size_bytes()
    }
}

impl BlockFile for Counted {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset_bytes, bytes)
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        BlockFile::set_len(&mut self.0, size_bytes)
    }
}

/// A writer that counts what is read of its image.
fn counting() -> LayerWriter<Counted> {
    LayerWriter::new(Counted(Vec::new(), std::cell::Cell::new(0))).unwrap()
}

/// Writes a block at each of `places` in a file of `blocks`, and answers its first block.
fn sparse(writer: &mut LayerWriter<Counted>, places: &[u64], blocks: u64) -> u32 {
    for place in places {
        writer.write(place * BLOCK, &[7; BLOCK_BYTES]).unwrap();
    }
    DataSink::finish(writer, blocks * BLOCK).unwrap()
}

#[test]
fn a_hole_is_never_read() {
    let mut writer = counting();
    let holes = [sparse(&mut writer, &[0, 900, 910], 913), sparse(&mut writer, &[0], 500)];
    assert_eq!(holes, [1, 914]);
    assert_eq!(sparse(&mut writer, &[0], 1), 1414);
    let again = [sparse(&mut writer, &[0, 900, 910], 913), sparse(&mut writer, &[0], 500)];
    assert_eq!(again, holes);
    assert_eq!(writer.out.finish().unwrap().1.get(), 0);
}

#[test]
fn what_stands_before_a_hole_behind_the_head_is_read_again_once() {
    let mut writer = counting();
    let places: Vec<u64> = (0..20).chain([900, 910]).collect();
    assert_eq!(sparse(&mut writer, &places, 913), 1);
    assert_eq!(sparse(&mut writer, &places, 913), 1);
    assert_eq!(writer.out.finish().unwrap().1.get(), 20 * BLOCK);
}

#[test]
fn a_large_file_is_read_again_once_and_only_if_another_begins_like_it() {
    let mut writer = counting();
    let size = 600 * BLOCK_BYTES;
    let mut other_end = vec![1; size];
    other_end[size - 1] = 2;
    let files = [vec![3; size], vec![1; size], other_end, vec![1; size], vec![1; size - 1]];
    let places = files.map(|bytes| {
        writer.write(0, &bytes).unwrap();
        DataSink::finish(&mut writer, bytes.len() as u64).unwrap()
    });
    assert_eq!(places, [1, 601, 1201, 601, 1801]);
    assert_eq!(writer.out.finish().unwrap().1.get(), size as u64);
}
