//! Reads. Each call sees the store as one commit left it.
//!
//! Every read is bounded: by a limit the caller gives, or by a constant here. Refuses to hand
//! out a large node whole.

use std::ops::Bound;
use std::sync::Arc;

use fjall::Snapshot;
use gun::graph::Entry;
use gun::{Key, Node, Soul, State, Value};

use crate::apply;
use crate::error::ReadError;
use crate::folder::Folder;
use crate::model::{KeysPage, PageLimit, QuarantineRow, RecordRow, Usage, WantedRow};
use crate::rows::graph::NodeRow;
use crate::rows::quarantine::Kind;
use crate::rows::{Fault, account, deferred, graph, name, quarantine, record, wanted};
use crate::store::Store;
use crate::tables::{Bytes, Table};

/// Largest node that [`Store::node`] hands out: beyond it a reader must page, so that no
/// request costs memory in proportion to a registry index.
const NODE_LIMIT: PageLimit = PageLimit {
    keys_max: 20_000,
    bytes_max: 16 * 1_024 * 1_024,
};

/// Where a page of names begins.
#[derive(Debug)]
pub enum Start<'a, N> {
    /// At the first name.
    First,
    /// At this text, if it is a name, or at the first name behind it.
    From(&'a str),
    /// At the first name behind this one.
    After(&'a N),
}

impl<N> Clone for Start<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Start<'_, N> {}

impl<'a, N> From<Option<&'a N>> for Start<'a, N> {
    /// Behind the last name of the page before, if there was one.
    fn from(after: Option<&'a N>) -> Self {
        after.map_or(Self::First, Self::After)
    }
}

/// The tables as one commit left them.
struct View {
    folder: Arc<Folder>,
    snapshot: Snapshot,
}

impl View {
    fn get<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, ReadError> {
        self.folder
            .tables
            .get(&self.snapshot, table, key)
            .map_err(ReadError::Engine)?
            .map(|row| decode(&row).map_err(|fault| ReadError::damaged(table, key, fault)))
            .transpose()
    }

    /// Decoded rows between two bounds.
    fn range<T>(
        &self,
        table: Table,
        bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        decode: impl Fn(&[u8], &[u8]) -> Result<T, Fault>,
    ) -> impl Iterator<Item = Result<T, ReadError>> {
        self.folder
            .tables
            .range(&self.snapshot, table, bounds)
            .map(move |row| {
                let (key, value): (Bytes, Bytes) = row.map_err(ReadError::Engine)?;
                decode(&key, &value).map_err(|fault| ReadError::damaged(table, &key, fault))
            })
    }

    /// Rows of a due list up to a time, with what stands in the row of each soul.
    fn due<T>(
        &self,
        table: Table,
        (from_ms, now_ms): (u64, u64),
        limit: usize,
        decode: impl Fn(Soul, &[u8]) -> Result<T, Fault>,
    ) -> Result<Vec<T>, ReadError> {
        let bounds = (
            Bound::Included(wanted::due_from(from_ms)),
            match now_ms.checked_add(1) {
                Some(end) => Bound::Excluded(wanted::due_from(end)),
                None => Bound::Excluded(vec![wanted::BY_DUE + 1]),
            },
        );
        self.range(table, bounds, |key, _| wanted::parse_due(key))
            .take(limit)
            .map(|due| {
                let (_, soul) = due?;
                let key = wanted::soul_row(&soul);
                self.get(table, &key, |row| decode(soul, row))?
                    .ok_or_else(|| ReadError::damaged(table, &key, Fault("it is missing")))
            })
            .collect()
    }

