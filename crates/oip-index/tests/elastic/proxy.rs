//! A proxy before a real server that provokes faults: what it is told to do happens to the next
//! requests whose path contains a word, the others pass.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is answered with this status and reason, and the server never sees it.
    Answer(u16, &'static str),
    /// The server gets it, and the connection is cut before the answer.
    CutAfter,
}

/// A running proxy; it ends with its process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    plan: Arc<Mutex<Plan>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::new(Mutex::new(Plan {
            bytes_max: usize::MAX,
            ..Plan::default()
        }));
        let server = server.trim_start_matches("http://").to_owned();
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, plan) = (server.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &server, &plan));
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

/// One connection: requests one after the other, each over a connection of its own to the server.
fn serve(stream: TcpStream, server: &str, plan: &Mutex<Plan>) -> Option<()> {
    let mut answers = stream.try_clone().ok()?;
    let mut requests = BufReader::new(stream);
    loop {
        let mut head = String::new();
        let mut length = 0;
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
            if length > plan.bytes_max {
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
            answers.write_all(answer.as_bytes()).ok()?;
            continue;
        }
        let mut there = TcpStream::connect(server).ok()?;
        there
            .write_all(format!("{head}connection: close\r\n\r\n").as_bytes())
            .ok()?;
        there.write_all(&body).ok()?;
        let mut answer = Vec::new();
        there.read_to_end(&mut answer).ok()?;
        if matches!(fault, Some(Fault::CutAfter)) {
            return None;
        }
        answers.write_all(&answer).ok()?;
        // The server has closed its connection and said so; so does this one.
        return None;
    }
}
