//! What goes wrong on the way to an image, against what is being fetched: one table, whose cells say how the
//! pull ends, how often was asked, and how many bytes of the layer were sent.
//!
//! A cell that makes no sense says why. Nothing waits for real seconds: pauses are milliseconds, and pauses
//! that a registry asks for are tested as decisions, beside the code.

#[path = "registry_faults/table.rs"]
mod table;

#[path = "registry_faults/scene.rs"]
mod scene;

#[path = "registry_faults/heads.rs"]
mod heads;

#[path = "registry_faults/helpers.rs"]
mod helpers;

#[path = "registry_faults/proxies.rs"]
mod proxies;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use sandbox_images::registry::error::ErrorKind;

use self::scene::Scene;
use self::table::{Bytes, Cell, KINDS, PHASES, Phase, ROWS, Row};

/// Cells that run at the same time.
const AT_ONCE: usize = 6;

/// What is wrong with a cell, if something is.
async fn run(row: &Row, phase: Phase, cell: &Cell) -> Option<String> {
    let Cell::Runs { ends, requests, bytes } = cell else {
        return None;
    };
    let found = Scene::set(row, phase).pull(row, phase).await;
    let expected_bytes = match bytes {
        Bytes::Usual => ends.map_or(scene::LAYER, |_| 0),
        Bytes::Exactly(bytes) | Bytes::AtMost(bytes) => *bytes,
    };
    let bytes_fit = match bytes {
        Bytes::AtMost(most) => found.bytes <= *most,
        _ => found.bytes == expected_bytes,
    };
    let kinds = KINDS.iter().find(|(name, _)| Some(*name) == *ends).map(|(_, kind)| *kind);
    let fits = found.ends.as_deref() == *ends
        && found.requests == *requests
        && bytes_fit
        && found.kind == kinds
        && found.leaks.is_empty();
    let expected = format!("{ends:?} ({kinds:?}), {requests} requests, {expected_bytes} bytes");
    (!fits)
        .then(|| format!("{:?}, {} / {phase:?}: {found}; expected {expected}", row.class, row.what))
}

#[tokio::test]
async fn each_fault_in_each_phase_ends_as_the_table_says() {
    let cells = ROWS.iter().flat_map(|row| {
        PHASES.iter().zip(&row.cells).map(move |(phase, cell)| run(row, *phase, cell))
    });
    let wrong: Vec<String> = stream::iter(cells)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} cells are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_class_of_faults_has_a_row_and_every_empty_cell_a_reason() {
    let classes: BTreeSet<_> = ROWS.iter().map(|row| row.class).collect();
    assert!(classes.len() >= 30, "{} classes", classes.len());
    for row in ROWS {
        for cell in &row.cells {
            if let Cell::NoSense(reason) = cell {
                assert!(!reason.is_empty(), "{:?}, {}", row.class, row.what);
            }
        }
        assert!(row.cells.iter().any(|cell| matches!(cell, Cell::Runs { .. })), "{}", row.what);
    }
}
