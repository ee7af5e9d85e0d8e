//! What is looked at again on a peer that is pulled from: its deletion registry, and what the links of its
//! indexes lead to. A few a round, in turn: a peer that changed nothing costs next to nothing.

use std::ops::Bound;

use gun::Soul;
use gun_net::{PullError, Pulled};
use serde_json::{Map, Value};

use super::{Effort, Linked, MARKED_MAX, OPEN_MAX, Open, Puller};
use crate::clock;
use crate::deletions;
use crate::sync::marks::is_made_here;

/// Of the marks that are remembered, how many a round looks at in the store.
const MARKS_LOOKED_AT: usize = 512;

/// Things known that a round reads again at most, so that it stays small beside the indexes.
const AGAIN_MAX: usize = 8;

impl Puller {
    /// Reads the peer's deletion registry, if it has changed.
    pub(super) async fn read_marks(&self, effort: Effort) -> Result<(), PullError> {
        let index = deletions::index();
        let flags = match self.read_index(&index, effort).await? {
            Some(flags) => flags,
            // What held one flag alone is not there any more when it is cleared; deployed relays leave nulls
            // out. A cold relay says the same of what it has not read, so that each entry decides.
            None if self.is_missing(&index) => Map::new(),
            None => return Ok(()),
        };
        for soul in self.marks.hidden_by(&self.label()) {
            let flag = deletions::flag(&soul);
            match flag.and_then(|flag| flags.get(flag.as_str())) {
                Some(Value::Bool(true)) => {}
                // Said outright: deployed nodes mean to clear a mark so.
                Some(Value::Bool(false) | Value::Null) => {
                    self.marks.clear(&soul, &self.label()).await;
                }
                _ => {
                    if let Some(entry) = deletions::entry(&soul)
                        && self.read_node(&entry).await?.is_none()
                    {
                        self.marks.clear(&soul, &self.label()).await;
                    }
                }
            }
        }
        let (known, new): (Vec<Soul>, Vec<Soul>) = flags
            .iter()
            .filter(|(_, flag)| **flag == Value::Bool(true))
            .filter_map(|(did, _)| deletions::soul_of(did))
            .partition(|soul| self.marks.noted(soul, &self.label()).is_some());
        {
            let mut memory = self.lock();
            let marked = known.into_iter().chain(new.iter().cloned());
            let room = MARKED_MAX.saturating_sub(memory.marked.len());
            let marked: Vec<Soul> = marked.take(room).collect();
            memory.marked.extend(marked);
        }
        for soul in new {
            let entry = match deletions::entry(&soul) {
                Some(entry) => self.read_node(&entry).await?,
                None => None,
            };
            let at_ms = entry.and_then(|entry| entry["deletedAt"].as_u64());
            self.marks
                .set(&soul, &self.label(), at_ms.unwrap_or_else(clock::wall_ms))
                .await;
        }
        Ok(())
    }

    /// Reads when records were deleted that were published again since: deleted once more, their flag says
    /// what it said before. A few a round, in turn.
    pub(super) async fn read_marks_again(&self) -> Result<(), PullError> {
        for soul in self.outlived() {
            let Some(entry) = deletions::entry(&soul) else {
                continue;
            };
            let entry = self.read_node(&entry).await?;
            if let Some(at_ms) = entry.and_then(|entry| entry["deletedAt"].as_u64()) {
                self.marks.set(&soul, &self.label(), at_ms).await;
            }
        }
        Ok(())
    }

