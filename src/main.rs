//! The `sandbox-images` program: everything that prints, reads the environment or knows exit codes.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
