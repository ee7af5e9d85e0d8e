//! Start and stop: what was acknowledged is there again, and what can't start says what to do.

use std::net::TcpListener;

use oip_node::{Node, StartError};

use crate::support::{Author, config, node, node_on, now_ms, put, submission, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_stop_is_there_after_it() {
    let node = node(&[]).await;
    let mut published = Vec::new();
    for n in 0..20 {
        let done = node
            .publish(submission(&format!("p-{n}"), text("kept")))
            .await;
        published.push(done.unwrap());
    }
    let foreign = Author::new(1).version("foreign", text("kept too"), now_ms());
    put(&mut node.client().await, foreign.announced(now_ms())).await;
    // Stopped at once: nothing waits for index or discovery.
    let node = node.restart(&[]).await;
    for done in &published {
        assert_eq!(
            node.get(&done.did).await.unwrap().as_ref(),
            Some(&done.document)
        );
    }
    node.indexed().await;
    for done in &published {
        assert_eq!(node.found(&done.did).await.as_ref(), Some(&done.document));
    }
    node.shows(&foreign.did, &foreign.document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_twice_and_asking_a_stopped_node_end_in_answers() {
    let node = node(&[]).await;
    let published = node.publish(submission("p", text("one"))).await.unwrap();
    node.node.stop().await;
    node.node.stop().await;
    assert!(node.publish(submission("q", text("two"))).await.is_err());
    assert!(node.delete(&published.did).await.is_err());
    assert!(
        testkit::RawGun::connect(&format!("ws://{}/gun", node.relay_address()))
            .await
            .is_err()
    );
    let dir = node.stop().await;
    let node = node_on(dir, &[], |_| {}).await;
    assert!(node.get(&published.did).await.unwrap().is_some());
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

fn names(error: &StartError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part} in: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_refused_with_the_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = refused(|config| config.relay_listen = address).await;
    assert!(matches!(error, StartError::Listen { .. }));
    names(&error, &[&address.to_string(), "GUN_RELAY_PORT"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_another_node_uses_is_refused_with_the_cure_and_free_after_its_stop() {
    let first = node(&[]).await;
    let Err(error) = Node::start(config(first.dir.path())).await else {
        panic!("two nodes on one folder");
    };
    names(
        &error,
        &["in use by another process", "data folder of its own"],
    );
    let published = first.publish(submission("p", text("one"))).await.unwrap();
    let second = first.restart(&[]).await;
    assert!(second.get(&published.did).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_can_not_be_made_is_refused_with_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refused(|config| config.data_dir = file.join("data")).await;
    names(&error, &["OIP_GUN_DATA_DIR", "file/data"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_root_that_names_nothing_is_refused_with_the_cure() {
    for root in ["", "a b", "a/b", "~x", "é", &"r".repeat(129)] {
        let error = refused(|config| config.registry_root = root.to_owned()).await;
        names(&error, &["GUN_REGISTRY_ROOT", "oip:registry"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_the_node_itself_is_refused_with_the_cure() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    for peer in [
        format!("http://{address}"),
        format!("ws://localhost:{}/gun", address.port()),
    ] {
        let error = refused(|config| {
            config.relay_listen = address;
            config.peers = gun_net::parse_peers(&peer).unwrap();
        })
        .await;
        names(&error, &["this node itself", "remove it"]);
    }
}
