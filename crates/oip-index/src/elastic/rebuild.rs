//! A new index beside the one in force, until it takes its place or is given up.

use std::sync::Arc;

use crate::error::IndexError;
use crate::index::{Applied, IndexOp, KeepRefused, Rebuild};

use super::backend::Inner;
use super::error::{ElasticError, failed};
use super::generations::Generation;
use super::server::Patience;

/// A new index that is being filled.
pub(super) struct ElasticRebuild {
    inner: Arc<Inner>,
    /// Taken when it is finished.
    generation: Option<Generation>,
    /// The position of the last batch, which is written while the next one is, or at the end.
    cursor: Option<u64>,
}

impl ElasticRebuild {
    pub(super) fn new(inner: Arc<Inner>, generation: Generation) -> Self {
        Self {
            inner,
            generation: Some(generation),
            cursor: None,
        }
    }
}

impl ElasticRebuild {
    async fn write_position(&self, generation: &Generation) -> Result<(), ElasticError> {
        let Some(cursor) = self.cursor else {
            return Ok(());
        };
        let (place, patience) = (self.inner.place(), self.inner.patience());
        place.set_position(generation, cursor, patience).await
    }
}

impl Rebuild for ElasticRebuild {
    fn apply_keeping(
        &mut self,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError> {
        let inner = &self.inner;
        let Some(generation) = &self.generation else {
            return Ok(Applied::default());
        };
        let (written, moved) = inner.server.wait(async {
            let writing = inner.write(generation, batch);
            futures_util::join!(writing, self.write_position(generation))
        });
        moved.map_err(failed("write the position"))?;
        let applied = written.map_err(failed("write a batch"))?;
        applied.keep_refused(keep)?;
        self.cursor = Some(cursor);
        Ok(applied)
    }

    fn finish(mut self: Box<Self>) -> Result<(), IndexError> {
        let inner = Arc::clone(&self.inner);
        let Some(new) = self.generation.take() else {
            return Ok(());
        };
        let done = inner.server.wait(async {
            self.write_position(&new).await?;
            // By the name that both have, it would go into the new one.
            let _ = inner.position_written().await;
            let present = inner.present(inner.patience()).await?;
            inner.refuse_foreign(&present).await?;
            inner.place().refresh(&new.name, inner.patience()).await?;
            inner
                .place()
                .put_in_force(&new, &present, inner.patience())
                .await
        });
        inner.forget();
        if done.is_err() {
            self.generation = Some(new);
        }
        done.map_err(failed("put the new index in force"))
    }
}

impl Drop for ElasticRebuild {
    /// Given up: what is left behind is swept by the next one, should this fail.
    fn drop(&mut self) {
        let Some(generation) = self.generation.take() else {
            return;
        };
        let inner = Arc::clone(&self.inner);
        // Not on this thread, which may be one that must not block.
        let removing = std::thread::Builder::new().name("search-server-sweep".to_owned());
        let removal = removing.spawn(move || {
            let removed = inner
                .server
                .wait(inner.place().remove(&generation.concrete, Patience::SEARCH));
            if let Err(error) = removed {
                tracing::warn!(error = %error.told(), "an index that was not finished is left behind");
            }
        });
        if let Err(error) = removal {
            tracing::warn!(%error, "an index that was not finished is left behind");
        }
    }
}
