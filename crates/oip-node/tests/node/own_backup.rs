//! A backup made while a node serves, and restoring it: by the judging and order of every other path.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oip_node::backup::{Checker, RestoreError, RestoreReport, inspect, restore};
use oip_node::migrate::backup::ImportError;
use oip_record::Did;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deployed::signed_by_wallet;
use crate::support::{
    Author, TestNode, config, eventually, node, node_on, now_ms, put, store_of, submission, text,
};

/// The backup of a running node as a file in its folder.
pub(crate) async fn back_up(node: &TestNode, name: &str) -> PathBuf {
    let path = node.dir.path().join(name);
    let source = node.backup();
    let written = tokio::task::spawn_blocking(move || {
        let mut whole = String::new();
        let end = source.write(|line| {
            whole.push_str(&line);
            true
        });
        (whole, end.unwrap())
    });
    let (whole, end) = written.await.unwrap();
    let mut checker = Checker::default();
    checker.push(whole.as_bytes()).unwrap();
    assert_eq!(checker.finish().unwrap().end, end);
    std::fs::write(&path, whole).unwrap();
    path
}

fn restored(dir: &Path, file: &Path) -> RestoreReport {
    restore(&config(dir), file, |_| {}).unwrap()
}

/// An empty data folder with the keys of another.
fn with_keys_of(node: &TestNode) -> Arc<TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (node.dir.path().join("keys"), dir.path().join("keys"));
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    std::fs::set_permissions(
        &to,
        std::fs::metadata(node.dir.path().join("keys"))
            .unwrap()
            .permissions(),
    )
    .unwrap();
    Arc::new(dir)
}

/// Own and foreign records, an edit, a deletion, and a private one; the DIDs of those that are shown.
async fn stocked(node: &TestNode) -> (Vec<(Did, Value)>, Did, Did) {
    let mut shown = Vec::new();
    for number in 0..40 {
        let name = format!("own-{number}");
        let published = node.publish(submission(&name, text(&name))).await.unwrap();
        shown.push((published.did, published.document));
    }
    let edited = node
        .publish(submission("own-3", text("edited")))
        .await
        .unwrap();
    shown[3].1 = edited.document;
    let (deleted, _) = shown.remove(7);
    node.delete(&deleted).await.unwrap();
    let now = now_ms();
    let foreign = Author::new(9).version("foreign", text("by another"), now - 60_000);
    put(&mut node.client().await, foreign.announced(now)).await;
    node.shows(&foreign.did, &foreign.document).await;
    shown.push((foreign.did.clone(), foreign.document.clone()));
    let mut secret = text("the needle of the backup");
    secret["accessControl"] = json!({"access_level": "private"});
    let secret = node.publish(submission("secret", secret)).await.unwrap();
    (shown, deleted, secret.did)
}

