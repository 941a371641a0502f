//! JSON Schemas of the three files and of what commands print, for editors and for programs that read a lock themselves.
//!
//! The types here mirror what [`manifest_file`](crate::spec::manifest_file),
//! [`lockfile`](crate::spec::lockfile) and [`config`](crate::spec::config) read, and their comments are the texts that an editor shows. A schema
//! says less than the readers do: it knows the form of a reference, not which platforms an image has. It is
//! of draft 7, which the TOML plug-ins of editors know.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

mod config;

mod image_set;

mod lock;

pub(crate) mod output;

/// The schema of `sandbox-images.toml`: JSON with a final newline.
pub fn of_image_set() -> String {
    text_of::<image_set::ImageSet>()
}

/// The schema of `sandbox-images.lock`, revision 0: JSON with a final newline. A higher revision may have
/// further keys, so that none is refused.
pub fn of_lock() -> String {
    text_of::<lock::Lock>()
}

/// The schema of `config.toml`: JSON with a final newline.
pub fn of_config() -> String {
    text_of::<config::Config>()
}

/// The schema of what commands print with `--json`: JSON with a final newline.
pub fn of_output() -> String {
    text_of::<output::Output>()
}

/// The schema of a type: JSON with a final newline.
pub(crate) fn text_of<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.to_value())
}
