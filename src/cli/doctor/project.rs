//! The project's two files: right, and in agreement.

use sandbox_images::project::Project;
use sandbox_images::project::files::{InputError, Inputs};
use sandbox_images::spec::freshness::diagnostic;
use sandbox_images::words::with_causes;

use crate::cli::doctor::finding::{Finding, Level, of_diagnostic};
use crate::cli::report::count;
use crate::cli::setup::shown;

/// The files as values, where they can be used, and what is to be said about them.
pub(super) fn examine(project: &Project) -> (Option<Inputs>, Vec<Finding>) {
    let subject = project.image_set_path().display();
    let texts = match project.texts() {
        Ok(texts) => texts,
        Err(error) => {
            return (None, vec![Finding::error("file", &subject, with_causes(&error))]);
        }
    };
    if texts.image_set.is_none() {
        let message = "does not exist; there is no project here";
        return (None, vec![Finding::ok("project", &subject, message)]);
    }
    let inputs = Inputs::parse(&texts);
    let texts = shown(project, texts);
    let inputs = match inputs {
        Ok(inputs) => inputs,
        Err(
            InputError::ImageSet(problems)
            | InputError::Lock(problems)
            | InputError::Policy(problems),
        ) => {
            let problems = problems.iter().map(|problem| of_diagnostic(problem, &texts));
            return (None, problems.collect());
        }
    };
    let images = count(inputs.image_set.images.len() as u64, "image");
    let mut findings = vec![Finding::ok("project", &subject, format!("names {images}"))];
    findings.push(match diagnostic(&inputs.stale, inputs.lock.images().len()) {
        Some(stale) => Finding { severity: Level::Warning, ..of_diagnostic(&stale, &texts) },
        None => Finding::ok("lock", &project.lock_path().display(), "is up to date"),
    });
    (Some(inputs), findings)
}
