//! The command line: one file a command, and what they share.

mod args;

mod environment;

mod texts;

#[cfg(feature = "failpoints")]
mod failpoints;

mod failure;

mod neutral;

mod screen;

mod annotations;

mod render;

mod output;

mod log;

mod help;

mod report;

mod difference;

mod signals;

mod config;

mod setup;

mod mode;

mod init;

mod incomplete;

mod documents;

mod artifacts;

mod lock;

mod publish;

mod edit;

mod update;

mod outdated;

mod sync;

mod pull;

mod path;

mod disk;

mod list;

mod export;

mod import;

mod verify;

mod gc;

mod roots;

mod doctor;

mod inspect;

mod check;

mod git;

mod diff;

mod why;

mod cache_key;

mod generated;

mod explain;

use std::process::ExitCode;

use self::args::{Arguments, Command};
use self::config::UserConfig;
use self::environment::Environment;
use self::failure::{Failure, Kind};
use self::output::Output;
use self::setup::Setup;

/// What a command answers: nothing more to say, or what ended it.
type Done = Result<(), Failure>;

/// Runs the command that the process was started for.
pub(crate) fn main() -> ExitCode {
    let environment = Environment::read();
    let arguments = match help::arguments(&environment) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let output = Output::new(&arguments.global, &environment);
    #[cfg(feature = "failpoints")]
    failpoints::set(&environment);
    let done = run(&arguments, &environment, output);
    #[cfg(feature = "failpoints")]
    failpoints::tell(&environment).expect("a test can be told which failpoints were passed");
    screen::clear();
    match done.and_then(|()| all_written()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure, &environment);
            failure.exit_code()
        }
    }
}

/// Fails if data did not get out: who reads them would take the rest for all.
fn all_written() -> Done {
    screen::lost().map_or(Ok(()), |error| {
        let message = format!("cannot write to standard output: {error}");
        Err(Failure::new(Kind::Failed, "output", message))
    })
}

fn run(arguments: &Arguments, environment: &Environment, output: Output) -> Done {
    log::install(&arguments.global, environment, output)?;
    if let Some(directory) = &arguments.global.directory {
        std::env::set_current_dir(directory).map_err(|error| {
            let message = format!("cannot enter `{}`: {error}", directory.display());
            Failure::new(Kind::Usage, "directory", message)
        })?;
    }
    let (config, wrong) = match UserConfig::read(&arguments.global, environment) {
        Ok(config) => (config, None),
        Err(failure) => (UserConfig::default(), Some(failure)),
    };
    let setup = Setup { global: &arguments.global, environment, config: &config, output };
    match (&arguments.command, wrong) {
        (Command::Doctor(doctor), wrong) => doctor::run(&setup, doctor, wrong.as_ref()),
        (Command::Completions(completions), _) => {
            generated::completions(completions);
            Ok(())
        }
        (Command::Man(man), _) => generated::man(&setup, man),
        (Command::Schema(schema), _) => {
            generated::schema(schema);
            Ok(())
        }
        (Command::Explain(explain), _) => explain::run(&setup, explain),
        (_, Some(failure)) => Err(failure),
        (Command::Init, None) => init::run(&setup),
        (Command::Add(add), None) => edit::add(&setup, add),
        (Command::Remove(remove), None) => edit::remove(&setup, remove),
        (Command::Lock(lock), None) => lock::run(&setup, lock),
        (Command::Update(update), None) => update::run(&setup, update),
        (Command::Outdated(outdated), None) => outdated::run(&setup, outdated),
        (Command::Sync(sync), None) => sync::run(&setup, sync),
        (Command::Pull(pull), None) => pull::run(&setup, pull),
        (Command::Path(path), None) => path::run(&setup, path),
        (Command::Disk(disk), None) => disk::run(&setup, disk),
        (Command::List(list), None) => list::run(&setup, list),
        (Command::Export(export), None) => export::run(&setup, export),
        (Command::Import(import), None) => import::run(&setup, import),
        (Command::Publish(publish), None) => publish::run(&setup, publish),
        (Command::Verify(verify), None) => verify::run(&setup, verify),
        (Command::Gc(gc), None) => gc::run(&setup, gc),
        (Command::Roots(roots), None) => roots::run(&setup, roots),
        (Command::Inspect(inspect), None) => inspect::run(&setup, inspect),
        (Command::Check(check), None) => check::run(&setup, check),
        (Command::Diff(diff), None) => diff::run(&setup, diff),
        (Command::Why(why), None) => why::run(&setup, why),
        (Command::CacheKey(cache_key), None) => cache_key::run(&setup, cache_key),
    }
}
