//! Answers that break off.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use oip_node::{Node, NodeConfig};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::router;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_to_its_end_breaks_off_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(folder.path().join("data"));
    config.relay_listen.set_port(0);
    let node = Node::start(config).await.unwrap();
    let routes = router(node.relay().clone());
    let data: Map<String, Value> = (0..3_000)
        .map(|number| (format!("0123456789ab:{number}"), json!(number)))
        .collect();
    let body = json!({"soul": "oip:registry:index:post", "data": data}).to_string();
    let put = Request::post("/put").body(Body::from(body)).unwrap();
    assert_eq!(
        routes.clone().oneshot(put).await.unwrap().status(),
        StatusCode::OK
    );

    let get = Request::get("/get?soul=oip:registry:index:post");
    let answer = routes
        .oneshot(get.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut parts = answer.into_body().into_data_stream();
    let first = parts.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"{\"success\":true,\"data\":{"));
    // Closes the store below the answer.
    node.stop().await;
    assert!(parts.next().await.unwrap().is_err());
    assert!(parts.next().await.is_none());
}
