use super::*;

/// One record with its right length.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn parse(records: &[(&str, &str)]) -> Result<Pax, TarErrorKind> {
    let body = records.iter().map(|(key, value)| record(key, value.as_bytes()));
    Pax::parse(&body.collect::<Vec<_>>().concat(), &Limits::default())
}

fn parse_sparse(records: &[(&str, &str)]) -> Result<Option<PaxSparse>, TarErrorKind> {
    parse(records)?.take_sparse()
}

fn region((offset, length): (u64, u64)) -> Region {
    Region { offset, length }
}

#[test]
fn a_record_ends_where_its_length_says() {
    let body = [record("SCHILY.xattr.user.a", b"1\n15 path=forged\n"), record("path", b"real")];
    let pax = Pax::parse(&body.concat(), &Limits::default()).unwrap();
    assert_eq!(pax.path.as_deref(), Some(&b"real"[..]));
    assert_eq!(&*pax.xattrs[&b"user.a"[..]], b"1\n15 path=forged\n");
}

#[test]
fn badly_framed_records_are_refused_with_their_place() {
    for (body, place) in [
        (&b"x"[..], 0),
        (b"11 path=a\n", 0),
        (b"8 path=a\n", 0),
        (b"9 path=ab", 0),
        (b"9 path=a\n\0", 9),
        (b"9 path=a\n8 path=\n1", 17),
        (b"+9 path=ab\n", 0),
        (b"99999999999 path=a\n", 0),
        (b"18446744073709551616 path=a\n", 0),
        (b"3 \n", 0),
        (b"5 a\nb", 0),
        (b"6 =ab\n", 0),
        (b"8 a\0b=c\n", 0),
        (b" 8 a=bc\n", 0),
    ] {
        let refused = Pax::parse(body, &Limits::default()).unwrap_err();
        assert_eq!(refused, TarErrorKind::PaxRecord(place), "{body:?}");
        assert_eq!(check_global(body, &Limits::default()), Err(TarErrorKind::PaxRecord(place)));
    }
}

#[test]
fn the_last_record_wins_and_an_empty_one_takes_it_back() {
    let pax = parse(&[("path", "a"), ("path", "b"), ("uid", "7"), ("uid", "")]).unwrap();
    assert_eq!(pax.path.as_deref(), Some(&b"b"[..]));
    assert_eq!(pax.uid, None);
}

#[test]
fn an_empty_xattr_is_kept() {
    let pax = parse(&[("SCHILY.xattr.user.e", "")]).unwrap();
    assert_eq!(&*pax.xattrs[&b"user.e"[..]], b"");
}

#[test]
fn malformed_values_are_refused() {
    for (key, value) in [
        ("path", "a\0b"),
        ("linkpath", "\0"),
        ("size", "1x"),
        ("uid", "9223372036854775808"),
        ("mtime", "1.x"),
        ("SCHILY.xattr.", "v"),
        ("GNU.sparse.size", "-1"),
        ("GNU.sparse.map", "1,2,3"),
        ("GNU.sparse.map", "1,,"),
    ] {
        assert!(parse(&[(key, value)]).is_err(), "{key}={value:?}");
    }
}

#[test]
fn limits_are_named_with_their_setting() {
    let limits = Limits { pax_records_max: 1, xattr_value_bytes_max: 3, ..Limits::default() };
    let check = |body: &[u8], shown: &str| {
        let refused = Pax::parse(body, &limits).unwrap_err().to_string();
        assert_eq!(refused, shown);
    };
    check(
        &record("SCHILY.xattr.user.a", b"four"),
        "more than 3 bytes in the value of an extended attribute \
         (`limits.xattr-value-bytes-max` in the user's `config.toml` raises this)",
    );
    check(
        &record("a", b"b").repeat(2),
        "more than 1 records in one PAX header \
         (`limits.pax-records-max` in the user's `config.toml` raises this)",
    );
}

#[test]
fn xattrs_of_one_entry_are_limited_together() {
    let value = "v".repeat(50_000);
    let records = ["a", "b", "c"].map(|name| format!("SCHILY.xattr.user.{name}"));
    let records = records.each_ref().map(|key| (key.as_str(), value.as_str()));
    assert!(parse(&records[..2]).is_ok());
    assert!(matches!(parse(&records), Err(TarErrorKind::Limit(_))));
}

#[test]
fn three_sparse_encodings_are_told_apart() {
    let regions = vec![region((0, 5)), region((10, 7))];
    let old = parse_sparse(&[
        ("GNU.sparse.size", "20"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "5"),
        ("GNU.sparse.offset", "10"),
        ("GNU.sparse.numbytes", "7"),
    ]);
    let old = old.unwrap().unwrap();
    assert_eq!((old.map, old.size), (SparseMap::Here(regions.clone()), Some(20)));

    let listed = parse_sparse(&[
        ("GNU.sparse.name", "n"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.map", "0,5,10,7"),
    ]);
    let listed = listed.unwrap().unwrap();
    assert_eq!((listed.map, listed.size), (SparseMap::Here(regions), None));

    let new = parse_sparse(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "20"),
    ]);
    let new = new.unwrap().unwrap();
    assert_eq!((new.map, new.size), (SparseMap::BeforeData, Some(20)));
    assert!(parse_sparse(&[("path", "a")]).unwrap().is_none());
}

#[test]
fn sparse_records_that_do_not_fit_are_refused() {
    for records in [
        &[("GNU.sparse.numbytes", "1")][..],
        &[("GNU.sparse.offset", "1")],
        &[("GNU.sparse.offset", "1"), ("GNU.sparse.offset", "2")],
        &[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")],
        &[("GNU.sparse.major", "1")],
        &[("GNU.sparse.size", "20")],
        &[("GNU.sparse.map", "0,5")],
        &[("GNU.sparse.map", "0,5"), ("GNU.sparse.numblocks", "2")],
    ] {
        assert!(parse_sparse(records).is_err(), "{records:?}");
    }
}
