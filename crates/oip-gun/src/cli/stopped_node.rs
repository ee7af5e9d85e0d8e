//! Into which node's data folder imports and restores go: one that does not run.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Flags, Layers, Setting, Settings};

/// The flags that name it.
#[derive(Debug, Args)]
pub(super) struct StoppedNode {
    /// Settings file of the node [env: OIP_GUN_CONFIG]
    #[arg(long, value_name = "FILE", help_heading = "Which node")]
    config: Option<PathBuf>,
    /// Data folder of the node, made if it isn't there [env: OIP_GUN_DATA_DIR]
    #[arg(long, value_name = "DIR", help_heading = "Which node")]
    data_dir: Option<String>,
}

impl StoppedNode {
    /// Its settings, as it would start with them.
    pub(super) fn settings(self) -> anyhow::Result<Settings> {
        let data_dir = self.data_dir.map(|folder| (Setting::DataDir, folder));
        let flags = Flags {
            config: self.config,
            values: data_dir.into_iter().collect(),
        };
        let layers = Layers::collect(flags, &|name| std::env::var(name).ok())?;
        Ok(Settings::interpret(layers)?)
    }
}
