//! The JSON Schema of what `--progress json` writes, a line each: events, and what the program says beside them.
//!
//! That of the events follows from [`Event`] itself. What the program says is mirrored here, as what commands print
//! is in [`spec::schema`](crate::spec::schema).

#![expect(dead_code, reason = "of these types only the schema is used")]

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::event::Event;
use crate::spec::name::ImageName;
use crate::spec::schema::output::diagnostic::Diagnostic;
use crate::spec::schema::text_of;

/// The schema of a line: JSON with a final newline.
pub fn of_events() -> String {
    text_of::<Line>()
}

/// One line on standard error. Within a version, events and fields are only added: who reads them ignores what
/// it does not know.
#[derive(JsonSchema)]
#[schemars(title = "A line of sandbox-images --progress json")]
struct Line {
    /// The version of the lines' form.
    #[schemars(range(min = 1, max = 1))]
    v: u32,
    #[schemars(flatten)]
    content: Content,
}

/// An event, or something said.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Content {
    Event(Event),
    Said(Said),
}

/// What the program says beside the events.
#[derive(JsonSchema)]
#[schemars(tag = "event")]
enum Said {
    /// What came of a command, or something that is to be known.
    #[schemars(rename = "note")]
    Note {
        /// A sentence.
        message: String,
    },
    /// Why things are done, with `--verbose` or `SANDBOX_IMAGES_LOG`.
    #[schemars(rename = "log")]
    Log {
        /// How much it matters.
        level: Level,
        /// The part of the program that says it.
        target: String,
        /// What it says.
        message: String,
    },
    /// One thing that ended the command.
    #[schemars(rename = "diagnostic")]
    Diagnostic(Diagnostic),
}

/// How much a line of the log matters.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Types that are a text in JSON: what they are called, and the pattern of the text.
macro_rules! texts {
    ($($text:ty, $name:literal, $pattern:expr;)+) => {
        $(impl JsonSchema for $text {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        })+
    };
}

texts! {
    Digest, "Digest", "^sha256:[0-9a-f]{64}$";
    DiffId, "DiffId", "^sha256:[0-9a-f]{64}$";
    ChainId, "ChainId", "^sha256:[0-9a-f]{64}$";
    Artifact, "Artifact", "^(blob|layer|fsmeta|disk) sha256:[0-9a-f]{64}$";
    Platform, "Platform", "^[^/]+/[^/]+(/[^/]+)?$";
    ImageName, "ImageName", "^[a-z0-9][a-z0-9._-]{0,63}$";
}
