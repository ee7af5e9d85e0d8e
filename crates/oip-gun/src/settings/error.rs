//! What can be wrong with settings. Each message names the place, the value and the cure.

use std::path::PathBuf;

use super::layers::Origin;
use super::{CONFIG_VARIABLE, Setting};

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file that was asked for can't be read.
    #[error(
        "can't read the settings file {}: {source} (named by {named_by}; without --config and {CONFIG_VARIABLE} the file oip-gun.toml of the data folder is read, if there is one)",
        path.display()
    )]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Flag or variable that named it.
        named_by: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file isn't TOML, or holds a key that isn't known, or a value of a wrong kind.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    FileMalformed {
        /// The file.
        path: PathBuf,
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// The fault; for an unknown key with the list of known ones.
        message: String,
    },
    /// `data_dir` stands in the file that was found through the data folder.
    #[error(
        "{}: data_dir can't be set in the settings file inside the data folder, because the folder is known before the file is read; set OIP_GUN_DATA_DIR or --data-dir, or name the file by --config",
        path.display()
    )]
    DataDirInDataDir {
        /// The file.
        path: PathBuf,
    },
    /// No data folder is given and no home folder is known.
    #[error(
        "no data folder: neither HOME nor XDG_DATA_HOME is set; give one by --data-dir or OIP_GUN_DATA_DIR"
    )]
    NoDataDir,
    /// A value that the setting doesn't take.
    #[error("{}{} ({origin}) {why}", setting.key(), shown(*setting, text))]
    Invalid {
        /// The setting.
        setting: Setting,
        /// The value as given.
        text: String,
        /// Where it was given.
        origin: Origin,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// API and relay want the same port.
    #[error(
        "api.port ({api}) and relay.port ({relay}) are both {port} on the same address; give one of them another port (0 takes a free one)"
    )]
    SamePort {
        /// The port.
        port: u16,
        /// Where the API's port was given.
        api: Origin,
        /// Where the relay's port was given.
        relay: Origin,
    },
}

fn shown(setting: Setting, text: &str) -> String {
    match setting {
        secret if secret.is_secret() => " (not shown)".to_owned(),
        // May hold a password.
        Setting::SearchHost => " (not shown)".to_owned(),
        // May hold a password; the fault itself shows the address, but for that case.
        Setting::Peers | Setting::ExternalPeers => String::new(),
        _ => format!(" {text:?}"),
    }
}
