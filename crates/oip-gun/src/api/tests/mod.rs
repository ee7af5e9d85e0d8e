//! The router without a port, on a real node in a temporary folder.

mod callers;
mod deleting;
mod describing;
mod parity;
mod publishing;
mod reading;
mod tokens;
mod users;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use oip_node::{Node, NodeConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::{Access, ApiState, LocalWriting, router};
use crate::settings::AdminToken;

/// The token of every node here.
const TOKEN: &str = "test-token-0123456789";
/// What programs on this machine send.
const HOST: &str = "127.0.0.1:3005";
/// The longest answer a test reads.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

struct Api {
    router: Router,
    node: Node,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// Status, reason and message of a refusal.
    fn refusal(&self) -> (u16, &str, &str) {
        let text = |name: &str| self.body.get(name).and_then(Value::as_str);
        assert_eq!(
            self.body.as_object().map(serde_json::Map::len),
            Some(2),
            "a refusal has `error` and `reason` alone: {}",
            self.body
        );
        (
            self.status.as_u16(),
            text("reason").unwrap(),
            text("error").unwrap(),
        )
    }

    /// The text at `pointer`.
    fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no text at {pointer} in {}", self.body))
    }
}

impl Api {
    /// A node whose API is open to programs of this machine.
    async fn start() -> Self {
        Self::start_with(LocalWriting::Open, |_| {}).await
    }

    async fn start_with(local_writing: LocalWriting, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::new(folder.path().join("data"));
        config.relay_listen.set_port(0);
        change(&mut config);
        let node = Node::start(config).await.unwrap();
        let access = Access::new(AdminToken::new(TOKEN).unwrap(), local_writing);
        Self {
            router: router(ApiState::new(node.clone(), access)),
            node,
            _folder: folder,
        }
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header(header::HOST, HOST);
        self.call(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path)
            .header(header::HOST, HOST)
            .header(header::CONTENT_TYPE, "application/json");
        self.call(request.body(body.into()).unwrap()).await
    }

    /// Publishes a post and gives its DID.
    async fn publish(&self, local_id: &str, data: &Value) -> String {
        let path = format!("/api/records/newRecord?recordType=post&storage=gun&localId={local_id}");
        let answer = self.post(&path, data.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.text("/did").to_owned()
    }

    async fn delete(&self, did: &str) -> Answer {
        let request = json!({"delete": {"did": did}});
        self.post("/api/records/deleteRecord", request.to_string())
            .await
    }
}

fn post(name: &str) -> Value {
    json!({
        "basic": {"name": name, "date": 1_768_730_400, "language": "en", "tagItems": ["harbour", "tide"]},
        "post": {"bylineWriter": "Isla", "imageItems": []}
    })
}
