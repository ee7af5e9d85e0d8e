//! Deployed nodes that expose only `/gun-relay/get`: their graph is asked for over plain HTTP, a
//! soul at a time (`oip-formats` 2).
//!
//! Owns the requests, their bounds, and how the peer stands. Decides nothing about what it gives.
//! Redirects are not followed: whom this node speaks to stands in its configuration. Compression
//! is not asked for: an inflated answer could be a thousand times its size.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use gun::mesh::Direction;
use rand::Rng;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::address::PeerAddress;
use crate::backoff::Backoff;
use crate::meter::{Clock, Meter};
use crate::status::{LinkPhase, LinkStatus, Traffic};
use crate::tls;

/// Requests to one peer at a time. Its relay works on one thread, and each question costs it memory
/// (`oip-formats` 11); more at once only makes every answer later.
const REQUESTS_MAX: usize = 4;

/// Bytes of one answer: an index of some 300,000 records, four times the largest record.
const ANSWER_BYTES_MAX: usize = 40 << 20;

/// From dialling to the end of the TLS handshake.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// From asking to the end of the answer. Deployed nodes take 10 to 15 s under load.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Waits between attempts to reach a peer that is down.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LONGEST: Duration = Duration::from_secs(300);

/// What the proxy of a deployed node says, with status 500, when its relay has nothing.
const ABSENT_BEHIND_PROXY: &str = "Request failed with status code 404";

/// An answer by which the next one is known to be the same: its ETag, or its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    etag: Option<String>,
    digest: [u8; 32],
}

/// What a peer answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Pulled {
    /// The node as the relay shows it: nulls left out, `data` and `oip` as JSON, links as `{"#": soul}`.
    Node {
        /// Its members.
        node: Map<String, Value>,
        /// To ask next time whether it changed.
        known: Known,
    },
    /// The same as when `Known` was given.
    Unchanged,
    /// It has nothing there.
    Absent,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// No connection.
    #[error("{address} can't be reached ({why}): is the node running, and the address right?")]
    Unreachable {
        /// The peer.
        address: String,
        /// What the system said.
        why: String,
    },
    /// Connected, and no whole answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke in the middle of an answer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A status that means neither data nor absence.
    #[error("the peer answered HTTP {status}{said}")]
    Status {
        /// The status.
        status: u16,
        /// What it said, after a colon, or nothing.
        said: String,
    },
    /// More bytes than any node has.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// No answer of a GUN relay.
    #[error("the answer is not that of a GUN relay: does the address end in /gun-relay?")]
    Malformed,
}

impl PullError {
    /// Whether the peer as a whole can't be asked, rather than this one soul. What a web server in
    /// between says of a node that is slow (502 to 504) may be meant for the one soul.
    #[must_use]
    pub fn is_of_the_peer(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => matches!(status, 401 | 403 | 404),
            _ => false,
        }
    }

    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut(_) => "timed-out",
            Self::Broken(_) => "broken",
            Self::Status { .. } => "status",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
        }
    }
}

/// A peer that is asked over HTTP.
#[derive(Debug)]
pub struct PullPeer {
    address: PeerAddress,
    http: reqwest::Client,
    requests: Semaphore,
    meter: Arc<Meter>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: LinkPhase,
    since_ms: u64,
    attempts: u64,
    last_error: Option<String>,
    backoff: Backoff,
}

/// The connections could not be set up; a fault of the build.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client: {0}")]
pub struct SetUpError(String);

