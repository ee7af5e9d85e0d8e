//! Laws of signing and sealing that hold for all inputs: what is signed verifies, what is sealed
//! opens, nothing else does, and no text, however mangled, stops a check.

use gun::graph::Entry;
use gun::sea::{self, KeyPair, Nonce, SeaError, Unavailable};
use gun::{Graph, Key, Node, Soul, State, Value};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value as Json;

use crate::properties::{key, soul, state, text, value};

fn pair(byte: u8) -> KeyPair {
    KeyPair::from_scalars(&[byte; 32], &[byte + 1; 32]).unwrap()
}

fn blind(_: &Soul, _: &Key) -> Result<Option<Value>, Unavailable> {
    Err(Unavailable)
}

fn one(soul: &Soul, key: &Key, state: State, value: Value) -> Graph {
    let (soul, key) = (soul.clone(), key.clone());
    vec![Node {
        soul,
        entries: vec![Entry { key, state, value }],
    }]
}

/// A place in a user's space.
fn place(owner: &KeyPair, path: &str) -> Soul {
    let top = format!("~{}", owner.public());
    Soul::new(match path {
        "" => top,
        path => format!("{top}/{path}"),
    })
    .unwrap()
}

fn path() -> impl Strategy<Value = String> {
    text().prop_filter("no path", |path| Soul::new(format!("~/{path}")).is_ok())
}

/// Any JSON, objects and lists included.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text().prop_map(Json::from),
        "[0-9]{1,3}|true|null|\\{\\}|SEA\\{\\}|\"a\"".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// What comes back of data: a text that holds JSON comes back as that.
fn read_back(data: &Json) -> Json {
    match data {
        Json::String(text) => {
            let json = text
                .strip_prefix("SEA")
                .filter(|object| object.starts_with('{'))
                .unwrap_or(text);
            serde_json::from_str(json).unwrap_or_else(|_| data.clone())
        }
        other => other.clone(),
    }
}

/// Numbers as JavaScript knows them: it has one kind, and one zero.
fn as_doubles(data: &Json) -> Json {
    match data {
        Json::Number(number) => Json::from(number.as_f64().unwrap() + 0.0),
        Json::Array(items) => items.iter().map(as_doubles).collect(),
        Json::Object(members) => members
            .iter()
            .map(|(name, item)| (name.clone(), as_doubles(item)))
            .collect(),
        other => other.clone(),
    }
}

/// Puts another character in the place of one, cuts it out, or adds one before it.
fn mangled(text: &str, at: Index, by: char, how: u8) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return by.to_string();
    }
    let at = at.index(chars.len());
    match how % 3 {
        0 => chars[at] = by,
        1 => {
            chars.remove(at);
        }
        _ => chars.insert(at, by),
    }
    chars.into_iter().collect()
}

fn likely_char() -> impl Strategy<Value = char> {
    prop_oneof![
        prop::sample::select("{}[]\":,~*+#.SEAmscwe0129\\ ".chars().collect::<Vec<_>>()),
        any::<char>(),
    ]
}

