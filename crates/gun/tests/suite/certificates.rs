//! What another than the owner may write in a space, and by which certificate: rules of ours,
//! and the forms of certificates that gun.js makes.

use gun::graph::Entry;
use gun::sea::{self, KeyPair, Unavailable};
use gun::wire::Reject;
use gun::{Graph, Key, Node, Soul, State, Value};
use serde_json::{Value as Json, json};

const STATE_MS: u64 = 1_795_400_000_000;

/// The owner of the space, the writer, and a third.
struct Users {
    alice: KeyPair,
    bob: KeyPair,
    carol: KeyPair,
}

fn users() -> Users {
    let pair = |byte: u8| KeyPair::from_scalars(&[byte; 32], &[byte + 1; 32]).unwrap();
    Users {
        alice: pair(1),
        bob: pair(3),
        carol: pair(5),
    }
}

impl Users {
    /// Alice's signature under a policy.
    fn certify(&self, policy: &Json) -> String {
        sea::sign(policy, &self.alice).unwrap()
    }

    /// Bob's put into Alice's space at a path and key.
    fn put(&self, certificate: &str, path: &str, key: &str, value: &Value) -> Graph {
        let soul = soul(&format!("~{}{path}", self.alice.public()));
        let state = State::from_millis(STATE_MS);
        let text = sea::sign_delegated(&soul, key, value, state, &self.bob, certificate);
        one(&soul, key, Value::text(text.unwrap()))
    }

    fn verdict_on(&self, policy: &Json, path: &str, key: &str) -> Result<(), Reject> {
        let value = Value::text("hi");
        sea::verify(&self.put(&self.certify(policy), path, key, &value), &blind)
    }
}

fn soul(name: &str) -> Soul {
    Soul::new(name).unwrap()
}

fn one(soul: &Soul, key: &str, value: Value) -> Graph {
    vec![Node {
        soul: soul.clone(),
        entries: vec![Entry {
            key: Key::new(key).unwrap(),
            state: State::from_millis(STATE_MS),
            value,
        }],
    }]
}

fn blind(_: &Soul, _: &Key) -> Result<Option<Value>, Unavailable> {
    Err(Unavailable)
}

#[test]
fn only_writers_whom_the_certificate_names_may_write() {
    let users = users();
    let (bob, carol) = (users.bob.public(), users.carol.public());
    for (c, admitted) in [
        (json!("*"), true),
        (json!(bob), true),
        (json!([carol, bob]), true),
        (json!([carol, "*"]), true),
        (json!(carol), false),
        (json!([carol]), false),
        (json!([]), false),
        (json!(""), false),
        (json!(null), false),
        (json!(format!("*{carol}")), false),
        (json!(format!("{bob}*")), false),
        (json!({"pub": bob}), false),
    ] {
        let verdict = users.verdict_on(&json!({"c": c, "w": "k"}), "", "k");
        let expected = if admitted {
            Ok(())
        } else {
            Err(Reject::BadCertificate)
        };
        assert_eq!(verdict, expected, "{c}");
    }
    let nobody = users.verdict_on(&json!({"w": "k"}), "", "k");
    assert_eq!(nobody, Err(Reject::BadCertificate));
}

#[test]
fn a_state_after_the_expiry_is_refused() {
    let users = users();
    let verdict = |e: Json| users.verdict_on(&json!({"c": "*", "e": e, "w": "k"}), "", "k");
    assert_eq!(verdict(json!(STATE_MS + 1)), Ok(()));
    assert_eq!(verdict(json!(STATE_MS)), Ok(()));
    assert_eq!(
        verdict(json!(STATE_MS - 1)),
        Err(Reject::CertificateExpired)
    );
    for unclear in [json!((STATE_MS + 1).to_string()), json!(null), json!([])] {
        assert_eq!(verdict(unclear), Err(Reject::BadCertificate));
    }
}

