//! Writing: `_bulk` requests of a size and number that the server keeps up with.
//!
//! Each document has its own fate: taken, refused for good with the server's reason, or not taken now
//! and sent again. A request that is too long is halved, down to one document, so that a server or proxy
//! with smaller limits is found out by trying.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::error::ElasticError;
use super::server::{Answer, Patience, Request, Server, read_json, reason, refusal};

/// What it is all for, in errors.
const WHAT: &str = "write documents";

/// Bytes of one request: where it begins, and between what it moves. Below, the round trip costs more
/// than the work; above, a server holds a request of this size in memory several times over.
const BYTES_FIRST: usize = 4 * 1024 * 1024;
const BYTES_MIN: usize = 128 * 1024;
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Requests at once: more than a small server has threads to write with only queue up there.
const REQUESTS_FIRST: usize = 2;
const REQUESTS_MAX: usize = 4;

/// An answer within this time means that the server keeps up.
const QUICK: Duration = Duration::from_millis(1_000);
/// An answer after this time means that it doesn't.
const SLOW: Duration = Duration::from_secs(5);

/// First pause after the server said that it can't take more; doubled each time in a row.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// One document to write.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its place in the caller's batch.
    pub(super) at: usize,
    /// The action line and the document, each with its line end.
    pub(super) lines: Vec<u8>,
}

/// How fast the server is taken to be. Kept from one batch to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    bytes: usize,
    requests: usize,
    /// What the server or a proxy before it takes at most, as far as that was found out.
    limit: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            bytes: BYTES_FIRST,
            requests: REQUESTS_FIRST,
            limit: usize::MAX,
        }
    }
}

impl Pace {
    /// Bytes of one request of a batch of so many: the batch is shared by all requests that may be under way, since a
    /// server works on one request with one processor.
    fn request_bytes(&self, batch_bytes: usize) -> usize {
        let share = batch_bytes.div_ceil(self.requests);
        // A little more: whole documents seldom end where a share does, and no rest shall need a request of its own.
        (share + share / 16).max(BYTES_MIN).min(self.bytes)
    }

    fn after(&mut self, took: Duration) {
        if took < QUICK {
            let most = BYTES_MAX.min(self.limit);
            self.bytes = (self.bytes + self.bytes / 4).min(most);
            if self.bytes == most {
                self.requests = (self.requests + 1).min(REQUESTS_MAX);
            }
        } else if took > SLOW {
            self.slower();
        }
    }

    fn slower(&mut self) {
        self.bytes = (self.bytes / 2).max(BYTES_MIN).min(self.limit);
        self.requests = (self.requests / 2).max(1);
    }

    /// A request of this size was too long.
    fn too_long(&mut self, bytes: usize) {
        self.limit = self.limit.min((bytes / 2).max(1));
        self.bytes = self.bytes.min(self.limit);
    }
}

/// What became of a batch's documents: those refused, by place, with the server's reason.
pub(super) type RefusedItems = Vec<(usize, String)>;

/// Where documents go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// An index or an alias.
    pub(super) index: &'a str,
    /// Whether it must be an alias, so that a lost index is not made anew by writing to it.
    pub(super) must_be_alias: bool,
}

