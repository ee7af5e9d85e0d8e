//! What hostile peers try with private records, beside what `sealed` tests: a key whose prefix fits, forged
//! deletions, old versions under new dates. Each is refused by name, and the record stays as it was.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_index::{Access, Condition, Query};
use oip_node::{AccessChange, Owner, Secret};
use oip_record::publish::{self, Built, Context};
use oip_record::soul::{self, PrefixWidth};
use oip_record::{CreatorKey, Did};
use oip_vault::keys::EncryptionKey;
use oip_vault::seal::{self, Place};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use testkit::raw;

use crate::support::{
    TestNode, Version, eventually, graph, join, node, node_with, now_ms, put, submission, text,
};

/// Scalars of two secp256k1 keys whose texts hash to one prefix of 12 digits, found by making 45 million:
/// 48 bits are within anybody's reach.
const VICTIM: u128 = 0x0197_7a3c_55d1_9e21_7bc2_5095;
const ATTACKER: u128 = 0x0197_7a3c_55d1_9e21_7d0a_c387;

/// The key that the node under attack opens with.
pub(crate) const OPENS: [u8; 32] = [3; 32];

fn key(scalar: u128) -> CreatorKey {
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&scalar.to_be_bytes());
    CreatorKey::secp256k1(bytes).unwrap()
}

fn short_soul(key: &CreatorKey, local_id: &str) -> gun::Soul {
    let prefix = soul::prefix(&key.creator().public_key, PrefixWidth::Deployed);
    soul::with_local_id(&prefix, local_id).unwrap()
}

struct Random;

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        aws_lc_rs::rand::fill(out).unwrap();
        Ok(())
    }
}

impl TryCryptoRng for Random {}

fn context<'a>(key: &'a CreatorKey, soul: &'a gun::Soul, at_ms: u64) -> Context<'a> {
    Context {
        key,
        now_ms: i64::try_from(at_ms).unwrap(),
        newest_known: None,
        random: [7; 16],
        existing: Some(soul),
    }
}

/// A record at `soul`, sealed to the node under attack.
pub(crate) fn sealed(key: &CreatorKey, soul: &gun::Soul, words: &str, at_ms: u64) -> Built {
    sealed_over(key, soul, words, words, at_ms)
}

/// The same, whose signature inside is over other words than those that are inside.
pub(crate) fn sealed_over(
    key: &CreatorKey,
    soul: &gun::Soul,
    words: &str,
    signed: &str,
    at_ms: u64,
) -> Built {
    let draft_of = |words: &str| {
        let mut data = text(words);
        data["accessControl"] = json!({"access_level": "private"});
        let context = context(key, soul, at_ms);
        publish::draft(&submission("x", data), "private", &context).unwrap()
    };
    let draft = draft_of(words);
    let signature = draft_of(signed).sign_content(key).unwrap();
    let place = Place {
        soul: &draft.soul,
        record_type: &draft.record_type,
        indexed_at: &draft.stamp,
        creator: &draft.creator,
    };
    let to = EncryptionKey::from_scalar(OPENS).unwrap().public().clone();
    let form = seal::seal(
        place,
        &draft.level,
        &draft.data,
        &signature,
        &[to],
        &mut Random,
    )
    .unwrap();
    draft.seal(&form, key).unwrap()
}

pub(crate) async fn says(node: &TestNode, did: &Did, words: &str) {
    eventually(&format!("{did} says {words}"), || async {
        let query = Query {
            access: Access::Everything,
            ..Query::of(Condition::did(did.to_string()))
        };
        let page = node.search(query).await.unwrap();
        let hit = page.hits.first()?;
        (hit.document["data"]["post"]["articleText"] == words).then_some(())
    })
    .await;
}

/// A node that holds a record sealed to it, under a soul with a short prefix.
async fn attacked() -> (TestNode, gun::Soul, Did) {
    let node = node_with(&[], |config| {
        let key = URL_SAFE_NO_PAD.encode(OPENS);
        config.private.encryption_key = Some(Secret::new(key));
    })
    .await;
    let victim = key(VICTIM);
    let soul = short_soul(&victim, "diary");
    let built = sealed(&victim, &soul, "mine", now_ms() - 10_000);
    let record = graph(&built.entries, now_ms() - 10_000);
    put(&mut node.client().await, record).await;
    let did = Did::from_soul(&soul);
    says(&node, &did, "mine").await;
    (node, soul, did)
}

