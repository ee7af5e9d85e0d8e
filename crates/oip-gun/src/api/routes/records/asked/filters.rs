//! The parameters that are conditions on one record. What can't be a value of its parameter is refused with the cure.

use std::ops::Bound;

use axum::http::StatusCode;
use oip_index::{
    Condition, FieldPath, LastWord, MatchMode, SortBy, SortKey, Spelling, Text, syntax,
};
use oip_record::Did;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::super::super::super::error::ApiError;
use super::super::super::super::parameters::{Parameters, flag, list, number, shown};
use super::fields;

/// Where records have their date, in seconds since 1970: of their own, and of what is planned.
pub(super) use oip_index::templates::DATES_IN_SECONDS as DATES;

/// Where records have the address of what they are about.
const URLS: [&str; 9] = [
    "basic.webUrl",
    "basic.urlItems",
    "basic.urlItems.associatedURLOnWeb.url",
    "associatedURLOnWeb.url",
    "post.webUrl",
    "audio.webUrl",
    "image.webUrl",
    "text.webUrl",
    "video.webUrl",
];

/// Where records have sound.
const SOUNDS: [&str; 3] = ["post.audioItems", "basic.audioItems", "audio"];

/// Where notes have text.
const NOTE_TEXTS: [&str; 11] = [
    "name",
    "description",
    "tags",
    "notes.summary_key_points",
    "notes.summary_decisions",
    "notes.summary_open_questions",
    "notes.summary_action_item_texts",
    "notes.summary_action_item_assignees",
    "notes.topics_auto",
    "notes.keywords_auto",
    "notes.participant_display_names",
];

/// The types of records that say that another is deleted.
const DELETE_MESSAGES: [&str; 3] = ["deleteMessage", "delete", "deleteTemplate"];

/// The kinds of exercise in the spellings that are in use.
const EXERCISE_TYPES: [&[&str]; 3] = [
    &[
        "warmup", "warmUp", "Warm-Up", "Warm-up", "warm-up", "Warmup",
    ],
    &["main", "Main"],
    &[
        "cooldown",
        "coolDown",
        "Cool-Down",
        "Cool-down",
        "cool-down",
        "Cooldown",
    ],
];

const DAY_SECONDS: i64 = 24 * 60 * 60;

pub(super) fn condition(
    parameters: &Parameters,
    did: Option<&str>,
    storage: Option<&str>,
    sort: &[SortKey],
) -> Result<Condition, ApiError> {
    let exact = |name: &str, field: FieldPath| match parameters.get(name) {
        Some(value) => Condition::exact(field, [value]),
        None => Condition::Everything,
    };
    let parts = [
        did.map_or(Condition::Everything, Condition::did),
        exact("recordType", FieldPath::record_type()),
        exact("creator_did_address", FieldPath::creator()),
        exact("creatorHandle", field("oip.creator.creatorHandle")),
        storage.map_or(Condition::Everything, |method| {
            Condition::Storage(method.to_owned())
        }),
        written(parameters)?,
        words(parameters)?,
        tags(parameters, sort)?,
        template(parameters)?,
        dates(parameters)?,
        scheduled_on(parameters)?,
        field_search(parameters)?,
        exact_match(parameters)?,
        referring(parameters)?,
        any_exact(&URLS, parameters.get("url")),
        has_audio(parameters)?,
        in_block(parameters)?,
        exercise_dids(parameters),
        exercise_type(parameters)?,
        cuisine(parameters)?,
        model(parameters)?,
        notes(parameters),
        delete_messages(parameters, did)?,
    ];
    Ok(parts
        .into_iter()
        .fold(Condition::All(Vec::new()), Condition::and))
    .map(|condition| match condition {
        Condition::All(parts) if parts.is_empty() => Condition::Everything,
        condition => condition,
    })
}

/// A field of a table here.
pub(in super::super) fn field(path: &str) -> FieldPath {
    path.parse().expect("the tables here hold paths")
}

/// `q`: the syntax for people.
fn written(parameters: &Parameters) -> Result<Condition, ApiError> {
    syntax::parse(parameters.get("q").unwrap_or_default())
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, "bad-query", &error))
}

/// `search`: plain words, as deployed apps send them. Slips are forgiven, as on deployed nodes; what is written so
/// comes first.
fn words(parameters: &Parameters) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "searchMatchMode", MatchMode::All)?;
    Ok(match parameters.get("search") {
        None => Condition::Everything,
        Some(text) => Condition::Text(Text {
            mode,
            spelling: Spelling::Fuzzy,
            ..Text::new(text)
        }),
    })
}

