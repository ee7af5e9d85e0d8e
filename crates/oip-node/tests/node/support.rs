//! What these tests share: nodes on folders of their own, an author who is no node and puts
//! records by hand, and waiting for facts.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gun::{Key, Soul};
use oip_index::Query;
use oip_node::{Admission, Node, NodeConfig, Submission, SyncMode};
use oip_record::publish::{self, Built, Context};
use oip_record::{CreatorKey, Did};
use oip_store::{Store, StoreOptions};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::RawGun;

/// Generous, since machines are noisy; nothing sleeps that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running node on its folder.
pub(crate) struct TestNode {
    pub node: Node,
    pub dir: Arc<TempDir>,
}

impl std::ops::Deref for TestNode {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

/// A node that dials `peers`.
pub(crate) async fn node(peers: &[&TestNode]) -> TestNode {
    node_with(peers, |_| {}).await
}

/// A node that dials `peers`, set up otherwise than by default.
pub(crate) async fn node_with(peers: &[&TestNode], set: impl FnOnce(&mut NodeConfig)) -> TestNode {
    node_on(Arc::new(tempfile::tempdir().unwrap()), peers, set).await
}

/// A node on a folder that may have been used before.
pub(crate) async fn node_on(
    dir: Arc<TempDir>,
    peers: &[&TestNode],
    set: impl FnOnce(&mut NodeConfig),
) -> TestNode {
    let mut config = config(dir.path());
    let addresses: Vec<String> = peers.iter().map(|peer| peer.address()).collect();
    config.peers = gun_net::parse_peers(&addresses.join(",")).unwrap();
    set(&mut config);
    let node = Node::start(config).await.unwrap();
    TestNode { node, dir }
}

/// A relay that holds whatever it is given and discovers nothing: what lies on it came from no
/// node of ours.
pub(crate) async fn relay() -> TestNode {
    node_with(&[], |config| {
        config.sync.mode = SyncMode::Off;
        config.admission = Admission::Open;
    })
    .await
}

/// The defaults on a free port.
pub(crate) fn config(dir: &Path) -> NodeConfig {
    let mut config = NodeConfig::new(dir.to_owned());
    config.relay_listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config
}

impl TestNode {
    /// As a peer address.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.relay_address())
    }

    /// A plain client on the relay port.
    pub(crate) async fn client(&self) -> RawGun {
        RawGun::connect(&format!("ws://{}/gun", self.relay_address()))
            .await
            .unwrap()
    }

    /// Stops the node; its folder stays.
    pub(crate) async fn stop(self) -> Arc<TempDir> {
        self.node.stop().await;
        self.dir
    }

    /// Stops the node and starts it again on the same folder.
    pub(crate) async fn restart(self, peers: &[&TestNode]) -> TestNode {
        node_on(self.stop().await, peers, |_| {}).await
    }

    /// What the index holds under a DID.
    pub(crate) async fn found(&self, did: &Did) -> Option<Value> {
        let page = self.search(Query::by_did(did.to_string())).await.unwrap();
        page.hits
            .into_iter()
            .next()
            .map(|hit| Value::clone(&hit.document))
    }

