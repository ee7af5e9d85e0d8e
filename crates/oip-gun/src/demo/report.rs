//! What the demo shows: a table per set-up, and whether all went as it must.

use serde::Serialize;

use super::journey::{Journey, Outcome, Row};
use super::outsider::Outsider;
use crate::cli::Table;

/// So much of each part of a DID is shown: what people call their records is shorter.
const PART_CHARS: usize = 24;

/// Everything the demo saw.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub(super) set_ups: Vec<SetUp>,
}

/// What happened in one set-up.
#[derive(Debug, Serialize)]
pub(super) struct SetUp {
    name: &'static str,
    #[serde(flatten)]
    result: SetUpResult,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum SetUpResult {
    Journey(Box<Journey>),
    Skipped(String),
    Failed(String),
}

impl SetUp {
    pub(super) fn done(name: &'static str, journey: Journey) -> Self {
        Self {
            name,
            result: SetUpResult::Journey(Box::new(journey)),
        }
    }

    pub(super) fn skipped(name: &'static str, why: String) -> Self {
        Self {
            name,
            result: SetUpResult::Skipped(why),
        }
    }

    pub(super) fn failed(name: &'static str, why: String) -> Self {
        Self {
            name,
            result: SetUpResult::Failed(why),
        }
    }

    fn all_is_well(&self) -> bool {
        match &self.result {
            SetUpResult::Journey(journey) => {
                let mut rows = journey.records.iter();
                rows.all(Row::is_well)
                    && journey.edit.is_well()
                    && journey.delete.is_well()
                    && journey.outsider.as_ref().is_some_and(Outsider::is_well)
            }
            SetUpResult::Skipped(_) => true,
            SetUpResult::Failed(_) => false,
        }
    }

    fn text(&self) -> String {
        let name = self.name;
        match &self.result {
            SetUpResult::Journey(journey) => format!("== {name}\n\n{}", table(journey)),
            SetUpResult::Skipped(why) => format!("== {name}\n\nleft out: {why}"),
            SetUpResult::Failed(why) => format!("== {name}\n\nFAILED: {why}"),
        }
    }
}

impl Row {
    fn is_well(&self) -> bool {
        match &self.outcome {
            Outcome::Arrived { difference, .. } => difference.is_none(),
            Outcome::Failed { .. } => false,
        }
    }
}

impl Report {
    /// Whether all that must arrive did, unchanged.
    #[must_use]
    pub fn all_is_well(&self) -> bool {
        self.set_ups.iter().all(SetUp::all_is_well)
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts: Vec<String> = self.set_ups.iter().map(SetUp::text).collect();
        let sealed = self.sealed();
        if sealed > 0 {
            parts.push(format!(
                "{sealed} records asked for privacy: they travelled and lie on relays as ciphertext, B finds them with its token, and nobody without."
            ));
        }
        parts.push(
            if self.all_is_well() {
                "All records arrived on B as they were submitted to A."
            } else {
                "NOT all records arrived on B as they were submitted to A."
            }
            .to_owned(),
        );
        parts.join("\n\n")
    }

    fn sealed(&self) -> usize {
        let journeys = self
            .set_ups
            .iter()
            .filter_map(|set_up| match &set_up.result {
                SetUpResult::Journey(journey) => Some(&journey.records),
                SetUpResult::Skipped(_) | SetUpResult::Failed(_) => None,
            });
        journeys
            .flatten()
            .filter(|row| matches!(row.outcome, Outcome::Arrived { sealed: true, .. }))
            .count()
    }
}

fn table(journey: &Journey) -> String {
    let mut table = Table::new(["RECORD", "TYPE", "DID", "ON B AFTER", "EQUAL"]);
    for row in &journey.records {
        let (did, after, equal) = match &row.outcome {
            Outcome::Arrived {
                did,
                searchable_after_ms,
                difference,
                sealed,
            } => (
                match *sealed {
                    true => format!("{} (sealed)", shortened(did)),
                    false => shortened(did),
                },
                format!("{searchable_after_ms:.1} ms"),
                match difference {
                    None => "yes".to_owned(),
                    Some(path) => format!("NO, differs at {path}"),
                },
            ),
            Outcome::Failed { why } => (format!("FAILED: {why}"), "-".to_owned(), "-".to_owned()),
        };
        table.add([
            row.record.clone(),
            row.record_type.clone(),
            did,
            after,
            equal,
        ]);
    }
    let outsider = journey.outsider.as_ref().map(told).unwrap_or_default();
    format!(
        "{}\n\nedit of {}: {}\ndelete of {}: {}\n\n{outsider}",
        table.text(),
        journey.edit.record,
        step(&journey.edit),
        journey.delete.record,
        step(&journey.delete)
    )
}

/// A DID with its long parts cut: the nodes are gone when it is read, and `--json` has it whole.
fn shortened(did: &str) -> String {
    let parts = did
        .split(':')
        .map(|part| match part.char_indices().nth(PART_CHARS) {
            Some((end, _)) => format!("{}…", &part[..end]),
            None => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join(":")
}

fn told(outsider: &Outsider) -> String {
    let Outsider { record, bytes, .. } = outsider;
    let on_b = match &outsider.name_on_b {
        Some(name) => format!("found, {name:?}"),
        None => "NOT found".to_owned(),
    };
    let on_c = match outsider.found_on_c {
        0 => "nothing found".to_owned(),
        found => format!("{found} FOUND"),
    };
    let inside = match &outsider.leaked {
        None => "no word of it".to_owned(),
        Some(word) => format!("THE WORDS {word:?}"),
    };
    format!(
        "{record} is for B, not for C, which holds it too:\n  B, with its token   {on_b}\n  C, with its token   {on_c}\n  C's relay, /get     {{\"encrypted\":\"{}… ({bytes} bytes, {} keys open it, {inside})",
        outsider.ciphertext, outsider.recipients
    )
}

fn step(row: &Row) -> String {
    match &row.outcome {
        Outcome::Arrived {
            searchable_after_ms,
            difference: None,
            ..
        } => format!("on B after {searchable_after_ms:.1} ms"),
        Outcome::Arrived {
            difference: Some(path),
            ..
        } => format!("NOT equal on B, differs at {path}"),
        Outcome::Failed { why } => format!("FAILED: {why}"),
    }
}
