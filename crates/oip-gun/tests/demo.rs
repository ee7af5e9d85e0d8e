//! `oip-gun demo` as a newcomer runs it: what it shows must be so.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

/// Far above what it takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test]
async fn the_demo_shows_records_arriving_and_a_private_one_that_only_its_reader_finds() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oip-gun"));
    command.args(["demo", "--json"]).kill_on_drop(true);
    if let Some(interop) = testkit::interop() {
        command.env("OIP_GUN_INTEROP", interop.folder());
    }
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.unwrap().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{error}\n{report:#}");
    let mut seen = 0;
    for set_up in report["setUps"].as_array().unwrap() {
        let Some(journey) = set_up.get("journey") else {
            assert!(testkit::interop().is_none(), "{set_up}");
            continue;
        };
        let rows = journey["records"].as_array().unwrap();
        assert_eq!(rows.len(), 18);
        let sealed = rows.iter().filter(|row| row["outcome"]["sealed"] == true);
        assert_eq!(sealed.count(), 10);
        for row in rows.iter().chain([&journey["edit"], &journey["delete"]]) {
            assert_eq!(row["outcome"]["difference"], Value::Null, "{row}");
        }
        let outsider = &journey["outsider"];
        assert_eq!(outsider["nameOnB"], json!("Weekly harbour meeting"));
        assert_eq!(
            (&outsider["foundOnC"], &outsider["leaked"]),
            (&json!(0), &Value::Null)
        );
        // A's key and B's.
        assert_eq!(outsider["recipients"], 2);
        assert_eq!(outsider["ciphertext"].as_str().unwrap().len(), 48);
        seen += 1;
    }
    assert!(seen > 0);
}
