//! A proxy before a real server that provokes faults: what it is told to do happens to the next
//! requests whose path contains a word, the others pass. It can stand for a guarded server too, with
//! TLS and credentials, which the distributions that tests can have don't offer.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is answered with this status and reason, and the server never sees it.
    Answer(u16, &'static str),
    /// The server gets it, and the connection is cut before the answer.
    CutAfter,
    /// It is never answered, and the server never sees it.
    Stall,
    /// The server gets a bulk and answers; then it says of the first document that it is to come again later.
    FirstItemLater,
}

/// A running proxy; it ends with its process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    plan: Arc<Mutex<Plan>>,
}

/// A certificate and its key.
pub(crate) type Certificate = rcgen::CertifiedKey<rcgen::KeyPair>;

#[derive(Clone)]
struct Guard {
    tls: Arc<ServerConfig>,
    authorization: String,
}

#[derive(Debug, Default)]
struct Plan {
    word: &'static str,
    faults: VecDeque<Fault>,
    bytes_max: usize,
    seen: Vec<(String, usize)>,
}

impl Proxy {
    pub(crate) fn before(server: &str) -> Self {
        Self::start(server, None)
    }

    /// A proxy that speaks TLS and lets nobody through who does not bring this `Authorization`.
    pub(crate) fn guarded(server: &str, certificate: Certificate, authorization: String) -> Self {
        let key = PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .unwrap();
        let guard = Guard {
            tls: Arc::new(tls),
            authorization,
        };
        Self::start(server, Some(guard))
    }

    fn start(server: &str, guard: Option<Guard>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if guard.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let plan = Arc::new(Mutex::new(Plan {
            bytes_max: usize::MAX,
            ..Plan::default()
        }));
        let upstream = Upstream::of(server);
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, plan) = (upstream.clone(), Arc::clone(&shared));
                let guard = guard.clone();
                std::thread::spawn(move || match guard {
                    None => serve(stream, &server, &plan, None),
                    Some(guard) => {
                        let tls = ServerConnection::new(guard.tls).ok()?;
                        let stream = StreamOwned::new(tls, stream);
                        serve(stream, &server, &plan, Some(&guard.authorization))
                    }
                });
            }
        });
        Self { url, plan }
    }

    /// Lets these faults happen, one each, to the next requests whose path contains `word`.
    pub(crate) fn plan(&self, word: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let mut plan = self.plan.lock().unwrap();
        plan.word = word;
        plan.faults = faults.into_iter().collect();
    }

    /// Answers 413 to longer bodies.
    pub(crate) fn limit(&self, bytes_max: usize) {
        self.plan.lock().unwrap().bytes_max = bytes_max;
    }

    /// Faults that did not happen yet.
    pub(crate) fn left(&self) -> usize {
        self.plan.lock().unwrap().faults.len()
    }

    /// The paths and body lengths of the requests so far.
    pub(crate) fn seen(&self) -> Vec<(String, usize)> {
        self.plan.lock().unwrap().seen.clone()
    }
}

/// The server behind, and who tests are there.
#[derive(Debug, Clone)]
struct Upstream {
    address: String,
    /// A header's line; empty where the server asks nobody.
    authorization: String,
}

impl Upstream {
    /// Of `http://[user:password@]host:port`.
    fn of(url: &str) -> Self {
        let url: reqwest::Url = url.parse().unwrap();
        assert_eq!(
            url.scheme(),
            "http",
            "the proxy speaks plain HTTP to servers"
        );
        let port = url.port_or_known_default().unwrap();
        let authorization = match (url.username(), url.password()) {
            ("", None) => String::new(),
            (name, password) => {
                let pair = format!("{name}:{}", password.unwrap_or_default());
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                format!("authorization: Basic {pair}\r\n")
            }
        };
        Self {
            address: format!("{}:{port}", url.host_str().unwrap()),
            authorization,
        }
    }
}

#[test]
fn user_and_password_of_a_server_s_address_go_along() {
    let upstream = Upstream::of("http://u:p@127.0.0.1:9200");
    assert_eq!(upstream.address, "127.0.0.1:9200");
    assert_eq!(upstream.authorization, "authorization: Basic dTpw\r\n");
    assert_eq!(Upstream::of("http://127.0.0.1:9200").authorization, "");
}

fn first_item_later(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let body = match head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        true => joined(body),
        false => body.to_owned(),
    };
    let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
    body["errors"] = true.into();
    body["items"][0]["index"] = serde_json::json!({
        "status": 429,
        "error": {"type": "es_rejected_execution_exception", "reason": "the queue is full"},
    });
    let body = body.to_string();
    let mut new = String::new();
    for line in head.split("\r\n") {
        let lower = line.to_ascii_lowercase();
        if !lower.starts_with("content-length:") && !lower.starts_with("transfer-encoding:") {
            new.push_str(line);
            new.push_str("\r\n");
        }
    }
    format!("{new}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The body of an answer in chunks, each of which begins with its length: newer servers answer a bulk so.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        body.push_str(&rest[..length]);
        chunks = rest[length..].trim_start();
    }
    body
}

#[test]
fn chunks_are_joined() {
    assert_eq!(
        joined("5\r\n{\"a\":\r\n3\r\n 1}\r\n0\r\n\r\n"),
        "{\"a\": 1}"
    );
}

/// One connection: requests one after the other, each over a connection of its own to the server.
fn serve<S: Read + Write>(
    stream: S,
    server: &Upstream,
    plan: &Mutex<Plan>,
    authorization: Option<&str>,
) -> Option<()> {
    let mut requests = BufReader::new(stream);
    loop {
        let mut head = String::new();
        let mut length = 0;
        let mut is_let_in = authorization.is_none();
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(wanted) = authorization
                && lower.starts_with("authorization:")
            {
                is_let_in = line["authorization:".len()..].trim() == wanted;
                // The real server knows nobody.
                continue;
            }
            if !lower.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let mut body = vec![0; length];
        requests.read_exact(&mut body).ok()?;
        let path = head.split(' ').nth(1)?.to_owned();
        let fault = {
            let mut plan = plan.lock().unwrap();
            plan.seen.push((path.clone(), length));
            if !is_let_in {
                Some(Fault::Answer(401, "who are you"))
            } else if length > plan.bytes_max {
                Some(Fault::Answer(413, "too long"))
            } else if path.contains(plan.word) {
                plan.faults.pop_front()
            } else {
                None
            }
        };
        if let Some(Fault::Answer(status, reason)) = fault {
            let text = format!(
                r#"{{"error":{{"type":"provoked","reason":"{reason}"}},"status":{status}}}"#
            );
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            );
            requests.get_mut().write_all(answer.as_bytes()).ok()?;
            requests.get_mut().flush().ok()?;
            continue;
        }
        if matches!(fault, Some(Fault::Stall)) {
            // Until whoever asked gives up.
            while requests.read(&mut [0; 1]).ok()? > 0 {}
            return None;
        }
        let mut there = TcpStream::connect(&server.address).ok()?;
        let authorization = &server.authorization;
        there
            .write_all(format!("{head}{authorization}connection: close\r\n\r\n").as_bytes())
            .ok()?;
        there.write_all(&body).ok()?;
        let mut answer = Vec::new();
        there.read_to_end(&mut answer).ok()?;
        if matches!(fault, Some(Fault::CutAfter)) {
            return None;
        }
        if matches!(fault, Some(Fault::FirstItemLater)) {
            answer = first_item_later(&answer);
        }
        requests.get_mut().write_all(&answer).ok()?;
        requests.get_mut().flush().ok()?;
        // The server has closed its connection and said so; so does this one.
        return None;
    }
}
