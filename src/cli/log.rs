//! The log: what `-v` and `SANDBOX_IMAGES_LOG` show of what the library says about its work.
//!
//! Only this program's own words are listened to, whatever is asked for: libraries that speak HTTP would log
//! headers, and credentials are among them.

use std::fmt::{self, Write as _};
use std::str::FromStr as _;
use std::time::Instant;

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::cli::Done;
use crate::cli::args::{Global, Progress};
use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::neutral::one_line;
use crate::cli::output::{Output, event as event_line};
use crate::cli::screen;

/// What the targets of this program and its library begin with.
const OWN: &str = "sandbox_images";

/// Columns of the level: those of the verbs of other lines.
const LEVEL_CHARS: usize = 10;

/// Listens from now on, if anything is to be heard.
pub(crate) fn install(global: &Global, environment: &Environment, output: Output) -> Done {
    let flag = match global.verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let targets = targets(flag, environment.log.as_deref())?;
    if output.quiet || targets.iter().all(|(_, level)| level == LevelFilter::OFF) {
        return Ok(());
    }
    let lines = Lines { started: Instant::now(), output };
    let subscriber = tracing_subscriber::registry().with(targets).with(lines);
    // The first one stays, and there is no other.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// What is heard: `flag` of everything, and what `filter` says, such as `debug` or
/// `sandbox_images::registry=trace,info`.
fn targets(flag: LevelFilter, filter: Option<&str>) -> Result<Targets, Failure> {
    let Some(filter) = filter else { return Ok(Targets::new().with_target(OWN, flag)) };
    let wrong = |why: String| {
        let message = format!("`SANDBOX_IMAGES_LOG` is `{filter}`, which is not a filter: {why}");
        Failure::new(Kind::Usage, "log-filter", message)
            .help("such as `debug`, or `sandbox_images::registry=trace`")
    };
    let asked = Targets::from_str(filter).map_err(|error| wrong(error.to_string()))?;
    let mut everything = flag;
    let mut targets = Targets::new();
    for (target, level) in &asked {
        match target {
            "" => everything = everything.max(level),
            own if own == OWN || own.starts_with("sandbox_images::") => {
                targets = targets.with_target(own, level);
            }
            other => return Err(wrong(format!("`{other}` is not a part of this program"))),
        }
    }
    everything = asked.default_level().map_or(everything, |level| everything.max(level));
    if asked.iter().any(|(target, _)| target == OWN) {
        return Ok(targets);
    }
    Ok(targets.with_target(OWN, everything))
}

/// A line for each thing that is said.
struct Lines {
    started: Instant,
    output: Output,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let Words { message, fields } = words;
        let metadata = event.metadata();
        let level = level(*metadata.level());
        if self.output.progress == Progress::Json {
            let target = metadata.target();
            let message = format!("{message}{fields}");
            let fields = json!({ "level": level, "target": target, "message": message });
            return event_line("log", fields);
        }
        let after = self.started.elapsed().as_secs_f64();
        let text = one_line(&format!("{message}{fields}"));
        screen::tell(&format!("{level:>LEVEL_CHARS$} {after:.3} s  {text}\n"));
    }
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// What an event says: its message, and each field as ` name=value`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A text takes every text.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(flag: LevelFilter, filter: &str, heard: &[(&str, Level)], not: &[(&str, Level)]) {
        let targets = targets(flag, Some(filter).filter(|filter| !filter.is_empty())).ok().unwrap();
        for (target, level) in heard {
            assert!(targets.would_enable(target, level), "{filter}: {target} {level}");
        }
        for (target, level) in not {
            assert!(!targets.would_enable(target, level), "{filter}: {target} {level}");
        }
    }

    #[test]
    fn only_the_programs_own_words_are_heard() {
        const REGISTRY: &str = "sandbox_images::registry::transport";
        const ENGINE: &str = "sandbox_images::engine::apply";
        let (debug, trace) = (Level::DEBUG, Level::TRACE);
        let others = [("h2::codec", Level::ERROR), ("reqwest", Level::ERROR)];
        check(LevelFilter::OFF, "", &[], &[(ENGINE, Level::ERROR)]);
        check(LevelFilter::DEBUG, "", &[(ENGINE, debug)], &[(ENGINE, trace)]);
        check(LevelFilter::TRACE, "", &[(ENGINE, trace)], &others);
        check(LevelFilter::OFF, "trace", &[(ENGINE, trace)], &others);
        check(LevelFilter::TRACE, "debug", &[(ENGINE, trace)], &others);
        let filter = "sandbox_images::registry=trace,debug";
        check(LevelFilter::OFF, filter, &[(REGISTRY, trace), (ENGINE, debug)], &[(ENGINE, trace)]);
    }

    #[test]
    fn a_filter_that_cannot_be_meant_is_refused() {
        for filter in ["hyper=trace", "loud", "sandbox_images=loud", "sandbox_images_other=trace"] {
            assert!(targets(LevelFilter::OFF, Some(filter)).is_err(), "{filter}");
        }
    }
}
