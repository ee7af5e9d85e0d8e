//! `GET /api/records`, `recordTypes`, health and metrics.

use super::*;

/// A node with three posts in its index.
async fn stocked() -> (Api, Vec<String>) {
    let api = Api::start().await;
    let mut dids = Vec::new();
    for (local_id, name) in [
        ("a", "Tidal gauge"),
        ("b", "Harbour wall"),
        ("c", "Gauge hut"),
    ] {
        dids.push(api.publish(local_id, &post(name)).await);
    }
    api.node.indexed().await;
    (api, dids)
}

fn names(answer: &Answer) -> Vec<&str> {
    let records = answer.body["records"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.body));
    records
        .iter()
        .map(|record| record["data"]["basic"]["name"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_deployed_shape() {
    let (api, _) = stocked().await;
    let request = Request::get("/api/records?search=gauge&limit=1&page=2&tags=")
        .header(header::HOST, HOST)
        .header(header::COOKIE, "session=secret")
        .body(Body::empty())
        .unwrap();
    let mut answer = api.call(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.body["records"] = json!(names(&answer).len());
    assert_eq!(
        answer.body,
        json!({
            "message": "Records retrieved successfully",
            "latestArweaveBlockInDB": null,
            "indexingProgress": null,
            "totalRecords": 3,
            "pageSize": 1,
            "currentPage": 2,
            "searchResults": 2,
            "queryParams": {"search": "gauge", "limit": "1", "page": "2"},
            "totalPages": 2,
            "records": 1,
            "auth": {"authenticated": false, "user": null}
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_sort_and_pages_do_what_they_say() {
    let (api, dids) = stocked().await;
    let creator = api.node.creator().did_address.clone();
    let by_creator = format!("creator_did_address={creator}&sortBy=name:asc");
    let by_did = format!("did={}", dids[1]);
    let by_older_name = format!("didTx={}&recordType=post&storage=gun", dids[1]);
    let other_type = format!("did={}&recordType=recipe", dids[1]);
    let did_and_text = format!("did={}&search=wall", dids[1]);
    let did_and_other_text = format!("did={}&search=gauge", dids[1]);
    let past_the_end = format!("did={}&page=2", dids[1]);
    let all = ["Gauge hut", "Harbour wall", "Tidal gauge"];
    let cases: [(&str, &[&str]); 18] = [
        ("sortBy=name:asc", &all),
        ("sortBy=name:desc&limit=2", &["Tidal gauge", "Harbour wall"]),
        ("sortBy=name:desc&limit=2&page=2", &["Gauge hut"]),
        (
            "sortBy=inArweaveBlock:asc",
            &["Tidal gauge", "Harbour wall", "Gauge hut"],
        ),
        ("search=wall", &["Harbour wall"]),
        ("search=gauge+hut", &["Gauge hut"]),
        ("search=gauge+wall&searchMatchMode=OR&sortBy=name:asc", &all),
        (
            "search=gauge&searchMatchMode=and&tags=tide&sortBy=name:asc",
            &["Gauge hut", "Tidal gauge"],
        ),
        ("tags=tide,nothing&tagsMatchMode=AND", &[]),
        ("recordType=post&storage=all&sortBy=name:asc", &all),
        ("recordType=recipe", &[]),
        ("storage=arweave", &[]),
        (&by_creator, &all),
        (&by_did, &["Harbour wall"]),
        (&by_older_name, &["Harbour wall"]),
        (&other_type, &[]),
        (&did_and_text, &["Harbour wall"]),
        (&did_and_other_text, &[]),
    ];
    for (query, expected) in cases {
        let answer = api.get(&format!("/api/records?{query}")).await;
        assert_eq!(names(&answer), expected, "{query}");
    }
    let answer = api.get(&format!("/api/records?{past_the_end}")).await;
    assert_eq!(answer.body["searchResults"], json!(1));
    assert_eq!(names(&answer), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_record_is_an_empty_page_at_once() {
    let api = Api::start().await;
    let answer = api
        .get("/api/records?did=did:gun:5b1fd0c7a9e2:nothing")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["searchResults"], json!(0));
    assert_eq!(answer.body["records"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_refused_with_reason_and_cure() {
    let api = Api::start().await;
    let cases = [
        (
            "recordtype=post",
            "unknown-parameter",
            "unknown parameter \"recordtype\": this call knows did, didTx, recordType, creator_did_address, search, searchMatchMode, tags, tagsMatchMode, storage, sortBy, limit, page",
        ),
        (
            "limit=2&limit=3",
            "repeated-parameter",
            "the parameter limit is given twice: give it once",
        ),
        (
            "did=did:arweave:abc",
            "did-not-gun",
            "`did:arweave:abc` is not the DID of a GUN record: write `did:gun:<soul>`",
        ),
        (
            "did=did:gun:a&didTx=did:gun:b",
            "contradiction",
            "did and didTx name two records: give one of them",
        ),
        (
            "limit=0",
            "bad-parameter",
            "limit is \"0\": give a whole number from 1 to 1000",
        ),
        (
            "limit=1001",
            "bad-parameter",
            "limit is \"1001\": give a whole number from 1 to 1000",
        ),
        (
            "limit=many",
            "bad-parameter",
            "limit is \"many\": give a whole number from 1 to 1000",
        ),
        (
            "page=0",
            "bad-parameter",
            "page is \"0\": give a whole number from 1 to 100000",
        ),
        (
            "page=100000",
            "query-too-large",
            "offset plus limit is 2000000, at most 100000 is allowed; narrow the query instead",
        ),
        (
            "sortBy=colour:asc",
            "bad-parameter",
            "sortBy is \"colour:asc\": give field:asc or field:desc, where field is indexedAt, date, recordType, name, did or score",
        ),
        (
            "sortBy=date:up",
            "bad-parameter",
            "sortBy is \"date:up\": give field:asc or field:desc, where field is indexedAt, date, recordType, name, did or score",
        ),
        (
            "searchMatchMode=XOR",
            "bad-parameter",
            "searchMatchMode is \"XOR\": give AND or OR",
        ),
        (
            "storage=did:gun",
            "bad-parameter",
            "storage is \"did:gun\": give all, or the method of the DIDs, such as gun",
        ),
    ];
    for (query, reason, message) in cases {
        let answer = api.get(&format!("/api/records?{query}")).await;
        assert_eq!(answer.refusal(), (400, reason, message), "{query}");
    }
    let answer = api.get("/api/records?did=did:gun:").await;
    assert_eq!(answer.refusal().1, "did-soul");
    let answer = api.get("/api/records/recordTypes?limit=1").await;
    assert_eq!(
        answer.refusal(),
        (
            400,
            "unknown-parameter",
            "unknown parameter \"limit\": this call takes no parameters"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn record_types_are_counted() {
    let (api, _) = stocked().await;
    let answer = api.get("/api/records/recordTypes").await;
    assert_eq!(
        answer.body,
        json!({"recordTypes": [{"type": "post", "count": 3}], "totalRecords": 3})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_has_the_deployed_shape() {
    let (api, _) = stocked().await;
    let alive = api.get("/api/health").await;
    assert_eq!(alive.body, json!({"status": "OK"}));

    let answer = api.get("/api/health/gun-sync").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text("/service"), "gun-sync");
    assert_eq!(answer.text("/status"), "healthy");
    assert_eq!(answer.text("/nodeId"), api.node.node_id());
    assert_eq!(answer.text("/registry/nodeId"), api.node.node_id());
    assert_eq!(answer.text("/registry/registryRoot"), "oip:registry");
    assert_eq!(answer.body["running"], json!(true));
    for (part, names) in [
        (
            "metrics",
            &[
                "totalDiscovered",
                "totalSynced",
                "totalErrors",
                "successRate",
                "lastSyncTime",
                "lastSyncAgo",
                "averageSyncTime",
                "syncCycles",
            ][..],
        ),
        (
            "configuration",
            &[
                "privateRecordsEnabled",
                "trustedNodes",
                "cacheMaxAge",
                "cacheMaxAgeMinutes",
            ],
        ),
        ("registry", &["totalRecordsRegistered", "recordsByType"]),
    ] {
        for name in names {
            assert!(
                answer.body[part].get(name).is_some(),
                "{part}.{name} is missing"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_open_metrics_text() {
    let api = Api::start().await;
    let answer = api.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = answer.body.as_str().unwrap();
    assert!(text.trim_end().ends_with("# EOF"), "{text}");
}