    /// Reads what some links of the indexes lead to. A record that is published again changes its entry there
    /// and not the index, which shows nothing of an edit. A few a round, those that a mark of the peer hides
    /// first and the others in turn; a record is read again only if it was registered later.
    pub(super) async fn read_targets_again(&self) -> Result<(), PullError> {
        for (soul, linked) in self.next_targets() {
            let Pulled::Node { node: entry, .. } =
                self.peer.get(linked.target.as_str(), None).await?
            else {
                continue;
            };
            let of = entry.get("soul").and_then(Value::as_str);
            let registered_ms = entry.get("timestamp").and_then(Value::as_f64);
            let registered_ms = registered_ms.unwrap_or(0.0);
            if of != Some(soul.as_str())
                || registered_ms <= linked.seen_ms
                || !self.is_registered_since(&soul, registered_ms)
            {
                continue;
            }
            let mut memory = self.lock();
            if memory.open.len() >= OPEN_MAX {
                continue;
            }
            if let Some(linked) = memory.linked.get_mut(&soul) {
                linked.seen_ms = registered_ms;
            }
            let id = memory.hash(&soul);
            let open = Open {
                record_type: linked.record_type,
                // The index shows what it showed.
                print: memory.done.get(&id).copied().unwrap_or_default(),
                node_id: entry
                    .get("nodeId")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                attempts: 0,
                due_ms: 0,
            };
            memory.open.entry(soul).or_insert(open);
        }
        Ok(())
    }

    /// Whether a record that is held was registered after the held version was made, and after this node
    /// first read it: deployed nodes register a little later than they publish.
    fn is_registered_since(&self, soul: &Soul, registered_ms: f64) -> bool {
        let held = self.intake.judge.store.record(soul).ok().flatten();
        held.is_some_and(|held| {
            let known_ms = held
                .at_ms
                .max(i64::try_from(held.first_seen_ms).unwrap_or(0));
            !held.deleted && !is_made_here(&held) && registered_ms > known_ms as f64
        })
    }

    fn next_targets(&self) -> Vec<(Soul, Linked)> {
        let hidden = self.marks.hidden_by(&self.label());
        let mut memory = self.lock();
        let mut next: Vec<(Soul, Linked)> = hidden
            .into_iter()
            .filter_map(|soul| {
                memory
                    .linked
                    .get(&soul)
                    .cloned()
                    .map(|linked| (soul, linked))
            })
            .take(AGAIN_MAX / 2)
            .collect();
        let after = memory.linked_after.take();
        let range = match &after {
            Some(after) => (Bound::Excluded(after), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let in_turn: Vec<(Soul, Linked)> = memory
            .linked
            .range::<Soul, _>(range)
            .take(AGAIN_MAX - next.len())
            .map(|(soul, linked)| (soul.clone(), linked.clone()))
            .collect();
        memory.linked_after = in_turn.last().map(|(soul, _)| soul.clone());
        next.extend(in_turn);
        next
    }

    /// Records that this peer marked, and of which a later version is shown.
    fn outlived(&self) -> Vec<Soul> {
        let label = self.label();
        let looked_at: Vec<Soul> = {
            let mut memory = self.lock();
            let after = memory.marked_after.take();
            let range = match &after {
                Some(after) => (Bound::Excluded(after), Bound::Unbounded),
                None => (Bound::Unbounded, Bound::Unbounded),
            };
            let page = memory.marked.range::<Soul, _>(range).take(MARKS_LOOKED_AT);
            let page: Vec<Soul> = page.cloned().collect();
            memory.marked_after = page.last().cloned();
            page
        };
        let store = &self.intake.judge.store;
        let outlived = looked_at.into_iter().filter(|soul| {
            let held = store.record(soul).ok().flatten();
            let held = held.filter(|held| !held.deleted && !is_made_here(held));
            let noted = self
                .marks
                .noted(soul, &label)
                .and_then(|at_ms| i64::try_from(at_ms).ok());
            matches!((held, noted), (Some(held), Some(at_ms)) if held.at_ms > at_ms)
        });
        outlived.take(AGAIN_MAX).collect()
    }

    /// Whether an index was asked for in this round, and was not there.
    fn is_missing(&self, index: &Soul) -> bool {
        let memory = self.lock();
        let noted = memory.indexes.get(index);
        noted.is_some_and(|noted| noted.missing > 0 && noted.missing_in == memory.round)
    }
}
