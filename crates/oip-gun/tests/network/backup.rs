//! `oip-gun backup` of a running node, and `oip-gun restore` into an empty folder.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use testkit::NodeProcess;
use tokio::process::Command;

use crate::journey::{ARRIVAL, arrives, binary, node, public_records, publish_all};

async fn run(home: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(binary())
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("OIP_GUN_DATA_DIR", home.join("data"))
        .output();
    tokio::time::timeout(ARRIVAL, output)
        .await
        .unwrap()
        .unwrap()
}

/// What a verb that has to work answers as JSON.
async fn told(home: &Path, arguments: &[&str]) -> Value {
    let output = run(home, &[arguments, &["--json"]].concat()).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn back_up(node: &NodeProcess, file: &str) -> Value {
    told(node.folder(), &["backup", file, "--url", node.api()]).await
}

#[tokio::test]
async fn a_node_is_backed_up_while_it_serves_and_another_takes_its_place() {
    let a = node("a", "").await;
    let published = publish_all(&a, &public_records()).await;
    let file = a.folder().join("a.backup");
    let path = file.to_str().unwrap();
    let made = back_up(&a, path).await;
    assert_eq!(made["backup"]["records"], json!(published.len()), "{made}");
    assert_eq!(
        made["bytes"],
        json!(std::fs::metadata(&file).unwrap().len())
    );
    assert!(!a.folder().join("a.backup.part").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // What is there is not written over, unless it is meant.
    let again = run(a.folder(), &["backup", path, "--url", a.api()]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
    told(a.folder(), &["backup", path, "--force", "--url", a.api()]).await;
    let to_stdout = run(a.folder(), &["backup", "-", "--url", a.api()]).await;
    assert_eq!(to_stdout.status.code(), Some(0));
    assert!(
        to_stdout
            .stdout
            .starts_with(b"{\"oipGunBackup\":{\"version\":1,")
    );

    // Nothing is taken while a node runs on the folder.
    let running = run(a.folder(), &["restore", path]).await;
    assert!(String::from_utf8_lossy(&running.stderr).contains("stop it"));

    let mut b = node("b", "").await;
    assert_eq!(b.terminate().await.unwrap(), Some(0));
    let looked = told(b.folder(), &["restore", path, "--dry-run"]).await;
    assert_eq!(looked["dryRun"], json!(true));
    assert_eq!(looked["taken"], json!(published.len()), "{looked}");
    let restored = told(b.folder(), &["restore", path]).await;
    assert_eq!(restored["taken"], json!(published.len()), "{restored}");
    let again = told(b.folder(), &["restore", path]).await;
    assert_eq!(
        (&again["taken"], &again["known"]),
        (&json!(0), &json!(published.len()))
    );
    b.restart().await.unwrap();
    for record in &published {
        arrives(&b, record).await;
    }

    // A file that is torn is told with its place, and nothing is taken.
    let torn = a.folder().join("torn.backup");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&torn, &whole[..whole.len() - 10]).unwrap();
    assert_eq!(b.terminate().await.unwrap(), Some(0));
    let output = run(b.folder(), &["restore", torn.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("it breaks off in or after line"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_backup_that_breaks_off_leaves_no_file() {
    let mut a = node("a", "").await;
    let url = a.api().to_owned();
    a.kill9().await.unwrap();
    let file = a.folder().join("none.backup");
    let output = run(
        a.folder(),
        &["backup", file.to_str().unwrap(), "--url", &url],
    )
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert!(!file.exists() && !a.folder().join("none.backup.part").exists());
}
