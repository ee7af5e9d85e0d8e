//! Which index is in force, and how another takes its place.
//!
//! What we make is `records-v1`, `records-v2`, …, one at a time behind the alias `records`. An index of
//! the name itself was made by another program: it is used as it is, with the mapping it has. Our
//! position in the feed is a document of the index, so that the two are lost together.

use reqwest::Method;
use serde_json::{Value, json};

use crate::templates::Templates;

use super::envelope::{self, Layout, MEMBER, POSITION};
use super::error::ElasticError;
use super::mapping;
use super::server::{Patience, Request, Server, read_json};
use super::settings::ElasticSettings;

/// Bytes of a document's id that servers take, less some for what comes before a hash.
const ID_BYTES_MAX: usize = 480;

/// An index that documents go into and queries ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation {
    /// The name that is written to and searched: an alias, or the index itself.
    pub(super) name: String,
    /// The index behind it.
    pub(super) concrete: String,
    /// What its mapping is like.
    pub(super) layout: Layout,
    /// What its documents were put in with; empty where another program made it.
    pub(super) mapping: String,
}

impl Generation {
    /// Whether `name` is an alias.
    pub(super) fn is_alias(&self) -> bool {
        self.name != self.concrete
    }

    fn alias_only(&self) -> &'static str {
        if self.is_alias() {
            "require_alias=true"
        } else {
            ""
        }
    }
}

/// How far the index has been filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FeedPosition {
    pub(super) number: u64,
    /// From which store; `None` where whoever wrote it did not say.
    store: Option<String>,
}

impl FeedPosition {
    /// Whether it may be one in this store's feed.
    pub(super) fn is_of(&self, store: &str) -> bool {
        store.is_empty() || self.store.as_deref().is_none_or(|named| named == store)
    }
}

/// The server with the index on it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) server: &'a Server,
    pub(super) settings: &'a ElasticSettings,
    pub(super) templates: &'a Templates,
}

/// The id of a document.
pub(super) fn id(did: &str) -> String {
    match did.len() <= ID_BYTES_MAX {
        true => did.to_owned(),
        false => format!(
            "oip-gun:long:{:032x}",
            xxhash_rust::xxh3::xxh3_128(did.as_bytes())
        ),
    }
}

