//! The files in `deploy/`: the compose file against a schema, and the same commands and environment
//! without containers, since no engine runs where these tests do.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod compose;

use std::path::PathBuf;
use std::time::Duration;

use compose::{Service, file};
use serde_json::{Value, json};
use testkit::{NodeOptions, NodeProcess, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-long-random-text-for-this-test";

#[test]
fn the_compose_file_follows_the_specification() {
    let schema = serde_json::from_str(&file("testdata/compose.schema.json")).unwrap();
    let compose = compose::read();
    assert_eq!(compose::faults(&compose, &schema), Vec::<String>::new());
    // The check can fail.
    let mut broken = compose;
    broken["services"]["node-a"]["evironment"] = json!({});
    broken["services"]["node-b"]["restart"] = json!("sometimes");
    assert_eq!(
        compose::faults(&broken, &schema),
        [
            "/services/node-a/evironment is not known",
            "/services/node-b/restart is \"sometimes\"",
        ]
    );
}

#[test]
fn what_the_compose_file_names_is_there() {
    let compose = compose::read();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        let build = &service["build"];
        let context = build["context"].as_str().unwrap();
        assert_eq!(context, "..", "{name}");
        assert!(file(build["dockerfile"].as_str().unwrap()).contains("HEALTHCHECK"));
        for network in service["networks"].as_array().unwrap() {
            assert!(!compose["networks"][network.as_str().unwrap()].is_null());
        }
        for volume in service["volumes"].as_array().unwrap() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(compose["volumes"].get(volume).is_some(), "{name}: {volume}");
        }
        for needed in service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains_key(needed.0), "{name}: {}", needed.0);
        }
    }
}

