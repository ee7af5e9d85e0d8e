//! What tokens of machines permit, by their scope.

use axum::http::Method;

use super::*;
use crate::api::{MachineTokens, Scope};

struct Machines {
    api: Api,
}

impl Machines {
    async fn start() -> Self {
        Self::with(MachineTokens::default(), LocalWriting::NeedsToken).await
    }

    async fn with(machines: MachineTokens, local_writing: LocalWriting) -> Self {
        let mut api = Api::start().await;
        let access =
            Access::new(AdminToken::new(TOKEN).unwrap(), local_writing).with_machines(machines);
        api.router = router(ApiState::new(api.node.clone(), access));
        Self { api }
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        self.api.call(request.body(body).unwrap()).await
    }

    async fn create(&self, name: &str, scope: &str) -> String {
        let request = json!({"name": name, "scope": scope});
        let made = self
            .call(Method::POST, "/api/tokens", TOKEN, &request)
            .await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.body);
        made.text("/token").to_owned()
    }

    async fn publish(&self, local_id: &str, token: &str, data: &Value) -> Answer {
        let path = format!("/api/records/newRecord?recordType=post&localId={local_id}");
        self.call(Method::POST, &path, token, data).await
    }

    async fn delete(&self, did: &str, token: &str) -> Answer {
        let request = json!({"delete": {"did": did}});
        let path = "/api/records/deleteRecord";
        self.call(Method::POST, path, token, &request).await
    }
}

