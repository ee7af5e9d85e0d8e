//! The embedded index: the generation that counts, searches in it, and its replacement.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use tantivy::collector::Count;
use tantivy::schema::Value as _;
use tantivy::{DocAddress, Searcher, TantivyDocument};

use super::counting::{self, Counting};
use super::folder::Folder;
use super::generation::{self, Generation, backend_failed};
use super::holdings;
use super::matching::Matching;
use super::ranking::{Place, Ranking, Top};
use super::schema::{FORMAT_VERSION, Fields, Types};
use crate::cursor::Cursor;
use crate::error::IndexError;
use crate::highlight::Highlighter;
use crate::index::{
    Applied, Hit, Holding, Index, IndexOp, IndexStatus, KeepRefused, Page, Rebuild,
};
use crate::query::{Position, Query};
use crate::templates::Templates;

/// A search index in a folder. Dropping it frees the folder.
pub struct EmbeddedIndex {
    inner: Arc<Inner>,
}

struct Inner {
    fields: Fields,
    types: Types,
    /// The mapping of this program and its templates.
    mapping: String,
    live: RwLock<Arc<Generation>>,
    /// Last, so that the folder is freed after everything that writes to it.
    folder: Folder,
}

impl EmbeddedIndex {
    /// Opens the index in a folder with the templates that ship with the program.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        Self::open_with(path, Templates::known())
    }

    /// Opens the index in a folder, or makes an empty one where there is none, where it has
    /// another format, or where it is broken. A cursor of 0 says that it has to be filled. One that was made
    /// with other templates serves as it is, and says that it should be rebuilt.
    ///
    /// # Errors
    /// [`IndexError::Locked`] when another process uses the folder; failures to write to it.
    pub fn open_with(path: &Path, templates: Templates) -> Result<Self, IndexError> {
        let folder = Folder::open(path)?;
        let mapping = format!("{FORMAT_VERSION}-{}", templates.version());
        let live = generation::open_or_replace(&folder, &mapping)?;
        let (_, fields) = Fields::build();
        Ok(Self {
            inner: Arc::new(Inner {
                fields,
                types: Types::new(templates),
                mapping,
                live: RwLock::new(Arc::new(live)),
                folder,
            }),
        })
    }
}

impl Inner {
    /// Threads of ours don't panic while they hold this lock, and if one did, the handle is whole.
    fn live(&self) -> Arc<Generation> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&live)
    }

    fn set_live(&self, generation: Generation) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(generation);
    }

    fn matching(&self) -> Matching<'_> {
        Matching {
            fields: &self.fields,
            types: &self.types,
        }
    }

    fn hit(
        &self,
        searcher: &Searcher,
        ranking: &Ranking,
        places: &[Place],
        address: DocAddress,
    ) -> Result<Hit, IndexError> {
        let stored: TantivyDocument = searcher
            .doc(address)
            .map_err(backend_failed("read a document"))?;
        let text = |field| stored.get_first(field).and_then(|value| value.as_str());
        let did = text(self.fields.did).unwrap_or_default().to_owned();
        let document: Value = serde_json::from_str(text(self.fields.document).unwrap_or_default())
            .map_err(|error| IndexError::Damaged {
                did: did.clone(),
                source: error.into(),
            })?;
        Ok(Hit {
            did,
            score: ranking.score(places),
            document: Arc::new(document),
            highlights: Vec::new(),
        })
    }
}

