//! `/get` and `/list`: what is held, as JSON text in parts, so that neither a large node nor many
//! records cost more memory than one part.
//!
//! Owns the paging. Each part is read when it is asked for. Between two parts values may change, and
//! the later ones are then shown; keys never go away, so that nothing is skipped. Refuses to end
//! early: who can't read on gets an error, never the part as the whole.

use std::net::IpAddr;
use std::sync::Arc;

use gun::wire::Reject;
use gun::{Key, Soul, Value};
use oip_store::{PageLimit, ReadError, Store};

use super::ask::Came;
use super::shown::{Following, is_shown, push_entry, push_name, small_node};
use super::{Relay, View};
use crate::admission::is_whole_record;
use crate::allowance::Cost;
use crate::registry::{Notice, Registry};

/// One part of an answer.
const PART: PageLimit = PageLimit {
    keys_max: 512,
    bytes_max: 256 * 1024,
};

/// Records in one answer of `/list`.
pub const LIST_MAX: usize = 1_000;

/// Records that `/list` passes over before the first that it shows; whoever wants all records
/// asks the index.
pub const LIST_OFFSET_MAX: usize = 100_000;

/// Souls of a publisher that one `/list` looks at: each record has up to a dozen nodes below it.
const LIST_SOULS_MAX: usize = 1_000_000;

/// Souls read at a time.
const SOULS_PAGE: usize = 1_024;

/// Which records `/list` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What their souls begin with, the colon left out.
    pub publisher_hash: String,
    /// Only those whose nested `oip` names this type.
    pub record_type: Option<String>,
    /// How many to pass over.
    pub offset: usize,
    /// How many to show.
    pub limit: usize,
}

/// Why a node can't be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The store failed.
    #[error("failed to read the store: {0}")]
    Read(#[from] ReadError),
    /// What is held may be a part.
    #[error("this node is coming in from another relay, and not whole yet: ask again in a moment")]
    Coming,
}

/// Why a list can't be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The store failed.
    #[error("failed to read the store: {0}")]
    Read(#[from] ReadError),
    /// The publisher has more than one answer may look at.
    #[error(
        "this publisher has over {LIST_SOULS_MAX} nodes, too many to look through: ask the index, GET /api/records on the API port"
    )]
    TooMany,
    /// The caller's address has looked at as much as one may in a while.
    #[error(
        "your address has had too many nodes looked through; wait a minute, or ask the index, GET /api/records on the API port"
    )]
    Quota,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// A JSON text that comes in parts: an object for a node, the items of an array for a list.
#[derive(Debug)]
pub struct Parts {
    relay: Relay,
    ready: Option<String>,
    rest: Rest,
}

/// A part of a text, and what comes behind it.
struct Part {
    text: String,
    rest: Rest,
    /// Whether something was left out on purpose.
    left_out: bool,
}

/// What is still to be read.
#[derive(Debug)]
enum Rest {
    /// The keys of a node.
    Keys(Keys),
    /// These records, the next one last.
    Records(Vec<Soul>),
    Nothing,
}

/// Which keys of a node come next.
#[derive(Debug)]
struct Keys {
    soul: Soul,
    view: View,
    /// Behind this one.
    after: Option<Key>,
    /// Whether it is the turn of the index entries whose record is not held. Deployed nodes that pull see nothing behind
    /// such an entry: they come last.
    of_nowhere: bool,
    /// Whether there are such.
    left_out: bool,
    /// Whether nothing was shown yet.
    is_first: bool,
}

impl Keys {
    fn of(soul: Soul, view: View) -> Self {
        Self {
            soul,
            view,
            after: None,
            of_nowhere: false,
            left_out: false,
            is_first: true,
        }
    }
}

impl Part {
    fn last(text: String) -> Self {
        Self {
            text,
            rest: Rest::Nothing,
            left_out: false,
        }
    }
}

