//! `GUN_SYNC_TRUSTED_NODES`: whose records are taken, on every path by which they come.

use gun::State;
use oip_node::migrate::backup;
use oip_node::{Admission, SyncMode, TrustedNode};
use oip_record::{Did, NodeIdentity};
use oip_vault::keys::EncryptionKey;
use oip_vault::statement::Statement;
use serde_json::json;

use crate::pulling::{deployed, did, signed, wallet};
use crate::support::{
    Author, TestNode, config, eventually, graph, join, node, node_on, node_with, now_ms, put,
    submission, text,
};

fn trusting(names: &[&str]) -> Vec<TrustedNode> {
    let names = names.iter();
    names
        .map(|name| TrustedNode::parse(name).unwrap())
        .collect()
}

async fn trusts(peers: &[&TestNode], names: &[&str]) -> TestNode {
    let trusted = trusting(names);
    node_with(peers, |config| {
        config.sync.trusted = trusted;
        config.sync.interval_ms = 500;
    })
    .await
}

async fn takes(node: &TestNode, did: &Did) {
    eventually(&format!("{did} is taken"), || async {
        node.get(did).await.unwrap().map(drop)
    })
    .await;
}

async fn puts_aside(node: &TestNode, count: u64) {
    node.counted("records_untrusted_total", count).await;
}

/// What the operator reads of a record's fate.
async fn explained(node: &TestNode, did: &Did) -> String {
    let explained = node
        .explain(did, &oip_index::Access::Everything)
        .await
        .unwrap()
        .unwrap();
    explained.graph.unwrap_or_default()
}

