//! Numbers as tars write them: octal, base-256 and decimal text, all as `i64` and never wrapped.

use crate::layer::tree::Timestamp;

/// Digits of a nanosecond; those beyond are cut, as Go does.
const NANOSECOND_DIGITS: usize = 9;

/// A numeric header field: octal text, or base-256 where the first bit is set. `None` if it is neither.
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base_256(bytes),
        _ => octal(bytes),
    }
}

/// Octal digits between any number of spaces and NULs. An empty field is 0, as in Go.
pub(super) fn octal(bytes: &[u8]) -> Option<i64> {
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = bytes.iter().position(|byte| !padding(byte)) else {
        return Some(0);
    };
    let digits = &bytes[start..];
    let end = digits.iter().rposition(|byte| !padding(byte))? + 1;
    // What follows a NUL does not count.
    let digits = digits[..end].split(|&byte| byte == 0).next()?;
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// GNU's big-endian two's complement, whose first bit only says that this is one.
fn base_256(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    // The second bit is the sign; the bit before it becomes equal to it.
    let start = if first & 0x40 == 0 { i64::from(first & 0x7f) } else { i64::from(*first) - 0x100 };
    rest.iter().try_fold(start, |value, &byte| value.checked_mul(256)?.checked_add(i64::from(byte)))
}

/// Decimal digits behind an optional sign, as Go's `ParseInt` reads them.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        let digit = i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// Seconds with an optional fraction, such as `-5.25`, in floor form.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &[][..]),
    };
    let seconds = decimal(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = (0..NANOSECOND_DIGITS).fold(0, |value, index| {
        value * 10 + fraction.get(index).map_or(0, |digit| u32::from(digit - b'0'))
    });
    if whole[0] == b'-' && nanoseconds > 0 {
        return Some(Timestamp {
            seconds: seconds.checked_sub(1)?,
            nanoseconds: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Timestamp { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_is_padded_with_spaces_and_nuls() {
        for (bytes, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0 644\0 ", Some(0o644)),
            (b"64\x00_junk", Some(0o64)),
            (b"\0\0\0\0", Some(0)),
            (b"", Some(0)),
            (b"777777777777777777777", Some(i64::MAX)),
            (b"1777777777777777777777", None),
            (b"6 44", None),
            (b"-1", None),
            (b"89", None),
        ] {
            assert_eq!(field(bytes), value, "{bytes:?}");
        }
    }

    #[test]
    fn base_256_is_signed() {
        let max = i64::MAX.to_be_bytes();
        let positive = |low: [u8; 8]| [&[0x80, 0, 0, 0][..], &low].concat();
        let negative = |low: [u8; 8]| [&[0xff; 4][..], &low].concat();
        assert_eq!(field(&positive(max)), Some(i64::MAX));
        assert_eq!(field(&positive([0xff; 8])), None);
        assert_eq!(field(&negative((-5_i64).to_be_bytes())), Some(-5));
        assert_eq!(field(&negative(i64::MIN.to_be_bytes())), Some(i64::MIN));
        assert_eq!(field(&negative(max)), None);
        assert_eq!(field(b"\x80\0\0\0\0\x20\0\x05"), Some(0x20_0005));
        assert_eq!(field(b"\xff"), Some(-1));
        assert_eq!(field(b"\xc0"), Some(-64));
    }

    #[test]
    fn decimal_has_a_sign_and_nothing_else() {
        for (text, value) in [
            ("0", Some(0)),
            ("0042", Some(42)),
            ("+7", Some(7)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("1 ", None),
            ("1e3", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn times_are_in_floor_form() {
        for (text, value) in [
            ("5", Some((5, 0))),
            ("5.", Some((5, 0))),
            ("5.25", Some((5, 250_000_000))),
            ("-5.25", Some((-6, 750_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-5.0000000009", Some((-5, 0))),
            ("5.1234567899", Some((5, 123_456_789))),
            ("-9223372036854775808.5", None),
            (".5", None),
            ("5.x", None),
            ("1e9", None),
        ] {
            let parsed = time(text.as_bytes()).map(|time| (time.seconds, time.nanoseconds));
            assert_eq!(parsed, value, "{text}");
        }
    }
}
