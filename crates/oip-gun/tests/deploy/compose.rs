//! The compose file and the Dockerfile as data, and the check of one against a schema: types, known
//! members, required ones, fixed values. Enough for a file of our own; no JSON Schema.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A service as its container is started.
pub(crate) struct Service {
    pub name: String,
    pub environment: Vec<(String, String)>,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The compose file, merge keys resolved and extension members (`x-…`) left out.
pub(crate) fn read() -> Value {
    let mut yaml: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&file("deploy/compose.yaml")).unwrap();
    yaml.apply_merge().unwrap();
    let mut compose = serde_json::to_value(yaml).unwrap();
    let members = compose.as_object_mut().unwrap();
    members.retain(|name, _| !name.starts_with("x-"));
    compose
}

/// The compose snippets of a document, as it has them between fences.
pub(crate) fn snippets(document: &str) -> Vec<Value> {
    let fenced = document.split("```yaml\n").skip(1);
    fenced
        .map(|rest| {
            let (snippet, _) = rest.split_once("```").unwrap();
            serde_yaml_ng::from_str(snippet).unwrap()
        })
        .collect()
}

/// The services with their environment.
pub(crate) fn services() -> Vec<Service> {
    let compose = read();
    let services = compose["services"].as_object().unwrap().iter();
    services
        .map(|(name, service)| Service {
            name: name.clone(),
            environment: service["environment"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
        })
        .collect()
}

/// The lines of an instruction of the last stage, joined.
fn instruction(name: &str) -> String {
    let text = file("deploy/Dockerfile").replace("\\\n", " ");
    let stage = text.rsplit("FROM ").next().unwrap().to_owned();
    let line = stage.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].trim().to_owned()
}

/// `ENV` of the image.
pub(crate) fn image_environment() -> Vec<(String, String)> {
    instruction("ENV ")
        .split_whitespace()
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn exec_form(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
}

/// `CMD` of the image behind `serve`.
pub(crate) fn image_command() -> Vec<String> {
    let command = exec_form(&instruction("CMD "));
    assert_eq!(command[0], "serve");
    command[1..].to_vec()
}

/// The command of `HEALTHCHECK`.
pub(crate) fn image_health_check() -> Vec<String> {
    exec_form(&instruction("HEALTHCHECK "))
}

/// What of `value` the schema does not allow.
pub(crate) fn faults(value: &Value, schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(value, schema, "", &mut faults);
    faults
}

fn check(value: &Value, schema: &Value, path: &str, faults: &mut Vec<String>) {
    if let Some(allowed) = schema["enum"].as_array() {
        if !allowed.contains(value) {
            faults.push(format!("{path} is {value}"));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if schema["type"] != kind {
        faults.push(format!("{path} is of type {kind}"));
        return;
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            faults.push(format!("{path} lacks {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        match (schema.get("each"), schema["members"].get(name)) {
            (Some(each), _) => check(member, each, &path, faults),
            (None, Some(known)) => check(member, known, &path, faults),
            (None, None) => faults.push(format!("{path} is not known")),
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, &schema["items"], &format!("{path}/{index}"), faults);
    }
}
