//! `interop/cases.toml`: which outside cases there are, and which of them must pass. Owns reading it
//! and saying where it is wrong; refuses entries that say less than they must.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalogue {
    #[serde(rename = "case")]
    pub(crate) cases: Vec<Case>,
}

/// An outside case: a script of `interop/cases/`, run with each of its kinds of client.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) clients: Vec<Client>,
    #[serde(default)]
    pub(crate) relay: Relay,
    pub(crate) what: String,
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Client {
    Node,
    Browser,
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Browser => "browser",
        }
    }
}

/// What stands at the other end of the client's connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Relay {
    #[default]
    Shared,
    Own,
    DialsGunjs,
    DialledByGunjs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pass,
    Disabled,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn read() -> Result<Catalogue> {
    let path = root().join("interop/cases.toml");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).context("read interop/cases.toml")
}

impl Catalogue {
    /// What is wrong with the list itself.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for case in &self.cases {
            let id = &case.id;
            if case.what.is_empty() {
                faults.push(format!("{id} does not say what it is"));
            }
            let reason = case.reason.as_deref().unwrap_or("");
            match case.status {
                Status::Disabled if reason.is_empty() => {
                    faults.push(format!("{id} is disabled without a reason"));
                }
                Status::Pass if case.reason.is_some() => {
                    faults.push(format!("{id} passes and has a reason: drop it"));
                }
                _ => {}
            }
            if case.clients.is_empty() {
                faults.push(format!("{id} is run with no kind of client"));
            }
            for client in &case.clients {
                if !seen.insert((id.as_str(), *client)) {
                    faults.push(format!("{id} is listed twice for {}", client.name()));
                }
            }
        }
        faults
    }

    /// How the list and the scripts differ.
    pub(crate) fn differs_from(&self, scripts: &[String]) -> Vec<String> {
        let listed: BTreeSet<&str> = self.cases.iter().map(|case| case.id.as_str()).collect();
        let written: BTreeSet<&str> = scripts.iter().map(String::as_str).collect();
        let missing = listed.difference(&written);
        let unlisted = written.difference(&listed);
        missing
            .map(|id| format!("{id} is listed and has no script"))
            .chain(unlisted.map(|id| format!("{id} has a script and is not listed")))
            .collect()
    }

    /// How the table of disabled cases in the document differs from the list.
    pub(crate) fn undocumented(&self, document: &str) -> Vec<String> {
        let wanted: BTreeSet<String> = self
            .cases
            .iter()
            .filter(|case| case.status == Status::Disabled)
            .map(|case| {
                let clients: Vec<_> = case.clients.iter().map(|client| client.name()).collect();
                let reason = case.reason.as_deref().unwrap_or("");
                format!("| `{}` | {} | {reason} |", case.id, clients.join(", "))
            })
            .collect();
        let told: BTreeSet<String> = document
            .lines()
            .skip_while(|line| !line.starts_with("## Disabled cases"))
            .filter(|line| line.starts_with("| `"))
            .map(str::to_owned)
            .collect();
        let missing = wanted.difference(&told);
        let stale = told.difference(&wanted);
        missing
            .map(|row| format!("docs/conformance.md lacks the row: {row}"))
            .chain(stale.map(|row| format!("docs/conformance.md has a row too many: {row}")))
            .collect()
    }
}

/// The document that tells readers which cases are disabled.
pub(crate) fn document() -> Result<String> {
    let path = root().join("docs/conformance.md");
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}
