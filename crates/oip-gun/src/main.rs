//! The `oip-gun` command; all of it is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    oip_gun::cli::run()
}
