//! Three nodes, one replica, one node killed in the middle. Three JVMs are too heavy for every run:
//! `cargo test -p oip-index --test elastic -- --ignored`.

use std::time::Duration;

use oip_index::{Index, Query};
use serde_json::json;
use testkit::search_server::Cluster;
use testkit::{SearchOptions, SearchServer, search_servers};

use super::place::{Place, call};
use crate::suite::corpus::named;

#[test]
#[ignore = "three servers at once; see docs/elasticsearch.md"]
fn a_cluster_that_loses_a_node_loses_nothing() {
    const RECORDS: u64 = 20_000;
    const BATCH: u64 = 1_000;
    let distributions = search_servers();
    let Some(distribution) = distributions.iter().find(|one| one.flavour == "opensearch") else {
        return;
    };
    let node = |name: &str, seeds: Vec<String>| {
        let options = SearchOptions {
            heap_mb: 512,
            cluster: Some(Cluster {
                node: name.into(),
                first: "one".into(),
                seeds,
            }),
            ..SearchOptions::default()
        };
        SearchServer::start(distribution, options).unwrap()
    };
    let one = node("one", Vec::new());
    let seeds = vec![one.transport().to_owned()];
    let (two, mut three) = (node("two", seeds.clone()), node("three", seeds));
    let green = "/_cluster/health?wait_for_status=green&wait_for_nodes=3&timeout=120s";
    let (status, health) = call(&one.url(), "GET", green, None);
    assert_eq!(
        (status, &health["number_of_nodes"]),
        (200, &json!(3)),
        "{health}"
    );

    let place = Place::at(&two.url());
    let mut settings = place.settings();
    settings.patience = Duration::from_secs(5);
    let index = super::place::open(settings);
    assert_eq!(index.cursor().unwrap(), 0);
    let (_, answer) = place.call(
        "PUT",
        "/_settings",
        Some(json!({"index.number_of_replicas": 1})),
    );
    assert_eq!(answer["acknowledged"], true, "{answer}");
    let health = format!(
        "/_cluster/health/{}?wait_for_status=green&timeout=120s",
        place.name
    );
    assert_eq!(call(&one.url(), "GET", &health, None).0, 200);

    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            let mut cursor = 0;
            while cursor < RECORDS {
                let batch: Vec<_> = (cursor..cursor + BATCH)
                    .map(|number| named(&format!("did:gun:{number:05}"), "word"))
                    .collect();
                match index.apply(&batch, cursor + BATCH) {
                    Ok(_) => cursor += BATCH,
                    Err(_) => {
                        while let Err(_away) = index.cursor() {}
                        cursor = index.cursor().unwrap();
                    }
                }
            }
        });
        while index.count(&Query::default()).unwrap_or(0) < 2 * BATCH {}
        three.kill9().unwrap();
        feeding.join().unwrap();
    });
    assert_eq!(index.cursor().unwrap(), RECORDS);
    assert_eq!(index.count(&Query::default()).unwrap(), RECORDS);
}
