//! The command line read, and the help: all commands by what they are for, on one screen.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, Error, FromArgMatches as _};

use crate::cli::args::Arguments;
use crate::cli::environment::Environment;
use crate::cli::neutral::{one_line, printable};
use crate::cli::screen;

/// The commands by what they are for. One that is in none of these stands with the last.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Project", &["init", "add", "remove", "lock", "update", "outdated", "check", "diff"]),
    ("Images", &["sync", "pull", "path", "disk", "list", "export", "import", "publish"]),
    ("Store", &["verify", "gc", "roots", "why"]),
    ("Questions", &["doctor", "explain", "inspect", "help"]),
    ("Scripts", &["cache-key", "completions", "man", "schema"]),
];

/// Columns from the start of a line to what a command does.
const NAME_CHARS: usize = 13;

/// What the process was started with; where that is not a command, its exit code, and everything was said.
pub(crate) fn arguments(environment: &Environment) -> Result<Arguments, ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let command = Arguments::command();
    if asks_for_all(&words) {
        return Err(data(&all(command), &words, environment));
    }
    let command = of_program(command);
    let parse = |words: &[OsString]| {
        let matches = command.clone().try_get_matches_from(words)?;
        Arguments::from_arg_matches(&matches)
    };
    parse(&words).map_err(|error| {
        // An error repeats words, and clap cuts some codes out of them and leaves others: it is that of the
        // same words without any.
        let words: Vec<OsString> =
            words.iter().map(|word| one_line(&word.to_string_lossy()).into()).collect();
        tell(&parse(&words).err().unwrap_or(error), &words, environment)
    })
}

/// What was run, for those who wait for this process: `sandbox-images sync`.
pub(crate) fn invoked() -> String {
    let mut words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
    let is_command = |word: &String| GROUPS.iter().any(|(_, names)| names.contains(&word.as_str()));
    let command = words.find(is_command);
    format!("sandbox-images {}", command.unwrap_or_default()).trim_end().to_owned()
}

/// Whether the long help of the program itself is asked for.
fn asks_for_all(words: &[OsString]) -> bool {
    let words: Vec<&str> = words.iter().skip(1).filter_map(|word| word.to_str()).collect();
    let has_command = words.iter().any(|word| !word.starts_with('-'));
    words == ["help"] || !has_command && words.contains(&"--help")
}

/// The command whose own help has the commands in groups. Options that all commands take are left out of
/// the short help.
fn of_program(command: Command) -> Command {
    let styles = command.get_styles();
    let (head, end) = (styles.get_header(), styles.get_header().render_reset());
    let list = commands(&command);
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{list}{}Options:{end}\n{{options}}{{after-help}}",
        head.render()
    );
    command.help_template(template).after_help(
        "`sandbox-images COMMAND --help` explains a command, `sandbox-images explain CODE` an error.",
    )
}

/// The long help of the program: with all options, each on as few lines as it takes.
fn all(command: Command) -> StyledStr {
    of_program(command.mut_args(|option| option.hide_short_help(false))).render_help()
}

fn commands(command: &Command) -> String {
    let mut command = command.clone();
    command.build();
    let head = command.get_styles().get_header();
    let (head, end) = (head.render(), head.render_reset());
    let known = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let last = GROUPS.len() - 1;
    let mut text = String::new();
    for (place, (heading, names)) in GROUPS.iter().enumerate() {
        text.extend([format!("{head}{heading}:{end}\n")]);
        let named = names.iter().filter_map(|name| command.find_subcommand(name));
        let others =
            command.get_subcommands().filter(|one| place == last && !known(one.get_name()));
        for one in named.chain(others).filter(|one| !one.is_hide_set()) {
            let about = one.get_about().map(StyledStr::to_string).unwrap_or_default();
            text.extend([format!("  {:NAME_CHARS$}{about}\n", one.get_name())]);
        }
        text.push('\n');
    }
    text
}

/// Says what clap has to say: help is data, everything else is for people.
fn tell(error: &Error, words: &[OsString], environment: &Environment) -> ExitCode {
    let text = error.render();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return data(&text, words, environment);
    }
    let is_screen = std::io::stderr().is_terminal();
    screen::tell(&shown(&text, is_screen, words, environment));
    ExitCode::from(2)
}

fn data(text: &StyledStr, words: &[OsString], environment: &Environment) -> ExitCode {
    let is_screen = std::io::stdout().is_terminal();
    screen::data(shown(text, is_screen, words, environment).as_bytes());
    let Some(error) = screen::lost() else { return ExitCode::SUCCESS };
    screen::tell(&format!("error[output]: cannot write to standard output: {error}\n"));
    ExitCode::FAILURE
}

/// The text in colours where they are wanted.
fn shown(
    text: &StyledStr,
    is_screen: bool,
    words: &[OsString],
    environment: &Environment,
) -> String {
    let by_itself = is_screen && !environment.no_color && !environment.is_dumb;
    if color(words).unwrap_or(by_itself) {
        return text.ansi().to_string();
    }
    printable(&text.to_string())
}

/// What `--color` says, wherever it stands in a command line that is not understood.
fn color(words: &[OsString]) -> Option<bool> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let separate = words.windows(2).filter(|pair| pair[0] == "--color").map(|pair| pair[1]);
    let joined = words.iter().filter_map(|word| word.strip_prefix("--color="));
    separate.chain(joined).find_map(|when| match when {
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_group() {
        let mut command = Arguments::command();
        command.build();
        let list = commands(&command);
        for one in command.get_subcommands() {
            let line = format!("\n  {:NAME_CHARS$}", one.get_name());
            assert_eq!(list.matches(&line).count(), 1, "{}", one.get_name());
            let known = GROUPS.iter().any(|(_, names)| names.contains(&one.get_name()));
            assert!(known, "`{}` belongs to a group of the help", one.get_name());
        }
    }

    #[test]
    fn the_color_is_found_in_a_line_that_is_not_understood() {
        let found = |line: &str| color(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(found("x --color never --nonsense"), Some(false));
        assert_eq!(found("x --color=always"), Some(true));
        assert_eq!(found("x --color auto"), None);
    }
}
