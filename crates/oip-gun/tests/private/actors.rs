//! Who takes part: nodes with their operators, and users.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_record::CreatorKey;
use oip_record::publish::{self, Context, Submission};
use serde_json::{Map, Value, json};
use testkit::{NodeOptions, NodeProcess, RawGun, wait_until};

/// Far above what anything here needs; a loaded machine must not fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const JWT_SECRET: &str = "a secret of these tests alone";

/// A node with its admin token.
pub(crate) struct Node {
    pub(crate) process: NodeProcess,
    pub(crate) token: String,
}

impl Node {
    pub(crate) async fn start(name: &str, peers: &[String]) -> Self {
        let options = NodeOptions::named(name)
            .env("GUN_PEERS", peers.join(","))
            .env("JWT_SECRET", JWT_SECRET)
            // Everything that anything says: what must not be logged must not be at any level.
            .env("RUST_LOG", "trace");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_oip-gun"));
        let process = NodeProcess::start(binary, options).await.unwrap();
        let token = process.admin_token().unwrap();
        Self { process, token }
    }

    /// What the graph of this node holds at a soul, as anybody gets it at the relay port; and all that was sent.
    pub(crate) async fn graph(&self, did: &str) -> (Value, String) {
        let soul = did.trim_start_matches("did:gun:");
        let relay = self.relay_http();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("{relay}/get?soul={soul}"));
        let text = request.send().await.unwrap().text().await.unwrap();
        let node: Value = serde_json::from_str(&text).unwrap();
        (node["data"]["data"].clone(), text)
    }

    /// The address of the relay port for HTTP.
    pub(crate) fn relay_http(&self) -> String {
        let relay = self.process.relay().replacen("ws://", "http://", 1);
        relay.trim_end_matches("/gun").to_owned()
    }

    pub(crate) async fn keys(&self) -> Value {
        let answer = self
            .process
            .call("GET", "/api/keys", &self.token, None)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    pub(crate) async fn id(&self) -> String {
        self.keys().await["nodeId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn publish(&self, record_type: &str, local_id: &str, data: &Value) -> String {
        let answer = self.try_publish(record_type, local_id, data).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["encrypted"], true);
        answer.body["did"].as_str().unwrap().to_owned()
    }

    /// Publishes an organization and the list of its members.
    pub(crate) async fn organization(&self, name: &str, members: &[&str]) -> String {
        let data = json!({"organization": {"name": name}});
        let answer = self.try_publish("organization", name, &data).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let did = answer.body["did"].as_str().unwrap().to_owned();
        let data = json!({"organizationMembers": {"organization": did, "members": members}});
        let list = format!("{name}:members");
        let answer = self.try_publish("organizationMembers", &list, &data).await;
        assert_eq!(
            (answer.status, &answer.body["encrypted"]),
            (200, &json!(false)),
            "{}",
            answer.body
        );
        did
    }

    pub(crate) async fn try_publish(
        &self,
        record_type: &str,
        local_id: &str,
        data: &Value,
    ) -> testkit::node::Answer {
        let path = format!("/api/records/newRecord?recordType={record_type}&localId={local_id}");
        self.process
            .call("POST", &path, &self.token, Some(data))
            .await
            .unwrap()
    }

    pub(crate) async fn change(&self, did: &str, change: Value) -> testkit::node::Answer {
        let path = format!("/api/records/{did}/access");
        self.process
            .call("PATCH", &path, &self.token, Some(&change))
            .await
            .unwrap()
    }

    /// The data of a record that a search for a word finds, for the holder of a token.
    pub(crate) async fn search(&self, word: &str, token: &str) -> Vec<Value> {
        let word: String = word.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/records?search={word}&hideDateReadable=true&limit=100");
        let answer = self.process.call("GET", &path, token, None).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["records"].as_array().unwrap().clone()
    }

    pub(crate) async fn by_did(&self, did: &str, token: &str) -> Option<Value> {
        let path = format!("/api/records?hideDateReadable=true&did={did}");
        let answer = self.process.call("GET", &path, token, None).await.unwrap();
        answer.body["records"].as_array().unwrap().first().cloned()
    }

    /// Waits until a search for everything of a type shows this data.
    pub(crate) async fn shows(&self, did: &str, data: &Value) -> Value {
        wait_until(
            PATIENCE,
            &format!("{did} on {}", self.process.api()),
            || async {
                let path = "/api/records?hideDateReadable=true&limit=1000".to_owned();
                let answer = self
                    .process
                    .call("GET", &path, &self.token, None)
                    .await
                    .unwrap();
                let records = answer.body["records"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let found = records
                    .into_iter()
                    .find(|record| record["oip"]["did"] == did);
                match found {
                    Some(record) if same(&record["data"], data) => Ok(record),
                    Some(record) => Err(format!("another version: {}", record["oip"])),
                    None => Err("not found".to_owned()),
                }
            },
        )
        .await
    }

    /// Waits until not even the operator is shown what is inside.
    pub(crate) async fn drops(&self, did: &str) {
        wait_until(
            PATIENCE,
            &format!("{did} gone from {}", self.process.api()),
            || async {
                let answer = self
                    .process
                    .call(
                        "GET",
                        "/api/records?hideDateReadable=true&limit=1000",
                        &self.token,
                        None,
                    )
                    .await
                    .unwrap();
                let records = answer.body["records"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                match records.iter().any(|record| record["oip"]["did"] == did) {
                    false => Ok(()),
                    true => Err("still found".to_owned()),
                }
            },
        )
        .await;
    }
}

/// Whether two values are the same to every JavaScript reader.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    oip_record::canonical::canonical(one) == oip_record::canonical::canonical(other)
}

pub(crate) struct User {
    key: CreatorKey,
    pub(crate) public_hex: String,
}

impl User {
    pub(crate) fn new(seed: u8) -> Self {
        let key = CreatorKey::secp256k1([seed; 32]).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(&key.creator().public_key).unwrap();
        let public_hex = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key, public_hex }
    }

    /// Names an encryption key in a record that he signs himself, on a node's relay port.
    pub(crate) async fn names_a_key(&self, node: &Node, seed: u8) {
        let encryption = CreatorKey::p256([seed; 32]).unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let now_ms = u64::try_from(now.as_millis()).unwrap();
        let submission = Submission {
            record_type: "encryptionKey".into(),
            local_id: Some("encryption-key".into()),
            data: json!({"encryptionKey": {"kem": "P-256", "key": encryption.creator().public_key}}),
            params: Map::new(),
        };
        let context = Context {
            key: &self.key,
            now_ms: i64::try_from(now_ms).unwrap(),
            newest_known: None,
            random: [1; 16],
            existing: None,
        };
        let built = publish::build(&submission, &context).unwrap();
        let values = [
            ("data", json!(built.data_text)),
            ("oip", json!(built.oip_text)),
        ];
        let graph = testkit::raw::node(built.soul.as_str(), &values, now_ms);
        let mut client = RawGun::connect(node.process.relay()).await.unwrap();
        let ack = client.put(graph, PATIENCE).await.unwrap();
        assert!(ack["err"].is_null(), "{ack}");
    }

    /// A token as a deployed node issues it.
    pub(crate) fn token(&self) -> String {
        use aws_lc_rs::hmac;
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"userId": "u", "publicKey": self.public_hex, "exp": 4_000_000_000_u64});
        let signed = format!(
            "{}.{}",
            part(json!({"alg": "HS256", "typ": "JWT"})),
            part(claims)
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, JWT_SECRET.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}
