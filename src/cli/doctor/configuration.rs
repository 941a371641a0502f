//! The user's `config.toml`: found, right, and what it leads to.

use sandbox_images::layer::limits::Limits;
use sandbox_images::registry::event::EventSink;
use sandbox_images::spec::config::limits::{LIMITS, Unit};

use crate::cli::config::UserConfig;
use crate::cli::doctor::finding::{Finding, of_failure};
use crate::cli::failure::Failure;
use crate::cli::report::size;
use crate::cli::setup::Setup;

/// What is to be said about the file, and `wrong` with it.
pub(super) fn examine(config: &UserConfig, wrong: Option<&Failure>) -> Vec<Finding> {
    if let Some(failure) = wrong {
        return of_failure(failure);
    }
    let mut findings = Vec::new();
    findings.push(match &config.path {
        Some(path) => Finding::ok("config", &path.display(), "is read"),
        None => Finding::ok("config", &"config.toml", "there is none; all is as by default"),
    });
    if let (Some(message), Some(path)) = (config.warning(), &config.path) {
        findings.push(Finding::warning("config-open-to-others", &path.display(), message));
    }
    let limits = listed(&config.limits());
    findings.push(Finding::ok("limits", &"limits", limits));
    findings
}

/// All limits with their values.
fn listed(limits: &Limits) -> String {
    let values = LIMITS.iter().map(|limit| match (limit.value(limits), limit.unit) {
        (None, _) => format!("{} unlimited", limit.key),
        (Some(bytes), Unit::Bytes) => format!("{} {}", limit.key, size(bytes)),
        (Some(number), Unit::Count | Unit::Ratio) => format!("{} {number}", limit.key),
    });
    values.collect::<Vec<_>>().join(", ")
}

/// What is wrong with the files that the configuration names.
pub(super) fn files(setup: &Setup<'_>) -> Vec<Finding> {
    let settings = setup.config.settings(setup.environment, None, EventSink::default());
    settings.err().map(|failure| of_failure(&failure)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_limits_are_listed() {
        let limits = listed(&Limits { ratio_max: None, ..Limits::default() });
        assert!(
            limits.starts_with("entries-max 4000000, layers-max 512, unpacked-bytes-max 32.0 GiB")
        );
        assert!(limits.contains("ratio-max unlimited"));
        assert_eq!(limits.split(", ").count(), LIMITS.len());
    }
}
