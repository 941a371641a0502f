//! One block of a directory: entries in front, their names behind.

use crate::disk::erofs::format::dirent::{DIRENT_BYTES, Dirent};
use crate::layer::limits::NAME_BYTES_MAX;

/// The entries of `block`, or what is wrong with it. The names of all but the last end where the next
/// begins; the last one's ends with the block or at a NUL.
pub(in crate::disk::erofs) fn entries(block: &[u8]) -> Result<Vec<(&[u8], Dirent)>, &'static str> {
    let dirent = |index: usize| {
        block
            .get(index * DIRENT_BYTES..)
            .and_then(<[u8]>::first_chunk)
            .and_then(Dirent::decode)
            .ok_or("has a damaged entry")
    };
    let names_start = usize::from(dirent(0)?.nameoff);
    if names_start == 0 || !names_start.is_multiple_of(DIRENT_BYTES) {
        return Err("has a block with a fractional number of entries");
    }
    let count = names_start / DIRENT_BYTES;
    let mut entries = Vec::new();
    for index in 0..count {
        let entry = dirent(index)?;
        let name = if index + 1 < count {
            block.get(usize::from(entry.nameoff)..usize::from(dirent(index + 1)?.nameoff))
        } else {
            block.get(usize::from(entry.nameoff)..).map(up_to_nul)
        };
        let name = name.ok_or("has a name outside its block")?;
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.iter().any(|b| b"/\0".contains(b)) {
            return Err("has a name that cannot be");
        }
        entries.push((name, entry));
    }
    Ok(entries)
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_lies_is_refused() {
        let dirent = |nameoff: u16| Dirent { nid: 1, nameoff, file_type: 2 }.encode();
        let block = |offsets: &[u16], names: &[u8]| {
            let mut block: Vec<u8> = offsets.iter().flat_map(|&offset| dirent(offset)).collect();
            block.extend(names);
            block
        };
        assert_eq!(entries(&block(&[24, 25], b"ab\0\0")).unwrap()[1].0, b"b");
        for wrong in [
            block(&[], b""),
            block(&[0], b"a"),
            block(&[13], b"a"),
            block(&[12], b""),
            block(&[12], b"a/b"),
            block(&[24], b"a"),
            block(&[24, 23], b"ab"),
            block(&[24, 4000], b"ab"),
            block(&[12], &[b'a'; 256]),
        ] {
            assert!(entries(&wrong).is_err(), "{wrong:?}");
        }
    }
}
