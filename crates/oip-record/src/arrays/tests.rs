//! The array codec against the deployed vectors, and as a property over arbitrary JSON.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn vectors() -> Vec<Value> {
    let file = include_str!("../../../../testdata/vectors/oip/array-conversion-vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(file).unwrap();
    assert_eq!(vectors.len(), 24);
    vectors
}

#[test]
fn arrays_are_packed_as_deployed_nodes_pack_them() {
    for vector in vectors() {
        let (packed, _) = pack(&vector["input"]);
        let parsed: Value = serde_json::from_str(&json::javascript_text(&packed)).unwrap();
        // `1e+21` and `1e21` are one number in two texts: compare what JavaScript reads.
        let reread = |value: &Value| unpack_heuristic(value.clone());
        assert_eq!(
            reread(&parsed),
            reread(&vector["gunData"]),
            "{}",
            vector["name"]
        );
        if vector["name"] != "numbers" {
            assert_eq!(packed, vector["gunData"], "{}", vector["name"]);
            assert_eq!(
                json::javascript_text(&packed),
                vector["gunString"].as_str().unwrap()
            );
        }
    }
}

#[test]
fn foreign_records_are_read_as_their_origin_read_them() {
    for vector in vectors() {
        let read = unpack_heuristic(vector["gunData"].clone());
        assert_eq!(read, vector["indexedOnOrigin"], "{}", vector["name"]);
    }
}

#[test]
fn with_the_list_every_vector_comes_back_as_submitted() {
    for vector in vectors() {
        let (packed, pointers) = pack(&vector["input"]);
        assert_eq!(
            unpack(packed, &pointers).unwrap(),
            vector["input"],
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn pointers_name_each_outer_array_once_and_are_escaped() {
    let data = json!({
        "a/b": {"~t": [1, [2]], "plain": "[1]"},
        "": {"x": []},
        "k.é": {"o": [{"inner": [1]}]}
    });
    let (packed, pointers) = pack(&data);
    assert_eq!(pointers, ["/a~1b/~0t", "//x", "/k.é/o"]);
    assert_eq!(packed["a/b"]["~t"], "[1,[2]]");
    assert_eq!(packed["a/b"]["plain"], "[1]");
    assert_eq!(unpack(packed, &pointers).unwrap(), data);
}

#[test]
fn an_array_that_a_hop_has_parsed_stays() {
    let data = json!({"t": {"a": [1], "s": "[2]"}});
    assert_eq!(
        unpack(data.clone(), &["/t/a".into(), "/t/a".into()]).unwrap(),
        data
    );
}

#[test]
fn pointers_that_do_not_fit_are_refused() {
    let data =
        json!({"t": {"a": "[1]", "n": 1, "s": "text", "o": "{}", "d": "[{\"x\":1,\"x\":2}]"}});
    for pointer in ["t/a", "/t/b", "/t/a/0", "/t/n/x", "/T/a", "#/t/a", "/t/a/"] {
        let error = unpack(data.clone(), &[pointer.into()]).unwrap_err();
        assert_eq!(error, ArraysError::Nowhere(pointer.into()));
        assert_eq!(
            error.to_string(),
            format!("the pointer `{pointer}` leads to nothing")
        );
    }
    for pointer in ["", "/t", "/t/n", "/t/s", "/t/o", "/t/d"] {
        let error = unpack(data.clone(), &[pointer.into()]).unwrap_err();
        assert_eq!(error, ArraysError::NotAnArray(pointer.into()));
        assert_eq!(
            error.to_string(),
            format!("the value at `{pointer}` is not the text of an array")
        );
    }
    let through_an_array = unpack(data, &["/t/a".into(), "/t/a/0".into()]);
    assert_eq!(through_an_array, Err(ArraysError::Nowhere("/t/a/0".into())));
}

/// Arbitrary JSON with a liking for what broke deployed nodes.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".*",
        "\\PC*",
        Just("[1,2,3]".to_owned()),
        Just("[]".to_owned()),
        Just("[\"a\"]".to_owned()),
        Just("{\"a\":[1]}".to_owned()),
        Just("[not json".to_owned()),
        prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
    ];
    let exact_integer = -(1_i64 << 53)..=(1_i64 << 53);
    let double = prop_oneof![
        any::<f64>(),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(-0.0),
        Just(0.1 + 0.2),
        Just(1e21),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        exact_integer.prop_map(Value::from),
        double.prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((member_name(), inner), 0..6)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

pub(crate) fn member_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        ".{0,4}",
        Just("a/b~c.d".to_owned()),
        Just("~1".to_owned()),
        Just(String::new()),
        Just("10".to_owned()),
        Just("__proto__".to_owned()),
        Just("\u{e000}\u{1f600}".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn unpacking_undoes_packing(value in any_json()) {
        let (packed, pointers) = pack(&value);
        prop_assert_eq!(unpack(packed.clone(), &pointers).unwrap(), value.clone());
        // And through the text, as it lies in the graph.
        let reread: Value = serde_json::from_str(&packed.to_string()).unwrap();
        prop_assert_eq!(unpack(reread, &pointers).unwrap(), value);
    }

    #[test]
    fn any_pointer_is_answered_without_panic(value in any_json(), pointer in ".*") {
        let _outcome = unpack(value, &[pointer]);
    }
}
