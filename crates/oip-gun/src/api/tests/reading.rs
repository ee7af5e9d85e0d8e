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
    let cases: [(&str, &[&str]); 21] = [
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
        // With a slip, as on deployed nodes.
        (
            "search=guage&sortBy=name:asc",
            &["Gauge hut", "Tidal gauge"],
        ),
        ("search=harbuor+wall", &["Harbour wall"]),
        ("search=qqqqq", &[]),
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
async fn what_is_written_exactly_comes_before_what_fits_with_a_slip() {
    let api = Api::start().await;
    for name in ["Barely there", "Barley soup", "Barley", "Bareley"] {
        api.publish(&name.replace(' ', "-"), &post(name)).await;
    }
    api.node.indexed().await;
    let answer = api.get("/api/records?search=barley").await;
    let found = names(&answer);
    assert_eq!(found.len(), 4);
    assert!(
        found[..2].iter().all(|name| name.starts_with("Barley")),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_beyond_the_most_counts_as_the_most() {
    let (api, _) = stocked().await;
    for limit in ["1001", "10000", "1000000000"] {
        let answer = api.get(&format!("/api/records?limit={limit}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["pageSize"], json!(1_000));
        assert_eq!(names(&answer).len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_condition_is_part_of_the_query() {
    let (api, _) = stocked().await;
    let all = ["Gauge hut", "Harbour wall", "Tidal gauge"];
    let cases: [(&str, &[&str]); 17] = [
        ("q=gauge+NOT+hut", &["Tidal gauge"]),
        ("q=%22gauge+hut%22+OR+wal*", &["Gauge hut", "Harbour wall"]),
        ("q=guage~", &["Gauge hut", "Tidal gauge"]),
        ("q=name:harbour", &["Harbour wall"]),
        ("q=name:=%22Harbour+wall%22", &["Harbour wall"]),
        ("q=type:=recipe", &[]),
        ("q=gauge&search=hut", &["Gauge hut"]),
        ("search=gauge+OR+hut", &[]),
        ("template=basic", &all),
        ("template=recipe", &[]),
        ("dateStart=1768730400&dateEnd=1768730400", &all),
        ("dateStart=1768730401", &[]),
        (
            "fieldSearch=gau&fieldName=basic.name",
            &["Gauge hut", "Tidal gauge"],
        ),
        (
            "fieldSearch=Gauge+hut&fieldName=name,post.webUrl&fieldMatchMode=exact",
            &["Gauge hut"],
        ),
        (
            "fieldSearch=gauge+hut&fieldName=name&fieldMatchMode=exact",
            &[],
        ),
        (
            "exactMatch={%22basic.name%22:[%22Gauge+hut%22,%22x%22],%22oip.recordType%22:%22post%22}",
            &["Gauge hut"],
        ),
        ("creatorHandle=nobody", &[]),
    ];
    for (query, expected) in cases {
        let answer = api
            .get(&format!("/api/records?sortBy=name:asc&{query}"))
            .await;
        assert_eq!(names(&answer), expected, "{query}");
        assert_eq!(
            answer.body["searchResults"],
            json!(expected.len()),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_facets_and_highlights_are_given_where_they_are_asked_for() {
    let (api, dids) = stocked().await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = api
            .get(&format!("/api/records?limit=1&sortBy=name:asc{cursor}"))
            .await;
        assert_eq!(answer.body["searchResults"], json!(3));
        seen.extend(names(&answer).into_iter().map(str::to_owned));
        match answer.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["Gauge hut", "Harbour wall", "Tidal gauge"]);
    let other = api
        .get(&format!("/api/records?sortBy=name:desc{cursor}"))
        .await;
    assert_eq!(other.refusal().1, "bad-cursor");

    let answer = api
        .get(
            "/api/records?q=gauge&facets=type,tag,node&highlight=basic.name&limit=1&sortBy=did:asc",
        )
        .await;
    assert_eq!(
        answer.body["facets"],
        json!({
            "type": [{"value": "post", "count": 2}],
            "tag": [{"value": "harbour", "count": 2}, {"value": "tide", "count": 2}],
            "node": [{"value": api.node.node_id(), "count": 2}],
        })
    );
    let highlights = &answer.body["highlights"];
    assert_eq!(highlights.as_array().unwrap().len(), 1);
    assert!(dids.iter().any(|did| highlights[0]["did"] == json!(did)));
    let marked = highlights[0]["fields"]["data.basic.name"][0]
        .as_str()
        .unwrap();
    assert!(
        ["Tidal <em>gauge</em>", "<em>Gauge</em> hut"].contains(&marked),
        "{marked}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn highlights_are_safe_to_show() {
    let api = Api::start().await;
    api.publish("x", &post("<b>bold</b> & \"quoted\"")).await;
    api.node.indexed().await;
    let answer = api.get("/api/records?q=bold&highlight=name").await;
    assert_eq!(
        answer.body["highlights"][0]["fields"]["data.basic.name"],
        json!(["&lt;b&gt;<em>bold</em>&lt;/b&gt; &amp; &quot;quoted&quot;"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_rebuilt_and_compared_on_request() {
    let (api, _) = stocked().await;
    let compared = api.post("/api/index/verify", "").await;
    assert_eq!(compared.body["agrees"], json!(true), "{}", compared.body);
    assert_eq!(compared.body["types"][0]["stored"], json!(3));
    assert_eq!(
        compared.body["types"][0]["storeDigest"],
        compared.body["types"][0]["indexDigest"]
    );
    let begun = api.post("/api/index/rebuild", "").await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    loop {
        let status = api.get("/api/index").await;
        assert_eq!(status.body["backend"], json!("embedded"));
        if status.body["rebuildsFinished"] == json!(1) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answer = api.get("/api/records?search=gauge").await;
    assert_eq!(answer.body["searchResults"], json!(2));
    let empty = api.get("/api/quarantine?kind=index").await;
    assert_eq!(empty.body, json!({"records": []}));
    let replayed = api.post("/api/quarantine/replay", "").await;
    assert_eq!(
        replayed.body,
        json!({"index": {"tried": 0, "taken": 0}, "records": 0})
    );
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
            "unknown parameter \"recordtype\": write recordType",
        ),
        (
            "limit=2&limit=3",
            "repeated-parameter",
            "the parameter limit is given twice: give it once",
        ),
        (
            "did=arweave:abc",
            "did-not-gun",
            "`arweave:abc` is not the DID of a GUN record: write `did:gun:<soul>`",
        ),
        (
            "did=did:gun:a&didTx=did:gun:b",
            "contradiction",
            "did and didTx name two records: give one of them",
        ),
        (
            "limit=0",
            "bad-parameter",
            "limit is \"0\": give a whole number from 1 to 1000000000",
        ),
        (
            "limit=many",
            "bad-parameter",
            "limit is \"many\": give a whole number from 1 to 1000000000",
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
            "sortBy is \"colour:asc\": give field:asc or field:desc, where field is indexedAt, date, recordType, name, did, creatorHandle, ver, scheduleDate, score, or any other such as recipe.servings",
        ),
        (
            "sortBy=date:up",
            "bad-parameter",
            "sortBy is \"date:up\": give field:asc or field:desc, where field is indexedAt, date, recordType, name, did, creatorHandle, ver, scheduleDate, score, or any other such as recipe.servings",
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
        (
            "q=gauge+AND+(wall",
            "bad-query",
            "the query is wrong at character 11: this parenthesis is never closed; add ), or write \\( to look for one",
        ),
        (
            "q=date:%3E=soon",
            "bad-query",
            "data.basic.date holds whole numbers, and \"soon\" is none",
        ),
        (
            "q=some.field:%3E5",
            "bad-query",
            "the type of data.some.field is not known, so that its values have no order; describe it in a template file (OIP_TEMPLATES_DIR)",
        ),
        (
            "cursor=nonsense",
            "bad-cursor",
            "the cursor can't be read; begin again without one",
        ),
        (
            "cursor=nonsense&page=2",
            "contradiction",
            "cursor and page both say where to begin: give one of them",
        ),
        (
            "dateStart=soon",
            "bad-parameter",
            "dateStart is \"soon\": give a day such as 2026-01-18, a time such as 2026-01-18T10:00:00Z, or seconds since 1970",
        ),
        (
            "fieldSearch=x",
            "parameter-missing",
            "fieldSearch is given without fieldName: they go together",
        ),
        (
            "fieldSearch=x&fieldName=basic..name",
            "bad-parameter",
            "fieldName: the field \"basic..name\" has an empty name: write names joined by single dots, such as basic.name",
        ),
        (
            "exactMatch=[1]",
            "bad-parameter",
            "exactMatch is \"[1]\": give a JSON object of fields and values, such as {\"oip.ver\":\"0.8.0\"}",
        ),
        (
            "facets=colour",
            "bad-parameter",
            "facets names \"colour\": give type, creator, node or tag, separated by commas",
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
