//! A JSON object on its way into the graph: read once, and cut into the nodes it will be.
//!
//! Owns the form of what `/put` takes, as gun.js clients put nested objects (`gun-protocol` 6.6):
//! an object is a node, an object inside it a node of its own with a link to it. Souls are given
//! later, since a key that links somewhere already keeps its target. Refuses what the graph can't
//! hold, by name and place.

use std::collections::HashSet;
use std::fmt;

use gun::Value;
use oip_record::json::javascript_text;
use oip_record::limits::DEPTH_MAX;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// Objects in one put; what a peer's put may hold.
const OBJECTS_MAX: usize = 10_000;

/// Values in one put. Deployed publishers write the whole index of a type back with each record:
/// one link per record of that type.
const VALUES_MAX: usize = 200_000;

/// What becomes of arrays, which the graph can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrays {
    /// They are a fault.
    Refused,
    /// Each becomes its JSON text, as in records (`oip-formats` 1.8).
    AsText,
}

/// Why a JSON text can't become nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NestedError {
    /// Not JSON.
    #[error("Invalid JSON")]
    Syntax,
    /// Null, or no object.
    #[error("Data at root of graph must be a node (an object).")]
    NotAnObject,
    /// An array, at this path below the soul.
    #[error("Invalid data: Array at {0}")]
    Array(String),
    /// A member that stands twice, of which readers keep different ones.
    #[error("the member {0:?} stands twice in one object: remove one")]
    DuplicateMember(String),
    /// Nested over 64 deep.
    #[error("the data is nested over {DEPTH_MAX} deep")]
    TooDeep,
    /// Over 10,000 objects.
    #[error("the data holds over {OBJECTS_MAX} objects: put it in several parts")]
    TooManyObjects,
    /// Over 200,000 values.
    #[error("the data holds over {VALUES_MAX} values: put it in several parts")]
    TooManyValues,
}

/// A JSON object as the nodes it will be, without their souls. The first one is the object
/// itself; each comes after the one that holds it.
#[derive(Debug, Default, PartialEq)]
pub struct Nested {
    pub(super) objects: Vec<Object>,
}

/// The members of one object; each name occurs once.
pub(super) type Object = Vec<(String, Member)>;

/// What a member of an object is.
#[derive(Debug, PartialEq)]
pub(super) enum Member {
    /// A value as it is; no link.
    Value(Value),
    /// `{"#": soul}` and nothing else.
    Link(String),
    /// The object of this number.
    Object(usize),
}

impl Nested {
    /// Reads `json`, which will lie at `soul`.
    ///
    /// # Errors
    /// [`NestedError`] with the first fault. Text that is no JSON comes before all others.
    pub fn read(json: &str, soul: &str, arrays: Arrays) -> Result<Self, NestedError> {
        let mut reading = Reading {
            nested: Self::default(),
            arrays,
            path: vec![soul.to_owned()],
            values: 0,
            fault: None,
        };
        let mut json = serde_json::Deserializer::from_str(json);
        let root = Place {
            reading: &mut reading,
        }
        .deserialize(&mut json)
        .and_then(|root| json.end().map(|()| root))
        .map_err(|_| NestedError::Syntax)?;
        match (reading.fault, root) {
            (Some(fault), _) => Err(fault),
            (None, Some(Member::Object(_))) => Ok(reading.nested),
            // A bare link would say that the node is another one.
            (None, _) => Err(NestedError::NotAnObject),
        }
    }
}

/// The state of reading one text.
struct Reading {
    nested: Nested,
    arrays: Arrays,
    /// The soul and the keys that lead to what is being read.
    path: Vec<String>,
    values: usize,
    fault: Option<NestedError>,
}

impl Reading {
    /// Notes a fault. Reading goes on to the end, since JSON that ends early is the graver one.
    fn fault(&mut self, fault: NestedError) {
        self.fault.get_or_insert(fault);
    }

    fn fault_of_array(&mut self) {
        let (soul, keys) = self.path.split_at(1);
        // As the deployed relay writes it: a dot also where no key follows.
        self.fault(NestedError::Array(format!(
            "{}.{}",
            soul[0],
            keys.join(".")
        )));
    }
}

/// Where a value is read. Gives nothing once there is a fault.
struct Place<'r> {
    reading: &'r mut Reading,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<Member>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.reading.fault.is_some() {
            return IgnoredAny::deserialize(json).map(|_| None);
        }
        json.deserialize_any(self)
    }
}

