//! A gate before a real server: requests whose path holds a word wait until it is opened for them.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::sync::watch;

/// Stands before a server.
pub(crate) struct Gate {
    /// Where it listens.
    pub(crate) url: String,
    held: watch::Sender<Option<&'static str>>,
}

#[derive(Clone)]
struct Behind {
    server: String,
    http: reqwest::Client,
    held: watch::Receiver<Option<&'static str>>,
}

impl Gate {
    pub(crate) async fn before(server: &str) -> Self {
        let (held, seen) = watch::channel(None);
        let behind = Behind {
            server: server.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            held: seen,
        };
        let router = Router::new().fallback(pass).with_state(behind);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, held }
    }

    /// Holds requests whose path contains this, from now on.
    pub(crate) fn hold(&self, word: &'static str) {
        self.held.send_replace(Some(word));
    }

    /// Lets everything through, what waits too.
    pub(crate) fn open(&self) {
        self.held.send_replace(None);
    }
}

async fn pass(State(mut behind): State<Behind>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let is_free = |word: &Option<&str>| word.is_none_or(|word| !path.contains(word));
    // The gate outlives its requests.
    let _ = behind.held.wait_for(is_free).await;
    let body = axum::body::to_bytes(body, 1 << 26).await.unwrap();
    let mut onward = behind
        .http
        .request(parts.method, format!("{}{}", behind.server, parts.uri))
        .header("content-type", "application/json");
    // Bodies to servers that count as far away are compressed.
    if let Some(encoding) = parts.headers.get("content-encoding") {
        onward = onward.header("content-encoding", encoding);
    }
    let answer = onward.body(body).send().await.unwrap();
    let status = answer.status();
    let body = Body::from(answer.bytes().await.unwrap());
    Response::builder().status(status).body(body).unwrap()
}
