//! A child process with its output captured, which can't outlive its test.
//!
//! Standard output is read line by line; of standard error the tail is kept and shown when
//! the test fails. A process is only ever signalled through its own handle, before it is
//! reaped, so that no other process can be hit.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// Lines of standard error kept for the failure message.
const ERROR_LINES_MAX: usize = 200;

/// Bytes of standard error kept whole, for tests that look for what must not stand there. A test that
/// writes more has to be told: it would miss what came after.
const LOG_BYTES_MAX: usize = 64 << 20;

/// Lines of standard output that may wait for the test to read them; the process blocks
/// beyond that, as it would on a full pipe.
const OUTPUT_LINES_MAX: usize = 10_000;

/// How long a process may take to end after SIGTERM before the test calls it a fault.
const TERMINATE_MAX: Duration = Duration::from_secs(30);

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    errors: Arc<Mutex<VecDeque<String>>>,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Process {
    /// Starts `command` with all three standard streams piped. `name` stands in messages.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(name: impl Into<String>, mut command: Command) -> Result<Self> {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name} ({:?})", command.as_std().get_program()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let stdin = child.stdin.take();
        let (sender, lines) = mpsc::channel(OUTPUT_LINES_MAX);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                // The pipe is read on even when nobody listens: a full one would stall the child.
                let _ = sender.send(line).await;
            }
        });
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let tail = Arc::clone(&errors);
        let log = Arc::new(Mutex::new(Vec::new()));
        let whole = Arc::clone(&log);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                let mut log = whole.lock().unwrap_or_else(PoisonError::into_inner);
                if log.len() < LOG_BYTES_MAX {
                    log.extend_from_slice(line.as_bytes());
                    log.push(b'\n');
                }
                drop(log);
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                if tail.len() == ERROR_LINES_MAX {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
        });
        Ok(Self {
            name,
            child,
            stdin,
            lines,
            errors,
            log,
        })
    }

    /// The next line of standard output.
    ///
    /// # Errors
    /// When none comes within `deadline`, or the process has closed its output. The message
    /// holds the tail of standard error.
    pub async fn line(&mut self, deadline: Duration) -> Result<String> {
        match tokio::time::timeout(deadline, self.lines.recv()).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                let status = tokio::time::timeout(Duration::from_secs(2), self.child.wait()).await;
                Err(anyhow!(
                    "{} ended ({status:?}):\n{}",
                    self.name,
                    self.error_tail()
                ))
            }
            Err(_) => Err(anyhow!(
                "{} printed no line within {:.1} s:\n{}",
                self.name,
                deadline.as_secs_f64(),
                self.error_tail()
            )),
        }
    }

    /// Writes one line to standard input.
    ///
    /// # Errors
    /// When the process no longer reads.
    pub async fn write_line(&mut self, line: &str) -> Result<()> {
        let name = &self.name;
        let stdin = self
            .stdin
            .as_mut()
            .with_context(|| format!("{name}: input is closed"))?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(stdin.flush().await?)
    }

    /// Ends it at once, as a crash would (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn kill9(&mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("kill {}", self.name))
    }

    /// Asks it to end (SIGTERM) and returns its exit code; `None` if a signal ended it.
    ///
    /// # Errors
    /// When it has not ended after half a minute (it is killed then).
    pub async fn terminate(&mut self) -> Result<Option<i32>> {
        // `id` is `None` once the child was reaped: its number may belong to another process.
        let number = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = number.and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).with_context(|| format!("end {}", self.name))?;
        }
        match tokio::time::timeout(TERMINATE_MAX, self.child.wait()).await {
            Ok(status) => Ok(status?.code()),
            Err(_) => {
                self.kill9().await?;
                bail!(
                    "{} did not end on SIGTERM:\n{}",
                    self.name,
                    self.error_tail()
                )
            }
        }
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// All that it wrote to standard error.
    ///
    /// # Panics
    /// When that was more than is kept.
    #[must_use]
    pub fn error_log(&self) -> Vec<u8> {
        let log = self
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        assert!(
            log.len() < LOG_BYTES_MAX,
            "{} wrote more than is kept",
            self.name
        );
        log
    }

    /// The last lines it wrote to standard error.
    #[must_use]
    pub fn error_tail(&self) -> String {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors
            .iter()
            .map(|line| format!("  {} | {line}\n", self.name))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("standard error of {}:\n{}", self.name, self.error_tail());
        }
        // `kill_on_drop` ends the child; asking here too makes that certain even if the
        // runtime is already gone. An error means that it has ended by itself.
        let _ = self.child.start_kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("shell", command).expect("a shell starts")
    }

    #[tokio::test]
    async fn lines_go_in_and_come_out() {
        let mut process = shell("read word; echo got $word");
        process.write_line("hello").await.expect("it reads");
        let line = process
            .line(Duration::from_secs(10))
            .await
            .expect("it answers");
        assert_eq!(line, "got hello");
    }

    #[tokio::test]
    async fn terminate_returns_the_exit_code_of_a_handler() {
        let mut process = shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
        process
            .line(Duration::from_secs(10))
            .await
            .expect("it is up");
        assert_eq!(process.terminate().await.expect("it ends"), Some(7));
        assert_eq!(
            process.terminate().await.expect("asking again is harmless"),
            Some(7)
        );
    }

    #[tokio::test]
    async fn a_process_that_dies_is_reported_with_its_last_words() {
        let mut process = shell("echo broken pipe dream >&2; exit 3");
        let error = process
            .line(Duration::from_secs(10))
            .await
            .expect_err("it says nothing");
        assert!(error.to_string().contains("broken pipe dream"), "{error}");
    }
}
