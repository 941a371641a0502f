//! `doctor`: what is there, what is wrong with it, and what to do. Changes nothing, and asks a registry
//! only with `--online`.

mod finding;

mod machine;

mod configuration;

mod store;

mod credentials;

mod project;

mod online;

use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::Doctor;
use crate::cli::doctor::finding::{Finding, Level};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::Setup;

/// What `doctor --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    findings: &'a [Finding],
}

/// Examines all there is. What is `wrong` with the configuration is found too, and the rest is examined as
/// if there were none.
pub(crate) fn run(setup: &Setup<'_>, doctor: &Doctor, wrong: Option<&Failure>) -> Done {
    let mut findings = machine::examine();
    findings.extend(configuration::examine(setup.config, wrong));
    let wrong = configuration::files(setup);
    let is_usable = wrong.is_empty();
    findings.extend(wrong);
    let project = setup.project();
    match &project {
        Ok(project) => findings.extend(store::examine(project)),
        Err(failure) => findings.extend(finding::of_failure(failure)),
    }
    findings.extend(credentials::examine(setup));
    let (inputs, found) = project.as_ref().map(project::examine).unwrap_or_default();
    findings.extend(found);
    if doctor.online
        && is_usable
        && let Some(inputs) = inputs
    {
        findings.extend(online::examine(setup, &inputs.image_set)?);
    }
    print(setup, &findings)
}

fn print(setup: &Setup<'_>, findings: &[Finding]) -> Done {
    if setup.output.json {
        output::json(&Report { schema: "sandbox-images/doctor/1", findings });
    } else {
        output::data(findings.iter().map(Finding::line).collect::<String>());
    }
    if findings.iter().any(|finding| finding.severity == Level::Error) {
        return Err(Failure::told(Kind::Failed));
    }
    Ok(())
}
