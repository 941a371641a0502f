//! Inline extended attributes: `struct erofs_xattr_ibody_header`, then one `struct erofs_xattr_entry`
//! with name and value for each, padded to 4 bytes.

use std::collections::BTreeMap;

use crate::disk::erofs::error::Error;
use crate::disk::erofs::format::u16_at;
use crate::layer::tree::Xattrs;

/// Bytes of the header, which an inode without attributes does not have.
pub const HEADER_BYTES: usize = 12;
/// Bytes of an entry without name and value.
const ENTRY_BYTES: usize = 4;

/// The namespaces: `e_name_index`, the prefix it stands for, and whether something must follow it.
const NAMESPACES: [(u8, &[u8], bool); 5] = [
    (1, b"user.", true),
    (2, b"system.posix_acl_access", false),
    (3, b"system.posix_acl_default", false),
    (4, b"trusted.", true),
    (6, b"security.", true),
];

/// `e_name_index` and the rest of an attribute's full name, if EROFS has room for it.
fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    let (index, prefix, more) =
        NAMESPACES.into_iter().find(|(_, prefix, _)| name.starts_with(prefix))?;
    let suffix = &name[prefix.len()..];
    let allowed = if more { 1..=255 } else { 0..=0 };
    allowed.contains(&suffix.len()).then_some((index, suffix))
}

/// Bytes of the whole area of these attributes, 0 if there are none.
pub fn area_bytes(xattrs: &Xattrs) -> Result<usize, Error> {
    if xattrs.is_empty() {
        return Ok(0);
    }
    let mut size_bytes = HEADER_BYTES;
    for (name, value) in xattrs {
        let (_, suffix) = split(name).ok_or_else(|| Error::XattrName(name.clone()))?;
        if u16::try_from(value.len()).is_err() {
            return Err(Error::XattrValue { name: name.clone(), size_bytes: value.len() });
        }
        size_bytes += (ENTRY_BYTES + suffix.len() + value.len()).next_multiple_of(4);
    }
    match u16::try_from((size_bytes - HEADER_BYTES) / 4 + 1) {
        Ok(_) => Ok(size_bytes),
        Err(_) => Err(Error::Xattrs(size_bytes)),
    }
}

/// `i_xattr_icount` of an area that [`area_bytes`] has measured.
///
/// # Panics
/// If the area is longer than [`area_bytes`] allows.
pub fn icount(area_bytes: usize) -> u16 {
    match area_bytes.checked_sub(HEADER_BYTES) {
        None => 0,
        Some(entries) => u16::try_from(entries / 4 + 1).expect("areas are measured first"),
    }
}

/// Bytes of the area of an inode with this `i_xattr_icount`.
pub const fn area_bytes_of(icount: u16) -> usize {
    match icount.checked_sub(1) {
        None => 0,
        Some(units) => HEADER_BYTES + 4 * units as usize,
    }
}

/// Appends the area of attributes that [`area_bytes`] has accepted to `out`.
///
/// # Panics
/// If it has not accepted them.
pub fn encode(xattrs: &Xattrs, out: &mut Vec<u8>) {
    if xattrs.is_empty() {
        return;
    }
    let sorted: BTreeMap<(u8, &[u8]), &[u8]> =
        xattrs.iter().filter_map(|(name, value)| Some((split(name)?, &**value))).collect();
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    for ((index, suffix), value) in sorted {
        let name_len = u8::try_from(suffix.len()).expect("areas are measured first");
        let value_size = u16::try_from(value.len()).expect("areas are measured first");
        out.extend([name_len, index]);
        out.extend(value_size.to_le_bytes());
        out.extend(suffix);
        out.extend(value);
        out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    }
}

/// Reads an area like those written here; any other is `None`.
pub fn decode(area: &[u8]) -> Option<Xattrs> {
    let mut xattrs = Xattrs::new();
    let mut rest = area.get(HEADER_BYTES..).unwrap_or_default();
    while !rest.is_empty() {
        let entry = rest.get(..ENTRY_BYTES)?;
        let name_end = ENTRY_BYTES + usize::from(entry[0]);
        let value_end = name_end + usize::from(u16_at(entry, 2));
        let (_, prefix, _) = NAMESPACES.into_iter().find(|(index, ..)| *index == entry[1])?;
        let name = [prefix, rest.get(ENTRY_BYTES..name_end)?].concat();
        let value = rest.get(name_end..value_end)?;
        xattrs.insert(name.into(), value.into());
        rest = rest.get(value_end.next_multiple_of(4)..)?;
    }
    let mut canonical = Vec::new();
    if area_bytes(&xattrs).ok()? == area.len() {
        encode(&xattrs, &mut canonical);
    }
    (canonical == area).then_some(xattrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattrs(pairs: &[(&str, &[u8])]) -> Xattrs {
        pairs.iter().map(|(name, value)| (name.as_bytes().into(), (*value).into())).collect()
    }

    #[test]
    fn an_area_is_sorted_by_namespace_and_read_back() {
        let all = xattrs(&[
            ("security.c", b"1"),
            ("trusted.b", b""),
            ("user.a", b"12345"),
            ("system.posix_acl_access", b"acl"),
        ]);
        let mut area = Vec::new();
        encode(&all, &mut area);
        assert_eq!(
            area,
            [
                &[0; 12][..],
                &[1, 1, 5, 0, b'a', b'1', b'2', b'3', b'4', b'5', 0, 0],
                &[0, 2, 3, 0, b'a', b'c', b'l', 0],
                &[1, 4, 0, 0, b'b', 0, 0, 0],
                &[1, 6, 1, 0, b'c', b'1', 0, 0],
            ]
            .concat()
        );
        assert_eq!(area_bytes(&all).unwrap(), area.len());
        assert_eq!(area_bytes_of(icount(area.len())), area.len());
        assert_eq!(decode(&area), Some(all));
        assert_eq!(decode(&[]), Some(Xattrs::new()));
    }

    #[test]
    fn what_erofs_has_no_room_for_is_refused() {
        for name in ["user.", "trusted.", "security.", "system.x", "other.a", ""] {
            let refused = area_bytes(&xattrs(&[(name, b"")]));
            assert!(matches!(refused, Err(Error::XattrName(_))), "{name}");
        }
        let long = vec![0; 65_536];
        let refused = area_bytes(&xattrs(&[("user.a", &long)]));
        assert!(matches!(refused, Err(Error::XattrValue { .. })));
        let five = ["user.a", "user.b", "user.c", "user.d", "user.e"];
        let refused = area_bytes(&xattrs(&five.map(|name| (name, &long[1..]))));
        assert!(matches!(refused, Err(Error::Xattrs(_))));
    }
}
