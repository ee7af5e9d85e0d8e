//! What only this backend has: versions, other programs' documents, generations, privacy.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oip_index::elastic::PrivateDocuments;
use oip_index::{
    Access, Condition, ElasticIndex, Envelope, FieldPath, Index, IndexError, IndexOp, Position,
    Query, Readers, RefusalReason, Templates, Version,
};
use serde_json::json;

use super::place::{Place, open, servers};
use crate::suite::corpus::{VERSION, delete, document, named, records, with_data};
use crate::suite::{apply, dids, found};

fn at(indexed_at_ms: i64, revision: u64) -> Version {
    Version {
        indexed_at_ms,
        revision,
        ..VERSION
    }
}

fn versioned(did: &str, name: &str, version: Version) -> IndexOp {
    let IndexOp::Upsert {
        did,
        document,
        mut envelope,
    } = named(did, name)
    else {
        panic!("it is no deletion")
    };
    envelope.version = version;
    IndexOp::Upsert {
        did,
        document,
        envelope,
    }
}

fn removed(did: &str, version: Version) -> IndexOp {
    IndexOp::Delete {
        did: did.into(),
        version,
    }
}

fn readable_by(did: &str, name: &str, readers: &[&str]) -> IndexOp {
    let IndexOp::Upsert {
        did,
        document,
        envelope,
    } = named(did, name)
    else {
        panic!("it is no deletion")
    };
    let readers: BTreeSet<String> = readers.iter().map(|one| (*one).to_owned()).collect();
    let readers = Readers::Only(readers);
    IndexOp::Upsert {
        did,
        document,
        envelope: Envelope {
            readers,
            ..envelope
        },
    }
}

fn as_reader(query: Query, tokens: &[&str]) -> Query {
    let tokens = tokens.iter().map(|one| (*one).to_owned()).collect();
    Query {
        access: Access::Readers(tokens),
        ..query
    }
}

#[test]
fn an_older_version_never_overwrites_a_newer_one() {
    for server in servers() {
        let index = Place::new(server);
        let index = index.index();
        let did = "did:gun:a";
        apply(&index, &[versioned(did, "second", at(2_000, 1))], 1);
        for older in [at(1_000, 9), at(2_000, 0)] {
            apply(&index, &[versioned(did, "first", older)], 2);
            apply(&index, &[removed(did, older)], 3);
            assert_eq!(found(&index, "second"), [did], "{older:?}");
        }
        apply(&index, &[removed(did, at(3_000, 0))], 4);
        apply(&index, &[versioned(did, "late", at(2_500, 0))], 5);
        assert_eq!(
            index.count(&Query::default()).unwrap(),
            0,
            "a deletion is a version"
        );
        apply(&index, &[versioned(did, "third", at(3_000, 1))], 6);
        assert_eq!(found(&index, "third"), [did]);
    }
}

#[test]
fn a_better_signed_version_stands_above_a_later_one() {
    for server in servers() {
        let index = Place::new(server);
        let index = index.index();
        let did = "did:gun:a";
        let signed = |class, version| Version { class, ..version };
        apply(
            &index,
            &[versioned(did, "unsigned", signed(0, at(2_000, 0)))],
            1,
        );
        apply(
            &index,
            &[versioned(did, "signed", signed(1, at(1_000, 0)))],
            2,
        );
        assert_eq!(found(&index, "signed"), [did]);
        apply(
            &index,
            &[versioned(did, "later", signed(0, at(3_000, 0)))],
            3,
        );
        assert_eq!(found(&index, "signed"), [did]);
    }
}

#[test]
fn documents_have_the_deployed_shape() {
    for server in servers() {
        let place = Place::new(server);
        let index = place.index();
        apply(&index, &records(), 1);
        for op in records() {
            let (status, answer) = place.call("GET", &format!("/_doc/{}", op.did()), None);
            assert_eq!(status, 200, "{answer}");
            for member in ["data", "oip", "meta"] {
                assert_eq!(answer["_source"][member], document(&op)[member]);
            }
        }
        // What dashboards ask.
        let query = json!({"query": {"bool": {"filter": [
            {"term": {"oip.recordType.keyword": "exercise"}},
            {"range": {"oip.indexedAt": {"gte": "2026-01-20"}}},
        ]}}});
        let (_, answer) = place.call("POST", "/_search", Some(query));
        assert_eq!(answer["hits"]["total"]["value"], 1, "{answer}");
        let (_, answer) = place.call("GET", "/_mapping", None);
        let index = answer.as_object().unwrap().values().next().unwrap();
        assert_eq!(
            index["mappings"]["properties"]["data"]["properties"]["basic"]["properties"]["date"]["type"],
            "long"
        );
    }
}

