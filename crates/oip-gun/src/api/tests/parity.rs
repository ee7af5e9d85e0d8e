//! `GET /api/records` with every parameter that deployed nodes know: the rows of `docs/api-parity.md`.

use std::collections::BTreeSet;

use super::*;

/// Publishes a record of a type and gives its DID.
async fn publish(api: &Api, record_type: &str, local_id: &str, data: &Value) -> String {
    let path = format!("/api/records/newRecord?recordType={record_type}&localId={local_id}");
    let answer = api.post(&path, data.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.text("/did").to_owned()
}

/// A kitchen and a gym in the index: what the tests ask for by name.
struct Shelf {
    api: Api,
    barley: String,
    squat: String,
    soup: String,
}

impl Shelf {
    async fn stocked() -> Self {
        let api = Api::start().await;
        let named = |name: &str| json!({"name": name, "date": 1_768_730_400});
        let barley = publish(
            &api,
            "nutritionalInfo",
            "barley",
            &json!({"basic": named("Pearl barley"), "nutritionalInfo": {"standardAmount": 100, "standardUnit": "g", "calories": 123}}),
        )
        .await;
        let squat = publish(
            &api,
            "exercise",
            "squat",
            &json!({"basic": named("Front squat"), "exercise": {"exercise_type": "main", "equipmentRequired": ["barbell", "rack"]}}),
        )
        .await;
        let records = [
            (
                "exercise",
                "march",
                json!({"basic": named("March"), "exercise": {"exercise_type": "Warm-Up", "equipmentRequired": ["dumbbells"]}}),
            ),
            (
                "fitnessEquipment",
                "mat",
                json!({"basic": named("Mat"), "fitnessEquipment": {"kind": "floor"}}),
            ),
            (
                "fitnessEquipment",
                "mat-2",
                json!({"basic": named("Mat"), "fitnessEquipment": {"kind": "thick"}}),
            ),
            (
                "workout",
                "legs",
                json!({"basic": named("Legs"), "workout": {"exercise": [squat, "Plank"]}}),
            ),
            (
                "workout",
                "core",
                json!({"basic": named("Core"), "workout": {"exercise": ["Plank"]}}),
            ),
            (
                "recipe",
                "salad",
                json!({"basic": named("Salad"), "recipe": {"cuisine": "Southern coastal", "ingredient": ["lettuce"]}}),
            ),
            (
                "workoutSchedule",
                "monday",
                json!({"basic": {"name": "Monday"}, "workoutSchedule": {"scheduled_date": 1_768_780_800}}),
            ),
            (
                "mealPlan",
                "tuesday",
                json!({"basic": {"name": "Tuesday"}, "mealPlan": {"meal_date": 1_768_867_200}}),
            ),
            (
                "modelProvider",
                "local",
                json!({"basic": named("Local"), "modelProvider": {"provider_name": "local", "supported_models": "heron-small, heron-large"}}),
            ),
            (
                "conversationSession",
                "talk",
                json!({"basic": named("Talk"), "conversationSession": {"model_name": "gull-2"}}),
            ),
            (
                "notes",
                "stand-up",
                json!({"basic": named("Stand-up"), "notes": {"summary_key_points": ["the tide table is late"], "participant_display_names": ["Isla Fern", "Tam"]}}),
            ),
            (
                "post",
                "song",
                json!({"basic": named("Song"), "post": {"webUrl": "https://songs.example/1", "audioItems": ["did:gun:song"]}}),
            ),
            (
                "deleteMessage",
                "gone",
                json!({"basic": named("Gone"), "deleteMessage": {"didTx": "did:arweave:x"}}),
            ),
        ];
        for (record_type, local_id, data) in &records {
            publish(&api, record_type, local_id, data).await;
        }
        let soup = publish(
            &api,
            "recipe",
            "soup",
            &json!({
                "basic": {"name": "Soup", "date": 1_768_730_400, "avatar": "did:gun:5b1fd0c7a9e2:nowhere", "language": null},
                "recipe": {"cuisine": "Northern coastal", "servings": 2, "ingredient": [barley, "leek"], "ingredient_amount": [0.2, null], "ingredient_unit": ["kg", "whole"]}
            }),
        )
        .await;
        api.node.indexed().await;
        Self {
            api,
            barley,
            squat,
            soup,
        }
    }

    async fn ask(&self, query: &str) -> Value {
        let answer = self.api.get(&format!("/api/records?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        answer.body
    }

    /// The names of what is found, and that they are all there is.
    async fn found(&self, query: &str) -> Vec<String> {
        let body = self.ask(query).await;
        let names: Vec<String> = body["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["data"]["basic"]["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(body["searchResults"], json!(names.len()), "{query}");
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_of_deployed_nodes_is_part_of_the_query() {
    let shelf = Shelf::stocked().await;
    let by_exercise = format!("exerciseDIDs={}", shelf.squat);
    let referring = format!("didTxRef={}", shelf.barley);
    let cases: [(&str, &[&str]); 37] = [
        (&referring, &["Soup"]),
        ("didTxRef=did:gun:5b1fd0c7a9e2:now", &["Soup"]),
        ("didTxRef=did:gun:nothing", &[]),
        ("url=https://songs.example/1", &["Song"]),
        ("url=https://songs.example/", &[]),
        ("hasAudio=true", &["Song"]),
        ("hasAudio=false&recordType=post", &[]),
        ("inArweaveBlock=7", &[]),
        ("inArweaveBlock=bad", &[]),
        ("exerciseNames=squat", &["Legs"]),
        (
            "exerciseNames=plank,front+squat&sortBy=exerciseScore:desc",
            &["Legs", "Core"],
        ),
        ("exerciseNames=nothing", &[]),
        (&by_exercise, &["Legs"]),
        ("ingredientNames=barley", &["Soup"]),
        ("ingredientNames=lettuce", &["Salad"]),
        ("equipmentRequired=barbell,rack", &["Front squat"]),
        ("equipmentRequired=barbell,dumbbells", &[]),
        (
            "equipmentRequired=barbell,dumbbells&equipmentMatchMode=OR&sortBy=name:asc",
            &["Front squat", "March"],
        ),
        ("exerciseType=warmup", &["March"]),
        ("exerciseType=Main", &["Front squat"]),
        (
            "exerciseType=warm-up,main&sortBy=name:asc",
            &["Front squat", "March"],
        ),
        ("exerciseType=warmup,main&exerciseTypeMatchMode=AND", &[]),
        ("cuisine=north", &["Soup"]),
        ("cuisine=coastal,southern", &["Salad", "Soup"]),
        ("cuisine=coastal,southern&cuisineMatchMode=AND", &["Salad"]),
        ("model=heron-large", &["Local"]),
        ("model=gull", &["Talk"]),
        ("model=heron-small,gull-2&modelMatchMode=AND", &[]),
        ("noteSearchQuery=tide+tabl", &["Stand-up"]),
        ("noteSearchQuery=barley", &[]),
        ("noteAttendees=isla,nobody", &["Stand-up"]),
        ("scheduledOn=2026-01-19", &["Monday"]),
        ("scheduledOn=1768867300", &["Tuesday"]),
        ("dateStart=2026-01-20", &["Tuesday"]),
        (
            "dateStart=2026-01-19T00:00:00Z&dateEnd=2026-01-19",
            &["Monday"],
        ),
        ("recordType=deleteMessage", &["Gone"]),
        ("search=gone&includeDeleteMessages=true", &["Gone"]),
    ];
    for (query, expected) in cases {
        assert_eq!(shelf.found(query).await, expected, "{query}");
    }
    assert_eq!(shelf.found("search=gone").await, [""; 0]);
    // A DID of another storage is asked for by deployed apps, and is not here.
    assert_eq!(shelf.found("did=did:arweave:abc").await, [""; 0]);
    let planned = "template=basic&sortBy=scheduleDate:asc&limit=2";
    let planned = shelf.ask(planned).await;
    assert_eq!(planned["records"][0]["data"]["basic"]["name"], "Monday");
    assert_eq!(planned["records"][1]["data"]["basic"]["name"], "Tuesday");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_deployed_nodes_is_taken() {
    let shelf = Shelf::stocked().await;
    for order in [
        "inArweaveBlock",
        "indexedAt",
        "ver",
        "recordType",
        "creatorHandle",
        "date",
        "scheduleDate",
        "score",
        "matchCount",
        "tags",
        "exerciseScore",
        "ingredientScore",
        "equipmentScore",
        "exerciseTypeScore",
        "cuisineScore",
    ] {
        for direction in ["asc", "desc"] {
            let body = shelf
                .ask(&format!("tags=a,b&sortBy={order}:{direction}"))
                .await;
            assert_eq!(body["searchResults"], json!(0), "{order}");
        }
    }
    let two = publish(
        &shelf.api,
        "post",
        "two",
        &json!({"basic": {"name": "Two", "tagItems": ["a", "b"]}}),
    )
    .await;
    publish(
        &shelf.api,
        "post",
        "one",
        &json!({"basic": {"name": "One", "tagItems": ["b"]}}),
    )
    .await;
    shelf.api.node.indexed().await;
    let body = shelf.ask("tags=a,b&sortBy=tags:desc").await;
    assert_eq!(body["searchResults"], json!(2));
    assert_eq!(body["records"][0]["oip"]["did"], json!(two));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_records_with_one_name_the_first_in_order_is_shown() {
    let shelf = Shelf::stocked().await;
    let query = "recordType=fitnessEquipment&sortBy=did:asc";
    assert_eq!(shelf.found(query).await, ["Mat", "Mat"]);
    let first = shelf.ask(query).await["records"][0].clone();
    let once = shelf.ask(&format!("{query}&noDuplicates=true")).await;
    assert_eq!(once["searchResults"], json!(1));
    assert_eq!(once["records"], json!([first]));
    // Pages of it have no gaps.
    let all: BTreeSet<String> = shelf
        .found("noDuplicates=true&limit=1000")
        .await
        .into_iter()
        .collect();
    let mut seen = Vec::new();
    for page in 1..=all.len() {
        let body = shelf
            .ask(&format!("noDuplicates=true&limit=1&page={page}"))
            .await;
        seen.push(
            body["records"][0]["data"]["basic"]["name"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(seen.len(), all.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_summed_up_a_page_at_a_time() {
    let api = Api::start().await;
    for (local_id, tags) in [
        ("a", json!(["x", "y"])),
        ("b", json!(["x"])),
        ("c", json!(["z"])),
    ] {
        let data = json!({"basic": {"name": local_id, "tagItems": tags}});
        publish(&api, "post", local_id, &data).await;
    }
    api.node.indexed().await;
    let answer = api
        .get("/api/records?summarizeTags=true&tagCount=1&recordType=post")
        .await;
    assert_eq!(answer.body["tagSummary"], json!([{"tag": "x", "count": 2}]));
    assert_eq!(answer.body["tagCount"], json!(3));
    assert_eq!(
        answer.body["searchResults"],
        json!(2),
        "the records with one of these tags"
    );
    let answer = api
        .get("/api/records?summarizeTags=true&tagCount=2&tagPage=2")
        .await;
    assert_eq!(answer.body["tagSummary"], json!([{"tag": "z", "count": 1}]));
    assert_eq!(answer.body["searchResults"], json!(1));
    let answer = api.get("/api/records?summarizeTags=true&tagPage=9").await;
    assert_eq!(
        (&answer.body["tagSummary"], &answer.body["searchResults"]),
        (&json!([]), &json!(0))
    );
    let answer = api.get("/api/records").await;
    assert!(answer.body.get("tagSummary").is_none() && answer.body.get("tagCount").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_shown_in_place_as_deep_and_where_it_is_asked() {
    let shelf = Shelf::stocked().await;
    let soup = |query: &str| format!("did={}&{query}", shelf.soup);
    let ingredient = |body: &Value| body["records"][0]["data"]["recipe"]["ingredient"].clone();
    let plain = shelf.ask(&soup("resolveDepth=0")).await;
    assert_eq!(ingredient(&plain), json!([shelf.barley, "leek"]));
    let deep = shelf.ask(&soup("resolveDepth=1")).await;
    assert_eq!(
        ingredient(&deep)[0]["data"]["nutritionalInfo"]["calories"],
        json!(123)
    );
    assert_eq!(ingredient(&deep)[0]["oip"]["did"], json!(shelf.barley));
    assert_eq!(ingredient(&deep)[1], json!("leek"));
    // What isn't here stays as it is.
    let avatar = &deep["records"][0]["data"]["basic"]["avatar"];
    assert_eq!(avatar, "did:gun:5b1fd0c7a9e2:nowhere");
    let named = shelf.ask(&soup("resolveNamesOnly=true")).await;
    assert_eq!(ingredient(&named), json!(["Pearl barley", "leek"]));
    for (fields, shown) in [
        ("ingredient", true),
        ("recipe.ingredient", true),
        ("basic.avatar,data.recipe.ingredient", true),
        ("avatar", false),
        ("recipe.instructions", false),
    ] {
        let body = shelf
            .ask(&soup(&format!("resolveDepth=2&resolveFieldName={fields}")))
            .await;
        assert_eq!(ingredient(&body)[0].is_object(), shown, "{fields}");
    }
    // A search shows them as a look-up does.
    let searched = shelf.ask("search=soup&resolveDepth=1").await;
    assert_eq!(ingredient(&searched), ingredient(&deep));
}

#[tokio::test(flavor = "multi_thread")]
async fn references_in_a_circle_end_where_they_began() {
    let api = Api::start().await;
    let first = publish(&api, "post", "a", &json!({"basic": {"name": "a"}})).await;
    let second = publish(
        &api,
        "post",
        "b",
        &json!({"basic": {"name": "b"}, "post": {"replyTo": first}}),
    )
    .await;
    publish(
        &api,
        "post",
        "a",
        &json!({"basic": {"name": "a"}, "post": {"replyTo": second}}),
    )
    .await;
    let answer = api
        .get(&format!("/api/records?did={first}&resolveDepth=99"))
        .await;
    let within = &answer.body["records"][0]["data"]["post"]["replyTo"];
    assert_eq!(within["oip"]["did"], json!(second));
    assert_eq!(within["data"]["post"]["replyTo"], json!(first));
    assert!(answer.body.get("referencesBounded").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_bounded_in_bytes_and_the_answer_says_so() {
    let api = Api::start().await;
    let large = json!({"basic": {"name": "large"}, "text": {"value": "tide ".repeat(1_000_000)}});
    let large = publish(&api, "text", "large", &large).await;
    let data = json!({"basic": {"name": "many"}, "own": {"all": [large, large, large, large]}});
    let many = publish(&api, "post", "many", &data).await;
    let answer = api
        .get(&format!("/api/records?did={many}&resolveDepth=1"))
        .await;
    let all = answer.body["records"][0]["data"]["own"]["all"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(all.iter().filter(|one| one.is_object()).count(), 3);
    assert_eq!(all[3], json!(large));
    assert_eq!(answer.body["referencesBounded"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_record_is_shown_in_place_to_its_readers_alone() {
    let api = Api::start().await;
    let secret = json!({"basic": {"name": "secret"}, "accessControl": {"access_level": "private"}});
    let request = |path: String, body: String| {
        Request::post(path)
            .header(header::HOST, HOST)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(Body::from(body))
            .unwrap()
    };
    let path = "/api/records/newRecord?recordType=post&localId=secret".to_owned();
    let secret = api.call(request(path, secret.to_string())).await;
    let secret = secret.text("/did").to_owned();
    let open = publish(
        &api,
        "post",
        "open",
        &json!({"basic": {"name": "open"}, "post": {"replyTo": secret}}),
    )
    .await;
    let path = format!("/api/records?did={open}&resolveDepth=1");
    let anyone = api.get(&path).await;
    assert_eq!(anyone.text("/records/0/data/post/replyTo"), secret);
    let names = api
        .get(&format!("/api/records?did={open}&resolveNamesOnly=true"))
        .await;
    assert_eq!(names.text("/records/0/data/post/replyTo"), secret);
    let operator = Request::get(path)
        .header(header::HOST, HOST)
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let operator = api.call(operator).await;
    assert_eq!(
        operator.text("/records/0/data/post/replyTo/data/basic/name"),
        "secret"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_is_summed_up_from_its_ingredients() {
    let shelf = Shelf::stocked().await;
    let body = shelf
        .ask(&format!("did={}&summarizeRecipe=true", shelf.soup))
        .await;
    let data = &body["records"][0]["data"];
    assert_eq!(data["summaryNutritionalInfo"]["calories"], json!(246.0));
    assert_eq!(
        data["summaryNutritionalInfoPerServing"]["calories"],
        json!(123.0)
    );
    assert_eq!(data["summaryNutritionalInfo"]["totalIngredients"], json!(2));
    assert_eq!(data["recipe"]["ingredient"], json!([shelf.barley, "leek"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_shown_as_it_is_asked() {
    let shelf = Shelf::stocked().await;
    let soup = |query: &str| format!("did={}&{query}", shelf.soup);
    let shown = shelf.ask(&soup("")).await["records"][0].clone();
    assert_eq!(
        shown["data"]["basic"]["dateReadable"],
        "Sun, 18 Jan 2026 10:00:00 GMT"
    );
    assert!(
        shown["oip"]["signature"].is_string() && shown["oip"]["creator"]["publicKey"].is_string()
    );
    assert_eq!(shown["data"]["basic"].get("language"), Some(&Value::Null));
    let bare = shelf
        .ask(&soup(
            "hideDateReadable=true&hideNullValues=true&includeSigs=false&includePubKeys=false",
        ))
        .await["records"][0]
        .clone();
    assert!(bare["data"]["basic"].get("dateReadable").is_none());
    assert!(bare["data"]["basic"].get("language").is_none());
    assert_eq!(
        bare["data"]["recipe"]["ingredient_amount"],
        json!([0.2, null])
    );
    assert!(
        bare["oip"].get("signature").is_none() && bare["oip"]["creator"].get("publicKey").is_none()
    );
    assert!(bare["oip"]["creator"]["didAddress"].is_string());
    // A search shows it as a look-up does.
    let searched = shelf.ask("search=soup").await["records"][0].clone();
    assert_eq!(searched["data"], shown["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_deployed_clients_send_beside_it_does_no_harm_and_a_slip_is_told() {
    let shelf = Shelf::stocked().await;
    let body = shelf
        .ask("recordType=recipe&_=1768730400&cacheBust=x&forceRefresh=true")
        .await;
    assert_eq!(body["searchResults"], json!(2));
    assert_eq!(body["ignoredParams"], json!(["_", "cacheBust"]));
    assert!(
        shelf
            .ask("recordType=recipe")
            .await
            .get("ignoredParams")
            .is_none()
    );
    let slip = shelf.api.get("/api/records?record_type=recipe").await;
    let told = "unknown parameter \"record_type\": write recordType";
    assert_eq!(slip.refusal(), (400, "unknown-parameter", told));
    for (query, reason) in [
        ("hasAudio=perhaps", "bad-parameter"),
        ("didTxRef=soup", "bad-parameter"),
        ("inArweaveBlock=x", "bad-parameter"),
        ("scheduledOn=monday", "bad-parameter"),
        ("noDuplicates=true&cursor=x", "bad-cursor"),
        ("resolveFieldName=a..b&resolveDepth=1", "bad-parameter"),
        (
            "exerciseNames=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u",
            "bad-parameter",
        ),
    ] {
        let answer = shelf.api.get(&format!("/api/records?{query}")).await;
        assert_eq!(
            (answer.refusal().0, answer.refusal().1),
            (400, reason),
            "{query}"
        );
    }
}

/// A record as a deployed node holds it: with the handle of its creator, and a block.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_the_handle_and_the_block_that_deployed_nodes_gave_them() {
    use oip_node::migrate::backup;

    let folder = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::new(folder.path().join("data"));
    config.relay_listen.set_port(0);
    let key = oip_record::CreatorKey::ed25519([5; 32]).unwrap();
    let creator = key.creator();
    let document = |n: usize, handle: &str, block: Value| {
        json!({
            "data": {"basic": {"name": format!("Record {n}")}},
            "oip": {
                "did": format!("did:gun:{}:r{n}", key.soul_prefix()), "recordType": "post",
                "ver": "0.8.0", "indexedAt": "2026-01-20T10:00:00.000Z", "inArweaveBlock": block,
                "creator": {
                    "didAddress": creator.did_address, "publicKey": creator.public_key,
                    "creatorHandle": handle,
                },
            },
        })
    };
    let file = folder.path().join("records.json");
    let documents = json!([
        document(1, "harbour", Value::Null),
        document(2, "lighthouse", json!(1_580_000)),
    ]);
    std::fs::write(&file, documents.to_string()).unwrap();
    let report = backup::import(&config, &[file], |_| {}).unwrap();
    assert_eq!(report.taken, 2, "{report:?}");
    let node = Node::start(config).await.unwrap();
    let access = Access::new(AdminToken::new(TOKEN).unwrap(), LocalWriting::Open);
    let api = Api {
        router: router(ApiState::new(node.clone(), access)),
        node,
        _folder: folder,
    };
    for (query, expected) in [
        ("creatorHandle=harbour", "Record 1"),
        ("creatorHandle=lighthouse", "Record 2"),
        ("inArweaveBlock=1580000", "Record 2"),
    ] {
        testkit::wait_until(std::time::Duration::from_secs(30), query, || async {
            let answer = api.get(&format!("/api/records?{query}")).await;
            let records = &answer.body["records"];
            match records[0]["data"]["basic"]["name"] == expected && records[1].is_null() {
                true => Ok(()),
                false => Err(answer.body.to_string()),
            }
        })
        .await;
    }
}
