//! The server's answer as a page.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cursor::Cursor;
use crate::error::IndexError;
use crate::highlight::Highlighter;
use crate::index::{Hit, Holding, Page};
use crate::query::{Facet, FacetCounts, FacetRequest, FacetValue, Query, SortBy};
use crate::templates::Templates;

use super::envelope::MEMBER;
use super::error::ElasticError;
use super::translate::{cursor_key, facet_name};
use super::version;

/// A page of an answer to a request for one hit more than the query wants.
pub(super) fn page(
    query: &Query,
    templates: &Templates,
    answer: &mut Value,
) -> Result<Page, IndexError> {
    let total = total(answer)?;
    let Value::Array(mut found) = answer["hits"]["hits"].take() else {
        return Err(malformed("it has no hits"));
    };
    let has_more = found.len() > query.limit;
    found.truncate(query.limit);
    let last_place = found.last().map(|hit| hit["sort"].clone());
    let scored = query.order().iter().any(|key| key.by == SortBy::Relevance);
    let mut hits: Vec<Hit> = found
        .into_iter()
        .map(|hit| read_hit(hit, scored))
        .collect::<Result<_, _>>()?;
    if let Some(highlight) = &query.highlight {
        let highlighter = Highlighter::new(&query.condition, highlight, templates);
        for hit in &mut hits {
            hit.highlights = highlighter.highlight(&hit.document);
        }
    }
    let next = match (has_more, last_place, hits.last()) {
        (true, Some(Value::Array(places)), Some(last)) => {
            let keys = query.order().len();
            let keys = places.iter().take(keys).map(cursor_key).collect();
            Some(Cursor::after(query, keys, last.did.clone()))
        }
        _ => None,
    };
    Ok(Page {
        total,
        hits,
        next,
        facets: facets(&query.facets, answer),
    })
}

/// How many fit in all.
pub(super) fn total(answer: &Value) -> Result<u64, IndexError> {
    let total = answer["hits"]["total"]["value"].as_u64();
    total.ok_or_else(|| malformed("it has no total"))
}

fn malformed(reason: &str) -> IndexError {
    super::error::failed("search")(ElasticError::Malformed {
        what: "search",
        reason: reason.to_owned(),
    })
}

fn read_hit(mut hit: Value, scored: bool) -> Result<Hit, IndexError> {
    let score = hit["_score"].as_f64().map(|score| score as f32);
    let Value::Object(mut source) = hit["_source"].take() else {
        return Err(malformed("a hit has no document"));
    };
    let mut envelope = match source.remove(MEMBER) {
        Some(Value::Object(envelope)) => envelope,
        _ => Map::new(),
    };
    let did = text(&envelope, "did");
    let document = match envelope.remove("document") {
        Some(Value::String(whole)) => {
            serde_json::from_str(&whole).map_err(|error| IndexError::Damaged {
                did: did.clone(),
                source: error.into(),
            })?
        }
        _ => Value::Object(source),
    };
    Ok(Hit {
        did,
        score: score.filter(|_| scored),
        document: Arc::new(document),
        highlights: Vec::new(),
    })
}

fn text(members: &Map<String, Value>, name: &str) -> String {
    members
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn facets(requests: &[FacetRequest], answer: &Value) -> Vec<FacetCounts> {
    let counts = |(at, request): (usize, &FacetRequest)| {
        let buckets = answer["aggregations"][facet_name(at)]["buckets"].as_array();
        let values = buckets
            .into_iter()
            .flatten()
            .filter_map(|bucket| {
                let key = bucket["key"].as_str()?;
                let value = match (request.facet, key.strip_prefix('=')) {
                    (_, Some(value)) => Some(value.to_owned()),
                    (Facet::Node, None) => None,
                    (_, None) => return None,
                };
                Some(FacetValue {
                    value,
                    documents: bucket["doc_count"].as_u64()?,
                })
            })
            .collect();
        FacetCounts {
            facet: request.facet,
            values,
        }
    };
    requests.iter().enumerate().map(counts).collect()
}

/// One document as the comparison with the store sees it.
pub(super) fn holding(hit: &Value) -> Holding {
    let envelope = &hit["_source"][MEMBER];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let record_type = text(&envelope["by"]["oip/recordType"][0]);
    Holding {
        did: text(&envelope["did"]),
        record_type: record_type.strip_prefix('=').unwrap_or_default().to_owned(),
        version: envelope["version"].as_str().and_then(version::read),
    }
}