#[test]
fn an_index_of_another_program_is_not_touched_beyond_documents() {
    for server in servers() {
        let place = Place::new(server);
        place.make_as_deployed_nodes_do();
        let theirs = json!({"data": {"basic": {"name": "theirs"}}, "oip": {"did": "did:arweave:x", "recordType": "post"}});
        place.call("PUT", "/_doc/did:arweave:x", Some(theirs.clone()));
        let (_, before) = place.call("GET", "/_settings", None);
        let index = place.index();
        apply(&index, &[named("did:gun:ours", "ours")], 1);
        assert_eq!(dids(&index, &Query::default()), ["did:gun:ours"]);
        let everything = Query {
            access: Access::Everything,
            ..Query::default()
        };
        assert_eq!(dids(&index, &everything), ["did:gun:ours"]);
        assert_eq!(found(&index, "theirs"), [""; 0]);
        let (_, after) = place.call("GET", "/_settings", None);
        assert_eq!(before, after);
        let (_, mapping) = place.call("GET", "/_mapping", None);
        assert_eq!(
            mapping[&place.name]["mappings"]["properties"]["data"]["type"],
            "nested"
        );
        assert_eq!(mapping[&place.name]["mappings"]["dynamic"], json!(null));
        assert!(index.status().rebuild_due.is_none());
        // Replacing it would lose what the other program put there.
        let error = index.begin_rebuild().err().expect("it is refused");
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            told.contains("1 documents") && told.contains("OIP_ELASTICSEARCH_INDEX"),
            "{told}"
        );
        index.clear().unwrap();
        assert_eq!(index.cursor().unwrap(), 0);
        let (status, answer) = place.call("GET", "/_doc/did:arweave:x", None);
        assert_eq!((status, &answer["_source"]), (200, &theirs));
    }
}

#[test]
fn an_index_of_another_program_is_replaced_when_all_in_it_is_ours() {
    for server in servers() {
        let place = Place::new(server);
        place.make_as_deployed_nodes_do();
        let index = place.index();
        let documents = [named("did:gun:a", "a"), named("did:gun:b", "b")];
        apply(&index, &documents, 5);
        let mut rebuild = index.begin_rebuild().unwrap();
        rebuild.apply(&documents, 7).unwrap();
        rebuild.finish().unwrap();
        assert_eq!(index.cursor().unwrap(), 7);
        assert_eq!(index.count(&Query::default()).unwrap(), 2);
        let (_, answer) = place.call("GET", "/_alias", None);
        assert!(answer[format!("{}-v1", place.name)].is_object(), "{answer}");
    }
}

#[test]
fn a_document_that_the_server_refuses_is_named_with_its_words() {
    for server in servers() {
        let place = Place::new(server);
        place.make_as_deployed_nodes_do();
        let index = place.index();
        let valued = |did: &str, value: serde_json::Value| {
            with_data(did, json!({"own": {"x": value}}), json!({}))
        };
        apply(&index, &[valued("did:gun:first", json!({"deep": 1}))], 1);
        let batch = [
            valued("did:gun:before", json!({"deep": 2})),
            valued(
                "did:gun:conflict",
                json!("text where others have an object"),
            ),
            valued("did:gun:after", json!({"deep": 3})),
        ];
        let applied = index.apply(&batch, 2).unwrap();
        assert_eq!(applied.refused.len(), 1, "{applied:?}");
        assert_eq!(applied.refused[0].did, "did:gun:conflict");
        let RefusalReason::Backend(reason) = &applied.refused[0].reason else {
            panic!("{applied:?}")
        };
        assert!(
            reason.contains("object mapping for [data.own.x]"),
            "{reason}"
        );
        assert_eq!(index.cursor().unwrap(), 2);
        assert_eq!(index.count(&Query::default()).unwrap(), 3);
    }
}

#[test]
fn strangers_can_t_fix_or_break_the_type_of_a_field() {
    for server in servers() {
        let index = Place::new(server).index();
        let values = [
            json!(1),
            json!(1.5),
            json!("text"),
            json!({"deep": true}),
            json!([1, "two", {"three": 3}]),
            json!("2026-01-20"),
        ];
        let documents = values.into_iter().enumerate().map(|(number, value)| {
            let data = json!({"unknown": {"x": value}, "basic": {"date": value, "name": value, "nsfw": value}});
            with_data(&format!("did:gun:{number}"), data, json!({}))
        });
        let batch: Vec<_> = documents.collect();
        apply(&index, &batch, 1);
        assert_eq!(index.count(&Query::default()).unwrap(), 6);
        for op in &batch {
            let page = index.search(&Query::by_did(op.did())).unwrap();
            assert_eq!(*page.hits[0].document, *document(op));
        }
        let text = Condition::exact("unknown.x".parse::<FieldPath>().unwrap(), ["text"]);
        assert_eq!(dids(&index, &Query::of(text)), ["did:gun:2"]);
    }
}