    /// A counter or gauge.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.line(&format!("oip_gun_{name} "))
    }

    /// Records refused for one reason.
    pub(crate) fn rejected(&self, reason: &str) -> u64 {
        self.line(&format!(
            "oip_gun_records_rejected_total{{reason=\"{reason}\"}} "
        ))
    }

    /// Messages refused for one reason.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.line(&format!(
            "oip_gun_messages_rejected_total{{reason=\"{reason}\"}} "
        ))
    }

    fn line(&self, start: &str) -> u64 {
        let text = self.metrics();
        text.lines()
            .find_map(|line| line.strip_prefix(start))
            .map_or(0, |number| number.parse().unwrap())
    }

    /// Waits until a counter has reached `at_least`.
    pub(crate) async fn counted(&self, name: &str, at_least: u64) {
        eventually(&format!("{name} reaches {at_least}"), || async {
            (self.metric(name) >= at_least).then_some(())
        })
        .await;
    }

    /// Waits until a record was refused for a reason.
    pub(crate) async fn refuses(&self, reason: &str) {
        eventually(&format!("a refusal as {reason}"), || async {
            (self.rejected(reason) > 0).then_some(())
        })
        .await;
    }

    /// Waits until as many records lie in quarantine; a refusal is counted before it is kept.
    pub(crate) async fn quarantines(&self, count: u64) {
        eventually(&format!("{count} in quarantine"), || async {
            (self.health().quarantine == count).then_some(())
        })
        .await;
    }

    /// Waits until nothing is wanted any more.
    pub(crate) async fn settles(&self) {
        eventually("an empty wanted list", || async {
            (self.health().wanted == 0).then_some(())
        })
        .await;
    }

    /// Waits until the index shows a document.
    pub(crate) async fn shows(&self, did: &Did, document: &Value) {
        eventually("the document in the index", || async {
            self.found(did)
                .await
                .filter(|found| found == document)
                .map(drop)
        })
        .await;
    }

    /// Waits until neither index nor store show a record.
    pub(crate) async fn hides(&self, did: &Did) {
        eventually("no document in the index", || async {
            self.found(did).await.is_none().then_some(())
        })
        .await;
        assert_eq!(self.get(did).await.unwrap(), None);
    }
}

/// The store of a node that has stopped.
pub(crate) fn store_of(dir: &TempDir) -> Store {
    Store::open(&dir.path().join("store"), StoreOptions::default()).unwrap()
}

/// Polls until `check` gives something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    testkit::wait_until(PATIENCE, what, || {
        let checked = check();
        async move { checked.await.ok_or("not yet") }
    })
    .await
}

/// The wall clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// A post as users submit it.
pub(crate) fn submission(local_id: &str, data: Value) -> Submission {
    Submission {
        record_type: "post".into(),
        local_id: Some(local_id.into()),
        data,
        params: Map::new(),
    }
}

/// The data of a small post.
pub(crate) fn text(text: &str) -> Value {
    json!({"basic": {"name": "A post", "tagItems": ["tides"]}, "post": {"articleText": text}})
}

/// The data of a small post that another than its creator owns.
pub(crate) fn owned_text(by: &str, said: &str) -> Value {
    let mut data = text(said);
    data["accessControl"] = json!({"access_level": "public", "owner_public_key": by});
    data
}

/// Someone with a key who is no node, and writes records into the graph by hand.
pub(crate) struct Author {
    pub key: CreatorKey,
}

impl Author {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: CreatorKey::ed25519([seed; 32]).unwrap(),
        }
    }

    /// A signed version, stamped `at_ms`.
    pub(crate) fn version(&self, local_id: &str, data: Value, at_ms: u64) -> Version {
        self.version_of("post", local_id, data, at_ms)
    }

    /// A signed version of another type.
    pub(crate) fn version_of(
        &self,
        record_type: &str,
        local_id: &str,
        data: Value,
        at_ms: u64,
    ) -> Version {
        let submission = Submission {
            record_type: record_type.to_owned(),
            ..submission(local_id, data)
        };
        Version(publish::build(&submission, &self.context(at_ms)).unwrap())
    }

    /// A signed tombstone for a record of this author.
    pub(crate) fn tombstone(&self, of: &Version, at_ms: u64) -> Version {
        let built = publish::tombstone(&of.0.soul, &of.0.record_type, &self.context(at_ms));
        Version(built.unwrap())
    }

    /// A tombstone that this author signs as the owner of another's record.
    pub(crate) fn tombstone_of_his(&self, of: &Version, at_ms: u64) -> Version {
        let (soul, record_type) = (&of.0.soul, &of.0.record_type);
        let context = self.context(at_ms);
        let built = publish::tombstone_by_owner(soul, record_type, &of.0.creator, &context);
        Version(built.unwrap())
    }

    fn context(&self, at_ms: u64) -> Context<'_> {
        Context {
            key: &self.key,
            now_ms: i64::try_from(at_ms).unwrap(),
            newest_known: None,
            random: [7; 16],
            existing: None,
        }
    }
}

/// A version that was made by hand.
#[derive(Clone)]
pub(crate) struct Version(pub Built);

impl std::ops::Deref for Version {
    type Target = Built;

    fn deref(&self) -> &Built {
        &self.0
    }
}

