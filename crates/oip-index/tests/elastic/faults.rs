//! Faults, on real servers where they can be provoked there, else by a proxy before one.

use std::time::Duration;

use oip_index::{Access, Index, IndexOp, Query};
use serde_json::json;
use testkit::{SearchOptions, SearchServer, search_servers};

use super::place::{Place, call, open, servers};
use super::proxy::{Fault, Proxy};
use crate::suite::corpus::named;
use crate::suite::{apply, found};

fn numbered(numbers: std::ops::Range<u64>) -> Vec<IndexOp> {
    numbers
        .map(|number| named(&format!("did:gun:{number:05}"), "word"))
        .collect()
}

#[test]
fn what_a_server_can_t_take_now_arrives_when_it_can() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let index = place.index();
        apply(&index, &[], 1);
        let busy = [
            Fault::Answer(429, "too many requests"),
            Fault::Answer(503, "shards are away"),
            Fault::CutAfter,
            Fault::Answer(502, "no gateway"),
        ];
        proxy.plan("/_bulk", busy);
        apply(&index, &numbered(0..500), 2);
        assert_eq!(proxy.left(), 0);
        assert_eq!(index.count(&Query::default()).unwrap(), 500);
        for word in ["/_update", "/_refresh", "/_search"] {
            proxy.plan(word, [Fault::Answer(503, "away"), Fault::CutAfter]);
            apply(&index, &numbered(500..501), 3);
            assert_eq!(index.count(&Query::default()).unwrap(), 501, "{word}");
            assert_eq!(proxy.left(), 0, "{word}");
        }
        assert_eq!(index.cursor().unwrap(), 3);
        assert_eq!(index.status().trouble, None);
        let waits = |(path, _): &(String, usize)| path.contains("refresh=");
        assert!(
            !proxy.seen().iter().any(waits),
            "no write waits for a refresh"
        );
    }
}

#[test]
fn a_server_that_stays_away_is_told_and_what_was_not_written_is_not_counted() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let mut settings = place.settings();
        settings.patience = Duration::from_millis(300);
        let index = open(settings);
        apply(&index, &numbered(0..10), 1);
        proxy.plan("/_bulk", vec![Fault::Answer(429, "queue is full"); 1_000]);
        let error = index
            .apply(&numbered(10..20), 2)
            .expect_err("it takes nothing");
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(told.contains("429: queue is full"), "{told}");
        assert!(index.status().trouble.unwrap().contains("queue is full"));
        proxy.plan("/_bulk", []);
        assert_eq!(index.cursor().unwrap(), 1);
        apply(&index, &numbered(10..20), 2);
        assert_eq!(
            (
                index.cursor().unwrap(),
                index.count(&Query::default()).unwrap()
            ),
            (2, 20)
        );
    }
}

#[test]
fn requests_are_made_as_small_as_the_way_demands() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let index = place.index();
        apply(&index, &[], 1);
        proxy.limit(200_000);
        let long = "long ".repeat(60_000);
        let mut batch = numbered(0..2_000);
        batch.push(named("did:gun:too-long", &long));
        let applied = index.apply(&batch, 2).unwrap();
        assert_eq!(applied.refused.len(), 1);
        assert_eq!(applied.refused[0].did, "did:gun:too-long");
        assert!(
            applied.refused[0].reason.to_string().contains("too large"),
            "{applied:?}"
        );
        assert_eq!(index.count(&Query::default()).unwrap(), 2_000);
        let taken =
            |(path, length): &&(String, usize)| path.contains("/_bulk") && *length <= 200_000;
        assert!(proxy.seen().iter().filter(taken).count() > 5);
    }
}