fn value<E>(value: Value) -> Result<Option<Member>, E> {
    Ok(Some(Member::Value(value)))
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Option<Member>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        value(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        value(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        value(Value::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        value(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        value(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        value(Value::text(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        value(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        match self.reading.arrays {
            Arrays::AsText => {
                let array = serde_json::Value::deserialize(SeqAccessDeserializer::new(items))?;
                value(Value::text(javascript_text(&array)))
            }
            Arrays::Refused => {
                self.reading.fault_of_array();
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let reading = self.reading;
        let number = reading.nested.objects.len();
        let is_root = number == 0;
        if number >= OBJECTS_MAX {
            reading.fault(NestedError::TooManyObjects);
        }
        if reading.path.len() > DEPTH_MAX {
            reading.fault(NestedError::TooDeep);
        }
        reading.nested.objects.push(Object::new());
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            reading.values += 1;
            if reading.values > VALUES_MAX {
                reading.fault(NestedError::TooManyValues);
            }
            if !names.insert(name.clone()) {
                reading.fault(NestedError::DuplicateMember(name.clone()));
            }
            reading.path.push(name);
            let member = members.next_value_seed(Place { reading })?;
            let name = reading.path.pop();
            if let (Some(name), Some(member)) = (name, member) {
                reading.nested.objects[number].push((name, member));
            }
        }
        let link = link_of(&reading.nested.objects[number]);
        match link.filter(|_| !is_root) {
            Some(soul) => {
                // It has no objects inside, so that it is the last one; and it is one value, not two.
                reading.nested.objects.pop();
                reading.values -= 1;
                Ok(Some(Member::Link(soul)))
            }
            None => Ok(Some(Member::Object(number))),
        }
    }
}

/// The soul, if the object is a link.
fn link_of(object: &Object) -> Option<String> {
    match object.as_slice() {
        [(name, Member::Value(Value::Text(soul)))] if name == "#" => Some(soul.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Nested, NestedError> {
        Nested::read(json, "s", Arrays::Refused)
    }

    fn text(value: &str) -> Member {
        Member::Value(Value::text(value))
    }

    #[test]
    fn objects_inside_are_nodes_of_their_own_and_links_are_links() {
        let nested =
            read(r##"{"a":{"b":{"c":"deep"},"l":{"#":"other"}},"n":null,"e":{}}"##).unwrap();
        let named = |name: &str, member| (name.to_owned(), member);
        assert_eq!(
            nested.objects,
            [
                vec![
                    named("a", Member::Object(1)),
                    named("n", Member::Value(Value::Null)),
                    named("e", Member::Object(3)),
                ],
                vec![
                    named("b", Member::Object(2)),
                    named("l", Member::Link("other".to_owned())),
                ],
                vec![named("c", text("deep"))],
                vec![],
            ]
        );
    }

    #[test]
    fn numbers_become_doubles_as_in_javascript() {
        let nested =
            read(r#"{"big":9007199254740993,"f":1.5,"neg":-1,"wide":18446744073709551616}"#)
                .unwrap();
        let numbers: Vec<f64> = nested.objects[0]
            .iter()
            .map(|(_, member)| match member {
                Member::Value(Value::Number(number)) => *number,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            numbers,
            [
                9_007_199_254_740_992.0,
                1.5,
                -1.0,
                18_446_744_073_709_551_616.0
            ]
        );
    }

    #[test]
    fn what_the_graph_cannot_hold_is_refused_by_name_and_place() {
        let deep = format!(
            "{}1{}",
            r#"{"a":"#.repeat(DEPTH_MAX + 1),
            "}".repeat(DEPTH_MAX + 1)
        );
        for (json, fault) in [
            ("{bad", NestedError::Syntax),
            ("", NestedError::Syntax),
            ("{} {}", NestedError::Syntax),
            (r#"{"half":"\ud800"}"#, NestedError::Syntax),
            (r#"{"far":1e999}"#, NestedError::Syntax),
            // The array stands first, and yet this is no JSON.
            (r#"{"a":[1],"b":}"#, NestedError::Syntax),
            ("null", NestedError::NotAnObject),
            ("\"str\"", NestedError::NotAnObject),
            ("17", NestedError::NotAnObject),
            (r#"{"a":[1,2]}"#, NestedError::Array("s.a".to_owned())),
            (
                r#"{"n":1,"a":{"m":2,"b":[1]}}"#,
                NestedError::Array("s.a.b".to_owned()),
            ),
            ("[1]", NestedError::Array("s.".to_owned())),
            (
                r#"{"a":1,"a":2}"#,
                NestedError::DuplicateMember("a".to_owned()),
            ),
            (&deep, NestedError::TooDeep),
        ] {
            assert_eq!(read(json), Err(fault), "{json}");
        }
    }

    #[test]
    fn a_link_at_the_top_is_an_object_with_a_strange_key() {
        let nested = read(r##"{"#":"other"}"##).unwrap();
        assert_eq!(nested.objects, [vec![("#".to_owned(), text("other"))]]);
    }

    #[test]
    fn arrays_become_their_text_where_that_is_asked_for() {
        let nested = Nested::read(
            r#"{"http":["https://x/y",{"b":1,"a":[1.0]}],"none":[]}"#,
            "s",
            Arrays::AsText,
        )
        .unwrap();
        assert_eq!(
            nested.objects,
            [vec![
                (
                    "http".to_owned(),
                    text(r#"["https://x/y",{"b":1,"a":[1]}]"#)
                ),
                ("none".to_owned(), text("[]")),
            ]]
        );
    }

    #[test]
    fn the_bounds_hold_at_the_bound_and_one_beyond() {
        let objects = |count: usize| {
            let inside: Vec<String> = (1..count).map(|n| format!("\"{n}\":{{}}")).collect();
            format!("{{{}}}", inside.join(","))
        };
        assert!(read(&objects(OBJECTS_MAX)).is_ok());
        assert_eq!(
            read(&objects(OBJECTS_MAX + 1)),
            Err(NestedError::TooManyObjects)
        );
        let values = |count: usize| {
            let inside: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", inside.join(","))
        };
        assert!(read(&values(VALUES_MAX)).is_ok());
        assert_eq!(
            read(&values(VALUES_MAX + 1)),
            Err(NestedError::TooManyValues)
        );
        let depth = format!("{}1{}", r#"{"a":"#.repeat(DEPTH_MAX), "}".repeat(DEPTH_MAX));
        assert!(read(&depth).is_ok());
    }
}