fn private() -> Value {
    let mut data = post("Private");
    data["accessControl"] = json!({"access_level": "private"});
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_scope_that_is_missing() {
    let node = Machines::start().await;
    let (read, publish) = (
        node.create("reader", "read").await,
        node.create("writer", "publish").await,
    );
    let refused = node.publish("n", &read, &post("N")).await;
    assert_eq!(
        refused.refusal(),
        (
            403,
            "scope-missing",
            "this needs a token of scope publish, and the token reader has scope read: make another by `oip-gun tokens create --scope publish`"
        )
    );
    let did = node.publish("n", TOKEN, &post("N")).await;
    let did = did.text("/did");
    for token in [&read, &publish] {
        for (method, path) in [
            (Method::GET, "/api/keys".to_owned()),
            (Method::POST, "/api/keys/rotate".to_owned()),
            (Method::GET, "/api/audit".to_owned()),
            (Method::GET, "/api/tokens".to_owned()),
            (Method::POST, "/api/tokens".to_owned()),
            (Method::DELETE, "/api/tokens/reader".to_owned()),
            (Method::GET, "/api/quarantine".to_owned()),
            (Method::POST, "/api/health/gun-sync/force".to_owned()),
            (Method::GET, format!("/api/records/explain?did={did}")),
            (Method::PATCH, format!("/api/records/{did}/access")),
        ] {
            let answer = node.call(method, &path, token, &Value::Null).await;
            let (status, reason, message) = answer.refusal();
            assert_eq!((status, reason), (403, "scope-missing"), "{path}");
            assert!(message.contains("scope admin"), "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_changes_what_was_published_under_its_name_and_nothing_else() {
    let node = Machines::start().await;
    let token = node.create("backup-job", "publish").await;
    let other = node.create("other-job", "publish").await;
    let ours = node.publish("ours", TOKEN, &post("Operator's")).await;
    let made = node.publish("job", &token, &post("First")).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let (ours, made) = (ours.text("/did"), made.text("/did"));
    let edited = node.publish("job", &token, &post("Second")).await;
    assert_eq!(edited.text("/did"), made);
    for (local_id, did, caller) in [("ours", ours, &token), ("job", made, &other)] {
        let refused = node.publish(local_id, caller, &post("Not mine")).await;
        assert_eq!(
            (refused.refusal().0, refused.refusal().1),
            (403, "not-owner")
        );
        let refused = node.delete(did, caller).await;
        assert_eq!(
            (refused.refusal().0, refused.refusal().1),
            (403, "not-owner")
        );
    }
    // Another token of the same name goes on with its work; the one before is no token any more.
    let path = "/api/tokens/backup-job";
    let revoked = node.call(Method::DELETE, path, TOKEN, &Value::Null).await;
    assert_eq!(revoked.body, json!({"revoked": "backup-job"}));
    let refused = node.publish("job", &token, &post("Third")).await;
    assert_eq!(
        (refused.refusal().0, refused.refusal().1),
        (401, "wrong-token")
    );
    let token = node.create("backup-job", "publish").await;
    assert_eq!(
        node.publish("job", &token, &post("Third")).await.status,
        200
    );
    assert_eq!(node.delete(made, &token).await.status, 200);
    // What the operator publishes after a deletion is his.
    assert_eq!(node.publish("job", TOKEN, &post("Mine")).await.status, 200);
    let refused = node.publish("job", &token, &post("Fourth")).await;
    assert_eq!(refused.refusal().1, "not-owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_shown_nothing_private_and_the_audit_trail_names_it() {
    let node = Machines::start().await;
    let token = node.create("backup-job", "publish").await;
    let admin = node.create("ops", "admin").await;
    let made = node.publish("secret", &token, &private()).await;
    assert_eq!(made.body["encrypted"], true, "{}", made.body);
    let path = format!("/api/records?did={}", made.text("/did"));
    for (caller, shown) in [("", 0), (token.as_str(), 0), (admin.as_str(), 1)] {
        let page = node.call(Method::GET, &path, caller, &Value::Null).await;
        assert_eq!(page.body["records"].as_array().unwrap().len(), shown);
        assert_eq!(page.body["auth"]["authenticated"], !caller.is_empty());
    }
    let path = "/api/records?search=private";
    let mut found = 0;
    for _ in 0..500 {
        let page = node.call(Method::GET, path, &admin, &Value::Null).await;
        found = page.body["records"].as_array().unwrap().len();
        if found > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(found, 1);
    let rotated = node.call(Method::POST, "/api/keys/rotate", &admin, &Value::Null);
    assert_eq!(rotated.await.status, 200);
    // What is only read is noted soon after.
    let mut callers = Vec::new();
    for _ in 0..500 {
        let audit = node
            .call(Method::GET, "/api/audit", &admin, &Value::Null)
            .await;
        let entries = audit.body["entries"].as_array().unwrap().iter();
        callers = entries
            .map(|entry| format!("{}: {}", entry["action"], entry["caller"]).replace('"', ""))
            .filter(|caller| !caller.ends_with(": node"))
            .collect();
        if callers.len() >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    callers.sort();
    assert_eq!(
        callers,
        [
            "admin-read: token ops (admin)",
            "admin-read: token ops (admin)",
            "rotated: token ops (admin)",
            "sealed: token backup-job (publish)",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_says_of_nobody_that_he_owns_what_it_publishes() {
    let node = Machines::start().await;
    let token = node.create("backup-job", "publish").await;
    for access in [
        json!({"owner_public_key": "02ab"}),
        json!({"access_level": "private", "ownerPublicKey": "02ab"}),
    ] {
        let mut data = post("Whose");
        data["accessControl"] = access;
        let refused = node.publish("whose", &token, &data).await;
        assert_eq!(
            (refused.refusal().0, refused.refusal().1),
            (403, "owner-named")
        );
    }
    let query = "accessControl=%7B%22private%22%3Atrue%2C%22owner_public_key%22%3A%2202ab%22%7D";
    let local_id = format!("whose&{query}");
    let refused = node.publish(&local_id, &token, &post("Whose")).await;
    assert_eq!(refused.refusal().1, "owner-named");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_ended_reads_as_anybody_and_writes_nothing() {
    let machines = MachineTokens::default();
    let (token, _) = machines
        .create("old-job", Scope::Admin, Some(1), 1_790_000_000_000)
        .unwrap();
    let node = Machines::with(machines, LocalWriting::Open).await;
    for path in ["/api/records/newRecord?recordType=post", "/api/keys/rotate"] {
        let refused = node.call(Method::POST, path, &token, &post("N")).await;
        let (status, reason, message) = refused.refusal();
        assert_eq!((status, reason), (401, "token-expired"), "{path}");
        assert!(
            message.contains("the token old-job ended at 2026-"),
            "{message}"
        );
    }
    let page = node.call(Method::GET, "/api/records", &token, &Value::Null);
    assert_eq!(page.await.body["auth"]["authenticated"], false);
    let listed = node
        .call(Method::GET, "/api/tokens", TOKEN, &Value::Null)
        .await;
    assert_eq!(listed.body["tokens"][0]["expired"], true, "{}", listed.body);
    // Where programs of this machine may write, they still may without a token.
    assert_eq!(node.publish("n", "", &post("N")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_token_that_can_not_be_made_is_refused_by_name() {
    let node = Machines::start().await;
    node.create("taken", "read").await;
    for (request, status, reason) in [
        (
            json!({"name": "taken", "scope": "read"}),
            409,
            "token-name-taken",
        ),
        (
            json!({"name": "a b", "scope": "read"}),
            400,
            "bad-token-name",
        ),
        (json!({"name": "n", "scope": "all"}), 400, "bad-request"),
        (json!({"name": "n"}), 400, "bad-request"),
        (
            json!({"name": "n", "scope": "read", "expiresInSeconds": 0}),
            400,
            "bad-token-life",
        ),
    ] {
        let refused = node
            .call(Method::POST, "/api/tokens", TOKEN, &request)
            .await;
        assert_eq!((refused.refusal().0, refused.refusal().1), (status, reason));
    }
    let path = "/api/tokens/nobody";
    let refused = node.call(Method::DELETE, path, TOKEN, &Value::Null).await;
    assert_eq!(
        (refused.refusal().0, refused.refusal().1),
        (404, "unknown-token")
    );
}
