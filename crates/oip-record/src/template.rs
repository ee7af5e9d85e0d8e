//! What `data` must look like: an object of templates, within limits. Field values may be
//! anything; the names and types of fields are the index's concern.

use serde_json::{Map, Value};

use crate::limits::{DATA_BYTES_MAX, DEPTH_MAX, FIELDS_MAX, RECORD_TYPE_CHARS_MAX, TEMPLATES_MAX};

/// Why `data` is not the data of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// An array where the templates should be.
    #[error("the record is an array: send one object such as {{\"basic\": {{...}}}} per record")]
    TopLevelArray,
    /// A text, number, boolean or null.
    #[error("the record is not an object: send an object such as {{\"basic\": {{...}}}}")]
    NotAnObject,
    /// No member is a template.
    #[error("the record has no template: send an object such as {{\"basic\": {{...}}}}")]
    NoTemplate,
    /// A member that is not an object.
    #[error("the template `{0}` is not an object: send {{\"{0}\": {{...}}}}")]
    TemplateNotAnObject(String),
    /// Over [`TEMPLATES_MAX`].
    #[error("the record has more than {TEMPLATES_MAX} templates: split it")]
    TooManyTemplates,
    /// Over [`FIELDS_MAX`].
    #[error("the record has more than {FIELDS_MAX} fields: split it")]
    TooManyFields,
    /// Over [`DEPTH_MAX`].
    #[error("the record is nested more than {DEPTH_MAX} levels deep: flatten it")]
    TooDeep,
    /// Over [`DATA_BYTES_MAX`].
    #[error("the record is larger than {} MiB: split it, or publish large content as media", DATA_BYTES_MAX / 1024 / 1024)]
    TooLarge,
}

impl ShapeError {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TopLevelArray => "top-level-array",
            Self::NotAnObject => "not-an-object",
            Self::NoTemplate => "no-template",
            Self::TemplateNotAnObject(_) => "template-not-an-object",
            Self::TooManyTemplates => "too-many-templates",
            Self::TooManyFields => "too-many-fields",
            Self::TooDeep => "too-deep",
            Self::TooLarge => "too-large",
        }
    }
}

/// Whether a text can be a record type: up to 64 letters, digits, `_` or `-`, and a name
/// that may be a key of the type directory.
#[must_use]
pub fn is_record_type(name: &str) -> bool {
    name.len() <= RECORD_TYPE_CHARS_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && gun::Key::new(name).is_ok()
}

/// Checks submitted data: every member must be a template.
///
/// # Errors
/// [`ShapeError`] with the first fault.
pub fn check_submitted(data: &Value) -> Result<&Map<String, Value>, ShapeError> {
    let templates = check_received(data)?;
    match templates.iter().find(|(_, template)| !template.is_object()) {
        Some((name, _)) => Err(ShapeError::TemplateNotAnObject(name.clone())),
        None => Ok(templates),
    }
}

/// Checks the data of a record from the graph: deployed nodes store request parameters
/// beside the templates, so one template is enough.
///
/// # Errors
/// [`ShapeError`] with the first fault.
pub fn check_received(data: &Value) -> Result<&Map<String, Value>, ShapeError> {
    let templates = match data {
        Value::Object(templates) => templates,
        Value::Array(_) => return Err(ShapeError::TopLevelArray),
        _ => return Err(ShapeError::NotAnObject),
    };
    if templates.len() > TEMPLATES_MAX {
        return Err(ShapeError::TooManyTemplates);
    }
    let mut fields = 0;
    check_extent(data, 1, &mut fields)?;
    // One field that is no object and nothing else is named by its fault, not as "no template".
    match templates.iter().next() {
        None => Err(ShapeError::NoTemplate),
        Some((name, only)) if templates.len() == 1 && !only.is_object() => {
            Err(ShapeError::TemplateNotAnObject(name.clone()))
        }
        Some(_) if !templates.values().any(Value::is_object) => Err(ShapeError::NoTemplate),
        Some(_) => Ok(templates),
    }
}

