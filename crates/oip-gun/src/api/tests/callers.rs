//! Who may do what: tokens, and what web pages of other sites can make a browser send.

use aws_lc_rs::hmac;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::api::UserTokens;

const PUBLISH: &str = "/api/records/newRecord?recordType=post";
const DELETE: &str = "/api/records/deleteRecord";
const SYNC: &str = "/api/health/gun-sync/force";
const WRITES: [&str; 3] = [PUBLISH, DELETE, SYNC];

/// A write with these headers; its body is no valid request, so that a permitted one changes
/// nothing and is still told apart from a refused one.
async fn write(api: &Api, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(Method::POST).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.call(request.body(Body::from("{}")).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_needs_the_token_and_reading_does_not() {
    let api = Api::start_with(LocalWriting::NeedsToken, |_| {}).await;
    for path in WRITES {
        let answer = write(&api, path, &[("host", HOST)]).await;
        assert_eq!(
            answer.refusal(),
            (
                401,
                "token-missing",
                "this needs the admin token: send `Authorization: Bearer <token>` with the value of OIP_GUN_ADMIN_TOKEN, or of the file admin-token in the node's data folder"
            ),
            "{path}"
        );
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"oip-gun\""
        );
    }
    for path in [
        "/api/records",
        "/api/records/recordTypes",
        "/api/health",
        "/api/health/gun-sync",
        "/metrics",
        "/api/openapi.json",
    ] {
        assert_eq!(api.get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_also_where_none_is_needed() {
    for local_writing in [LocalWriting::NeedsToken, LocalWriting::Open] {
        let api = Api::start_with(local_writing, |_| {}).await;
        let longer = format!("Bearer {TOKEN}x");
        let shorter = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
        for credentials in [
            "Bearer wrong",
            "Bearer",
            "Basic eDp5",
            TOKEN,
            &longer,
            &shorter,
        ] {
            let headers = [("host", HOST), ("authorization", credentials)];
            let answer = write(&api, PUBLISH, &headers).await;
            let (status, reason, _) = answer.refusal();
            assert_eq!((status, reason), (401, "wrong-token"), "{credentials}");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_everything_from_anywhere() {
    for local_writing in [LocalWriting::NeedsToken, LocalWriting::Open] {
        let api = Api::start_with(local_writing, |_| {}).await;
        for scheme in ["Bearer", "bearer"] {
            let credentials = format!("{scheme} {TOKEN}");
            let headers = [
                ("host", "node.example"),
                ("origin", "https://app.example"),
                ("authorization", &credentials),
            ];
            let answer = write(&api, PUBLISH, &headers).await;
            assert_eq!(answer.refusal().1, "no-template");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_show_whether_their_token_was_known() {
    let api = Api::start().await;
    let known = format!("Bearer {TOKEN}");
    for (credentials, authenticated) in [(known.as_str(), true), ("Bearer of-another", false)] {
        let request = Request::get("/api/records")
            .header(header::AUTHORIZATION, credentials)
            .body(Body::empty())
            .unwrap();
        let answer = api.call(request).await;
        assert_eq!(
            answer.body["auth"],
            json!({"authenticated": authenticated, "user": null})
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_this_machine_may_write_without_a_token() {
    let api = Api::start().await;
    for host in [
        "127.0.0.1:3005",
        "127.0.0.1",
        "127.1.2.3:80",
        "localhost:3005",
        "LOCALHOST",
        "localhost.:3005",
        "[::1]:3005",
    ] {
        let answer = write(&api, PUBLISH, &[("host", host)]).await;
        assert_eq!(answer.refusal().1, "no-template", "{host}");
        let origin = format!("http://{host}");
        let headers = [("host", host), ("origin", origin.as_str())];
        let answer = write(&api, PUBLISH, &headers).await;
        assert_eq!(answer.refusal().1, "no-template", "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_rebound_to_this_machine_is_refused() {
    let api = Api::start().await;
    for path in WRITES {
        for host in [
            "attacker.example",
            "attacker.example:3005",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "192.168.1.2:3005",
            "[2001:db8::1]:3005",
            "",
        ] {
            let answer = write(&api, path, &[("host", host)]).await;
            let (status, reason, message) = answer.refusal();
            assert_eq!((status, reason), (403, "foreign-host"), "{host}");
            assert!(message.contains(&format!("the host {host:?}")), "{message}");
        }
    }
    let answer = write(&api, PUBLISH, &[]).await;
    let (status, reason, message) = answer.refusal();
    assert_eq!((status, reason), (403, "foreign-host"));
    assert!(message.contains("names no host"), "{message}");
    // A request in absolute form says its host in the request line.
    let absolute = format!("http://attacker.example{PUBLISH}");
    let answer = write(&api, &absolute, &[("host", HOST)]).await;
    assert_eq!(answer.refusal().1, "foreign-host");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused() {
    let api = Api::start().await;
    for path in WRITES {
        for origin in [
            "https://attacker.example",
            "http://localhost:8080",
            "https://127.0.0.1:3005",
            "http://127.0.0.1:3005.attacker.example",
            "null",
        ] {
            let answer = write(&api, path, &[("host", HOST), ("origin", origin)]).await;
            let (status, reason, message) = answer.refusal();
            assert_eq!((status, reason), (403, "foreign-origin"), "{origin}");
            assert!(message.contains(origin), "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_lets_other_sites_read_it() {
    let api = Api::start().await;
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(PUBLISH)
        .header("host", HOST)
        .header("origin", "https://attacker.example")
        .header("access-control-request-method", "POST")
        .body(Body::empty())
        .unwrap();
    let preflight = api.call(request).await;
    assert_eq!(preflight.status, StatusCode::METHOD_NOT_ALLOWED);
    let read = api.get("/api/records").await;
    for answer in [preflight, read] {
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

const SECRET: &str = "a secret of more than sixteen";

/// What a user of the deployed account service sends.
fn user_token() -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"userId": "u1", "publicKey": "02ab", "exp": 4_000_000_000_u64});
    let signed = format!("{}.{}", part(json!({"alg": "HS256"})), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("Bearer {signed}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_the_whole_node_is_for_its_operator_and_no_user() {
    let mut api = Api::start().await;
    let access = Access::new(AdminToken::new(TOKEN).unwrap(), LocalWriting::Open)
        .with_users(Some(UserTokens::new(SECRET).unwrap()));
    api.router = router(ApiState::new(api.node.clone(), access));
    let did = api.publish("public", &post("Public")).await;
    let token = user_token();
    let headers = [("host", HOST), ("authorization", token.as_str())];
    for path in [
        SYNC,
        "/api/index/rebuild",
        "/api/index/verify",
        "/api/quarantine/replay",
    ] {
        let answer = write(&api, path, &headers).await;
        assert_eq!(answer.refusal().1, "not-operator", "{path}");
    }
    for path in [
        format!("/api/records/explain?did={did}"),
        "/api/quarantine".to_owned(),
    ] {
        let request = Request::get(&path)
            .header("host", HOST)
            .header("authorization", &token);
        let answer = api.call(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.refusal().1, "not-operator", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_record_is_explained_to_the_operator_alone() {
    let api = Api::start().await;
    let secret = json!({"basic": {"name": "S"}, "accessControl": {"access_level": "private"}});
    let bearer = format!("Bearer {TOKEN}");
    let publish = Request::post(format!("{PUBLISH}&localId=secret"))
        .header("host", HOST)
        .header("authorization", &bearer);
    let published = api
        .call(publish.body(Body::from(secret.to_string())).unwrap())
        .await;
    let path = format!("/api/records/explain?did={}", published.text("/did"));
    assert_eq!(api.get(&path).await.refusal().1, "unknown-record");
    let request = Request::get(&path)
        .header("host", HOST)
        .header("authorization", &bearer);
    let told = api.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (told.status, &told.body["shown"]),
        (StatusCode::OK, &json!(true))
    );
    assert!(!told.body.to_string().contains("\"S\""), "{}", told.body);
}
