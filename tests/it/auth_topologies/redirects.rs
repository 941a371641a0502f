//! Where the registry, its storage and its token server lead.

use super::world::{Holds, Row, WELL, World};
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

/// The registry wants the password itself.
const BASIC: Row = Row {
    challenges: &["Basic realm=\"r\""],
    password_at: "R",
    minted_at: "",
    untouched: "TP",
    ..WELL
};

/// The token server is asked, the registry leads to the storage.
const STORED: Row = Row { untouched: "P", ..WELL };

const LED_ASTRAY: Row = Row { ends: Some("Redirect"), ..WELL };

fn to(origin: &TestRegistry) -> Effect {
    Effect::RedirectTo(origin.url())
}

fn exactly(url: impl Into<String>) -> Effect {
    Effect::RedirectExactly(url.into())
}

/// What leads elsewhere, once the password or the token is known.
fn later(world: &World, effect: Effect) {
    world.registry.fault(Fault::on(&world.layer, effect).first(1));
}

/// A layer at a URL that is a key by itself.
fn presigned(world: &World) {
    let (storage, layer) = (world.storage.url(), &world.layer);
    let key = "X-Amz-Signature=presigned-key";
    world.layer(exactly(format!("{storage}/v2/acme/tool/blobs/{layer}?{key}")));
}

