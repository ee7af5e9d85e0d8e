//! The private records of the project and random words are published, edited, shared, revoked and
//! searched for, while every byte that leaves a node is kept; then all of it is looked through.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use testkit::recorder::Recorder;
use testkit::{GunRelay, Interop, RelayOptions, wait_until};

use crate::actors::{JWT_SECRET, Node, PATIENCE, User};
use crate::needles::{Needles, canary, texts_of};

/// A record and the word that finds it.
struct Record {
    did: String,
    data: Value,
    word: String,
}

/// Everybody and everything: a publisher A, a reader B, an outsider C, each linked to A and to a gun.js relay.
struct Stage {
    relay: GunRelay,
    a: Node,
    b: Node,
    c: Node,
    b_id: String,
    owner: User,
    friend: User,
    organization: String,
    /// In front of every address that a node dials.
    recorders: Vec<Recorder>,
    /// What nobody who is not named may learn.
    canaries: Vec<String>,
    records: Vec<Record>,
    /// A public record: where it is not found, nothing would be.
    control: Record,
    /// Logs of nodes that were started again since.
    logs: Vec<Vec<u8>>,
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
    assert_eq!(private.len(), 10, "of the shipped records are private");
    private
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_private_record_is_seen_by_whom_it_is_not_for() {
    let Some(interop) = testkit::interop() else {
        return;
    };
    let mut stage = Stage::set_up(&interop).await;
    stage.publish_all().await;
    stage.entitled_readers_find_all().await;
    stage.edit_share_and_revoke().await;
    stage.rotate_keys_on_both_sides().await;
    stage.nobody_else_finds_anything().await;
    stage.what_must_be_refused_is().await;
    stage.the_audit_trail_is_whole().await;
    stage.look_through_everything().await;
}

impl Stage {
    async fn set_up(interop: &Interop) -> Self {
        let relay = GunRelay::start(interop, RelayOptions::default())
            .await
            .unwrap();
        let mut recorders = Vec::new();
        let mut through = async |target: &str| {
            let recorder = Recorder::start(target).await.unwrap();
            let url = format!("ws://{}/gun", recorder.address());
            recorders.push(recorder);
            url
        };
        let gun_js = format!("127.0.0.1:{}", relay.port());
        let a = Node::start("publisher", &[through(&gun_js).await]).await;
        let a_relay = a.relay_http().replace("http://", "");
        let b_peers = [through(&gun_js).await, through(&a_relay).await];
        let b = Node::start("reader", &b_peers).await;
        let c_peers = [through(&gun_js).await, through(&a_relay).await];
        let c = Node::start("outsider", &c_peers).await;
        let (owner, friend) = (User::new(21), User::new(22));
        friend.names_a_key(&a, 31).await;
        let organization = a.organization("crew", &[&friend.public_hex]).await;
        let word = canary("public");
        let data = json!({"basic": {"name": "Read me", "description": word}});
        let answer = a.try_publish("post", "public", &data).await;
        assert_eq!(
            (answer.status, &answer.body["encrypted"]),
            (200, &json!(false))
        );
        let did = answer.body["did"].as_str().unwrap().to_owned();
        c.shows(&did, &data).await;
        Self {
            b_id: b.id().await,
            control: Record { did, data, word },
            canaries: Vec::new(),
            records: Vec::new(),
            logs: Vec::new(),
            relay,
            a,
            b,
            c,
            owner,
            friend,
            organization,
            recorders,
        }
    }

    /// Publishes a record for these nodes, with a word of its own, and with users who exist.
    async fn publish(
        &mut self,
        record_type: &str,
        local_id: &str,
        mut data: Value,
        nodes: Value,
    ) -> String {
        let word = canary(record_type);
        data["basic"]["description"] = json!(word);
        let block = &mut data["accessControl"];
        if block["access_level"].is_null() {
            block["access_level"] = json!("private");
        }
        block["authorized_nodes"] = nodes;
        if block["access_level"] == "organization" {
            block["shared_with"] = json!([self.organization]);
        } else if block["access_level"] == "shared" {
            block["shared_with"] = json!([self.friend.public_hex]);
            block["owner_public_key"] = json!(self.owner.public_hex);
        }
        self.canaries.push(word.clone());
        let did = self.a.publish(record_type, local_id, &data).await;
        self.records.push(Record {
            did: did.clone(),
            data,
            word,
        });
        did
    }