#[test]
fn searches_go_on_and_see_fresh_records_while_the_index_is_rebuilt() {
    for server in servers() {
        let place = Place::new(server);
        let index = place.index();
        apply(&index, &records(), 10);
        let total = records().len() as u64;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let searching = scope.spawn(|| {
                let mut searches = 0;
                while !done.load(Ordering::Relaxed) {
                    assert!(index.count(&Query::default()).unwrap() >= total);
                    searches += 1;
                }
                searches
            });
            let mut given_up = index.begin_rebuild().unwrap();
            given_up
                .apply(&[named("did:gun:lost", "never seen")], 1)
                .unwrap();
            drop(given_up);
            let mut rebuild = index.begin_rebuild().unwrap();
            rebuild.apply(&records(), 10).unwrap();
            apply(&index, &[named("did:gun:new", "fresh")], 11);
            assert_eq!(found(&index, "fresh"), ["did:gun:new"]);
            rebuild.apply(&[named("did:gun:new", "fresh")], 11).unwrap();
            rebuild.finish().unwrap();
            assert_eq!(found(&index, "fresh"), ["did:gun:new"]);
            done.store(true, Ordering::Relaxed);
            assert!(searching.join().unwrap() > 0);
        });
        assert_eq!(index.cursor().unwrap(), 11);
        assert_eq!(index.count(&Query::default()).unwrap(), total + 1);
        // A node that starts now finds the new one.
        assert_eq!(place.index().cursor().unwrap(), 11);
    }
}

#[test]
fn an_index_that_somebody_deletes_is_made_and_filled_anew() {
    for server in servers() {
        let place = Place::new(server);
        let index = place.index();
        apply(&index, &records(), 10);
        super::place::call(&place.url, "DELETE", &format!("/{}-v1", place.name), None);
        index
            .apply(&[named("did:gun:a", "a")], 11)
            .expect_err("what came before is gone");
        assert_eq!(index.cursor().unwrap(), 0);
        apply(&index, &records(), 11);
        let (_, answer) = place.call("GET", "/_mapping", None);
        assert!(
            answer[format!("{}-v1", place.name)].is_object(),
            "behind the alias again: {answer}"
        );
    }
}

#[test]
fn private_documents_are_seen_by_their_readers_and_by_their_own_node() {
    for server in servers() {
        let place = Place::new(server);
        let index = place.index();
        let batch = [
            named("did:gun:public", "word"),
            readable_by("did:gun:ann", "word", &["ann"]),
            readable_by("did:gun:both", "word", &["ann", "bob"]),
            readable_by("did:gun:nobody", "word", &[]),
        ];
        apply(&index, &batch, 1);
        let seen = |index: &dyn Index, tokens: &[&str]| {
            let mut dids = dids(index, &as_reader(Query::by_text("word"), tokens));
            dids.sort();
            dids
        };
        assert_eq!(seen(&index, &[]), ["did:gun:public"]);
        assert_eq!(seen(&index, &["bob"]), ["did:gun:both", "did:gun:public"]);
        assert_eq!(seen(&index, &["everybody"]), ["did:gun:public"]);
        assert_eq!(seen(&index, &["ann", "carl"]).len(), 3);
        let everything = |index: &dyn Index| {
            let query = Query {
                access: Access::Everything,
                ..Query::default()
            };
            index.count(&query).unwrap()
        };
        assert_eq!(everything(&index), 4);
        // Another node on the same index sees what is public, whoever asks.
        let mut settings = place.settings();
        settings.owner = "node-b".into();
        let other = open(settings);
        assert_eq!(other.cursor().unwrap(), 0, "each has a position of its own");
        assert_eq!(seen(&other, &["ann", "bob"]), ["did:gun:public"]);
        assert_eq!(everything(&other), 1);
        assert_eq!(other.holdings(None, 10).unwrap().len(), 1);
    }
}

