//! `GET /api/records/recordTypes`: the types that this node holds, with counts.

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::callers::Reader;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::Parameters;
use super::super::state::ApiState;
use crate::http::NothingPrivate;

/// The types, the most frequent first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct RecordTypesAnswer {
    record_types: Vec<TypeCount>,
    /// How many records this node holds in all.
    total_records: u64,
}

/// A type and the number of its records.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TypeCount {
    #[serde(rename = "type")]
    #[schema(example = "post")]
    name: String,
    count: u64,
}

/// Record types with counts
#[utoipa::path(
    get,
    path = "/api/records/recordTypes",
    tag = "records",
    responses(
        (status = 200, description = "The types, the most frequent first", body = RecordTypesAnswer),
        (status = 400, description = "An unknown parameter", body = ErrorBody)
    )
)]
pub(in super::super) async fn record_types(
    reader: Reader,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<(Extension<NothingPrivate>, Json<RecordTypesAnswer>), ApiError> {
    Parameters::read(query.as_deref(), &[])?;
    let access = reader.access(&state).await;
    let (types, total_records) = state
        .node
        .record_types(&access)
        .await
        .map_err(|error| ApiError::internal("count the records", &error))?;
    // What types there are is said in clear of every record.
    let answer = RecordTypesAnswer {
        record_types: types
            .into_iter()
            .map(|(name, count)| TypeCount { name, count })
            .collect(),
        total_records,
    };
    Ok((Extension(NothingPrivate), Json(answer)))
}
