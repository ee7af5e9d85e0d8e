//! What users may do: who owns a record, a stranger, and the holder of a token that names no key; with public and private
//! records, by every verb. And sealed records that users make themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_node::{ForeignSealed, Owner, Secret};
use oip_record::publish::{self, Context};
use oip_record::{CreatorKey, Submission};
use testkit::RawGun;

use super::*;
use crate::api::UserTokens;

const SECRET: &str = "a secret of more than sixteen";
const PATIENCE: Duration = Duration::from_secs(30);

/// A person with a key.
struct User {
    key: CreatorKey,
    public: String,
}

impl User {
    fn new(seed: u8) -> Self {
        let key = CreatorKey::secp256k1([seed; 32]).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(&key.creator().public_key).unwrap();
        let public = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key, public }
    }

    fn token(&self) -> String {
        token(&json!({"userId": "u", "publicKey": self.public, "exp": 4_000_000_000_u64}))
    }

    /// The record by which he names an encryption key: its soul and values.
    fn encryption_key(&self, seed: u8) -> (String, Value) {
        let encryption = CreatorKey::p256([seed; 32]).unwrap();
        let submission = Submission {
            record_type: "encryptionKey".into(),
            local_id: Some("encryption-key".into()),
            data: json!({"encryptionKey": {"kem": "P-256", "key": encryption.creator().public_key}}),
            params: serde_json::Map::new(),
        };
        let context = Context {
            key: &self.key,
            now_ms: i64::try_from(now_ms()).unwrap(),
            newest_known: None,
            random: [1; 16],
            existing: None,
        };
        let built = publish::build(&submission, &context).unwrap();
        let values = json!({"data": built.data_text, "oip": built.oip_text});
        (built.soul.as_str().to_owned(), values)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// What the deployed account service gives out.
fn token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256"})), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

struct Users {
    api: Api,
    owner: User,
    stranger: User,
}

impl Users {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut api = Api::start_with(LocalWriting::NeedsToken, change).await;
        let access = Access::new(AdminToken::new(TOKEN).unwrap(), LocalWriting::NeedsToken)
            .with_users(Some(UserTokens::new(SECRET).unwrap()));
        api.router = router(ApiState::new(api.node.clone(), access));
        Self {
            api,
            owner: User::new(1),
            stranger: User::new(2),
        }
    }

    fn keyless() -> String {
        token(&json!({"userId": "k", "isAdmin": true, "exp": 4_000_000_000_u64}))
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        self.api.call(request.body(body).unwrap()).await
    }

    async fn publish(&self, local_id: &str, token: &str, data: &Value) -> Answer {
        let path = format!("/api/records/newRecord?recordType=post&localId={local_id}");
        self.call(Method::POST, &path, token, data).await
    }

    async fn change(&self, did: &str, token: &str, change: &Value) -> Answer {
        let path = format!("/api/records/{did}/access");
        self.call(Method::PATCH, &path, token, change).await
    }

    async fn delete(&self, did: &str, token: &str) -> Answer {
        let request = json!({"delete": {"did": did}});
        self.call(Method::POST, "/api/records/deleteRecord", token, &request)
            .await
    }

    /// Whether a token shows a record, by DID and by search alike.
    async fn shows(&self, did: &str, token: &str) -> bool {
        self.api.node.indexed().await;
        let by_did = format!("/api/records?did={did}");
        let mut shown = Vec::new();
        for path in [by_did.as_str(), "/api/records?limit=100"] {
            let answer = self.call(Method::GET, path, token, &Value::Null).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            let records = answer.body["records"].as_array().unwrap();
            shown.push(records.iter().any(|record| record["oip"]["did"] == did));
        }
        assert_eq!(shown[0], shown[1], "by DID and by search");
        shown[0]
    }

    /// Puts a record on the relay port, as anybody may.
    async fn put(&self, soul: &str, values: &Value) {
        let values: Vec<(&str, Value)> = values
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let graph = testkit::raw::node(soul, &values, now_ms());
        let address = format!("ws://{}/gun", self.api.node.relay_address());
        let mut client = RawGun::connect(&address).await.unwrap();
        let ack = client.put(graph, PATIENCE).await.unwrap();
        assert!(ack["err"].is_null(), "{ack}");
    }
}

