//! Whether what is to be fetched has room in the store.

use crate::plan::Plan;
use crate::plan::event::{Event, Reporter};
use crate::plan::extent::Content;
use crate::plan::room::Room;
use crate::project::Project;
use crate::store::error::Error;

/// Refuses to begin where not even the compressed bytes of what is `missing` have room, and warns where what
/// is built of them may have none.
pub(super) fn check(
    project: &Project,
    missing: &Plan,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let needed_bytes = missing.totals().download_bytes;
    let Some(free_bytes) = project.store().free_bytes()? else {
        return Ok(());
    };
    let path = project.store().path().to_owned();
    let is_built = project.extent().content == Content::Disk;
    match Room::of(free_bytes, needed_bytes) {
        Room::Short => return Err(Error::Full { path, free_bytes, needed_bytes }),
        Room::Tight if is_built => reporter.report(Event::Warning {
            code: "store-space".to_owned(),
            image: None,
            message: format!(
                "`{}` has {free_bytes} bytes free; {needed_bytes} bytes are to be fetched, and what is built of them may need more",
                path.display()
            ),
        }),
        Room::Tight | Room::Enough => {}
    }
    Ok(())
}