    async fn publish_all(&mut self) {
        let for_b = json!([self.b_id]);
        for (record_type, local_id, data) in private_records() {
            self.publish(&record_type, &local_id, data, for_b.clone())
                .await;
        }
        let plain = json!({"basic": {"name": "A thought"}, "post": {"articleText": "of mine"}});
        self.publish("post", "not-for-b", plain.clone(), json!([]))
            .await;
        self.publish("post", "edited", plain, for_b).await;
    }

    fn record(&self, local_id: &str) -> &Record {
        let end = format!(":{local_id}");
        let found = self
            .records
            .iter()
            .find(|record| record.did.ends_with(&end));
        found.unwrap()
    }

    async fn entitled_readers_find_all(&self) {
        let (a, b) = (&self.a, &self.b);
        let kept = &self.record("not-for-b").did;
        // B finds all that it was named for, as it was published; A finds its own.
        for record in self.records.iter().filter(|record| record.did != *kept) {
            let shown = b.shows(&record.did, &record.data).await;
            assert_eq!(shown["oip"]["wasEncrypted"], true);
            assert!(shown["oip"]["syncedAt"].is_string(), "{}", shown["oip"]);
            a.shows(&record.did, &record.data).await;
            assert_eq!(b.search(&record.word, &b.token).await.len(), 1);
        }
        for record in &self.records {
            let seen = a.search(&record.word, &a.token).await;
            assert_eq!(seen.len(), 1, "{} by {}", record.did, record.word);
        }
        // The friend is shown what is shared with him, on both nodes, and nothing else.
        for node in [a, b] {
            for Record { data, word, .. } in &self.records {
                let level = &data["accessControl"]["access_level"];
                let is_his = level == "shared" || level == "organization";
                // The organization's list has to have arrived too.
                let what = format!("{level} {word} for the friend on {}", node.process.api());
                wait_until(PATIENCE, &what, || async {
                    let seen = node.search(word, &self.friend.token()).await.len();
                    match seen == usize::from(is_his) {
                        true => Ok(()),
                        false => Err(format!("{seen}")),
                    }
                })
                .await;
            }
        }
    }

    async fn edit_share_and_revoke(&mut self) {
        let word = canary("edit");
        let edited = self.record("edited");
        let (did, mut data) = (edited.did.clone(), edited.data.clone());
        data["post"]["articleText"] = json!(word);
        self.canaries.push(word);
        assert_eq!(self.a.publish("post", "edited", &data).await, did);
        self.b.shows(&did, &data).await;
        let record = self.records.iter_mut().find(|record| record.did == did);
        record.unwrap().data = data;
        // A share arrives, and a revocation takes it away again.
        let kept = self.record("not-for-b");
        let share = json!({"share": [self.b_id]});
        let shared = self.a.change(&kept.did, share).await;
        assert_eq!(
            (shared.status, &shared.body["recipients"]),
            (200, &json!(2)),
            "{}",
            shared.body
        );
        self.b.shows(&kept.did, &kept.data).await;
        let revoke = json!({"revoke": [self.b_id]});
        let revoked = self.a.change(&kept.did, revoke).await;
        assert_eq!(
            (revoked.status, &revoked.body["recipients"]),
            (200, &json!(1)),
            "{}",
            revoked.body
        );
        self.b.drops(&kept.did).await;
        assert_eq!(self.b.search(&kept.word, &self.b.token).await.len(), 0);
    }