async fn has_everything(node: &TestNode, shown: &[(Did, Value)], deleted: &Did) {
    for (did, document) in shown {
        node.shows(did, document).await;
    }
    node.hides(deleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restored_from_its_keys_and_a_backup_is_the_node_it_was() {
    let a = node(&[]).await;
    let (shown, deleted, secret) = stocked(&a).await;
    assert!(a.verify_audit().await.unwrap().entries > 0);
    let file = back_up(&a, "whole.backup").await;
    let whole = std::fs::read_to_string(&file).unwrap();
    assert!(!whole.contains("needle"), "private records are ciphertext");
    let dir = with_keys_of(&a);
    let looked = inspect(&config(dir.path()), &file, |_| {}).unwrap();
    assert_eq!(
        (looked.records.found, looked.records.taken),
        (42, 42),
        "{looked:?}"
    );
    assert!(!dir.path().join("store").exists());
    let mut seen = (0, 0);
    let report = restore(&config(dir.path()), &file, |progress| {
        seen = (progress.done, progress.total)
    })
    .unwrap();
    assert_eq!(seen, (42, 42));
    assert_eq!(
        (
            report.records.taken,
            report.records.own,
            report.records.known
        ),
        (42, 41, 0),
        "{report:?}"
    );
    assert_eq!(report.records.refused.len(), 0, "{report:?}");
    assert!(report.audit > 0, "{report:?}");
    let again = restored(dir.path(), &file);
    assert_eq!(
        (
            again.records.taken,
            again.records.known,
            again.marks,
            again.audit
        ),
        (0, 42, 0, 0)
    );

    let before = a
        .get_as(&secret, &oip_index::Access::Everything)
        .await
        .unwrap()
        .unwrap();
    let dir_a = a.stop().await;
    let (old, new) = (store_of(&dir_a), store_of(&dir));
    for row in old.records(None, 1_000).unwrap() {
        let mut same = new.record(&row.soul).unwrap().unwrap();
        // Its place in this store's feed.
        same.seq = row.seq;
        assert_eq!(same, row);
    }
    old.close().unwrap();
    new.close().unwrap();
    let b = node_on(dir, &[], |_| {}).await;
    has_everything(&b, &shown, &deleted).await;
    assert_eq!(
        b.get_as(&secret, &oip_index::Access::Everything)
            .await
            .unwrap(),
        Some(before)
    );
    let trail = b.verify_audit().await.unwrap();
    assert_eq!(trail.broken, None, "{trail:?}");
    // Registered anew: another node finds them there.
    let c = node(&[&b]).await;
    has_everything(&c, &shown, &deleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_takes_nothing_back_that_is_newer_or_deleted() {
    let a = node(&[]).await;
    let old = a.publish(submission("edited", text("old"))).await.unwrap();
    let gone = a.publish(submission("gone", text("here"))).await.unwrap();
    let file = back_up(&a, "old.backup").await;
    let new = a.publish(submission("edited", text("new"))).await.unwrap();
    a.delete(&gone.did).await.unwrap();
    assert_eq!(old.did, new.did);
    let dir = a.stop().await;
    let report = restored(dir.path(), &file);
    assert_eq!(
        (report.records.taken, report.records.known),
        (0, 2),
        "{report:?}"
    );
    let a = node_on(dir, &[], |_| {}).await;
    a.shows(&new.did, &new.document).await;
    a.hides(&gone.did).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_torn_changed_or_forged_is_refused_with_its_place_and_takes_nothing() {
    let a = node(&[]).await;
    for number in 0..5 {
        let name = format!("r{number}");
        a.publish(submission(&name, text(&name))).await.unwrap();
    }
    let file = back_up(&a, "good.backup").await;
    let good = std::fs::read(&file).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.backup");
    let refused = |bytes: &[u8]| {
        std::fs::write(&bad, bytes).unwrap();
        let error = restore(&config(dir.path()), &bad, |_| {}).unwrap_err();
        assert!(matches!(error, RestoreError::NotWhole { .. }), "{error}");
        assert!(!dir.path().join("store").exists(), "nothing was begun");
        error.to_string()
    };
    let told = refused(&good[..good.len() / 2]);
    assert!(told.contains("bad.backup is no whole backup, and nothing was taken from it: it breaks off in or after line "), "{told}");
    let mut changed = good.clone();
    let third = good
        .split_inclusive(|byte| *byte == b'\n')
        .take(2)
        .map(<[u8]>::len)
        .sum::<usize>();
    changed[third + 40] ^= 1;
    let told = refused(&changed);
    assert!(told.contains("line 3 is not as it was written"), "{told}");
    let told = refused(b"[{\"oip\": {}}]");
    assert!(told.contains("oip-gun migrate backup"), "{told}");
    let missing = restore(&config(dir.path()), Path::new("/nowhere/at.all"), |_| {}).unwrap_err();
    assert!(matches!(missing, RestoreError::File { .. }));
    let running = restore(&config(a.dir.path()), &file, |_| {}).unwrap_err();
    assert!(
        matches!(running, RestoreError::Import(ImportError::NodeRuns(_))),
        "{running}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_does_not_verify_is_refused_though_the_file_is_whole() {
    let a = node(&[]).await;
    let now = now_ms();
    let version = Author::new(4).version("v", text("as signed"), now - 60_000);
    put(&mut a.client().await, version.announced(now)).await;
    a.shows(&version.did, &version.document).await;
    let dir = a.stop().await;
    // Whoever can write the store can make a whole backup of anything.
    let store = store_of(&dir);
    let mut row = store.record(version.did.soul()).unwrap().unwrap();
    row.data = row
        .data
        .map(|data| data.replace("as signed", "as forged").into());
    store
        .commit(
            oip_store::Transaction::from(oip_store::Op::PutRecord(row)),
            now,
        )
        .await
        .unwrap();
    store.close().unwrap();
    let a = node_on(dir, &[], |_| {}).await;
    let file = back_up(&a, "forged.backup").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let report = restored(elsewhere.path(), &file);
    assert_eq!(
        (report.records.taken, report.records.refused.len()),
        (0, 1),
        "{report:?}"
    );
    let store = store_of(&elsewhere);
    assert_eq!(store.quarantine_len(), 1);
    store.close().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_a_backup_is_made_is_in_it_or_after_it_and_nothing_else_is_missing()
{
    let a = node(&[]).await;
    let mut before = Vec::new();
    for number in 0..60 {
        let name = format!("before-{number}");
        before.push(a.publish(submission(&name, text(&name))).await.unwrap());
    }
    let publishing = {
        let node = a.node.clone();
        tokio::spawn(async move {
            for number in 0..60 {
                let name = format!("during-{number}");
                node.publish(submission(&name, text(&name))).await.unwrap();
                let again = format!("before-{number}");
                node.publish(submission(&again, text("edited")))
                    .await
                    .unwrap();
            }
        })
    };
    let file = back_up(&a, "busy.backup").await;
    publishing.await.unwrap();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let report = restored(dir.path(), &file);
    assert!(report.records.refused.is_empty(), "{report:?}");
    let store = store_of(&dir);
    for published in before {
        assert!(
            store.record(&published.soul).unwrap().is_some(),
            "{}",
            published.did
        );
    }
    store.close().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_was_superseded_before_a_backup_is_not_taken_again_after_a_restore() {
    let a = node(&[]).await;
    let now = now_ms();
    let (did, first) = signed_by_wallet("first", "2026-01-01T00:00:00.000Z", now - 30);
    let (_, second) = signed_by_wallet("second", "2026-01-02T00:00:00.000Z", now - 20);
    for (name, graph) in [("first", first), ("second", second)] {
        put(&mut a.client().await, graph).await;
        eventually("the version", || async {
            let held = a.get(&did).await.unwrap()?;
            (held["data"] == text(name)).then_some(())
        })
        .await;
    }
    let file = back_up(&a, "learned.backup").await;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let report = restored(dir.path(), &file);
    // Only the second is a record; that the first was one once is a mark.
    assert_eq!((report.records.taken, report.marks), (1, 1), "{report:?}");
    let b = node_on(dir, &[], |_| {}).await;
    let (_, dated_anew) = signed_by_wallet("first", "2026-01-03T00:00:00.000Z", now - 10);
    put(&mut b.client().await, dated_anew).await;
    b.counted("records_healed_total", 1).await;
    let held = b.get(&did).await.unwrap().unwrap();
    assert_eq!(held["data"], text("second"));
}
