//! The BLAKE3 of a file that is written at positions, had without reading it again.
//!
//! The first block of an image is written last, and what was appended may be taken back, so no digest that must
//! see the bytes in their order can follow the writes. BLAKE3 is a tree: each piece of the file is hashed on its
//! own while it passes, in memory that is still warm. Only a piece in which something was changed afterwards is
//! read again at the end.

use std::io;
use std::ops::Range;

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of the first piece, a block, of which the second has as many.
const FIRST_BYTES: u64 = 4 << 10;

/// Bytes of a piece, a power of two, but for the first pieces, each of which is as long as all before it:
/// what is remembered of an image of 1 TiB is 33 MiB.
const PIECE_BYTES: u64 = 1 << 20;

/// Pieces that are as long as one.
const SHORT_PIECES: usize = (PIECE_BYTES / FIRST_BYTES).ilog2() as usize + 1;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What is known of the bytes so far.
#[derive(Debug, Clone)]
pub(super) struct Piecewise {
    /// The hash of each whole piece before the current one; `None` where it must be read again.
    pieces: Vec<Option<ChainingValue>>,
    /// Of the current piece, up to `position`; `None` if what it saw is no longer true.
    current: Option<Box<blake3::Hasher>>,
    /// All behind this is a hole.
    position: u64,
}

impl Piecewise {
    /// Of a file of `size_bytes` that were not seen.
    pub(super) fn unseen(size_bytes: u64) -> Self {
        let pieces = vec![None; piece_at(size_bytes)];
        Self { pieces, current: current_at(size_bytes), position: size_bytes }
    }

    /// Takes note of `bytes` being written at `offset_bytes`.
    pub(super) fn write(&mut self, offset_bytes: u64, bytes: &[u8]) {
        let end = offset_bytes.saturating_add(bytes.len() as u64);
        if offset_bytes < self.position && !bytes.is_empty() {
            self.forget(offset_bytes, end.min(self.position));
        }
        self.skip_to(offset_bytes);
        if end > self.position {
            let known = usize::try_from(self.position - offset_bytes).unwrap_or(bytes.len());
            self.append(&bytes[known..]);
        }
    }

    /// Takes note of the file being cut to `size_bytes`, or extended to it with a hole.
    pub(super) fn set_len(&mut self, size_bytes: u64) {
        if size_bytes >= self.position {
            return;
        }
        self.pieces.truncate(piece_at(size_bytes));
        self.position = size_bytes;
        self.current = current_at(size_bytes);
    }

    /// The hash of the file, which now has `size_bytes`. `read` fills a buffer with what is at an offset.
    pub(super) fn finish(
        mut self,
        size_bytes: u64,
        read: impl Fn(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<blake3::Hash> {
        let hash_again = |piece: Range<u64>| {
            let (mut hasher, mut buffer) = (hasher_at(piece.start), vec![0; ZEROS.len()]);
            let (mut position, end) = (piece.start, size_bytes.min(piece.end));
            while position < end {
                let count = usize::try_from(end - position)
                    .map_or(buffer.len(), |left| left.min(buffer.len()));
                read(position, &mut buffer[..count])?;
                hasher.update(&buffer[..count]);
                position += count as u64;
            }
            Ok(hasher)
        };
        if size_bytes <= FIRST_BYTES {
            return hash_again(place_of(0)).map(|hasher| hasher.finalize());
        }
        self.skip_to(size_bytes);
        if place_of(self.pieces.len()).start < size_bytes {
            self.end_piece();
        }
        let pieces = self.pieces.into_iter().enumerate().map(|(index, piece)| match piece {
            Some(piece) => Ok(piece),
            None => hash_again(place_of(index)).map(|hasher| hasher.finalize_non_root()),
        });
        Ok(root(&pieces.collect::<io::Result<Vec<_>>>()?))
    }

    /// What was seen between `start` and `end`, which is at most the position, is no longer true.
    fn forget(&mut self, start: u64, end: u64) {
        let whole = self.pieces.len();
        if end > place_of(whole).start {
            self.current = None;
        }
        let last = piece_at(end.saturating_sub(1)).saturating_add(1).min(whole);
        self.pieces[piece_at(start).min(last)..last].fill(None);
    }

    /// A hole reads as zeros.
    fn skip_to(&mut self, offset_bytes: u64) {
        while self.position < offset_bytes {
            let count = (offset_bytes - self.position).min(ZEROS.len() as u64);
            self.append(&ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len())]);
        }
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = place_of(self.pieces.len()).end;
            let count = usize::try_from(end - self.position)
                .map_or(bytes.len(), |room| room.min(bytes.len()));
            let (now, later) = bytes.split_at(count);
            if let Some(current) = &mut self.current {
                current.update(now);
            }
            self.position += now.len() as u64;
            if self.position == end {
                self.end_piece();
            }
            bytes = later;
        }
    }

    /// The current piece is whole.
    fn end_piece(&mut self) {
        let next = hasher_at(place_of(self.pieces.len()).end);
        let ended = self.current.replace(next);
        self.pieces.push(ended.map(|hasher| hasher.finalize_non_root()));
    }
}

/// The piece in which the byte at `offset_bytes` is.
fn piece_at(offset_bytes: u64) -> usize {
    match usize::try_from(offset_bytes / PIECE_BYTES) {
        Ok(0) => (offset_bytes / FIRST_BYTES).checked_ilog2().map_or(0, |log| log as usize + 1),
        Ok(index) => SHORT_PIECES - 1 + index,
        Err(_) => usize::MAX,
    }
}