#[test]
fn the_write_policy_bounds_path_and_key() {
    let users = users();
    let bob = users.bob.public();
    let of_bob = format!("m-{bob}");
    let in_bob = format!("/inbox/{bob}");
    let (prefix, plus) = (json!({"*": "inbox"}), json!({"*": "inbox", "+": "*"}));
    let both = json!({"#": {"*": "inbox"}, ".": {"*": "m"}});
    let cases = [
        // A text is one path with its key.
        (json!("inbox"), "", "inbox", true),
        (json!("inbox/a"), "/inbox", "a", true),
        (json!("inbox"), "/inbox", "a", false),
        (json!("inbox"), "", "inbox2", false),
        // A range holds against both joined.
        (prefix.clone(), "", "inbox", true),
        (prefix.clone(), "/inbox", "a", true),
        (prefix.clone(), "/inbox/b", "a", true),
        (prefix.clone(), "", "name", false),
        (prefix.clone(), "/my", "inbox", false),
        (json!({"=": "inbox/a"}), "/inbox", "a", true),
        (json!({">": "b", "<": "d"}), "", "c", true),
        (json!({">": "b", "<": "d"}), "", "e", false),
        (json!({">": "b", "<": "bc"}), "", "bd", false),
        (json!({"*": "in", ">": "c"}), "", "inbox", false),
        // `#` bounds the path, `.` the key; both hold where both stand.
        (json!({"#": {"*": "inbox"}}), "/inbox", "a", true),
        (json!({"#": "inbox"}), "/inbox", "a", true),
        (json!({"#": {"*": "inbox"}}), "", "inbox", true),
        (json!({"#": {"*": "inbox"}}), "/out", "a", false),
        (json!({".": "a"}), "/any/path", "a", true),
        (json!({".": "a"}), "/any/path", "b", false),
        (both.clone(), "/inbox", "m1", true),
        (both.clone(), "/inbox", "x1", false),
        (both.clone(), "/out", "m1", false),
        (both.clone(), "", "inbox", false),
        (json!({"*": "inbox", ".": "a"}), "/inbox", "a", true),
        (json!({"*": "inbox", ".": "a"}), "/out", "a", false),
        // `+` asks for the writer in the path or the key.
        (plus.clone(), "/inbox", "a", false),
        (plus.clone(), "", "inbox", false),
        (plus.clone(), "/inbox", &of_bob, true),
        (plus.clone(), &in_bob, "a", true),
        // One entry of a list is enough.
        (json!(["x", prefix]), "", "inbox", true),
        (json!([plus, "inbox/a"]), "/inbox", "a", true),
        (json!(["x", "y"]), "", "inbox", false),
        // What bounds nothing, or in a way not known, allows nothing.
        (json!({}), "", "k", false),
        (json!([]), "", "k", false),
        (json!([[]]), "", "k", false),
        (json!(null), "", "k", false),
        (json!(""), "", "k", false),
        (json!(7), "", "7", false),
        (json!({"+": "*"}), "", bob, false),
        (json!({"?": "k"}), "", "k", false),
        (json!({"*": ""}), "", "k", false),
        (json!({"*": "k", "<": 9}), "", "k", false),
        (json!({"*": null}), "", "k", false),
        (json!({"#": {}, ".": "k"}), "/p", "k", false),
        (json!({"#": "", ".": "k"}), "/p", "k", false),
    ];
    for (w, path, key, admitted) in cases {
        let verdict = users.verdict_on(&json!({"c": "*", "w": w}), path, key);
        let expected = if admitted {
            Ok(())
        } else {
            Err(Reject::BadCertificate)
        };
        assert_eq!(verdict, expected, "{w} {path} {key}");
    }
    let read_only = json!({"c": "*", "r": {"*": "k"}});
    assert_eq!(
        users.verdict_on(&read_only, "", "k"),
        Err(Reject::BadCertificate)
    );
}

/// Clients put these links before they write below them.
#[test]
fn a_link_that_only_opens_the_path_needs_neither_key_nor_writer_in_it() {
    let users = users();
    let top = format!("~{}", users.alice.public());
    let link = |to: &str| Value::Link(soul(&format!("{top}{to}")));
    for (w, path, to, admitted) in [
        (json!({"*": "inbox", "+": "*"}), "", "/inbox", true),
        (json!({"*": "inbox", "+": "*"}), "", "/elsewhere", false),
        (
            json!({"*": "inbox", "+": "*"}),
            "/inbox",
            "/inbox/inbox",
            false,
        ),
        (json!({"#": {"*": "inbox"}, ".": "m"}), "", "/inbox", true),
        (json!({"#": {"*": "inbox"}, ".": "m"}), "", "/inbox2", false),
        (json!({"#": {"*": "out"}, ".": "m"}), "", "/inbox", false),
        (
            json!({"#": "inbox", ".": "m"}),
            "/inbox",
            "/inbox/inbox",
            false,
        ),
        (json!({".": "m"}), "", "/inbox", false),
    ] {
        let certificate = users.certify(&json!({"c": "*", "w": w}));
        let put = users.put(&certificate, path, "inbox", &link(to));
        let expected = if admitted {
            Ok(())
        } else {
            Err(Reject::BadCertificate)
        };
        assert_eq!(sea::verify(&put, &blind), expected, "{w} {path} {to}");
    }
}

