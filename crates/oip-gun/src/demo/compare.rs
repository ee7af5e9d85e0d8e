//! Field by field: the first place where what arrived differs from what was submitted.

use serde_json::Value;

/// The path of the first difference, as a JSON Pointer; `None` when all fields are equal.
pub(super) fn first_difference(submitted: &Value, arrived: &Value) -> Option<String> {
    differ(submitted, arrived, &mut String::new())
}

fn differ(submitted: &Value, arrived: &Value, path: &mut String) -> Option<String> {
    let length = path.len();
    let mut descend = |step: &str, submitted: &Value, arrived: Option<&Value>| {
        path.push('/');
        path.push_str(&step.replace('~', "~0").replace('/', "~1"));
        let found = match arrived {
            Some(arrived) => differ(submitted, arrived, path),
            None => Some(path.clone()),
        };
        path.truncate(length);
        found
    };
    match (submitted, arrived) {
        (Value::Object(submitted), Value::Object(arrived)) => submitted
            .iter()
            .find_map(|(name, value)| descend(name, value, arrived.get(name)))
            .or_else(|| {
                let added = arrived.keys().find(|name| !submitted.contains_key(*name))?;
                descend(added, &Value::Null, None)
            }),
        (Value::Array(submitted), Value::Array(arrived)) if submitted.len() == arrived.len() => {
            submitted
                .iter()
                .zip(arrived)
                .enumerate()
                .find_map(|(at, (submitted, arrived))| {
                    descend(&at.to_string(), submitted, Some(arrived))
                })
        }
        _ if submitted == arrived => None,
        _ => Some(path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_no_difference() {
        let value = json!({"a": [1, {"b": null}], "c": "[1]"});
        assert_eq!(first_difference(&value, &value.clone()), None);
    }

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let cases = [
            (json!({"a": 1}), json!({"a": 2}), "/a"),
            (json!({"a": {"b": 1}}), json!({"a": {}}), "/a/b"),
            (json!({}), json!({"extra": 1}), "/extra"),
            (json!({"a": [1, 2]}), json!({"a": [1]}), "/a"),
            (json!({"a": [1, 2]}), json!({"a": [1, 3]}), "/a/1"),
            (json!({"a": "[1]"}), json!({"a": [1]}), "/a"),
            (json!({"a/b": 1}), json!({"a/b": 2}), "/a~1b"),
            (json!(1), json!("1"), ""),
        ];
        for (submitted, arrived, path) in cases {
            assert_eq!(
                first_difference(&submitted, &arrived).as_deref(),
                Some(path),
                "{submitted} and {arrived}"
            );
        }
    }
}