/// Where a piece is.
const fn place_of(piece: usize) -> Range<u64> {
    match piece {
        0 => 0..FIRST_BYTES,
        short if short < SHORT_PIECES => FIRST_BYTES << (short - 1)..FIRST_BYTES << short,
        piece => {
            let start = (piece - SHORT_PIECES + 1) as u64 * PIECE_BYTES;
            start..start + PIECE_BYTES
        }
    }
}

/// Hashes what follows `position`, if that is the start of a piece: else the piece must be read again.
fn current_at(position: u64) -> Option<Box<blake3::Hasher>> {
    (place_of(piece_at(position)).start == position).then(|| hasher_at(position))
}

/// Hashes what follows `offset_bytes`, the start of a piece.
fn hasher_at(offset_bytes: u64) -> Box<blake3::Hasher> {
    let mut hasher = Box::<blake3::Hasher>::default();
    hasher.set_input_offset(offset_bytes);
    hasher
}

/// The hash of a file of two or more pieces.
fn root(pieces: &[ChainingValue]) -> blake3::Hash {
    let (short, long) = pieces.split_at(pieces.len().min(SHORT_PIECES));
    let merged = |short: &[ChainingValue]| {
        let join = |left, right: &ChainingValue| merge_subtrees_non_root(&left, right, Mode::Hash);
        short[1..].iter().fold(short[0], join)
    };
    if long.is_empty() {
        let last = short.len() - 1;
        return merge_subtrees_root(&merged(&short[..last]), &short[last], Mode::Hash);
    }
    let pieces: Vec<_> = [merged(short)].into_iter().chain(long.iter().copied()).collect();
    let (left, right) = halves(&pieces);
    merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The hash over pieces of full length, of which only the last may be short.
fn subtree(pieces: &[ChainingValue]) -> ChainingValue {
    match pieces {
        [piece] => *piece,
        pieces => {
            let (left, right) = halves(pieces);
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The left one has as many pieces as a power of two allows and leaves the right one some (BLAKE3, section 2.1).
fn halves(pieces: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    pieces.split_at(pieces.len().next_power_of_two() / 2)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::file::{BlockFile, ReadAt};

    /// A file in memory with its hash.
    struct Watched(Vec<u8>, Piecewise);

    impl Watched {
        fn new() -> Self {
            Self(Vec::new(), Piecewise::unseen(0))
        }

        fn write(&mut self, offset: u64, bytes: &[u8]) {
            self.0.write_at(offset, bytes).unwrap();
            self.1.write(offset, bytes);
        }

        fn set_len(&mut self, size: u64) {
            BlockFile::set_len(&mut self.0, size).unwrap();
            self.1.set_len(size);
        }

        /// Compares the hash with that of all bytes, and answers how many were read again.
        fn check(self) -> u64 {
            let Self(bytes, pieces) = self;
            let reread = Cell::new(0);
            let hash = pieces.finish(bytes.len() as u64, |offset, buffer| {
                reread.set(reread.get() + buffer.len() as u64);
                bytes.read_at(offset, buffer)
            });
            assert_eq!(hash.unwrap(), blake3::hash(&bytes));
            reread.get()
        }
    }

    #[test]
    fn an_image_is_not_read_again_but_for_its_first_block() {
        for blocks in [2, 3, 5, 256, 257, 1000_u64] {
            let mut file = Watched::new();
            for block in 1..blocks {
                file.write(block * FIRST_BYTES, &[block.to_le_bytes()[0]; 4096]);
            }
            file.write(0, &[7; 4096]);
            assert_eq!(file.check(), FIRST_BYTES);
        }
    }

    #[test]
    fn each_piece_begins_where_the_one_before_it_ends() {
        let mut end = 0;
        for piece in 0..SHORT_PIECES + 3 {
            let place = place_of(piece);
            assert_eq!(
                (place.start, piece_at(place.start), piece_at(place.end - 1)),
                (end, piece, piece)
            );
            end = place.end;
        }
        assert_eq!(end, 4 * PIECE_BYTES);
    }

    #[test]
    fn a_file_of_any_length_has_its_hash() {
        for size in [
            0,
            1,
            FIRST_BYTES,
            FIRST_BYTES + 1,
            8 * FIRST_BYTES,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            5 * PIECE_BYTES + 9,
        ] {
            let mut file = Watched::new();
            file.write(0, &vec![3; usize::try_from(size / 2).unwrap()]);
            file.set_len(size);
            file.check();
        }
    }

    #[test]
    fn what_was_not_seen_is_read() {
        let bytes = vec![5; usize::try_from(2 * PIECE_BYTES + 3).unwrap()];
        let pieces = Piecewise::unseen(bytes.len() as u64);
        assert!(Watched(bytes, pieces).check() > 2 * PIECE_BYTES);
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let mut file = Watched::new();
        file.write(0, &vec![1; usize::try_from(3 * PIECE_BYTES).unwrap()]);
        file.set_len(PIECE_BYTES + 5);
        file.write(2 * PIECE_BYTES + 7, b"behind a hole");
        assert!(file.check() <= PIECE_BYTES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_written_where_the_hash_is_that_of_the_bytes(
            steps in prop::collection::vec((any::<bool>(), 0..4 * PIECE_BYTES, 0..PIECE_BYTES * 2), 1..8),
        ) {
            let mut file = Watched::new();
            for (index, (writes, offset, size)) in steps.into_iter().enumerate() {
                if writes {
                    let byte = u8::try_from(index).unwrap();
                    file.write(offset, &vec![byte; usize::try_from(size).unwrap()]);
                } else {
                    file.set_len(offset);
                }
            }
            file.check();
        }
    }
}