#[test]
fn a_server_on_another_machine_gets_compressed_requests() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let written = |address: &str| {
            let place = Place::at(address);
            let index = place.index();
            let before = proxy.seen().len();
            apply(&index, &numbered(0..500), 1);
            assert_eq!(index.count(&Query::default()).unwrap(), 500);
            let seen = proxy.seen().split_off(before);
            let bulks = seen.iter().filter(|(path, _)| path.contains("/_bulk"));
            bulks.map(|(_, length)| *length).sum::<usize>()
        };
        let plain = written(&proxy.url);
        // Leads to this machine, and isn't known to.
        let compressed = written(&proxy.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"));
        assert!(compressed * 5 < plain, "{compressed} of {plain} bytes");
    }
}

#[test]
fn a_read_only_index_of_a_full_disk_takes_up_again_when_there_is_room() {
    for server in servers() {
        let place = Place::new(server);
        let mut settings = place.settings();
        settings.patience = Duration::from_millis(300);
        let index = open(settings);
        apply(&index, &numbered(0..10), 1);
        let block = |value: serde_json::Value| {
            let body = json!({"index.blocks.read_only_allow_delete": value});
            let (status, answer) = place.call("PUT", "/_settings", Some(body));
            assert_eq!(status, 200, "{answer}");
        };
        block(json!(true));
        for _ in 0..2 {
            index
                .apply(&numbered(10..20), 2)
                .expect_err("it is read-only");
        }
        let trouble = index.status().trouble.unwrap();
        assert!(trouble.contains("read-only"), "{trouble}");
        assert_eq!(
            index.count(&Query::default()).unwrap(),
            10,
            "it still answers"
        );
        let trouble = index.status().trouble.expect("answers hide nothing");
        assert!(trouble.contains("read-only"), "{trouble}");
        // A node that starts meanwhile goes on from where this one was.
        assert_eq!(place.index().cursor().unwrap(), 1);
        block(json!(null));
        apply(&index, &numbered(10..20), 2);
        assert_eq!(index.status().trouble, None);
        assert_eq!(index.count(&Query::default()).unwrap(), 20);
    }
}

#[test]
fn a_server_killed_in_the_middle_of_writing_loses_nothing() {
    const RECORDS: u64 = 8_000;
    const BATCH: u64 = 500;
    for distribution in search_servers() {
        let mut server = SearchServer::start(&distribution, SearchOptions::default()).unwrap();
        let place = Place::at(&server.url());
        let mut settings = place.settings();
        settings.patience = Duration::from_millis(500);
        let index = open(settings);
        assert_eq!(index.cursor().unwrap(), 0);
        std::thread::scope(|scope| {
            let feeding = scope.spawn(|| {
                let mut failures = 0;
                let mut cursor = 0;
                while cursor < RECORDS {
                    // As the indexer does: after a failure the index says where to go on.
                    match index.apply(&numbered(cursor..cursor + BATCH), cursor + BATCH) {
                        Ok(applied) => {
                            assert_eq!(applied.refused, []);
                            cursor += BATCH;
                        }
                        Err(_) => {
                            failures += 1;
                            while let Err(_away) = index.cursor() {}
                            cursor = index.cursor().unwrap();
                        }
                    }
                }
                failures
            });
            let written = || index.count(&Query::default()).unwrap_or(0);
            while written() < 2 * BATCH {}
            server.kill9().unwrap();
            server.restart().unwrap();
            assert!(
                feeding.join().unwrap() > 0,
                "it was killed while records were written"
            );
        });
        assert_eq!(index.cursor().unwrap(), RECORDS);
        assert_eq!(index.count(&Query::default()).unwrap(), RECORDS);
        let query = Query {
            access: Access::Everything,
            ..Query::default()
        };
        assert_eq!(index.count(&query).unwrap(), RECORDS, "and nothing twice");
        assert_eq!(found(&index, "00777"), [""; 0]);
        let before = connections(&place);
        for number in 0..20 {
            apply(&index, &numbered(0..1), RECORDS + number);
        }
        let opened = connections(&place) - before;
        // Asking for them is one too.
        assert!(opened <= 3, "20 batches took {opened} connections");
    }
}

