//! Answers gets from the durable graph, in bounded parts.
//!
//! Owns the paging: a large node is never held whole. The first part is read at once, since most
//! nodes are small; what remains is read off the reactor.

use gun::graph::Entry;
use gun::mesh::Loaded;
use gun::wire::{Budget, Get, KeyQuery, Order, Reject, SoulQuery};
use gun::{Graph, Key, Node, Soul};
use oip_store::{PageLimit, ReadError, Store};

/// One part of an answer: small enough for a few frames, large enough to spread the cost of a read.
const PART: PageLimit = PageLimit {
    keys_max: 256,
    bytes_max: 256 * 1024,
};

/// Keys looked at for one range before the answer ends: a range that matches nothing in a large
/// node must not read it all for every asker.
const RANGE_KEYS_MAX: usize = 100_000;

/// Loads what `get` asks for; `give` takes the parts, the last one without `more`.
pub(crate) fn load(store: &Store, get: Get, give: impl Fn(Loaded) + Send + 'static) {
    let (order, budget) = (get.order, get.budget());
    let SoulQuery::One(soul) = get.souls else {
        return give(Loaded::Failed(Reject::SoulRange));
    };
    match get.keys {
        KeyQuery::One(key) => give(one(store, soul, key)),
        KeyQuery::All => whole(store, soul, give),
        KeyQuery::Lex(ref lex) => {
            let (store, lex) = (store.clone(), lex.clone());
            drop(tokio::task::spawn_blocking(move || {
                let found = matching(
                    &store,
                    &soul,
                    |key| lex.matches(key.as_str()),
                    lex.prefix.as_deref().unwrap_or(""),
                );
                give(found.map_or_else(
                    |error| failed(&error),
                    |entries| part(soul, within(entries, order, budget), false),
                ));
            }));
        }
    }
}

fn one(store: &Store, soul: Soul, key: Key) -> Loaded {
    match store.value(&soul, &key) {
        Ok(Some((state, value))) => part(soul, vec![Entry { key, state, value }], false),
        Ok(None) => Loaded::Missing,
        Err(error) => failed(&error),
    }
}

fn whole(store: &Store, soul: Soul, give: impl Fn(Loaded) + Send + 'static) {
    let first = match store.keys_page(&soul, "", None, PART) {
        Ok(first) => first,
        Err(error) => return give(failed(&error)),
    };
    let more = first.more;
    let mut last = first.entries.last().map(|entry| entry.key.clone());
    give(part(soul.clone(), first.entries, more));
    if !more {
        return;
    }
    let store = store.clone();
    drop(tokio::task::spawn_blocking(move || {
        loop {
            match store.keys_page(&soul, "", last.as_ref(), PART) {
                Ok(page) => {
                    last = page.entries.last().map(|entry| entry.key.clone());
                    give(part(soul.clone(), page.entries, page.more));
                    if !page.more {
                        return;
                    }
                }
                Err(error) => return give(failed(&error)),
            }
        }
    }));
}

fn matching(
    store: &Store,
    soul: &Soul,
    matches: impl Fn(&Key) -> bool,
    prefix: &str,
) -> Result<Vec<Entry>, ReadError> {
    let (mut found, mut after, mut seen) = (Vec::new(), None, 0);
    loop {
        let page = store.keys_page(soul, prefix, after.as_ref(), PART)?;
        seen += page.entries.len();
        after = page.entries.last().map(|entry| entry.key.clone());
        found.extend(page.entries.into_iter().filter(|entry| matches(&entry.key)));
        if !page.more || seen >= RANGE_KEYS_MAX {
            return Ok(found);
        }
    }
}

/// Cuts a range to its budget as gun.js does: the value that crosses it is included.
fn within(mut entries: Vec<Entry>, order: Order, budget: Budget) -> Vec<Entry> {
    if order == Order::Descending {
        entries.reverse();
    }
    if let Budget::Bytes(max) = budget {
        let mut sum = 0;
        let count = entries
            .iter()
            .take_while(|entry| {
                let fits = sum < max;
                sum += match entry.value.as_text() {
                    Some(text) if !text.is_empty() => text.encode_utf16().count() as u64,
                    _ => 9,
                };
                fits
            })
            .count();
        entries.truncate(count);
    }
    entries
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
