//! How the registry says what it wants to see.

use super::world::{Holds, Row, SHOWN_NOTHING, USUAL, WELL};

const NOT_UNDERSTOOD: Row = Row { ends: Some("Challenge"), ..SHOWN_NOTHING };

/// The password itself is shown to the registry.
const BASIC: Row = Row { password_at: "R", minted_at: "", untouched: "TSP", ..WELL };

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a token rather than a password, in two headers",
        challenges: &["Basic realm=\"r\"", USUAL],
        ..WELL
    },
    Row {
        name: "the same, the other way round",
        challenges: &[USUAL, "Basic realm=\"r\""],
        ..WELL
    },
    Row {
        name: "a token rather than a password, in one header",
        challenges: &["Basic realm=\"r\", Bearer realm=\"{T}/token\""],
        ..WELL
    },
    Row {
        name: "the same in one header, the other way round",
        challenges: &["Bearer realm=\"{T}/token\", Basic realm=\"r\""],
        ..WELL
    },
    Row { name: "a scheme in lower case", challenges: &["bearer realm=\"{T}/token\""], ..WELL },
    Row { name: "a scheme in upper case", challenges: &["BEARER realm=\"{T}/token\""], ..WELL },
    Row {
        name: "a parameter in upper case",
        challenges: &["Bearer REALM=\"{T}/token\",SERVICE=\"s\""],
        ..WELL
    },
    Row {
        name: "spaces around the parameters",
        challenges: &["Bearer realm = \"{T}/token\" , service = \"s\""],
        ..WELL
    },
    Row {
        name: "escapes in a quoted text",
        challenges: &["Bearer realm=\"{T}\\/to\\ken\""],
        ..WELL
    },
    Row {
        name: "a comma in a quoted text",
        challenges: &["Bearer realm=\"{T}/token\",service=\"a, Basic realm=x\""],
        ..WELL
    },
    Row {
        name: "parameters nobody knows",
        challenges: &["Bearer realm=\"{T}/token\",error=\"invalid_token\",x=\"y\""],
        ..WELL
    },
    Row {
        name: "no service",
        challenges: &["Bearer realm=\"{T}/token\",scope=\"repository:acme/tool:pull\""],
        ..WELL
    },
    Row { name: "no scope", challenges: &["Bearer realm=\"{T}/token\",service=\"s\""], ..WELL },
    Row {
        name: "an empty scope",
        challenges: &["Bearer realm=\"{T}/token\",service=\"\",scope=\"\""],
        ..WELL
    },
    Row {
        name: "several scopes",
        challenges: &[
            "Bearer realm=\"{T}/token\",scope=\"repository:acme/tool:pull repository:other:pull\"",
        ],
        ..WELL
    },
    Row {
        name: "two token servers: the first",
        challenges: &[USUAL, "Bearer realm=\"{S}/token\""],
        ..WELL
    },
    Row {
        name: "a scheme nobody knows beside one that is known",
        challenges: &["Negotiate", USUAL],
        ..WELL
    },
    Row {
        name: "a scheme nobody knows with a text of its own",
        challenges: &["NTLM TlRMTVNTUAACAAAA", USUAL],
        ..WELL
    },
    Row { name: "a broken header beside a good one", challenges: &["\"\"\"", USUAL], ..WELL },
    Row { name: "an empty header beside a good one", challenges: &["", USUAL], ..WELL },
    Row {
        name: "a token server without a place beside one with a place",
        challenges: &["Bearer service=\"s\"", USUAL],
        ..WELL
    },
    Row {
        name: "the scope of another repository",
        challenges: &["Bearer realm=\"{R}/token\",scope=\"repository:other/secret:push,pull\""],
        ends: Some("Denied"),
        ..BASIC
    },
    Row {
        name: "two spaces after the scheme",
        challenges: &["Bearer  realm=\"{T}/token\""],
        ..NOT_UNDERSTOOD
    },
    Row { name: "only schemes nobody knows", challenges: &["Negotiate", "NTLM"], ..NOT_UNDERSTOOD },
    Row { name: "no header", challenges: &[], ..NOT_UNDERSTOOD },
    Row { name: "an empty header", challenges: &[""], ..NOT_UNDERSTOOD },
    Row {
        name: "a token server without a place",
        challenges: &["Bearer service=\"s\""],
        ..NOT_UNDERSTOOD
    },
    Row {
        name: "a token server at an empty place",
        challenges: &["Bearer realm=\"\""],
        ..NOT_UNDERSTOOD
    },
    Row {
        name: "a place without quotes",
        challenges: &["Bearer realm={T}/token"],
        ..NOT_UNDERSTOOD
    },
    Row {
        name: "quotes that are not closed",
        challenges: &["Bearer realm=\"{T}/token"],
        ..NOT_UNDERSTOOD
    },
    Row { name: "a password", challenges: &["Basic realm=\"r\""], ..BASIC },
    Row { name: "a password, over TLS", tls: true, challenges: &["Basic realm=\"r\""], ..BASIC },
    Row {
        name: "a password with a charset",
        challenges: &["Basic realm=\"r\", charset=\"UTF-8\""],
        ..BASIC
    },
    Row {
        name: "a password, beside a digest",
        challenges: &["Digest realm=\"r\", nonce=\"n\"", "Basic realm=\"r\""],
        ..BASIC
    },
    Row {
        name: "a password where the realm is a URL",
        challenges: &["Basic realm=\"{S}/token\""],
        ..BASIC
    },
    Row {
        name: "a password that is wrong",
        holds: Holds::WrongPassword,
        challenges: &["Basic realm=\"r\""],
        ends: Some("Denied"),
        ..BASIC
    },
    Row {
        name: "a password of somebody who has none",
        holds: Holds::Nothing,
        challenges: &["Basic realm=\"r\""],
        ends: Some("Denied"),
        ..SHOWN_NOTHING
    },
    Row {
        name: "a token of somebody who has no password",
        holds: Holds::Nothing,
        password_at: "",
        ..WELL
    },
];
