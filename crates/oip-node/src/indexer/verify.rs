//! Compares the index with the store: both in order of DID, page by page, so that memory stays flat.
//!
//! Both move meanwhile. A difference counts only if it is there in a second pass too, after the index has
//! caught up with what the store held.

use std::collections::{BTreeMap, BTreeSet};

use gun::Soul;
use oip_index::{Holding, Index, Version};
use oip_record::Did;
use oip_store::Store;
use serde::Serialize;

use super::feeder::version_of;
use super::scope::Scope;
use crate::node::ReadError;

/// Rows of either side in memory at a time.
const PAGE_ROWS: usize = 500;

/// Differences that are listed; all are counted.
pub(crate) const DIFFERENCES_MAX: usize = 1_000;

/// How store and index compare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexComparison {
    /// Whether they hold the same.
    pub agrees: bool,
    /// By record type.
    pub types: Vec<TypeComparison>,
    /// How many records differ.
    pub differences_total: u64,
    /// The first of them, at most 1,000, in order of DID.
    pub differences: Vec<Difference>,
    /// Records that are not in the index because it refuses them; they are in quarantine, and no differences.
    pub quarantined: u64,
    /// Private records that are not in the index because its server is not to have them; no differences.
    pub kept_out: u64,
}

/// One record type on both sides. A digest is the sum of its records' digests, whatever their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeComparison {
    /// The type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Records in the store that belong into the index.
    pub stored: u64,
    /// Documents in the index.
    pub indexed: u64,
    /// Of the store.
    pub store_digest: String,
    /// Of the index.
    pub index_digest: String,
}

/// One record that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Which.
    pub did: String,
    /// How.
    pub difference: DifferenceKind,
}

/// How a record differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The store holds it, the index doesn't.
    Missing,
    /// The index holds it, the store doesn't, or not any more.
    Extra,
    /// The index holds another version or type.
    OtherVersion,
}

/// One pass.
pub(crate) fn compare(
    store: &Store,
    index: &dyn Index,
    scope: &Scope,
) -> Result<IndexComparison, ReadError> {
    let mut report = Report::default();
    let mut stored = StoreSide::new(store, scope, index.takes_private());
    let mut indexed = IndexSide::new(index);
    loop {
        let (left, right) = (stored.peek()?, indexed.peek()?);
        let order = match (&left, &right) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(left), Some(right)) => left.did.cmp(&right.did),
        };
        let (left, right) = match order {
            std::cmp::Ordering::Less => (stored.take(), None),
            std::cmp::Ordering::Greater => (None, indexed.take()),
            std::cmp::Ordering::Equal => (stored.take(), indexed.take()),
        };
        report.note(store, left, right)?;
    }
    Ok(IndexComparison {
        kept_out: stored.kept_out,
        ..report.finish()
    })
}

/// What differs in both passes, in the words of the second.
pub(crate) fn confirmed(first: &IndexComparison, mut second: IndexComparison) -> IndexComparison {
    // Beyond the list nothing can be confirmed one by one; so much doesn't differ by chance.
    if second.differences_total as usize <= DIFFERENCES_MAX {
        let before: BTreeSet<&str> = first
            .differences
            .iter()
            .map(|one| one.did.as_str())
            .collect();
        second
            .differences
            .retain(|one| before.contains(one.did.as_str()));
        second.differences_total = second.differences.len() as u64;
        second.agrees = second.differences.is_empty();
    }
    second
}

#[derive(Default)]
struct Report {
    types: BTreeMap<String, (Sum, Sum)>,
    differences: Vec<Difference>,
    total: u64,
    quarantined: u64,
}

/// A number of records and the sum of their digests.
#[derive(Default)]
struct Sum {
    records: u64,
    lanes: [u64; 4],
}

impl Sum {
    fn add(&mut self, version: &Version) {
        self.records += 1;
        for (lane, bytes) in self.lanes.iter_mut().zip(version.digest.chunks_exact(8)) {
            let number = bytes.try_into().map_or(0, u64::from_be_bytes);
            *lane = lane.wrapping_add(number);
        }
    }

    fn digest(&self) -> String {
        self.lanes
            .iter()
            .map(|lane| format!("{lane:016x}"))
            .collect()
    }
}