impl Version {
    /// The record alone, as a `put` member.
    pub(crate) fn record(&self, state_ms: u64) -> Value {
        graph(&self.entries, state_ms)
    }

    /// The registry's values for it, as deployed nodes write them.
    pub(crate) fn entry(&self, state_ms: u64) -> Value {
        entry(&self.record_type, &self.soul, "a-foreign-node", state_ms)
    }

    /// Record and registry entry.
    pub(crate) fn announced(&self, state_ms: u64) -> Value {
        join(self.record(state_ms), self.entry(state_ms))
    }

    /// The record with some of its values replaced.
    pub(crate) fn altered(&self, values: &[(&str, Value)], state_ms: u64) -> Value {
        let mut graph = self.record(state_ms);
        for (key, value) in values {
            graph[self.soul.as_str()][*key] = value.clone();
        }
        graph
    }

    /// `oip` as an object.
    pub(crate) fn oip(&self) -> Value {
        serde_json::from_str(&self.oip_text).unwrap()
    }
}

/// The registry's values that announce a record: directory, index and target.
pub(crate) fn entry(record_type: &str, soul: &Soul, node_id: &str, state_ms: u64) -> Value {
    let index = format!("oip:registry:index:{record_type}");
    let target = format!("{index}/{soul}");
    let link = |soul: &str| json!({"#": soul});
    let fields = [
        ("soul", json!(soul.as_str())),
        ("nodeId", json!(node_id)),
        ("timestamp", json!(state_ms)),
    ];
    let directory = testkit::raw::node(
        "oip:registry:index",
        &[(record_type, link(&index))],
        state_ms,
    );
    let index = testkit::raw::node(&index, &[(soul.as_str(), link(&target))], state_ms);
    let target = testkit::raw::node(&target, &fields, state_ms);
    join(join(target, directory), index)
}

/// Values as a `put` member, all with one state.
pub(crate) fn graph(entries: &[(Soul, Vec<(Key, gun::Value)>)], state_ms: u64) -> Value {
    entries.iter().fold(json!({}), |graph, (soul, values)| {
        let values: Vec<_> = values
            .iter()
            .map(|(key, value)| (key.as_str(), json_of(value)))
            .collect();
        join(graph, testkit::raw::node(soul.as_str(), &values, state_ms))
    })
}

fn json_of(value: &gun::Value) -> Value {
    match value {
        gun::Value::Null => Value::Null,
        gun::Value::Bool(flag) => json!(flag),
        gun::Value::Number(number) => json!(number),
        gun::Value::Text(text) => json!(text.as_ref()),
        gun::Value::Link(soul) => json!({"#": soul.as_str()}),
    }
}

/// Two graphs without a node in common as one.
pub(crate) fn join(mut graph: Value, other: Value) -> Value {
    let (Some(nodes), Value::Object(more)) = (graph.as_object_mut(), other) else {
        panic!("a graph is an object");
    };
    nodes.extend(more);
    graph
}

/// Puts a graph that has to be taken.
pub(crate) async fn put(client: &mut RawGun, graph: Value) {
    let ack = client.put(graph, PATIENCE).await.unwrap();
    assert_eq!(ack["err"], Value::Null, "{ack}");
}

/// Puts a graph that has to be refused; says why it was.
pub(crate) async fn put_refused(client: &mut RawGun, graph: Value) -> String {
    let ack = client.put(graph, PATIENCE).await.unwrap();
    ack["err"]
        .as_str()
        .unwrap_or_else(|| panic!("{ack}"))
        .to_owned()
}

/// Waits until a get on the relay port shows exactly the texts of a version.
pub(crate) async fn graph_shows(client: &mut RawGun, version: &Built) {
    let data = version
        .data_text
        .as_ref()
        .map_or(Value::Null, |text| json!(text));
    let wanted = (data, json!(version.oip_text));
    let mut last = Value::Null;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        let node = client.get(version.soul.as_str(), PATIENCE).await.unwrap();
        let node = node.unwrap_or_default();
        let shown = |key: &str| node.get(key).cloned().unwrap_or_default();
        if (shown("data"), shown("oip")) == wanted {
            return;
        }
        last = node.into();
    }
    panic!("the graph keeps showing {last}, not {wanted:?}");
}