    fn keys_page(
        &self,
        soul: &Soul,
        prefix: &str,
        start: Start<'_, Key>,
        limit: PageLimit,
    ) -> Result<KeysPage, ReadError> {
        let node = name::node_row(soul);
        match self.get(Table::Graph, &node, graph::decode_node)? {
            None => Ok(KeysPage::default()),
            Some(NodeRow::Small(entries)) => {
                let wanted = entries.into_iter().filter(|entry| {
                    let key = entry.key.as_str();
                    key.starts_with(prefix)
                        && match start {
                            Start::First => true,
                            Start::From(from) => key >= from,
                            Start::After(after) => entry.key > *after,
                        }
                });
                take_page(wanted.map(Ok), limit)
            }
            Some(NodeRow::Split) => {
                let from = |text: &str| [&node[..], text.as_bytes()].concat();
                let start = match start {
                    Start::After(after) if after.as_str() >= prefix => {
                        Bound::Excluded(name::key_row(soul, after))
                    }
                    Start::From(first) if first >= prefix && !first.is_empty() => {
                        Bound::Included(from(first))
                    }
                    // The node's own row stands first and is no key.
                    _ if prefix.is_empty() => Bound::Excluded(from(prefix)),
                    _ => Bound::Included(from(prefix)),
                };
                let end = Bound::Excluded(name::behind_soul(soul));
                let rows = self.range(Table::Graph, (start, end), |row, value| {
                    let (state, value) = graph::decode_value(value)?;
                    match name::parse(row)? {
                        (_, Some(key)) => Ok(Entry { key, state, value }),
                        (_, None) => Err(Fault("its key names no value")),
                    }
                });
                let rows = rows.take_while(|row| {
                    row.as_ref()
                        .map_or(true, |entry| entry.key.as_str().starts_with(prefix))
                });
                take_page(rows, limit)
            }
        }
    }
}

/// Takes entries until the page is full; one more tells whether it is the last.
fn take_page(
    entries: impl Iterator<Item = Result<Entry, ReadError>>,
    limit: PageLimit,
) -> Result<KeysPage, ReadError> {
    let mut page = KeysPage::default();
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        let full = page.entries.len() >= limit.keys_max
            || (bytes >= limit.bytes_max && !page.entries.is_empty());
        if full {
            page.more = true;
            break;
        }
        bytes += entry_bytes(&entry);
        page.entries.push(entry);
    }
    Ok(page)
}

fn entry_bytes(entry: &Entry) -> usize {
    let value = match &entry.value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 8,
        Value::Text(text) => text.len(),
        Value::Link(soul) => soul.as_str().len(),
    };
    entry.key.as_str().len() + value
}

/// Everything behind a key of a table whose keys have one part.
fn behind(start: Vec<u8>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    (Bound::Excluded(start), Bound::Unbounded)
}

impl Store {
    fn view(&self) -> Result<View, ReadError> {
        let folder = self.folder()?;
        let snapshot = folder.tables.snapshot();
        Ok(View { folder, snapshot })
    }

