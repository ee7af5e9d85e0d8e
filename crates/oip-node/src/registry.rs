//! The registry: the souls under which nodes tell each other which records exist, in the deployed
//! form (`oip-formats` 3), and what a change of one of them means.
//!
//! Owns the names and shapes; touches no store and no network. Entries are hints, never proof:
//! what they lead to is verified on its own.
//!
//! | soul | holds |
//! |---|---|
//! | `<root>:index` | directory: key = type, value = link to the type's index |
//! | `<root>:index:<type>` | index: key = record soul, value = link to its target; null = unregistered |
//! | `<root>:index:<type>/<soul>` | target: `{soul, nodeId, timestamp}` |
//! | `<root>:index:<type>:<soul>` | the origin design's stand-alone entry, the same fields; read, never written |
//! | `<root>:nodes:<nodeId or alias>` | pointer to a node's statement: `{pub, timestamp}` |
//! | `<root>:nodes:<nodeId>:<soul>` | the node's own entry: `{did, soul, recordType, creatorPubKey, nodeId, timestamp, oipVersion}` |

use gun::graph::Entry;
use gun::{Key, Soul, Value};
use oip_record::{Did, NodeIdentity};
use oip_vault::statement::STATEMENT_KEY;

use crate::admission::is_whole_record;
use crate::config::TypeFilter;
use crate::deletions;

/// Where statements stand in a node's own space.
const STATEMENT_PLACE: &str = "/oip/node";

/// Version written into node entries; deployed readers know no other.
const OIP_VERSION: &str = "0.8.0";

/// The types that deployed nodes look for; they keep no directory.
pub(crate) const DEPLOYED_TYPES: [&str; 39] = [
    "accessControl",
    "associatedURLOnWeb",
    "audio",
    "basic",
    "calendarEvent",
    "conversationSession",
    "creatorRegistration",
    "exercise",
    "exerciseMETvalues",
    "exerciseResult",
    "fitnessEquipment",
    "image",
    "jfkFilesDocument",
    "jfkFilesPageOfDocument",
    "mealPlan",
    "media",
    "modelProvider",
    "multiResolutionGif",
    "music",
    "musicReleaseSimple",
    "noteChunks",
    "notes",
    "nutritionalInfo",
    "organization",
    "podcast",
    "podcastShow",
    "post",
    "recipe",
    "shoppingList",
    "summaryNutritionalInfoPerServing",
    "text",
    "transcriptionEngine",
    "userFitnessAchievment",
    "userFitnessProfile",
    "video",
    "weightEntry",
    "workout",
    "workoutCompletion",
    "workoutSchedule",
];

/// The registry's names under one root.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    directory: String,
    index_prefix: String,
    nodes_prefix: String,
}

/// What is registered about one version of one record.
pub(crate) struct Registration<'a> {
    pub soul: &'a Soul,
    pub record_type: &'a str,
    pub creator_public_key: &'a str,
    pub node_id: &'a str,
    /// The version's `indexedAt`: a reader that holds a version at least as new need not fetch.
    pub at_ms: i64,
}

/// What a change of a registry value says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Records of this type exist.
    Type(String),
    /// This record exists, changed, or went away.
    Record {
        soul: Soul,
        record_type: Option<String>,
    },
    /// The deletion registry marks this record, or no longer does.
    Mark { soul: Soul, is_set: bool },
    /// A node said who it is, or a pointer to where it does changed.
    Statement,
}

/// One node's values, to be written with states of our own.
pub(crate) type Writes = Vec<(Soul, Vec<(Key, Value)>)>;

impl Notice {
    /// Whether the filter lets it through; a record of unknown type is looked at first.
    pub(crate) fn is_wanted(&self, filter: &TypeFilter) -> bool {
        match self {
            Self::Type(record_type)
            | Self::Record {
                record_type: Some(record_type),
                ..
            } => filter.wants(record_type),
            Self::Record {
                record_type: None, ..
            }
            | Self::Mark { .. }
            | Self::Statement => true,
        }
    }
}

impl Registry {
    pub(crate) fn new(root: &str) -> Self {
        Self {
            directory: format!("{root}:index"),
            index_prefix: format!("{root}:index:"),
            nodes_prefix: format!("{root}:nodes:"),
        }
    }