fn storage_says(world: &World, status: u16, challenge: &str) {
    world.layer(to(&world.storage));
    let headers = vec![("www-authenticate", challenge.replace("{P}", &world.plain.url()))];
    world.storage.fault(Fault::on("/blobs/", Effect::Answer(status, headers, Vec::new())));
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a layer at another host, after a token",
        arrange: |world| world.layer(to(&world.storage)),
        ..STORED
    },
    Row {
        name: "the same over TLS",
        tls: true,
        arrange: |world| world.layer(to(&world.storage)),
        ..STORED
    },
    Row {
        name: "a layer at another host, after a password",
        arrange: |world| world.layer(to(&world.storage)),
        ..BASIC
    },
    Row {
        name: "a layer at another host, after a token of the user's own",
        holds: Holds::RegistryToken,
        arrange: |world| {
            world.registry.accept_token(super::world::PASSWORD, "repository:acme/tool:pull");
            world.layer(to(&world.storage));
        },
        password_at: "R",
        minted_at: "",
        untouched: "TP",
        ..WELL
    },
    Row {
        name: "a layer at another port, after a password",
        arrange: |world| world.layer(to(&world.token_server)),
        untouched: "SP",
        ..BASIC
    },
    Row {
        name: "a layer at the token server",
        arrange: |world| world.layer(to(&world.token_server)),
        ..WELL
    },
    Row {
        name: "a manifest at another host",
        arrange: |world| {
            world.registry.fault(Fault::on("/manifests/", to(&world.storage)).nth(1..u64::MAX));
        },
        ..STORED
    },
    Row {
        name: "an index at another host before anything is shown",
        arrange: |world| world.registry.fault(Fault::on("/manifests/1", to(&world.storage))),
        ..STORED
    },
    Row {
        name: "a layer at another host and then at yet another",
        arrange: |world| {
            world.layer(to(&world.storage));
            world.storage.fault(Fault::on("/blobs/", to(&world.plain)));
        },
        untouched: "",
        ..WELL
    },
    Row {
        name: "a layer at another host, which leads back",
        arrange: |world| {
            later(world, to(&world.storage));
            world.storage.fault(Fault::on("/blobs/", to(&world.registry)));
        },
        ends: Some("Denied"),
        ..STORED
    },
    Row {
        name: "a layer at the registry by another path",
        arrange: |world| {
            let url = format!("{}/v2/acme/tool/blobs/{}?x=1", world.registry.url(), world.layer);
            later(world, exactly(url));
        },
        ..WELL
    },
    Row {
        name: "a layer at a path without a host",
        arrange: |world| {
            later(world, exactly(format!("/v2/acme/tool/blobs/{}?x=1", world.layer)));
        },
        ..WELL
    },
    Row {
        name: "a layer at a host without a scheme",
        arrange: |world| {
            world.layer(exactly(format!(
                "//{}/v2/acme/tool/blobs/{}",
                world.storage.host(),
                world.layer
            )));
        },
        ..STORED
    },
    Row { name: "a layer behind a presigned URL", arrange: presigned, ..STORED },
    Row {
        name: "a presigned URL that has expired",
        arrange: |world| {
            presigned(world);
            world
                .storage
                .fault(Fault::on("/blobs/", Effect::Answer(403, Vec::new(), Vec::new())).first(1));
        },
        ..STORED
    },
    Row {
        name: "the registry by another name",
        arrange: |world| {
            let port = world.registry.host().rsplit(':').next().unwrap_or_default().to_owned();
            later(
                world,
                exactly(format!("http://localhost:{port}/v2/acme/tool/blobs/{}", world.layer)),
            );
        },
        ..WELL
    },
    Row {
        name: "a redirect from TLS to the clear",
        tls: true,
        arrange: |world| world.layer(to(&world.plain)),
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect to the clear by way of another host",
        tls: true,
        arrange: |world| {
            world.layer(to(&world.storage));
            world.storage.fault(Fault::on("/blobs/", to(&world.plain)));
        },
        untouched: "P",
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect with a user and a password",
        arrange: |world| world.layer(exactly(format!("http://ann:pw@{}/", world.storage.host()))),
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect with a user",
        arrange: |world| world.layer(exactly(format!("http://ann@{}/", world.storage.host()))),
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect to a file",
        arrange: |world| world.layer(exactly("file:///etc/passwd")),
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect to ftp",
        arrange: |world| world.layer(exactly("ftp://127.0.0.1/x")),
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect to data",
        arrange: |world| world.layer(exactly("data:,x")),
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect to no URL",
        arrange: |world| world.layer(exactly("http://[::1/x")),
        ..LED_ASTRAY
    },
    Row {
        name: "redirects in a circle",
        arrange: |world| world.layer(to(&world.registry)),
        ..LED_ASTRAY
    },
    Row {
        name: "redirects in a circle of two",
        arrange: |world| {
            world.layer(to(&world.storage));
            world.storage.fault(Fault::on("/blobs/", to(&world.registry)));
        },
        untouched: "P",
        ..LED_ASTRAY
    },
    Row {
        name: "a redirect to nowhere",
        arrange: |world| world.layer(Effect::Answer(307, Vec::new(), Vec::new())),
        ends: Some("Status 307"),
        ..WELL
    },
    Row {
        name: "a redirect that is none",
        arrange: |world| {
            world.layer(Effect::Answer(300, vec![("location", "/x".to_owned())], Vec::new()));
        },
        ends: Some("Status 300"),
        ..WELL
    },
    Row {
        name: "a storage that wants a token of elsewhere",
        arrange: |world| storage_says(world, 401, "Bearer realm=\"{P}/token\""),
        ends: Some("Status 401"),
        ..STORED
    },
    Row {
        name: "a storage that wants a password",
        arrange: |world| storage_says(world, 401, "Basic realm=\"r\""),
        ends: Some("Status 401"),
        ..STORED
    },
    Row {
        name: "a storage that forbids",
        arrange: |world| storage_says(world, 403, "Bearer realm=\"{P}/token\""),
        ends: Some("Status 403"),
        ..STORED
    },
    Row {
        name: "a storage of a registry with passwords that wants one",
        arrange: |world| storage_says(world, 401, "Basic realm=\"r\""),
        ends: Some("Status 401"),
        ..BASIC
    },
    Row {
        name: "a token server that leads elsewhere",
        arrange: |world| world.token(to(&world.storage)),
        ends: Some("Status 307"),
        minted_at: "",
        ..WELL
    },
    Row {
        name: "a token server that leads elsewhere for good",
        arrange: |world| {
            world.token(Effect::Answer(
                301,
                vec![("location", format!("{}/token", world.storage.url()))],
                Vec::new(),
            ));
        },
        ends: Some("Status 301"),
        minted_at: "",
        ..WELL
    },
    Row {
        name: "a token server that leads back to the registry",
        arrange: |world| world.token(to(&world.registry)),
        ends: Some("Status 307"),
        minted_at: "",
        ..WELL
    },
    Row {
        name: "a token server that leads an identity token elsewhere",
        holds: Holds::IdentityToken,
        arrange: |world| world.token(to(&world.storage)),
        ends: Some("Status 307"),
        minted_at: "",
        ..WELL
    },
];
