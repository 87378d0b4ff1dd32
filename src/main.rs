//! The `outcrop` program: all of it is in `outcrop::cli`.

use std::process::ExitCode;

/// Freed memory is reused at once rather than handed back and faulted in again, a megabyte of text at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    outcrop::cli::main()
}
