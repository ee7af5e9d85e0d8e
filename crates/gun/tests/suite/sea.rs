//! Signed and sealed data, against what gun.js signed, sealed and answered, and against rules
//! that no recording shows.

use gun::graph::Entry;
use gun::sea::{self, KeyPair, Nonce, SeaError, Unavailable};
use gun::wire::Reject;
use gun::{Graph, Key, Node, Soul, State, Value};
use serde_json::{Value as Json, json};

use crate::vector::{self, Kind, Replay, Rule};

fn vectors() -> Json {
    let text = std::fs::read_to_string(vector::folder().join("51-sea-vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn list<'v>(vectors: &'v Json, name: &str, count: usize) -> &'v [Json] {
    let list = vectors[name].as_array().unwrap();
    assert_eq!(list.len(), count, "{name}");
    list
}

fn text<'v>(json: &'v Json, name: &str) -> &'v str {
    json[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {json}"))
}

fn pair(vectors: &Json, user: &str) -> KeyPair {
    let user = &vectors[user];
    KeyPair::new(text(user, "priv"), text(user, "epriv")).unwrap()
}

/// No certificate with a block list passes here.
fn blind(_: &Soul, _: &Key) -> Result<Option<Value>, Unavailable> {
    Err(Unavailable)
}

fn put(soul: &str, key: &str, state: State, value: Value) -> Graph {
    let key = Key::new(key).unwrap();
    vec![Node {
        soul: Soul::new(soul).unwrap(),
        entries: vec![Entry { key, state, value }],
    }]
}

/// A value of the vectors as a put.
fn wire_put(wire: &Json) -> Graph {
    let value = match &wire["value"] {
        Json::String(text) => Value::text(text.as_str()),
        link => Value::Link(Soul::new(text(link, "#")).unwrap()),
    };
    let state = State::new(wire["state"].as_f64().unwrap()).unwrap();
    put(text(wire, "soul"), text(wire, "key"), state, value)
}

#[test]
fn the_public_side_of_a_pair_follows_from_the_private() {
    let vectors = vectors();
    for user in ["alice", "bob"] {
        let pair = pair(&vectors, user);
        assert_eq!(pair.public(), text(&vectors[user], "pub"));
        assert_eq!(pair.encryption_public(), text(&vectors[user], "epub"));
        assert_eq!(pair.encryption_private(), text(&vectors[user], "epriv"));
        assert!(!format!("{pair:?}").contains(text(&vectors[user], "epriv")));
    }
    let good = text(&vectors["alice"], "priv");
    let zero = "A".repeat(43);
    for bad in ["", "AAAA", &format!("{good}="), &good[1..], &zero] {
        assert_eq!(KeyPair::new(bad, good).err(), Some(SeaError::PrivateKey));
        assert_eq!(KeyPair::new(good, bad).err(), Some(SeaError::PrivateKey));
    }
}

#[test]
fn texts_that_gun_js_signed_verify_and_ours_read_the_same() {
    let vectors = vectors();
    let (alice, bob) = (pair(&vectors, "alice"), pair(&vectors, "bob"));
    for case in list(&vectors, "plainSign", 10) {
        let signed = text(case, "signed");
        let read = sea::verify_signed(signed, alice.public());
        assert_eq!(read.as_ref(), Ok(&case["seaVerify"]), "{case}");
        assert_eq!(
            sea::verify_signed(signed, bob.public()),
            Err(SeaError::Signature)
        );
        // Signatures differ from time to time: the rest of the text does not.
        let ours = sea::sign(&case["data"], &alice).unwrap();
        let (body, _) = signed.rsplit_once("\"s\":").unwrap();
        assert!(ours.starts_with(body), "{ours}");
        assert_eq!(ours.len(), signed.len());
        let read = sea::verify_signed(&ours, alice.public());
        assert_eq!(read.as_ref(), Ok(&case["seaVerify"]), "{case}");
    }
}

#[test]
fn what_a_browser_signed_in_its_own_order_verifies() {
    let alice = pair(&vectors(), "alice");
    // A text is signed as it is: so is this one, in the order of a browser.
    let browser = r#"{"b":1,"a":2}"#;
    let quoted = Json::from(Json::from(browser).to_string());
    let signed = sea::sign(&quoted, &alice).unwrap();
    let signature = signed.rsplit_once("\"s\":").unwrap().1;
    let as_object = format!("SEA{{\"m\":{browser},\"s\":{signature}");
    let read = sea::verify_signed(&as_object, alice.public());
    assert_eq!(read, Ok(json!({"a": 2, "b": 1})));
    let changed = as_object.replace(":2", ":3");
    let read = sea::verify_signed(&changed, alice.public());
    assert_eq!(read, Err(SeaError::Signature));
}

#[test]
fn texts_that_gun_js_sealed_open_and_ours_are_the_same() {
    let vectors = vectors();
    for case in list(&vectors, "encrypt", 3) {
        let (sealed, key) = (text(case, "sealed"), text(case, "key"));
        assert_eq!(
            sea::decrypt(sealed, key).as_ref(),
            Ok(&case["seaDecrypt"]),
            "{case}"
        );
        assert_eq!(sea::decrypt(sealed, "another"), Err(SeaError::Sealed));
        // The password of an account seals without the mark.
        assert_eq!(
            sea::decrypt(&sealed[3..], key).as_ref(),
            Ok(&case["seaDecrypt"])
        );
        let parts: Json = serde_json::from_str(&sealed[3..]).unwrap();
        let drawn = |name: &str| decode(text(&parts, name));
        let nonce = Nonce {
            salt: drawn("s").try_into().unwrap(),
            iv: drawn("iv").try_into().unwrap(),
        };
        assert_eq!(
            sea::encrypt(&case["data"], key, nonce).as_deref(),
            Ok(sealed)
        );
    }
    for bad in [
        "",
        "SEA{}",
        "SEA{\"ct\":1}",
        "{\"ct\":\"!\",\"iv\":\"\",\"s\":\"\"}",
    ] {
        assert_eq!(sea::decrypt(bad, "key"), Err(SeaError::Form), "{bad}");
    }
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[test]
fn two_users_agree_on_the_secret_of_gun_js() {
    let vectors = vectors();
    let (alice, bob) = (pair(&vectors, "alice"), pair(&vectors, "bob"));
    let expected = text(&vectors["secret"], "ab");
    let ours = alice.secret(bob.encryption_public()).unwrap();
    assert_eq!(ours.as_str(), expected);
    let theirs = bob.secret(alice.encryption_public()).unwrap();
    assert_eq!(theirs.as_str(), text(&vectors["secret"], "ba"));
    // Two coordinates that are no point of the curve.
    let (x, y) = alice.encryption_public().split_once('.').unwrap();
    for bad in [format!("{y}.{x}"), x.to_owned(), format!("{x}.{y}.{y}")] {
        assert_eq!(bob.secret(&bad).err(), Some(SeaError::PublicKey), "{bad}");
    }
}

#[test]
fn a_password_opens_the_account_that_gun_js_made_with_it() {
    let vectors = vectors();
    let account = |key: &str| {
        let wires = list(&vectors, "wire", 20);
        let of_al1ce = |wire: &&Json| text(wire, "soul").starts_with("~zo03") && wire["key"] == key;
        let wire = wires.iter().find(of_al1ce).unwrap();
        let envelope: Json = serde_json::from_str(text(wire, "value")).unwrap_or_default();
        envelope[":"]
            .as_str()
            .unwrap_or(text(wire, "value"))
            .to_owned()
    };
    let auth: Json = serde_json::from_str(&account("auth")).unwrap();
    let proof = sea::work(&json!("password123"), text(&auth, "s"));
    let keys = sea::decrypt(&auth["ek"].to_string(), &proof).unwrap();
    let pair = KeyPair::new(text(&keys, "priv"), text(&keys, "epriv")).unwrap();
    assert_eq!(pair.public(), account("pub"));
    assert_eq!(pair.encryption_public(), account("epub"));
    let proof = sea::work(&json!("password124"), text(&auth, "s"));
    assert_eq!(
        sea::decrypt(&auth["ek"].to_string(), &proof),
        Err(SeaError::Sealed)
    );
}

#[test]
fn hashes_of_content_are_those_of_gun_js() {
    let work = &vectors()["work"];
    assert_eq!(sea::content_hash(&json!("hello")), text(work, "sha256"));
    let object = json!({"b": 1, "a": 2});
    assert_eq!(sea::content_hash(&object), text(work, "objSha"));
}

#[test]
fn every_value_of_the_vectors_is_admitted_and_its_author_known() {
    let vectors = vectors();
    let mut signed = 0;
    for wire in list(&vectors, "wire", 20) {
        let good = wire_put(wire);
        assert_eq!(sea::verify(&good, &blind), Ok(()), "{wire}");
        let (soul, entry) = (&good[0].soul, &good[0].entries[0]);
        let author = sea::author(soul, entry);
        assert_eq!(author.as_deref(), wire["signedBy"].as_str(), "{wire}");
        let Some(expected) = wire["signedText"].as_str() else {
            continue;
        };
        signed += 1;
        let envelope: Json = serde_json::from_str(text(wire, "value")).unwrap();
        let value = match &envelope[":"] {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.as_f64().unwrap()),
            Json::String(text) => Value::text(text.as_str()),
            link => Value::Link(Soul::new(text(link, "#")).unwrap()),
        };
        let exact = sea::signed_text(soul, entry.key.as_str(), &value, entry.state);
        assert_eq!(exact, expected);
        for bad in altered(&good) {
            let verdict = sea::verify(&bad, &blind);
            assert!(
                matches!(verdict, Err(Reject::Unverified | Reject::BadCertificate)),
                "{verdict:?} {bad:?}"
            );
        }
    }
    assert_eq!(signed, 16);
}

/// The same put, with one thing changed that the signature covers.
fn altered(good: &Graph) -> Vec<Graph> {
    let change = |change: &dyn Fn(&mut Node)| {
        let mut bad = good.clone();
        change(&mut bad[0]);
        bad
    };
    let wire = good[0].entries[0].value.as_text().unwrap().to_owned();
    vec![
        change(&|node| node.entries[0].state = node.entries[0].state.successor()),
        change(&|node| node.soul = Soul::new(format!("{}/x", node.soul)).unwrap()),
        change(&|node| node.entries[0].key = Key::new("other").unwrap()),
        change(&|node| node.entries[0].value = Value::Null),
        change(&|node| {
            node.entries[0].value = Value::text(wire.replacen("\":", "\":[],\"-\":", 1))
        }),
        change(&|node| node.entries[0].value = Value::text(wire.replacen("\"~\"", "\"-\"", 1))),
    ]
}

#[test]
fn the_certificates_of_the_vectors_are_signed_by_their_owner() {
    let vectors = vectors();
    let (alice, bob) = (pair(&vectors, "alice"), pair(&vectors, "bob"));
    for name in ["cert", "certExp"] {
        let certificate = text(&vectors, name);
        let policy = sea::verify_signed(certificate, alice.public()).unwrap();
        assert_eq!(text(&policy, "c"), bob.public());
        assert_eq!(
            sea::sign(&policy, &alice).unwrap().len(),
            certificate.len(),
            "{policy}"
        );
    }
}

/// What our relay says to each put of the recording is what gun.js said, with two exceptions.
#[test]
fn the_verdicts_of_gun_js_on_good_and_tampered_puts_are_ours() {
    Replay::of("52-sea-relay-checks")
        .never(Rule::FanOut, "get ")
        .with(Rule::AckAll, "a", &["ack @chkKzzzzz true"])
        .with(
            Rule::Certificates,
            "a",
            &["err @chkVzzzzz Certificate verification fail."],
        )
        .check();
    // The recording holds what the vectors say: the verdict of each check is told there.
    let vectors = vectors();
    let notes: Vec<String> = notes("52-sea-relay-checks");
    let checks = list(&vectors, "relayChecks", 30);
    let names: Vec<&str> = checks.iter().map(|check| text(check, "what")).collect();
    assert_eq!(notes, names);
    let mut replies = vector::read("52-sea-relay-checks")
        .into_iter()
        .filter_map(|line| match line.kind {
            Kind::ToClient(frame) if frame.contains("\"@\":\"chk") => Some(frame),
            _ => None,
        });
    for check in checks.iter().filter(|check| !check["reply"].is_null()) {
        let frame: Json = serde_json::from_str(&replies.next().unwrap()).unwrap();
        for (name, said) in check["reply"].as_object().unwrap() {
            assert_eq!(&frame[name], said, "{check}");
        }
    }
    assert_eq!(replies.next(), None);
}

fn notes(name: &str) -> Vec<String> {
    let path = vector::folder().join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| {
            let line: Json = serde_json::from_str(line).unwrap();
            line["note"].as_str().map(str::to_owned)
        })
        .collect()
}