fn check_extent(value: &Value, depth: usize, fields: &mut usize) -> Result<(), ShapeError> {
    match value {
        Value::Object(_) | Value::Array(_) if depth > DEPTH_MAX => Err(ShapeError::TooDeep),
        Value::Object(members) => {
            *fields += members.len();
            if *fields > FIELDS_MAX {
                return Err(ShapeError::TooManyFields);
            }
            members
                .values()
                .try_for_each(|member| check_extent(member, depth + 1, fields))
        }
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| check_extent(item, depth + 1, fields)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_wrong_shape_is_named_with_its_cure() {
        let cases = [
            (
                json!([{"basic": {}}]),
                "top-level-array",
                "the record is an array: send one object such as {\"basic\": {...}} per record",
            ),
            (
                json!("basic"),
                "not-an-object",
                "the record is not an object: send an object such as {\"basic\": {...}}",
            ),
            (
                json!(null),
                "not-an-object",
                "the record is not an object: send an object such as {\"basic\": {...}}",
            ),
            (
                json!({}),
                "no-template",
                "the record has no template: send an object such as {\"basic\": {...}}",
            ),
            (
                json!({"a": 1, "b": "x"}),
                "no-template",
                "the record has no template: send an object such as {\"basic\": {...}}",
            ),
            (
                json!({"basic": "x"}),
                "template-not-an-object",
                "the template `basic` is not an object: send {\"basic\": {...}}",
            ),
            (
                json!({"basic": {}, "x": []}),
                "template-not-an-object",
                "the template `x` is not an object: send {\"x\": {...}}",
            ),
        ];
        for (data, label, message) in cases {
            let error = check_submitted(&data).unwrap_err();
            assert_eq!(
                (error.label(), error.to_string().as_str()),
                (label, message),
                "{data}"
            );
        }
    }

    #[test]
    fn a_received_record_may_hold_parameters_beside_its_templates() {
        let data = json!({"basic": {}, "storage": "gun"});
        assert!(check_received(&data).is_ok());
        assert!(check_submitted(&data).is_err());
    }

    #[test]
    fn limits_hold_at_the_bound_and_one_beyond() {
        let deep = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ "t": inner }));
        assert!(check_submitted(&deep(DEPTH_MAX - 1)).is_ok());
        assert_eq!(
            check_submitted(&deep(DEPTH_MAX)).unwrap_err().label(),
            "too-deep"
        );

        let templates =
            |n: usize| Value::Object((0..n).map(|i| (format!("t{i}"), json!({}))).collect());
        assert!(check_submitted(&templates(TEMPLATES_MAX)).is_ok());
        assert_eq!(
            check_submitted(&templates(TEMPLATES_MAX + 1))
                .unwrap_err()
                .label(),
            "too-many-templates"
        );

        let fields = |n: usize| {
            let fields: Map<String, Value> = (1..n).map(|i| (format!("f{i}"), json!(i))).collect();
            json!({ "t": fields })
        };
        assert!(check_submitted(&fields(FIELDS_MAX)).is_ok());
        assert_eq!(
            check_submitted(&fields(FIELDS_MAX + 1))
                .unwrap_err()
                .label(),
            "too-many-fields"
        );
    }

    #[test]
    fn record_types_are_short_plain_names() {
        for good in [
            "post",
            "userFitnessAchievment",
            "a-b_9",
            &"x".repeat(RECORD_TYPE_CHARS_MAX),
        ] {
            assert!(is_record_type(good), "{good}");
        }
        let long = "x".repeat(RECORD_TYPE_CHARS_MAX + 1);
        for bad in [
            "",
            "a b",
            "a:b",
            "a/b",
            "é",
            "constructor",
            "__proto__",
            "_",
            &long,
        ] {
            assert!(!is_record_type(bad), "{bad}");
        }
    }
}
