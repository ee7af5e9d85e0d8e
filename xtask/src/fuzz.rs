//! `cargo xtask fuzz`: runs the fuzz targets of `fuzz/` for a while, several at once, and tells how
//! much was tried and how to reproduce what was found. Owns building them with instrumentation;
//! needs no nightly compiler and no cargo-fuzz. Refuses to pass without executions.

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;

/// Targets in `fuzz/fuzz_targets`, with what makes their first inputs.
const TARGETS: &[Target] = &[
    Target {
        name: "frame",
        seeds: seeds::frames,
    },
    Target {
        name: "put",
        seeds: seeds::puts,
    },
    Target {
        name: "get",
        seeds: seeds::gets,
    },
    Target {
        name: "lex",
        seeds: seeds::ranges,
    },
    Target {
        name: "sea",
        seeds: seeds::signed,
    },
    Target {
        name: "sealed",
        seeds: seeds::sealed,
    },
    Target {
        name: "radata",
        seeds: seeds::files,
    },
];

/// How long `cargo xtask fuzz` runs each target unless it is told.
const SECONDS: u64 = 60;
/// How long `cargo xtask test` runs each target; without it, it runs none.
const SECONDS_VARIABLE: &str = "OIP_FUZZ_SECONDS";
/// What the short run of tests and CI begins its random numbers with: the same change is judged by the
/// same inputs. `cargo xtask fuzz` draws a new one each time, and is where faults are found.
const SMOKE_SEED: u32 = 1;
/// An input that takes longer counts as a fault: parsers are linear, and the machine may be busy.
const INPUT_SECONDS_MAX: u32 = 20;
/// Memory of a target: a parser that needs more for some kilobytes of input is at fault.
const MEMORY_MIB_MAX: u32 = 2_048;
/// Bytes of an input. What only long inputs show is bounded by limits, which have tests of their own.
const INPUT_BYTES_MAX: u32 = 4_096;
/// Lines of a failed run that are shown.
const TOLD_LINES: usize = 40;

/// What libFuzzer needs in the code it tries: counters on branches, and what comparisons compare.
const INSTRUMENTATION: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg",
    "fuzzing",
];

struct Target {
    name: &'static str,
    seeds: fn(&Path) -> Result<Vec<String>>,
}

/// What became of the targets.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Call {
    targets: Vec<String>,
    seconds: u64,
    reproduce: Option<String>,
}

/// `cargo xtask fuzz [TARGET…] [--seconds N]`, `cargo xtask fuzz TARGET --reproduce FILE`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let call = read_call(arguments)?;
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| call.targets.is_empty() || call.targets.iter().any(|t| t == target.name))
        .collect();
    let built = build()?;
    if let Some(file) = &call.reproduce {
        let [target] = chosen.as_slice() else {
            bail!("name the one target that shall read {file}");
        };
        command::step(Command::new(built.join(target.name)).arg(file))?;
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = run_all(&built, &chosen, call.seconds, None)?;
    Ok(if outcome.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The part of `cargo xtask test`: a short run of each target where [`SECONDS_VARIABLE`] says how long.
pub(crate) fn smoke() -> Result<Outcome> {
    let skipped = Outcome {
        skipped: TARGETS.len() as u64,
        ..Outcome::default()
    };
    let Some(seconds) = std::env::var(SECONDS_VARIABLE).ok() else {
        println!("fuzz targets are skipped: set {SECONDS_VARIABLE}, or call `cargo xtask fuzz`");
        return Ok(skipped);
    };
    let seconds = seconds
        .parse()
        .with_context(|| format!("{SECONDS_VARIABLE} must be a number of seconds"))?;
    if command::output("c++", &["--version"]).is_none() {
        println!(
            "fuzz targets are skipped: libFuzzer is built with a C++ compiler, and there is none"
        );
        return Ok(skipped);
    }
    let built = build()?;
    let all: Vec<_> = TARGETS.iter().collect();
    run_all(&built, &all, seconds, Some(SMOKE_SEED))
}

fn read_call(arguments: &[String]) -> Result<Call> {
    let mut call = Call {
        targets: Vec::new(),
        seconds: SECONDS,
        reproduce: None,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || {
            rest.next()
                .with_context(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--seconds" => call.seconds = value()?.parse().context("--seconds needs a number")?,
            "--reproduce" => call.reproduce = Some(value()?.clone()),
            name if TARGETS.iter().any(|target| target.name == name) => {
                call.targets.push(name.to_owned());
            }
            unknown => {
                let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
                bail!(
                    "no fuzz target is named {unknown:?}; there are: {}",
                    known.join(", ")
                );
            }
        }
    }
    Ok(call)
}

/// Everything that fuzzing leaves behind.
fn folder() -> PathBuf {
    command::root().join("target/fuzz")
}

/// Builds all targets, and returns the folder they are in.
fn build() -> Result<PathBuf> {
    let version = command::output("rustc", &["-vV"]).context("failed to ask rustc its host")?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not name its host")?;
    // With a target named, build scripts and macros stay without instrumentation.
    command::step(
        command::cargo(&["build", "--release", "--bins", "--target", host])
            .arg("--manifest-path")
            .arg(command::root().join("fuzz/Cargo.toml"))
            .arg("--target-dir")
            .arg(folder())
            .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f")),
    )?;
    Ok(folder().join(host).join("release"))
}

/// Runs the targets, as many at once as there are cores. Without a seed each draws its own.
fn run_all(built: &Path, targets: &[&Target], seconds: u64, seed: Option<u32>) -> Result<Outcome> {
    for target in targets {
        let mut inputs = (target.seeds)(&command::root())?;
        inputs.extend(seeds::found(&command::root(), target.name)?);
        seeds::write(&seeds_of(target), &inputs)?;
    }
    let waiting = Mutex::new(targets.iter());
    let reports = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(targets.len()) {
            scope.spawn(|| {
                loop {
                    let next = waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .next();
                    let Some(target) = next else { return };
                    let report = run_one(built, target, seconds, seed);
                    let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
                    reports.push((target.name, report));
                }
            });
        }
    });
    let mut outcome = Outcome::default();
    for (name, report) in reports.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match report {
            Ok(words) => {
                outcome.passed += 1;
                println!("fuzz {name} ... ok, {words}");
            }
            Err(error) => {
                outcome.failed += 1;
                println!("fuzz {name} ... FAILED: {error:#}");
            }
        }
    }
    Ok(outcome)
}

