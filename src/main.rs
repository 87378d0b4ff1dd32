//! The `outcrop` program: all of it is in `outcrop::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    outcrop::cli::main()
}
