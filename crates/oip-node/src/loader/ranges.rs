//! Ranges of keys and of souls (LEX), within the budget that the get names.
//!
//! Owns the bounds on what one range may cost. Reads in the store's order, that of code points; where
//! it differs from JavaScript's (names with characters beyond U+D7FF), the names that belong to a
//! range are the same, and a budget may end at another of them.

use gun::Soul;
use gun::mesh::Loaded;
use gun::wire::{Full, Get, KeyQuery, Lex, Reject, Selection, SoulQuery};
use oip_store::{ReadError, Start, Store};

use super::{Given, PART, failed};

/// Souls of one range: an answer of a few megabytes. More are asked for by a narrower range, or
/// from the last one on.
const SOULS_MAX: usize = 10_000;

/// Souls read at a time.
const SOULS_PAGE: usize = 256;

/// How reading a range ended early.
enum End {
    /// The budget is used up.
    Full,
    /// More than one answer may hold.
    TooWide,
    Failed(ReadError),
}

impl From<Full> for End {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

/// Loads a range; `give` takes the parts.
pub(super) fn load(store: &Store, get: &Get, give: &impl Fn(Given)) {
    let mut sink = Sink::new(get, give);
    let read = match (&get.souls, &get.keys) {
        (SoulQuery::One(soul), KeyQuery::Lex(lex)) => keys(store, soul, lex, &mut sink),
        (SoulQuery::One(soul), _) => keys(store, soul, &Lex::default(), &mut sink),
        (SoulQuery::Lex(lex), _) => souls(store, lex, &mut sink),
    };
    sink.end(read);
}

fn keys(
    store: &Store,
    soul: &Soul,
    lex: &Lex,
    sink: &mut Sink<'_, impl Fn(Given)>,
) -> Result<(), End> {
    let range = Range::of(lex);
    let mut last = None;
    loop {
        let start = last.as_ref().map_or(range.start(), Start::After);
        let page = store.keys_page(soul, range.prefix, start, PART)?;
        sink.scanned += page.entries.len();
        last = page.entries.last().map(|entry| entry.key.clone());
        for entry in page.entries {
            if range.is_behind(entry.key.as_str()) {
                return Ok(());
            }
            if lex.matches(entry.key.as_str()) {
                sink.selection.take(soul, entry)?;
            }
        }
        sink.flush();
        if !page.more {
            return Ok(());
        }
    }
}

fn souls(store: &Store, lex: &Lex, sink: &mut Sink<'_, impl Fn(Given)>) -> Result<(), End> {
    let range = Range::of(lex);
    let mut last = None;
    let mut count = 0;
    loop {
        let start = last.as_ref().map_or(range.start(), Start::After);
        let page = store.souls(range.prefix, start, SOULS_PAGE)?;
        sink.scanned += page.len();
        for soul in &page {
            if range.is_behind(soul.as_str()) {
                return Ok(());
            }
            if lex.matches_soul(soul.as_str()) {
                count += 1;
                if count > SOULS_MAX {
                    return Err(End::TooWide);
                }
                keys(store, soul, &Lex::default(), sink)?;
            }
        }
        last = page.into_iter().next_back();
        if last.is_none() {
            return Ok(());
        }
    }
}

/// Where a range lies in the store's order.
struct Range<'l> {
    prefix: &'l str,
    from: Option<String>,
    to: Option<String>,
}

impl<'l> Range<'l> {
    fn of(lex: &'l Lex) -> Self {
        let prefix = lex.prefix.as_deref().unwrap_or("");
        // Below U+D800 both orders agree, so that reading can begin and end at the bound itself.
        let bound = |text: Option<&str>| {
            text.filter(|text| text.chars().all(|c| c <= '\u{D7FF}'))
                .map(|text| format!("{prefix}{text}"))
        };
        Self {
            prefix,
            from: bound(lex.from.as_deref()),
            to: bound(lex.to.as_deref()),
        }
    }

    fn start<N>(&self) -> Start<'_, N> {
        self.from.as_deref().map_or(Start::First, Start::From)
    }

    fn is_behind(&self, name: &str) -> bool {
        self.to.as_deref().is_some_and(|to| name > to)
    }
}

/// Gives out what is selected in parts.
struct Sink<'g, G: Fn(Given)> {
    give: &'g G,
    selection: Selection,
    given: bool,
    scanned: usize,
}

impl<'g, G: Fn(Given)> Sink<'g, G> {
    fn new(get: &Get, give: &'g G) -> Self {
        Self {
            give,
            selection: Selection::new(get),
            given: false,
            scanned: 0,
        }
    }

    /// Gives out what was taken, if it is worth a part.
    fn flush(&mut self) {
        if self.selection.ready() >= PART.keys_max {
            let graph = self.selection.drain();
            self.given = true;
            let scanned = std::mem::take(&mut self.scanned);
            (self.give)(Given {
                scanned,
                ..Loaded::Part { graph, more: true }.into()
            });
        }
    }

    fn end(self, read: Result<(), End>) {
        let give = |part: Loaded| {
            (self.give)(Given {
                scanned: self.scanned,
                ..part.into()
            });
        };
        let graph = self.selection.finish();
        match read {
            Err(End::TooWide) => give(Loaded::Failed(Reject::RangeTooWide)),
            Err(End::Failed(error)) => give(failed(&error)),
            Ok(()) | Err(End::Full) if graph.is_empty() && !self.given => give(Loaded::Missing),
            Ok(()) | Err(End::Full) => give(Loaded::Part { graph, more: false }),
        }
    }
}