/// A record that claims to belong to somebody.
fn record(level: &str, owner: &str) -> Value {
    let mut data = post("Of a user");
    data["accessControl"] =
        json!({"access_level": level, "owner_public_key": owner, "created_by": owner});
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_belongs_to_whose_token_it_was_published_with_whatever_it_says() {
    let users = Users::start().await;
    let (owner, stranger) = (users.owner.token(), users.stranger.token());
    for level in ["private", "public"] {
        let made = users
            .publish(level, &owner, &record(level, &users.stranger.public))
            .await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.body);
        assert_eq!(made.body["encrypted"], level == "private");
        let control = &made.body["recordToIndex"]["data"]["accessControl"];
        for name in ["owner_public_key", "created_by"] {
            assert_eq!(control[name], users.owner.public, "{level}");
        }
        let did = made.text("/did");
        assert!(users.shows(did, &owner).await, "{level}");
        for other in [&stranger, &Users::keyless(), &"not a token".to_owned()] {
            assert_eq!(users.shows(did, other).await, level == "public");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_changes_nothing_of_an_owners_by_any_verb() {
    let users = Users::start().await;
    let (owner, stranger) = (users.owner.token(), users.stranger.token());
    for level in ["private", "public"] {
        let made = users
            .publish(level, &owner, &record(level, &users.owner.public))
            .await;
        let did = made.text("/did").to_owned();
        // He may say in the body that he owns it, or that the owner does.
        for named in [&users.stranger.public, &users.owner.public] {
            for wanted in ["private", "public"] {
                let edit = users
                    .publish(level, &stranger, &record(wanted, named))
                    .await;
                assert_eq!(edit.refusal().1, "not-owner", "{level}, {wanted}");
                assert_eq!(edit.status, StatusCode::FORBIDDEN);
            }
        }
        let me = json!({"share": [users.stranger.public]});
        let out = json!({"revoke": [users.owner.public]});
        for change in [&me, &out] {
            let changed = users.change(&did, &stranger, change).await;
            assert_eq!(changed.refusal().1, "not-owner", "{level}");
        }
        let deleted = users.delete(&did, &stranger).await;
        assert_eq!(deleted.refusal().0, 403, "{level}");
        assert!(users.shows(&did, &owner).await, "{level}");
        // The owner does both.
        let edit = users
            .publish(level, &owner, &record(level, &users.owner.public))
            .await;
        assert_eq!(edit.status, StatusCode::OK, "{}", edit.body);
        let deleted = users.delete(&did, &owner).await;
        assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.body);
        assert!(!users.shows(&did, &owner).await, "{level}");
    }
    let trail = users.api.node.audit(0, 100).await.unwrap();
    let trail = serde_json::to_string(&trail).unwrap();
    assert!(trail.contains("\"refused\""), "{trail}");
    assert!(trail.contains("\"not-owner\"") && trail.contains(&users.stranger.public));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_key_owns_nothing_and_writes_nothing() {
    let users = Users::start().await;
    let (owner, keyless) = (users.owner.token(), Users::keyless());
    for level in ["private", "public"] {
        let made = users
            .publish(level, &owner, &record(level, &users.owner.public))
            .await;
        let did = made.text("/did").to_owned();
        let data = record(level, &users.owner.public);
        let refused = [
            users.publish("new", &keyless, &data).await,
            users.publish(level, &keyless, &data).await,
            users
                .change(&did, &keyless, &json!({"share": [users.stranger.public]}))
                .await,
            users.delete(&did, &keyless).await,
        ];
        for answer in refused {
            let (status, reason, _) = answer.refusal();
            assert_eq!((status, reason), (403, "token-without-key"), "{level}");
        }
        assert!(users.shows(&did, &owner).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_shares_with_another_user_and_takes_it_back() {
    let users = Users::start().await;
    let (owner, stranger) = (users.owner.token(), users.stranger.token());
    let (soul, values) = users.stranger.encryption_key(9);
    users.put(&soul, &values).await;
    let made = users
        .publish("letter", &owner, &record("private", &users.owner.public))
        .await;
    let did = made.text("/did").to_owned();
    let names = [&users.stranger.public];
    let shared = users.change(&did, &owner, &json!({"share": names})).await;
    assert_eq!(shared.body["recipients"], 2, "{}", shared.body);
    assert!(users.shows(&did, &stranger).await);
    // To read is not to own.
    for change in [
        json!({"revoke": [users.owner.public]}),
        json!({"share": names}),
    ] {
        let changed = users.change(&did, &stranger, &change).await;
        assert_eq!(changed.refusal().1, "not-owner");
    }
    let edit = users
        .publish(
            "letter",
            &stranger,
            &record("private", &users.stranger.public),
        )
        .await;
    assert_eq!(edit.refusal().1, "not-owner");
    let revoked = users.change(&did, &owner, &json!({"revoke": names})).await;
    assert_eq!(revoked.body["resealed"], true, "{}", revoked.body);
    assert!(!users.shows(&did, &stranger).await);
    assert!(users.shows(&did, &owner).await);
    let public = users
        .publish("open", &owner, &record("public", &users.owner.public))
        .await;
    let share = json!({"share": names});
    let changed = users.change(public.text("/did"), &owner, &share).await;
    assert_eq!(changed.refusal().1, "not-private");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_says_nothing_of_privacy_does_not_publish_what_was_private() {
    let users = Users::start().await;
    let owner = users.owner.token();
    let made = users
        .publish("letter", &owner, &record("private", &users.owner.public))
        .await;
    let edit = users.publish("letter", &owner, &post("Forgotten")).await;
    let (status, reason, message) = edit.refusal();
    assert_eq!((status, reason), (400, "was-private"));
    assert!(message.contains("access_level public"), "{message}");
    assert!(!users.shows(made.text("/did"), &Users::keyless()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_an_organization_reads_however_his_key_is_spelled_on_its_list() {
    let users = Users::start().await;
    let (soul, values) = users.stranger.encryption_key(9);
    users.put(&soul, &values).await;
    let base64 = users.stranger.key.creator().public_key.clone();
    for (n, spelled) in [base64, users.stranger.public.to_uppercase()]
        .into_iter()
        .enumerate()
    {
        let node = &users.api.node;
        let publish = async |record_type: &str, local_id: String, data: Value| {
            let submission = Submission {
                record_type: record_type.into(),
                local_id: Some(local_id),
                data,
                params: serde_json::Map::new(),
            };
            let published = node.publish_as(submission, &Owner::Operator).await;
            published.unwrap().did.to_string()
        };
        let organization = json!({"organization": {"name": "o"}});
        let organization = publish("organization", format!("o{n}"), organization).await;
        let list =
            json!({"organizationMembers": {"organization": organization, "members": [spelled]}});
        publish("organizationMembers", format!("o{n}:members"), list).await;
        let mut data = post("For members");
        data["accessControl"] =
            json!({"access_level": "organization", "shared_with": [organization]});
        let did = publish("post", format!("p{n}"), data).await;
        assert!(users.shows(&did, &users.stranger.token()).await, "{n}");
        assert!(!users.shows(&did, &users.owner.token()).await, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encryption_key_given_with_the_request_is_used_if_its_user_signed_it() {
    let users = Users::start().await;
    let (owner, stranger) = (users.owner.token(), users.stranger.token());
    let mut data = record("shared", &users.owner.public);
    data["accessControl"]["shared_with"] = json!([users.stranger.public]);
    let unknown = users.publish("letter", &owner, &data).await;
    assert_eq!(unknown.refusal().1, "no-user-key");
    let (_, key) = users.stranger.encryption_key(9);
    // Another key in it: nobody signed that.
    let text = key["data"].as_str().unwrap();
    let other = CreatorKey::p256([8; 32]).unwrap();
    let named = CreatorKey::p256([9; 32]).unwrap();
    let forged = text.replace(&named.creator().public_key, &other.creator().public_key);
    assert_ne!(forged, text);
    // And a good record that is no key.
    let letter = json!({"data": {"basic": {"name": "x"}}, "oip": key["oip"]});
    for (wrong, reason) in [
        (
            json!({"data": forged, "oip": key["oip"]}),
            "bad-encryption-key",
        ),
        (letter, "bad-encryption-key"),
        (json!("text"), "bad-encryption-key"),
    ] {
        data["encryptionKeys"] = json!([wrong]);
        let refused = users.publish("letter", &owner, &data).await;
        assert_eq!(refused.refusal().1, reason, "{}", refused.body);
    }
    data["encryptionKeys"] = json!([key]);
    let made = users.publish("letter", &owner, &data).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert!(
        made.body["recordToIndex"]["data"]
            .get("encryptionKeys")
            .is_none()
    );
    assert!(users.shows(made.text("/did"), &stranger).await);
    // The same with a share; it is known from then on, and may come again.
    let users = Users::start().await;
    let made = users
        .publish("letter", &owner, &record("private", &users.owner.public))
        .await;
    let did = made.text("/did").to_owned();
    let share = json!({"share": [users.stranger.public], "encryptionKeys": [key]});
    for recipients in [2, 2] {
        let shared = users.change(&did, &owner, &share).await;
        assert_eq!(shared.body["recipients"], recipients, "{}", shared.body);
    }
    assert!(users.shows(&did, &stranger).await);
}

fn vector() -> Value {
    let vectors = include_str!("../../../../../testdata/vectors/own/sealed.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let record = &vectors["records"][1];
    json!({"data": record["data"], "oip": record["oip"], "opened": record["opened"]})
}

/// The first reader of the vectors is this node.
fn is_a_reader(config: &mut NodeConfig) {
    config.private.encryption_key = Some(Secret::new(URL_SAFE_NO_PAD.encode([2; 32])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_sealed_himself_is_taken_as_it_is_and_served_as_ciphertext() {
    let users = Users::start().await;
    let owner = users.owner.token();
    let vector = vector();
    let sealed = json!({"data": vector["data"], "oip": vector["oip"]});
    let spoiled = sealed["data"].as_str().unwrap();
    let spoiled = spoiled.replacen("\"encrypted\":\"h", "\"encrypted\":\"i", 1);
    assert_ne!(spoiled, sealed["data"]);
    let spoiled = json!({"data": spoiled, "oip": vector["oip"]});
    let refused = users.publish("ignored", &owner, &spoiled).await;
    assert_eq!(refused.refusal().1, "bad-signature");
    let path = "/api/records/newRecord?recordType=notes";
    let refused = users.call(Method::POST, path, &owner, &sealed).await;
    let (status, reason, message) = refused.refusal();
    assert_eq!((status, reason), (400, "contradiction"));
    assert!(
        message.contains("notes") && message.contains("post"),
        "{message}"
    );
    let made = users.publish("ignored", &owner, &sealed).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert_eq!(made.body["encrypted"], true);
    let did = made.text("/did").to_owned();
    // This node is no recipient: not even its operator is shown what is inside.
    let by_did = format!("/api/records?did={did}");
    let shown = users.call(Method::GET, &by_did, TOKEN, &Value::Null).await;
    assert!(!shown.body.to_string().contains("Night watch"));
    assert!(
        shown.body["records"][0]["data"]["encrypted"].is_string(),
        "{}",
        shown.body
    );
    assert!(!users.shows(&did, &owner).await);
    let again = users.publish("ignored", &owner, &sealed).await;
    assert_eq!(again.refusal().1, "not-newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_sealed_to_this_node_is_opened_only_where_the_settings_allow() {
    for (foreign, is_opened) in [(ForeignSealed::Open, true), (ForeignSealed::Keep, false)] {
        let users = Users::start_with(|config| {
            is_a_reader(config);
            config.private.foreign = foreign;
        })
        .await;
        let vector = vector();
        let sealed = json!({"data": vector["data"], "oip": vector["oip"]});
        let made = users
            .publish("ignored", &users.owner.token(), &sealed)
            .await;
        let did = made.text("/did").to_owned();
        users.api.node.indexed().await;
        let by_did = format!("/api/records?did={did}&hideDateReadable=true");
        let shown = users.call(Method::GET, &by_did, TOKEN, &Value::Null).await;
        let data = &shown.body["records"][0]["data"];
        assert_eq!(*data == vector["opened"], is_opened, "{}", shown.body);
        let search = "/api/records?search=watch";
        let found = users.call(Method::GET, search, TOKEN, &Value::Null).await;
        let found = found.body["records"].as_array().unwrap().len();
        assert_eq!(found, usize::from(is_opened));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_search_that_finds_private_records_in_clear_is_noted() {
    let users = Users::start().await;
    let key = CreatorKey::ed25519([5; 32]).unwrap();
    let soul = format!("{}:exposed", key.soul_prefix());
    let creator = key.creator();
    let data = json!({"basic": {"name": "exposed"}, "accessControl": {"access_level": "private"}});
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": "2026-01-01T00:00:00.000Z",
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let values = json!({"data": data.to_string(), "oip": oip.to_string()});
    users.put(&soul, &values).await;
    testkit::wait_until(PATIENCE, "the exposed record", || async {
        let path = "/api/records?limit=100";
        let found = users.call(Method::GET, path, TOKEN, &Value::Null).await;
        match found.body["records"].as_array() {
            Some(records) if !records.is_empty() => Ok(()),
            _ => Err("not yet"),
        }
    })
    .await;
    testkit::wait_until(PATIENCE, "the note", || async {
        let trail = users.api.node.audit(0, 100).await.unwrap();
        let trail = serde_json::to_string(&trail).unwrap();
        match trail.contains("found by searching") {
            true => Ok(()),
            false => Err(trail),
        }
    })
    .await;
}
