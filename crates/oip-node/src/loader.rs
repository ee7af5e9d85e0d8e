//! Answers gets from the durable graph, in bounded parts.
//!
//! Owns the paging: a large node is never held whole. The first part is read at once, since most
//! nodes are small; what remains, and all ranges, are read off the reactor (`ranges`).

mod ranges;

use gun::graph::Entry;
use gun::mesh::Loaded;
use gun::wire::{Get, KeyQuery, Reject, SoulQuery};
use gun::{Graph, Key, Node, Soul};
use oip_store::{PageLimit, ReadError, Store};

/// One part of an answer: small enough for a few frames, large enough to spread the cost of a read.
const PART: PageLimit = PageLimit {
    keys_max: 256,
    bytes_max: 256 * 1024,
};

/// Whether a get is for a range, which costs by what is looked at and not by what is asked for.
pub(crate) fn scans(get: &Get) -> bool {
    matches!(get.souls, SoulQuery::Lex(_)) || matches!(get.keys, KeyQuery::Lex(_))
}

/// Loads what `get` asks for; `give` takes the parts, the last one without `more`, and how many names
/// of ranges were looked at for each.
pub(crate) fn load(store: &Store, get: Get, give: impl Fn(Loaded, usize) + Send + 'static) {
    match (&get.souls, &get.keys) {
        (SoulQuery::One(soul), KeyQuery::One(key)) => give(one(store, soul, key), 0),
        (SoulQuery::One(soul), KeyQuery::All) => whole(store, soul.clone(), give),
        _ => {
            let store = store.clone();
            drop(tokio::task::spawn_blocking(move || {
                ranges::load(&store, &get, &give);
            }));
        }
    }
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

fn whole(store: &Store, soul: Soul, give: impl Fn(Loaded, usize) + Send + 'static) {
    let first = match store.keys_page(&soul, "", None, PART) {
        Ok(first) => first,
        Err(error) => return give(failed(&error), 0),
    };
    let more = first.more;
    let mut last = first.entries.last().map(|entry| entry.key.clone());
    give(part(soul.clone(), first.entries, more), 0);
    if !more {
        return;
    }
    let store = store.clone();
    drop(tokio::task::spawn_blocking(move || {
        loop {
            match store.keys_page(&soul, "", last.as_ref(), PART) {
                Ok(page) => {
                    last = page.entries.last().map(|entry| entry.key.clone());
                    give(part(soul.clone(), page.entries, page.more), 0);
                    if !page.more {
                        return;
                    }
                }
                Err(error) => return give(failed(&error), 0),
            }
        }
    }));
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