impl PullPeer {
    /// A peer that was not asked yet.
    ///
    /// # Errors
    /// [`SetUpError`] if there is no TLS.
    pub fn new(address: PeerAddress) -> Result<Self, SetUpError> {
        let tls = tls::client_config().map_err(|error| SetUpError(error.to_string()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .build()
            .map_err(|error| SetUpError(error.to_string()))?;
        let clock = Clock::start();
        Ok(Self {
            address,
            http,
            requests: Semaphore::new(REQUESTS_MAX),
            meter: Arc::default(),
            clock,
            state: Mutex::new(State {
                phase: LinkPhase::Connecting,
                since_ms: clock.now_ms(),
                attempts: 0,
                last_error: None,
                backoff: Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST),
            }),
        })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Asks for a soul; with `known`, only for what changed since.
    ///
    /// # Errors
    /// [`PullError`]. An absent soul is none.
    pub async fn get(&self, soul: &str, known: Option<&Known>) -> Result<Pulled, PullError> {
        // The semaphore is never closed.
        let _turn = self.requests.acquire().await;
        let result = self.ask(soul, known).await;
        let mut state = self.lock();
        match &result {
            Err(error) if error.is_of_the_peer() => {}
            _ => self.enter(&mut state, LinkPhase::Connected),
        }
        if let Err(error) = &result {
            state.last_error = Some(error.to_string());
        }
        result
    }

    /// The peer can't be asked for now: how long to leave it alone. Waits double up to five minutes.
    #[must_use]
    pub fn give_up_for_now(&self) -> Duration {
        let mut state = self.lock();
        state.attempts += 1;
        self.enter(&mut state, LinkPhase::Waiting);
        state.backoff.next(rand::rng().random())
    }

    /// A whole round of questions was answered: the next failure is the first.
    pub fn worked(&self) {
        let mut state = self.lock();
        state.attempts = 0;
        state.last_error = None;
        state.backoff.reset();
    }

    /// How it stands. `Connected` means that the last question was answered: there is no link to hold.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        let state = self.lock();
        LinkStatus {
            label: self.address.to_string(),
            direction: Direction::Dialled,
            phase: state.phase.clone(),
            peer: None,
            since_ms: state.since_ms,
            last_heard_ms: Some(self.meter.heard_ms()).filter(|ms| *ms > 0),
            attempts: state.attempts,
            last_error: state.last_error.clone(),
            traffic: Traffic::of(&self.meter),
            outbox_len: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, state: &mut State, phase: LinkPhase) {
        if state.phase != phase {
            state.phase = phase;
            state.since_ms = self.clock.now_ms();
        }
    }

    async fn ask(&self, soul: &str, known: Option<&Known>) -> Result<Pulled, PullError> {
        let url = url_for(&self.address, soul).ok_or(PullError::Malformed)?;
        let mut request = self.http.get(url.clone());
        if let Some(etag) = known.and_then(|known| known.etag.as_deref()) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        self.meter.messages_out.add(1);
        self.meter.bytes_out.add(url.as_str().len() as u64);
        let mut response = request.send().await.map_err(|error| self.failure(&error))?;
        self.meter.begin(self.clock.now_ms());
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            self.meter.messages_in.add(1);
            return Ok(Pulled::Unchanged);
        }
        let etag = response.headers().get(ETAG);
        let etag = etag.and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failure(&error))?
        {
            self.meter.bytes_in.add(chunk.len() as u64);
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(PullError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        self.meter.begin(self.clock.now_ms());
        self.meter.messages_in.add(1);
        read(status, etag, &body, known)
    }

    fn failure(&self, error: &reqwest::Error) -> PullError {
        if error.is_connect() {
            return PullError::Unreachable {
                address: self.address.to_string(),
                why: innermost(error),
            };
        }
        if error.is_timeout() {
            return PullError::TimedOut(ANSWER_MAX);
        }
        PullError::Broken(innermost(error))
    }
}

/// What an answer means.
fn read(
    status: StatusCode,
    etag: Option<String>,
    body: &[u8],
    known: Option<&Known>,
) -> Result<Pulled, PullError> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().and_then(|json| json["error"].as_str());
    match status {
        StatusCode::OK => {}
        // A 404 without the relay's words is that of a web server which knows no such path.
        StatusCode::NOT_FOUND if error == Some("Not found") => return Ok(Pulled::Absent),
        StatusCode::INTERNAL_SERVER_ERROR if error == Some(ABSENT_BEHIND_PROXY) => {
            return Ok(Pulled::Absent);
        }
        other => {
            let said = error.map(|said| said.chars().take(120).collect::<String>());
            return Err(PullError::Status {
                status: other.as_u16(),
                said: said.map_or_else(String::new, |said| format!(": {said}")),
            });
        }
    }
    let mut digested = [0; 32];
    digested.copy_from_slice(digest(&SHA256, body).as_ref());
    if known.is_some_and(|known| known.digest == digested) {
        return Ok(Pulled::Unchanged);
    }
    let known = Known {
        etag,
        digest: digested,
    };
    match json {
        Some(Value::Object(mut answer)) if answer.get("success") == Some(&Value::Bool(true)) => {
            match answer.remove("data") {
                Some(Value::Object(node)) => Ok(Pulled::Node { node, known }),
                None | Some(Value::Null) => Ok(Pulled::Absent),
                Some(_) => Err(PullError::Malformed),
            }
        }
        _ => Err(PullError::Malformed),
    }
}

/// `<base>/get?soul=…`, with whatever query the address has.
fn url_for(address: &PeerAddress, soul: &str) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(address.as_str()).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().push("get");
    url.query_pairs_mut().append_pair("soul", soul);
    Some(url)
}

/// The cause at the bottom: the layers above it only say that something failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Result<Pulled, PullError> {
        let status = StatusCode::from_u16(status).unwrap();
        read(status, None, body.as_bytes(), None)
    }

    #[test]
    fn absence_is_told_in_three_ways() {
        for (status, body) in [
            (404, r#"{"error":"Not found"}"#),
            (404, r#"{"error":"Not found","success":false}"#),
            (
                500,
                r#"{"error":"Request failed with status code 404","success":false}"#,
            ),
        ] {
            assert_eq!(answered(status, body), Ok(Pulled::Absent), "{body}");
        }
    }

    #[test]
    fn other_failures_are_no_absence() {
        for (status, body) in [
            (500, r#"{"error":"socket hang up","success":false}"#),
            (500, "oops"),
            (404, "<html>no such page</html>"),
            (404, r#"{"error":"Endpoint not found"}"#),
            (503, r#"{"error":"off"}"#),
        ] {
            let error = answered(status, body).unwrap_err();
            assert_eq!(error.label(), "status", "{status} {body}");
            assert_eq!(error.is_of_the_peer(), status == 404, "{status} {body}");
        }
        for body in ["", "[]", "{}", r#"{"success":true,"data":1}"#] {
            assert_eq!(answered(200, body), Err(PullError::Malformed), "{body}");
        }
    }

    #[test]
    fn an_answer_that_did_not_change_is_known_by_its_digest() {
        let body = r#"{"success":true,"data":{"a":1}}"#;
        let Ok(Pulled::Node { node, known }) = answered(200, body) else {
            panic!("no node");
        };
        assert_eq!(node["a"], 1);
        let again = |body: &str| read(StatusCode::OK, None, body.as_bytes(), Some(&known));
        assert_eq!(again(body), Ok(Pulled::Unchanged));
        assert!(matches!(
            again(r#"{"success":true,"data":{"a":2}}"#),
            Ok(Pulled::Node { .. })
        ));
    }

    #[test]
    fn a_soul_is_asked_for_with_all_its_characters_and_the_address_keeps_its_query() {
        let address = PeerAddress::parse("http://h:1/gun-relay?token=t").unwrap();
        let url = url_for(&address, "ab:c d/e&f#g").unwrap();
        assert_eq!(
            url.as_str(),
            "http://h:1/gun-relay/get?token=t&soul=ab%3Ac+d%2Fe%26f%23g"
        );
    }
}
