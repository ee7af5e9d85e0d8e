//! `newRecord`: what is taken, and every refusal with its message.

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use oip_node::config::PrivacyDefault;
use oip_record::limits::DATA_BYTES_MAX;
use serde_json::json;

use super::super::state::BODY_BYTES_MAX;
use super::*;

const PATH: &str = "/api/records/newRecord?recordType=post";

#[tokio::test(flavor = "multi_thread")]
async fn a_published_record_is_answered_in_the_deployed_shape_and_found_at_once() {
    let api = Api::start().await;
    let record = post("Tidal gauge");
    let path = "/api/records/newRecord?recordType=post&localId=note-1&storage=gun";
    let answer = api.post(path, record.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let did = answer.text("/did").to_owned();
    assert!(
        did.starts_with("did:gun:") && did.ends_with(":note-1"),
        "{did}"
    );
    assert_eq!(answer.text("/storage"), "gun");
    assert_eq!(format!("did:gun:{}", answer.text("/soul")), did);
    assert_eq!(answer.body["encrypted"], json!(false));
    assert_eq!(answer.body["recordToIndex"]["data"], record);
    assert_eq!(answer.text("/recordToIndex/oip/recordType"), "post");

    let page = api
        .get(&format!("/api/records?hideDateReadable=true&did={did}"))
        .await;
    assert_eq!(page.body["records"][0]["data"], record);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_local_id_again_is_an_edit_of_the_same_did() {
    let api = Api::start().await;
    let first = api.publish("note-1", &post("First")).await;
    let second = api.publish("note-1", &post("Second")).await;
    assert_eq!(first, second);
    let page = api.get(&format!("/api/records?did={first}")).await;
    assert_eq!(page.text("/records/0/data/basic/name"), "Second");
    assert_eq!(page.body["searchResults"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_parameters_in_the_body_are_taken_and_not_stored() {
    let api = Api::start().await;
    let mut record = post("From a deployed client");
    record["storage"] = json!("gun");
    record["blockchain"] = json!("arweave");
    record["localId"] = json!("in-body");
    let answer = api.post(PATH, record.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.text("/did").ends_with(":in-body"));
    let stored = &answer.body["recordToIndex"]["data"];
    assert_eq!(stored, &post("From a deployed client"));

    // An object under such a name is a template like any other.
    let mut record = post("With a template");
    record["storage"] = json!({"shelf": 3});
    let answer = api.post(PATH, record.to_string()).await;
    assert_eq!(
        answer.body["recordToIndex"]["data"]["storage"]["shelf"],
        json!(3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_refused_with_reason_and_cure() {
    let api = Api::start().await;
    let body = r#"{"basic":{"name":"x"},"post":{}}"#;
    let cases = [
        (
            "",
            body,
            "record-type-missing",
            "recordType is missing: name the record's type in the query, as in ?recordType=post",
        ),
        (
            "?recordType=",
            body,
            "record-type-missing",
            "recordType is missing: name the record's type in the query, as in ?recordType=post",
        ),
        (
            "?recordType=post&recordtype=post",
            body,
            "unknown-parameter",
            "unknown parameter \"recordtype\": this call knows recordType, localId, storage, blockchain, accessControl",
        ),
        (
            "?recordType=post&recordType=text",
            body,
            "repeated-parameter",
            "the parameter recordType is given twice: give it once",
        ),
        (
            "?recordType=no+type",
            body,
            "bad-record-type",
            "the record type `no type` is refused: use up to 64 letters, digits, `_` or `-`",
        ),
        (
            "?recordType=post&storage=arweave",
            body,
            "storage-unsupported",
            "storage \"arweave\" is not supported: this node publishes to gun; give storage=gun or leave it out",
        ),
        (
            "?recordType=post&blockchain=arweave",
            body,
            "storage-unsupported",
            "blockchain \"arweave\" asks for a storage that is not supported: this node publishes to gun; give storage=gun, or leave blockchain out",
        ),
        (
            "?recordType=post",
            r#"{"basic":{},"storage":"irys"}"#,
            "storage-unsupported",
            "storage \"irys\" is not supported: this node publishes to gun; give storage=gun or leave it out",
        ),
        (
            "?recordType=post&storage=gun",
            r#"{"basic":{},"storage":"irys"}"#,
            "contradiction",
            "storage is \"gun\" in the query and \"irys\" in the body: give it once",
        ),
        (
            "?recordType=post&localId=a",
            r#"{"basic":{},"localId":"b"}"#,
            "contradiction",
            "localId is \"a\" in the query and \"b\" in the body: give it once",
        ),
    ];
    for (query, body, reason, message) in cases {
        let path = format!("/api/records/newRecord{query}");
        let answer = api.post(&path, body).await;
        assert_eq!(answer.refusal(), (400, reason, message), "{query} {body}");
    }
    let everything = api.get("/api/records").await;
    assert_eq!(everything.body["totalRecords"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_refused_with_reason_and_cure() {
    let api = Api::start().await;
    let cases = [
        (
            "",
            "body-missing",
            "the body is empty: send the record as JSON, such as {\"basic\": {\"name\": \"…\"}}",
        ),
        (
            "{\n  \"basic\": {\"name\": \"x\"},\n  oops\n}",
            "not-json",
            "the text is not JSON: key must be a string at line 3 column 3",
        ),
        (
            "{\"basic\": {\"name\": \"x\"",
            "not-json",
            "the text is not JSON: EOF while parsing an object at line 1 column 22",
        ),
        (
            r#"[{"basic":{"name":"x"}}]"#,
            "top-level-array",
            "the record is an array: send one object such as {\"basic\": {...}} per record",
        ),
        (
            "\"text\"",
            "not-an-object",
            "the record is not an object: send an object such as {\"basic\": {...}}",
        ),
        (
            "{}",
            "no-template",
            "the record has no template: send an object such as {\"basic\": {...}}",
        ),
        (
            r#"{"storage":"gun","localId":"a"}"#,
            "no-template",
            "the record has no template: send an object such as {\"basic\": {...}}",
        ),
        (
            r#"{"basic":{},"localId":5}"#,
            "template-not-an-object",
            "the template `localId` is not an object: send {\"localId\": {...}}",
        ),
        (
            r#"{"basic":{"n":9007199254740993}}"#,
            "inexact-number",
            "the number 9007199254740993 can't be held exactly by a 64-bit float: send it as a string",
        ),
        (
            r#"{"basic":{"n":1,"n":2}}"#,
            "duplicate-member",
            "the member `n` stands twice in one object: remove one",
        ),
    ];
    for (body, reason, message) in cases {
        let answer = api.post(PATH, body).await;
        assert_eq!(answer.refusal(), (400, reason, message), "{body}");
    }
    let broken_text = Bytes::from_static(b"{\"basic\":{\"name\":\"\xff\"}}");
    let answer = api.post(PATH, broken_text).await;
    assert_eq!(
        answer.refusal(),
        (
            400,
            "not-json",
            "the body is not UTF-8 text: the byte at 18 begins no character"
        )
    );
    let everything = api.get("/api/records").await;
    assert_eq!(everything.body["totalRecords"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_a_record_that_asks_for_privacy_is_refused_and_leaves_nothing() {
    let api = Api::start().await;
    let cases = [
        (
            "",
            json!({"basic": {}, "accessControl": {"access_level": "private"}}),
        ),
        (
            "",
            json!({"basic": {}, "accessControl": {"access_level": "shared"}}),
        ),
        ("", json!({"basic": {}, "accessControl": {"private": true}})),
        (
            "",
            json!({"basic": {}, "conversationSession": {"is_private": true}}),
        ),
        ("&accessControl=private", json!({"basic": {}})),
        (
            "&accessControl=%7B%22access_level%22%3A%22organization%22%7D",
            json!({"basic": {}}),
        ),
    ];
    for (query, record) in cases {
        let path = format!("{PATH}&localId=secret{query}");
        let answer = api.post(&path, record.to_string()).await;
        let (status, reason, message) = answer.refusal();
        assert_eq!((status, reason), (401, "token-missing"), "{query} {record}");
        assert!(message.contains("send the admin token"), "{message}");
    }
    let everything = api.get("/api/records").await;
    assert_eq!(everything.body["totalRecords"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_node_whose_default_is_private_what_says_nothing_needs_a_token() {
    let api = Api::start_with(LocalWriting::Open, |config| {
        config.privacy_default = PrivacyDefault::Private;
    })
    .await;
    let answer = api.post(PATH, post("No word on access").to_string()).await;
    assert_eq!(answer.refusal().1, "token-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let api = Api::start().await;
    let message = "the body is larger than 8 MiB, the most that a record may have: split it, or publish large content as media";
    let long = vec![b' '; BODY_BYTES_MAX + 1];
    let answer = api.post(PATH, long.clone()).await;
    assert_eq!(answer.refusal(), (413, "too-large", message));

    // Announced only: nothing is read.
    let request = Request::post(PATH)
        .header(header::HOST, HOST)
        .header(header::CONTENT_LENGTH, u64::MAX.to_string())
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        api.call(request).await.refusal(),
        (413, "too-large", message)
    );

    // In chunks of unknown total size.
    let chunks = futures_util::stream::iter(
        long.chunks(1024 * 1024)
            .map(|chunk| Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(chunk)))
            .collect::<Vec<_>>(),
    );
    let answer = api.post(PATH, Body::from_stream(chunks)).await;
    assert_eq!(answer.refusal(), (413, "too-large", message));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_just_within_the_limit_is_taken_and_shown_whole() {
    let api = Api::start().await;
    let frame = r#"{"basic":{"name":"Long"},"post":{"articleText":""}}"#;
    let text = "x".repeat(DATA_BYTES_MAX - frame.len());
    let record = json!({"basic": {"name": "Long"}, "post": {"articleText": text}});
    let body = record.to_string();
    assert_eq!(body.len(), DATA_BYTES_MAX);
    let answer = api.post(&format!("{PATH}&localId=long"), body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let did = answer.text("/did").to_owned();
    let page = api.get(&format!("/api/records?did={did}")).await;
    assert!(page.body["records"][0]["data"] == record, "shown otherwise");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_the_limit_in_a_body_within_it_is_refused() {
    let api = Api::start().await;
    let name = "x".repeat(DATA_BYTES_MAX);
    let body = format!(r#"{{"basic":{{"name":"{name}"}}}}"#);
    assert!(body.len() <= BODY_BYTES_MAX);
    let answer = api.post(PATH, body).await;
    let (status, reason, message) = answer.refusal();
    assert_eq!((status, reason), (413, "too-large"));
    assert!(
        message.starts_with("the record is larger than 8 MiB"),
        "{message}"
    );
}
