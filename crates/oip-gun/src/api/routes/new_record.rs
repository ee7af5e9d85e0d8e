//! `POST /api/records/newRecord`: publishes a record, or a new version of one.
//!
//! The body is the record in user form. `storage`, `blockchain` and `localId` are also taken from
//! the body when they are texts there, as deployed clients send them; they are not stored.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use oip_node::{PrivateError, PublishError, Published, Submission};
use oip_record::json;
use oip_record::publish::Refusal;
use oip_record::template::ShapeError;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::callers::MayWrite;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::{Parameters, shown};
use super::super::state::ApiState;
use super::signed_record::{SignedRecord, keep_user_keys, user_keys};

const KNOWN: &[&str] = &["recordType", "localId", "storage", "blockchain", ACCESS];
/// Asks for privacy from outside the record.
const ACCESS: &str = "accessControl";
/// Request parameters that deployed clients also put into the body.
const IN_BODY: [&str; 3] = ["storage", "blockchain", "localId"];
/// The signed records by which users name their encryption keys: a list beside the templates, which are objects.
const KEYS: &str = "encryptionKeys";
/// The only storage of this node.
const STORAGE: &str = "gun";

/// The answer: what is durable and found by its DID at once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct NewRecordAnswer {
    /// The record as this node indexes it: `{data, oip}`.
    #[schema(value_type = Object)]
    record_to_index: Value,
    /// Always `gun`.
    #[schema(example = "gun")]
    storage: &'static str,
    /// The record's DID: `did:gun:<soul>`.
    #[schema(example = "did:gun:5b1fd0c7a9e2:note-1")]
    did: String,
    /// The record's soul on the graph.
    #[schema(example = "5b1fd0c7a9e2:note-1")]
    soul: String,
    /// Whether the record lies on the graph as ciphertext.
    encrypted: bool,
}

/// Publish a record
///
/// The same `localId` again is a new version of the same record. A record that asks for privacy by any
/// of its flags is sealed to this node and to everyone whom its access control names, or refused. A
/// body of `{"data": {…}, "oip": {…}}` in the sealed form is taken as its maker sealed it. `encryptionKeys` beside the
/// templates is a list of signed records by which users name their encryption keys, for those whose are not known here.
#[utoipa::path(
    post,
    path = "/api/records/newRecord",
    tag = "records",
    params(
        ("recordType" = String, Query, description = "Type of the record, such as `post`"),
        ("localId" = Option<String>, Query, description = "The record's name among its creator's records; the same name again is an edit"),
        ("storage" = Option<String>, Query, description = "`gun`, the only storage of this node"),
        ("blockchain" = Option<String>, Query, description = "Has no meaning for `storage=gun`; taken because deployed clients send it"),
        ("accessControl" = Option<String>, Query, description = "Asks for privacy, as in the record itself")
    ),
    request_body(content = Object, description = "The record: one object per template", example = json!({"basic": {"name": "A note", "language": "en", "tagItems": ["greeting"]}, "post": {"bylineWriter": "Isla"}})),
    responses(
        (status = 200, description = "The record is durable", body = NewRecordAnswer),
        (status = 400, description = "The record or a parameter is refused", body = ErrorBody),
        (status = 401, description = "Writing needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site", body = ErrorBody),
        (status = 413, description = "The record is too large", body = ErrorBody),
        (status = 503, description = "The node is busy", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn new_record(
    MayWrite(owner): MayWrite,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<NewRecordAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), KNOWN)?;
    let record_type = parameters.get("recordType").ok_or_else(|| {
        ApiError::bad_request(
            "record-type-missing",
            "recordType is missing: name the record's type in the query, as in ?recordType=post",
        )
    })?;
    // Held until the record is stored: bounds the memory of all bodies together.
    let body = state.bodies.read(&headers, body).await?;
    let text = body.text.as_str();
    if text.trim().is_empty() {
        return Err(ApiError::bad_request(
            "body-missing",
            "the body is empty: send the record as JSON, such as {\"basic\": {\"name\": \"…\"}}",
        ));
    }
    let mut data = json::parse(text)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))?;
    let (in_body, keys) = match &mut data {
        Value::Object(members) => (parameters_of_body(members), keys_of_body(members)?),
        _ => (Map::new(), Vec::new()),
    };
    check_storage(&parameters, &in_body)?;
    if let Some(sealed) = sealed_by_its_maker(&data) {
        let SignedRecord {
            did,
            record_type: sealed_type,
            data,
            oip,
            ..
        } = sealed?;
        if sealed_type != record_type {
            return Err(ApiError::bad_request(
                "contradiction",
                format!(
                    "recordType is {} in the query, and the record was sealed as {}: name the type that it has",
                    shown(record_type),
                    shown(&sealed_type)
                ),
            ));
        }
        let node = state.node.clone();
        let published = state
            .writes
            .spawn(async move { node.publish_sealed(&did, data, oip).await })
            .await
            .map_err(|error| ApiError::internal("publish the record", &error))?
            .map_err(|error| not_written("publish the record", &error))?;
        return Ok(Json(answer(published)));
    }
    let submission = Submission {
        record_type: record_type.to_owned(),
        local_id: agreed(&parameters, &in_body, "localId")?.map(str::to_owned),
        data,
        params: access_parameters(&parameters),
    };
    let node = state.node.clone();
    let published = state
        .writes
        .spawn(async move {
            keep_user_keys(&node, keys).await?;
            let published = node.publish_as(submission, &owner).await;
            published.map_err(|error| not_written("publish the record", &error))
        })
        .await
        .map_err(|error| ApiError::internal("publish the record", &error))??;
    Ok(Json(answer(published)))
}

