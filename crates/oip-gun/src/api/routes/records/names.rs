//! `noDuplicates`: of records with the same name the first alone. Deployed lists of equipment and the like hold the same
//! thing several times, published by several people.

use std::collections::HashSet;

use axum::http::StatusCode;
use oip_index::query::PAGE_HITS_MAX;
use oip_index::{Page, Position, Query};
use serde_json::Value;

use super::super::super::error::ApiError;
use super::super::super::state::ApiState;

/// Records that one answer goes through: all that fit must be looked at for the totals to be right.
const RECORDS_MAX: u64 = 10_000;

/// The page of what fits, without those whose name an earlier one has. Records without a name stay.
pub(super) async fn once(state: &ApiState, query: Query, page: usize) -> Result<Page, ApiError> {
    let limit = query.limit;
    let mut wanted = Query {
        limit: PAGE_HITS_MAX,
        position: Position::Offset(0),
        ..query
    };
    let (first, last) = ((page - 1).saturating_mul(limit), page.saturating_mul(limit));
    let (mut names, mut shown, mut hits) = (HashSet::new(), 0, Vec::new());
    let mut facets = None;
    loop {
        let part = super::search(state, wanted.clone()).await?;
        if part.total > RECORDS_MAX {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "query-too-large",
                format!(
                    "noDuplicates goes through {RECORDS_MAX} records at most, and {} fit; narrow the query, for instance with recordType",
                    part.total
                ),
            ));
        }
        // Counted over all that fit, so that the first part has them all.
        facets.get_or_insert(part.facets);
        wanted.facets.clear();
        for hit in part.hits {
            let name = hit
                .document
                .pointer("/data/basic/name")
                .and_then(Value::as_str);
            if name.is_some_and(|name| !names.insert(name.to_owned())) {
                continue;
            }
            if (first..last).contains(&shown) {
                hits.push(hit);
            }
            shown += 1;
        }
        match part.next {
            Some(next) => wanted.position = Position::After(next),
            None => break,
        }
    }
    Ok(Page {
        total: shown as u64,
        hits,
        next: None,
        facets: facets.unwrap_or_default(),
    })
}
