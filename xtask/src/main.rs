//! `cargo xtask`: one command for everything a developer or the CI does with this repository.
//! Owns the table of tasks; each task lives in a module of its own. Refuses to install anything
//! outside the repository folder.

mod bench;
mod command;
mod demo;
mod differential;
mod fuzz;
mod interop;
mod lint;
mod servers;
mod structure;
mod suite;

use std::process::ExitCode;

use anyhow::Result;

/// One task: its name, what it takes, what it does, and the function that does it.
struct Task {
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const TASKS: &[Task] = &[
    Task {
        name: "demo",
        arguments: "[ARGS…]",
        summary: "two linked nodes (and a gun.js relay where Node.js is there): publish on A, find on B",
        run: demo::run,
    },
    Task {
        name: "test",
        arguments: "",
        summary: "set up what is missing, run every test, end with one line of totals",
        run: suite::run,
    },
    Task {
        name: "check",
        arguments: "",
        summary: "exactly what CI runs: lint, then test",
        run: check,
    },
    Task {
        name: "lint",
        arguments: "",
        summary: "fmt, structure, clippy and docs, warnings denied",
        run: lint::run,
    },
    Task {
        name: "structure",
        arguments: "",
        summary: "dependency arrows, paths in documents, file heads and lengths, words that must not be here",
        run: structure::run,
    },
    Task {
        name: "setup",
        arguments: "",
        summary: "install the Node.js packages that the interop tests need",
        run: interop::run,
    },
    Task {
        name: "servers",
        arguments: "[NAME… | --all]",
        summary: "fetch the Elasticsearch and OpenSearch that the index tests run against",
        run: servers::run,
    },
    Task {
        name: "fuzz",
        arguments: "[TARGET…] [--seconds N | --reproduce FILE]",
        summary: "run the fuzz targets, a minute each unless told; or one input again",
        run: fuzz::run,
    },
    Task {
        name: "differential",
        arguments: "[--ops N] [--seed TEXT]",
        summary: "a million random operations fed to gun.js and to us must end in the same graph",
        run: differential::run,
    },
    Task {
        name: "bench",
        arguments: "[NAME…] [-- ARGS…]",
        summary: "build in release mode and run the benches",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprint!("unknown task {name:?}\n\n{}", usage());
        return ExitCode::from(2);
    };
    if task.arguments.is_empty() && !rest.is_empty() {
        eprintln!(
            "`cargo xtask {name}` takes no arguments, got: {}",
            rest.join(" ")
        );
        return ExitCode::from(2);
    }
    (task.run)(rest).unwrap_or_else(|error| {
        eprintln!("cargo xtask {name}: {error:#}");
        ExitCode::FAILURE
    })
}

/// What CI runs; `.ci/run` calls the same two tasks.
fn check(_: &[String]) -> Result<ExitCode> {
    let linted = lint::run(&[])?;
    if linted != ExitCode::SUCCESS {
        return Ok(linted);
    }
    suite::run(&[])
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask TASK\n\n");
    for task in TASKS {
        let call = format!("{} {}", task.name, task.arguments);
        text.push_str(&format!("  {call:<26} {}\n", task.summary));
    }
    text
}