impl Index for EmbeddedIndex {
    fn apply_keeping(
        &self,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError> {
        let live = self.inner.live();
        live.apply(&self.inner.types, batch, cursor, keep)
    }

    fn cursor(&self) -> Result<u64, IndexError> {
        Ok(self.inner.live().cursor())
    }

    fn search(&self, query: &Query) -> Result<Page, IndexError> {
        query.check()?;
        let inner = &*self.inner;
        let (offset, after) = match &query.position {
            Position::Offset(offset) => (*offset, None),
            Position::After(cursor) => (0, Some(cursor)),
        };
        let matcher = inner.matching().query(query)?;
        let ranking = Ranking::by(&inner.types, &query.order())?;
        let top = Top {
            ranking: &ranking,
            // One more tells whether there is a next page.
            take: match query.limit {
                0 => 0,
                limit => offset + limit + 1,
            },
            after,
        };
        let searcher = inner.live().searcher();
        let found = match query.facets.is_empty() {
            true => searcher
                .search(&matcher, &top)
                .map(|ranked| (ranked, Vec::new())),
            false => searcher.search(&matcher, &(top, Counting(&query.facets))),
        };
        let (ranked, counts) = found.map_err(backend_failed("search"))?;
        let on_page = ranked.first.iter().skip(offset).take(query.limit);
        let mut hits = on_page
            .map(|(places, address)| inner.hit(&searcher, &ranking, places, *address))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(highlight) = &query.highlight {
            let highlighter = Highlighter::new(&query.condition, highlight, &inner.types.templates);
            for hit in &mut hits {
                hit.highlights = highlighter.highlight(&hit.document);
            }
        }
        let more = ranked.first.len() > offset + hits.len();
        let last = (offset + hits.len())
            .checked_sub(1)
            .and_then(|at| ranked.first.get(at));
        let next = match (hits.last(), last) {
            (Some(hit), Some((places, _))) if more => {
                Some(Cursor::after(query, ranking.cursor_keys(places), &hit.did))
            }
            _ => None,
        };
        Ok(Page {
            total: ranked.total,
            hits,
            next,
            facets: counting::answer(&query.facets, counts),
        })
    }

    fn count(&self, query: &Query) -> Result<u64, IndexError> {
        query.check()?;
        let matcher = self.inner.matching().query(query)?;
        self.inner
            .live()
            .searcher()
            .search(&matcher, &Count)
            .map(|count| count as u64)
            .map_err(backend_failed("count"))
    }

    fn holdings(&self, after: Option<&str>, limit: usize) -> Result<Vec<Holding>, IndexError> {
        let searcher = self.inner.live().searcher();
        holdings::page(&searcher, &self.inner.fields, after, limit)
            .map_err(backend_failed("list the documents"))
    }

    fn status(&self) -> IndexStatus {
        let live = self.inner.live();
        IndexStatus {
            backend: "embedded".to_owned(),
            rebuild_due: (live.mapping != self.inner.mapping)
                .then(|| "it was made with other templates".to_owned()),
            mapping: live.mapping.clone(),
            trouble: None,
            kept_out: None,
        }
    }

    fn tidy(&self) -> Result<bool, IndexError> {
        self.inner.live().tidy()
    }

    fn may_be_damaged(&self) -> bool {
        true
    }

    fn begin_rebuild(&self) -> Result<Box<dyn Rebuild>, IndexError> {
        let inner = Arc::clone(&self.inner);
        // One that was begun before and not finished lies there as a file nobody writes to any more.
        inner.folder.sweep(inner.live().number);
        let made = generation::make(&inner.folder, &inner.mapping)?;
        Ok(Box::new(EmbeddedRebuild {
            inner,
            made: Some(made),
        }))
    }

    fn clear(&self) -> Result<(), IndexError> {
        let inner = &*self.inner;
        inner.set_live(generation::replace(&inner.folder, &inner.mapping)?);
        Ok(())
    }
}

/// A generation that is being filled beside the live one.
struct EmbeddedRebuild {
    inner: Arc<Inner>,
    /// Until it is finished.
    made: Option<Generation>,
}

impl Rebuild for EmbeddedRebuild {
    fn apply_keeping(
        &mut self,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError> {
        match &self.made {
            Some(made) => made.apply(&self.inner.types, batch, cursor, keep),
            None => Ok(Applied::default()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), IndexError> {
        if let Some(made) = self.made.take() {
            let number = made.number;
            self.inner.folder.set_current(number, &made.mapping)?;
            self.inner.set_live(made);
            self.inner.folder.sweep(number);
        }
        Ok(())
    }
}

impl Drop for EmbeddedRebuild {
    fn drop(&mut self) {
        if self.made.take().is_some() {
            self.inner.folder.sweep(self.inner.live().number);
        }
    }
}