    /// After a rotation new records are sealed to the new key, by the node itself and by others once they have
    /// learned of it; and what was sealed to the old one stays readable, also after a restart.
    async fn rotate_keys_on_both_sides(&mut self) {
        let mut current = Vec::new();
        for node in [&self.a, &self.b] {
            let before = node.keys().await;
            let rotate = node
                .process
                .call("POST", "/api/keys/rotate", &node.token, None);
            let rotated = rotate.await.unwrap();
            assert_eq!(rotated.status, 200, "{}", rotated.body);
            let keys = &rotated.body["encryptionKeys"];
            assert_eq!(keys[1], before["encryptionKeys"][0]);
            assert_ne!(keys[0], keys[1]);
            current.push(keys[0].as_str().unwrap().to_owned());
        }
        current.sort();
        let plain = json!({"basic": {"name": "Later"}, "post": {"articleText": "than the keys"}});
        let did = self
            .publish("post", "after-rotation", plain, json!([self.b_id]))
            .await;
        let record = self.record("after-rotation");
        // B's new statement needs a moment to A; until then its old key, which it keeps, is as good.
        wait_until(PATIENCE, "A seals to B's new key", || async {
            self.a.publish("post", "after-rotation", &record.data).await;
            let (sealed, text) = self.a.graph(&did).await;
            let recipients = sealed["seal"]["recipients"].as_array().ok_or(text)?;
            let keys = recipients.iter().map(|to| to["key"].as_str().unwrap());
            let mut keys: Vec<&str> = keys.collect();
            keys.sort_unstable();
            match keys == current {
                true => Ok(()),
                false => Err(format!("sealed to {keys:?}, not to {current:?}")),
            }
        })
        .await;
        for restarted in [false, true] {
            if restarted {
                for node in [&mut self.a, &mut self.b] {
                    self.logs.push(node.process.log());
                    node.process.restart().await.unwrap();
                }
            }
            let kept = &self.record("not-for-b").did;
            for record in &self.records {
                self.a.shows(&record.did, &record.data).await;
                if record.did != *kept {
                    self.b.shows(&record.did, &record.data).await;
                }
            }
        }
    }

    async fn nobody_else_finds_anything(&self) {
        let (a, b, c) = (&self.a, &self.b, &self.c);
        let stranger = User::new(24).token();
        wait_until(
            PATIENCE,
            "the outsider holds every record as ciphertext",
            || async {
                for record in &self.records {
                    let (sealed, _) = c.graph(&record.did).await;
                    if !sealed["encrypted"].is_string() {
                        return Err(record.did.clone());
                    }
                }
                Ok(())
            },
        )
        .await;
        let needles = Needles::new(&self.canaries);
        let nobody = [
            (a, "none"),
            (b, "none"),
            (c, "none"),
            (c, c.token.as_str()),
            (a, stranger.as_str()),
            (b, stranger.as_str()),
        ];
        for Record { did, word, .. } in &self.records {
            for (node, token) in nobody {
                assert_eq!(node.search(word, token).await, [Value::Null; 0], "{word}");
                let shown = node.by_did(did, token).await;
                assert!(shown.is_none() || token == c.token, "{shown:?}");
                if let Some(shown) = shown {
                    assert!(shown["data"]["encrypted"].is_string(), "{shown}");
                }
            }
            // What everyone gets of the graph, by every way that it is served.
            for node in [a, b, c] {
                let (sealed, text) = node.graph(did).await;
                assert!(sealed["encrypted"].is_string(), "{text}");
                assert_eq!(needles.found(text.as_bytes()), [""; 0]);
                let soul = did.trim_start_matches("did:gun:");
                let path = format!("/gun-relay/get?soul={soul}");
                let proxied = node.process.get(&path).await.unwrap();
                assert_eq!(needles.found(proxied.body.to_string().as_bytes()), [""; 0]);
                let explain = format!("/api/records/explain?did={did}");
                let told = node.process.get(&explain).await.unwrap();
                assert_eq!(told.status, 404, "{}", told.body);
            }
        }
        // No count and no facet tells of them: there is what is listed, and no more.
        for (node, token) in nobody {
            let mut totals = Vec::new();
            for path in [
                "/api/records?limit=1000&facets=type,creator,node,tag&highlight=true",
                "/api/records/recordTypes",
            ] {
                let answer = node.process.call("GET", path, token, None).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                totals.push(answer.body["totalRecords"].clone());
                let text = answer.body.to_string();
                assert_eq!(needles.found(text.as_bytes()), [""; 0], "{path}");
                for kind in ["workout", "calendarEvent", "shoppingList"] {
                    assert!(!text.contains(kind), "{path}: {text}");
                }
                if let Some(listed) = answer.body["records"].as_array() {
                    let is_ours = |did: &Value| self.records.iter().any(|one| *did == one.did);
                    assert!(!listed.iter().any(|one| is_ours(&one["oip"]["did"])));
                    totals.push(json!(listed.len()));
                }
            }
            // The organization, its list, the public record; on A the friend's key, which is public too, and on others
            // where they were asked for it.
            let least = 3 + u64::from(node.token == a.token);
            let public = totals[0].as_u64().unwrap();
            let told = format!("{}: {totals:?}", node.process.api());
            assert!((least..=4).contains(&public), "{told}");
            assert_eq!(totals, vec![json!(public); 3], "{told}");
        }
    }

