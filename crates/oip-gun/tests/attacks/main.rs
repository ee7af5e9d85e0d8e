//! Every attack of `docs/security.md`, run against a real node: memory stays bounded, refusals are
//! counted by name, and honest traffic beside it is served whole. How fast it is served is measured by
//! `cargo xtask bench attacks`.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use std::time::{Duration, Instant};

use testkit::attack::{Attack, Target};
use testkit::{NodeOptions, NodeProcess, honest};

/// How long each attack goes on.
const TIME: Duration = Duration::from_secs(3);

/// Honest puts and gets per second beside it.
const HONEST_PER_SECOND: u32 = 50;

/// What the process may ever have had resident (`targets`: 512 MB).
const MEMORY_KIB_MAX: u64 = 512 * 1_024;

async fn withstands(attack: Attack) {
    let mut options = NodeOptions::named(attack.name()).env("RUST_LOG", "error");
    for (name, value) in attack.environment() {
        options = options.env(*name, *value);
    }
    let binary = env!("CARGO_BIN_EXE_oip-gun");
    let node = NodeProcess::start(binary, options).await.unwrap();
    let target = Target {
        relay: node.relay().to_owned(),
    };
    let mut uncounted = attack.counted().to_vec();
    // A busy machine takes longer to reach a bound.
    for time in [TIME, 2 * TIME, 4 * TIME, 8 * TIME] {
        let ends = Instant::now() + time;
        let relay = target.relay.clone();
        let honest =
            tokio::spawn(async move { honest::traffic(&relay, HONEST_PER_SECOND, ends).await });
        attack.run(&target, ends).await.unwrap();
        let answered = honest.await.unwrap().unwrap();
        assert!(!answered.is_empty(), "no honest message was sent");
        uncounted = not_counted(&node, uncounted).await;
        if uncounted.is_empty() {
            break;
        }
    }
    assert!(
        uncounted.is_empty(),
        "{}: {uncounted:?} were not counted",
        attack.name()
    );
    let high_water = memory_kib(&node);
    assert!(
        high_water < MEMORY_KIB_MAX,
        "{}: {high_water} KiB resident",
        attack.name()
    );
}

/// Those reasons for which the node refused nothing; counters may be a second late.
async fn not_counted(node: &NodeProcess, mut reasons: Vec<&'static str>) -> Vec<&'static str> {
    for _ in 0..5 {
        let mut left = Vec::new();
        for reason in reasons {
            if counted(node, reason).await == 0 {
                left.push(reason);
            }
        }
        reasons = left;
        if reasons.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    reasons
}

/// How often the node refused something for that reason.
async fn counted(node: &NodeProcess, reason: &str) -> u64 {
    let metrics = node.get("/metrics").await.unwrap();
    let label = format!("reason=\"{reason}\"");
    let lines = metrics.body.as_str().unwrap_or_default().lines();
    lines
        .filter(|line| line.contains(&label) && !line.starts_with('#'))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The most that was ever resident.
fn memory_kib(node: &NodeProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

macro_rules! attacks {
    ($($name:ident => $attack:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                withstands(Attack::$attack).await;
            }
        )*

        #[test]
        fn every_attack_has_a_test() {
            assert_eq!([$(Attack::$attack),*], Attack::ALL);
        }
    };
}

attacks! {
    values_of_the_future => FutureStates;
    what_is_too_large => Oversize;
    a_flood_of_souls => SoulFlood;
    a_flood_of_keys_in_a_shared_index => IndexFlood;
    names_of_built_in_members => BuiltInNames;
    compressed_frames => CompressedFrames;
    requests_that_never_end => SlowRequests;
    frames_that_never_end => UnfinishedFrames;
    subscriptions_without_end => Subscriptions;
    scans_of_everything => Scans;
    a_reader_who_never_reads => NeverReads;
    gets_for_what_nobody_has => Misses;
    peers_named_by_strangers => ForeignPeers;
    ids_of_others => StolenIds;
    broken_messages => Malformed;
    false_signatures => FalseSignatures;
}
