//! Everything that is known and was decided about one record, for people who ask why it is, or is not,
//! where they look for it.
//!
//! Owns the notes of decisions on records that are held: the last few of each, durable. What was refused
//! and is not held stands in the quarantine, once per soul, which bounds both.

use gun::{Key, Soul, Value as GunValue};
use oip_index::Access;
use oip_record::{Did, SignatureClass, Stamp, Verification};
use oip_store::{Op, ReadError, RecordRow, Store};
use serde::{Deserialize, Serialize};

use crate::node::Node;
use crate::soul_mark::soul_mark;
use crate::sync::decide::untrusted;
use crate::sync::judge::{Asked, Judge, Judgement, signed_ms};
use crate::{clock, deletions};

/// Decisions kept of one record; the oldest go first.
const DECISIONS_MAX: usize = 16;

/// One decision on a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// `taken`, `deleted`, `published`, `refused`, `put aside`, `contested`, `healed`, `hidden` or `shown`.
    pub what: String,
    /// Why, or which version.
    pub why: String,
    /// The peer that brought or showed it.
    pub source: Option<String>,
}

/// What this node holds of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldVersion {
    /// Its type.
    pub record_type: String,
    /// `didAddress` of its creator.
    pub creator: String,
    /// Its time, ISO 8601.
    pub indexed_at: String,
    /// Counts changes that keep the time.
    pub revision: u64,
    /// `verified`, `unverified` or `unverifiable`.
    pub signature: &'static str,
    /// Its precedence: `ours`, `deployed` or `none`. No version of a lower one takes its place.
    pub precedence: &'static str,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Whether this node published it.
    pub own: bool,
    /// The peer it came from.
    pub source: Option<String>,
    /// When this node first saw the record, ISO 8601.
    pub first_seen: String,
}

/// A deletion mark that hides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HiddenBy {
    /// The configured peer that shows the mark.
    pub by: String,
    /// Versions up to this time are hidden, ISO 8601.
    pub until: String,
}

/// What waits to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedSince {
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again, ISO 8601.
    pub due: String,
    /// Why the last attempt came to nothing.
    pub reason: Option<String>,
}

/// What stands in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The name of the reason.
    pub reason: String,
    /// In words, with the cure.
    pub detail: String,
    /// The peer that brought it.
    pub source: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came here and was last tried, ISO 8601.
    pub first: String,
    /// The same, last.
    pub last: String,
    /// When it is tried again by itself.
    pub due: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The record.
    pub did: String,
    /// In one sentence, how it stands.
    pub summary: String,
    /// Whether searches and look-ups show it.
    pub shown: bool,
    /// The verified copy.
    pub held: Option<HeldVersion>,
    /// The mark that hides it.
    pub hidden: Option<HiddenBy>,
    /// What lies at its soul in the graph, judged now; `None` if nothing does.
    pub graph: Option<String>,
    /// Whether the registry of this node names it.
    pub registered: bool,
    /// Whether the deletion registry marks it, whoever wrote that.
    pub marked_deleted: bool,
    /// Whether it waits to be fetched.
    pub wanted: Option<WantedSince>,
    /// Whether it is in quarantine.
    pub quarantine: Option<Quarantined>,
    /// The last decisions, the oldest first.
    pub decisions: Vec<Decision>,
}

impl Node {
    /// Explains one record to this caller; `None` for a private one that he may not see. Reads everything,
    /// changes nothing.
    ///
    /// # Errors
    /// [`crate::ReadError`] if the store fails.
    pub async fn explain(
        &self,
        did: &Did,
        access: &Access,
    ) -> Result<Option<Explanation>, crate::ReadError> {
        let (node, did, access) = (self.clone(), did.clone(), access.clone());
        tokio::task::spawn_blocking(move || {
            if node.is_kept_from(&did, &access)? {
                return Ok(None);
            }
            Ok(Some(node.explained(&did)?))
        })
        .await
        .map_err(|_| crate::ReadError::Stopping)?
    }

    fn explained(&self, did: &Did) -> Result<Explanation, ReadError> {
        let (store, judge, marks) = self.parts_to_explain();
        let soul = did.soul();
        let held = store.record(soul)?;
        let hides = match &held {
            Some(held) => marks.hides(held)?,
            None => None,
        };
        let hidden = hides.map(|(by, until_ms)| HiddenBy {
            by,
            until: time(until_ms),
        });
        let row_type = held.as_ref().map(|row| row.record_type.clone());
        let registered = match row_type.as_deref().and_then(|t| judge.registry.index(t)) {
            Some(index) => has(store, &index, soul.as_str(), |value| {
                matches!(value, GunValue::Link(_))
            })?,
            None => false,
        };
        let flag = Did::from_soul(soul).to_string();
        let marked_deleted = has(store, &deletions::index(), &flag, |value| {
            *value == GunValue::Bool(true)
        })?;
        let wanted = store.wanted(soul)?.map(|row| WantedSince {
            attempts: row.attempts,
            due: time(row.due_ms),
            reason: row.reason,
        });
        let quarantine = store.quarantined(soul)?.map(|row| Quarantined {
            reason: row.reason,
            detail: row.detail,
            source: row.source,
            attempts: row.attempts,
            first: time(row.first_ms),
            last: time(row.last_ms),
            due: row.due_ms.map(time),
        });
        let shown = hidden.is_none() && held.as_ref().is_some_and(|row| !row.deleted);
        let explanation = Explanation {
            did: did.to_string(),
            summary: String::new(),
            shown,
            held: held.as_ref().map(version),
            hidden,
            graph: in_graph(store, judge, soul)?,
            registered,
            marked_deleted,
            wanted,
            quarantine,
            decisions: decisions(store, soul)?,
        };
        Ok(Explanation {
            summary: summary(&explanation),
            ..explanation
        })
    }
}

