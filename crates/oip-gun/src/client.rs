//! The client of a node's HTTP API, used by the verbs and the demo. Owns the messages for a node
//! that can't be reached; a refusal keeps the node's own words.

use std::error::Error;
use std::time::Duration;

use serde::de::DeserializeOwned;
use url::Url;

use crate::api::ErrorBody;
use crate::settings::AdminToken;

/// The longest a connection may take: a node that is there answers at once.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// The longest an answer may take, above what the node itself allows a sweep.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(16 * 60);

/// The longest an answer in parts may take: a backup of a large node over a poor line.
const STREAM_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a call brought no answer to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address isn't one of an HTTP API.
    #[error("{url:?} is not the address of a node: give one such as http://127.0.0.1:3005")]
    BadUrl {
        /// The address as given.
        url: String,
    },
    /// Nobody answers there.
    #[error(
        "no node answers at {url}: {cause}. Start one with `oip-gun serve`, or name another with --url"
    )]
    Unreachable {
        /// The address that was tried.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// The node refused; these are its words.
    #[error("{}", body.error)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the node says.
        body: ErrorBody,
    },
    /// What answers is no node of this kind.
    #[error(
        "what answers at {url} is not an oip-gun node: HTTP status {status}, and the body is not what the API gives; check --url and the port"
    )]
    NotANode {
        /// The address that was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The connection broke.
    #[error("the connection to {url} broke before the answer was complete: {cause}")]
    Broken {
        /// The address that was asked.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// The client can't be set up.
    #[error("the HTTP client can't be set up")]
    Setup(#[source] reqwest::Error),
}

impl ClientError {
    /// The label of the failure, for programs.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::BadUrl { .. } => "bad-url",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { body, .. } => &body.reason,
            Self::NotANode { .. } => "not-a-node",
            Self::Broken { .. } => "connection-broken",
            Self::Setup(_) => "client-setup",
        }
    }
}

/// An answer that comes in parts.
pub struct Parts {
    response: reqwest::Response,
    client: Client,
}

impl Parts {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub async fn next(
        &mut self,
    ) -> Result<Option<impl std::ops::Deref<Target = [u8]>>, ClientError> {
        let part = self.response.chunk().await;
        part.map_err(|error| self.client.failed(&error))
    }
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<AdminToken>,
}

impl Client {
    /// A client of the node at `url`; `token` is sent with every call.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`] and [`ClientError::Setup`].
    pub fn new(url: &str, token: Option<AdminToken>) -> Result<Self, ClientError> {
        let base = parse_base(url)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            // A node doesn't redirect; following one could carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        if base.scheme() == "http" {
            // A machine without a certificate store can still talk to a plain-text node.
            http = http.tls_certs_only([]);
        }
        Ok(Self {
            http: http.build().map_err(ClientError::Setup)?,
            base,
            token,
        })
    }

    /// The address of the node.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// GET `path` with the parameters `query`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        self.send(self.http.get(self.address(path, query))).await
    }

    /// POST `body`, which is JSON text, to `path` with the parameters `query`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: String,
    ) -> Result<T, ClientError> {
        let request = self
            .http
            .post(self.address(path, query))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body);
        self.send(request).await
    }

    /// PATCH `body`, which is JSON text, to `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: String,
    ) -> Result<T, ClientError> {
        let request = self
            .http
            .patch(self.address(path, &[]))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body);
        self.send(request).await
    }

    /// DELETE `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(self.http.delete(self.address(path, &[]))).await
    }

    /// GET `path`, whose answer comes in parts and may be of any length.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stream(&self, path: &str) -> Result<Parts, ClientError> {
        let mut request = self
            .http
            .get(self.address(path, &[]))
            .timeout(STREAM_TIME_MAX);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.text());
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        if response.status().is_success() {
            let client = self.clone();
            return Ok(Parts { response, client });
        }
        let status = response.status();
        let text = response.text().await.map_err(|error| self.failed(&error))?;
        Err(self.refused(status, &text))
    }

    fn address(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn send<T: DeserializeOwned>(
        &self,
        mut request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.text());
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.failed(&error))?;
        if status.is_success()
            && let Ok(answer) = serde_json::from_str(&text)
        {
            return Ok(answer);
        }
        Err(self.refused(status, &text))
    }

    fn refused(&self, status: reqwest::StatusCode, text: &str) -> ClientError {
        match serde_json::from_str::<ErrorBody>(text) {
            Ok(body) => ClientError::Refused {
                status: status.as_u16(),
                body,
            },
            Err(_) => ClientError::NotANode {
                url: self.url().to_owned(),
                status: status.as_u16(),
            },
        }
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        let url = self.url().to_owned();
        let cause = innermost(error);
        if error.is_connect() {
            ClientError::Unreachable { url, cause }
        } else {
            ClientError::Broken { url, cause }
        }
    }
}

/// The last cause of an error: what the system said, without the layers between.
fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn parse_base(url: &str) -> Result<Url, ClientError> {
    let bad = || ClientError::BadUrl {
        url: url.to_owned(),
    };
    let base = Url::parse(url.trim()).map_err(|_| bad())?;
    let is_http = matches!(base.scheme(), "http" | "https");
    if is_http && base.host().is_some() && base.query().is_none() {
        Ok(base)
    } else {
        Err(bad())
    }
}

/// Whether `url` is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::get;
    use serde_json::{Value, json};

    /// Serves `router` on a free port for the length of the test.
    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[test]
    fn only_http_addresses_are_taken() {
        for url in [
            "",
            "127.0.0.1:3005",
            "ws://127.0.0.1:8765/gun",
            "http://",
            "http://a/?x=1",
        ] {
            let error = Client::new(url, None).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "{url:?} is not the address of a node: give one such as http://127.0.0.1:3005"
                )
            );
        }
        for url in ["http://127.0.0.1:3005", "https://node.example/oip/"] {
            let client = Client::new(url, None).unwrap();
            assert_eq!(client.url(), url.trim_end_matches('/'));
        }
    }

    #[test]
    fn a_path_in_front_of_the_api_is_kept_and_parameters_are_escaped() {
        let client = Client::new("https://node.example/oip/", None).unwrap();
        assert_eq!(
            client
                .address("/api/records", &[("search", "a&b c")])
                .as_str(),
            "https://node.example/oip/api/records?search=a%26b+c"
        );
    }

    #[test]
    fn loopback_is_told_from_everything_else() {
        let cases = [
            ("http://localhost:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn the_token_is_sent_and_the_answer_is_read() {
        let router = Router::new().route(
            "/api/health",
            get(|headers: HeaderMap| async move {
                let token = headers["authorization"].to_str().unwrap().to_owned();
                axum::Json(json!({"token": token}))
            }),
        );
        let token = AdminToken::new("a-token").unwrap();
        let client = Client::new(&serve(router).await, Some(token)).unwrap();
        let answer: Value = client.get("/api/health", &[]).await.unwrap();
        assert_eq!(answer, json!({"token": "Bearer a-token"}));
    }

    #[tokio::test]
    async fn something_else_on_the_port_is_not_taken_for_a_node() {
        let router = Router::new().route("/api/health", get(async || "hello"));
        let url = serve(router).await;
        let client = Client::new(&url, None).unwrap();
        for (path, status) in [("/api/health", 200), ("/api/records", 404)] {
            let error = client.get::<Value>(path, &[]).await.unwrap_err();
            assert_eq!(error.reason(), "not-a-node");
            let message = error.to_string();
            assert!(
                message.contains(&format!(
                    "{url} is not an oip-gun node: HTTP status {status}"
                )),
                "{message}"
            );
        }
    }
}
