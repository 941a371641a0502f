//! The `sandbox-images` program.

fn main() {}
