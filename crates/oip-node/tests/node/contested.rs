//! Two keys that fit one prefix of 12 digits. 48 bits can be ground out: these two were, in a minute, among 45 million.

use oip_node::QuarantineKind;
use oip_record::publish::{self, Context};
use oip_record::soul::{self, PrefixWidth};
use oip_record::{CreatorKey, Did};

use crate::support::{
    Version, eventually, graph_shows, node, node_on, now_ms, put, submission, text,
};

/// Secrets of two secp256k1 keys of no worth.
const SCALARS: [u128; 2] = [
    0x0197_7a3c_55d1_9e21_7bc2_5095,
    0x0197_7a3c_55d1_9e21_7d0a_c387,
];

fn key(scalar: u128) -> CreatorKey {
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&scalar.to_be_bytes());
    CreatorKey::secp256k1(bytes).unwrap()
}

/// A version of one record, signed by one of the two.
fn version(key: &CreatorKey, words: &str, at_ms: u64) -> Version {
    let prefix = soul::prefix(&key.creator().public_key, PrefixWidth::Deployed);
    let soul = soul::with_local_id(&prefix, "contested").unwrap();
    let context = Context {
        key,
        now_ms: i64::try_from(at_ms).unwrap(),
        newest_known: None,
        random: [7; 16],
        existing: Some(&soul),
    };
    Version(publish::build(&submission("contested", text(words)), &context).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_keeps_a_soul_and_the_second_that_fits_is_quarantined_and_reported() {
    let now = now_ms();
    let [first, second] = SCALARS.map(key);
    let held = version(&first, "the first", now - 60_000);
    // Later, and with a good signature of its own.
    let other = version(&second, "the second", now - 30_000);
    assert_eq!(held.soul, other.soul);
    assert_ne!(held.creator.did_address, other.creator.did_address);

    let a = node(&[]).await;
    let b = node(&[&a]).await;
    put(&mut a.client().await, held.announced(now)).await;
    for node in [&a, &b] {
        node.shows(&held.did, &held.document).await;
    }
    put(&mut a.client().await, other.announced(now + 1_000)).await;
    a.refuses("contested").await;
    eventually("the reason in quarantine", || async {
        let rows = a
            .quarantine(QuarantineKind::Record, None, 10)
            .await
            .unwrap();
        rows.into_iter().find(|row| row.reason == "contested")
    })
    .await;
    for node in [&a, &b] {
        node.shows(&held.did, &held.document).await;
    }
    // An edit by the first stands on both, and in the graph.
    let edited = version(&first, "the first again", now);
    put(&mut a.client().await, edited.announced(now + 2_000)).await;
    for node in [&a, &b] {
        node.shows(&edited.did, &edited.document).await;
        graph_shows(&mut node.client().await, &edited).await;
    }
    // It is remembered whose the soul is.
    let a = node_on(a.stop().await, &[], |_| {}).await;
    put(&mut a.client().await, other.announced(now + 3_000)).await;
    a.refuses("contested").await;
    a.shows(&edited.did, &edited.document).await;
    let explained = a
        .explain(&Did::from_soul(&held.soul), &oip_index::Access::Everything)
        .await
        .unwrap();
    let explained = serde_json::to_string(&explained).unwrap();
    assert!(explained.contains("contested"), "{explained}");
}