/// Where the order is by how well a record fits, each tag counts.
fn tags(parameters: &Parameters, sort: &[SortKey]) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "tagsMatchMode", MatchMode::Any)?;
    let tags = list(parameters, "tags");
    let counted = sort.iter().any(|key| key.by == SortBy::Relevance);
    Ok(match (tags.is_empty(), mode, counted) {
        (true, _, _) => Condition::Everything,
        (false, MatchMode::Any, true) => Condition::Most(
            tags.into_iter()
                .map(|tag| Condition::exact(FieldPath::tags(), [tag]))
                .collect(),
        ),
        (false, mode, _) => Condition::Tags { tags, mode },
    })
}

fn template(parameters: &Parameters) -> Result<Condition, ApiError> {
    let Some(name) = parameters.get("template") else {
        return Ok(Condition::Everything);
    };
    let field = FieldPath::from_names(["data", name])
        .map_err(|error| super::bad_field("template", &error))?;
    Ok(Condition::Exists { field })
}

/// What a text says of time.
enum Moment {
    /// Seconds since 1970.
    Second(i64),
    /// A whole day: its first second (UTC).
    Day(i64),
}

fn moment(parameters: &Parameters, name: &'static str) -> Result<Option<Moment>, ApiError> {
    let Some(text) = parameters.get(name) else {
        return Ok(None);
    };
    if let Ok(seconds) = text.parse() {
        return Ok(Some(Moment::Second(seconds)));
    }
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        let start = day.midnight().assume_utc().unix_timestamp();
        return Ok(Some(Moment::Day(start)));
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Some(Moment::Second(time.unix_timestamp())));
    }
    Err(ApiError::bad_request(
        "bad-parameter",
        format!(
            "{name} is {}: give a day such as 2026-01-18, a time such as 2026-01-18T10:00:00Z, or seconds since 1970",
            shown(text)
        ),
    ))
}

fn dates(parameters: &Parameters) -> Result<Condition, ApiError> {
    let from = match moment(parameters, "dateStart")? {
        None => Bound::Unbounded,
        Some(Moment::Second(at) | Moment::Day(at)) => Bound::Included(at),
    };
    let to = match moment(parameters, "dateEnd")? {
        None => Bound::Unbounded,
        Some(Moment::Second(at)) => Bound::Included(at),
        Some(Moment::Day(at)) => Bound::Excluded(at.saturating_add(DAY_SECONDS)),
    };
    Ok(match (from, to) {
        (Bound::Unbounded, Bound::Unbounded) => Condition::Everything,
        (from, to) => dated(&DATES, from, to),
    })
}

/// The day (UTC) of what is planned.
fn scheduled_on(parameters: &Parameters) -> Result<Condition, ApiError> {
    let start = match moment(parameters, "scheduledOn")? {
        None => return Ok(Condition::Everything),
        Some(Moment::Day(at)) => at,
        Some(Moment::Second(at)) => at.saturating_sub(at.rem_euclid(DAY_SECONDS)),
    };
    let end = start.saturating_add(DAY_SECONDS);
    Ok(dated(
        &DATES[1..],
        Bound::Included(start),
        Bound::Excluded(end),
    ))
}

fn dated(fields: &[[&str; 3]], from: Bound<i64>, to: Bound<i64>) -> Condition {
    let ranges = fields
        .iter()
        .filter_map(|names| FieldPath::from_names(*names).ok())
        .map(|field| Condition::Range {
            field,
            from: from.map(|at| at.to_string()),
            to: to.map(|at| at.to_string()),
        });
    Condition::Any(ranges.collect())
}

fn field_search(parameters: &Parameters) -> Result<Condition, ApiError> {
    let fields = fields(parameters, "fieldName")?;
    let text = match (parameters.get("fieldSearch"), fields.is_empty()) {
        (None, true) => return Ok(Condition::Everything),
        (Some(text), false) => text,
        (Some(_), true) => return Err(missing("fieldName", "fieldSearch")),
        (None, false) => return Err(missing("fieldSearch", "fieldName")),
    };
    match parameters.get("fieldMatchMode") {
        None | Some("partial") => Ok(Condition::Text(Text {
            last_word: LastWord::Prefix,
            fields,
            ..Text::new(text)
        })),
        Some("exact") => {
            let exact = fields
                .into_iter()
                .map(|field| Condition::exact(field, [text]));
            Ok(Condition::Any(exact.collect()))
        }
        Some(mode) => Err(ApiError::bad_request(
            "bad-parameter",
            format!("fieldMatchMode is {}: give partial or exact", shown(mode)),
        )),
    }
}

