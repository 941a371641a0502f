//! What the token server says, and what becomes of its token.

use super::world::{Holds, MINTED, PASSWORD, Row, WELL, World};
use crate::support::registry::fault::{Effect, Fault};

/// The token server is shown the password and gives no token.
const NO_TOKEN: Row = Row { ends: Some("NoToken"), minted_at: "", ..WELL };

const DENIED: Row = Row { ends: Some("Denied"), minted_at: "", ..WELL };

fn says(world: &World, body: &str) {
    world.token(Effect::Answer(200, Vec::new(), body.replace("{}", MINTED).into_bytes()));
}

fn status(world: &World, status: u16) {
    world.token(Effect::Answer(status, Vec::new(), Vec::new()));
}

/// The registry takes the user's own token.
fn takes_password_as_token(world: &World) {
    world.registry.accept_token(PASSWORD, "repository:acme/tool:pull");
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a token by its other name",
        arrange: |world| says(world, r#"{"access_token":"{}"}"#),
        ..WELL
    },
    Row {
        name: "a token by both names",
        arrange: |world| says(world, r#"{"token":"{}","access_token":"x"}"#),
        ..WELL
    },
    Row {
        name: "a token for ever",
        arrange: |world| says(world, r#"{"token":"{}","expires_in":18446744073709551615}"#),
        ..WELL
    },
    Row {
        name: "a token for longer than for ever",
        arrange: |world| says(world, r#"{"token":"{}","expires_in":1e300}"#),
        ..WELL
    },
    Row {
        name: "a token that has ended before it began",
        arrange: |world| says(world, r#"{"token":"{}","expires_in":-1}"#),
        ..WELL
    },
    Row {
        name: "a token for no time",
        arrange: |world| says(world, r#"{"token":"{}","expires_in":0}"#),
        ..WELL
    },
    Row {
        name: "a token for a time in words",
        arrange: |world| says(world, r#"{"token":"{}","expires_in":"soon"}"#),
        ..WELL
    },
    Row {
        name: "a token issued on no day",
        arrange: |world| says(world, r#"{"token":"{}","issued_at":"never"}"#),
        ..WELL
    },
    Row { name: "no token", arrange: |world| says(world, "{ }"), ..NO_TOKEN },
    Row { name: "an empty token", arrange: |world| says(world, r#"{"token":""}"#), ..NO_TOKEN },
    Row {
        name: "a token that is null",
        arrange: |world| says(world, r#"{"token":null}"#),
        ..NO_TOKEN
    },
    Row {
        name: "a token that is a number",
        arrange: |world| says(world, r#"{"token":7}"#),
        ..NO_TOKEN
    },
    Row { name: "a list of tokens", arrange: |world| says(world, r#"["x"]"#), ..NO_TOKEN },
    Row { name: "an empty answer", arrange: |world| says(world, ""), ..NO_TOKEN },
    Row { name: "a page for a browser", arrange: |world| says(world, "<html>"), ..NO_TOKEN },
    Row {
        name: "bytes that are no text",
        arrange: |world| world.token(Effect::Answer(200, Vec::new(), vec![0xff; 100])),
        ..NO_TOKEN
    },
    Row {
        name: "an answer that is larger than any",
        arrange: |world| world.token(Effect::Answer(200, Vec::new(), vec![b' '; 2 << 20])),
        ..NO_TOKEN
    },
    Row {
        name: "an answer without an end",
        arrange: |world| world.token(Effect::Endless),
        ..NO_TOKEN
    },
    Row {
        name: "a token with a header in it",
        arrange: |world| says(world, r#"{"token":"x\r\nx-evil: 1"}"#),
        ends: Some("Denied"),
        ..NO_TOKEN
    },
    Row {
        name: "a token with letters of another script",
        arrange: |world| says(world, r#"{"token":"жетон"}"#),
        ends: Some("Denied"),
        ..NO_TOKEN
    },
    Row { name: "a token server that refuses", arrange: |world| status(world, 401), ..DENIED },
    Row { name: "a token server that forbids", arrange: |world| status(world, 403), ..DENIED },
    Row {
        name: "a token server that does not understand",
        arrange: |world| status(world, 400),
        ..DENIED
    },
    Row {
        name: "a token server that fails",
        arrange: |world| status(world, 500),
        ends: Some("Status 500"),
        ..DENIED
    },
    Row {
        name: "a token server that is not there",
        arrange: |world| status(world, 404),
        ends: Some("Status 404"),
        ..DENIED
    },
    Row {
        name: "a token server with nothing to say",
        arrange: |world| status(world, 204),
        ends: Some("Status 204"),
        ..DENIED
    },
    Row {
        name: "a token server that wants a token",
        arrange: |world| {
            let challenge = vec![(
                "www-authenticate",
                format!("Bearer realm=\"{}/token\"", world.storage.url()),
            )];
            world.token(Effect::Answer(401, challenge, Vec::new()));
        },
        ..DENIED
    },
    Row {
        name: "a token server that refuses the password and serves everybody",
        arrange: |world| {
            world
                .token_server
                .fault(Fault::on("/token", Effect::Answer(401, Vec::new(), Vec::new())).first(1));
        },
        ..WELL
    },
    Row {
        name: "a registry that never takes the token",
        arrange: |world| says(world, r#"{"token":"another"}"#),
        ends: Some("Denied"),
        ..NO_TOKEN
    },
    Row {
        name: "a registry that forbids whatever is shown",
        arrange: |world| {
            world.registry.fault(
                Fault::on("/manifests/", Effect::Answer(403, Vec::new(), Vec::new()))
                    .nth(1..u64::MAX),
            );
        },
        ends: Some("Denied"),
        minted_at: "R",
        ..WELL
    },
    Row { name: "an identity token", holds: Holds::IdentityToken, ..WELL },
    Row { name: "an identity token, over TLS", tls: true, holds: Holds::IdentityToken, ..WELL },
    Row {
        name: "an identity token where POST is not known",
        holds: Holds::IdentityToken,
        arrange: |world| {
            world.token_server.fault(
                Fault::on("/token", Effect::Answer(405, Vec::new(), Vec::new())).method("POST"),
            );
        },
        ..WELL
    },
    Row {
        name: "an identity token that is refused",
        holds: Holds::IdentityToken,
        arrange: |world| status(world, 401),
        ..DENIED
    },
    Row {
        name: "an identity token where a password is wanted",
        holds: Holds::IdentityToken,
        challenges: &["Basic realm=\"r\""],
        ends: Some("Denied"),
        password_at: "R",
        minted_at: "",
        untouched: "TSP",
        ..WELL
    },
    Row {
        name: "an identity token, and a realm in the clear",
        tls: true,
        holds: Holds::IdentityToken,
        challenges: &["Bearer realm=\"{P}/token\""],
        ends: Some("Realm"),
        password_at: "",
        minted_at: "",
        untouched: "TSP",
        ..WELL
    },
    Row {
        name: "a token of the user's own",
        holds: Holds::RegistryToken,
        arrange: takes_password_as_token,
        password_at: "R",
        minted_at: "",
        untouched: "TSP",
        ..WELL
    },
    Row {
        name: "a token of the user's own, and a realm in the clear",
        tls: true,
        holds: Holds::RegistryToken,
        challenges: &["Bearer realm=\"{P}/token\""],
        arrange: takes_password_as_token,
        password_at: "R",
        minted_at: "",
        untouched: "TSP",
        ..WELL
    },
    Row {
        name: "a token of the user's own that is refused",
        holds: Holds::RegistryToken,
        password_at: "R",
        ..WELL
    },
    Row {
        name: "a token of the user's own where a password is wanted",
        holds: Holds::RegistryToken,
        challenges: &["Basic realm=\"r\""],
        ends: Some("Denied"),
        password_at: "R",
        minted_at: "",
        untouched: "TSP",
        ..WELL
    },
];