impl Parts {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`]: the text stays incomplete, and whoever reads it has to be told.
    pub async fn next(&mut self) -> Result<Option<String>, ReadError> {
        if let Some(ready) = self.ready.take() {
            return Ok(Some(ready));
        }
        let rest = std::mem::replace(&mut self.rest, Rest::Nothing);
        let relay = self.relay.clone();
        let part = match rest {
            Rest::Nothing => return Ok(None),
            Rest::Keys(keys) => off_reactor(move || relay.keys(keys)).await?,
            Rest::Records(souls) => off_reactor(move || relay.records(souls, ",")).await?,
        };
        self.rest = part.rest;
        Ok(Some(part.text))
    }

    /// Whether [`Self::next`] gives the whole text at once.
    #[must_use]
    pub fn is_one(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }
}

impl Relay {
    /// A node as a JSON object: `None` if nothing but nulls is held of it, or, in the view of
    /// [`View::Pull`], if parts of a record are missing. What is not held is asked of dialled
    /// peers first.
    ///
    /// # Errors
    /// [`GetError`]: the store fails, or what others have of it is still coming in.
    pub async fn get(&self, soul: &Soul, view: View) -> Result<Option<Parts>, GetError> {
        if self.asked_for(soul).await == Some(Came::NotYet) && self.is_known(soul)? {
            return Err(GetError::Coming);
        }
        if let Some(found) = self.held(soul, view).await? {
            return Ok(Some(found));
        }
        if self.is_known(soul)? {
            return Ok(None);
        }
        match self.ask_for(soul).await {
            Came::Whole => Ok(self.held(soul, view).await?),
            Came::NotYet if self.is_known(soul)? => Err(GetError::Coming),
            Came::Nothing | Came::NotYet => Ok(None),
        }
    }

    /// The same without asking anybody.
    async fn held(&self, soul: &Soul, view: View) -> Result<Option<Parts>, ReadError> {
        let (relay, soul) = (self.clone(), soul.clone());
        let read = move || {
            if view == View::Pull
                && let Some(record) = relay.linked_record(&soul)?
            {
                return Ok(record.map(Part::last));
            }
            let part = relay.keys(Keys::of(soul, view))?;
            Ok((part.text.len() > "{}".len() || part.left_out).then_some(part))
        };
        let found = off_reactor(read).await?;
        Ok(found.map(|part| self.parts_from(part)))
    }

    fn parts_from(&self, first: Part) -> Parts {
        Parts {
            relay: self.clone(),
            ready: Some(first.text),
            rest: first.rest,
        }
    }

    /// Whether any value of the node is held, were it null.
    fn is_known(&self, soul: &Soul) -> Result<bool, ReadError> {
        Ok(!self.parts.store.keys(soul, None, 1)?.is_empty())
    }

    /// More keys as a part of the object. Parts without anything to show are passed over,
    /// so that a node whose values are all null is known for one before the answer begins.
    fn keys(&self, mut keys: Keys) -> Result<Part, ReadError> {
        let (store, registry) = (&self.parts.store, &self.parts.registry);
        let mut text = String::new();
        if keys.after.is_none() && !keys.of_nowhere {
            text.push('{');
        }
        let begins_with = text.len();
        loop {
            let page = store.keys_page(&keys.soul, "", keys.after.as_ref(), PART)?;
            let last = page.entries.last().map(|entry| entry.key.clone());
            keys.after = last.or(keys.after);
            for entry in page.entries.iter().filter(|entry| is_shown(entry)) {
                let of_nowhere = leads_nowhere(registry, store, &keys.soul, entry)?;
                keys.left_out |= of_nowhere;
                if of_nowhere != keys.of_nowhere {
                    continue;
                }
                if !std::mem::take(&mut keys.is_first) {
                    text.push(',');
                }
                push_entry(&mut text, entry);
            }
            if !page.more {
                if keys.view == View::Graph && keys.left_out && !keys.of_nowhere {
                    (keys.after, keys.of_nowhere) = (None, true);
                    continue;
                }
                text.push('}');
                return Ok(Part {
                    text,
                    rest: Rest::Nothing,
                    left_out: keys.left_out,
                });
            }
            if text.len() > begins_with {
                return Ok(Part {
                    text,
                    left_out: keys.left_out,
                    rest: Rest::Keys(keys),
                });
            }
        }
    }

    /// A record whose `data` or `oip` is a node of its own, as a packed one would be shown. The
    /// outer `None`: it is no such record; the inner: parts of it are not held.
    fn linked_record(&self, soul: &Soul) -> Result<Option<Option<String>>, ReadError> {
        if !is_whole_record(soul.as_str()) {
            return Ok(None);
        }
        let Some(node) = small_node(&self.parts.store, soul)? else {
            return Ok(None);
        };
        let is_nested = |name: &str| matches!(node.value(name), Some(Value::Link(_)));
        if !is_nested("data") && !is_nested("oip") {
            return Ok(None);
        }
        let mut following = Following::new(&self.parts.store);
        let mut text = String::from("{");
        for entry in node.entries.iter().filter(|entry| is_shown(entry)) {
            if text.len() > "{".len() {
                text.push(',');
            }
            match (entry.key.as_str(), &entry.value) {
                (name @ ("data" | "oip"), Value::Link(_)) => {
                    push_name(&mut text, name);
                    following.push(&mut text, &entry.value)?;
                }
                // `meta` stays a link: a deployed reader that sees `encrypted` there tries to
                // open the record, fails, and drops every record behind it.
                _ => push_entry(&mut text, entry),
            }
        }
        text.push('}');
        Ok(Some(following.whole.then_some(text)))
    }

    /// The records of a publisher, in the order of their souls.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn list(&self, listing: Listing, from: Option<IpAddr>) -> Result<Parts, ListError> {
        // One at a time: looking through a publisher's nodes takes seconds of a core, whoever asks. Those who wait may
        // have used up their allowance meanwhile.
        let _turn = self.listing.lock().await;
        if let Some(from) = from
            && !self.parts.hub.affords(from, &[Cost::Scanned]).await
        {
            self.parts.metrics.reject(Reject::Quota.name());
            return Err(ListError::Quota);
        }
        let relay = self.clone();
        let looking = move || relay.souls_of(&listing);
        let looked = self.parts.background.run(looking).await;
        let (scanned, souls) = looked.ok_or(ListError::Stopping)?;
        if let Some(from) = from {
            let scanned = scanned as u64;
            self.parts.hub.spend(from, Cost::Scanned, scanned).await;
        }
        let mut souls = souls?;
        souls.reverse();
        let relay = self.clone();
        let first = off_reactor(move || relay.records(souls, "")).await?;
        Ok(self.parts_from(first))
    }

    /// The souls that a listing names, behind how many were looked at for it.
    fn souls_of(&self, listing: &Listing) -> (usize, Result<Vec<Soul>, ListError>) {
        let mut seen = 0;
        let souls = self.look_through(listing, &mut seen);
        (seen, souls)
    }

    fn look_through(&self, listing: &Listing, seen: &mut usize) -> Result<Vec<Soul>, ListError> {
        let store = &self.parts.store;
        let prefix = format!("{}:", listing.publisher_hash);
        let (mut found, mut passed) = (Vec::new(), 0);
        let mut after = None;
        // Other names that stand before a colon are the registry's and the media's.
        if !is_whole_record(&format!("{prefix}x")) {
            return Ok(found);
        }
        loop {
            let page = store.souls(&prefix, after.as_ref(), SOULS_PAGE)?;
            *seen += page.len();
            let is_last = page.len() < SOULS_PAGE;
            after = page.last().cloned();
            for soul in page
                .into_iter()
                .filter(|soul| is_whole_record(soul.as_str()))
            {
                if !self.is_listed(&soul, listing.record_type.as_deref())? {
                    continue;
                }
                if passed < listing.offset {
                    passed += 1;
                } else if found.len() < listing.limit {
                    found.push(soul);
                }
                if found.len() >= listing.limit {
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
            if *seen >= LIST_SOULS_MAX {
                return Err(ListError::TooMany);
            }
        }
    }

    fn is_listed(&self, soul: &Soul, record_type: Option<&str>) -> Result<bool, ReadError> {
        if self.is_inside_another(soul)? {
            return Ok(false);
        }
        let Some(node) = small_node(&self.parts.store, soul)? else {
            return Ok(false);
        };
        let matches = match record_type {
            Some(wanted) => self.nested_type(&node)?.as_deref() == Some(wanted),
            None => true,
        };
        Ok(matches && node.entries.iter().any(is_shown))
    }

    /// Whether a node came of an object inside another one, which links to it. The slash alone does
    /// not tell: local ids may hold one.
    fn is_inside_another(&self, soul: &Soul) -> Result<bool, ReadError> {
        let Some((parent, key)) = soul.as_str().rsplit_once('/') else {
            return Ok(false);
        };
        let (Ok(parent), Ok(key)) = (Soul::new(parent), Key::new(key)) else {
            return Ok(false);
        };
        let held = self.parts.store.value(&parent, &key)?;
        Ok(held.is_some_and(|(_, value)| value == Value::Link(soul.clone())))
    }

    /// The type that a record's `oip` names, if that is a node of its own. The deployed relay
    /// knows no other: of packed records it says null.
    fn nested_type(&self, node: &gun::Node) -> Result<Option<Arc<str>>, ReadError> {
        let (Some(Value::Link(oip)), Ok(key)) = (node.value("oip"), Key::new("recordType")) else {
            return Ok(None);
        };
        Ok(match self.parts.store.value(oip, &key)? {
            Some((_, Value::Text(record_type))) => Some(record_type),
            _ => None,
        })
    }

    /// The next records as items of an array, as many as make a part; `before` stands before the
    /// first.
    fn records(&self, mut souls: Vec<Soul>, before: &str) -> Result<Part, ReadError> {
        let mut text = String::new();
        while let Some(soul) = souls.pop() {
            // A record is never taken away, so that it is there still.
            if let Some(node) = small_node(&self.parts.store, &soul)? {
                text.push_str(if text.is_empty() { before } else { "," });
                self.push_record(&mut text, &node)?;
            }
            if text.len() >= PART.bytes_max && !souls.is_empty() {
                let rest = Rest::Records(souls);
                let left_out = false;
                return Ok(Part {
                    text,
                    rest,
                    left_out,
                });
            }
        }
        Ok(Part::last(text))
    }

    /// Appends `{soul, data, recordType, storedAt}`, `data` as it was put: nested, texts as texts.
    fn push_record(&self, out: &mut String, node: &gun::Node) -> Result<(), ReadError> {
        out.push_str("{\"soul\":");
        gun::text::push_json_text(out, node.soul.as_str());
        out.push_str(",\"data\":{");
        let mut following = Following::new(&self.parts.store);
        let mut is_first = true;
        for entry in node.entries.iter().filter(|entry| is_shown(entry)) {
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            push_name(out, entry.key.as_str());
            following.push(out, &entry.value)?;
        }
        out.push_str("},\"recordType\":");
        match self.nested_type(node)? {
            Some(record_type) => gun::text::push_json_text(out, &record_type),
            None => out.push_str("null"),
        }
        let newest = node.entries.iter().map(|entry| entry.state.as_f64());
        out.push_str(",\"storedAt\":");
        gun::text::push_number(out, newest.fold(0.0, f64::max).floor());
        out.push('}');
        Ok(())
    }
}

/// Whether an entry of a type's index names a record that this node can't give. A deployed node
/// that pulls gives up on a whole type at the first record it does not get.
fn leads_nowhere(
    registry: &Registry,
    store: &Store,
    soul: &Soul,
    entry: &gun::graph::Entry,
) -> Result<bool, ReadError> {
    if is_whole_record(soul.as_str()) {
        return Ok(false);
    }
    match registry.notice(soul.as_str(), entry.key.as_str(), &entry.value) {
        // A field of a target names its record too; there the key is another.
        Some(Notice::Record { soul: record, .. }) if record.as_str() == entry.key.as_str() => {
            let Ok(oip) = Key::new("oip") else {
                return Ok(false);
            };
            let value = store.value(&record, &oip)?;
            Ok(value.is_none_or(|(_, value)| value == Value::Null))
        }
        _ => Ok(false),
    }
}

async fn off_reactor<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    // The task is lost only while the process ends, and the store with it.
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or(Err(ReadError::Closed))
}