#[test]
fn private_documents_stay_out_of_an_index_that_is_not_guarded() {
    for server in servers() {
        let place = Place::new(server);
        // Leads to this machine too, and isn't known to: to the backend, somebody else's address.
        let proxy = super::proxy::Proxy::before(&place.url);
        let url = proxy.url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
        let mut settings = oip_index::ElasticSettings::new(&url, &place.name, "node-a").unwrap();
        assert!(settings.private_kept_out().is_some());
        let index = open(settings.clone());
        apply(
            &index,
            &[
                named("did:gun:a", "word"),
                readable_by("did:gun:b", "word", &["ann"]),
            ],
            1,
        );
        let ann = || as_reader(Query::by_text("word"), &["ann"]);
        assert_eq!(dids(&index, &ann()), ["did:gun:a"]);
        let (_, there) = place.call("GET", "/_doc/did:gun:b", None);
        assert_eq!(there["_source"]["data"], json!(null), "{there}");
        assert!(!index.takes_private());
        assert_eq!(index.status().trouble, None, "all else works");
        let kept_out = index.status().kept_out.unwrap();
        assert!(kept_out.contains("OIP_ELASTICSEARCH_PRIVATE"), "{kept_out}");
        // A node that starts now knows of it from the server.
        let started = open(settings.clone());
        started.look().unwrap();
        assert_eq!(started.status().kept_out, Some(kept_out));
        apply(&started, &[removed("did:gun:b", VERSION)], 1);
        started.look().unwrap();
        assert_eq!(
            started.status().kept_out,
            None,
            "nothing is kept out any more"
        );
        apply(&index, &[readable_by("did:gun:b", "word", &["ann"])], 1);
        // A public record that becomes private leaves.
        apply(&index, &[readable_by("did:gun:a", "word", &["ann"])], 2);
        assert_eq!(dids(&index, &ann()), [""; 0]);
        settings.private = PrivateDocuments::Allow;
        let index = open(settings);
        apply(&index, &[readable_by("did:gun:b", "word", &["ann"])], 3);
        assert_eq!(dids(&index, &ann()), ["did:gun:b"]);
    }
}

#[test]
fn counts_and_pages_go_beyond_ten_thousand() {
    const DOCUMENTS: usize = 10_500;
    for server in servers() {
        for deployed in [false, true] {
            let place = Place::new(server);
            if deployed {
                place.make_as_deployed_nodes_do();
            }
            let index = place.index();
            let name = |number: usize| format!("did:gun:{number:05}");
            let documents: Vec<IndexOp> = (0..DOCUMENTS)
                .map(|number| with_data(&name(number), json!({}), json!({"recordType": "x"})))
                .collect();
            apply(&index, &documents, 1);
            let by_did = |offset| Query {
                sort: vec![oip_index::SortKey::field(
                    FieldPath::did(),
                    oip_index::Direction::Ascending,
                )],
                limit: 2,
                position: Position::Offset(offset),
                ..Query::default()
            };
            for offset in [0, 9_999, 10_000, 10_498] {
                let page = index.search(&by_did(offset)).unwrap();
                assert_eq!(page.total, DOCUMENTS as u64);
                let found: Vec<_> = page.hits.iter().map(|hit| hit.did.clone()).collect();
                assert_eq!(
                    found,
                    [name(offset), name(offset + 1)],
                    "{deployed} {offset}"
                );
            }
            let past = index.search(&by_did(20_000)).unwrap();
            assert_eq!((past.total, past.hits.len()), (DOCUMENTS as u64, 0));
            assert_eq!(
                index.record_types(&Access::public()).unwrap(),
                [("x".to_owned(), DOCUMENTS as u64)]
            );
        }
    }
}

#[test]
fn very_long_dids_are_told_apart() {
    for server in servers() {
        let index = Place::new(server).index();
        let long = |end: &str| format!("did:gun:{}{end}", "x".repeat(2_000));
        apply(&index, &[named(&long("a"), "a"), named(&long("b"), "b")], 1);
        assert_eq!(found(&index, "a"), [long("a")]);
        apply(&index, &[delete(&long("a"))], 2);
        assert_eq!(dids(&index, &Query::default()), [long("b")]);
    }
}

#[test]
fn a_server_that_is_none_is_told_by_name() {
    let place = Place::at("http://127.0.0.1:1");
    let index = place.index();
    let error = index.cursor().expect_err("nobody listens there");
    assert!(matches!(error, IndexError::Backend { .. }));
    let trouble = index.status().trouble.unwrap();
    assert!(trouble.contains("ELASTICSEARCHHOST"), "{trouble}");
    assert!(trouble.contains("http://127.0.0.1:1"), "{trouble}");
}

