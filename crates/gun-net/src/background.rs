//! Threads for dear work of strangers: large frames to parse and write, signatures to check, ranges to
//! read. They are the last to get a processor, so that quiet peers don't wait behind a loud one.
//!
//! Refuses nothing: how much may wait is bounded by whoever asks.

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

/// How much less the system favours these threads: about a tenth of the time of one that wants it as well.
/// (19 would be a seventieth: a busy node would hardly check a signature.)
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Starts such work. Cheap to clone; with the last clone the threads end.
#[derive(Debug, Clone)]
pub struct Background {
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Threads {
    /// Taken when dropped. Only its blocking threads are used: nothing ever drives it.
    runtime: Option<Runtime>,
}

impl Background {
    /// Threads come when there is work, as many as there are processors.
    ///
    /// # Errors
    /// When the system has no room for a runtime.
    pub fn new() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = Builder::new_current_thread()
            .thread_name("background")
            .max_blocking_threads(processors)
            .on_thread_start(step_back)
            .build()?;
        Ok(Self {
            threads: Arc::new(Threads {
                runtime: Some(runtime),
            }),
        })
    }

    /// Does a piece of work that may block; it goes on whether or not the caller waits for it.
    pub fn start(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(runtime) = &self.threads.runtime {
            drop(runtime.spawn_blocking(work));
        }
    }

    /// Does a piece of work and waits for what comes of it: `None` if the threads end before.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let working = self.threads.runtime.as_ref()?.spawn_blocking(work);
        working.await.ok()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Without waiting: the last clone may go on a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets the system serve other threads first. Elsewhere than on Linux this would be the whole process.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "background work runs with the priority of all other");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_threads_that_step_back() {
        let background = Background::new().expect("threads");
        let of_thread = || {
            let niceness = rustix::process::getpriority_process(None).expect("a priority");
            (std::thread::current().name().map(str::to_owned), niceness)
        };
        let (_, here) = of_thread();
        let (name, there) = background.run(of_thread).await.expect("it was done");
        assert_eq!(name.as_deref(), Some("background"));
        if cfg!(target_os = "linux") {
            assert!(there > here, "{there} is not behind {here}");
        }
        assert_eq!(of_thread().1, here, "only those threads");
    }

    #[tokio::test]
    async fn started_work_is_done_unasked() {
        let background = Background::new().expect("threads");
        let (done, is_done) = tokio::sync::oneshot::channel();
        background.start(move || {
            let _ = done.send(7);
        });
        assert_eq!(is_done.await, Ok(7));
        drop(background);
    }
}