fn seeds_of(target: &Target) -> PathBuf {
    folder().join("seeds").join(target.name)
}

/// Runs one target to its end; the report says how much was tried.
fn run_one(built: &Path, target: &Target, seconds: u64, seed: Option<u32>) -> Result<String> {
    let name = target.name;
    // What earlier runs found worth keeping, and what failed.
    let corpus = folder().join("corpus").join(name);
    let artifacts = folder().join("artifacts").join(name);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let output = Command::new(built.join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!(
            "-dict={}",
            command::root().join("fuzz/gun.dict").display()
        ))
        .arg("-print_final_stats=1")
        // 0 stands for "draw one".
        .arg(format!("-seed={}", seed.unwrap_or(0)))
        .arg(corpus)
        .arg(seeds_of(target))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start the fuzz target {name}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TOLD_LINES)..].join("\n");
        let cure = match artifact(&log) {
            Some(file) => format!("reproduce with: cargo xtask fuzz {name} --reproduce {file}"),
            None => "it left no input behind".to_owned(),
        };
        bail!("{}\n{tail}\n{cure}", output.status);
    }
    let executions = statistic(&log, "number_of_executed_units").unwrap_or(0);
    if executions == 0 {
        bail!("nothing was executed");
    }
    let rate = executions / Duration::from_secs(seconds.max(1)).as_secs();
    Ok(format!("{executions} executions, {rate} per second"))
}

/// A number of libFuzzer's closing lines: `stat::name: number`.
fn statistic(log: &str, name: &str) -> Option<u64> {
    log.lines().find_map(|line| {
        let number = line
            .strip_prefix("stat::")?
            .strip_prefix(name)?
            .strip_prefix(':')?;
        number.trim().parse().ok()
    })
}

/// The file that libFuzzer wrote the failing input to.
fn artifact(log: &str) -> Option<&str> {
    let (_, file) = log.rsplit_once("Test unit written to ")?;
    file.lines().next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_file_and_every_file_is_run() {
        let folder = command::root().join("fuzz/fuzz_targets");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut named: Vec<String> = TARGETS.iter().map(|t| format!("{}.rs", t.name)).collect();
        named.sort();
        assert_eq!(named, files);
    }

    #[test]
    fn every_target_begins_with_recorded_inputs() {
        for target in TARGETS {
            let seeds = (target.seeds)(&command::root()).unwrap();
            assert!(
                seeds.len() >= 10,
                "{} has {} seeds",
                target.name,
                seeds.len()
            );
        }
    }

    #[test]
    fn a_call_names_targets_time_and_file() {
        let call = |words: &str| {
            read_call(&words.split(' ').map(str::to_owned).collect::<Vec<_>>()).map_err(|_| ())
        };
        assert_eq!(
            call("put lex --seconds 5"),
            Ok(Call {
                targets: vec!["put".to_owned(), "lex".to_owned()],
                seconds: 5,
                reproduce: None,
            })
        );
        assert_eq!(
            call("sea --reproduce x").unwrap().reproduce.as_deref(),
            Some("x")
        );
        for bad in ["nothing", "--seconds", "--seconds soon", "put --reproduce"] {
            assert!(call(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_libfuzzer_says_at_its_end_is_read() {
        let log = "Done 12 runs in 3 second(s)\nstat::number_of_executed_units: 12\n\
                   stat::average_exec_per_sec:     4\nTest unit written to /a/crash-0f\nBase64: \n";
        assert_eq!(statistic(log, "number_of_executed_units"), Some(12));
        assert_eq!(statistic(log, "average_exec_per_sec"), Some(4));
        assert_eq!(statistic(log, "unknown"), None);
        assert_eq!(artifact(log), Some("/a/crash-0f"));
        assert_eq!(artifact("nothing"), None);
    }
}
