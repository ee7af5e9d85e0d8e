//! `cargo xtask test`: runs `cargo test --workspace` (unit, integration and doc tests), shows its
//! output as it comes, then the fuzz targets, and ends with one line of totals. Owns the summing;
//! refuses to call a run good that cargo called bad.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;
use crate::fuzz::{self, Outcome};
use crate::interop::{self, Interop};
use crate::servers;

/// What a test prints before it returns early because a judge is not there (`testkit::interop`, `testkit::search_servers`).
/// libtest knows no such outcome and calls the test passed; the totals call it skipped.
const SKIP_MARK: &str = "skipped: ";
/// How long output is still read after cargo has ended. A process that a test left behind holds
/// the pipe open; it must not hold up the result.
const LAST_OUTPUT_WAIT: Duration = Duration::from_secs(3);
/// Lines of test output between the reader and the screen; a full channel makes cargo wait.
const LINES_QUEUED_MAX: usize = 1024;

/// Sums over all `test result:` lines of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Totals {
    /// As libtest counts, so with those that returned early.
    passed: u64,
    failed: u64,
    ignored: u64,
    returned_early: u64,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed.saturating_sub(self.returned_early);
        let skipped = self.ignored + self.returned_early;
        let failed = self.failed;
        write!(
            f,
            "tests: {passed} passed, {failed} failed, {skipped} skipped"
        )
    }
}

impl Totals {
    /// Adds fuzz targets, each of which counts as a test.
    fn add_fuzz(&mut self, outcome: Outcome) {
        self.passed += outcome.passed;
        self.failed += outcome.failed;
        self.ignored += outcome.skipped;
    }

    /// Adds what one line of the run says; a line that is no result adds nothing.
    fn add_line(&mut self, line: &str) {
        if line.starts_with(SKIP_MARK) {
            self.returned_early += 1;
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let (_, counts) = result.split_once(". ").unwrap_or(("", result));
        for part in counts.split(';') {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

enum Event {
    Line(Vec<u8>),
    Ended(std::io::Result<ExitStatus>),
}

pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    let judges = [
        ("gun.js", interop::set_up()?),
        ("Elasticsearch and OpenSearch", servers::set_up()?),
    ];
    // Without `--no-fail-fast` cargo stops at the first failing binary, and the totals would lie.
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast"];
    let mut absent = 0;
    for (judge, found) in &judges {
        if let Interop::Missing(why) = found {
            println!("tests against {judge} are skipped: {why}");
            absent += 1;
        }
    }
    if absent > 0 {
        // libtest hides what passing tests print, and with it who skipped.
        arguments.extend(["--", "--show-output"]);
    }
    let (mut totals, status) = stream(&arguments)?;
    if !status.success() && totals.failed == 0 {
        println!("cargo test failed outside of a test ({status}): see the messages above");
    }
    totals.add_fuzz(fuzz::smoke()?);
    println!("{totals}");
    let good = status.success() && totals.failed == 0;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn stream(arguments: &[&str]) -> Result<(Totals, ExitStatus)> {
    let mut child = command::cargo(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start cargo test")?;
    let output = child
        .stdout
        .take()
        .context("failed to read cargo's output")?;
    let (events, incoming) = mpsc::sync_channel(LINES_QUEUED_MAX);
    let lines = events.clone();
    std::thread::spawn(move || send_lines(output, &lines));
    std::thread::spawn(move || events.send(Event::Ended(child.wait())));

    let mut totals = Totals::default();
    let mut ended = None;
    let mut screen = std::io::stdout().lock();
    loop {
        let event = match ended {
            None => incoming.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => incoming.recv_timeout(LAST_OUTPUT_WAIT),
        };
        match event {
            Ok(Event::Line(line)) => {
                screen.write_all(&line)?;
                screen.flush()?;
                totals.add_line(&String::from_utf8_lossy(&line));
            }
            Ok(Event::Ended(status)) => ended = Some(status?),
            Err(_) => break,
        }
    }
    Ok((totals, ended.context("failed to wait for cargo test")?))
}

fn send_lines(output: impl Read, lines: &mpsc::SyncSender<Event>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if lines.send(Event::Line(line)).is_err() => return,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals_of(lines: &[&str]) -> Totals {
        let mut totals = Totals::default();
        lines.iter().for_each(|line| totals.add_line(line));
        totals
    }

    #[test]
    fn result_lines_of_several_binaries_are_summed() {
        let totals = totals_of(&[
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            "test merge::newer_state_wins ... ok\n",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
        ]);
        assert_eq!(totals.to_string(), "tests: 8 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_returned_early_is_skipped_and_not_passed() {
        let totals = totals_of(&[
            "---- a_browser_client_sees_what_another_puts_live stdout ----\n",
            "skipped: Node.js is not installed\n",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        ]);
        assert_eq!(totals.to_string(), "tests: 2 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn fuzz_targets_count_as_tests() {
        let mut totals = totals_of(&["test result: ok. 2 passed; 0 failed; 0 ignored\n"]);
        totals.add_fuzz(Outcome {
            passed: 3,
            failed: 1,
            skipped: 2,
        });
        assert_eq!(totals.to_string(), "tests: 5 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn lines_that_only_look_like_results_count_nothing() {
        let totals = totals_of(&[
            "running 5 tests\n",
            "a record says: test result: ok. 5 passed\n",
            "test result: \n",
            "test result: ok. many passed; -1 failed\n",
        ]);
        assert_eq!(totals, Totals::default());
    }
}
