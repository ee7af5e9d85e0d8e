//! The list of wanted souls is looked at from where it begins now, and misses nothing for that.

use oip_store::{Op, Store, Wanted};

use crate::support::{NOW, commit, open, soul};

fn want(store: &Store, name: &str, now_ms: u64) {
    let wanted = Wanted {
        soul: soul(name),
        record_type: None,
        at_ms: None,
    };
    commit(store, Op::WantedAdd(wanted), now_ms).unwrap();
}

fn due(store: &Store, now_ms: u64) -> Vec<String> {
    let rows = store.wanted_due(now_ms, 10).unwrap();
    rows.iter()
        .map(|row| row.soul.as_str().to_owned())
        .collect()
}

#[test]
fn a_soul_added_by_a_clock_that_was_set_back_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    want(&store, "first", NOW);
    assert_eq!(due(&store, NOW), ["first"]);
    commit(&store, Op::WantedRemove(soul("first")), NOW).unwrap();
    assert_eq!(due(&store, NOW + 1_000), Vec::<String>::new());
    want(&store, "earlier", NOW - 86_400_000);
    assert_eq!(due(&store, NOW), ["earlier"]);
}

#[test]
fn a_soul_that_is_due_again_sooner_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    want(&store, "late", NOW + 5_000);
    assert_eq!(due(&store, NOW + 4_999), Vec::<String>::new());
    want(&store, "late", NOW + 10);
    assert_eq!(due(&store, NOW + 10), ["late"]);
}

#[test]
fn souls_added_while_others_look_are_all_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut found = 0;
            let ends = std::time::Instant::now() + std::time::Duration::from_secs(60);
            while found < 500 && std::time::Instant::now() < ends {
                for row in store.wanted_due(u64::MAX, 7).unwrap() {
                    commit(&store, Op::WantedRemove(row.soul), NOW).unwrap();
                    found += 1;
                }
            }
            found
        });
        // Times that jump back and forth, as on two nodes whose clocks differ.
        for number in 0..500_u64 {
            want(
                &store,
                &format!("soul{number}"),
                NOW + (number * 7_919) % 1_000,
            );
        }
        assert_eq!(reader.join().unwrap(), 500);
    });
    assert_eq!(store.wanted_len(), 0);
}
