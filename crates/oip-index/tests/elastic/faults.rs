//! Faults, on real servers where they can be provoked there, else by a proxy before one.

use std::time::Duration;

use oip_index::{Access, Index, IndexOp, Query};
use serde_json::json;
use testkit::{SearchOptions, SearchServer, search_servers};

use super::place::{Place, open, servers};
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
        // A node that starts meanwhile goes on from where this one was.
        assert_eq!(place.index().cursor().unwrap(), 1);
        block(json!(null));
        apply(&index, &numbered(10..20), 2);
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
    }
}