#[test]
fn everything_a_client_with_accounts_puts_is_admitted() {
    Replay::of("50-sea-client")
        .never(Rule::Echo, "push ")
        .check();
    let puts = vector::read("50-sea-client")
        .into_iter()
        .filter(|line| matches!(&line.kind, Kind::ToRelay(frame) if frame.contains("\"put\"")))
        .count();
    assert_eq!(puts, 13);
}

#[test]
fn names_lead_to_themselves_and_hashes_to_their_content() {
    let link = |to: &str| Value::Link(Soul::new(to).unwrap());
    let hash = "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";
    let hex = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    let hello = || Value::text("hello world");
    for (soul, key, value, expected) in [
        ("~@", "alice", link("~@alice"), Ok(())),
        ("~@", "alice", link("~@bob"), Err(Reject::BadAlias)),
        ("~@", "alice", Value::text("~@alice"), Err(Reject::BadAlias)),
        ("~@", "alice", Value::Null, Err(Reject::MissingAlias)),
        ("~@alice", "~a.b", link("~a.b"), Ok(())),
        ("~@alice", "~a.b", link("~c.d"), Err(Reject::BadAlias)),
        (
            "~@alice",
            "~a.b",
            Value::text("~a.b"),
            Err(Reject::BadAlias),
        ),
        ("~@alice", "~a.b", Value::Null, Err(Reject::MissingAlias)),
        ("~a.b", "pub", Value::text("a.b"), Ok(())),
        ("~a.b", "pub", Value::text("a.c"), Err(Reject::BadAccount)),
        ("~a.b", "pub", Value::Null, Err(Reject::BadAccount)),
        ("~a.b/x", "pub", Value::text("a.b"), Err(Reject::Unverified)),
        ("x~a.b", "pub", Value::text("a.b"), Err(Reject::Unverified)),
        ("~a.b", "name", Value::text("a"), Err(Reject::Unverified)),
        ("~a.b", "name", Value::Number(1.0), Err(Reject::Unverified)),
        ("#", hash, hello(), Ok(())),
        ("#", hex, hello(), Ok(())),
        ("#", &hex.to_uppercase(), hello(), Ok(())),
        ("a#b", &format!("x#y#{hash}"), hello(), Ok(())),
        ("#", &format!("{hash}#x"), hello(), Err(Reject::WrongHash)),
        ("#", &hash[1..], hello(), Err(Reject::WrongHash)),
        ("#", &format!("{hex}00"), hello(), Err(Reject::WrongHash)),
        ("#", &"é".repeat(32), hello(), Err(Reject::WrongHash)),
        ("#", hash, Value::Null, Err(Reject::WrongHash)),
        ("#", hash, link("hello world"), Err(Reject::WrongHash)),
        ("#", &sea::content_hash(&json!(null)), Value::Null, Ok(())),
        (
            "#",
            &sea::content_hash(&json!(1.5)),
            Value::Number(1.5),
            Ok(()),
        ),
        (
            "#",
            &sea::content_hash(&json!({"#": "s"})),
            link("s"),
            Ok(()),
        ),
        ("plain", "k", Value::Null, Ok(())),
        ("~nokey", "k", Value::Null, Ok(())),
    ] {
        let put = put(soul, key, State::from_millis(1), value);
        assert_eq!(sea::verify(&put, &blind), expected, "{put:?}");
        let (soul, entry) = (&put[0].soul, &put[0].entries[0]);
        assert_eq!(sea::verify_value(soul, entry, &blind), expected);
        assert_eq!(sea::author(soul, entry), None, "{entry:?}");
    }
}

