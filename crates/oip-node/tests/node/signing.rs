//! With which key a node signs.

use std::path::PathBuf;

use oip_node::{Node, StartError};

use crate::support::{config, eventually, node, node_with, submission, text};

fn wallet() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors/own/throw-away-wallet.json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_wallet_signs_under_its_own_prefix_and_arrives_verified() {
    let b = node_with(&[], |config| {
        config.sync.signatures = oip_record::SignaturePolicy::Require;
    })
    .await;
    let a = node_with(&[&b], |config| config.wallet_file = Some(wallet())).await;
    assert!(a.creator().did_address.starts_with("did:arweave:"));
    let published = a.publish(submission("p", text("one"))).await.unwrap();
    let prefix = published.soul.as_str().split(':').next().unwrap();
    assert_eq!(prefix.len(), 12, "as deployed nodes compute it");
    assert_eq!(
        prefix,
        oip_record::soul::prefix(
            &a.creator().public_key,
            oip_record::soul::PrefixWidth::Deployed
        )
    );
    b.shows(&published.did, &published.document).await;
    let document = b.found(&published.did).await.unwrap();
    assert_eq!(document["oip"].get("verification"), None);
    assert_eq!(
        document["oip"]["creator"]["didAddress"],
        a.creator().did_address.as_str()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_once_for_their_owner_alone_and_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let node = node(&[]).await;
    let (id, creator) = (node.node_id().to_owned(), node.creator().clone());
    assert!(creator.did_address.starts_with("did:key:z6Mk"));
    for name in ["creator.json", "identity.json"] {
        let file = node.dir.path().join("keys").join(name);
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let node = node.restart(&[]).await;
    assert_eq!((node.node_id(), node.creator()), (id.as_str(), &creator));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_publish_one_name_with_one_wallet_at_once_end_with_one_version() {
    let with_wallet = |config: &mut oip_node::NodeConfig| config.wallet_file = Some(wallet());
    let b = node_with(&[], with_wallet).await;
    let a = node_with(&[&b], with_wallet).await;
    // Linked before they start: what is tested is the race, not the connection.
    let linked = a
        .publish(submission("linked", text("linked")))
        .await
        .unwrap();
    b.shows(&linked.did, &linked.document).await;
    for round in 0..5 {
        let name = format!("p-{round}");
        let (on_a, on_b) = tokio::join!(
            a.publish(submission(&name, text("from a"))),
            b.publish(submission(&name, text("from b"))),
        );
        let did = on_a.unwrap().did;
        assert_eq!(on_b.unwrap().did, did);
        eventually("one version on both", || async {
            let (on_a, on_b) = (a.get(&did).await.unwrap()?, b.get(&did).await.unwrap()?);
            (on_a == on_b).then_some(())
        })
        .await;
        let document = a.get(&did).await.unwrap().unwrap();
        a.shows(&did, &document).await;
        b.shows(&did, &document).await;
    }
}

async fn refused(set: impl FnOnce(&mut oip_node::NodeConfig)) -> StartError {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    set(&mut config);
    match Node::start(config).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_that_is_missing_or_no_wallet_is_refused_with_the_cure() {
    let missing = refused(|config| config.wallet_file = Some("/nowhere/wallet.json".into())).await;
    let message = missing.to_string();
    assert!(
        ["/nowhere/wallet.json", "WALLET_FILE", "unset it"]
            .iter()
            .all(|part| message.contains(part)),
        "{message}"
    );
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.json");
    std::fs::write(&other, "{\"kty\":\"RSA\"}").unwrap();
    let message = refused(|config| config.wallet_file = Some(other))
        .await
        .to_string();
    assert!(
        message.contains("WALLET_FILE") && message.contains("Arweave"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_key_is_never_replaced_by_a_new_one() {
    let node = node(&[]).await;
    let dir = node.stop().await;
    let file = dir.path().join("keys/creator.json");
    std::fs::write(&file, "{").unwrap();
    let Err(error) = Node::start(config(dir.path())).await else {
        panic!("it started with another key");
    };
    let message = error.to_string();
    assert!(message.contains("restore it from a backup"), "{message}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{");
}
