//! The command line. All benches take the same options, so that `cargo xtask bench -- …` can pass
//! them to each; what does not concern a bench is ignored by it.

use clap::Parser;

/// Options of a bench.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Records, or nodes of the graph, to work with; each bench has its own default
    #[arg(long)]
    pub records: Option<usize>,
    /// Seed of the corpus
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Times to measure everything, each with fresh processes; the median and the range are printed
    #[arg(long)]
    pub runs: Option<usize>,
    /// Seconds of load per line of the tables of `puts` and `gets`
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Records per second of the open loop of `latency`
    #[arg(long, default_value_t = 50)]
    pub rate: u32,
    /// What the nodes log (`RUST_LOG`); the bench has to read every line they write
    #[arg(long, default_value = "warn")]
    pub log: String,
    /// Print JSON on standard output, and the tables on standard error
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// Number of records, at least one.
    #[must_use]
    pub fn records_or(&self, default: usize) -> usize {
        self.records.unwrap_or(default).max(1)
    }

    /// Number of runs, at least one.
    #[must_use]
    pub fn runs_or(&self, default: usize) -> usize {
        self.runs.unwrap_or(default).max(1)
    }
}
