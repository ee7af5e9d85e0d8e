//! The records that ship with the project, inside the binary, so that an installed one works alone.

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

macro_rules! embedded {
    ($file:literal) => {
        (
            $file,
            include_str!(concat!("../../../../testdata/records/", $file)),
        )
    };
}

/// Types and local ids of the files.
const INDEX: &str = include_str!("../../../../testdata/records/index.json");
const FILES: [(&str, &str); 18] = [
    embedded!("accessControl-shared.json"),
    embedded!("calendarEvent.json"),
    embedded!("conversationSession.json"),
    embedded!("creatorRegistration.json"),
    embedded!("exercise.json"),
    embedded!("image.json"),
    embedded!("modelProvider.json"),
    embedded!("notes.json"),
    embedded!("nutritionalInfo.json"),
    embedded!("podcast.json"),
    embedded!("podcastShow.json"),
    embedded!("post.json"),
    embedded!("recipe.json"),
    embedded!("shoppingList.json"),
    embedded!("text.json"),
    embedded!("userFitnessProfile.json"),
    embedded!("video.json"),
    embedded!("workout.json"),
];

/// A record that ships with the project.
#[derive(Debug, Clone)]
pub(super) struct Shipped {
    pub(super) file: String,
    pub(super) record_type: String,
    pub(super) local_id: String,
    pub(super) data: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexEntry {
    file: String,
    record_type: String,
    local_id: String,
}

/// All of them, in the order of their index.
pub(super) fn shipped() -> anyhow::Result<Vec<Shipped>> {
    let index: Vec<IndexEntry> =
        serde_json::from_str(INDEX).context("failed to read the index of the shipped records")?;
    ensure!(
        index.len() == FILES.len(),
        "the index of the shipped records names {} files, {} are in the binary",
        index.len(),
        FILES.len()
    );
    index
        .into_iter()
        .map(|entry| {
            let (_, text) = FILES
                .iter()
                .find(|(file, _)| *file == entry.file)
                .with_context(|| {
                    format!("the shipped record {} is not in the binary", entry.file)
                })?;
            let data = serde_json::from_str(text)
                .with_context(|| format!("failed to read the shipped record {}", entry.file))?;
            Ok(Shipped {
                file: entry.file,
                record_type: entry.record_type,
                local_id: entry.local_id,
                data,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_record_is_in_the_binary_and_readable() {
        let shipped = shipped().unwrap();
        assert_eq!(shipped.len(), 18);
        assert!(shipped.iter().all(|record| record.data.is_object()));
    }
}