    async fn what_must_be_refused_is(&mut self) {
        // A reader that nobody knows is named in the refusal, and nothing is written.
        let unknown = "f".repeat(32);
        let word = canary("unknown");
        let data = json!({
            "basic": {"name": "For whom?", "description": word},
            "accessControl": {"access_level": "shared", "authorized_nodes": [unknown]},
        });
        self.canaries.push(word.clone());
        let refused = self.a.try_publish("post", "unknown", &data).await;
        assert_eq!(refused.status, 400);
        let message = refused.body["error"].as_str().unwrap();
        assert!(message.contains(&unknown), "{message}");
        let seen = self.a.search(&word, &self.a.token).await;
        assert_eq!(seen, [Value::Null; 0]);
        // Another user's token changes nothing.
        let kept = &self.record("not-for-b").did;
        let (path, change) = (
            format!("/api/records/{kept}/access"),
            json!({"share": [self.b_id]}),
        );
        let stranger = User::new(23).token();
        let call = self
            .a
            .process
            .call("PATCH", &path, &stranger, Some(&change));
        let refused = call.await.unwrap();
        assert_eq!(
            (refused.status, &refused.body["reason"]),
            (403, &json!("not-owner")),
            "{}",
            refused.body
        );
    }

    async fn the_audit_trail_is_whole(&self) {
        let needles = Needles::new(&self.canaries);
        for node in [&self.a, &self.b, &self.c] {
            let path = "/api/audit?verify=true&limit=1000";
            let call = node.process.call("GET", path, &node.token, None);
            let audit = call.await.unwrap().body;
            assert_eq!(audit["verified"]["broken"], Value::Null, "{audit}");
            assert_eq!(needles.found(audit.to_string().as_bytes()), [""; 0]);
            if node.token == self.a.token {
                let actions = audit["entries"].as_array().unwrap().iter();
                let actions: Vec<&str> = actions
                    .filter_map(|entry| entry["action"].as_str())
                    .collect();
                for action in ["sealed", "shared", "revoked", "rotated"] {
                    assert!(actions.contains(&action), "{actions:?}");
                }
            }
        }
    }

    /// The words, and every text of the shipped records that stands nowhere in clear for another reason.
    fn needles(&self) -> Needles {
        let mut texts = Vec::new();
        for record in &self.records {
            texts_of(&record.data, 10, &mut texts);
        }
        let mut in_clear: Vec<&str> = self.records.iter().map(|r| r.did.as_str()).collect();
        // The method's name in `meta`, the levels, and who the node and the members of the public list are.
        in_clear.extend(["aes-256-gcm", "organization", &self.organization]);
        in_clear.extend([self.b_id.as_str(), &self.friend.public_hex]);
        let is_secret = |text: &String| !in_clear.iter().any(|clear| clear.contains(text.as_str()));
        texts.retain(is_secret);
        assert!(texts.len() > 60, "{texts:?}");
        Needles::new(texts.iter().chain(&self.canaries))
    }

