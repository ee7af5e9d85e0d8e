//! The binary as its users meet it: ready line, signals, refusals at start, and the verbs
//! against a running node.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it must be"
)]

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{NodeOptions, NodeProcess, RawGun, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_oip-gun");
/// The longest anything here may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn node() -> NodeProcess {
    NodeProcess::start(BINARY, NodeOptions::named("a"))
        .await
        .unwrap()
}

/// Runs the binary in `folder` with nothing of this process's environment.
async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let command = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, command)
        .await
        .unwrap()
        .unwrap()
}

/// Runs a verb against `node` with `--json`: its exit code and what it answers.
async fn verb(node: &NodeProcess, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments = [arguments, &["--json", "--url", node.api()]].concat();
    let output = run(node.folder(), &arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let answer =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?} wrote {text:?}"));
    (output.status.code(), answer)
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn a_node_says_once_that_it_is_ready_and_ends_with_0_when_told_to() {
    let mut node = node().await;
    assert!(node.api().starts_with("http://127.0.0.1:"));
    assert!(node.relay().starts_with("ws://127.0.0.1:") && node.relay().ends_with("/gun"));
    assert_eq!(node.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_a_node_at_once() {
    let mut node = node().await;
    // A request that never ends keeps the drain waiting.
    let address = node.api().strip_prefix("http://").unwrap().to_owned();
    let mut caller = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/records/newRecord?recordType=post HTTP/1.1\r\nHost: {address}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    );
    caller.write_all(head.as_bytes()).await.unwrap();
    // The node asks for the body: the request is under way.
    let mut answer = [0; 12];
    caller.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    interrupt(&node).await;
    wait_until(PATIENCE, "the node stops listening", || async {
        match TcpStream::connect(&address).await {
            Ok(_) => Err("it still listens"),
            Err(_) => Ok(()),
        }
    })
    .await;
    // The testkit's own SIGTERM is the second signal.
    assert_eq!(node.terminate().await.unwrap(), Some(130));
}

async fn interrupt(node: &NodeProcess) {
    let id = node.id().unwrap().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn what_keeps_a_node_from_starting_is_named_with_the_cure() {
    let node = node().await;
    let folder = node.folder();
    let api_port = node.api().rsplit(':').next().unwrap().to_owned();
    let relay_port = node.relay().rsplit(':').next().unwrap();
    let relay_port = relay_port.strip_suffix("/gun").unwrap();
    std::fs::write(folder.join("wallet.json"), "{}").unwrap();
    std::fs::write(folder.join("oip.toml"), "[relay]\nprot = 1").unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["--port", &api_port, "--relay-port=0", "--data-dir=other"],
            &[
                "the API can't listen on 127.0.0.1:",
                "another process has this port",
                "--port or PORT",
            ],
        ),
        (
            &["--port=0", "--relay-port", relay_port, "--data-dir=other"],
            &["failed to listen on 127.0.0.1:", "GUN_RELAY_PORT"],
        ),
        (
            &["--port=0", "--relay-port=0", "--data-dir=data"],
            &[
                "data/store is in use by another process",
                "a data folder of its own",
            ],
        ),
        (
            &[
                "--port=0",
                "--relay-port=0",
                "--data-dir=other",
                "--wallet-file=wallet.json",
            ],
            &[
                "the wallet wallet.json (WALLET_FILE) is not usable",
                "Arweave RSA key",
            ],
        ),
        (
            &["--port=0", "--relay-port=0", "--config=oip.toml"],
            &["oip.toml, line 2, column 1: unknown field `prot`, expected one of `bind`"],
        ),
        (
            &["--port=0", "--relay-port=0", "--sync-interval=1"],
            &["sync.interval_ms \"1\" (given by --sync-interval) is under 100 ms"],
        ),
    ];
    for (arguments, parts) in cases {
        let arguments = [&["serve"], arguments].concat();
        let output = run(folder, &arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        for part in parts {
            assert!(stderr(&output).contains(part), "{}", stderr(&output));
        }
    }
}

#[tokio::test]
async fn a_node_ends_with_the_process_that_holds_its_stdin() {
    let folder = tempfile::tempdir().unwrap();
    // `output` gives no stdin at all.
    let arguments = ["serve", "--port=0", "--relay-port=0", "--stop-on-stdin-end"];
    let output = run(folder.path(), &arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// The DID of the private one among what was published.
fn published_diary(report: &Value) -> String {
    let rows = report["published"].as_array().unwrap();
    let row = rows.iter().find(|row| row["input"] == "records/b.json");
    row.unwrap()["did"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_verbs_do_the_whole_life_of_a_record() {
    let node = node().await;
    let folder = node.folder().join("records");
    std::fs::create_dir(&folder).unwrap();
    let files = [
        (
            "a.json",
            json!({"basic": {"name": "Tide table"}, "post": {}}),
        ),
        (
            "b.json",
            json!({"basic": {"name": "Diary"}, "post": {}, "accessControl": {"access_level": "private"}}),
        ),
        (
            "c.json",
            json!({"basic": {"name": "Barley pot"}, "recipe": {"ingredient": ["barley"]}}),
        ),
    ];
    for (name, record) in &files {
        std::fs::write(folder.join(name), record.to_string()).unwrap();
    }
    // Without a token what asks for privacy is refused, and nothing of it is written.
    let (code, report) = verb(&node, &["publish", "records/b.json"]).await;
    assert_eq!(code, Some(1));
    assert!(report.to_string().contains("token"), "{report}");
    let (code, report) = verb(&node, &["publish", "records", "--data-dir", "data"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["published"].as_array().unwrap().len(), 3);

    let published = report["published"].as_array().unwrap();
    let recipe = published.iter().find(|row| row["recordType"] == "recipe");
    let did = recipe.unwrap()["did"].as_str().unwrap().to_owned();
    let (code, record) = verb(&node, &["get", &did]).await;
    assert_eq!(code, Some(0));
    assert_eq!(record["data"], files[2].1);

    wait_until(PATIENCE, "the recipe is searchable", || async {
        let (_, page) = verb(&node, &["search", "barley", "pot", "--type", "recipe"]).await;
        if page["records"][0]["oip"]["did"] == did.as_str() {
            Ok(())
        } else {
            Err(page.to_string())
        }
    })
    .await;

    let (code, sweep) = verb(&node, &["sync"]).await;
    assert_eq!(
        (code, &sweep["message"]),
        (Some(0), &json!("Sync cycle completed"))
    );
    let (code, status) = verb(&node, &["status"]).await;
    assert_eq!(
        (code, &status["sync"]["status"]),
        (Some(0), &json!("healthy"))
    );

    let operator = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        arguments
            .into_iter()
            .chain(["--data-dir".to_owned(), "data".to_owned()])
            .collect::<Vec<_>>()
    };
    let as_operator = async |arguments: &[&str]| {
        let arguments = operator(arguments);
        verb(
            &node,
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await
    };
    let (code, keys) = as_operator(&["keys", "show"]).await;
    assert_eq!(
        (code, keys["encryptionKeys"].as_array().unwrap().len()),
        (Some(0), 1)
    );
    let (code, rotated) = as_operator(&["keys", "rotate"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(rotated["encryptionKeys"][1], keys["encryptionKeys"][0]);
    let (code, audit) = as_operator(&["audit", "verify"]).await;
    assert_eq!((code, &audit["broken"]), (Some(0), &Value::Null));
    let (code, listed) = as_operator(&["audit", "list"]).await;
    // Without a token it was refused first.
    let told = [0, 1].map(|n| &listed[n]["action"]);
    assert_eq!(
        (code, told),
        (Some(0), [&json!("refused"), &json!("sealed")])
    );
    let diary = published_diary(&report);
    let (code, shared) = as_operator(&["share", &diary, "nobody"]).await;
    assert_eq!(
        (code, &shared["reason"]),
        (Some(1), &json!("unknown-recipient-node"))
    );
    let (code, secret) = as_operator(&["get", &diary]).await;
    assert_eq!(
        (code, &secret["data"]["basic"]["name"]),
        (Some(0), &json!("Diary"))
    );
    let (code, _) = verb(&node, &["get", &diary]).await;
    assert_eq!(code, Some(1), "nobody without a token is shown it");
    // From the folder, not from the node: what is copied never crosses a connection.
    let export = ["keys", "export", "copied", "--data-dir", "data", "--json"];
    let exported = run(node.folder(), &export).await;
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert!(node.folder().join("copied/encryption.json").is_file());

    let (code, deleted) = verb(&node, &["delete", &did]).await;
    assert_eq!((code, &deleted["success"]), (Some(0), &json!(true)));
    let (code, gone) = verb(&node, &["get", &did]).await;
    assert_eq!(code, Some(1));
    assert!(gone["error"].as_str().unwrap().contains("holds no record"));
    let (code, unknown) = verb(&node, &["delete", &did]).await;
    assert_eq!(
        (code, &unknown["reason"]),
        (Some(1), &json!("unknown-record"))
    );
}

#[tokio::test]
async fn an_operator_searches_compares_rebuilds_and_looks_into_the_quarantine() {
    let node = node().await;
    let record = json!({"basic": {"name": "Pearl barley", "date": 7}, "recipe": {"servings": 4}});
    let path = node.folder().join("a.json");
    std::fs::write(&path, record.to_string()).unwrap();
    let (code, _) = verb(&node, &["publish", "a.json", "--type", "recipe"]).await;
    assert_eq!(code, Some(0));
    let (code, compared) = verb(&node, &["verify", "index"]).await;
    assert_eq!((code, &compared["agrees"]), (Some(0), &json!(true)));
    assert_eq!(compared["types"][0]["indexed"], json!(1));

    let found = |query: &'static str| {
        let node = &node;
        async move { verb(node, &["search", query]).await }
    };
    let (code, page) = found("\"pearl barley\" recipe.servings:>=4 NOT tag:=draft").await;
    assert_eq!((code, &page["searchResults"]), (Some(0), &json!(1)));
    let (_, page) = found("recipe.servings:>4 OR barly").await;
    assert_eq!(page["searchResults"], json!(0));
    let (code, refused) = found("(pearl").await;
    assert_eq!((code, &refused["reason"]), (Some(1), &json!("bad-query")));

    let (code, status) = verb(&node, &["reindex"]).await;
    assert_eq!((code, &status["rebuildsFinished"]), (Some(0), &json!(1)));
    let (_, page) = found("barley").await;
    assert_eq!(page["searchResults"], json!(1));

    let (code, page) = verb(&node, &["quarantine", "list", "--kind", "index"]).await;
    assert_eq!((code, page), (Some(0), json!({"records": []})));
    let (code, replayed) = verb(&node, &["quarantine", "replay"]).await;
    assert_eq!((code, &replayed["records"]), (Some(0), &json!(0)));
    let (code, missing) = verb(&node, &["quarantine", "show", "did:gun:none:x"]).await;
    assert_eq!(code, Some(1));
    assert!(
        missing["error"]
            .as_str()
            .unwrap()
            .contains("is not in quarantine")
    );
    let shown = run(node.folder(), &["status", "--url", node.api()]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("index    embedded"), "{shown}");
}

#[tokio::test]
async fn a_relays_folder_is_tried_first_and_then_taken_over_while_no_node_runs() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/gun");
    let sample = vectors.join("radata-sample");
    let sample = sample.to_str().unwrap();
    let mut node = node().await;
    let folder = node.folder().to_owned();
    let migrate = ["migrate", "radata", sample, "--data-dir"];

    let running = run(&folder, &[&migrate[..], &["data"]].concat()).await;
    assert_eq!(running.status.code(), Some(1));
    let message = stderr(&running);
    assert!(
        message.contains("a node runs on the data folder data: stop it"),
        "{message}"
    );

    let tried = run(
        &folder,
        &[&migrate[..], &["new", "--dry-run", "--json"]].concat(),
    )
    .await;
    assert_eq!(tried.status.code(), Some(0), "{}", stderr(&tried));
    let report: Value = serde_json::from_slice(&tried.stdout).unwrap();
    assert_eq!(
        (&report["values"]["sound"], &report["stored"]),
        (&json!(360), &Value::Null)
    );
    assert!(!folder.join("new").exists(), "a dry run makes nothing");

    node.terminate().await.unwrap();
    for stored in ["360 taken; 0 there already", "0 taken; 360 there already"] {
        let taken = run(&folder, &[&migrate[..], &["data"]].concat()).await;
        assert_eq!(taken.status.code(), Some(0), "{}", stderr(&taken));
        let text = String::from_utf8(taken.stdout).unwrap();
        assert!(text.contains(stored), "{text}");
        assert!(
            !text.contains("REFUSED") && !text.contains("DAMAGE"),
            "{text}"
        );
    }
    node.restart().await.unwrap();
    let mut client = RawGun::connect(node.relay()).await.unwrap();
    let found = client.get("plain \u{1f601}/1", PATIENCE).await.unwrap();
    assert_eq!(found.unwrap()["title"], "Title 1");
}

#[tokio::test]
async fn what_is_lost_in_a_damaged_folder_is_shown_by_reason_and_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let radata = folder.path().join("radata");
    std::fs::create_dir(&radata).unwrap();
    let damaged = r#"{"s\u001b":{"a":{"":{":":1}},"b":{"":{":":1,">":2}},"c":{"":{":""#;
    std::fs::write(radata.join("!"), damaged).unwrap();
    std::fs::write(radata.join("%1C"), r#"{"!":{"":1},"x\u001by":{"":1}}"#).unwrap();
    let output = run(folder.path(), &["migrate", "radata", "radata", "--dry-run"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[tokio::test]
async fn a_verb_without_a_node_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}");
    let output = run(folder.path(), &["status", "--url", &url, "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains(&format!("no node answers at {url}")),
        "{message}"
    );
    assert!(
        message.contains("Start one with `oip-gun serve`"),
        "{message}"
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["reason"], "unreachable");
}

#[tokio::test]
async fn a_token_that_was_set_guards_writing_and_the_verbs_find_it() {
    let options =
        NodeOptions::named("guarded").env("OIP_GUN_ADMIN_TOKEN", "a-token-of-the-operator");
    let node = NodeProcess::start(BINARY, options).await.unwrap();
    std::fs::write(node.folder().join("post.json"), r#"{"post":{"x":1}}"#).unwrap();
    let (code, answer) = verb(&node, &["publish", "post.json"]).await;
    assert_eq!(code, Some(1), "{answer}");
    assert_eq!(answer["stopped"]["reason"], "token-missing");

    let token = "[api]\nadmin_token = \"a-token-of-the-operator\"";
    std::fs::write(node.folder().join("client.toml"), token).unwrap();
    let (code, answer) = verb(&node, &["publish", "post.json", "--config", "client.toml"]).await;
    assert_eq!(code, Some(0), "{answer}");
}

#[tokio::test]
async fn a_node_that_others_can_reach_makes_a_token_that_the_verbs_on_its_machine_use() {
    let options = NodeOptions::named("open").env("OIP_GUN_BIND", "0.0.0.0");
    let node = NodeProcess::start(BINARY, options).await.unwrap();
    let url = node.api().replace("0.0.0.0", "127.0.0.1");
    std::fs::write(node.folder().join("post.json"), r#"{"post":{"x":1}}"#).unwrap();
    let publish = ["publish", "post.json", "--url", &url];
    let refused = run(node.folder(), &publish).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("this needs the admin token"),
        "{}",
        stderr(&refused)
    );
    let published = run(
        node.folder(),
        &[&publish[..], &["--data-dir", "data"]].concat(),
    )
    .await;
    assert_eq!(published.status.code(), Some(0), "{}", stderr(&published));
}

/// Runs the binary in `folder` with one variable more than [`run`] gives it.
async fn run_with(folder: &Path, variable: (&str, &str), arguments: &[&str]) -> Output {
    let command = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env(variable.0, variable.1)
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, command)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_machine_gets_a_token_publishes_with_it_and_loses_it() {
    let node = node().await;
    std::fs::write(
        node.folder().join("a.json"),
        json!({"basic": {"name": "By a machine"}}).to_string(),
    )
    .unwrap();
    let tokens = ["--data-dir", "data"];
    let create = [
        "tokens",
        "create",
        "--scope",
        "publish",
        "--name",
        "backup-job",
    ];
    let create = [&create[..], &["--expires", "90d"], &tokens].concat();
    let (code, made) = verb(&node, &create).await;
    assert_eq!(
        (code, &made["scope"]),
        (Some(0), &json!("publish")),
        "{made}"
    );
    let token = made["token"].as_str().unwrap();
    let publish = ["publish", "a.json", "--type", "post", "--local-id", "job"];
    let as_machine = async |arguments: &[&str]| {
        let arguments = [arguments, &["--json", "--url", node.api()]].concat();
        let output = run_with(node.folder(), ("OIP_GUN_TOKEN", token), &arguments).await;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), answer)
    };
    let (code, published) = as_machine(&publish).await;
    assert_eq!(code, Some(0), "{published}");
    let (code, refused) = as_machine(&["keys", "show"]).await;
    assert_eq!(
        (code, &refused["reason"]),
        (Some(1), &json!("scope-missing"))
    );
    let (code, listed) = verb(&node, &[&["tokens", "list"], &tokens[..]].concat()).await;
    assert_eq!((code, &listed[0]["name"]), (Some(0), &json!("backup-job")));
    assert!(!listed.to_string().contains(token));
    let stored = std::fs::read_to_string(node.folder().join("data/tokens.json")).unwrap();
    assert!(
        !stored.contains(token) && stored.contains("backup-job"),
        "{stored}"
    );
    let revoke = [&["tokens", "revoke", "backup-job"], &tokens[..]].concat();
    assert_eq!(verb(&node, &revoke).await.0, Some(0));
    let (code, refused) = as_machine(&publish).await;
    assert_eq!(code, Some(1));
    assert!(refused.to_string().contains("wrong-token"), "{refused}");
    assert!(!String::from_utf8_lossy(&node.log()).contains(token));
}

#[tokio::test]
async fn keys_are_locked_carried_to_another_data_folder_and_the_node_is_the_same_there() {
    const PASSPHRASE: &str = "correct horse battery staple";
    let mut node = node().await;
    let operator = ["--data-dir", "data"];
    let (_, before) = verb(&node, &[&["keys", "show"], &operator[..]].concat()).await;
    let folder = node.folder().to_owned();
    let with = ("OIP_GUN_KEY_PASSPHRASE", PASSPHRASE);
    let protect = ["keys", "protect", "--data-dir", "data"];
    let running = run_with(&folder, with, &protect).await;
    assert!(
        stderr(&running).contains("stop it first"),
        "{}",
        stderr(&running)
    );
    node.terminate().await.unwrap();
    for (variable, cure) in [
        (("UNUSED", ""), "set OIP_GUN_KEY_PASSPHRASE"),
        (("OIP_GUN_KEY_PASSPHRASE", "short"), "take a longer one"),
    ] {
        let refused = run_with(&folder, variable, &protect).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains(cure), "{}", stderr(&refused));
    }
    let plain = std::fs::read_to_string(folder.join("data/keys/identity.json")).unwrap();
    let locked = run_with(&folder, with, &protect).await;
    assert_eq!(locked.status.code(), Some(0), "{}", stderr(&locked));
    for name in ["identity.json", "encryption.json", "creator.json"] {
        let text = std::fs::read_to_string(folder.join("data/keys").join(name)).unwrap();
        let secret = serde_json::from_str::<Value>(&plain).unwrap();
        for part in secret
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_str)
        {
            assert!(part.len() < 8 || !text.contains(part), "{name}");
        }
        assert!(text.contains("argon2id"), "{name}: {text}");
    }
    let serve = ["serve", "--port=0", "--relay-port=0", "--data-dir=data"];
    for (variable, cure) in [
        (("UNUSED", ""), "is locked with a passphrase"),
        (
            ("OIP_GUN_KEY_PASSPHRASE", "another passphrase"),
            "the passphrase does not open it",
        ),
        (
            ("OIP_GUN_KEY_PASSPHRASE_FILE", "nowhere"),
            "failed to read the passphrase",
        ),
    ] {
        let refused = run_with(&folder, variable, &serve).await;
        assert_eq!(refused.status.code(), Some(1));
        let message = stderr(&refused);
        assert!(message.contains(cure), "{message}");
        assert!(!message.contains("another passphrase"), "{message}");
    }
    let export = run(&folder, &["keys", "export", "copied", "--data-dir", "data"]).await;
    assert_eq!(export.status.code(), Some(0), "{}", stderr(&export));

    // Into the folder of a node that has keys of its own: nothing of it is touched.
    let mut other = NodeProcess::start(BINARY, NodeOptions::named("other"))
        .await
        .unwrap();
    other.terminate().await.unwrap();
    let copied = folder.join("copied");
    let into = |data_dir: &'static str| {
        [
            "keys",
            "import",
            copied.to_str().unwrap(),
            "--data-dir",
            data_dir,
        ]
    };
    let theirs = std::fs::read_to_string(other.folder().join("data/keys/identity.json")).unwrap();
    let refused = run(other.folder(), &into("data")).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("import into another data folder"),
        "{}",
        stderr(&refused)
    );
    let after = std::fs::read_to_string(other.folder().join("data/keys/identity.json")).unwrap();
    assert_eq!(theirs, after);

    std::fs::remove_dir_all(other.folder().join("data")).unwrap();
    let refused = run_with(
        other.folder(),
        ("OIP_GUN_KEY_PASSPHRASE", "another passphrase"),
        &into("data"),
    )
    .await;
    assert!(
        stderr(&refused).contains("stays locked"),
        "{}",
        stderr(&refused)
    );
    assert!(!other.folder().join("data").exists());
    let file = other.folder().join("passphrase");
    std::fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
    let with_file = ("OIP_GUN_KEY_PASSPHRASE_FILE", file.to_str().unwrap());
    let imported = run_with(other.folder(), with_file, &into("data")).await;
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let again = run_with(other.folder(), with_file, &into("data")).await;
    assert!(String::from_utf8_lossy(&again.stdout).contains("left as they were"));
    other
        .options()
        .env
        .push((with_file.0.to_owned(), with_file.1.to_owned()));
    other.restart().await.unwrap();
    let (_, there) = verb(&other, &[&["keys", "show"], &operator[..]].concat()).await;
    assert_eq!(there, before);
    // A key made by a node with locked files is locked too.
    let (code, rotated) = verb(&other, &[&["keys", "rotate"], &operator[..]].concat()).await;
    assert_eq!(code, Some(0), "{rotated}");
    let ring = other.folder().join("data/keys/encryption.json");
    assert!(std::fs::read_to_string(&ring).unwrap().contains("argon2id"));
    other.terminate().await.unwrap();
    let unprotect = ["keys", "unprotect", "--data-dir", "data"];
    let opened = run_with(other.folder(), with_file, &unprotect).await;
    assert_eq!(opened.status.code(), Some(0), "{}", stderr(&opened));
    let plain_again = std::fs::read_to_string(other.folder().join("data/keys/identity.json"));
    assert_eq!(plain_again.unwrap(), plain);
    other.options().env.clear();
    other.restart().await.unwrap();
    let (_, there) = verb(&other, &[&["keys", "show"], &operator[..]].concat()).await;
    assert_eq!(there["encryptionKeys"], rotated["encryptionKeys"]);
}
