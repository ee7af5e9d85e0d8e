//! How the records of an answer are shown: what is added to them and what is left out. The record itself, in store
//! and index, stays as it was published; whoever wants it so asks for `hideDateReadable=true`.

use oip_index::FieldPath;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::super::super::error::ApiError;
use super::super::super::parameters::{Parameters, flag, list, number};

/// Whether `data.basic.dateReadable` is left out when the caller doesn't say: deployed apps expect it.
const HIDE_DATE_READABLE: bool = false;

/// How deep references are followed, as deployed nodes have it; who asks for more gets this.
const RESOLVE_DEPTH_MAX: usize = 5;

/// What is shown of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// `data.basic.dateReadable`, made of `data.basic.date`.
    date_readable: bool,
    /// Members that are null.
    nulls: bool,
    /// `oip.signature`.
    signatures: bool,
    /// `oip.creator.publicKey`.
    public_keys: bool,
}

/// How references are followed.
#[derive(Debug)]
pub(super) struct Following {
    /// Records within records.
    pub(super) depth: usize,
    /// The name in place of the record.
    pub(super) names_only: bool,
    /// In these fields alone; empty: in all.
    fields: Vec<Followed>,
}

/// A field by its path, or by its last name.
#[derive(Debug)]
enum Followed {
    Path(FieldPath),
    Name(String),
}

impl Shape {
    pub(super) fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        Ok(Self {
            date_readable: !flag(parameters, "hideDateReadable", HIDE_DATE_READABLE)?,
            nulls: !flag(parameters, "hideNullValues", false)?,
            signatures: flag(parameters, "includeSigs", true)?,
            public_keys: flag(parameters, "includePubKeys", true)?,
        })
    }

    /// Whether it changes a record.
    pub(super) fn changes(self, record: &Value) -> bool {
        !self.nulls || !self.signatures || !self.public_keys || self.readable(record).is_some()
    }

    /// Changes the record.
    pub(super) fn apply(self, record: &mut Value) {
        let readable = self.readable(record);
        if let (Some(text), Some(basic)) = (readable, members(record, "/data/basic")) {
            basic.insert("dateReadable".to_owned(), Value::String(text));
        }
        if !self.signatures
            && let Some(oip) = members(record, "/oip")
        {
            oip.shift_remove("signature");
        }
        if !self.public_keys
            && let Some(creator) = members(record, "/oip/creator")
        {
            creator.shift_remove("publicKey");
        }
        if !self.nulls {
            leave_nulls_out(record);
        }
    }

    /// The date as people read it and as JavaScript prints and reads it (`toUTCString`). A record that has such a
    /// text of its own keeps it.
    fn readable(self, record: &Value) -> Option<String> {
        let basic = record.pointer("/data/basic")?;
        if !self.date_readable || basic.get("dateReadable").is_some() {
            return None;
        }
        let seconds = basic.get("date")?.as_i64()?;
        let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        date.format(format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        ))
        .ok()
    }
}

fn members<'a>(record: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    record.pointer_mut(pointer)?.as_object_mut()
}

/// Items of arrays stay: their places have a meaning, as amounts beside ingredients do.
fn leave_nulls_out(record: &mut Value) {
    let mut open = vec![record];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                members.retain(|_, member| !member.is_null());
                open.extend(members.values_mut());
            }
            Value::Array(items) => open.extend(items.iter_mut()),
            _ => {}
        }
    }
}

impl Following {
    /// The records that a field refers to, and none of theirs.
    pub(super) fn one_field(path: FieldPath) -> Self {
        Self {
            depth: 1,
            names_only: false,
            fields: vec![Followed::Path(path)],
        }
    }

    /// `None` where nothing is to be followed.
    pub(super) fn read(parameters: &Parameters) -> Result<Option<Self>, ApiError> {
        let names_only = flag(parameters, "resolveNamesOnly", false)?;
        let depth = number(
            parameters,
            "resolveDepth",
            usize::from(names_only),
            0..=usize::MAX,
        )?
        .min(RESOLVE_DEPTH_MAX);
        let followed = |name: &String| match name.contains('.') {
            true => name
                .parse()
                .map(Followed::Path)
                .map_err(|error| super::asked::bad_field("resolveFieldName", &error)),
            false => Ok(Followed::Name(name.clone())),
        };
        let fields = list(parameters, "resolveFieldName")
            .iter()
            .map(followed)
            .collect::<Result<_, _>>()?;
        Ok((depth > 0).then_some(Self {
            depth,
            names_only,
            fields,
        }))
    }

    /// Whether references at this path, a list of names below `data`, are followed.
    pub(super) fn follows(&self, path: &[&str]) -> bool {
        self.fields.is_empty()
            || self.fields.iter().any(|field| match field {
                Followed::Name(name) => path.last() == Some(&name.as_str()),
                Followed::Path(field) => field.names().skip(1).eq(path.iter().copied()),
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Shape = Shape {
        date_readable: false,
        nulls: true,
        signatures: true,
        public_keys: true,
    };

    fn shaped(shape: Shape, mut record: Value) -> Value {
        let before = record.clone();
        let changes = shape.changes(&record);
        shape.apply(&mut record);
        assert!(changes || record == before, "a change that was not told");
        record
    }

    #[test]
    fn a_date_is_written_for_people_where_it_is_one() {
        let shape = Shape {
            date_readable: true,
            ..PLAIN
        };
        for (date, readable) in [
            (json!(1_768_730_400), json!("Sun, 18 Jan 2026 10:00:00 GMT")),
            (json!(0), json!("Thu, 01 Jan 1970 00:00:00 GMT")),
            (json!(i64::MAX), Value::Null),
            (json!(1.5), Value::Null),
            (json!("soon"), Value::Null),
            (json!([1]), Value::Null),
        ] {
            let record = shaped(shape, json!({"data": {"basic": {"date": date}}}));
            assert_eq!(record["data"]["basic"]["dateReadable"], readable, "{date}");
        }
        let own = json!({"data": {"basic": {"date": 0, "dateReadable": "the start"}}});
        assert_eq!(shaped(shape, own.clone()), own);
        for odd in [
            json!(null),
            json!({"data": []}),
            json!({"data": {"basic": 5}}),
        ] {
            assert_eq!(shaped(shape, odd.clone()), odd);
        }
    }

    #[test]
    fn what_is_hidden_is_left_out_and_nothing_else() {
        let record = json!({
            "data": {"a": {"none": null, "items": [1, null, {"none": null, "one": 1}]}, "none": null},
            "oip": {"signature": "s", "creator": {"publicKey": "k", "didAddress": "d"}}
        });
        assert_eq!(shaped(PLAIN, record.clone()), record);
        let bare = Shape {
            nulls: false,
            signatures: false,
            public_keys: false,
            ..PLAIN
        };
        assert_eq!(
            shaped(bare, record),
            json!({
                "data": {"a": {"items": [1, null, {"one": 1}]}},
                "oip": {"creator": {"didAddress": "d"}}
            })
        );
    }
}
