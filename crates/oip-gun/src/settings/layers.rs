//! The four layers, and for each setting what was given last and where.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Setting, SettingsError, file};

/// The variable that names a settings file.
pub const CONFIG_VARIABLE: &str = "OIP_GUN_CONFIG";
/// The settings file that is read from the data folder when no other is named.
const FILE_NAME: &str = "oip-gun.toml";

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a settings file.
    File(PathBuf),
    /// In the environment, under this name.
    Environment(&'static str),
    /// On the command line, by this flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("the default"),
            Self::File(path) => write!(out, "in {}", path.display()),
            Self::Environment(name) => write!(out, "{name} in the environment"),
            Self::Flag(flag) => write!(out, "given by {flag}"),
        }
    }
}

/// A value as text and where it was given. Without a `Debug` text: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The value as written; lists are joined by commas.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// What the command line gave.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// The settings given by flags.
    pub values: BTreeMap<Setting, String>,
}

/// Everything that was given, the winner of each setting.
#[derive(Clone)]
pub struct Layers {
    given: BTreeMap<Setting, Given>,
    data_dir: PathBuf,
    file: Option<PathBuf>,
}

/// Shows where each setting was given and no value: one of them is a secret.
impl fmt::Debug for Layers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map()
            .entries(
                self.given
                    .iter()
                    .map(|(setting, given)| (setting, &given.origin)),
            )
            .finish()
    }
}

impl Layers {
    /// Collects flags, environment and file. `variable` reads the environment; an empty value
    /// counts as not set, as in the compose files of deployed nodes (`GUN_NODE_ID_OVERRIDE=`).
    ///
    /// # Errors
    /// A settings file that can't be read or understood, or no data folder to be found.
    pub fn collect(
        flags: Flags,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut given: BTreeMap<Setting, Given> = BTreeMap::new();
        for setting in Setting::ALL {
            if let Some(text) = variable(setting.variable()) {
                let origin = Origin::Environment(setting.variable());
                given.insert(setting, Given { text, origin });
            }
        }
        for (setting, text) in flags.values {
            let origin = Origin::Flag(setting.flag().unwrap_or("a flag"));
            given.insert(setting, Given { text, origin });
        }

        let outer_dir = given
            .get(&Setting::DataDir)
            .map(|data_dir| PathBuf::from(&data_dir.text));
        let (named, named_by) = match (flags.config, variable(CONFIG_VARIABLE)) {
            (Some(path), _) => (Some(path), "--config"),
            (None, Some(path)) => (Some(PathBuf::from(path)), CONFIG_VARIABLE),
            (None, None) => (None, ""),
        };
        let file = if let Some(path) = named {
            let text =
                std::fs::read_to_string(&path).map_err(|source| SettingsError::FileUnreadable {
                    path: path.clone(),
                    named_by,
                    source,
                })?;
            add_file(&mut given, &path, &text)?;
            Some(path)
        } else {
            let folder = match &outer_dir {
                Some(folder) => folder.clone(),
                None => home_data_dir(&variable)?,
            };
            add_file_of_folder(&mut given, &folder)?
        };

        let data_dir = match given.get(&Setting::DataDir) {
            Some(given) => relative_to_file(given),
            None => home_data_dir(&variable)?,
        };
        Ok(Self {
            given,
            data_dir,
            file,
        })
    }

    /// What was given for `setting`; `None` means the default holds.
    #[must_use]
    pub fn get(&self, setting: Setting) -> Option<&Given> {
        self.given.get(&setting)
    }

    /// Where the value in force was given.
    #[must_use]
    pub fn origin(&self, setting: Setting) -> Origin {
        self.get(setting)
            .map_or(Origin::Default, |given| given.origin.clone())
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The settings file that was read, if any.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// A path from a file is meant relative to that file, all others to the working folder.
pub(super) fn relative_to_file(given: &Given) -> PathBuf {
    let path = PathBuf::from(&given.text);
    match &given.origin {
        Origin::File(file) => file
            .parent()
            .map_or_else(|| path.clone(), |folder| folder.join(&path)),
        _ => path,
    }
}

fn add_file(
    given: &mut BTreeMap<Setting, Given>,
    path: &Path,
    text: &str,
) -> Result<(), SettingsError> {
    for (setting, text) in file::read(path, text)? {
        let origin = Origin::File(path.to_owned());
        given.entry(setting).or_insert(Given { text, origin });
    }
    Ok(())
}

fn add_file_of_folder(
    given: &mut BTreeMap<Setting, Given>,
    folder: &Path,
) -> Result<Option<PathBuf>, SettingsError> {
    let path = folder.join(FILE_NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(SettingsError::FileUnreadable {
                path,
                named_by: "the data folder",
                source,
            });
        }
    };
    if file::read(&path, &text)?.contains_key(&Setting::DataDir) {
        return Err(SettingsError::DataDirInDataDir { path });
    }
    add_file(given, &path, &text)?;
    Ok(Some(path))
}

/// The folder that the XDG rules give to an application's data.
fn home_data_dir(variable: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, SettingsError> {
    let base = match variable("XDG_DATA_HOME") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(variable("HOME").ok_or(SettingsError::NoDataDir)?)
            .join(".local")
            .join("share"),
    };
    Ok(base.join("oip-gun"))
}