#[test]
fn a_certificate_counts_only_with_the_owners_signature_over_it() {
    let users = users();
    let policy = json!({"c": "*", "w": {"*": "k"}});
    let good = users.certify(&policy);
    let verdict =
        |certificate: &str| sea::verify(&users.put(certificate, "", "k", &Value::Null), &blind);
    assert_eq!(verdict(&good), Ok(()));
    assert_eq!(verdict(good.strip_prefix("SEA").unwrap()), Ok(()));
    for (signer, name) in [(&users.bob, "bob"), (&users.carol, "carol")] {
        let forged = sea::sign(&policy, signer).unwrap();
        assert_eq!(verdict(&forged), Err(Reject::BadCertificate), "{name}");
    }
    let narrow = users.certify(&json!({"c": "*", "w": {"*": "x"}}));
    for bad in [
        narrow.replace("\"x\"", "\"k\""),
        good.replace("\"w\":", "\"w\":\"k\",\"e\":"),
        good.replace("\"s\":", "\"s\":\"\",\"-\":"),
        good.replace("\"m\":{", "\"m\":{\"e\":9e99,"),
        good.replace("\"s\":", "\"m\":{},\"s\":"),
        format!("{{\"m\":{},\"s\":\"\"}}", Json::from(policy.to_string())),
        "{}".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "[]".to_owned(),
    ] {
        assert_ne!(bad, good);
        assert_eq!(verdict(&bad), Err(Reject::BadCertificate), "{bad}");
    }
    let broken = sea::sign_delegated(
        &soul("s"),
        "k",
        &Value::Null,
        State::from_millis(1),
        &users.bob,
        "SEA{\"m\":",
    );
    assert_eq!(broken, Err(sea::SeaError::Form));
}

#[test]
fn a_delegated_value_needs_its_writers_own_signature_too() {
    let users = users();
    let certificate = users.certify(&json!({"c": "*", "w": "k"}));
    let put = users.put(&certificate, "", "k", &Value::text("hi"));
    assert_eq!(sea::verify(&put, &blind), Ok(()));
    let entry = &put[0].entries[0];
    let author = sea::author(&put[0].soul, entry);
    assert_eq!(author.as_deref(), Some(users.bob.public()));
    let text = entry.value.as_text().unwrap();
    let with = |text: String| one(&put[0].soul, "k", Value::text(text));
    for name in [users.carol.public(), users.alice.public()] {
        let renamed = with(text.replace(users.bob.public(), name));
        assert_eq!(sea::verify(&renamed, &blind), Err(Reject::Unverified));
    }
    let changed = with(text.replace("hi", "ho"));
    assert_eq!(sea::verify(&changed, &blind), Err(Reject::Unverified));
    let (value, _) = text.split_once(",\"+\"").unwrap();
    let naked = with(format!("{value},\"*\":\"{}\"}}", users.bob.public()));
    assert_eq!(sea::verify(&naked, &blind), Err(Reject::BadCertificate));
    let anonymous = with(format!("{value}}}"));
    assert_eq!(sea::verify(&anonymous, &blind), Err(Reject::Unverified));
}

