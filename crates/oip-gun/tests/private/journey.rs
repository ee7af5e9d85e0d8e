//! The private records of the project and random words are published, edited, shared, revoked and
//! searched for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_record::CreatorKey;
use oip_record::publish::{self, Context, Submission};
use serde_json::{Map, Value, json};
use testkit::recorder::Recorder;
use testkit::{GunRelay, NodeOptions, NodeProcess, RawGun, RelayOptions, wait_until};

use crate::needles::{canary, found, found_in};

/// Far above what anything here needs; a loaded machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(90);

const JWT_SECRET: &str = "a secret of these tests alone";

/// A node with its admin token.
struct Node {
    process: NodeProcess,
    token: String,
}

impl Node {
    async fn start(name: &str, peers: &[String]) -> Self {
        let options = NodeOptions::named(name)
            .env("GUN_PEERS", peers.join(","))
            .env("JWT_SECRET", JWT_SECRET)
            .env("RUST_LOG", "debug,hyper=info,tantivy=info");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_oip-gun"));
        let process = NodeProcess::start(binary, options).await.unwrap();
        let token = process.admin_token().unwrap();
        Self { process, token }
    }

    async fn keys(&self) -> Value {
        let answer = self
            .process
            .call("GET", "/api/keys", &self.token, None)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    async fn id(&self) -> String {
        self.keys().await["nodeId"].as_str().unwrap().to_owned()
    }

    async fn publish(&self, record_type: &str, local_id: &str, data: &Value) -> String {
        let answer = self.try_publish(record_type, local_id, data).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["encrypted"], true);
        answer.body["did"].as_str().unwrap().to_owned()
    }