/// A body that is a sealed record as it lies on the graph.
fn sealed_by_its_maker(body: &Value) -> Option<Result<SignedRecord, ApiError>> {
    let is_sealed = |record: &SignedRecord| oip_record::SealedForm::is_claimed(&record.form);
    SignedRecord::read(body).filter(|read| read.as_ref().map_or(true, is_sealed))
}

/// What the query says about access. Text that isn't JSON is taken as text.
fn access_parameters(parameters: &Parameters) -> Map<String, Value> {
    let mut access = Map::new();
    if let Some(text) = parameters.get(ACCESS) {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        access.insert(ACCESS.to_owned(), value);
    }
    access
}

fn answer(published: Published) -> NewRecordAnswer {
    NewRecordAnswer {
        record_to_index: published.document,
        storage: STORAGE,
        did: published.did.to_string(),
        soul: published.soul.to_string(),
        encrypted: published.encrypted,
    }
}

/// Takes the request parameters out of the body. Only texts: an object under such a name is a
/// template like any other.
fn parameters_of_body(members: &mut Map<String, Value>) -> Map<String, Value> {
    let mut taken = Map::new();
    for name in IN_BODY {
        if members.get(name).is_some_and(Value::is_string)
            && let Some(value) = members.shift_remove(name)
        {
            taken.insert(name.to_owned(), value);
        }
    }
    taken
}

/// Takes the encryption keys of users out of the body, where they stand as a list.
fn keys_of_body(members: &mut Map<String, Value>) -> Result<Vec<SignedRecord>, ApiError> {
    match members.get(KEYS) {
        Some(Value::Array(_)) => match members.shift_remove(KEYS) {
            Some(Value::Array(given)) => user_keys(&given),
            _ => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}

/// The value of `name` in query and body, which must not contradict each other.
fn agreed<'a>(
    parameters: &'a Parameters,
    in_body: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, ApiError> {
    let body = in_body
        .get(name)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|value| !value.is_empty());
    match (parameters.get(name), body) {
        (Some(query), Some(body)) if query != body => Err(ApiError::bad_request(
            "contradiction",
            format!(
                "{name} is {} in the query and {} in the body: give it once",
                shown(query),
                shown(body)
            ),
        )),
        (query, body) => Ok(query.or(body)),
    }
}

fn check_storage(parameters: &Parameters, in_body: &Map<String, Value>) -> Result<(), ApiError> {
    let storage = agreed(parameters, in_body, "storage")?;
    let blockchain = agreed(parameters, in_body, "blockchain")?;
    match (storage, blockchain) {
        (Some(STORAGE), _) | (None, None) => Ok(()),
        (Some(other), _) => Err(ApiError::bad_request(
            "storage-unsupported",
            format!(
                "storage {} is not supported: this node publishes to gun; give storage=gun or leave it out",
                shown(other)
            ),
        )),
        (None, Some(blockchain)) => Err(ApiError::bad_request(
            "storage-unsupported",
            format!(
                "blockchain {} asks for a storage that is not supported: this node publishes to gun; give storage=gun, or leave blockchain out",
                shown(blockchain)
            ),
        )),
    }
}

/// What a record or tombstone that was not written means to the caller.
pub(super) fn not_written(action: &'static str, error: &PublishError) -> ApiError {
    match error {
        PublishError::Refused(refusal) => {
            let status = match refusal {
                Refusal::Shape(ShapeError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
                Refusal::NotYours => StatusCode::FORBIDDEN,
                Refusal::ClockBehind => StatusCode::CONFLICT,
                Refusal::Key(_) => return ApiError::internal(action, error),
                _ => StatusCode::BAD_REQUEST,
            };
            ApiError::refused(status, refusal.label(), refusal)
        }
        PublishError::Private(private) => {
            let status = match **private {
                PrivateError::Unknown(_) => StatusCode::NOT_FOUND,
                PrivateError::NotOwner(_) | PrivateError::NotOurs(_) | PrivateError::OwnerNamed => {
                    StatusCode::FORBIDDEN
                }
                PrivateError::NeedsToken(_) => StatusCode::UNAUTHORIZED,
                PrivateError::NotNewer => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            };
            ApiError::refused(status, private.label(), private)
        }
        PublishError::Busy => ApiError::busy(error.to_string()),
        _ => ApiError::internal(action, error),
    }
}
