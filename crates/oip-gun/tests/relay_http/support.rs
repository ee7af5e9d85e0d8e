//! What these tests share: a node, requests to both of its ports, and the recorded vectors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use testkit::{NodeOptions, NodeProcess, RawGun};

/// Generous, since machines are noisy; nothing takes that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A node and a client for it.
pub(crate) struct Relay {
    pub node: NodeProcess,
    pub http: reqwest::Client,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub cors: Option<String>,
    /// JSON, or the text in place of it.
    pub body: Value,
}

impl Relay {
    /// A node that takes any soul, and discovers nothing by itself.
    pub(crate) async fn open(name: &str) -> Self {
        Self::start(options(name).env("OIP_GUN_RELAY_ADMISSION", "open")).await
    }

    pub(crate) async fn start(options: NodeOptions) -> Self {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_oip-gun"));
        Self {
            node: NodeProcess::start(binary, options).await.unwrap(),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
        }
    }

    /// A path of the relay port as an address.
    pub(crate) fn url(&self, path: &str) -> String {
        let relay = self.node.relay().strip_suffix("/gun").unwrap();
        format!("{}{path}", relay.replacen("ws:", "http:", 1))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.http.post(self.url(path)).body(body.to_string())).await
    }

    /// Puts `data` at `soul`, which must work.
    pub(crate) async fn put(&self, soul: &str, data: Value) {
        let answer = self
            .post("/put", &serde_json::json!({"soul": soul, "data": data}))
            .await;
        assert_eq!(answer.status, 200, "{soul}: {}", answer.body);
    }

    /// The node at `soul` as `/get` shows it; `None` for 404.
    pub(crate) async fn node_at(&self, soul: &str) -> Option<Value> {
        let answer = self.get(&format!("/get?soul={}", encoded(soul))).await;
        shown(answer)
    }

    /// The same on the API port.
    pub(crate) async fn pulled(&self, soul: &str) -> Option<Value> {
        let url = format!("{}/gun-relay/get?soul={}", self.node.api(), encoded(soul));
        shown(answer(self.http.get(url)).await)
    }

    /// The states of a small node's keys.
    pub(crate) async fn states(&self, soul: &str) -> Value {
        let mut peer = self.peer().await;
        let id = testkit::raw::message_id();
        let get = serde_json::json!({"#": id, "get": {"#": soul}});
        peer.send(&get).await.unwrap();
        let answer = peer
            .find(PATIENCE, |message| message["@"] == id.as_str())
            .await
            .unwrap();
        answer["put"][soul]["_"][">"].clone()
    }

    /// A plain GUN client.
    pub(crate) async fn peer(&self) -> RawGun {
        RawGun::connect(self.node.relay()).await.unwrap()
    }
}

pub(crate) fn options(name: &str) -> NodeOptions {
    NodeOptions::named(name).env("GUN_SYNC_ENABLED", "false")
}

fn shown(mut answer: Answer) -> Option<Value> {
    match answer.status {
        200 => {
            assert_eq!(answer.body["success"], true, "{}", answer.body);
            Some(answer.body["data"].take())
        }
        404 => None,
        status => panic!("{status}: {}", answer.body),
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (content_type, cors) = (
        header("content-type"),
        header("access-control-allow-origin"),
    );
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    Answer {
        status,
        content_type,
        cors,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

/// A text as a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

pub(crate) fn vector(name: &str) -> Value {
    serde_json::from_str(&file(&format!("testdata/vectors/oip/{name}"))).unwrap()
}

/// What Linux says of a process.
pub(crate) fn file_of_process(id: u32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap()
}