#[test]
fn the_compose_snippets_for_moving_over_are_whole_and_keep_the_import() {
    let schema = serde_json::from_str(&file("testdata/compose.schema.json")).unwrap();
    let snippets = compose::snippets(&file("docs/moving-over.md"));
    assert_eq!(snippets.len(), 1);
    for snippet in snippets {
        assert_eq!(compose::faults(&snippet, &schema), Vec::<String>::new());
        let service = &snippet["services"]["gun-relay"];
        let mounts: Vec<Vec<&str>> = service["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| volume.as_str().unwrap().split(':').collect())
            .collect();
        for mount in &mounts {
            let is_named = !mount[0].starts_with('.');
            let is_declared = snippet["volumes"].get(mount[0]).is_some();
            assert_eq!(is_named, is_declared, "{mount:?}");
        }
        // What is imported lies where the image keeps its data, and the wallet where the node looks for it.
        let data = compose::image_environment()
            .into_iter()
            .find(|(name, _)| name == "OIP_GUN_DATA_DIR")
            .unwrap()
            .1;
        let holds = |mount: &&Vec<&str>| data.starts_with(mount[1]) && !mount.contains(&"ro");
        assert!(mounts.iter().any(|mount| holds(&mount)), "{mounts:?}");
        let wallet = service["environment"]["WALLET_FILE"].as_str().unwrap();
        assert!(mounts.iter().any(|mount| mount[1] == wallet), "{wallet}");
        for network in service["networks"].as_array().unwrap() {
            assert!(snippet["networks"].get(network.as_str().unwrap()).is_some());
        }
        // Both ports are reached from outside.
        let ports = service["ports"].to_string();
        assert!(
            ports.contains(":8765\"") && ports.contains(":3005\""),
            "{ports}"
        );
    }
}

#[tokio::test]
async fn the_commands_for_moving_over_are_ones_that_the_program_knows() {
    let text = file("docs/moving-over.md");
    let mut kinds = Vec::new();
    for line in text.lines().map(str::trim) {
        let given = line
            .strip_prefix("docker compose run ")
            .and_then(|rest| rest.split_once(" gun-relay "))
            .or_else(|| line.split_once("docker compose exec gun-relay oip-gun "));
        let Some((before, arguments)) = given.filter(|(_, rest)| !rest.starts_with('-')) else {
            continue;
        };
        if before.contains("--rm") {
            // One that is made for the command alone, and starts nothing else.
            assert!(before.contains("--no-deps"), "{line}");
        }
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        // A word that is not known is found before the help is given.
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_oip-gun"))
            .args(&arguments)
            .arg("--help")
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        if arguments[0] == "migrate" {
            kinds.push(arguments[1]);
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "backup",
            "elasticsearch",
            "legacy-private",
            "radata",
            "templates"
        ]
    );
}

#[test]
fn the_image_is_built_in_stages_and_runs_without_root() {
    let text = file("deploy/Dockerfile");
    let stages = text
        .lines()
        .filter(|line| line.starts_with("FROM "))
        .count();
    assert_eq!(stages, 2);
    let last = text.rsplit("FROM ").next().unwrap();
    let user = last.lines().find(|line| line.starts_with("USER ")).unwrap();
    assert_eq!(user, "USER oip");
    for (name, value) in compose::image_environment() {
        assert!(name.starts_with("OIP_GUN_"), "{name}={value}");
    }
    // Everything that the build copies is in the repository, and whole.
    for line in text
        .lines()
        .filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
    {
        let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
        words.pop();
        for source in words {
            assert!(compose::root().join(source).exists(), "{source}");
        }
    }
}

/// Starts a service as its container would be, on ports of its own and with its peers where they run.
async fn start(service: &Service, hosts: &[(&str, String)]) -> NodeProcess {
    let mut options = NodeOptions::named(service.name.as_str());
    let own = ["OIP_GUN_DATA_DIR"];
    let environment = compose::image_environment()
        .into_iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .chain(service.environment.clone());
    for (name, value) in environment {
        let mut value = value.replace(
            "${OIP_GUN_ADMIN_TOKEN:?set it to a long random text}",
            TOKEN,
        );
        for (host, address) in hosts {
            value = value.replace(host, address);
        }
        // Every interface of a container is its own; of this machine, loopback is.
        options = options.env(name, value.replace("0.0.0.0", "127.0.0.1"));
    }
    options.args = compose::image_command();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_oip-gun"));
    NodeProcess::start(binary, options).await.unwrap()
}

#[tokio::test]
async fn the_services_run_with_the_same_commands_and_environment_without_containers() {
    let services = compose::services();
    let of = |name: &str| {
        services
            .iter()
            .find(|service| service.name == name)
            .unwrap()
    };
    let relay = start(of("shared-gun-relay"), &[]).await;
    let hosts = [("ws://shared-gun-relay:8765/gun", relay.relay().to_owned())];
    let a = start(of("node-a"), &hosts).await;
    let b = start(of("node-b"), &hosts).await;
    // The verification of the deployment guide.
    for (node, id) in [(&a, "node-a-production"), (&b, "node-b-staging")] {
        wait_until(PATIENCE, &format!("{id} is healthy"), || async {
            let health = node.get("/api/health/gun-sync").await.unwrap().body;
            if health["status"] == "healthy" && health["peers"][0]["state"] == "connected" {
                assert_eq!(health["nodeId"], id);
                assert_eq!(health["configuration"]["syncInterval"], 30_000);
                assert_eq!(health["registry"]["registryRoot"], "oip:registry");
                return Ok(());
            }
            Err(health.to_string())
        })
        .await;
    }
    // The health check of the image.
    let check = compose::image_health_check();
    assert_eq!(check[0], "oip-gun");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_oip-gun"))
        .args(&check[1..])
        .env("OIP_GUN_URL", a.api())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // Records travel from one to the other.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!(
        "{}/api/records/newRecord?recordType=post&localId=hello",
        a.api()
    );
    let body = json!({"basic": {"name": "Hello", "tagItems": ["a"]}});
    let sent = http.post(&url).json(&body);
    let answer = sent.bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let published: Value = answer.json().await.unwrap();
    let refused = http.post(&url).json(&body).send().await.unwrap();
    assert_eq!(refused.status(), 401, "writing needs the token");
    let did = published["did"].as_str().unwrap();
    wait_until(PATIENCE, "the record on node-b", || async {
        let page = b
            .get(&format!("/api/records?hideDateReadable=true&did={did}"))
            .await
            .unwrap()
            .body;
        match page["records"].get(0) {
            Some(record) if record["data"] == body => Ok(()),
            _ => Err(page.to_string()),
        }
    })
    .await;
}
