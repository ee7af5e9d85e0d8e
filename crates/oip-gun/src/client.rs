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
        Err(match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => ClientError::Refused {
                status: status.as_u16(),
                body,
            },
            Err(_) => ClientError::NotANode {
                url: self.url().to_owned(),
                status: status.as_u16(),
            },
        })
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
