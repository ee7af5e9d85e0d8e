//! The HTTP side of a deployed node: its relay's `/get` and `/put`, and the API's proxy of both,
//! which turns 404 into 500.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::{Asked, Shared, lock};

/// A bound on bodies; the deployed relay has none.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The client went without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { answer(request, &shared).await }
            });
            let http = hyper::server::conn::http1::Builder::new();
            // A client that goes away early is no fault of a test.
            let _ = http.serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<String>, Cut> {
    if lock(&shared.faults).down {
        return Err(Cut);
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let (is_proxied, path) = match path.strip_prefix("/gun-relay") {
        Some(rest) => (true, rest),
        None => (false, path),
    };
    match (&parts.method, path) {
        (&Method::GET, "/get") => {
            let known = parts.headers.get("if-none-match");
            let known = known.and_then(|etag| etag.to_str().ok());
            let soul = soul_of(parts.uri.query().unwrap_or_default());
            get(soul, is_proxied, known, shared).await
        }
        (&Method::POST, "/put") => {
            let body = read(body).await?;
            let Ok(mut put) = serde_json::from_slice::<Value>(&body) else {
                return Ok(respond(400, &json!({"error": "Invalid JSON"}), None));
            };
            let soul = put["soul"].as_str().unwrap_or_default().to_owned();
            lock(&shared.graph).put(&soul, put["data"].take());
            Ok(respond(200, &json!({"success": true, "soul": soul}), None))
        }
        _ => Ok(respond(404, &json!({"error": "Endpoint not found"}), None)),
    }
}

async fn get(
    soul: Option<String>,
    is_proxied: bool,
    known: Option<&str>,
    shared: &Shared,
) -> Result<Response<String>, Cut> {
    let Some(soul) = soul else {
        let error = if is_proxied {
            "soul parameter required"
        } else {
            "Soul parameter required"
        };
        return Ok(respond(400, &json!({"error": error}), None));
    };
    let note = |status: u16| {
        let soul = soul.clone();
        lock(&shared.asked).push(Asked { soul, status });
    };
    let faults = lock(&shared.faults).clone();
    if faults.hanging.contains(&soul) {
        note(0);
        std::future::pending::<Infallible>().await;
    }
    if faults.failing.contains(&soul) {
        note(500);
        return Ok(respond(500, &json!({"error": "socket hang up"}), None));
    }
    let (shown, is_known) = {
        let graph = lock(&shared.graph);
        (graph.shown(&soul), graph.knows(&soul))
    };
    let Some(shown) = shown else {
        if !is_known {
            tokio::time::sleep(faults.absent_wait).await;
        }
        let (status, body) = if is_proxied {
            let error = "Request failed with status code 404";
            (500, json!({"error": error, "success": false}))
        } else {
            (404, json!({"error": "Not found"}))
        };
        note(status);
        return Ok(respond(status, &body, None));
    };
    let shown = cut(&soul, shown, shared);
    let body = json!({"success": true, "data": shown});
    let etag = (is_proxied && faults.etags).then(|| etag_of(&body.to_string()));
    if etag.is_some() && etag.as_deref() == known {
        note(304);
        return Ok(respond(304, &Value::Null, etag.as_deref()));
    }
    note(200);
    Ok(respond(200, &body, etag.as_deref()))
}

/// What a cold relay shows of a node: the keys that its disk gave first, others each time.
fn cut(soul: &str, shown: Map<String, Value>, shared: &Shared) -> Map<String, Value> {
    let mut faults = lock(&shared.faults);
    let Some(counts) = faults.partial.get_mut(soul) else {
        return shown;
    };
    let Some(count) = counts.pop_front() else {
        return shown;
    };
    // Somewhere else each time, and so that the first key is not in every part.
    let start = (counts.len() * 37 + 11) % shown.len().max(1);
    let keys: Vec<String> = shown.keys().cloned().collect();
    let part: Vec<&String> = keys.iter().cycle().skip(start).take(count).collect();
    shown
        .into_iter()
        .filter(|(key, _)| part.contains(&key))
        .collect()
}

fn etag_of(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("W/\"{:x}-{:x}\"", body.len(), hasher.finish())
}

fn respond(status: u16, body: &Value, etag: Option<&str>) -> Response<String> {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    if let Some(etag) = etag {
        response = response.header("etag", etag);
    }
    response.body(text).expect("fixed headers are well formed")
}

fn soul_of(query: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://x/?{query}")).ok()?;
    let mut pairs = url.query_pairs();
    pairs
        .find(|(name, _)| name == "soul")
        .map(|(_, soul)| soul.into_owned())
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, Cut> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(|_| Cut)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Cut);
        }
    }
    Ok(bytes)
}