async fn refused(node: &TestNode, record: Value, reason: &str, did: &Did) {
    let before = node.rejected(reason);
    // What heals an attack before this one may come in between, under a later state: then once more.
    eventually(&format!("a refusal as {reason}"), || async {
        put(&mut node.client().await, stamped(&record, now_ms())).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (node.rejected(reason) > before).then_some(())
    })
    .await;
    node.indexed().await;
    says(node, did, "mine").await;
}

/// A graph with other states.
fn stamped(graph: &Value, at_ms: u64) -> Value {
    let mut graph = graph.clone();
    for (_, node) in graph.as_object_mut().unwrap() {
        for (_, state) in node["_"][">"].as_object_mut().unwrap() {
            *state = json!(at_ms);
        }
    }
    graph
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_key_whose_prefix_fits_takes_over_nothing() {
    let (node, soul, did) = attacked().await;
    let attacker = key(ATTACKER);
    assert_eq!(short_soul(&attacker, "diary"), soul, "the prefixes are one");
    assert_ne!(attacker.creator(), key(VICTIM).creator());
    let at_ms = now_ms() - 5_000;
    let other = sealed(&attacker, &soul, "theirs", at_ms);
    refused(&node, graph(&other.entries, at_ms), "contested", &did).await;
    let context = context(&attacker, &soul, at_ms + 1);
    let public = publish::build(&submission("x", text("theirs")), &context).unwrap();
    refused(&node, Version(public).record(at_ms + 1), "contested", &did).await;
    let gone = publish::tombstone(&soul, "post", &context).unwrap();
    refused(&node, Version(gone).record(at_ms + 2), "contested", &did).await;
    // Sealed to the node as it is, it is opened nowhere.
    let query = Query {
        access: Access::Everything,
        ..Query::of(Condition::text("theirs"))
    };
    assert_eq!(node.search(query).await.unwrap().total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_of_a_sealed_record_that_its_creator_did_not_sign_deletes_nothing() {
    let (node, soul, did) = attacked().await;
    let at_ms = now_ms();
    // By another key, whose prefix does not fit.
    let stranger = CreatorKey::ed25519([9; 32]).unwrap();
    let own = soul::with_local_id(&stranger.soul_prefix(), "diary").unwrap();
    let gone = publish::tombstone(&own, "post", &context(&stranger, &own, at_ms)).unwrap();
    let values = [("data", Value::Null), ("oip", json!(gone.oip_text))];
    let moved = raw::node(soul.as_str(), &values, at_ms);
    refused(&node, moved, "prefix-mismatch", &did).await;
    // In the creator's name, signed by nobody, or by a signature that was read elsewhere.
    let creator = key(VICTIM).creator().clone();
    let mut oip: Value = serde_json::from_str(&gone.oip_text).unwrap();
    oip["did"] = json!(did.to_string());
    oip["creator"] = json!({"didAddress": creator.did_address, "publicKey": creator.public_key});
    let values = [("data", Value::Null), ("oip", json!(oip.to_string()))];
    let forged = raw::node(soul.as_str(), &values, now_ms());
    refused(&node, forged, "bad-signature", &did).await;
    for member in ["signature", "scheme", "arrays", "revision", "level"] {
        oip.as_object_mut().unwrap().shift_remove(member);
    }
    let values = [("data", Value::Null), ("oip", json!(oip.to_string()))];
    let unsigned = raw::node(soul.as_str(), &values, now_ms());
    refused(&node, unsigned, "unsigned", &did).await;
    // The mark of a deployed node, by a peer that nobody configured.
    let flag = [(&*did.to_string(), json!(true))];
    let mark = raw::node("oip:deleted:records:index", &flag, now_ms());
    put(&mut node.client().await, mark).await;
    // What is put later is judged later.
    let other = node
        .publish(submission("other", text("later")))
        .await
        .unwrap();
    says(&node, &other.did, "later").await;
    says(&node, &did, "mine").await;
    assert_eq!(node.metric("records_hidden_total"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_revision_of_a_sealed_record_does_not_take_back_a_share() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let mut data = text("mine");
    data["accessControl"] = json!({"access_level": "private"});
    let did = a.publish(submission("s", data)).await.unwrap().did;
    let read = async |node: &TestNode| {
        let mut client = node.client().await;
        let values = client.get(did.soul().as_str(), crate::support::PATIENCE);
        Value::from(values.await.unwrap().unwrap())
    };
    let before = read(&a).await;
    let share = AccessChange {
        share: vec![b.identity().0],
        revoke: Vec::new(),
    };
    eventually("the share", || async {
        let changed = a.change_access(&did, share.clone(), &Owner::Operator);
        changed.await.ok()
    })
    .await;
    says(&b, &did, "mine").await;
    let shared = read(&b).await;
    let values = [
        ("data", before["data"].clone()),
        ("oip", before["oip"].clone()),
    ];
    let healed = b.metric("records_healed_total");
    let replayed = raw::node(did.soul().as_str(), &values, now_ms() + 5);
    put(&mut b.client().await, replayed).await;
    b.counted("records_healed_total", healed + 1).await;
    assert_eq!(read(&b).await["data"], shared["data"]);
    says(&b, &did, "mine").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_private_data_of_a_deployed_node_under_a_new_date_is_not_taken_again() {
    // Clear, and encrypted by an old scheme: neither's signature covers the time.
    let node = node(&[]).await;
    let wallet = crate::pulling::wallet();
    let version = |local_id: &str, data: &Value, signed: &Value, at_ms: u64| {
        let soul = format!("{}:{local_id}", wallet.soul_prefix());
        let creator = wallet.creator();
        let stamp = oip_record::Stamp::from_ms(i64::try_from(at_ms).unwrap());
        let oip = json!({
            "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
            "indexedAt": stamp.as_str(),
            "signature": wallet.sign(signed.to_string().as_bytes()).unwrap(),
            "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
        });
        let values = [
            ("data", json!(data.to_string())),
            ("oip", json!(oip.to_string())),
        ];
        let soul = gun::Soul::new(soul).unwrap();
        let record = raw::node(soul.as_str(), &values, at_ms);
        let entry = crate::support::entry("post", &soul, "n", at_ms);
        (Did::from_soul(&soul), join(record, entry))
    };
    let clear = |words: &str| {
        let mut data = text(words);
        data["accessControl"] = json!({"access_level": "private"});
        data
    };
    let vectors = include_str!("../../../../testdata/vectors/oip/crypto-vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let vector = &vectors["records"][0];
    let plain: Value = serde_json::from_str(vector["plaintextSingle"].as_str().unwrap()).unwrap();
    let cases = [
        (
            "clear",
            [clear("one"), clear("two")],
            [clear("one"), clear("two")],
        ),
        (
            "legacy",
            [vector["dataSingle"].clone(), vector["dataDouble"].clone()],
            [plain.clone(), plain],
        ),
    ];
    for (name, [old, new], [old_signed, new_signed]) in cases {
        let now = now_ms();
        let held = async |did: &Did, at_ms: u64| {
            eventually(&format!("{did} of {at_ms}"), || async {
                let shown = node.get_as(did, &Access::Everything).await.unwrap()?;
                let stamp = oip_record::Stamp::from_ms(i64::try_from(at_ms).unwrap());
                (shown["oip"]["indexedAt"] == stamp.as_str()).then_some(())
            })
            .await;
        };
        let (did, first) = version(name, &old, &old_signed, now - 30_000);
        put(&mut node.client().await, first).await;
        held(&did, now - 30_000).await;
        let (_, second) = version(name, &new, &new_signed, now - 20_000);
        put(&mut node.client().await, second).await;
        held(&did, now - 20_000).await;
        let skipped = node.metric("records_skipped_total");
        let (_, dated) = version(name, &old, &old_signed, now - 10_000);
        put(&mut node.client().await, dated).await;
        node.counted("records_skipped_total", skipped + 1).await;
        held(&did, now - 20_000).await;
    }
}
