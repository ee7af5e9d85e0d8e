//! The index on a server: one that feeds it, any number that search.
//!
//! Nothing is asked of the server before the first use, so that a node starts, publishes and syncs while
//! it is down. Whatever is found out about it is forgotten after a failure and found out again.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use serde_json::{Value, json};

use crate::condition::Condition;
use crate::error::IndexError;
use crate::field::FieldPath;
use crate::index::{
    Applied, Holding, Index, IndexOp, IndexStatus, KeepRefused, Page, Readers, Rebuild,
    RefusalReason, Refused,
};
use crate::query::{Access, Direction, Position, Query, SortKey};
use crate::templates::Templates;

use super::behind::Behind;
use super::bulk::{self, Item, Pace, Target};
use super::envelope::{self, Layout};
use super::error::{ElasticError, failed};
use super::freshness::Freshness;
use super::generations::{Generation, Place};
use super::hits;
use super::lines::Maker;
use super::mapping;
use super::rebuild::ElasticRebuild;
use super::server::{Patience, Request, Server};
use super::settings::ElasticSettings;
use super::shape::Shapes;
use super::standing::Standing;
use super::translate::Speaker;

/// Operations of a batch up to which it is refreshed at once: records as they come. What is more is
/// a backlog, which is refreshed when somebody looks, and by the index's own interval.
const FRESH_OPS_MAX: usize = 200;

/// Operations worth a thread of their own: some milliseconds of work.
const MAKER_OPS_MIN: usize = 100;

/// The deepest hit that indexes of other programs give by its number.
const GUESSED_WINDOW: usize = 10_000;

/// Documents that are looked up and removed at once.
const CLEAR_PAGE: usize = 1_000;

/// A search index on an Elasticsearch or OpenSearch server.
pub struct ElasticIndex {
    /// In an [`Arc`], because a rebuild outlives the call that began it.
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    settings: ElasticSettings,
    templates: Arc<Templates>,
    shapes: Shapes,
    pub(super) server: Server,
    /// What is in force, once it has been found out.
    present: Mutex<Option<Arc<Generation>>>,
    /// `elasticsearch 8.17.0`, once it has been found out.
    flavour: Mutex<Option<String>>,
    pace: Mutex<Pace>,
    pub(super) behind: Behind,
    freshness: Freshness,
    standing: Standing,
    /// Private documents that the server is not to have.
    kept_out: AtomicU64,
    /// The mapping of an index that another program made, when it was last looked at.
    seen_mapping: Mutex<String>,
}

/// What a request to the index in force is for: how long it is tried, and what its failure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Somebody waits for the answer, for [`ElasticSettings::search_max`].
    Search,
    /// The node's own.
    Read,
    Write,
}

impl ElasticIndex {
    /// An index on the server that the settings name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Settings that can't be used: a file of certificates that holds none.
    pub fn new(settings: ElasticSettings, templates: Arc<Templates>) -> Result<Self, IndexError> {
        let server = Server::new(&settings).map_err(failed("set up the client"))?;
        let shapes = Shapes::of(&templates);
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                templates,
                shapes,
                server,
                present: Mutex::default(),
                flavour: Mutex::default(),
                pace: Mutex::default(),
                behind: Behind::default(),
                freshness: Freshness::default(),
                standing: Standing::default(),
                kept_out: AtomicU64::new(0),
                seen_mapping: Mutex::default(),
            }),
        })
    }
}