/// How a record stands, in one sentence.
fn summary(explained: &Explanation) -> String {
    match (&explained.held, &explained.hidden) {
        (Some(_), Some(hidden)) => format!(
            "held, and hidden by a deletion mark that {} shows: it may be shown again",
            hidden.by
        ),
        (Some(held), None) if held.deleted => "deleted by a signed tombstone".to_owned(),
        (Some(held), None) => format!("held and shown; its signature is {}", held.signature),
        (None, _) => match (&explained.quarantine, &explained.wanted) {
            (Some(row), _) => format!("not taken: {}", row.detail),
            (None, Some(row)) => format!(
                "not here yet: {}, tried again at {}",
                row.reason.as_deref().unwrap_or("it is being fetched"),
                row.due
            ),
            (None, None) if explained.graph.is_some() => {
                "not held, though something lies at its soul in the graph".to_owned()
            }
            (None, None) => "unknown here: no peer has announced it".to_owned(),
        },
    }
}

fn version(row: &RecordRow) -> HeldVersion {
    let verification = Verification::from_u8(row.verification).unwrap_or(Verification::Unverified);
    HeldVersion {
        record_type: row.record_type.clone(),
        creator: row.creator.clone(),
        indexed_at: Stamp::from_ms(row.at_ms).as_str().to_owned(),
        revision: row.revision,
        signature: verification.label(),
        precedence: match SignatureClass::from_u8(row.class) {
            Some(SignatureClass::Ours) => "ours",
            Some(SignatureClass::Deployed) => "deployed",
            _ => "none",
        },
        deleted: row.deleted,
        own: row.own,
        source: row.source.clone(),
        first_seen: time(row.first_seen_ms),
    }
}

/// What judging the graph says now.
fn in_graph(store: &Store, judge: &Judge, soul: &Soul) -> Result<Option<String>, ReadError> {
    if store.keys(soul, None, 1)?.is_empty() {
        return Ok(None);
    }
    let row = oip_store::WantedRow {
        soul: soul.clone(),
        record_type: None,
        at_ms: None,
        attempts: u32::MAX,
        due_ms: 0,
        reason: None,
        generation: 0,
    };
    Ok(Some(
        match judge.judge(&row, Asked::Already, clock::wall_ms())? {
            Judgement::Take { .. } => "a newer version, about to be taken".to_owned(),
            Judgement::Known { heal: None } => "the version that is held".to_owned(),
            Judgement::Known { heal: Some(_) } => {
                "an older or less trusted version, which is healed".to_owned()
            }
            Judgement::Refuse { reject, .. } => format!("refused as {}: {reject}", reject.label()),
            Judgement::Contested(accepted) => format!(
                "contested: {} signed it too, but the soul belongs to another key",
                accepted.creator.did_address
            ),
            Judgement::Untrusted(accepted) => format!("put aside: {}", untrusted(&accepted)),
            Judgement::Unwanted => "a record of a type that this node does not sync".to_owned(),
            Judgement::Fetch(_) | Judgement::Absent | Judgement::Gone => {
                "a record of which parts are missing".to_owned()
            }
        },
    ))
}

fn has(
    store: &Store,
    soul: &Soul,
    key: &str,
    is: impl Fn(&GunValue) -> bool,
) -> Result<bool, ReadError> {
    let Ok(key) = Key::new(key) else {
        return Ok(false);
    };
    Ok(store
        .value(soul, &key)?
        .is_some_and(|(_, value)| is(&value)))
}

fn time(ms: u64) -> String {
    Stamp::from_ms(signed_ms(ms)).as_str().to_owned()
}

/// The decisions noted of a record.
fn decisions(store: &Store, soul: &Soul) -> Result<Vec<Decision>, ReadError> {
    let noted = store.cursor(&name_of(soul))?;
    Ok(noted
        .and_then(|noted| serde_json::from_slice(&noted).ok())
        .unwrap_or_default())
}

/// What notes a decision on a record, in the transaction that carries it out.
pub(crate) fn note(
    store: &Store,
    soul: &Soul,
    what: &str,
    why: impl Into<String>,
    source: Option<String>,
) -> Option<Op> {
    // A note that can't be read is no reason to keep a record out.
    let mut noted = decisions(store, soul).ok()?;
    noted.push(Decision {
        at_ms: clock::wall_ms(),
        what: what.to_owned(),
        why: why.into(),
        source,
    });
    let surplus = noted.len().saturating_sub(DECISIONS_MAX);
    noted.drain(..surplus);
    Some(Op::SetCursor {
        name: name_of(soul),
        value: serde_json::to_vec(&noted).ok()?,
    })
}

fn name_of(soul: &Soul) -> String {
    soul_mark("decisions:", soul)
}