impl Report {
    fn note(
        &mut self,
        store: &Store,
        stored: Option<Holding>,
        indexed: Option<Holding>,
    ) -> Result<(), ReadError> {
        if let Some(one) = &indexed {
            let (_, sum) = self.types.entry(one.record_type.clone()).or_default();
            sum.add(&one.version.unwrap_or(NO_VERSION));
        }
        let kind = match (&stored, &indexed) {
            (Some(left), Some(right)) if left == right => None,
            (Some(_), Some(_)) => Some(DifferenceKind::OtherVersion),
            (Some(_), None) => Some(DifferenceKind::Missing),
            _ => Some(DifferenceKind::Extra),
        };
        if let Some(one) = &stored {
            if kind.is_some() && is_quarantined(store, &one.did)? {
                self.quarantined += 1;
                return Ok(());
            }
            let (sum, _) = self.types.entry(one.record_type.clone()).or_default();
            sum.add(&one.version.unwrap_or(NO_VERSION));
        }
        if let (Some(difference), Some(one)) = (kind, stored.or(indexed)) {
            self.total += 1;
            if self.differences.len() < DIFFERENCES_MAX {
                let did = one.did;
                self.differences.push(Difference { did, difference });
            }
        }
        Ok(())
    }

    fn finish(self) -> IndexComparison {
        IndexComparison {
            agrees: self.total == 0,
            types: self
                .types
                .into_iter()
                .map(|(record_type, (stored, indexed))| TypeComparison {
                    record_type,
                    stored: stored.records,
                    indexed: indexed.records,
                    store_digest: stored.digest(),
                    index_digest: indexed.digest(),
                })
                .collect(),
            differences_total: self.total,
            differences: self.differences,
            quarantined: self.quarantined,
            kept_out: 0,
        }
    }
}

/// A document that somebody put in without one: no record has it.
const NO_VERSION: Version = Version {
    class: 0,
    indexed_at_ms: i64::MIN,
    revision: 0,
    digest: [0; 32],
};

fn is_quarantined(store: &Store, did: &str) -> Result<bool, ReadError> {
    match Did::parse(did) {
        Ok(did) => Ok(store.unindexed_row(did.soul())?.is_some()),
        Err(_) => Ok(false),
    }
}

struct StoreSide<'a> {
    store: &'a Store,
    scope: &'a Scope,
    page: std::vec::IntoIter<Holding>,
    last: Option<Soul>,
    ended: bool,
    takes_private: bool,
    kept_out: u64,
}

impl<'a> StoreSide<'a> {
    fn new(store: &'a Store, scope: &'a Scope, takes_private: bool) -> Self {
        Self {
            store,
            scope,
            takes_private,
            kept_out: 0,
            page: Vec::new().into_iter(),
            last: None,
            ended: false,
        }
    }

    fn peek(&mut self) -> Result<Option<&Holding>, ReadError> {
        while self.page.as_slice().is_empty() && !self.ended {
            let rows = self.store.records(self.last.as_ref(), PAGE_ROWS)?;
            match rows.last() {
                Some(row) => self.last = Some(row.soul.clone()),
                None => self.ended = true,
            }
            let mut page = Vec::with_capacity(rows.len());
            for row in rows {
                if !self.scope.holds(&row)? {
                    continue;
                }
                if !self.takes_private && self.scope.is_private(&row) {
                    self.kept_out += 1;
                } else {
                    page.push(Holding {
                        did: Did::from_soul(&row.soul).to_string(),
                        version: Some(version_of(&row)),
                        record_type: row.record_type,
                    });
                }
            }
            self.page = page.into_iter();
        }
        Ok(self.page.as_slice().first())
    }

    fn take(&mut self) -> Option<Holding> {
        self.page.next()
    }
}

struct IndexSide<'a> {
    index: &'a dyn Index,
    page: std::vec::IntoIter<Holding>,
    last: Option<String>,
    ended: bool,
}

impl<'a> IndexSide<'a> {
    fn new(index: &'a dyn Index) -> Self {
        Self {
            index,
            page: Vec::new().into_iter(),
            last: None,
            ended: false,
        }
    }

    fn peek(&mut self) -> Result<Option<&Holding>, ReadError> {
        if self.page.as_slice().is_empty() && !self.ended {
            let page = self.index.holdings(self.last.as_deref(), PAGE_ROWS)?;
            match page.last() {
                Some(one) => self.last = Some(one.did.clone()),
                None => self.ended = true,
            }
            self.page = page.into_iter();
        }
        Ok(self.page.as_slice().first())
    }

    fn take(&mut self) -> Option<Holding> {
        self.page.next()
    }
}