impl Place<'_> {
    /// What the server is: `elasticsearch 8.17.0`.
    ///
    /// The version of nodes tells the two apart: OpenSearch began again at 1. Some distributions
    /// answer the root route with 405, and some users may not ask for nodes, so each is asked if need be.
    pub(super) async fn flavour(&self, patience: Patience) -> Result<String, ElasticError> {
        const WHAT: &str = "ask the search server what it is";
        let nodes = get("/_nodes?filter_path=nodes.*.version", WHAT);
        let version = match self.server.json(&nodes, patience).await {
            Ok(answer) => {
                let nodes = answer["nodes"].as_object();
                let first = nodes.and_then(|nodes| nodes.values().next());
                first
                    .and_then(|node| node["version"].as_str())
                    .map(str::to_owned)
            }
            Err(ElasticError::Unauthorized { .. }) => None,
            Err(error) => return Err(error),
        };
        let version = match version {
            Some(version) => version,
            None => {
                let answer = self.server.json(&get("/", WHAT), patience).await?;
                let number = answer["version"]["number"].as_str();
                number.unwrap_or("unnamed").to_owned()
            }
        };
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        match major {
            Some(2 | 3) => Ok(format!("opensearch {version}")),
            Some(7..=9) => Ok(format!("elasticsearch {version}")),
            _ => Err(ElasticError::UnknownServer { found: version }),
        }
    }

    /// The index in force; made where there is none.
    pub(super) async fn open(&self, patience: Patience) -> Result<Generation, ElasticError> {
        let generation = match self.find(patience).await? {
            Some(generation) => generation,
            None => {
                let made = self.make(&[self.settings.index()], patience).await;
                match (made, self.find(patience).await?) {
                    (_, Some(generation)) => generation,
                    (Err(error), None) => return Err(error),
                    (Ok(_), None) => {
                        return Err(ElasticError::Lost {
                            what: "make the index",
                        });
                    }
                }
            }
        };
        self.begin_position(&generation, patience).await?;
        Ok(generation)
    }

    async fn find(&self, patience: Patience) -> Result<Option<Generation>, ElasticError> {
        const WHAT: &str = "look for the index";
        let name = self.settings.index();
        let path = format!("/{name}/_mapping?filter_path=*.mappings._meta.{MEMBER}");
        let answer: Value = match self.server.ask(&get(&path, WHAT), patience).await {
            Ok(answer) => read_json(WHAT, &answer.body)?,
            Err(ElasticError::Lost { .. } | ElasticError::Refused { status: 404, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // The filter leaves out indexes without our mark.
        let ours = answer.as_object().and_then(|indexes| {
            let (concrete, index) = indexes.iter().next()?;
            let mapping = index["mappings"]["_meta"][MEMBER]["mapping"].as_str()?;
            Some((concrete.clone(), mapping.to_owned()))
        });
        Ok(Some(match ours {
            Some((concrete, mapping)) => Generation {
                name: name.to_owned(),
                concrete,
                layout: Layout::Ours,
                mapping,
            },
            None => Generation {
                name: name.to_owned(),
                concrete: self.behind(patience).await?,
                layout: Layout::Guessed,
                mapping: String::new(),
            },
        }))
    }

    /// The index behind the name, which may be the name.
    async fn behind(&self, patience: Patience) -> Result<String, ElasticError> {
        const WHAT: &str = "look for the index";
        let name = self.settings.index();
        let path = format!("/{name}/_settings/index.uuid");
        let answer = self.server.json(&get(&path, WHAT), patience).await?;
        let first = answer
            .as_object()
            .and_then(|indexes| indexes.keys().next().cloned());
        Ok(first.unwrap_or_else(|| name.to_owned()))
    }

    /// What tells the mapping of an index that another program made from the one it had before.
    pub(super) async fn mapping(
        &self,
        generation: &Generation,
        patience: Patience,
    ) -> Result<String, ElasticError> {
        let path = format!("/{}/_mapping", generation.name);
        let answer = self
            .server
            .json(&get(&path, "read the mapping"), patience)
            .await?;
        let text = in_order(&answer).to_string();
        Ok(format!(
            "theirs-{:032x}",
            xxhash_rust::xxh3::xxh3_128(text.as_bytes())
        ))
    }

    /// Makes the next index, with these aliases, and gives its name.
    pub(super) async fn make(
        &self,
        aliases: &[&str],
        patience: Patience,
    ) -> Result<Generation, ElasticError> {
        let number = self
            .made(patience)
            .await?
            .iter()
            .map(|(number, _)| *number)
            .max()
            .unwrap_or(0);
        let name = format!("{}-v{}", self.settings.index(), number + 1);
        let mut body = mapping::body(self.templates);
        body["aliases"] = Value::Object(
            aliases
                .iter()
                .map(|alias| ((*alias).to_owned(), json!({})))
                .collect(),
        );
        let path = format!("/{name}");
        let request = Request {
            method: Method::PUT,
            path: &path,
            body: Some(body.to_string().into()),
            what: "make the index",
        };
        self.server.ask(&request, patience).await?;
        let generation = Generation {
            name: name.clone(),
            concrete: name,
            layout: Layout::Ours,
            mapping: mapping::version(self.templates),
        };
        self.begin_position(&generation, patience).await?;
        Ok(generation)
    }

    /// The indexes that we made for this name: their numbers and names.
    async fn made(&self, patience: Patience) -> Result<Vec<(u64, String)>, ElasticError> {
        let name = self.settings.index();
        let path = format!("/{name}-v*/_mapping?filter_path=*.mappings._meta.{MEMBER}");
        let answer = self
            .server
            .json(&get(&path, "look for indexes"), patience)
            .await?;
        let prefix = format!("{name}-v");
        let numbered = |index: &String| {
            let number = index.strip_prefix(&prefix)?.parse().ok()?;
            Some((number, index.clone()))
        };
        let indexes = answer.as_object();
        Ok(indexes
            .into_iter()
            .flatten()
            .filter_map(|(index, _)| numbered(index))
            .collect())
    }

    /// Removes what we made and what is not in force: rebuilds that were given up.
    pub(super) async fn sweep(
        &self,
        in_force: &Generation,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        for (_, index) in self.made(patience).await? {
            if index != in_force.concrete {
                self.remove(&index, patience).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn remove(&self, index: &str, patience: Patience) -> Result<(), ElasticError> {
        let path = format!("/{index}");
        let request = Request {
            method: Method::DELETE,
            path: &path,
            body: None,
            what: "remove an index",
        };
        match self.server.ask(&request, patience).await {
            Ok(_) | Err(ElasticError::Lost { .. } | ElasticError::Refused { status: 404, .. }) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Puts `new` in force in one step; what was in force is removed by it or after it.
    pub(super) async fn put_in_force(
        &self,
        new: &Generation,
        old: &Generation,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        let alias = self.settings.index();
        let leave = match old.is_alias() {
            true => json!({"remove": {"index": old.concrete, "alias": alias}}),
            // An alias can't have the name of an index: the two change places in one step.
            false => json!({"remove_index": {"index": old.concrete}}),
        };
        let enter = json!({"add": {"index": new.concrete, "alias": alias}});
        let body = json!({"actions": [leave, enter]});
        let request = Request {
            method: Method::POST,
            path: "/_aliases",
            body: Some(body.to_string().into()),
            what: "put the new index in force",
        };
        self.server.ask(&request, patience).await?;
        if old.is_alias() && old.layout == Layout::Ours {
            self.remove(&old.concrete, patience).await?;
        }
        Ok(())
    }

    /// Documents in the index that another program put there.
    pub(super) async fn foreign(
        &self,
        generation: &Generation,
        patience: Patience,
    ) -> Result<u64, ElasticError> {
        let kinds = [envelope::RECORD, envelope::TOMBSTONE, POSITION];
        let body = json!({"query": {"bool": {"must_not": [{"terms": {envelope::TERMS: kinds}}]}}});
        self.refresh(&generation.name, patience).await?;
        let path = format!("/{}/_count", generation.name);
        let request = Request {
            method: Method::POST,
            path: &path,
            body: Some(body.to_string().into()),
            what: "count the documents of others",
        };
        let answer = self.server.json(&request, patience).await?;
        Ok(answer["count"].as_u64().unwrap_or(0))
    }

    /// Makes what was written searchable.
    pub(super) async fn refresh(
        &self,
        index: &str,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        let path = format!("/{index}/_refresh");
        let request = Request {
            method: Method::POST,
            path: &path,
            body: None,
            what: "refresh the index",
        };
        self.server.ask(&request, patience).await.map(|_answer| ())
    }

    /// The position in the feed that the index has been brought to.
    pub(super) async fn position(
        &self,
        generation: &Generation,
        patience: Patience,
    ) -> Result<FeedPosition, ElasticError> {
        const WHAT: &str = "read the index position";
        let path = format!("/{}/_doc/{}", generation.name, self.position_id());
        let answer: Value = match self.server.ask(&get(&path, WHAT), patience).await {
            Ok(answer) => read_json(WHAT, &answer.body)?,
            Err(ElasticError::Refused { status: 404, .. }) => {
                return Err(ElasticError::Lost { what: WHAT });
            }
            Err(error) => return Err(error),
        };
        let ours = &answer["_source"][MEMBER];
        let number = ours["position"].as_str();
        let number = number
            .and_then(|number| number.strip_prefix('n')?.parse().ok())
            .ok_or_else(|| ElasticError::Malformed {
                what: WHAT,
                reason: "it is no number".to_owned(),
            })?;
        let store = ours["store"].as_str();
        let store = store.and_then(|store| Some(store.strip_prefix('=')?.to_owned()));
        Ok(FeedPosition { number, store })
    }

    /// Writes the position down, after the documents.
    ///
    /// # Errors
    /// [`ElasticError::Lost`] where there was none: then the index is another than the one that the
    /// documents before went into, and has to be filled from the start.
    pub(super) async fn set_position(
        &self,
        generation: &Generation,
        position: u64,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        let path = format!(
            "/{}/_update/{}?{}",
            generation.name,
            self.position_id(),
            generation.alias_only()
        );
        let body = json!({"doc": {MEMBER: self.position_members(position)}});
        let request = Request {
            method: Method::POST,
            path: &path,
            body: Some(body.to_string().into()),
            what: "write the index position",
        };
        self.server.ask(&request, patience).await.map(|_answer| ())
    }

    /// Writes position 0 down, unless there is one.
    async fn begin_position(
        &self,
        generation: &Generation,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        let path = format!(
            "/{}/_create/{}?{}",
            generation.name,
            self.position_id(),
            generation.alias_only()
        );
        let mut ours = self.position_members(0);
        ours["terms"] = json!([POSITION]);
        let body = json!({MEMBER: ours});
        let request = Request {
            method: Method::PUT,
            path: &path,
            body: Some(body.to_string().into()),
            what: "write the index position",
        };
        match self.server.ask(&request, patience).await {
            Ok(_) | Err(ElasticError::Refused { status: 409, .. }) => Ok(()),
            // A full server takes no new document; one that has a position needs none.
            Err(error) if error.passes() => {
                let position = self.position(generation, patience).await;
                position.map(|_position| ()).map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    /// The marks keep guessed mappings from making them numbers, which have fewer digits, or dates.
    fn position_members(&self, position: u64) -> Value {
        let mut members = json!({"position": format!("n{position}")});
        if !self.settings.store.is_empty() {
            members["store"] = json!(format!("={}", self.settings.store));
        }
        members
    }

    fn position_id(&self) -> String {
        let owner = &self.settings.owner;
        format!(
            "oip-gun:position:{:016x}",
            xxhash_rust::xxh3::xxh3_64(owner.as_bytes())
        )
    }
}

/// The same with all members in the order of their names: servers promise none.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let members = members.into_iter();
            let members = members.map(|(name, value)| (name.clone(), in_order(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

fn get<'a>(path: &'a str, what: &'static str) -> Request<'a> {
    Request {
        method: Method::GET,
        path,
        body: None,
        what,
    }
}