#[test]
fn a_position_in_the_feed_of_another_store_is_not_used() {
    for server in servers() {
        for deployed in [false, true] {
            let place = Place::new(server);
            if deployed {
                place.make_as_deployed_nodes_do();
            }
            let of_store = |store: &str| {
                let mut settings = place.settings();
                settings.store = store.to_owned();
                open(settings)
            };
            let first = of_store("first");
            assert_eq!(first.cursor().unwrap(), 0);
            apply(&first, &[named("did:gun:old", "old")], 1_000);
            assert_eq!(of_store("first").cursor().unwrap(), 1_000);
            let second = of_store("second");
            let error = second.cursor().unwrap_err();
            assert!(matches!(error, IndexError::OtherStore), "{error}");
            assert_eq!(second.status().trouble, None);
            second.clear().unwrap();
            assert_eq!(second.cursor().unwrap(), 0);
            assert_eq!(second.count(&Query::default()).unwrap(), 0);
            apply(&second, &[named("did:gun:a", "a")], 1);
            assert_eq!(of_store("second").cursor().unwrap(), 1);
            assert_eq!(dids(&second, &Query::default()), ["did:gun:a"]);
        }
    }
}

#[test]
fn a_position_of_before_stores_had_names_goes_on() {
    for server in servers() {
        let place = Place::new(server);
        apply(&place.index(), &[named("did:gun:a", "a")], 7);
        let mut settings = place.settings();
        settings.store = "named".to_owned();
        assert_eq!(open(settings).cursor().unwrap(), 7);
    }
}

#[test]
fn status_names_the_server_and_the_mapping_of_an_index_of_others_as_it_is_now() {
    for server in servers() {
        let place = Place::new(server);
        place.make_as_deployed_nodes_do();
        let index = place.index();
        assert_eq!(index.cursor().unwrap(), 0);
        let backend = index.status().backend;
        let (_, nodes) = super::place::call(&place.url, "GET", "/_nodes", None);
        let node = nodes["nodes"].as_object().unwrap().values().next().unwrap();
        let version = node["version"].as_str().unwrap();
        let flavours = [
            format!("elasticsearch {version}"),
            format!("opensearch {version}"),
        ];
        assert!(flavours.contains(&backend), "{backend}");
        let is_opensearch = version.starts_with('2') || version.starts_with('3');
        assert_eq!(backend.starts_with("opensearch"), is_opensearch);
        index.look().unwrap();
        let before = index.status().mapping;
        assert!(before.starts_with("theirs-"), "{before}");
        index.look().unwrap();
        assert_eq!(index.status().mapping, before);
        let more = json!({"properties": {"added": {"type": "keyword"}}});
        assert_eq!(place.call("PUT", "/_mapping", Some(more)).0, 200);
        index.look().unwrap();
        assert_ne!(index.status().mapping, before);
    }
}

#[test]
fn other_templates_make_another_mapping_and_ranges_over_their_fields() {
    for server in servers() {
        let place = Place::new(server);
        let gauge = |height: u32| {
            let did = format!("did:gun:{height}");
            with_data(&did, json!({"gauge": {"height": height}}), json!({}))
        };
        let batch: Vec<_> = [5, 40, 300].into_iter().map(gauge).collect();
        apply(&place.index(), &batch, 1);
        let folder = tempfile::tempdir().unwrap();
        let template = r#"{"template": "gauge", "fields": {"height": "double"}}"#;
        std::fs::write(folder.path().join("gauge.json"), template).unwrap();
        let templates = Templates::with_folder(folder.path()).unwrap();
        let index = ElasticIndex::new(place.settings(), Arc::new(templates)).unwrap();
        assert_eq!(index.cursor().unwrap(), 1);
        let before = index.status();
        assert!(before.rebuild_due.is_some(), "{before:?}");
        let everything = Query::default();
        assert_eq!(index.count(&everything).unwrap(), 3, "it serves meanwhile");
        let mut rebuild = index.begin_rebuild().unwrap();
        rebuild.apply(&batch, 1).unwrap();
        rebuild.finish().unwrap();
        let after = loop {
            if index.count(&everything).unwrap() == 3 {
                break index.status();
            }
        };
        assert_eq!(after.rebuild_due, None);
        assert_ne!(after.mapping, before.mapping);
        let high = oip_index::syntax::parse("gauge.height:>=40").unwrap();
        let mut found = dids(&index, &Query::of(high));
        found.sort();
        assert_eq!(found, ["did:gun:300", "did:gun:40"]);
        let (_, mapping) = place.call("GET", "/_mapping", None);
        let mapping = mapping.as_object().unwrap().values().next().unwrap();
        let height =
            &mapping["mappings"]["properties"]["data"]["properties"]["gauge"]["properties"];
        assert_eq!(height["height"]["type"], "double", "{height}");
    }
}
