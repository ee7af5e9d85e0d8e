//! HTTP to the server: one pooled client, credentials, retries with backoff, and bounds.
//!
//! Has a small runtime of its own, so that the blocking trait can be called from any thread that may
//! block, and so that several requests can be under way from one call. Never logs a body.

use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::error::ElasticError;
use super::settings::{Credentials, ElasticSettings};

/// A server that can't be reached in this time is down: connections on a network take milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Silence on a connection before it counts as broken. A bulk on a server that merges takes seconds.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A pooled connection is closed before firewalls forget it.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// Idle connections: the most that one bulk and the searches beside it use at once.
const IDLE_CONNECTIONS_MAX: usize = 16;

/// Bytes of one answer: a page of a thousand records of usual size takes some megabytes; what is
/// longer is a page of giants, to be asked for in smaller pieces.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// First pause before a request is tried again; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a request is tried again and again before its failure is reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(pub(super) Duration);

impl Patience {
    /// Somebody waits for the answer.
    pub(super) const SEARCH: Self = Self(Duration::from_secs(2));
}

/// A connection to a server.
pub(super) struct Server {
    http: Client,
    base: String,
    encoding: Encoding,
    /// Taken when dropped: a runtime must not wait for its tasks on a thread of another runtime.
    runtime: Option<Runtime>,
}

/// How bodies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// On this machine, where compressing only costs.
    Plain,
    Gzip,
}

/// One request.
#[derive(Clone)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// From the slash on, query included.
    pub(super) path: &'a str,
    /// JSON, or lines of JSON.
    pub(super) body: Option<Bytes>,
    /// What it is for, in the infinitive.
    pub(super) what: &'static str,
}

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Server {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`ElasticError::Authority`], or no thread for the runtime.
    pub(super) fn new(settings: &ElasticSettings) -> Result<Self, ElasticError> {
        let mut headers = HeaderMap::new();
        let authorization = match &settings.credentials {
            Credentials::None => None,
            Credentials::User { name, password } => Some(basic(name, password)),
            Credentials::ApiKey(key) => Some(format!("ApiKey {key}")),
        };
        if let Some(text) = authorization {
            // Settings were checked; what can't stand in a header is left out and refused there.
            if let Ok(mut value) = HeaderValue::from_str(&text) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        // Answers come as they are: an inflated one could have any size.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut client = Client::builder()
            .default_headers(headers)
            .no_proxy()
            // Credentials go where the operator said and nowhere else.
            .redirect(Policy::none())
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        if let Some(path) = &settings.ca_file {
            let path_text = path.display().to_string();
            let authority =
                |source: Box<dyn std::error::Error + Send + Sync>| ElasticError::Authority {
                    path: path_text.clone(),
                    source,
                };
            let pem = std::fs::read(path).map_err(|error| authority(error.into()))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| authority(error.into()))?;
            if certificates.is_empty() {
                return Err(authority("it holds no certificate".into()));
            }
            client = client.tls_certs_only(certificates);
        }
        let address = settings.address().to_owned();
        let unreachable =
            |source: Box<dyn std::error::Error + Send + Sync>| ElasticError::Unreachable {
                address: address.clone(),
                source,
            };
        let http = client.build().map_err(|error| unreachable(error.into()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("search-server")
            .enable_all()
            .build()
            .map_err(|error| unreachable(error.into()))?;
        Ok(Self {
            http,
            base: address.clone(),
            encoding: match settings.is_local() {
                true => Encoding::Plain,
                false => Encoding::Gzip,
            },
            runtime: Some(runtime),
        })
    }

    /// Runs a future to its end on this thread, which must be one that may block.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        let runtime = self
            .runtime
            .as_ref()
            .expect("it is taken only when dropped");
        runtime.handle().block_on(future)
    }

    /// Runs a future beside the caller.
    pub(super) fn start<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let runtime = self
            .runtime
            .as_ref()
            .expect("it is taken only when dropped");
        runtime.spawn(future)
    }

    /// Sends a request, again and again while that may help, and gives its answer if it is a success.
    pub(super) async fn ask(
        &self,
        request: &Request<'_>,
        patience: Patience,
    ) -> Result<Answer, ElasticError> {
        let started = Instant::now();
        let mut pause = PAUSE_FIRST;
        loop {
            let error = match self.once(request).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => refusal(request.what, &answer),
                Err(error) => error,
            };
            if !error.passes() || started.elapsed() + pause > patience.0 {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// As [`Self::ask`], and reads the answer as JSON.
    pub(super) async fn json(
        &self,
        request: &Request<'_>,
        patience: Patience,
    ) -> Result<Value, ElasticError> {
        let answer = self.ask(request, patience).await?;
        read_json(request.what, &answer.body)
    }

    /// Sends a request once, and gives the answer whatever its status.
    pub(super) async fn once(&self, request: &Request<'_>) -> Result<Answer, ElasticError> {
        let unreachable = |error: reqwest::Error| ElasticError::Unreachable {
            address: self.base.clone(),
            source: error.without_url().into(),
        };
        let url = format!("{}{}", self.base, request.path);
        let mut builder = self.http.request(request.method.clone(), url);
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json");
            builder = match self.encoding {
                Encoding::Plain => builder.body(Body::from(body.clone())),
                Encoding::Gzip => builder
                    .header(CONTENT_ENCODING, "gzip")
                    .body(Body::from(compressed(body))),
            };
        }
        let mut response = builder.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(unreachable)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(ElasticError::Malformed {
                    what: request.what,
                    reason: format!(
                        "it has more than {ANSWER_BYTES_MAX} bytes; ask for fewer hits"
                    ),
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, body })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Speed over size: the link is a network of the operator's own, and the indexer's time is the node's.
fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body);
    written
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = format!("{name}:{password}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {encoded}")
}

pub(super) fn read_json<T: DeserializeOwned>(
    what: &'static str,
    body: &[u8],
) -> Result<T, ElasticError> {
    serde_json::from_slice(body).map_err(|error| ElasticError::Malformed {
        what,
        reason: error.to_string(),
    })
}

/// What an answer that isn't success means.
pub(super) fn refusal(what: &'static str, answer: &Answer) -> ElasticError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = body["error"]["type"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let reason = reason(&body["error"]);
    let status = answer.status.as_u16();
    match (status, kind.as_str()) {
        // A full disk makes indexes read-only, with a status that depends on the version.
        (_, "cluster_block_exception") | (429 | 502..=504, _) => ElasticError::Busy {
            what,
            status,
            reason,
        },
        (401 | 403, _) => ElasticError::Unauthorized {
            what,
            status,
            reason,
        },
        (
            404,
            "index_not_found_exception"
            | "document_missing_exception"
            | "alias_not_found_exception",
        ) => ElasticError::Lost { what },
        _ => ElasticError::Refused {
            what,
            status,
            reason,
        },
    }
}

/// Characters of a server's words that are kept: they may repeat values of the document.
const REASON_CHARS_MAX: usize = 400;

/// The server's words, cause included.
pub(super) fn reason(error: &Value) -> String {
    let mut text = match error {
        Value::String(text) => text.clone(),
        error => error["reason"]
            .as_str()
            .unwrap_or("no reason given")
            .to_owned(),
    };
    if let Some(cause) = error["caused_by"]["reason"].as_str() {
        text.push_str(": ");
        text.push_str(cause);
    }
    text.chars().take(REASON_CHARS_MAX).collect()
}