    /// What opens doors: it stands in no log, on no wire between nodes, and on no disk but its owner's.
    fn secrets(&self) -> Needles {
        let mut secrets = vec![JWT_SECRET.to_owned(), self.friend.token()];
        for node in [&self.a, &self.b, &self.c] {
            secrets.push(node.token.clone());
            let keys = node.process.folder().join("data/keys");
            for file in std::fs::read_dir(keys).unwrap() {
                let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                private_parts(&serde_json::from_str(&text).unwrap(), &mut secrets);
            }
        }
        // Admin token of each, and twice: identity, creator and encryption key, and two that are retired.
        assert_eq!(secrets.len(), 2 + 3 + 2 * (3 * 3 + 2));
        Needles::new(&secrets)
    }

    async fn look_through_everything(self) {
        let (needles, secrets) = (self.needles(), self.secrets());
        let control = Needles::new([&self.control.word]);
        // Files once as they are while all runs, and once more when all has been written out.
        for node in [&self.a, &self.b, &self.c] {
            let except = (node.token != self.c.token).then(|| index_of(node));
            let found = needles.found_in(node.process.folder(), except.as_deref());
            assert_eq!(found, [""; 0], "while it runs");
        }
        let Self {
            mut relay,
            a,
            b,
            c,
            recorders,
            mut logs,
            ..
        } = self;
        let mut told = 0;
        for recorder in &recorders {
            for bytes in recorder.recorded().unwrap() {
                told += control.found(&bytes).len();
                assert_eq!(needles.found(&bytes), [""; 0], "on a wire");
                assert_eq!(secrets.found(&bytes), [""; 0], "on a wire");
            }
        }
        assert!(told > 0, "the public record would have been seen");
        relay.stop().await.unwrap();
        let mut nodes = [a, b, c];
        for node in &mut nodes {
            node.process.terminate().await.unwrap();
            logs.push(node.process.log());
        }
        for log in &logs {
            assert!(log.len() > 10_000, "a log at trace level is long");
            assert_eq!(needles.found(log), [""; 0], "in a log");
            assert_eq!(secrets.found(log), [""; 0], "in a log");
        }
        let [a, b, c] = nodes;
        for folder in [
            relay.folder(),
            c.process.folder(),
            &a.process.folder().join("data/store"),
        ] {
            assert!(!control.found_in(folder, None).is_empty(), "{folder:?}");
        }
        let found = needles.found_in(relay.folder(), None);
        assert_eq!(found, [""; 0], "on the relay");
        assert_eq!(secrets.found_in(relay.folder(), None), [""; 0]);
        let found = needles.found_in(c.process.folder(), None);
        assert_eq!(found, [""; 0], "on the outsider");
        for node in [&a, &b] {
            let index = index_of(node);
            let found = needles.found_in(node.process.folder(), Some(&index));
            assert_eq!(found, [""; 0], "outside the index");
            // The one place where it may stand, and does: the same scan finds it there.
            assert!(!needles.found_in(&index, None).is_empty(), "{index:?}");
            let store = node.process.folder().join("data/store");
            assert_eq!(secrets.found_in(&store, None), [""; 0], "in the store");
        }
    }
}

fn index_of(node: &Node) -> std::path::PathBuf {
    node.process.folder().join("data/index")
}

/// The private members of keys, in whatever form they are kept.
fn private_parts(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if matches!(name.as_str(), "d" | "priv") => {
                        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
                        secrets.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
                        secrets.push(text.clone());
                    }
                    member => private_parts(member, secrets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| private_parts(item, secrets)),
        _ => {}
    }
}
