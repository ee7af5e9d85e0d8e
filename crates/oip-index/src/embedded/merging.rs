//! Which segments are merged to one, and when: never more at once than fits the memory of a node.
//!
//! A merge reads its sources through mapped files, and every page that was read counts as memory of the
//! process until the merge ends. The larger a merge, the less often the one after it: without a bound
//! a million records are merged to one segment sooner or later, by mapping all of them. So a segment grows to a
//! size at which it stays, and is only rewritten to be rid of what was deleted in it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::{fs, io};

use tantivy::SegmentMeta;
use tantivy::indexer::{MergeCandidate, MergePolicy};

/// Bytes that one merge reads at most. With some 70 MB besides, a fill stays under 256 MB; the 940 MB of a
/// million records lie in 7 to 14 full segments.
const MERGE_BYTES_MAX: u64 = 128 << 20;

/// Segments of about one size before they are merged to one: the fewer, the more often
/// a document is rewritten; the more, the more segments every query visits.
const MERGE_SEGMENTS_MIN: usize = 8;

/// Below so many documents all segments count as one size: single records are merged by
/// the handful, at a cost of less than a millisecond.
const TIER_DOCUMENTS_MIN: u32 = 32;

/// Sizes a factor of 8 (2^3) apart are different, since 8 segments make one of the next size.
const TIER_LOG_SIZE: u32 = 3;

/// A segment with a greater share of deleted documents than this is rewritten: edits leave garbage.
const DELETED_SHARE_MAX: f64 = 0.3;

/// Decides on merges of the index in one folder.
#[derive(Debug)]
pub(super) struct BoundedMerges {
    folder: PathBuf,
}

/// What counts of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Size<Id> {
    id: Id,
    /// On disk.
    bytes: u64,
    /// Those that are alive.
    documents: u32,
    deleted: u32,
}

impl BoundedMerges {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Bytes on disk by segment, whose id every one of its files begins with.
    fn bytes_by_segment(&self) -> io::Result<HashMap<String, u64>> {
        let mut bytes = HashMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some((segment, _)) = name.to_str().and_then(|name| name.split_once('.')) {
                *bytes.entry(segment.to_owned()).or_default() += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }
}

impl MergePolicy for BoundedMerges {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let bytes = match self.bytes_by_segment() {
            Ok(bytes) => bytes,
            // Asked again after the next commit.
            Err(error) => {
                tracing::warn!(%error, "the index is not merged: its folder can't be read");
                return Vec::new();
            }
        };
        let sizes = segments.iter().map(|segment| Size {
            id: segment.id(),
            bytes: bytes.get(&segment.id().uuid_string()).copied().unwrap_or(0),
            documents: segment.num_docs(),
            deleted: segment.num_deleted_docs(),
        });
        merges(sizes).into_iter().map(MergeCandidate).collect()
    }
}

/// The merges that are due.
fn merges<Id: Copy>(segments: impl IntoIterator<Item = Size<Id>>) -> Vec<Vec<Id>> {
    let mut due = Vec::new();
    let mut tiers: BTreeMap<u32, Vec<Size<Id>>> = BTreeMap::new();
    for segment in segments {
        match segment.is_full() {
            false => tiers.entry(segment.tier()).or_default().push(segment),
            true if segment.is_littered() => due.push(vec![segment.id]),
            true => {}
        }
    }
    for mut tier in tiers.into_values() {
        if tier.len() < MERGE_SEGMENTS_MIN && !tier.iter().any(Size::is_littered) {
            continue;
        }
        // What brings most: garbage goes, and many small ones become one.
        tier.sort_by_key(|segment| (!segment.is_littered(), segment.bytes));
        let mut left = MERGE_BYTES_MAX;
        let fitting = tier.iter().take_while(|segment| {
            let fits = segment.bytes <= left;
            left = left.saturating_sub(segment.bytes);
            fits
        });
        due.push(fitting.map(|segment| segment.id).collect());
    }
    due
}

