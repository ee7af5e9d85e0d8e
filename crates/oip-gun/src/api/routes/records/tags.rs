//! `summarizeTags`: the tags of all that fits, a page of them, and the records that have one of these.

use oip_index::query::FACET_VALUES_MAX;
use oip_index::{Condition, Facet, FacetRequest, MatchMode, Query};

use super::super::super::error::ApiError;
use super::super::super::state::ApiState;
use super::answer::TagEntry;
use super::asked::TagPage;

/// Counts the tags, and narrows the query to the records that have one of this page. Gives the page, and how
/// many tags there are.
pub(super) async fn summarize(
    state: &ApiState,
    page: TagPage,
    query: &mut Query,
) -> Result<(Vec<TagEntry>, usize), ApiError> {
    let counting = Query {
        condition: query.condition.clone(),
        access: query.access.clone(),
        limit: 0,
        facets: vec![FacetRequest {
            facet: Facet::Tag,
            values_max: FACET_VALUES_MAX,
        }],
        ..Query::default()
    };
    let counts = super::search(state, counting).await?.facets;
    let all = counts.into_iter().flat_map(|counts| counts.values);
    let all: Vec<TagEntry> = all
        .filter_map(|value| {
            Some(TagEntry {
                tag: value.value?,
                count: value.documents,
            })
        })
        .collect();
    let count = all.len();
    let shown: Vec<TagEntry> = all.into_iter().skip(page.skip).take(page.take).collect();
    let tags: Vec<String> = shown.iter().map(|entry| entry.tag.clone()).collect();
    let having = match tags.is_empty() {
        true => Condition::Any(Vec::new()),
        false => Condition::Tags {
            tags,
            mode: MatchMode::Any,
        },
    };
    let condition = std::mem::replace(&mut query.condition, Condition::Everything);
    query.condition = condition.and(having);
    Ok((shown, count))
}
