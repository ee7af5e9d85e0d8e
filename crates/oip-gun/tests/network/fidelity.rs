//! What was published is what another node indexes, for every JSON value.

use serde_json::{Map, Value, json};

use crate::journey::{ARRIVAL, Published, arrives, node, publish};

fn hard_cases() -> Vec<Value> {
    let planes: String = (0..=16_u32)
        .filter_map(|plane| char::from_u32(plane * 0x1_0000 + 0x1F3))
        .collect();
    let controls: String = (0..0x20_u32).filter_map(char::from_u32).collect();
    let mut keys = Map::new();
    for key in [
        "a.b",
        "a/b",
        "~tilde",
        "~0~1",
        "",
        " ",
        "ключ",
        "😀",
        "#",
        ">",
        "_",
        "__proto__",
        "constructor",
        "0",
        "10",
        "9",
    ] {
        keys.insert(key.to_owned(), json!([key, {"nested": [key]}]));
    }
    vec![
        json!({"basic": {"name": "messages that are JSON"}, "conversationSession": {
            "messages": ["[\"February\",\"March\"]", "[1,2]", "{\"a\":1}", "[]", "[not json", " [1]", "\"quoted\""],
            "device_info": "{\"os\":\"linux\"}", "looks": "[1,2,3]", "empty_look": "[]"}}),
        json!({"basic": {"name": "empty things", "tagItems": [], "o": {}, "s": "", "n": null}, "post": {}}),
        json!({"basic": {"name": "deep"}, "post": {"x": [[], [[]], [{}], [{"k": [1, [2, {"l": []}]]}], null, true, false]}}),
        json!({"basic": {"name": "numbers"}, "post": {"n": [0.0, 1.5, -1.5, 1e21, 1e-7, 5e-324, 2.2250738585072014e-308,
            1.797_693_134_862_315_7e308, 9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64, 0.1, 123456789.12345679],
            "one": 0.1, "edge": 5e-324}}),
        json!({"basic": {"name": planes, "controls": controls, "list": ["\u{2028}\u{2029}", "\u{feff}", "\u{fffd}", "\u{10ffff}"]}, "post": {}}),
        json!({"basic": {"name": "keys"}, "post": {"deep": Value::Object(keys.clone()), "list": [Value::Object(keys)]}}),
    ]
}

#[tokio::test]
async fn every_json_value_arrives_as_it_was_published() {
    let b = node("b", "").await;
    let a = node("a", b.relay()).await;
    for (number, data) in hard_cases().into_iter().enumerate() {
        let record = publish(&a, "post", &format!("hard-{number}"), &data).await;
        arrives(&b, &record).await;
        arrives(&a, &record).await;
    }
}

#[tokio::test]
async fn every_json_value_survives_a_gun_js_relay() {
    let Some(interop) = testkit::interop() else {
        return;
    };
    let relay = testkit::GunRelay::start(&interop, testkit::RelayOptions::default())
        .await
        .unwrap();
    let a = node("a", &relay.url()).await;
    let b = node("b", &relay.url()).await;
    let mut cases = hard_cases();
    // One string far above the frames that gun.js parses safely.
    cases.push(json!({"basic": {"name": "large"}, "post": {"articleText": "tide \"table\"\n".repeat(20_000)}}));
    for (number, data) in cases.into_iter().enumerate() {
        let record = publish(&a, "post", &format!("hard-{number}"), &data).await;
        arrives(&b, &record).await;
    }
}

#[tokio::test]
async fn the_largest_records_arrive_by_push_and_by_fetch() {
    let a = node("a", "").await;
    // Nearly the record limit, and the worst text for every encoding on the way.
    let worst =
        json!({"basic": {"name": "worst"}, "post": {"articleText": "\"".repeat(3_900_000)}});
    let mut records = vec![publish(&a, "post", "worst", &worst).await];
    for number in 0..12 {
        let data = json!({"basic": {"name": format!("large {number}")}, "post": {"articleText": "tide ".repeat(200_000)}});
        records.push(publish(&a, "post", &format!("large-{number}"), &data).await);
    }
    // B dials A, so it has to ask for every one of them.
    let b = node("b", a.relay()).await;
    for record in &records {
        is_held(&b, record).await;
    }
    // Now the publisher dials: what it made is told to D without a question.
    let d = node("d", "").await;
    let c = node("c", d.relay()).await;
    let told = publish(&c, "post", "worst", &worst).await;
    is_held(&d, &told).await;
}

/// Waits until the node holds the record; asks by DID, since a page of such records is large.
async fn is_held(node: &testkit::NodeProcess, record: &Published) {
    testkit::wait_until(ARRIVAL, &format!("{} is held", record.did), || async {
        let answer = node
            .get(&format!(
                "/api/records?hideDateReadable=true&did={}",
                record.did
            ))
            .await
            .map_err(|e| e.to_string())?;
        if answer.body["records"][0]["data"] == record.data {
            Ok(())
        } else {
            Err("not there".to_owned())
        }
    })
    .await;
}