impl<Id> Size<Id> {
    /// Two that are not full fit one merge.
    fn is_full(&self) -> bool {
        self.bytes > MERGE_BYTES_MAX / 2
    }

    fn is_littered(&self) -> bool {
        let all = f64::from(self.documents) + f64::from(self.deleted);
        f64::from(self.deleted) > all * DELETED_SHARE_MAX
    }

    fn tier(&self) -> u32 {
        self.documents.max(TIER_DOCUMENTS_MIN).ilog2() / TIER_LOG_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(list: &[(u64, u32, u32)]) -> Vec<Size<usize>> {
        let numbered = list.iter().enumerate();
        numbered
            .map(|(id, &(bytes, documents, deleted))| Size {
                id,
                bytes,
                documents,
                deleted,
            })
            .collect()
    }

    #[test]
    fn segments_of_one_size_are_merged_once_there_are_eight() {
        let mut list = vec![(1_000_000, 2_000, 0); 7];
        list.push((8_000_000, 16_000, 0));
        assert!(
            merges(sizes(&list)).is_empty(),
            "7 of one size, 1 of another"
        );
        list.push((1_000_000, 2_000, 0));
        assert_eq!(merges(sizes(&list)), [[0, 1, 2, 3, 4, 5, 6, 8]]);
    }

    #[test]
    fn single_documents_count_as_one_size_with_handfuls_of_them() {
        let mut list = vec![(5_000, 1, 0); 7];
        list.push((20_000, 40, 0));
        assert_eq!(merges(sizes(&list)).len(), 1);
    }

    #[test]
    fn a_merge_reads_no_more_than_the_bound_and_takes_the_smallest() {
        let mega = 1 << 20;
        let list: Vec<_> = (0..8).map(|at| ((40 - at) * mega, 20_000, 0)).collect();
        let due = merges(sizes(&list));
        assert_eq!(
            due,
            [[7, 6, 5]],
            "33 + 34 + 35 MB, and 36 would be too much"
        );
    }

    #[test]
    fn full_segments_stay_as_they_are_until_they_are_littered() {
        let full = MERGE_BYTES_MAX / 2 + 1;
        let mut list = vec![(full, 100_000, 0); 20];
        list[3] = (full, 70_000, 30_000);
        assert!(merges(sizes(&list)).is_empty(), "30 % are borne");
        list[3] = (full, 69_999, 30_001);
        assert_eq!(merges(sizes(&list)), [[3]]);
    }

    #[test]
    fn litter_is_cleared_with_those_of_its_size() {
        let list = [(900, 1_000, 0), (1_000, 600, 400), (1_000_000, 50_000, 0)];
        assert_eq!(merges(sizes(&list)), [[1, 0]]);
    }

    /// Whatever is due is carried out, until nothing is.
    #[test]
    fn merging_ends_with_few_segments_of_bounded_size() {
        let mut held: Vec<(u64, u32, u32)> = Vec::new();
        let mut most = 0;
        for _ in 0..5_000 {
            held.push((1_900_000, 2_000, 0));
            while let Some(due) = merges(sizes(&held)).pop() {
                assert!(due.len() > 1, "nothing is rewritten for nothing");
                let bytes: u64 = due.iter().map(|&at| held[at].0).sum();
                assert!(bytes <= MERGE_BYTES_MAX);
                let documents = due.iter().map(|&at| held[at].1).sum();
                let mut at = 0;
                held.retain(|_| {
                    at += 1;
                    !due.contains(&(at - 1))
                });
                held.push((bytes, documents, 0));
            }
            most = most.max(held.len());
        }
        let total = 5_000 * 1_900_000;
        let full = usize::try_from(total / (MERGE_BYTES_MAX / 2)).unwrap();
        assert!(most < full + 3 * MERGE_SEGMENTS_MIN, "{most} segments");
    }
}
