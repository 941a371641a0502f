//! Who is shown what, where a registry, a token server and a storage are set up in odd and in hostile ways.
//!
//! Each row plants a password for the registry, others for the other hosts, and a token that the token
//! server gives out, and says who may see them. Nobody else may be sent a byte of them, in any header, path
//! or body; and no error, event or debug output shows one.

#[path = "auth_topologies/world.rs"]
mod world;

#[path = "auth_topologies/realms.rs"]
mod realms;

#[path = "auth_topologies/challenges.rs"]
mod challenges;

#[path = "auth_topologies/redirects.rs"]
mod redirects;

#[path = "auth_topologies/tokens.rs"]
mod tokens;

use self::world::{Row, World};

/// All rows.
fn rows() -> impl Iterator<Item = &'static Row> {
    [realms::ROWS, challenges::ROWS, redirects::ROWS, tokens::ROWS].into_iter().flatten()
}

#[tokio::test]
async fn no_credential_reaches_a_wrong_origin() {
    use futures_util::{StreamExt as _, stream};
    let runs = rows().map(|row| async { World::set(row).pull(row).await });
    let wrong: Vec<String> =
        stream::iter(runs).buffer_unordered(6).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{} rows are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_many_rows_and_no_two_of_a_name() {
    let mut names: Vec<&str> = rows().map(|row| row.name).collect();
    assert!(names.len() >= 60, "{} rows", names.len());
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