/// Connections that the server has taken so far.
fn connections(place: &Place) -> u64 {
    let (_, stats) = call(&place.url, "GET", "/_nodes/stats/http", None);
    let mut nodes = stats["nodes"].as_object().unwrap().values();
    nodes.next().unwrap()["http"]["total_opened"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_search_that_the_server_refuses_says_nothing_about_the_server() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let index = place.index();
        apply(&index, &numbered(0..10), 1);
        proxy.plan("/_search", [Fault::Answer(400, "too_many_clauses")]);
        index
            .search(&Query::default())
            .expect_err("it is refused, whatever it asks");
        assert_eq!(proxy.left(), 0);
        assert_eq!(index.status().trouble, None);
        proxy.plan("/_search", [Fault::Answer(500, "a broken shard")]);
        index
            .search(&Query::default())
            .expect_err("the server is broken");
        let trouble = index.status().trouble.unwrap();
        assert!(trouble.contains("a broken shard"), "{trouble}");
        assert_eq!(index.count(&Query::default()).unwrap(), 10);
        assert_eq!(index.status().trouble, None);
    }
}

#[test]
fn a_search_that_gets_no_answer_ends_and_writing_goes_on() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let mut settings = place.settings();
        settings.search_max = Duration::from_millis(500);
        let index = open(settings);
        apply(&index, &numbered(0..10), 1);
        proxy.plan("/_search", vec![Fault::Stall; 100]);
        let error = index.search(&Query::default()).expect_err("nobody answers");
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(told.contains("no answer within"), "{told}");
        let trouble = index.status().trouble.unwrap();
        assert!(trouble.contains("no answer within"), "{trouble}");
        apply(&index, &numbered(10..20), 2);
        proxy.plan("/_search", []);
        // On a busy machine an honest answer may take longer than is waited for here, too.
        let counted = loop {
            if let Ok(counted) = index.count(&Query::default()) {
                break counted;
            }
        };
        assert_eq!(counted, 20);
        assert_eq!(index.status().trouble, None);
    }
}

#[test]
fn a_way_that_takes_little_gets_little_and_only_what_is_too_long_alone_is_refused() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let index = place.index();
        apply(&index, &[], 1);
        proxy.limit(50_000);
        let mut batch = numbered(0..1_000);
        batch.insert(500, named("did:gun:too-long", &"long ".repeat(20_000)));
        let applied = index.apply(&batch, 2).unwrap();
        let refused: Vec<_> = applied.refused.iter().map(|one| one.did.as_str()).collect();
        assert_eq!(refused, ["did:gun:too-long"]);
        assert_eq!(index.count(&Query::default()).unwrap(), 1_000);
        // What was learned is kept: nothing is sent in vain any more.
        let before = proxy.seen().len();
        apply(&index, &numbered(2_000..4_000), 3);
        let seen = proxy.seen().split_off(before);
        assert!(seen.iter().all(|(_, length)| *length <= 50_000), "{seen:?}");
        assert_eq!(index.count(&Query::default()).unwrap(), 3_000);
    }
}

#[test]
fn one_document_that_is_not_taken_now_is_sent_again_alone() {
    for server in servers() {
        let proxy = Proxy::before(&server.url);
        let place = Place::at(&proxy.url);
        let index = place.index();
        apply(&index, &[], 1);
        let before = proxy.seen().len();
        proxy.plan("/_bulk", [Fault::FirstItemLater]);
        apply(&index, &numbered(0..50), 2);
        assert_eq!(proxy.left(), 0);
        let bulks: Vec<usize> = proxy.seen()[before..]
            .iter()
            .filter(|(path, _)| path.contains("/_bulk"))
            .map(|(_, length)| *length)
            .collect();
        assert_eq!(bulks.len(), 2, "{bulks:?}");
        assert!(bulks[1] * 25 < bulks[0], "{bulks:?}");
        assert_eq!(index.count(&Query::default()).unwrap(), 50);
        assert_eq!(index.status().trouble, None);
    }
}