    /// The directory of types.
    pub(crate) fn directory(&self) -> Soul {
        name(&self.directory)
    }

    /// The index of one type; `None` if the type can't be part of a soul.
    pub(crate) fn index(&self, record_type: &str) -> Option<Soul> {
        Soul::new(format!("{}{record_type}", self.index_prefix)).ok()
    }

    /// The target of one record's entry in its type's index.
    pub(crate) fn target(&self, record_type: &str, soul: &Soul) -> Option<Soul> {
        Soul::new(format!("{}{record_type}/{soul}", self.index_prefix)).ok()
    }

    fn node_entry(&self, node_id: &str, soul: &Soul) -> Option<Soul> {
        Soul::new(format!("{}{node_id}:{soul}", self.nodes_prefix)).ok()
    }

    /// Where a pointer to the statement of a node stands: `<root>:nodes:<id or alias>`.
    pub(crate) fn pointer_soul(&self, name: &str) -> Option<Soul> {
        Soul::new(format!("{}{name}", self.nodes_prefix)).ok()
    }

    /// The node id whose pointer this value claims to be and is not: the key that it names has another hash. Of a pointer
    /// under an alias nothing can be told.
    pub(crate) fn false_pointer<'s>(&self, soul: &'s str, entry: &Entry) -> Option<&'s str> {
        let name = soul.strip_prefix(self.nodes_prefix.as_str())?;
        let is_id =
            name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let names_it = || {
            let public = entry.value.as_text();
            public.is_some_and(|public| NodeIdentity::id_of(public) == name)
        };
        (is_id && entry.key.as_str() == "pub" && !names_it()).then_some(name)
    }

    /// The pointer `{pub, timestamp}`, which proves nothing.
    pub(crate) fn pointer(
        &self,
        name: &str,
        public: &str,
        at_ms: u64,
    ) -> Option<(Soul, Vec<(Key, Value)>)> {
        let entries = vec![
            (key_of("pub"), Value::text(public)),
            (key_of("timestamp"), Value::Number(at_ms as f64)),
        ];
        Some((self.pointer_soul(name)?, entries))
    }

    /// The souls of one record's own entries: the node's and the index's target.
    pub(crate) fn entry_souls(
        &self,
        node_id: &str,
        record_type: &str,
        soul: &Soul,
    ) -> impl Iterator<Item = Soul> + use<> {
        [
            self.node_entry(node_id, soul),
            self.target(record_type, soul),
        ]
        .into_iter()
        .flatten()
    }

    /// The values that announce a record: its key in the index, and the field of a target or of a
    /// stand-alone entry.
    pub(crate) fn announcements(
        &self,
        record_type: &str,
        soul: &Soul,
    ) -> impl Iterator<Item = (Soul, Key)> + use<> {
        let alone = Soul::new(format!("{}{record_type}:{soul}", self.index_prefix)).ok();
        let field = || Key::new("soul").ok();
        [
            self.index(record_type).zip(Key::new(soul.as_str()).ok()),
            self.target(record_type, soul).zip(field()),
            alone.zip(field()),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether a soul belongs to the registry.
    pub(crate) fn owns(&self, soul: &str) -> bool {
        soul == self.directory
            || soul.starts_with(&self.index_prefix)
            || soul.starts_with(&self.nodes_prefix)
    }

    /// The node id that an entry of a node's own list bears: `<root>:nodes:<id>`, as its account is named.
    pub(crate) fn node_of<'s>(&self, soul: &'s str) -> Option<&'s str> {
        let id = soul.strip_prefix(&self.nodes_prefix)?.split(':').next()?;
        Some(&soul[..self.nodes_prefix.len() + id.len()])
    }

    /// The writes that register one version: O(1) in the number of records. An edit writes the
    /// same souls again with newer states, so that subscribers of the index hear of it.
    pub(crate) fn register(&self, entry: &Registration<'_>) -> Writes {
        let (Some(index), Some(target), Some(own), Ok(key), Ok(type_key)) = (
            self.index(entry.record_type),
            self.target(entry.record_type, entry.soul),
            self.node_entry(entry.node_id, entry.soul),
            Key::new(entry.soul.as_str()),
            Key::new(entry.record_type),
        ) else {
            return Vec::new();
        };
        let at = Value::Number(entry.at_ms as f64);
        vec![
            (
                own,
                vec![
                    (
                        key_of("did"),
                        Value::text(Did::from_soul(entry.soul).to_string()),
                    ),
                    (key_of("soul"), Value::text(entry.soul.as_str())),
                    (key_of("recordType"), Value::text(entry.record_type)),
                    (
                        key_of("creatorPubKey"),
                        Value::text(entry.creator_public_key),
                    ),
                    (key_of("nodeId"), Value::text(entry.node_id)),
                    (key_of("timestamp"), at.clone()),
                    (key_of("oipVersion"), Value::text(OIP_VERSION)),
                ],
            ),
            (
                target.clone(),
                vec![
                    (key_of("soul"), Value::text(entry.soul.as_str())),
                    (key_of("nodeId"), Value::text(entry.node_id)),
                    (key_of("timestamp"), at),
                ],
            ),
            (
                self.directory(),
                vec![(type_key, Value::Link(index.clone()))],
            ),
            // The key that others watch comes last: whoever follows it finds the rest.
            (index, vec![(key, Value::Link(target))]),
        ]
    }

    /// The writes that take a record out of the registry: its keys become null, which deployed
    /// readers skip and ours take as a hint to look for a tombstone.
    pub(crate) fn unregister(&self, node_id: &str, record_type: &str, soul: &Soul) -> Writes {
        let mut writes = Vec::new();
        if let Some(own) = self.node_entry(node_id, soul) {
            let fields = [
                "did",
                "soul",
                "recordType",
                "creatorPubKey",
                "nodeId",
                "timestamp",
                "oipVersion",
            ];
            writes.push((
                own,
                fields.map(|field| (key_of(field), Value::Null)).to_vec(),
            ));
        }
        if let (Some(index), Ok(key)) = (self.index(record_type), Key::new(soul.as_str())) {
            writes.push((index, vec![(key, Value::Null)]));
        }
        writes
    }

    /// What a change says about records: one of the registry, or of a record itself, which
    /// reaches us unregistered when a peer edits what we hold.
    pub(crate) fn notice(&self, soul: &str, key: &str, value: &Value) -> Option<Notice> {
        if is_whole_record(soul) {
            // `oip` is written with every version; `data` alone may complete a torn one.
            return matches!(key, "oip" | "data")
                .then(|| Soul::new(soul).ok())
                .flatten()
                .map(|soul| Notice::Record {
                    soul,
                    record_type: None,
                });
        }
        if let Some((soul, is_set)) = deletions::read_change(soul, key, value) {
            return Some(Notice::Mark { soul, is_set });
        }
        let is_pointer = || {
            let name = soul.strip_prefix(self.nodes_prefix.as_str());
            key == "pub" && name.is_some_and(|name| !name.contains(':'))
        };
        if key == STATEMENT_KEY && soul.ends_with(STATEMENT_PLACE) || is_pointer() {
            return Some(Notice::Statement);
        }
        self.read_change(soul, key, value)
    }

    /// What a change of `key` in the registry's `soul` to `value` says, if it says anything.
    fn read_change(&self, soul: &str, key: &str, value: &Value) -> Option<Notice> {
        if soul == self.directory {
            return is_type_name(key).then(|| Notice::Type(key.to_owned()));
        }
        let rest = soul.strip_prefix(self.index_prefix.as_str())?;
        match rest.find([':', '/']) {
            // The index itself: its keys are record souls.
            None => self.record_notice(key, rest),
            // A target or a stand-alone entry: its field `soul` names the record.
            Some(at) if key == "soul" => self.record_notice(value.as_text()?, &rest[..at]),
            Some(_) => None,
        }
    }

    fn record_notice(&self, record: &str, record_type: &str) -> Option<Notice> {
        // The origin design keeps metadata of the index beside the entries, under names like these.
        if record.starts_with("oip:") || !is_type_name(record_type) {
            return None;
        }
        Some(Notice::Record {
            soul: Soul::new(record).ok()?,
            record_type: Some(record_type.to_owned()),
        })
    }
}