    /// Publishes an organization and the list of its members.
    async fn organization(&self, name: &str, members: &[&str]) -> String {
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

    async fn try_publish(
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

    async fn change(&self, did: &str, change: Value) -> testkit::node::Answer {
        let path = format!("/api/records/{did}/access");
        self.process
            .call("PATCH", &path, &self.token, Some(&change))
            .await
            .unwrap()
    }

    /// The data of a record that a search for a word finds, for the holder of a token.
    async fn search(&self, word: &str, token: &str) -> Vec<Value> {
        let word: String = word.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/records?search={word}&limit=100");
        let answer = self.process.call("GET", &path, token, None).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["records"].as_array().unwrap().clone()
    }

    async fn by_did(&self, did: &str, token: &str) -> Option<Value> {
        let path = format!("/api/records?did={did}");
        let answer = self.process.call("GET", &path, token, None).await.unwrap();
        answer.body["records"].as_array().unwrap().first().cloned()
    }

    /// Waits until a search for everything of a type shows this data.
    async fn shows(&self, did: &str, data: &Value) -> Value {
        wait_until(
            PATIENCE,
            &format!("{did} on {}", self.process.api()),
            || async {
                let path = "/api/records?limit=1000".to_owned();
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
    async fn drops(&self, did: &str) {
        wait_until(
            PATIENCE,
            &format!("{did} gone from {}", self.process.api()),
            || async {
                let answer = self
                    .process
                    .call("GET", "/api/records?limit=1000", &self.token, None)
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
fn same(one: &Value, other: &Value) -> bool {
    oip_record::canonical::canonical(one) == oip_record::canonical::canonical(other)
}

struct User {
    key: CreatorKey,
    public_hex: String,
}

impl User {
    fn new(seed: u8) -> Self {
        let key = CreatorKey::secp256k1([seed; 32]).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(&key.creator().public_key).unwrap();
        let public_hex = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key, public_hex }
    }

    /// Names an encryption key in a record that he signs himself, on a node's relay port.
    async fn names_a_key(&self, node: &Node, seed: u8) {
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
    fn token(&self) -> String {
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

/// The private records that the project ships: type, local id, data.
fn private_records() -> Vec<(String, String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/records");
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let index = read("index.json");
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let all = index.as_array().unwrap().iter().map(|entry| {
        (
            text(entry, "recordType"),
            text(entry, "localId"),
            read(&text(entry, "file")),
        )
    });
    let is_private =
        |data: &Value| oip_record::privacy::asks_for_privacy(data, &Map::new()).is_some();
    let private: Vec<_> = all.filter(|(_, _, data)| is_private(data)).collect();
    assert!(
        private.len() >= 8,
        "only {} records are private",
        private.len()
    );
    private
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_private_record_is_seen_by_whom_it_is_not_for() {
    let Some(interop) = testkit::interop() else {
        return;
    };
    let relay = GunRelay::start(&interop, RelayOptions::default())
        .await
        .unwrap();
    let mut recorders = Vec::new();
    let mut through = async |target: String| {
        let recorder = Recorder::start(target).await.unwrap();
        let url = format!("ws://{}/gun", recorder.address());
        recorders.push(recorder);
        url
    };
    let relay_address = format!("127.0.0.1:{}", relay.port());
    let a = Node::start("publisher", &[through(relay_address.clone()).await]).await;
    let a_relay = a
        .process
        .relay()
        .trim_start_matches("ws://")
        .trim_end_matches("/gun")
        .to_owned();
    let b = Node::start(
        "reader",
        &[
            through(relay_address.clone()).await,
            through(a_relay.clone()).await,
        ],
    )
    .await;
    let c = Node::start(
        "outsider",
        &[through(relay_address).await, through(a_relay).await],
    )
    .await;
    let (owner, friend) = (User::new(21), User::new(22));
    friend.names_a_key(&a, 31).await;
    let organization = a.organization("crew", &[&friend.public_hex]).await;

    // Everything is looked through for these, and for some whole texts of the shipped records.
    let mut canaries = Vec::new();
    let mut records = Vec::new();
    let mut publish = async |record_type: &str, local_id: &str, mut data: Value, nodes: Value| {
        let word = canary(record_type);
        data["basic"]["description"] = json!(word);
        let block = &mut data["accessControl"];
        if block["access_level"].is_null() {
            block["access_level"] = json!("private");
        }
        block["authorized_nodes"] = nodes;
        if block["access_level"] == "organization" {
            block["shared_with"] = json!([organization]);
        } else if block["access_level"] == "shared" {
            block["shared_with"] = json!([friend.public_hex]);
            block["owner_public_key"] = json!(owner.public_hex);
        }
        canaries.push(word.clone());
        let did = a.publish(record_type, local_id, &data).await;
        records.push((did.clone(), data.clone(), word.clone()));
        (did, data, word)
    };
    let b_id = b.id().await;
    for (record_type, local_id, data) in private_records() {
        publish(&record_type, &local_id, data, json!([b_id])).await;
    }
    let plain = json!({"basic": {"name": "A thought"}, "post": {"articleText": "of mine"}});
    let (kept, kept_data, _) = publish("post", "not-for-b", plain.clone(), json!([])).await;
    let (edited, mut edited_data, _) =
        publish("post", "edited", plain.clone(), json!([b_id])).await;

    // B finds all that it was named for, as it was published; A finds its own.
    for (did, data, _) in records.iter().filter(|(did, _, _)| *did != kept) {
        let record = b.shows(did, data).await;
        assert_eq!(record["oip"]["wasEncrypted"], true);
        assert!(record["oip"]["syncedAt"].is_string(), "{}", record["oip"]);
        a.shows(did, data).await;
    }
    // Whoever may read finds them by their words.
    for (did, _, word) in &records {
        let seen = a.search(word, &a.token).await;
        assert_eq!(seen.len(), 1, "{did} by {word}");
    }
    // The friend is shown what is shared with him, on both nodes, and nothing else.
    for node in [&a, &b] {
        for (_, data, word) in &records {
            let level = &data["accessControl"]["access_level"];
            let is_his = level == "shared" || level == "organization";
            // The organization's list has to have arrived too.
            let what = format!("{level} {word} for the friend on {}", node.process.api());
            wait_until(PATIENCE, &what, || async {
                let seen = node.search(word, &friend.token()).await.len();
                if seen == usize::from(is_his) {
                    Ok(())
                } else {
                    Err(format!("{seen}"))
                }
            })
            .await;
        }
    }
    // An edit arrives.
    let word = canary("edit");
    edited_data["post"]["articleText"] = json!(word);
    canaries.push(word);
    assert_eq!(a.publish("post", "edited", &edited_data).await, edited);
    b.shows(&edited, &edited_data).await;
    // A share arrives, and a revocation takes it away again.
    let shared = a.change(&kept, json!({"share": [b_id]})).await;
    assert_eq!(
        (shared.status, &shared.body["recipients"]),
        (200, &json!(2)),
        "{}",
        shared.body
    );
    b.shows(&kept, &kept_data).await;
    let revoked = a.change(&kept, json!({"revoke": [b_id]})).await;
    assert_eq!(
        (revoked.status, &revoked.body["recipients"]),
        (200, &json!(1)),
        "{}",
        revoked.body
    );
    b.drops(&kept).await;
    // After a rotation new records are sealed to the new key, and old ones stay readable.
    let before = b.keys().await;
    let rotated = b
        .process
        .call("POST", "/api/keys/rotate", &b.token, None)
        .await
        .unwrap();
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    assert_eq!(
        rotated.body["encryptionKeys"][1],
        before["encryptionKeys"][0]
    );
    b.shows(&edited, &edited_data).await;

    // Nobody else finds anything: no token, no name, no count.
    for (did, _, word) in &records {
        for (node, token) in [
            (&a, "none"),
            (&b, "none"),
            (&c, c.token.as_str()),
            (&c, "none"),
        ] {
            assert_eq!(
                node.search(word, token).await,
                Vec::<Value>::new(),
                "{word}"
            );
        }
        for node in [&a, &b, &c] {
            assert_eq!(node.by_did(did, "none").await, None);
        }
        if let Some(seen) = c.by_did(did, &c.token).await {
            assert!(seen["data"]["encrypted"].is_string(), "{seen}");
        }
    }
    wait_until(
        PATIENCE,
        "the outsider holds every record as ciphertext",
        || async {
            let mut held = 0;
            for (did, _, _) in &records {
                held += usize::from(c.by_did(did, &c.token).await.is_some());
            }
            if held == records.len() {
                Ok(())
            } else {
                Err(format!("{held}"))
            }
        },
    )
    .await;
    let types = c.process.get("/api/records/recordTypes").await.unwrap();
    assert_eq!(
        types.body["totalRecords"], 2,
        "the organization and its list alone: {}",
        types.body
    );

    // Who asks for a reader that nobody knows is told so, and nothing is written.
    let mut unknown = plain;
    let word = canary("unknown");
    unknown["basic"]["description"] = json!(word);
    unknown["accessControl"] =
        json!({"access_level": "shared", "authorized_nodes": ["ffffffffffffffffffffffffffffffff"]});
    canaries.push(word);
    let refused = a.try_publish("post", "unknown", &unknown).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.body["error"]
            .as_str()
            .unwrap()
            .contains("ffffffffffffffffffffffffffffffff"),
        "{}",
        refused.body
    );
    // Another user's token changes nothing.
    let stranger = User::new(23);
    let path = format!("/api/records/{kept}/access");
    let change = json!({"share": [b_id]});
    let refused = a
        .process
        .call("PATCH", &path, &stranger.token(), Some(&change))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, &refused.body["reason"]),
        (403, &json!("not-owner")),
        "{}",
        refused.body
    );
    let audit = a
        .process
        .call("GET", "/api/audit?verify=true", &a.token, None)
        .await
        .unwrap();
    assert_eq!(
        audit.body["verified"]["broken"],
        Value::Null,
        "{}",
        audit.body
    );
    let audit_text = audit.body.to_string();
    assert!(
        audit_text.contains("\"shared\"") && audit_text.contains("\"revoked\""),
        "{audit_text}"
    );
    assert_eq!(found(audit_text.as_bytes(), &canaries), [""; 0]);

    // Words of the shipped records that nothing but a private record holds.
    canaries.extend(["broad beans", "for two readers"].map(str::to_owned));
    let control = a.by_did(&records[0].0, &a.token).await.unwrap().to_string();
    assert!(
        !found(control.as_bytes(), &canaries).is_empty(),
        "what is there would be found"
    );

    let mut recorded = 0;
    for recorder in &recorders {
        for bytes in recorder.recorded().unwrap() {
            recorded += bytes.len();
            assert_eq!(found(&bytes, &canaries), [""; 0], "on a wire");
        }
    }
    assert!(recorded > 10_000, "only {recorded} bytes were recorded");
    let mut relay = relay;
    relay.stop().await.unwrap();
    let mut nodes = [a, b, c];
    for node in &mut nodes {
        node.process.terminate().await.unwrap();
        assert_eq!(found(&node.process.log(), &canaries), [""; 0], "in a log");
    }
    let [a, b, c] = nodes;
    assert_eq!(
        found_in(relay.folder(), None, &canaries),
        [""; 0],
        "on the relay"
    );
    assert_eq!(
        found_in(c.process.folder(), None, &canaries),
        [""; 0],
        "on the outsider"
    );
    for node in [&a, &b] {
        let folder = node.process.folder();
        assert_eq!(
            found_in(folder, Some("index"), &canaries),
            [""; 0],
            "outside the index"
        );
    }
}
