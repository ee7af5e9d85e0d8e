//! Answers gets from the durable graph, in bounded parts.
//!
//! Owns the paging: a large node is never held whole. The first part is read at once, since most
//! nodes are small; each further part when it is asked for ([`Rest`]), off the reactor, as all ranges are
//! (`ranges`).

mod ranges;

use gun::graph::Entry;
use gun::mesh::Loaded;
use gun::wire::{Get, KeyQuery, Reject, SoulQuery};
use gun::{Graph, Key, Node, Soul};
use gun_net::Background;
use oip_store::{PageLimit, ReadError, Store};

/// One part of an answer: small enough for a few frames, large enough to spread the cost of a read.
const PART: PageLimit = PageLimit {
    keys_max: 256,
    bytes_max: 256 * 1024,
};

/// What is to be loaded.
#[derive(Debug)]
pub(crate) enum Load {
    /// What a get asks for, from its beginning.
    Get(Get),
    /// The next part of a large node.
    Rest(Rest),
}

impl Load {
    pub(crate) fn is_rest(&self) -> bool {
        matches!(self, Self::Rest(_))
    }
}

/// What remains of a large node.
#[derive(Debug)]
pub(crate) struct Rest {
    soul: Soul,
    behind: Key,
}

/// One part of an answer.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) part: Loaded,
    /// Names of ranges that were looked at for it.
    pub(crate) scanned: usize,
    /// How to go on, if that has to be asked for.
    pub(crate) rest: Option<Rest>,
}

impl From<Loaded> for Given {
    fn from(part: Loaded) -> Self {
        Self {
            part,
            scanned: 0,
            rest: None,
        }
    }
}

/// Reads at once what is small: a single value, or the first part of a node. `None` for a range.
pub(crate) fn at_once(store: &Store, get: &Get) -> Option<Given> {
    match (&get.souls, &get.keys) {
        (SoulQuery::One(soul), KeyQuery::One(key)) => Some(one(store, soul, key).into()),
        (SoulQuery::One(soul), KeyQuery::All) => Some(page(store, soul.clone(), None)),
        _ => None,
    }
}

/// Reads the next part of a large node, off the reactor.
pub(crate) fn rest(
    background: &Background,
    store: &Store,
    rest: Rest,
    give: impl Fn(Given) + Send + 'static,
) {
    let store = store.clone();
    background.start(move || give(page(&store, rest.soul, Some(&rest.behind))));
}

/// Reads a range, off the reactor; `give` takes the parts, the last one without `more`.
pub(crate) fn range(
    background: &Background,
    store: &Store,
    get: Get,
    give: impl Fn(Given) + Send + 'static,
) {
    let store = store.clone();
    background.start(move || ranges::load(&store, &get, &give));
}

fn one(store: &Store, soul: &Soul, key: &Key) -> Loaded {
    match store.value(soul, key) {
        Ok(Some((state, value))) => {
            let key = key.clone();
            part(soul.clone(), vec![Entry { key, state, value }], false)
        }
        Ok(None) => Loaded::Missing,
        Err(error) => failed(&error),
    }
}

/// The part of a node behind a key, or its first.
fn page(store: &Store, soul: Soul, behind: Option<&Key>) -> Given {
    let page = match store.keys_page(&soul, "", behind, PART) {
        Ok(page) => page,
        Err(error) => return failed(&error).into(),
    };
    let last = page.entries.last().filter(|_| page.more);
    let rest = last.map(|entry| Rest {
        soul: soul.clone(),
        behind: entry.key.clone(),
    });
    Given {
        rest,
        ..part(soul, page.entries, page.more).into()
    }
}

fn part(soul: Soul, entries: Vec<Entry>, more: bool) -> Loaded {
    if entries.is_empty() && !more {
        return Loaded::Missing;
    }
    let graph: Graph = vec![Node { soul, entries }];
    Loaded::Part { graph, more }
}

fn failed(error: &ReadError) -> Loaded {
    tracing::error!(%error, "failed to answer a get");
    Loaded::Failed(Reject::StoreFailed)
}
