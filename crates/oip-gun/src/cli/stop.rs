//! Being told to stop: SIGTERM, SIGINT, or the end of stdin where that was asked for. The first
//! asks for a graceful stop, a second signal ends the process at once, whatever it is doing.

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Exit code of a process that a second signal ended (128 + SIGINT, as shells count).
const STOPPED_AT_ONCE: i32 = 130;

/// Whether the end of stdin asks for a stop too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdinEnd {
    /// It means nothing.
    Ignored,
    /// It asks for a stop: the process that holds the other end is gone.
    Stops,
}

/// The wish to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    asked: CancellationToken,
}

impl Stop {
    /// Begins to listen, in a task of its own so that a second signal works while all else hangs.
    pub(crate) fn listen(stdin_end: StdinEnd) -> anyhow::Result<Self> {
        let stop = Self {
            asked: CancellationToken::new(),
        };
        let tasks = TaskTracker::new();
        let mut signals = Signals::install().context("failed to listen for signals")?;
        let asked = stop.asked.clone();
        tasks.spawn(async move {
            let first = signals.next().await;
            tracing::info!(signal = first, "stopping; a second signal stops at once");
            asked.cancel();
            signals.next().await;
            std::process::exit(STOPPED_AT_ONCE);
        });
        if stdin_end == StdinEnd::Stops {
            let asked = stop.asked.clone();
            // A thread, not a task: a blocked read of stdin would hold up the runtime's end.
            std::thread::Builder::new()
                .name("stdin-end".to_owned())
                .spawn(move || {
                    // Whatever ends the reading, the other end is of no use any more.
                    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                    asked.cancel();
                })
                .context("failed to start a thread")?;
        }
        Ok(stop)
    }

    /// Waits for the wish to stop.
    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
