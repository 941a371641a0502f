//! `completions`, `man` and `schema`: what is generated from the definitions of the command line and of the
//! files.

use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man as Page;
use sandbox_images::plan::event_schema::of_events;
use sandbox_images::spec::schema as schemas;

use crate::cli::Done;
use crate::cli::args::Arguments;
use crate::cli::args::reading::{Completions, Man, Schema, SchemaSubject};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::Setup;

/// What people call the program.
const PROGRAM: &str = "sandbox-images";

/// How the script for bash begins the label of a command where it looks for it, and where it sets it: of a
/// program whose name has a dash, `clap_complete` 4.6 makes two different ones, so that none is ever found.
const LABEL_ASKED: &str = "sandbox__subcmd__images__";
const LABEL_SET: &str = "sandbox__images__";

pub(crate) fn completions(completions: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Arguments::command(), PROGRAM, &mut script);
    output::data(String::from_utf8_lossy(&script).replace(LABEL_ASKED, LABEL_SET));
}

pub(crate) fn schema(schema: &Schema) {
    output::data(match schema.subject {
        SchemaSubject::Images => schemas::of_image_set(),
        SchemaSubject::Lock => schemas::of_lock(),
        SchemaSubject::Config => schemas::of_config(),
        SchemaSubject::Output => schemas::of_output(),
        SchemaSubject::Events => of_events(),
    });
}

pub(crate) fn man(setup: &Setup<'_>, man: &Man) -> Done {
    if let Some(directory) = &man.output {
        write_all(directory).map_err(|error| {
            let message = format!("cannot write into `{}`: {error}", directory.display());
            Failure::new(Kind::Failed, "output", message)
        })?;
        setup.output.note(&format!("wrote the manual pages into `{}`", directory.display()));
        return Ok(());
    }
    output::data(page(&man.command)?);
    Ok(())
}

/// A page for the program, and one for each command and each of its own.
fn write_all(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Arguments::command(), directory)
}

/// The page of a command: `inspect layer` has the name `sandbox-images-inspect-layer`.
fn page(words: &[String]) -> Result<Vec<u8>, Failure> {
    let mut root = Arguments::command().disable_help_subcommand(true);
    root.build();
    let mut command = &root;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            let message = format!("there is no command `{word}`");
            let failure = Failure::new(Kind::Usage, "unknown-command", message);
            if known.is_empty() {
                failure
            } else {
                failure.help(format!("there is {}", known.join(", ")))
            }
        })?;
    }
    let mut page = Vec::new();
    Page::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::of(Kind::Failed, "output", &error))?;
    Ok(page)
}
