//! The `oip-gun` command; all of it is in the library, so that tests reach it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    oip_gun::cli::run()
}
