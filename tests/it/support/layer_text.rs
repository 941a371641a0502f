//! Layers written as text, one entry a line, so that a test shows its whole input.
//!
//! ```text
//! /etc/ 0755 mtime=1600000000.5          a directory
//! /etc/motd 0644 uid=7 hello             a file; its text ends with the line and gets no line feed
//! /lib/big 0755 random=70001             a file of so many repeatable bytes; `zeros=N` for zeros
//! /bin/sh -> busybox                     a symbolic link
//! /bin/ash => /bin/busybox               a hard link
//! /dev/null char 1:3 0666                a device, `char` or `block`
//! /run/pipe fifo 0600
//! /old whiteout                          hides /old of the layers below
//! /srv opaque                            hides what the layers below have in /srv
//! ```
//!
//! Options stand between the mode and the text: `uid=`, `gid=`, `mtime=SECONDS[.FRACTION]`,
//! `xattr:NAME=VALUE`. Names, targets, values and texts may use `\n`, `\t`, `\s` (space), `\\` and `\xNN`.
//! Empty lines and lines that start with `#` say nothing. What is not stated is root's, of one fixed time.

use super::layer_tar::{TarEntry, TarKind, tar_of};

/// The layer tar of these lines. A line that cannot be read ends the test and names itself.
pub(crate) fn layer_tar(lines: &str) -> Vec<u8> {
    let entries: Vec<TarEntry> = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| entry(line).unwrap_or_else(|| panic!("cannot read the layer line `{line}`")))
        .collect();
    tar_of(&entries).expect("writing to memory cannot fail")
}

fn entry(line: &str) -> Option<TarEntry> {
    let (name, rest) = word(line);
    let path = tar_path(name)?;
    let (keyword, after) = word(rest);
    match keyword {
        "whiteout" => Some(TarEntry::whiteout(&path)),
        "opaque" => Some(TarEntry::opaque(path.strip_suffix(b"/").unwrap_or(&path))),
        "->" => {
            let (target, options) = word(after);
            let symlink = TarKind::Symlink(unescape(target)?);
            with_options(TarEntry::new(path, symlink, 0o777), options)
        }
        "=>" => {
            let target = tar_path(word(after).0)?;
            Some(TarEntry::new(path, TarKind::HardLink(target), 0o644))
        }
        "fifo" => with_mode(path, TarKind::Fifo, after),
        "char" => {
            let ((major, minor), options) = device(after)?;
            with_mode(path, TarKind::CharDevice(major, minor), options)
        }
        "block" => {
            let ((major, minor), options) = device(after)?;
            with_mode(path, TarKind::BlockDevice(major, minor), options)
        }
        "" if path.ends_with(b"/") => Some(TarEntry::new(path, TarKind::Directory, 0o755)),
        _ if path.ends_with(b"/") => with_mode(path, TarKind::Directory, rest),
        _ => with_mode(path, TarKind::File(Vec::new()), rest),
    }
}

fn device(text: &str) -> Option<((u32, u32), &str)> {
    let (number, rest) = word(text);
    let (major, minor) = number.split_once(':')?;
    Some(((major.parse().ok()?, minor.parse().ok()?), rest))
}

fn with_mode(path: Vec<u8>, kind: TarKind, text: &str) -> Option<TarEntry> {
    let (mode, rest) = word(text);
    let octal = mode.strip_prefix('0')?;
    let mode = u32::from_str_radix(octal, 8).ok()?;
    with_options(TarEntry::new(path, kind, mode), rest)
}

fn with_options(mut entry: TarEntry, text: &str) -> Option<TarEntry> {
    let mut rest = text;
    while !rest.is_empty() {
        let (first, after) = word(rest);
        let Some((key, value)) = first.split_once('=') else {
            break;
        };
        match key {
            "uid" => entry.uid = value.parse().ok()?,
            "gid" => entry.gid = value.parse().ok()?,
            "mtime" => entry.mtime = time(value)?,
            "random" => {
                let content = random_bytes(&entry.path, value.parse().ok()?);
                entry.kind = TarKind::File(content);
            }
            "zeros" => entry.kind = TarKind::File(vec![0; value.parse().ok()?]),
            _ => {
                let Some(name) = key.strip_prefix("xattr:") else {
                    break;
                };
                entry.xattrs.insert(name.to_owned(), unescape(value)?);
            }
        }
        rest = after;
    }
    match &mut entry.kind {
        TarKind::File(content) if !rest.is_empty() => *content = unescape(rest)?,
        _ if !rest.is_empty() => return None,
        _ => {}
    }
    Some(entry)
}

/// The first word of a text and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(' ') {
        Some((first, rest)) => (first, rest.trim_start()),
        None => (text, ""),
    }
}

/// A path as archives have it: no leading slash, `./` for the root.
fn tar_path(text: &str) -> Option<Vec<u8>> {
    let path = unescape(text.strip_prefix('/')?)?;
    Some(if path.is_empty() { b"./".to_vec() } else { path })
}

/// `SECONDS[.FRACTION]`, in floor form: `-5.25` is −6 s and 750,000,000 ns.
fn time(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    Some(match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => (seconds - 1, 1_000_000_000 - nanoseconds),
        _ => (seconds, nanoseconds),
    })
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        bytes.push(match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b's' => b' ',
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// Bytes that look random and depend on the path and nothing else (xorshift64 over an FNV-1a seed).
fn random_bytes(path: &[u8], count: usize) -> Vec<u8> {
    let mut state = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

#[test]
fn lines_become_entries() {
    assert_eq!(
        entry("/etc/motd 0644 uid=7 mtime=-5.25 xattr:user.a=\\x00b hello  world"),
        Some(TarEntry {
            uid: 7,
            mtime: (-6, 750_000_000),
            xattrs: [("user.a".to_owned(), b"\0b".to_vec())].into(),
            ..TarEntry::new("etc/motd", TarKind::File(b"hello  world".to_vec()), 0o644)
        })
    );
    assert_eq!(
        entry("/bin/sh -> busybox"),
        Some(TarEntry::new("bin/sh", TarKind::Symlink(b"busybox".to_vec()), 0o777))
    );
    assert_eq!(
        entry("/dev/null char 1:3 0666"),
        Some(TarEntry::new("dev/null", TarKind::CharDevice(1, 3), 0o666))
    );
    assert_eq!(entry("/srv opaque"), Some(TarEntry::opaque(b"srv")));
    assert_eq!(entry("/tmp/ 01777"), Some(TarEntry::new("tmp/", TarKind::Directory, 0o1777)));
    assert_eq!(entry("/etc/motd hello"), None);
}

#[test]
fn the_same_lines_are_the_same_bytes() {
    let lines = "/a/ 0755\n/a/b 0644 random=5000\n/a/c => /a/b";
    assert_eq!(layer_tar(lines), layer_tar(lines));
    assert_ne!(random_bytes(b"a", 64), random_bytes(b"b", 64));
}
