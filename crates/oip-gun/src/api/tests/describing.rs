//! The description of the API, and what no route takes.

use axum::http::Method;

use super::super::openapi;
use super::*;

#[test]
fn the_description_is_the_one_that_was_reviewed() {
    let mut description = serde_json::to_value(openapi()).unwrap();
    // A release changes it, and that is no change of the API.
    description["info"]["version"] = json!("of the crate");
    insta::assert_json_snapshot!("openapi", description);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_and_every_path_in_it_exists() {
    let api = Api::start().await;
    let answer = api.get("/api/openapi.json").await;
    assert_eq!(answer.body, serde_json::to_value(openapi()).unwrap());
    let paths = answer.body["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 25);
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", HOST)
                .body(Body::empty())
                .unwrap();
            let status = api.call(request).await.status;
            assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_and_methods_are_refused_in_the_same_form() {
    let api = Api::start().await;
    let answer = api.get("/api/record").await;
    assert_eq!(
        answer.refusal(),
        (
            404,
            "no-such-route",
            "there is no GET /api/record here: see /api/openapi.json for what there is"
        )
    );
    let answer = api.get("/api/records/newRecord?recordType=post").await;
    assert_eq!(
        answer.refusal(),
        (
            405,
            "method-not-allowed",
            "/api/records/newRecord does not take GET: see /api/openapi.json for what it takes"
        )
    );
    assert_eq!(answer.headers["allow"], "POST");
    let answer = api.post("/api/records", "{}").await;
    assert_eq!(answer.refusal().0, 405);
    let answer = api.post("/api/openapi.json", "{}").await;
    assert_eq!(answer.refusal().0, 405);
}