/// Threads of ours don't panic while they hold these locks; what they guard is whole at any time.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            server: &self.server,
            settings: &self.settings,
            templates: &self.templates,
        }
    }

    /// For writing: the indexer waits, which tries again by itself.
    pub(super) fn patience(&self) -> Patience {
        Patience(self.settings.patience)
    }

    fn speaker(&self, layout: Layout) -> Speaker<'_> {
        Speaker {
            layout,
            templates: &self.templates,
            owner: &self.settings.owner,
        }
    }

    /// The index in force.
    pub(super) async fn present(
        &self,
        patience: Patience,
    ) -> Result<Arc<Generation>, ElasticError> {
        if let Some(present) = locked(&self.present).clone() {
            return Ok(present);
        }
        let flavour = self.place().flavour(patience).await?;
        let found = Arc::new(self.place().open(patience).await?);
        tracing::info!(server = %flavour, index = %found.concrete, layout = ?found.layout, "search server found");
        *locked(&self.flavour) = Some(flavour);
        *locked(&self.present) = Some(Arc::clone(&found));
        Ok(found)
    }

    /// Another index may be in force now: it is found out at the next use.
    pub(super) fn forget(&self) {
        *locked(&self.present) = None;
    }

    /// Notes how an operation went, for status, and forgets what a failure puts in doubt.
    fn noted<T>(
        &self,
        purpose: Purpose,
        outcome: Result<T, ElasticError>,
    ) -> Result<T, ElasticError> {
        match purpose {
            Purpose::Write => self.standing.wrote(&outcome),
            Purpose::Read | Purpose::Search => self.standing.read(&outcome),
        }
        if outcome
            .as_ref()
            .is_err_and(|error| purpose == Purpose::Write || !error.is_the_callers())
        {
            self.forget();
        }
        outcome
    }

    /// Runs an operation on the index in force, once more where that is gone meanwhile.
    fn on_present<T, F>(&self, purpose: Purpose, operation: F) -> Result<T, ElasticError>
    where
        F: AsyncFn(&Generation) -> Result<T, ElasticError>,
    {
        let patience = match purpose {
            Purpose::Search | Purpose::Read => Patience::SEARCH,
            Purpose::Write => self.patience(),
        };
        let once = async || {
            let present = self.present(patience).await?;
            operation(&present).await
        };
        let bounded = async || match purpose {
            Purpose::Search => {
                let max = self.settings.search_max;
                let slow = |_| ElasticError::Slow {
                    what: "search",
                    seconds: max.as_secs(),
                };
                tokio::time::timeout(max, once())
                    .await
                    .unwrap_or_else(|elapsed| Err(slow(elapsed)))
            }
            Purpose::Read | Purpose::Write => once().await,
        };
        self.server.wait(async {
            match self.noted(purpose, bounded().await) {
                Err(ElasticError::Lost { .. }) => self.noted(purpose, bounded().await),
                outcome => outcome,
            }
        })
    }

    /// Writes a batch; the position is moved once its refusals are kept.
    pub(super) async fn write(
        &self,
        generation: &Generation,
        batch: &[IndexOp],
    ) -> Result<Applied, ElasticError> {
        let mut refused = Vec::new();
        let items = self.items(generation.layout, batch, &mut refused);
        let target = Target {
            index: &generation.name,
            must_be_alias: generation.is_alias(),
        };
        let mut pace = *locked(&self.pace);
        let written = bulk::write(&self.server, target, &mut pace, items, self.patience()).await;
        *locked(&self.pace) = pace;
        refused.extend(
            written?
                .into_iter()
                .map(|(at, reason)| (at, RefusalReason::Backend(reason))),
        );
        refused.sort_by_key(|(at, _)| *at);
        let named = |(at, reason): (usize, RefusalReason)| {
            let did = batch.get(at)?.did().to_owned();
            Some(Refused { did, reason })
        };
        Ok(Applied {
            refused: refused.into_iter().filter_map(named).collect(),
        })
    }

    /// The lines of a batch. Of several operations on one document only the last counts, because
    /// documents of one batch are written in any order.
    fn items(
        &self,
        layout: Layout,
        batch: &[IndexOp],
        refused: &mut Vec<(usize, RefusalReason)>,
    ) -> Vec<Item> {
        // The server waits meanwhile, so all processors make lines.
        let makers = std::thread::available_parallelism().map_or(1, NonZero::get);
        let part = batch.len().div_ceil(makers).max(MAKER_OPS_MIN);
        let made: Vec<_> = std::thread::scope(|scope| {
            let lines = |ops: &[IndexOp]| -> Vec<_> {
                let owner = &self.settings.owner;
                let mut maker = Maker::new(layout, owner, &self.shapes, &self.templates);
                let mut lines = |op| maker.lines(op, self.keeps_out(op));
                ops.iter().map(&mut lines).collect()
            };
            let (first, rest) = batch.split_at(part.min(batch.len()));
            let others: Vec<_> = rest
                .chunks(part)
                .map(|ops| scope.spawn(move || lines(ops)))
                .collect();
            let mut made = lines(first);
            for other in others {
                let made_there = other.join();
                made.extend(made_there.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            made
        });
        let kept_out = batch.iter().filter(|op| self.keeps_out(op)).count();
        self.kept_out.fetch_add(kept_out as u64, Ordering::Relaxed);
        let mut last: HashMap<&str, Item> = HashMap::with_capacity(batch.len());
        for (at, (op, lines)) in batch.iter().zip(made).enumerate() {
            match lines {
                Ok(lines) => {
                    last.insert(op.did(), Item { at, lines });
                }
                Err(reason) => refused.push((at, reason)),
            }
        }
        let mut items: Vec<Item> = last.into_values().collect();
        items.sort_by_key(|item| item.at);
        items
    }

    /// Whether the server isn't to have this document.
    fn keeps_out(&self, op: &IndexOp) -> bool {
        let IndexOp::Upsert { envelope, .. } = op else {
            return false;
        };
        envelope.readers != Readers::Public && self.settings.private_kept_out().is_some()
    }

    /// Makes what was written before this call searchable, unless it is.
    async fn freshen(
        &self,
        generation: &Generation,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        let place = self.place();
        self.freshness.freshen(place, generation, patience).await
    }

    async fn ask(
        &self,
        generation: &Generation,
        route: &str,
        body: &Value,
    ) -> Result<Value, ElasticError> {
        let path = format!("/{}/{route}", generation.name);
        let request = Request {
            method: Method::POST,
            path: &path,
            body: Some(body.to_string().into()),
            what: "search",
        };
        self.server.json(&request, Patience::SEARCH).await
    }

    async fn find(&self, generation: &Generation, query: &Query) -> Result<Value, IndexError> {
        let speaker = self.speaker(generation.layout);
        let mut body = json!({
            "query": speaker.query(query)?,
            "sort": speaker.sort(query)?,
            "size": match query.limit { 0 => 0, limit => limit + 1 },
            // The whole source, though the envelope is longer than the document: servers that filter it
            // change the order of members.
            "track_total_hits": true,
        });
        if !query.facets.is_empty() {
            body["aggs"] = speaker.facets(&query.facets);
        }
        match &query.position {
            Position::After(cursor) => {
                body["search_after"] = Value::from(speaker.after(cursor, query));
            }
            Position::Offset(offset) => {
                let deep = generation.layout == Layout::Guessed
                    && offset + query.limit + 1 > GUESSED_WINDOW;
                match deep {
                    false => body["from"] = json!(offset),
                    true => match self.place_at(generation, &body, *offset).await? {
                        Some(place) => body["search_after"] = place,
                        // Past the end: only totals.
                        None => body["size"] = json!(0),
                    },
                }
            }
        }
        let route = "_search?allow_partial_search_results=false";
        self.ask(generation, route, &body)
            .await
            .map_err(failed("search"))
    }

    /// The place after so many hits, walked to in steps that any index takes.
    async fn place_at(
        &self,
        generation: &Generation,
        search: &Value,
        offset: usize,
    ) -> Result<Option<Value>, IndexError> {
        let mut body = json!({"query": search["query"], "sort": search["sort"], "_source": false});
        let mut left = offset;
        while left > 0 {
            let step = left.min(GUESSED_WINDOW);
            body["size"] = json!(step);
            let route = "_search?allow_partial_search_results=false&filter_path=hits.hits.sort";
            let answer = self
                .ask(generation, route, &body)
                .await
                .map_err(failed("search"))?;
            let found = answer["hits"]["hits"].as_array();
            match found.and_then(|hits| hits.get(step - 1)) {
                Some(hit) => body["search_after"] = hit["sort"].clone(),
                None => return Ok(None),
            }
            left -= step;
        }
        Ok(Some(body["search_after"].take()))
    }

    /// Runs a search on what is in force, everything that was written included.
    fn searched(&self, query: &Query) -> Result<Value, IndexError> {
        // The inner result is the query's fault, the outer one the server's.
        let found = self.on_present(Purpose::Search, async |present| {
            self.freshen(present, Patience::SEARCH).await?;
            match self.find(present, query).await {
                Err(IndexError::Backend { source, action }) => {
                    match source.downcast::<ElasticError>() {
                        Ok(error) => Err(*error),
                        Err(source) => Ok(Err(IndexError::Backend { source, action })),
                    }
                }
                outcome => Ok(outcome),
            }
        });
        found.map_err(failed("search"))?
    }
}

impl Index for ElasticIndex {
    /// The batch is not one step on a server: a failure may leave a part of it there, which is
    /// written again with the rest. Of a backlog the position is one batch behind.
    fn apply_keeping(
        &self,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError> {
        let inner = &self.inner;
        let patience = inner.patience();
        let outcome = inner.server.wait(async {
            let present = inner.present(patience).await?;
            let writing = inner.write(&present, batch);
            let (applied, position) = futures_util::join!(writing, inner.position_written());
            position?;
            Ok((present, applied?))
        });
        let (present, applied) = inner
            .noted(Purpose::Write, outcome)
            .map_err(failed("write a batch"))?;
        applied.keep_refused(keep)?;
        inner.freshness.wrote();
        if batch.len() > FRESH_OPS_MAX {
            inner.write_position_behind(present, cursor);
            return Ok(applied);
        }
        let outcome = inner.server.wait(async {
            let place = inner.place();
            place.set_position(&present, cursor, patience).await?;
            inner.freshen(&present, patience).await
        });
        inner
            .noted(Purpose::Write, outcome)
            .map_err(failed("write the position"))?;
        Ok(applied)
    }

    fn cursor(&self) -> Result<u64, IndexError> {
        let inner = &self.inner;
        // What stands there counts, whatever became of the last one.
        let _ = inner.server.wait(inner.position_written());
        let position = inner.on_present(Purpose::Read, async |present| {
            inner.place().position(present, Patience::SEARCH).await
        });
        let position = position.map_err(failed("read the position"))?;
        match position.is_of(&inner.settings.store) {
            true => Ok(position.number),
            false => Err(IndexError::OtherStore),
        }
    }

    fn search(&self, query: &Query) -> Result<Page, IndexError> {
        query.check()?;
        let mut answer = self.inner.searched(query)?;
        hits::page(query, &self.inner.templates, &mut answer)
    }

    fn count(&self, query: &Query) -> Result<u64, IndexError> {
        let counted = Query {
            limit: 0,
            position: Position::Offset(0),
            facets: Vec::new(),
            ..query.clone()
        };
        query.check()?;
        hits::total(&self.inner.searched(&counted)?)
    }

    fn holdings(&self, after: Option<&str>, limit: usize) -> Result<Vec<Holding>, IndexError> {
        let inner = &self.inner;
        let query = Query {
            access: Access::Everything,
            sort: vec![SortKey::field(FieldPath::did(), Direction::Ascending)],
            ..Query::of(Condition::Everything)
        };
        let found = inner.on_present(Purpose::Read, async |present| {
            inner.freshen(present, Patience::SEARCH).await?;
            let speaker = inner.speaker(present.layout);
            let of_ours = |error: crate::error::QueryError| ElasticError::Malformed {
                what: "list what the index holds",
                reason: error.to_string(),
            };
            let fields = ["did", "version", "by.oip/recordType"];
            let mut body = json!({
                "query": speaker.query(&query).map_err(of_ours)?,
                "sort": speaker.sort(&query).map_err(of_ours)?,
                "size": limit,
                "_source": fields.map(|field| format!("{}.{field}", envelope::MEMBER)),
            });
            if let Some(after) = after {
                let place = envelope::shown(present.layout, after);
                body["search_after"] = json!([place, place]);
            }
            inner
                .ask(present, "_search?allow_partial_search_results=false", &body)
                .await
        });
        let answer = found.map_err(failed("list what the index holds"))?;
        let hits = answer["hits"]["hits"].as_array();
        Ok(hits.into_iter().flatten().map(hits::holding).collect())
    }

    fn status(&self) -> IndexStatus {
        let inner = &self.inner;
        let flavour = locked(&inner.flavour).clone();
        let present = locked(&inner.present).clone();
        let wanted = mapping::version(&inner.templates);
        let kept_out = match inner.kept_out.load(Ordering::Relaxed) {
            0 => None,
            _ => inner.settings.private_kept_out().map(str::to_owned),
        };
        IndexStatus {
            backend: flavour.unwrap_or_else(|| "search server".to_owned()),
            mapping: match &present {
                Some(present) if present.layout == Layout::Ours => present.mapping.clone(),
                Some(_) => locked(&inner.seen_mapping).clone(),
                None => String::new(),
            },
            // An index that another program made is left as it is until the operator says otherwise.
            rebuild_due: present
                .filter(|present| present.layout == Layout::Ours && present.mapping != wanted)
                .map(|_| "the templates or this program's mapping have changed".to_owned()),
            trouble: inner.standing.trouble(),
            kept_out,
        }
    }

    fn look(&self) -> Result<(), IndexError> {
        let inner = &self.inner;
        let looked = inner.on_present(Purpose::Read, async |present| {
            if present.layout == Layout::Guessed {
                let mapping = inner.place().mapping(present, Patience::SEARCH).await?;
                *locked(&inner.seen_mapping) = mapping;
            }
            if inner.settings.private_kept_out().is_some() {
                inner.freshen(present, Patience::SEARCH).await?;
                let ours = [
                    envelope::KEPT_OUT.to_owned(),
                    envelope::owner(&inner.settings.owner),
                ];
                let terms = ours.map(|term| json!({"term": {envelope::TERMS: {"value": term}}}));
                let body = json!({"query": {"bool": {"filter": terms}}});
                let answer = inner.ask(present, "_count", &body).await?;
                let count = answer["count"].as_u64().unwrap_or_default();
                inner.kept_out.store(count, Ordering::Relaxed);
            }
            Ok(())
        });
        looked.map_err(failed("look at the index"))
    }

    fn takes_private(&self) -> bool {
        self.inner.settings.private_kept_out().is_none()
    }

    fn begin_rebuild(&self) -> Result<Box<dyn Rebuild>, IndexError> {
        let inner = &self.inner;
        let made = inner.server.wait(async {
            let present = inner.present(inner.patience()).await?;
            inner.refuse_foreign(&present).await?;
            inner.place().sweep(&present, inner.patience()).await?;
            inner.place().make(&[], inner.patience()).await
        });
        // Whoever asked for it is told; the index in force stays what it is.
        let generation = made
            .inspect_err(|_error| inner.forget())
            .map_err(failed("begin a rebuild"))?;
        Ok(Box::new(ElasticRebuild::new(Arc::clone(inner), generation)))
    }

    fn clear(&self) -> Result<(), IndexError> {
        let inner = &self.inner;
        // Not after the one that clearing writes.
        let _ = inner.server.wait(inner.position_written());
        let cleared = inner.on_present(Purpose::Write, async |present| {
            match present.layout {
                Layout::Ours => {
                    let new = inner.place().make(&[], inner.patience()).await?;
                    inner
                        .place()
                        .put_in_force(&new, present, inner.patience())
                        .await?;
                    *locked(&inner.present) = None;
                }
                Layout::Guessed => inner.remove_own(present).await?,
            }
            Ok(())
        });
        cleared.map_err(failed("clear the index"))
    }
}

impl Inner {
    /// An index of another program may hold what is nowhere else.
    pub(super) async fn refuse_foreign(&self, present: &Generation) -> Result<(), ElasticError> {
        if present.layout == Layout::Ours {
            return Ok(());
        }
        match self.place().foreign(present, self.patience()).await? {
            0 => Ok(()),
            documents => Err(ElasticError::ForeignDocuments {
                index: present.concrete.clone(),
                documents,
            }),
        }
    }

    /// Removes this node's documents from an index that isn't ours, and sets the position to 0.
    async fn remove_own(&self, present: &Generation) -> Result<(), ElasticError> {
        // First, so that a clear that breaks off is followed by filling the index and not by a gap.
        self.place()
            .set_position(present, 0, self.patience())
            .await?;
        let own =
            json!({"term": {envelope::TERMS: {"value": envelope::owner(&self.settings.owner)}}});
        loop {
            self.place().refresh(&present.name, self.patience()).await?;
            let body = json!({"query": own, "size": CLEAR_PAGE, "_source": false});
            let answer = self
                .ask(present, "_search?filter_path=hits.hits._id", &body)
                .await?;
            let found = answer["hits"]["hits"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if found.is_empty() {
                return Ok(());
            }
            let removal = |(at, hit): (usize, &Value)| Item {
                at,
                lines: format!("{}\n", json!({"delete": {"_id": hit["_id"]}})).into_bytes(),
            };
            let items = found.iter().enumerate().map(removal).collect();
            let target = Target {
                index: &present.name,
                must_be_alias: present.is_alias(),
            };
            bulk::write(
                &self.server,
                target,
                &mut Pace::default(),
                items,
                self.patience(),
            )
            .await?;
        }
    }
}

impl std::fmt::Debug for ElasticIndex {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ElasticIndex({})", self.inner.settings.address())
    }
}