/// A relay on which three nodes have published, and what each published.
async fn relay_of_two() -> (TestNode, [TestNode; 2], [Did; 2]) {
    let relay = crate::support::relay().await;
    let a = node_with(&[&relay], |config| {
        config.node_id_override = Some("alias-of-a".to_owned());
    })
    .await;
    let c = node(&[&relay]).await;
    let of_a = a.publish(submission("a", text("of a"))).await.unwrap().did;
    let of_c = c.publish(submission("c", text("of c"))).await.unwrap().did;
    eventually("both lie on the relay", || async {
        let mut client = relay.client().await;
        for did in [&of_a, &of_c] {
            let got = client.get(did.soul().as_str(), crate::support::PATIENCE);
            got.await.unwrap()?;
        }
        Some(())
    })
    .await;
    (relay, [a, c], [of_a, of_c])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_records_of_a_trusted_node_are_taken_live_and_by_sweep() {
    let (relay, [a, c], [of_a, of_c]) = relay_of_two().await;
    let names = [
        a.identity().0,
        a.identity().1,
        "alias-of-a".to_owned(),
        format!("alias-of-a@{}", &a.identity().0[..16]),
        a.creator().did_address.clone(),
        a.creator().public_key.clone(),
    ];
    for (n, name) in names.iter().enumerate() {
        // What was there before the node came: by asking.
        let b = trusts(&[&relay], &[name]).await;
        takes(&b, &of_a).await;
        puts_aside(&b, 1).await;
        b.sync_now().await.unwrap();
        assert_eq!(b.get(&of_c).await.unwrap(), None, "{name}");
        assert!(
            explained(&b, &of_c)
                .await
                .contains("GUN_SYNC_TRUSTED_NODES")
        );
        let health = b.health();
        assert_eq!(health.status, "healthy", "{:?}", health.reasons);
        assert_eq!(health.trust[0].state, "known", "{:?}", health.trust);
        // And what is published from now on: by push.
        let before = b.metric("records_untrusted_total");
        let local_id = format!("more-{n}");
        let more = a.publish(submission(&local_id, text("more of a"))).await;
        c.publish(submission(&local_id, text("more of c")))
            .await
            .unwrap();
        takes(&b, &more.unwrap().did).await;
        puts_aside(&b, before + 1).await;
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_entry_under_a_trusted_nodes_id_makes_nobody_trusted() {
    let trusted = node(&[]).await;
    let b = trusts(&[&trusted], &[&trusted.identity().0]).await;
    let version = Author::new(3).version("x", text("a stranger's"), now_ms());
    let entry = crate::support::entry("post", &version.soul, &trusted.identity().0, now_ms());
    let announced = join(version.record(now_ms()), entry);
    put(&mut b.client().await, announced).await;
    puts_aside(&b, 1).await;
    assert_eq!(b.get(&version.did).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_waits_for_its_nodes_statement_and_is_taken_when_that_comes() {
    let identity = NodeIdentity::from_scalar([9; 32]).unwrap();
    let author = Author::new(4);
    let b = trusts(&[], &[&identity.node_id()]).await;
    let version = author.version("early", text("came first"), now_ms());
    put(&mut b.client().await, version.announced(now_ms())).await;
    puts_aside(&b, 1).await;
    assert_eq!(b.health().trust[0].state, "waiting");
    assert_eq!(b.get(&version.did).await.unwrap(), None);
    say(
        &b,
        &identity,
        None,
        vec![author.key.creator().did_address.clone()],
    )
    .await;
    takes(&b, &version.did).await;
    assert_eq!(b.health().trust[0].state, "known");
}

/// Puts the statement of a node that does not run, and the pointers to it.
async fn say(to: &TestNode, identity: &NodeIdentity, alias: Option<&str>, creators: Vec<String>) {
    let statement = Statement {
        id: identity.node_id(),
        public: identity.public().to_owned(),
        alias: alias.map(str::to_owned),
        encryption: EncryptionKey::from_scalar([5; 32])
            .unwrap()
            .public()
            .clone(),
        creators,
        seq: now_ms(),
        at_ms: now_ms(),
    };
    let at_ms = now_ms();
    let (soul, entry) = statement.sign(identity, State::from_millis(at_ms)).unwrap();
    let mut said = graph(&[(soul, vec![(entry.key, entry.value)])], at_ms);
    for name in [Some(&*statement.id), alias].into_iter().flatten() {
        let pointer = format!("oip:registry:nodes:{name}");
        let fields = [
            ("pub", json!(identity.public())),
            ("timestamp", json!(at_ms)),
        ];
        said = join(said, testkit::raw::node(&pointer, &fields, at_ms));
    }
    put(&mut to.client().await, said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_key_that_claims_a_trusted_alias_is_not_trusted_and_shows() {
    let first = NodeIdentity::from_scalar([1; 32]).unwrap();
    let second = NodeIdentity::from_scalar([2; 32]).unwrap();
    let (honest, hostile) = (Author::new(1), Author::new(2));
    let creators = |author: &Author| vec![author.key.creator().did_address.clone()];
    let b = trusts(&[], &["harbour"]).await;
    say(&b, &first, Some("harbour"), creators(&honest)).await;
    eventually("the alias is bound", || async {
        (b.health().trust[0].state == "known").then_some(())
    })
    .await;
    say(&b, &second, Some("harbour"), creators(&hostile)).await;
    eventually("the claim shows", || async {
        let claimed = b.health().trust[0].claimed_by.clone();
        (claimed == Some(second.node_id())).then_some(())
    })
    .await;
    let good = honest.version("good", text("honest"), now_ms());
    let bad = hostile.version("bad", text("hostile"), now_ms());
    put(&mut b.client().await, bad.announced(now_ms())).await;
    puts_aside(&b, 1).await;
    put(&mut b.client().await, good.announced(now_ms())).await;
    takes(&b, &good.did).await;
    assert_eq!(b.get(&bad.did).await.unwrap(), None);
    // The pin outlives the process.
    let dir = b.stop().await;
    let b = node_on(dir, &[], |config| {
        config.sync.trusted = trusting(&["harbour"]);
    })
    .await;
    assert_eq!(b.health().trust[0].node_id, Some(first.node_id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pulled_from_a_named_peer_is_taken_and_from_another_only_by_its_creator() {
    let (named, other) = (deployed().await, deployed().await);
    let peers = gun_net::parse_peers(&format!("{},{}", named.base(), other.base())).unwrap();
    let (key, at_ms) = (wallet(), now_ms() - 60_000);
    let from_named = signed(&key, "named", &text("from the named one"), at_ms);
    let from_other = signed(&key, "other", &text("from the other"), at_ms);
    named.publish(&from_named);
    other.publish(&from_other);
    let by_peer = format!("old@{}", named.base());
    let mut trusted = trusting(&[&by_peer]);
    let b = node_with(&[], |config| {
        config.peers = peers.clone();
        config.sync.interval_ms = 200;
        config.sync.trusted = trusted.clone();
    })
    .await;
    takes(&b, &did(&from_named)).await;
    puts_aside(&b, 1).await;
    assert_eq!(b.get(&did(&from_other)).await.unwrap(), None);
    // Named by its creator, what was put aside is read again.
    trusted.push(TrustedNode::parse(&key.creator().did_address).unwrap());
    let b = node_on(b.stop().await, &[], |config| {
        config.peers = peers;
        config.sync.interval_ms = 200;
        config.sync.trusted = trusted;
    })
    .await;
    takes(&b, &did(&from_other)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_takes_what_trusted_nodes_made_and_keeps_account_of_the_rest() {
    let a = node(&[]).await;
    let c = node(&[]).await;
    let mut documents = Vec::new();
    let mut dids = Vec::new();
    for node in [&a, &c] {
        let published = node.publish(submission("x", text("x"))).await.unwrap();
        documents.push(node.get(&published.did).await.unwrap().unwrap());
        dids.push(published.did);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.json");
    std::fs::write(&file, json!(documents).to_string()).unwrap();
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let mut importing = config(dir.path());
    importing.sync.trusted = trusting(&[&a.creator().did_address]);
    let report = tokio::task::spawn_blocking(move || backup::import(&importing, &[file], |_| {}))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((report.taken, report.refused["untrusted"]), (1, 1));
    let b = node_on(dir.clone(), &[], |config| {
        config.sync.trusted = trusting(&[&a.creator().did_address]);
    })
    .await;
    takes(&b, &dids[0]).await;
    assert_eq!(b.get(&dids[1]).await.unwrap(), None);
    // Everybody is trusted again, and peers are asked for what the import left out.
    let dir = b.stop().await;
    let b = node_on(dir, &[&c], |_| {}).await;
    takes(&b, &dids[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_by_one_who_is_not_trusted_any_more_is_put_aside_and_his_deletion_honoured() {
    let relay = node_with(&[], |config| {
        config.sync.mode = SyncMode::Off;
        config.admission = Admission::Open;
    })
    .await;
    let author = Author::new(6);
    let b = node(&[&relay]).await;
    let first = author.version("n", text("first"), now_ms() - 5_000);
    put(&mut relay.client().await, first.announced(now_ms() - 5_000)).await;
    takes(&b, &first.did).await;
    let b = node_on(b.stop().await, &[&relay], |config| {
        config.sync.trusted = trusting(&["did:key:znobody"]);
    })
    .await;
    let second = author.version("n", text("second"), now_ms());
    put(&mut relay.client().await, second.announced(now_ms())).await;
    puts_aside(&b, 1).await;
    let shown = b.get(&first.did).await.unwrap().unwrap();
    assert_eq!(shown["data"]["post"]["articleText"], "first");
    let gone = author.tombstone(&second, now_ms() + 5);
    put(&mut relay.client().await, gone.announced(now_ms() + 5)).await;
    b.hides(&first.did).await;
}
