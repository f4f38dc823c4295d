//! `stayfound`: see [`stayfound::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    stayfound::cli::main()
}