/// Writes all items. The order of items is not kept: their versions decide.
///
/// # Errors
/// The server was unreachable, busy or unwilling for longer than `patience`. Some items may have been
/// taken; all can be sent again.
pub(super) async fn write(
    server: &Server,
    target: Target<'_>,
    pace: &mut Pace,
    items: Vec<Item>,
    patience: Patience,
) -> Result<RefusedItems, ElasticError> {
    let path = format!(
        "/{}/_bulk?filter_path=errors,items.*.status,items.*.error{}",
        target.index,
        if target.must_be_alias {
            "&require_alias=true"
        } else {
            ""
        },
    );
    let all_bytes: usize = items.iter().map(|item| item.lines.len()).sum();
    let mut waiting: VecDeque<Item> = items.into();
    let mut refused = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut last_progress = Instant::now();
    let mut pause = PAUSE_FIRST;
    while !waiting.is_empty() || !under_way.is_empty() {
        while under_way.len() < pace.requests && !waiting.is_empty() {
            let part = take(&mut waiting, pace.request_bytes(all_bytes));
            under_way.push(send(server, &path, part));
        }
        let Some((part, took, outcome)) = under_way.next().await else {
            continue;
        };
        let again = match outcome {
            Ok(fates) => {
                let again = sort_out(part, fates, &mut refused)?;
                if again.items.is_empty() {
                    pace.after(took);
                }
                if again.taken > 0 {
                    last_progress = Instant::now();
                    pause = PAUSE_FIRST;
                }
                again
            }
            Err(ElasticError::Refused {
                status: 413,
                reason,
                ..
            }) => match <[Item; 1]>::try_from(part) {
                Ok([alone]) => {
                    refused.push((
                        alone.at,
                        format!("too large for the search server: {reason}"),
                    ));
                    last_progress = Instant::now();
                    continue;
                }
                // By its own size: one long document among short ones says nothing about these.
                Err(part) => {
                    let bytes = part.iter().map(|item| item.lines.len()).sum();
                    pace.too_long(bytes);
                    part.into_iter()
                        .rev()
                        .for_each(|item| waiting.push_front(item));
                    continue;
                }
            },
            Err(error) if error.passes() => Again {
                items: part,
                taken: 0,
                last: Some(error),
            },
            Err(error) => return Err(error),
        };
        if let Some(error) = again.last {
            if last_progress.elapsed() + pause > patience.0 {
                return Err(error);
            }
            pace.slower();
            waiting.extend(again.items);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
    refused.sort();
    Ok(refused)
}

/// Items from the front, as many as a request of this size takes, and at least one.
fn take(waiting: &mut VecDeque<Item>, bytes: usize) -> Vec<Item> {
    let mut part = Vec::new();
    let mut sum = 0;
    while let Some(item) = waiting.front() {
        sum += item.lines.len();
        if sum > bytes && !part.is_empty() {
            break;
        }
        part.extend(waiting.pop_front());
    }
    part
}

type Outcome = (Vec<Item>, Duration, Result<Vec<Fate>, ElasticError>);

async fn send(server: &Server, path: &str, part: Vec<Item>) -> Outcome {
    let mut body = Vec::with_capacity(part.iter().map(|item| item.lines.len()).sum());
    part.iter()
        .for_each(|item| body.extend_from_slice(&item.lines));
    let request = Request {
        method: Method::POST,
        path,
        body: Some(body.into()),
        what: WHAT,
    };
    let started = Instant::now();
    let outcome = match server.once(&request).await {
        Ok(answer) => fates(&answer, part.len()),
        Err(error) => Err(error),
    };
    (part, started.elapsed(), outcome)
}

/// What the server did with one document.
#[derive(Debug)]
enum Fate {
    /// It holds this version, or a newer one.
    Taken,
    /// Not now, or not by us.
    Later(ElasticError),
    /// Never, in its words.
    Refused(String),
}

/// What is read of an answer at first: nearly always all is well, and thousands of items say so.
#[derive(Deserialize)]
struct Written {
    errors: bool,
}

#[derive(Deserialize)]
struct WrittenItems {
    #[serde(default)]
    items: Vec<Value>,
}

fn fates(answer: &Answer, items: usize) -> Result<Vec<Fate>, ElasticError> {
    if !answer.status.is_success() {
        return Err(refusal(WHAT, answer));
    }
    let malformed = |reason: String| ElasticError::Malformed { what: WHAT, reason };
    let written: Written = read_json(WHAT, &answer.body)?;
    if !written.errors {
        return Ok((0..items).map(|_| Fate::Taken).collect());
    }
    let written: WrittenItems = read_json(WHAT, &answer.body)?;
    if written.items.len() != items {
        return Err(malformed(format!(
            "it speaks of {} documents, {items} were sent",
            written.items.len()
        )));
    }
    Ok(written.items.iter().map(fate).collect())
}

fn fate(item: &Value) -> Fate {
    // `{"index": {…}}`: the one member has the name of the action.
    let done = item.as_object().and_then(|item| item.values().next());
    let done = done.unwrap_or(&Value::Null);
    let status = done["status"].as_u64().unwrap_or(500);
    let error = &done["error"];
    let kind = error["type"].as_str().unwrap_or_default();
    match (status, kind) {
        (200..=299, _) => Fate::Taken,
        // Another version conflict there is not: the server holds a newer one.
        (409, _) => Fate::Taken,
        // Deleting what is not there.
        (404, "") => Fate::Taken,
        (404, _) | (_, "index_not_found_exception") => {
            Fate::Later(ElasticError::Lost { what: WHAT })
        }
        (_, "cluster_block_exception") | (429 | 500..=599, _) => Fate::Later(ElasticError::Busy {
            what: WHAT,
            status: u16::try_from(status).unwrap_or(500),
            reason: reason(error),
        }),
        (401 | 403, _) => Fate::Later(ElasticError::Unauthorized {
            what: WHAT,
            status: u16::try_from(status).unwrap_or(403),
            reason: reason(error),
        }),
        _ => Fate::Refused(reason(error)),
    }
}

/// What is to be sent again.
struct Again {
    items: Vec<Item>,
    taken: usize,
    /// Why; there is one where there are items.
    last: Option<ElasticError>,
}

fn sort_out(
    part: Vec<Item>,
    fates: Vec<Fate>,
    refused: &mut RefusedItems,
) -> Result<Again, ElasticError> {
    let mut again = Again {
        items: Vec::new(),
        taken: 0,
        last: None,
    };
    for (item, fate) in part.into_iter().zip(fates) {
        match fate {
            Fate::Taken => again.taken += 1,
            Fate::Refused(reason) => {
                again.taken += 1;
                refused.push((item.at, reason));
            }
            Fate::Later(error) if error.passes() => {
                again.items.push(item);
                again.last = Some(error);
            }
            Fate::Later(error) => return Err(error),
        }
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_document_has_its_own_fate() {
        let fate_of = |item: Value| match fate(&item) {
            Fate::Taken => "taken".to_owned(),
            Fate::Later(error) => format!("later: {error}"),
            Fate::Refused(reason) => format!("refused: {reason}"),
        };
        let failed = |status: u16, kind: &str| json!({"index": {"status": status, "error": {"type": kind, "reason": "because", "caused_by": {"reason": "of this"}}}});
        assert_eq!(fate_of(json!({"index": {"status": 201}})), "taken");
        assert_eq!(fate_of(json!({"delete": {"status": 404}})), "taken");
        assert_eq!(
            fate_of(failed(409, "version_conflict_engine_exception")),
            "taken"
        );
        assert_eq!(
            fate_of(failed(400, "mapper_parsing_exception")),
            "refused: because: of this"
        );
        for (status, kind) in [
            (429, "es_rejected_execution_exception"),
            (503, "unavailable_shards_exception"),
            (403, "cluster_block_exception"),
            (429, "cluster_block_exception"),
        ] {
            assert!(
                fate_of(failed(status, kind)).starts_with("later: write documents"),
                "{kind}"
            );
        }
        assert!(fate_of(failed(404, "index_not_found_exception")).contains("not there any more"));
        assert!(fate_of(failed(403, "security_exception")).contains("ELASTICCLIENTUSERNAME"));
    }

    #[test]
    fn a_pace_moves_within_its_bounds() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.after(Duration::from_millis(10));
        }
        assert_eq!((pace.bytes, pace.requests), (BYTES_MAX, REQUESTS_MAX));
        for _ in 0..100 {
            pace.after(Duration::from_secs(10));
        }
        assert_eq!((pace.bytes, pace.requests), (BYTES_MIN, 1));
        pace.too_long(60_000);
        assert_eq!(pace.bytes, 30_000);
        for _ in 0..100 {
            pace.after(Duration::from_millis(10));
        }
        assert_eq!((pace.bytes, pace.requests), (30_000, REQUESTS_MAX));
        for _ in 0..100 {
            pace.slower();
        }
        assert_eq!(pace.bytes, 30_000);
    }

    #[test]
    fn a_batch_is_shared_by_the_requests_that_may_be_under_way() {
        let mut pace = Pace {
            bytes: BYTES_MAX,
            requests: 4,
            limit: usize::MAX,
        };
        assert_eq!(pace.request_bytes(4_000_000), 1_062_500);
        assert_eq!(pace.request_bytes(40_000_000), BYTES_MAX);
        assert_eq!(pace.request_bytes(200_000), BYTES_MIN);
        pace.too_long(60_000);
        assert_eq!(pace.request_bytes(200_000), 30_000);
    }

    #[test]
    fn a_request_takes_what_fits_and_at_least_one() {
        let item = |at, bytes: usize| Item {
            at,
            lines: vec![b'x'; bytes],
        };
        let mut waiting: VecDeque<Item> = [item(0, 5), item(1, 5), item(2, 50), item(3, 1)].into();
        let places = |part: Vec<Item>| part.iter().map(|item| item.at).collect::<Vec<_>>();
        assert_eq!(places(take(&mut waiting, 10)), [0, 1]);
        assert_eq!(places(take(&mut waiting, 10)), [2]);
        assert_eq!(places(take(&mut waiting, 10)), [3]);
    }
}
