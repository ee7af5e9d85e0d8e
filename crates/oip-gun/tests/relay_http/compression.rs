//! Answers of both ports as clients that take compressed ones get them.

use std::io::Read;

use serde_json::{Value, json};
use testkit::{NodeOptions, interop};
use tokio::process::Command;

use crate::support::{PATIENCE, Relay};

/// A node with some records, and a node of the graph that is long.
async fn stocked() -> Relay {
    let relay = Relay::start(
        NodeOptions::named("compressing")
            .env("OIP_GUN_RELAY_ADMISSION", "open")
            .env("GUN_SYNC_ENABLED", "false"),
    )
    .await;
    for number in 0..20 {
        let record = json!({"basic": {"name": format!("Tidal gauge {number}"), "description": "High water at six. ".repeat(20)}});
        let path = format!("/api/records/newRecord?recordType=post&localId=gauge-{number}");
        assert_eq!(relay.node.post(&path, &record).await.unwrap().status, 200);
    }
    relay
        .put("x:long", json!({"text": "Slack water. ".repeat(2_000)}))
        .await;
    testkit::wait_until(PATIENCE, "all are indexed", || async {
        let answer = relay.node.get("/api/records").await.unwrap();
        match answer.body["searchResults"] == json!(20) {
            true => Ok(()),
            false => Err(answer.body.to_string()),
        }
    })
    .await;
    relay
}

/// What an answer said of its encoding, and its bytes as they came.
async fn ask(relay: &Relay, url: &str, headers: &[(&str, &str)]) -> (Option<String>, Vec<u8>) {
    let request = headers
        .iter()
        .fold(relay.http.get(url), |request, (name, value)| {
            request.header(*name, *value)
        });
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    let encoding = response.headers().get("content-encoding");
    let encoding = encoding.map(|value| value.to_str().unwrap().to_owned());
    (encoding, response.bytes().await.unwrap().to_vec())
}

fn decoded(encoding: Option<&str>, bytes: &[u8]) -> Value {
    let mut text = String::new();
    match encoding {
        Some("gzip") => drop(
            flate2::read::GzDecoder::new(bytes)
                .read_to_string(&mut text)
                .unwrap(),
        ),
        Some("br") => drop(
            brotli::Decompressor::new(bytes, 4_096)
                .read_to_string(&mut text)
                .unwrap(),
        ),
        None => text = String::from_utf8(bytes.to_vec()).unwrap(),
        Some(other) => panic!("{other}"),
    }
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_accepts_it_and_hold_the_same() {
    let relay = stocked().await;
    let urls = [
        format!("{}/api/records?sortBy=did:asc", relay.node.api()),
        format!("{}/gun-relay/get?soul=x:long", relay.node.api()),
        relay.url("/get?soul=x:long"),
    ];
    for url in &urls {
        let (none, plain) = ask(&relay, url, &[]).await;
        assert_eq!(none, None);
        let expected = decoded(None, &plain);
        for (accepted, encoding) in [
            ("gzip", "gzip"),
            ("br", "br"),
            ("gzip, deflate, br", "br"),
            ("gzip;q=1, br;q=0.5", "gzip"),
        ] {
            let (told, bytes) = ask(&relay, url, &[("accept-encoding", accepted)]).await;
            assert_eq!(told.as_deref(), Some(encoding), "{url} {accepted}");
            assert!(
                bytes.len() * 2 < plain.len(),
                "{url}: {} of {}",
                bytes.len(),
                plain.len()
            );
            assert_eq!(
                decoded(Some(encoding), &bytes),
                expected,
                "{url} {accepted}"
            );
        }
        for accepted in ["identity", "zstd", "gzip;q=0"] {
            let (told, bytes) = ask(&relay, url, &[("accept-encoding", accepted)]).await;
            assert_eq!((told, bytes.len()), (None, plain.len()), "{url} {accepted}");
        }
    }
    // A short one goes in one packet either way.
    let short = format!("{}/api/health", relay.node.api());
    let (told, _) = ask(&relay, &short, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(told, None);
}

#[tokio::test]
async fn what_may_hold_private_records_is_never_compressed_and_what_is_public_always() {
    let relay = stocked().await;
    let token = format!("Bearer {}", relay.node.admin_token().unwrap());
    let url = format!("{}/api/records", relay.node.api());
    let accepted = ("accept-encoding", "gzip, br");
    for credentials in [
        ("authorization", token.as_str()),
        ("authorization", "Bearer wrong"),
        ("cookie", "session=1"),
    ] {
        // Every record on the page is for everyone; counts of values may be those of others.
        let (told, bytes) = ask(&relay, &url, &[accepted, credentials]).await;
        assert_eq!(told.as_deref(), Some("br"), "{credentials:?}");
        assert_eq!(decoded(Some("br"), &bytes)["searchResults"], json!(20));
        for more in ["facets=tag", "summarizeTags=true", "resolveDepth=1"] {
            let (told, _) = ask(&relay, &format!("{url}?{more}"), &[accepted, credentials]).await;
            assert_eq!(told, None, "{more} {credentials:?}");
        }
        let description = format!("{}/api/openapi.json", relay.node.api());
        let (told, _) = ask(&relay, &description, &[accepted, credentials]).await;
        assert_eq!(told.as_deref(), Some("br"), "{credentials:?}");
    }
    // One private record among them: whoever sees it, sees the page as it is.
    let private =
        json!({"basic": {"name": "Secret"}, "accessControl": {"access_level": "private"}});
    let path = "/api/records/newRecord?recordType=post&localId=secret";
    let url_of_it = format!("{}{path}", relay.node.api());
    let published = relay.http.post(&url_of_it).json(&private);
    let published = published.header("authorization", &token).send().await;
    assert_eq!(published.unwrap().status(), 200);
    let operator = ("authorization", token.as_str());
    let told = testkit::wait_until(PATIENCE, "the operator sees it", || async {
        let (told, bytes) = ask(&relay, &url, &[accepted, operator]).await;
        let body = decoded(told.as_deref(), &bytes);
        match body["searchResults"] == json!(21) {
            true => Ok(told),
            false => Err(body.to_string()),
        }
    })
    .await;
    assert_eq!(told, None);
    let (told, bytes) = ask(&relay, &url, &[accepted]).await;
    assert_eq!(decoded(told.as_deref(), &bytes)["searchResults"], json!(20));
    assert_eq!(told.as_deref(), Some("br"));
    // A backup of private records, as little.
    let backup = format!("{}/api/backup", relay.node.api());
    let (told, bytes) = ask(&relay, &backup, &[accepted, operator]).await;
    assert_eq!(told, None);
    assert!(bytes.starts_with(b"{\"oipGunBackup\":"));
}

#[tokio::test]
async fn javascript_and_curl_read_compressed_answers() {
    if interop().is_none() {
        return;
    }
    let relay = stocked().await;
    let url = format!("{}/api/records", relay.node.api());
    let script = "const a = await fetch(process.argv[1], {headers: {'accept-encoding': process.argv[2]}}); \
        console.log(JSON.stringify([a.headers.get('content-encoding'), (await a.json()).searchResults]))";
    for encoding in ["gzip", "br"] {
        let mut node = Command::new("node");
        node.args(["--input-type=module", "-e", script, &url, encoding]);
        let output = tokio::time::timeout(PATIENCE, node.output())
            .await
            .unwrap()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let told: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
        assert_eq!(told, json!([encoding, 20]));
    }
}
