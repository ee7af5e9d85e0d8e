//! `cargo xtask bench`: builds the release binary and runs the benches that the workspace holds.
//! Owns no list of its own: cargo's metadata names the targets, so none can be forgotten.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::command::{self, cargo, step};

/// Tells benches which binary to start as a node.
const BINARY_VARIABLE: &str = "OIP_GUN_BIN";

/// A bench of the workspace: a `[[bench]]` of any crate, or a program of the package in `benches/`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bench {
    name: String,
    kind: BenchKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BenchKind {
    CargoBench,
    Program,
}

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let split = arguments.iter().position(|argument| argument == "--");
    let (names, passed_on) = match split {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let metadata = command::metadata()?;
    let all = benches(&metadata);
    let known: Vec<&str> = all.iter().map(|bench| bench.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "no bench is named {unknown:?}; there are: {}",
            known.join(", ")
        );
    }
    let chosen: Vec<&Bench> = all
        .iter()
        .filter(|bench| names.is_empty() || names.contains(&bench.name))
        .collect();
    if chosen.is_empty() {
        bail!("the workspace holds no bench yet");
    }
    build(&chosen)?;
    let binary = command::program(&metadata, "release");
    for bench in chosen {
        let mut command = match bench.kind {
            BenchKind::CargoBench => {
                let mut command = cargo(&["bench", "--workspace", "--bench", &bench.name]);
                command.arg("--");
                command
            }
            BenchKind::Program => Command::new(binary.with_file_name(&bench.name)),
        };
        step(command.args(passed_on).env(BINARY_VARIABLE, &binary))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds everything before anything is measured: a compiler beside a bench spoils its figures. With the
/// features of the whole workspace throughout, so that no dependency is compiled twice.
fn build(chosen: &[&Bench]) -> Result<()> {
    let names = |kind: BenchKind| {
        let chosen = chosen.iter().filter(move |bench| bench.kind == kind);
        chosen.map(|bench| bench.name.as_str())
    };
    let mut programs = cargo(&["build", "--release", "--workspace", "--bin", "oip-gun"]);
    for name in names(BenchKind::Program) {
        programs.args(["--bin", name]);
    }
    step(&mut programs)?;
    for name in names(BenchKind::CargoBench) {
        step(&mut cargo(&[
            "bench",
            "--no-run",
            "--workspace",
            "--bench",
            name,
        ]))?;
    }
    Ok(())
}

fn benches(metadata: &Value) -> Vec<Bench> {
    let mut benches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        // Packages of the registry come with benches of their own; ours have no source.
        if !package["source"].is_null() {
            continue;
        }
        let manifest = package["manifest_path"]
            .as_str()
            .unwrap_or_default()
            .replace('\\', "/");
        let in_benches = manifest.ends_with("/benches/Cargo.toml");
        for target in package["targets"].as_array().into_iter().flatten() {
            let is = |kind: &str| {
                target["kind"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|found| found == kind))
            };
            let kind = match () {
                () if is("bench") => BenchKind::CargoBench,
                () if in_benches && is("bin") => BenchKind::Program,
                () => continue,
            };
            benches.push(Bench {
                name: target["name"].as_str().unwrap_or_default().to_owned(),
                kind,
            });
        }
    }
    benches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bench_targets_and_programs_of_the_benches_package_are_found_and_nothing_else() {
        let metadata = serde_json::json!({"packages": [
            {"name": "gun", "source": null, "manifest_path": "/r/crates/gun/Cargo.toml", "targets": [
                {"name": "gun", "kind": ["lib"]}, {"name": "merge", "kind": ["bench"]}]},
            {"name": "benches", "source": null, "manifest_path": "/r/benches/Cargo.toml", "targets": [
                {"name": "end_to_end", "kind": ["bin"]}]},
            {"name": "xtask", "source": null, "manifest_path": "/r/xtask/Cargo.toml", "targets": [
                {"name": "xtask", "kind": ["bin"]}]},
            {"name": "serde", "source": "registry", "manifest_path": "/c/serde/Cargo.toml", "targets": [
                {"name": "speed", "kind": ["bench"]}]},
        ]});
        let found = benches(&metadata);
        let names: Vec<_> = found
            .iter()
            .map(|bench| (bench.name.as_str(), bench.kind))
            .collect();
        assert_eq!(
            names,
            [
                ("merge", BenchKind::CargoBench),
                ("end_to_end", BenchKind::Program)
            ]
        );
    }
}
