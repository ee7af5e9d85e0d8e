//! Settings: defaults, then a TOML file, then the environment, then flags; the later layer wins.
//!
//! `definition` is the one list of settings with their names in each layer, `layers` collects
//! what was given and where, `interpret` turns the texts into values or names the fault, its
//! place and the cure; `docs/settings.md` lists them for operators. No other module reads the environment.

mod definition;
mod error;
mod file;
mod interpret;
mod layers;
#[cfg(test)]
mod tests;

pub use definition::Setting;
pub use error::SettingsError;
pub(crate) use interpret::token_file;
pub use interpret::{AdminToken, Settings};
pub use layers::{CONFIG_VARIABLE, Flags, Given, Layers, Origin};
