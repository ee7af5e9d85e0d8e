//! `deleteRecord` and the forced sweep.

use oip_node::config::SyncMode;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_record_is_found_no_more_and_answered_in_the_deployed_shape() {
    let api = Api::start().await;
    let did = api.publish("note-1", &post("Short-lived")).await;
    api.node.indexed().await;
    let answer = api.delete(&did).await;
    assert_eq!(
        answer.body,
        json!({
            "success": true,
            "message": "Record deleted successfully",
            "did": did,
            "deletedCount": 1,
            "recordStatus": "deleted",
            "blockchainDeletion": false,
            "propagationNote": "the signed tombstone reaches every node that holds the record as soon as it is connected"
        })
    );
    let page = api.get(&format!("/api/records?did={did}")).await;
    assert_eq!(page.body["records"], json!([]));
    api.node.indexed().await;
    let page = api.get("/api/records?search=lived").await;
    assert_eq!(page.body["records"], json!([]));

    let again = api.delete(&did).await;
    assert_eq!(
        again.refusal(),
        (
            404,
            "unknown-record",
            format!("no record {did} is known here").as_str()
        )
    );

    let revived = api.publish("note-1", &post("Back")).await;
    assert_eq!(revived, did);
    let page = api.get(&format!("/api/records?did={did}")).await;
    assert_eq!(page.text("/records/0/data/basic/name"), "Back");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_refused_with_reason_and_cure() {
    let api = Api::start().await;
    let form = "send {\"delete\": {\"did\": \"did:gun:…\"}}";
    let cases = [
        ("", "bad-request", "EOF while parsing a value"),
        ("{}", "bad-request", "missing field `delete`"),
        (r#"{"delete":{}}"#, "bad-request", "missing field `did`"),
        (
            r#"{"delete":{"did":5}}"#,
            "bad-request",
            "invalid type: integer `5`",
        ),
        (
            r#"{"delete":{"did":"did:gun:a","all":true}}"#,
            "bad-request",
            "unknown field `all`, expected `did`",
        ),
    ];
    for (body, reason, part) in cases {
        let answer = api.post("/api/records/deleteRecord", body).await;
        let (status, found, message) = answer.refusal();
        assert_eq!((status, found), (400, reason), "{body}");
        assert!(
            message.contains(part) && message.ends_with(form),
            "{message}"
        );
    }
    let answer = api.delete("5b1fd0c7a9e2:note").await;
    assert_eq!(
        answer.refusal(),
        (
            400,
            "did-not-gun",
            "`5b1fd0c7a9e2:note` is not the DID of a GUN record: write `did:gun:<soul>`"
        )
    );
    let answer = api.delete("did:gun:5b1fd0c7a9e2:note").await;
    assert_eq!(answer.refusal().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_sweep_tells_what_it_did() {
    let api = Api::start().await;
    let answer = api.post("/api/health/gun-sync/force", "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.text("/message"), "Sync cycle completed");
    assert!(answer.text("/timestamp").ends_with('Z'));
    assert!(answer.body["sweep"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_sweep_on_a_node_without_sync_names_the_setting() {
    let api = Api::start_with(LocalWriting::Open, |config| {
        config.sync.mode = SyncMode::Off;
    })
    .await;
    let answer = api.post("/api/health/gun-sync/force", "").await;
    assert_eq!(
        answer.refusal(),
        (
            503,
            "sync-off",
            "sync is switched off: start the node with GUN_SYNC_ENABLED=true"
        )
    );
}