#[test]
fn one_bad_value_refuses_the_whole_put() {
    let vectors = vectors();
    let wires = list(&vectors, "wire", 20);
    let mut both = wire_put(&wires[0]);
    both.extend(put("#", "x", State::from_millis(1), Value::Null));
    assert_eq!(sea::verify(&both, &blind), Err(Reject::WrongHash));
    both[1] = wire_put(&wires[5]).remove(0);
    assert_eq!(sea::verify(&both, &blind), Ok(()));
    let node = wire_put(&wires[1]).remove(0);
    let mut entry = node.entries[0].clone();
    entry.key = Key::new("years").unwrap();
    both[0].entries.extend([node.entries[0].clone(), entry]);
    assert_eq!(sea::verify(&both, &blind), Err(Reject::Unverified));
}

#[test]
fn what_is_too_old_for_its_soul_is_acknowledged_and_not_stored() {
    let now_ms = 1_795_400_000_000;
    let mut relay = crate::relay::Relay::new(now_ms);
    relay.open(1, gun::mesh::Direction::Accepted);
    for (id, state) in [("old", now_ms - 5_001), ("young", now_ms - 5_000)] {
        let soul = "a<?5";
        relay.hear(1, &format!(r##"{{"#":"{id}","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{"{id}":{state}}}}},"{id}":1}}}}}}"##));
        let told = crate::facts::of(&relay.taken(1));
        assert!(told.contains(&format!("ack @{id} true")), "{told:?}");
    }
    let node = relay.node("a<?5").unwrap();
    assert!(node.entry("young").is_some() && node.entry("old").is_none());
}