    /// The state and value of one key.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn value(&self, soul: &Soul, key: &Key) -> Result<Option<(State, Value)>, ReadError> {
        let view = self.view()?;
        match view.get(Table::Graph, &name::node_row(soul), graph::decode_node)? {
            None => Ok(None),
            Some(NodeRow::Small(entries)) => Ok(entries
                .into_iter()
                .find(|entry| entry.key == *key)
                .map(|entry| (entry.state, entry.value))),
            Some(NodeRow::Split) => {
                view.get(Table::Graph, &name::key_row(soul, key), graph::decode_value)
            }
        }
    }

    /// A node whole, its entries in byte order of the keys.
    ///
    /// # Errors
    /// [`ReadError::NodeTooLarge`] for more than 20,000 keys or 16 MiB: use [`Self::keys_page`].
    pub fn node(&self, soul: &Soul) -> Result<Option<Node>, ReadError> {
        let page = self.view()?.keys_page(soul, "", Start::First, NODE_LIMIT)?;
        if page.more {
            return Err(ReadError::NodeTooLarge(soul.clone()));
        }
        // A node never loses its last key, so one without any is not there.
        Ok((!page.entries.is_empty()).then(|| Node {
            soul: soul.clone(),
            entries: page.entries,
        }))
    }

    /// Up to `limit` keys of a node in byte order, those behind `after`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn keys(
        &self,
        soul: &Soul,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let limit = PageLimit {
            keys_max: limit,
            bytes_max: usize::MAX,
        };
        let page = self.view()?.keys_page(soul, "", after.into(), limit)?;
        Ok(page.entries)
    }

    /// A page of the keys that start with `prefix`, in byte order, from `start` on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn keys_page<'a>(
        &self,
        soul: &Soul,
        prefix: &str,
        start: impl Into<Start<'a, Key>>,
        limit: PageLimit,
    ) -> Result<KeysPage, ReadError> {
        self.view()?.keys_page(soul, prefix, start.into(), limit)
    }

    /// Up to `limit` souls that start with `prefix`, in byte order, from `start` on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn souls<'a>(
        &self,
        prefix: &str,
        start: impl Into<Start<'a, Soul>>,
        limit: usize,
    ) -> Result<Vec<Soul>, ReadError> {
        let view = self.view()?;
        let prefix_row = name::souls_from(prefix);
        let mut start = match start.into() {
            Start::After(after) if after.as_str() >= prefix => name::behind_soul(after),
            Start::From(first) if first >= prefix => name::souls_from(first),
            _ => prefix_row.clone(),
        };
        let mut souls = Vec::new();
        while souls.len() < limit {
            // Rows of small nodes follow each other; behind a split node its keys' rows,
            // perhaps a million, are skipped by a new search.
            let mut skip = None;
            let rows = view.range(
                Table::Graph,
                (Bound::Included(start.clone()), Bound::Unbounded),
                |row, _| {
                    let (soul, key) = name::parse_soul(row)?;
                    Ok((row.starts_with(&prefix_row), soul, key.is_empty()))
                },
            );
            for row in rows {
                let (in_prefix, soul, is_node) = row?;
                if !in_prefix || souls.len() >= limit {
                    break;
                }
                if !is_node {
                    skip = Some(name::behind_soul(&soul));
                    break;
                }
                souls.push(soul);
            }
            match skip {
                Some(next) => start = next,
                None => break,
            }
        }
        Ok(souls)
    }

    /// The verified copy of a record.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn record(&self, soul: &Soul) -> Result<Option<RecordRow>, ReadError> {
        self.view()?
            .get(Table::Records, soul.as_str().as_bytes(), |row| {
                record::decode(soul.clone(), row)
            })
    }

    /// Up to `limit` records behind a number of the feed, in the order they were stored. Each
    /// record occurs once, at its newest number, so numbers have gaps.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn feed(&self, after_seq: u64, limit: usize) -> Result<Vec<(u64, Soul)>, ReadError> {
        self.view()?
            .range(
                Table::Feed,
                behind(after_seq.to_be_bytes().to_vec()),
                |key, value| Ok((record::decode_feed_key(key)?, record::decode_soul(value)?)),
            )
            .take(limit)
            .collect()
    }

    /// Up to `limit` wanted souls that are due, the longest due first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn wanted_due(&self, now_ms: u64, limit: usize) -> Result<Vec<WantedRow>, ReadError> {
        // Before the snapshot: what is added in between keeps the floor from being raised.
        let floor = self.shared().wanted_floor();
        let due = (floor.due_ms, now_ms);
        let rows = self
            .view()?
            .due(Table::Wanted, due, limit, wanted::decode)?;
        let first_ms = rows.first().map(|row| row.due_ms);
        let none_before_ms = match first_ms {
            Some(first_ms) => first_ms,
            // A limit of 0 finds nothing and so says nothing.
            None if limit == 0 => 0,
            None => now_ms.saturating_add(1),
        };
        self.shared().raise_wanted_floor(floor, none_before_ms);
        Ok(rows)
    }

    /// Whether a soul is wanted.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn is_wanted(&self, soul: &Soul) -> Result<bool, ReadError> {
        Ok(self.wanted(soul)?.is_some())
    }

    /// The row of a wanted soul.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn wanted(&self, soul: &Soul) -> Result<Option<WantedRow>, ReadError> {
        self.view()?
            .get(Table::Wanted, &wanted::soul_row(soul), |row| {
                wanted::decode(soul.clone(), row)
            })
    }

    /// Up to `limit` quarantined records in byte order of their souls, those behind `after`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn quarantine(
        &self,
        after: Option<&Soul>,
        limit: usize,
    ) -> Result<Vec<QuarantineRow>, ReadError> {
        let start = after.map_or_else(|| vec![wanted::BY_SOUL], wanted::soul_row);
        self.view()?
            .range(Table::Quarantine, behind(start), |key, value| {
                quarantine::decode(wanted::parse_soul(key)?, value)
            })
            .take(limit)
            .collect()
    }

    /// The row of a quarantined record.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn quarantined(&self, soul: &Soul) -> Result<Option<QuarantineRow>, ReadError> {
        self.view()?
            .get(Table::Quarantine, &wanted::soul_row(soul), |row| {
                quarantine::decode(soul.clone(), row)
            })
    }

    /// Up to `limit` quarantined records that are to be tried again by now, the longest due first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn quarantine_due(
        &self,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<QuarantineRow>, ReadError> {
        self.view()?
            .due(Table::Quarantine, (0, now_ms), limit, quarantine::decode)
    }

    /// Up to `limit` records that the index refuses, in byte order of their souls, those behind `after`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unindexed(
        &self,
        after: Option<&Soul>,
        limit: usize,
    ) -> Result<Vec<QuarantineRow>, ReadError> {
        let start = after.map_or_else(
            || vec![quarantine::UNINDEXED],
            |soul| quarantine::row_key(Kind::Unindexed, soul),
        );
        let bounds = (
            Bound::Excluded(start),
            Bound::Excluded(vec![quarantine::UNINDEXED + 1]),
        );
        self.view()?
            .range(Table::Quarantine, bounds, |key, value| {
                quarantine::decode(quarantine::parse_unindexed(key)?, value)
            })
            .take(limit)
            .collect()
    }

    /// The row of a record that the index refuses.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unindexed_row(&self, soul: &Soul) -> Result<Option<QuarantineRow>, ReadError> {
        let key = quarantine::row_key(Kind::Unindexed, soul);
        self.view()?.get(Table::Quarantine, &key, |row| {
            quarantine::decode(soul.clone(), row)
        })
    }

    /// Up to `limit` verified records in byte order of their souls, those behind `after`; tombstones too.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn records(&self, after: Option<&Soul>, limit: usize) -> Result<Vec<RecordRow>, ReadError> {
        let start = after.map_or_else(Vec::new, |soul| soul.as_str().as_bytes().to_vec());
        self.view()?
            .range(Table::Records, behind(start), |key, value| {
                record::decode(record::decode_soul(key)?, value)
            })
            .take(limit)
            .collect()
    }

    /// A named value.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn cursor(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.view()?.get(
            Table::Meta,
            &apply::cursor_row(name),
            |row| Ok(row.to_vec()),
        )
    }

    /// Up to `limit` named values whose names start with `prefix`, in byte order of the names, behind `after`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn cursors(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        let start = match after {
            Some(after) => Bound::Excluded(apply::cursor_row(after)),
            None => Bound::Included(apply::cursor_row(prefix)),
        };
        let in_prefix = apply::cursor_row(prefix);
        self.view()?
            .range(Table::Meta, (start, Bound::Unbounded), |row, value| {
                let name = row.strip_prefix(&in_prefix[..1]).unwrap_or_default();
                let name = String::from_utf8_lossy(name).into_owned();
                Ok((row.starts_with(&in_prefix), name, value.to_vec()))
            })
            .take_while(|row| row.as_ref().map_or(true, |(fits, ..)| *fits))
            .take(limit)
            .map(|row| row.map(|(_, name, value)| (name, value)))
            .collect()
    }

    /// What an account of the graph takes up.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn usage(&self, account: &str) -> Result<Usage, ReadError> {
        let usage = self
            .view()?
            .get(Table::Meta, &account::row(account), account::decode)?;
        Ok(usage.unwrap_or_default())
    }

    /// When the next deferred value falls due, ms since 1970; it is then decided by
    /// [`crate::Op::ReleaseDeferred`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next_deferred(&self) -> Result<Option<u64>, ReadError> {
        self.view()?
            .range(
                Table::Deferred,
                (Bound::Unbounded, Bound::Unbounded),
                |row, _| deferred::parse(row),
            )
            .next()
            .transpose()
            // A state between two milliseconds is due at the second. The cast saturates.
            .map(|first| first.map(|(state, _, _)| state.as_f64().ceil() as u64))
    }
}
