//! Bodies as sockets bring them: cut anywhere, and too large.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Relay, answer};

#[tokio::test]
async fn a_text_is_whole_wherever_its_bytes_were_cut() {
    let relay = Relay::open("relay").await;
    // One to four bytes each, so that cuts of every size fall inside characters.
    let text: String = "aé☃😀".repeat(48_000);
    assert_eq!(text.len(), 480_000);
    for piece_bytes in [2, 3, 7, 1_021, 4_099, 65_537] {
        let soul = format!("x:{piece_bytes}");
        let body = json!({"soul": soul, "data": {"text": text}}).to_string();
        let answer = post_in_pieces(&relay, &body, piece_bytes).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(relay.node_at(&soul).await.unwrap()["text"], text.as_str());
    }
}

async fn post_in_pieces(relay: &Relay, body: &str, piece_bytes: usize) -> String {
    let url = relay.url("");
    let address = url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let head = format!(
        "POST /put HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Each piece is a chunk; many go out in one write, or small ones would take all day.
    for pieces in body.as_bytes().chunks(piece_bytes * 512) {
        let mut out = Vec::new();
        for piece in pieces.chunks(piece_bytes) {
            out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
        socket.write_all(&out).await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_largest_record_is_taken_and_a_larger_body_is_refused_as_too_large() {
    let relay = Relay::open("relay").await;
    // 8 MiB of JSON that doubles when it is written into a body.
    let data = format!("[{}]", vec!["\"\""; 8 * 1024 * 1024 / 3].join(","));
    let soul = "0123456789ab:large";
    relay.put(soul, json!({"data": data, "oip": "{}"})).await;
    let held = relay.node_at(soul).await.unwrap();
    assert_eq!(held["data"].as_array().unwrap().len(), 8 * 1024 * 1024 / 3);
    let body = json!({"soul": "x:1", "data": {"text": "x".repeat(41 << 20)}}).to_string();
    let refused = answer(relay.http.post(relay.url("/put")).body(body)).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    assert_eq!(relay.node_at("x:1").await, None);
}