fn missing(missing: &str, given: &str) -> ApiError {
    ApiError::bad_request(
        "parameter-missing",
        format!("{given} is given without {missing}: they go together"),
    )
}

fn exact_match(parameters: &Parameters) -> Result<Condition, ApiError> {
    let Some(text) = parameters.get("exactMatch") else {
        return Ok(Condition::Everything);
    };
    let malformed = || {
        ApiError::bad_request(
            "bad-parameter",
            format!(
                "exactMatch is {}: give a JSON object of fields and values, such as {{\"oip.ver\":\"0.8.0\"}}",
                shown(text)
            ),
        )
    };
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        return Err(malformed());
    };
    let scalar = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(malformed()),
    };
    let mut parts = Vec::new();
    for (name, value) in &members {
        let field = name
            .parse()
            .map_err(|error| super::bad_field("exactMatch", &error))?;
        let one = std::slice::from_ref(value);
        let values = value.as_array().map_or(one, Vec::as_slice);
        let any_of = values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
        parts.push(Condition::exact(field, any_of));
    }
    Ok(Condition::All(parts))
}

/// `didTxRef`: what refers to a DID, or to DIDs that begin so.
fn referring(parameters: &Parameters) -> Result<Condition, ApiError> {
    match parameters.get("didTxRef") {
        None => Ok(Condition::Everything),
        Some(start) if start.starts_with("did:") => Ok(Condition::Refers(start.to_owned())),
        Some(text) => Err(ApiError::bad_request(
            "bad-parameter",
            format!(
                "didTxRef is {}: give a DID, or the beginning of DIDs, such as did:gun:5b1fd0c7a9e2",
                shown(text)
            ),
        )),
    }
}

fn has_audio(parameters: &Parameters) -> Result<Condition, ApiError> {
    if parameters.get("hasAudio").is_none() {
        return Ok(Condition::Everything);
    }
    let sounds = SOUNDS.map(|path| Condition::Exists { field: field(path) });
    let any = Condition::Any(sounds.into());
    Ok(match flag(parameters, "hasAudio", true)? {
        true => any,
        false => Condition::Not(Box::new(any)),
    })
}

/// Records on the graph are in no block, but one that was moved over from a chain's index may name its own.
fn in_block(parameters: &Parameters) -> Result<Condition, ApiError> {
    match parameters.get("inArweaveBlock") {
        None => Ok(Condition::Everything),
        // What a chain's indexer could not place: there is none here.
        Some("bad") => Ok(Condition::Any(Vec::new())),
        Some(_) => {
            let block = number(parameters, "inArweaveBlock", 0, 0..=usize::MAX)?;
            let block_field = field("oip.inArweaveBlock");
            Ok(Condition::exact(block_field, [block.to_string()]))
        }
    }
}

fn exercise_dids(parameters: &Parameters) -> Condition {
    let exercises = field("workout.exercise");
    let dids = list(parameters, "exerciseDIDs");
    let dids = dids
        .into_iter()
        .map(|did| Condition::exact(exercises.clone(), [did]));
    combined(MatchMode::Any, dids.collect())
}

fn exercise_type(parameters: &Parameters) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "exerciseTypeMatchMode", MatchMode::Any)?;
    let kinds = list(parameters, "exerciseType").into_iter().map(|kind| {
        let same = |known: &&&[&str]| known.iter().any(|one| one.eq_ignore_ascii_case(&kind));
        let spellings = EXERCISE_TYPES.iter().find(same);
        let spellings = spellings.into_iter().flat_map(|all| all.iter().copied());
        let spellings: Vec<String> = spellings.map(str::to_owned).chain([kind.clone()]).collect();
        Condition::exact(field("exercise.exercise_type"), spellings)
    });
    Ok(combined(mode, kinds.collect()))
}

fn cuisine(parameters: &Parameters) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "cuisineMatchMode", MatchMode::Any)?;
    let parts = list(parameters, "cuisine")
        .into_iter()
        .map(|text| words_in(&["recipe.cuisine"], &text));
    Ok(combined(mode, parts.collect()))
}

/// Providers that name the model anywhere (some write their models as one text), and sessions that were held with it.
fn model(parameters: &Parameters) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "modelMatchMode", MatchMode::Any)?;
    let parts = list(parameters, "model").into_iter().map(|text| {
        let provider = Condition::All(vec![
            Condition::Exists {
                field: field("modelProvider"),
            },
            words_in(&[], &text),
        ]);
        let session = words_in(&["conversationSession.model_name"], &text);
        Condition::Any(vec![provider, session])
    });
    Ok(combined(mode, parts.collect()))
}