#[test]
fn a_writer_on_the_block_list_is_refused_and_a_list_that_cannot_be_read_blocks_all() {
    let users = users();
    let top = format!("~{}", users.alice.public());
    let signed = |value: &Value, at: &str, key: &str| {
        let state = State::from_millis(STATE_MS);
        let text = sea::sign_value(&soul(at), key, value, state, &users.alice).unwrap();
        Value::text(text)
    };
    let verdict = |wb: &Json, stored: &[(&str, &str, Value)]| {
        let certificate = users.certify(&json!({"c": "*", "w": "k", "wb": wb}));
        let put = users.put(&certificate, "", "k", &Value::Null);
        sea::verify(&put, &|soul, key| {
            let found = stored
                .iter()
                .find(|(s, k, _)| *s == soul.as_str() && *k == key.as_str());
            Ok(found.map(|(_, _, value)| value.clone()))
        })
    };
    let bob = users.bob.public();
    let list = format!("{top}/list");
    let by_path = json!("list");
    let yes = signed(&Value::Bool(true), &list, bob);
    // Named as a path of the space, as a soul in a text, and as a link.
    for wb in [by_path.clone(), json!(list), json!({"#": list})] {
        assert_eq!(verdict(&wb, &[]), Ok(()), "{wb}");
        let blocked = verdict(&wb, &[(&list, bob, yes.clone())]);
        assert_eq!(blocked, Err(Reject::WriterBlocked), "{wb}");
        for off in [Value::Null, Value::Bool(false), Value::Number(0.0)] {
            let off = signed(&off, &list, bob);
            assert_eq!(verdict(&wb, &[(&list, bob, off)]), Ok(()), "{wb}");
        }
        for on in [Value::Number(1.0), Value::text(""), Value::Link(soul("s"))] {
            let on = signed(&on, &list, bob);
            let blocked = verdict(&wb, &[(&list, bob, on)]);
            assert_eq!(blocked, Err(Reject::WriterBlocked), "{wb}");
        }
        let others = signed(&Value::Bool(true), &list, users.carol.public());
        let passed = verdict(&wb, &[(&list, users.carol.public(), others)]);
        assert_eq!(passed, Ok(()), "{wb}");
        // No signed value at all.
        let blocked = verdict(&wb, &[(&list, bob, Value::Null)]);
        assert_eq!(blocked, Err(Reject::WriterBlocked), "{wb}");
    }
    // The path may be a link to another node, in the space or not.
    for (to, stored) in [("free", Value::Bool(true)), (list.as_str(), yes.clone())] {
        let link = signed(&Value::Link(soul(to)), &top, "list");
        let stored = [(top.as_str(), "list", link), (to, bob, stored)];
        assert_eq!(verdict(&by_path, &stored), Err(Reject::WriterBlocked));
    }
    let no_link = signed(&Value::text("free"), &top, "list");
    let unclear = verdict(&by_path, &[(&top, "list", no_link)]);
    assert_eq!(unclear, Err(Reject::BadCertificate));
    for wb in [
        json!(null),
        json!(1),
        json!(""),
        json!({}),
        json!({"#": 1}),
        json!(["list"]),
    ] {
        assert_eq!(verdict(&wb, &[]), Err(Reject::BadCertificate), "{wb}");
    }
    // Nobody passes where the graph can't be read.
    let certificate = users.certify(&json!({"c": "*", "w": "k", "wb": list}));
    let put = users.put(&certificate, "", "k", &Value::Null);
    assert_eq!(sea::verify(&put, &blind), Err(Reject::BadCertificate));
}

/// Browsers sign a policy in the order in which `SEA.certify` sets its members, gun.js on node
/// sorts them; and either may pass on what the other signed.
#[test]
fn a_policy_verifies_in_the_orders_of_browsers_and_of_node() {
    let users = users();
    let in_order =
        r#"{"c":"*","e":9000000000000,"r":"a","w":[{"*":"k","+":"*"},"k"],"rb":"x","wb":"y"}"#;
    let sorted =
        r#"{"c":"*","e":9000000000000,"r":"a","rb":"x","w":[{"*":"k","+":"*"},"k"],"wb":"y"}"#;
    // A text that is no JSON is signed as it is; this one is, so it is signed as a text in JSON.
    let sign_as_it_is = |text: &str| {
        let quoted = Json::from(Json::from(text).to_string());
        let signed = sea::sign(&quoted, &users.alice).unwrap();
        let (_, signature) = signed.rsplit_once("\"s\":").unwrap();
        signature.trim_end_matches('}').to_owned()
    };
    let known = |_: &Soul, _: &Key| Ok(None);
    for signed in [in_order, sorted] {
        let signature = sign_as_it_is(signed);
        for written in [in_order, sorted] {
            let certificate = format!("{{\"m\":{written},\"s\":{signature}}}");
            let put = users.put(&certificate, "", "k", &Value::Null);
            assert_eq!(sea::verify(&put, &known), Ok(()), "{signed} as {written}");
        }
    }
    let signature = sign_as_it_is(&in_order.replace("\"x\"", "\"z\""));
    let certificate = format!("{{\"m\":{in_order},\"s\":{signature}}}");
    let put = users.put(&certificate, "", "k", &Value::Null);
    assert_eq!(sea::verify(&put, &known), Err(Reject::BadCertificate));
}