/// A type name that can stand in a soul without being taken for something else.
pub(crate) fn is_type_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn key_of(constant: &str) -> Key {
    Key::new(constant).expect("a constant key is a valid name")
}

fn name(text: &str) -> Soul {
    Soul::new(text).expect("the root was checked when the configuration was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::new("oip:registry")
    }

    fn record(soul: &str, record_type: &str) -> Option<Notice> {
        Some(Notice::Record {
            soul: Soul::new(soul).unwrap(),
            record_type: Some(record_type.into()),
        })
    }

    #[test]
    fn changes_of_the_index_name_records() {
        let r = registry();
        let link = Value::Link(Soul::new("oip:registry:index:post/abc:1").unwrap());
        let index = "oip:registry:index:post";
        assert_eq!(
            r.read_change(index, "0123456789ab:a:b", &link),
            record("0123456789ab:a:b", "post")
        );
        assert_eq!(
            r.read_change(index, "0123456789ab:a", &Value::Null),
            record("0123456789ab:a", "post")
        );
        assert_eq!(r.read_change(index, "oip:meta", &link), None);
    }

    #[test]
    fn a_pointer_under_an_id_names_the_key_of_that_id_or_is_false() {
        let r = registry();
        let identity = NodeIdentity::from_scalar([3; 32]).unwrap();
        let (id, public) = (identity.node_id(), identity.public());
        let entry = |key: &str, value: Value| Entry {
            key: Key::new(key).unwrap(),
            state: gun::State::from_millis(1),
            value,
        };
        let soul = format!("oip:registry:nodes:{id}");
        let false_in =
            |soul: &str, key, value| r.false_pointer(soul, &entry(key, value)).map(str::to_owned);
        assert_eq!(false_in(&soul, "pub", Value::text(public)), None);
        for value in [Value::text("x.y"), Value::Null, Value::Bool(true)] {
            assert_eq!(false_in(&soul, "pub", value), Some(id.clone()));
        }
        assert_eq!(false_in(&soul, "timestamp", Value::Null), None);
        let alias = "oip:registry:nodes:node-b";
        assert_eq!(false_in(alias, "pub", Value::text("x.y")), None);
        assert_eq!(false_in(&format!("{soul}:x"), "pub", Value::Null), None);
    }

    #[test]
    fn targets_and_stand_alone_entries_name_records_by_their_field() {
        let r = registry();
        let soul = Value::text("0123456789ab:x");
        for entry in [
            "oip:registry:index:post/0123456789ab:x",
            "oip:registry:index:post:0123456789ab:x",
        ] {
            assert_eq!(
                r.read_change(entry, "soul", &soul),
                record("0123456789ab:x", "post")
            );
            assert_eq!(r.read_change(entry, "timestamp", &Value::Number(1.0)), None);
        }
    }

    #[test]
    fn the_directory_names_types() {
        let r = registry();
        let link = Value::Link(Soul::new("oip:registry:index:post").unwrap());
        assert_eq!(
            r.read_change("oip:registry:index", "post", &link),
            Some(Notice::Type("post".into()))
        );
        assert_eq!(r.read_change("oip:registry:index", "a type", &link), None);
        assert_eq!(r.read_change("other:index", "post", &link), None);
    }

    #[test]
    fn what_is_registered_is_read_back_as_a_notice() {
        let r = registry();
        let soul = Soul::new("0123456789ab:apple:Work:1").unwrap();
        let writes = r.register(&Registration {
            soul: &soul,
            record_type: "post",
            creator_public_key: "K",
            node_id: "n",
            at_ms: 5,
        });
        let notices: Vec<_> = writes
            .iter()
            .flat_map(|(node, values)| {
                values
                    .iter()
                    .filter_map(|(k, v)| r.read_change(node.as_str(), k.as_str(), v))
            })
            .collect();
        assert!(notices.contains(&Notice::Type("post".into())));
        assert!(notices.contains(&record("0123456789ab:apple:Work:1", "post").unwrap()));
        let bytes: usize = writes
            .iter()
            .flat_map(|(n, values)| {
                values.iter().map(move |(k, v)| {
                    n.as_str().len() + k.as_str().len() + gun::text::value_text(v).len()
                })
            })
            .sum();
        assert!(bytes < 1_500, "a registration takes {bytes} bytes");
    }
}