fn notes(parameters: &Parameters) -> Condition {
    let text = parameters.get("noteSearchQuery").map(|text| {
        let note = Condition::Exists {
            field: field("notes"),
        };
        words_in(&NOTE_TEXTS, text).and(note)
    });
    let attendees = list(parameters, "noteAttendees")
        .into_iter()
        .map(|name| words_in(&["notes.participant_display_names"], &name));
    let attendees = combined(MatchMode::Any, attendees.collect());
    text.unwrap_or(Condition::Everything).and(attendees)
}

/// Left out of lists, unless they are asked for by name.
fn delete_messages(parameters: &Parameters, did: Option<&str>) -> Result<Condition, ApiError> {
    let included = flag(parameters, "includeDeleteMessages", false)?;
    if included || did.is_some() || parameters.get("recordType").is_some() {
        return Ok(Condition::Everything);
    }
    let messages = Condition::record_types(DELETE_MESSAGES);
    Ok(Condition::Not(Box::new(messages)))
}

/// All words of a text, the last one perhaps unfinished, in these fields; none: everywhere.
pub(super) fn words_in(fields: &[&str], text: &str) -> Condition {
    Condition::Text(Text {
        last_word: LastWord::Prefix,
        fields: fields.iter().map(|path| field(path)).collect(),
        ..Text::new(text)
    })
}

fn any_exact(fields: &[&str], value: Option<&str>) -> Condition {
    let Some(value) = value else {
        return Condition::Everything;
    };
    let exact = |path: &&str| Condition::exact(field(path), [value]);
    Condition::Any(fields.iter().map(exact).collect())
}

/// Several wishes of one parameter: all of them, or any, where the more of them hold the better. None: no condition.
pub(super) fn combined(mode: MatchMode, parts: Vec<Condition>) -> Condition {
    match (parts.is_empty(), mode) {
        (true, _) => Condition::Everything,
        (false, MatchMode::All) => Condition::All(parts),
        (false, MatchMode::Any) => Condition::Most(parts),
    }
}

pub(super) fn did(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    let given = one_of_two(
        parameters,
        "did",
        "didTx",
        "did and didTx name two records: give one of them",
    )?;
    // A DID of another storage is a question like any other, and finds nothing here.
    given
        .map(|did| match is_of_other_storage(did) {
            true => Ok(did.to_owned()),
            false => super::super::parse_did(did).map(|did| did.to_string()),
        })
        .transpose()
}

fn is_of_other_storage(did: &str) -> bool {
    let parts = did
        .strip_prefix("did:")
        .and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(method, id)| {
        method != "gun"
            && !method.is_empty()
            && method.bytes().all(|byte| byte.is_ascii_lowercase())
            && !id.is_empty()
            && did.len() <= oip_index::index::DID_BYTES_MAX
    })
}

/// Whether a DID is one of the records that the store holds.
pub(super) fn is_on_the_graph(did: &str) -> bool {
    Did::parse(did).is_ok()
}

fn one_of_two<'a>(
    parameters: &'a Parameters,
    name: &str,
    older: &str,
    contradiction: &str,
) -> Result<Option<&'a str>, ApiError> {
    match (parameters.get(name), parameters.get(older)) {
        (Some(one), Some(other)) if one != other => {
            Err(ApiError::bad_request("contradiction", contradiction))
        }
        (one, other) => Ok(one.or(other)),
    }
}

pub(super) fn match_mode(
    parameters: &Parameters,
    name: &'static str,
    default: MatchMode,
) -> Result<MatchMode, ApiError> {
    match parameters.get(name) {
        None => Ok(default),
        Some(mode) if mode.eq_ignore_ascii_case("and") => Ok(MatchMode::All),
        Some(mode) if mode.eq_ignore_ascii_case("or") => Ok(MatchMode::Any),
        Some(mode) => Err(ApiError::bad_request(
            "bad-parameter",
            format!("{name} is {}: give AND or OR", shown(mode)),
        )),
    }
}

pub(super) fn storage(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    let contradiction = "storage and source differ: give one of them";
    match one_of_two(parameters, "storage", "source", contradiction)? {
        None | Some("all") => Ok(None),
        Some(method) if method.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(Some(method.to_owned()))
        }
        Some(method) => Err(ApiError::bad_request(
            "bad-parameter",
            format!(
                "storage is {}: give all, or the method of the DIDs, such as gun",
                shown(method)
            ),
        )),
    }
}