proptest! {
    #[test]
    fn what_its_owner_signed_is_admitted_and_nothing_else_in_its_place(
        path in path(), key in key(), state in state(), value in value(), other in value(),
    ) {
        let (alice, bob) = (pair(1), pair(3));
        let soul = place(&alice, &path);
        let signed = sea::sign_value(&soul, key.as_str(), &value, state, &alice).unwrap();
        let put = one(&soul, &key, state, Value::text(signed.as_str()));
        prop_assert_eq!(sea::verify(&put, &blind), Ok(()));
        let author = sea::author(&soul, &put[0].entries[0]);
        prop_assert_eq!(author.as_deref(), Some(alice.public()));

        let later = one(&soul, &key, state.successor(), Value::text(signed.as_str()));
        prop_assert!(sea::verify(&later, &blind).is_err());
        let elsewhere = one(&place(&bob, &path), &key, state, Value::text(signed.as_str()));
        prop_assert!(sea::verify(&elsewhere, &blind).is_err());
        prop_assert!(sea::verify(&one(&soul, &key, state, other), &blind).is_err());
        let forged = sea::sign_value(&soul, key.as_str(), &value, state, &bob).unwrap();
        let forged = one(&soul, &key, state, Value::text(forged));
        prop_assert!(sea::verify(&forged, &blind).is_err());
    }

    /// A mangled text may still verify, by a space or a member that means nothing; never for
    /// another value or by another author.
    #[test]
    fn a_mangled_value_never_verifies_as_another(
        key in key(), value in value(), at in any::<Index>(), by in likely_char(), how in any::<u8>(),
        delegated in any::<bool>(),
    ) {
        let (alice, bob) = (pair(1), pair(3));
        let (soul, state) = (place(&alice, "p"), State::from_millis(7));
        let text = if delegated {
            let policy = serde_json::json!({"c": "*", "e": 9, "w": {"#": "p"}});
            let certificate = sea::sign(&policy, &alice).unwrap();
            sea::sign_delegated(&soul, key.as_str(), &value, state, &bob, &certificate).unwrap()
        } else {
            sea::sign_value(&soul, key.as_str(), &value, state, &alice).unwrap()
        };
        let good = one(&soul, &key, state, Value::text(text.as_str()));
        prop_assert_eq!(sea::verify(&good, &blind), Ok(()));
        let bad = mangled(&text, at, by, how);
        let put = one(&soul, &key, state, Value::text(bad.as_str()));
        if sea::verify(&put, &blind).is_ok() {
            let (read, signed): (Json, Json) =
                (serde_json::from_str(&bad).unwrap(), serde_json::from_str(&text).unwrap());
            prop_assert_eq!(&read[":"], &signed[":"], "{}", bad);
            prop_assert_eq!(
                sea::author(&soul, &put[0].entries[0]),
                sea::author(&soul, &good[0].entries[0])
            );
        }
    }

    #[test]
    fn no_text_stops_a_check(
        soul in prop_oneof![
            soul(),
            text().prop_filter_map("soul", |t| Soul::new(format!("~{t}")).ok()),
            "(~@|~a\\.b|#|x<\\?)[a-z.~@#/<?0-9+-]{0,8}".prop_filter_map("soul", |t| Soul::new(t).ok()),
            Just(place(&pair(1), "")),
        ],
        key in key(), state in state(), text in text(), json in json(), value in value(),
        certificate in json(),
    ) {
        let envelope = serde_json::json!({
            ":": json, "~": text, "*": pair(3).public(), "+": {"m": certificate, "s": text}
        });
        for value in [value, Value::text(text.as_str()), Value::text(envelope.to_string())] {
            let mut put = one(&soul, &key, state, value);
            let _ = sea::verify(&put, &|_, _| Ok(None));
            let _ = sea::author(&soul, &put[0].entries[0]);
            sea::drop_expired(&mut put, state);
        }
        for read in [&text, &json.to_string(), &format!("SEA{envelope}")] {
            prop_assert!(sea::verify_signed(read, &text).is_err());
            prop_assert!(sea::decrypt(read, &text).is_err());
        }
    }

    #[test]
    fn signed_data_is_read_back_by_its_signer_key_alone(data in json()) {
        let (alice, bob) = (pair(1), pair(3));
        let signed = sea::sign(&data, &alice).unwrap();
        let read = sea::verify_signed(&signed, alice.public()).unwrap();
        // A text in a text is read twice: once when it is signed, once when it is verified.
        prop_assert_eq!(as_doubles(&read), as_doubles(&read_back(&read_back(&data))));
        prop_assert_eq!(sea::verify_signed(&signed, bob.public()), Err(SeaError::Signature));
    }

    #[test]
    fn mangled_signed_data_never_verifies_as_other_data(
        data in json(), at in any::<Index>(), by in likely_char(), how in any::<u8>(),
    ) {
        let alice = pair(1);
        let signed = sea::sign(&data, &alice).unwrap();
        let good = sea::verify_signed(&signed, alice.public()).unwrap();
        if let Ok(read) = sea::verify_signed(&mangled(&signed, at, by, how), alice.public()) {
            prop_assert_eq!(as_doubles(&read), as_doubles(&good));
        }
    }

    #[test]
    fn sealed_data_opens_with_its_key_and_unchanged_only(
        data in json(), key in text(), salt in any::<[u8; 9]>(), iv in any::<[u8; 15]>(),
        at in any::<Index>(), by in likely_char(), how in any::<u8>(),
    ) {
        let sealed = sea::encrypt(&data, &key, Nonce { salt, iv }).unwrap();
        let opened = sea::decrypt(&sealed, &key).unwrap();
        prop_assert_eq!(as_doubles(&opened), as_doubles(&read_back(&data)));
        prop_assert_eq!(sea::decrypt(&sealed, &format!("{key}x")), Err(SeaError::Sealed));
        if let Ok(read) = sea::decrypt(&mangled(&sealed, at, by, how), &key) {
            prop_assert_eq!(as_doubles(&read), as_doubles(&opened));
        }
    }
}
