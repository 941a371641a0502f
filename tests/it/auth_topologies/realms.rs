//! Where the registry says its token server is.

use super::world::{Holds, Row, SHOWN_NOTHING, WELL};

const REFUSED: Row = Row { ends: Some("Realm"), ..SHOWN_NOTHING };

pub(super) const ROWS: &[Row] = &[
    Row { name: "realm at another port", ..WELL },
    Row { name: "realm at another port, all over TLS", tls: true, ..WELL },
    Row {
        name: "realm at another host",
        challenges: &["Bearer realm=\"{S}/token\""],
        password_at: "S",
        untouched: "TP",
        ..WELL
    },
    Row {
        name: "realm at another host, all over TLS",
        tls: true,
        challenges: &["Bearer realm=\"{S}/token\""],
        password_at: "S",
        untouched: "TP",
        ..WELL
    },
    Row {
        name: "realm at the registry itself",
        challenges: &["Bearer realm=\"{R}/token\""],
        password_at: "R",
        minted_at: "",
        untouched: "TSP",
        ..WELL
    },
    Row {
        name: "realm in the clear of a registry behind TLS",
        tls: true,
        challenges: &["Bearer realm=\"{P}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm in the clear, for somebody without credentials",
        tls: true,
        holds: Holds::Nothing,
        challenges: &["Bearer realm=\"{P}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm in the clear, written in upper case",
        tls: true,
        challenges: &["Bearer realm=\"HTTP://127.0.0.1:{T-port}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm with a user and a password",
        challenges: &["Bearer realm=\"http://ann:pw@127.0.0.1:{T-port}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm with a user",
        challenges: &["Bearer realm=\"http://ann@127.0.0.1:{T-port}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm that looks like the registry and is elsewhere",
        challenges: &["Bearer realm=\"http://127.0.0.1:5000@127.0.0.1:{T-port}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm over ftp",
        challenges: &["Bearer realm=\"ftp://127.0.0.1/token\""],
        ..REFUSED
    },
    Row {
        name: "realm is a file",
        challenges: &["Bearer realm=\"file:///etc/passwd\""],
        ..REFUSED
    },
    Row { name: "realm is data", challenges: &["Bearer realm=\"data:,{}\""], ..REFUSED },
    Row {
        name: "realm over ws",
        challenges: &["Bearer realm=\"ws://127.0.0.1/token\""],
        ..REFUSED
    },
    Row { name: "realm is a path", challenges: &["Bearer realm=\"/token\""], ..REFUSED },
    Row {
        name: "realm without a scheme",
        challenges: &["Bearer realm=\"//127.0.0.1:{T-port}/token\""],
        ..REFUSED
    },
    Row {
        name: "realm is a host",
        challenges: &["Bearer realm=\"127.0.0.1:{T-port}\""],
        ..REFUSED
    },
    Row {
        name: "realm without a path",
        challenges: &["Bearer realm=\"{T}\""],
        ends: Some("Status 404"),
        minted_at: "",
        ..WELL
    },
    Row {
        name: "realm with a port that there is not",
        challenges: &["Bearer realm=\"http://127.0.0.1:65536/token\""],
        ..REFUSED
    },
    Row {
        name: "realm with a broken address",
        challenges: &["Bearer realm=\"http://[::1/token\""],
        ..REFUSED
    },
    Row { name: "realm is no URL", challenges: &["Bearer realm=\"Registry Realm\""], ..REFUSED },
    Row {
        name: "realm by an address in decimal",
        challenges: &["Bearer realm=\"http://2130706433:{T-port}/token\""],
        ..WELL
    },
    Row {
        name: "realm by an address in hexadecimal",
        challenges: &["Bearer realm=\"http://0x7f.1:{T-port}/token\""],
        ..WELL
    },
    Row {
        name: "realm by an address in octal",
        challenges: &["Bearer realm=\"http://0177.0.0.1:{T-port}/token\""],
        ..WELL
    },
    Row {
        name: "realm by the name of this machine",
        challenges: &["Bearer realm=\"http://localhost:{T-port}/token\""],
        ..WELL
    },
    Row {
        name: "realm with a query",
        challenges: &["Bearer realm=\"{T}/token?account=x\",service=\"s\""],
        ..WELL
    },
    Row {
        name: "realm with a scope of its own in its query",
        challenges: &["Bearer realm=\"{T}/token?scope=repository:other:push\""],
        ..WELL
    },
    Row { name: "realm with a fragment", challenges: &["Bearer realm=\"{T}/token#{S}\""], ..WELL },
    Row {
        name: "realm with a space at its end",
        challenges: &["Bearer realm=\"{T}/token \""],
        ..WELL
    },
    Row {
        name: "realm at a cloud's metadata service",
        challenges: &["Bearer realm=\"http://169.254.169.254/token\""],
        ..REFUSED
    },
    Row {
        name: "realm at a cloud's metadata service, in decimal",
        challenges: &["Bearer realm=\"http://2852039166/token\""],
        ..REFUSED
    },
    Row {
        name: "realm at a cloud's metadata service, in hexadecimal",
        challenges: &["Bearer realm=\"http://0xa9fea9fe/token\""],
        ..REFUSED
    },
    Row {
        name: "realm at a cloud's metadata service, wrapped in IPv6",
        challenges: &["Bearer realm=\"http://[::ffff:169.254.169.254]/token\""],
        ..REFUSED
    },
    Row {
        name: "realm on the link, over IPv6",
        challenges: &["Bearer realm=\"http://[fe80::1]/token\""],
        ..REFUSED
    },
    Row {
        name: "realm by a name that leads to a cloud's metadata service",
        challenges: &["Bearer realm=\"http://metadata.example/token\""],
        ..REFUSED
    },
    Row {
        name: "realm by such a name in other letters",
        challenges: &["Bearer realm=\"http://MetaData.Example/token\""],
        ..REFUSED
    },
    Row {
        name: "realm by a name that leads to this machine",
        challenges: &["Bearer realm=\"http://tokens.example:{T-port}/token\""],
        ..WELL
    },
];
