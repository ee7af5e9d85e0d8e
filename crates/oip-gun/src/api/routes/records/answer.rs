//! The answer of `GET /api/records`: its shape, and how counts and what was found are written into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use oip_index::{FacetCounts, Fragment, Fragments, Hit};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The page, in the deployed shape.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super::super) struct RecordsAnswer {
    pub(super) message: &'static str,
    /// Always null: this node follows no chain.
    #[serde(rename = "latestArweaveBlockInDB")]
    #[schema(value_type = Option<u64>)]
    pub(super) latest_arweave_block_in_db: Value,
    /// Always null: this node follows no chain.
    #[schema(value_type = Option<String>)]
    pub(super) indexing_progress: Value,
    /// How many records this node holds in all.
    pub(super) total_records: u64,
    pub(super) page_size: usize,
    pub(super) current_page: usize,
    /// How many records fit the query, on all pages.
    pub(super) search_results: u64,
    /// The parameters that were taken, as given.
    #[schema(value_type = Object)]
    pub(super) query_params: Map<String, Value>,
    pub(super) total_pages: u64,
    /// The records of this page: `{data, oip}` each.
    #[schema(value_type = Vec<Object>)]
    pub(super) records: Vec<Arc<Value>>,
    /// Where the next page begins, for the parameter `cursor`; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
    /// The counts that were asked for by `facets`: by facet, the most frequent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(super) facets: Option<BTreeMap<&'static str, Vec<FacetEntry>>>,
    /// What was found, where `highlight` asks for it: an entry for each record, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) highlights: Option<Vec<Highlights>>,
    /// With `summarizeTags`: tags and how many records have them, the most frequent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag_summary: Option<Vec<TagEntry>>,
    /// With `summarizeTags`: how many different tags there are; a thousand stands for as many or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag_count: Option<usize>,
    /// Parameters that this call doesn't know, if there were any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ignored_params: Vec<String>,
    /// True where references were left as they are because the answer would have become too large.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) references_bounded: bool,
    pub(super) auth: Auth,
}

/// A value and how many records have it.
#[derive(Serialize, ToSchema)]
pub(in super::super::super) struct FacetEntry {
    value: String,
    count: u64,
}

/// A tag and how many records have it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in super::super::super) struct TagEntry {
    pub(super) tag: String,
    pub(super) count: u64,
}

/// What was found in one record.
#[derive(Serialize, ToSchema)]
pub(in super::super::super) struct Highlights {
    did: String,
    /// Fragments by field, as HTML text: what was found stands in `<em>`, everything else is escaped.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Vec<String>>,
}

/// Whether the call carried credentials of this node.
#[derive(Serialize, ToSchema)]
pub(in super::super::super) struct Auth {
    pub(super) authenticated: bool,
    /// Who the token is of, `{userId, publicKey}`; null for everyone else.
    #[schema(value_type = Option<Object>)]
    pub(super) user: Value,
}

/// The counts of facets, by name.
pub(super) fn counted(
    facets: Vec<FacetCounts>,
    node_id: &str,
) -> BTreeMap<&'static str, Vec<FacetEntry>> {
    facets
        .into_iter()
        .map(|counts| {
            let values = counts.values.into_iter().map(|value| FacetEntry {
                // Only this node's own records have none.
                value: value.value.unwrap_or_else(|| node_id.to_owned()),
                count: value.documents,
            });
            (counts.facet.label(), values.collect())
        })
        .collect()
}

/// What was found in a hit.
pub(super) fn highlights_of(hit: &Hit) -> Highlights {
    let html = |Fragments { field, fragments }: &Fragments| {
        (field.to_string(), fragments.iter().map(marked).collect())
    };
    Highlights {
        did: hit.did.clone(),
        fields: hit.highlights.iter().map(html).collect(),
    }
}

fn marked(fragment: &Fragment) -> String {
    let mut html = String::new();
    let mut at = 0;
    for mark in &fragment.marks {
        escape(&mut html, &fragment.text[at..mark.start]);
        html.push_str("<em>");
        escape(&mut html, &fragment.text[mark.clone()]);
        html.push_str("</em>");
        at = mark.end;
    }
    escape(&mut html, &fragment.text[at..]);
    html
}

fn escape(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}
