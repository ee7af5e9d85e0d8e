//! Who may depend on whom. Owns the table of arrows between the crates of the workspace, what the
//! PURE crates must not contain even indirectly, and which outside crates stay behind one door.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Problem;

/// Where the table stands, for messages.
const TABLE: &str = "xtask/src/structure/arrows.rs";

/// What a crate is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No runtime, files, sockets, clock or randomness of its own.
    Pure,
    /// Touches the outside world; never names another IO crate.
    Io,
    /// Joins the IO crates.
    Core,
    /// The program.
    Binary,
    /// Used by tests and developers only.
    Development,
}

struct Row {
    name: &'static str,
    kind: Kind,
    may_use: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "gun",
        kind: Kind::Pure,
        may_use: &[],
    },
    Row {
        name: "oip-record",
        kind: Kind::Pure,
        may_use: &["gun"],
    },
    Row {
        name: "oip-vault",
        kind: Kind::Pure,
        may_use: &["gun", "oip-record"],
    },
    Row {
        name: "oip-store",
        kind: Kind::Io,
        may_use: &["gun"],
    },
    Row {
        name: "oip-index",
        kind: Kind::Io,
        may_use: &[],
    },
    Row {
        name: "gun-net",
        kind: Kind::Io,
        may_use: &["gun"],
    },
    Row {
        name: "oip-node",
        kind: Kind::Core,
        may_use: &[
            "gun",
            "oip-record",
            "oip-vault",
            "oip-store",
            "oip-index",
            "gun-net",
        ],
    },
    // The binary sees the vocabulary that the node's own functions speak, never the store.
    Row {
        name: "oip-gun",
        kind: Kind::Binary,
        may_use: &["oip-node", "oip-record", "oip-index", "gun-net", "gun"],
    },
    Row {
        name: "testkit",
        kind: Kind::Development,
        may_use: &["gun"],
    },
    Row {
        name: "benches",
        kind: Kind::Development,
        may_use: &["gun", "gun-net", "oip-record", "oip-vault", "testkit"],
    },
    Row {
        name: "xtask",
        kind: Kind::Development,
        may_use: &[],
    },
];

/// Crates that bring a runtime, sockets, files, threads or randomness: nowhere below a PURE crate.
const NOT_PURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "axum",
    "tower",
    "tower-http",
    "reqwest",
    "tungstenite",
    "tokio-tungstenite",
    "fjall",
    "tantivy",
    "tempfile",
    "rand",
    "rayon",
    "tracing-subscriber",
];

/// Outside crates whose types stay behind the crates that stand beside them.
const KEPT_BY: &[(&str, &[&str])] = &[
    ("fjall", &["oip-store"]),
    ("tantivy", &["oip-index"]),
    ("axum", &["gun-net", "oip-gun"]),
    ("tokio-tungstenite", &["gun-net", "testkit", "benches"]),
    // Each of these speaks HTTP to somebody: relays, the node's own API, the search server.
    (
        "reqwest",
        &["gun-net", "oip-gun", "oip-index", "testkit", "benches"],
    ),
    ("flate2", &["oip-index"]),
    ("clap", &["oip-gun", "benches"]),
    // Libraries have error types; only programs and test support may forget them.
    ("anyhow", &["oip-gun", "testkit", "benches", "xtask"]),
];

/// The workspace's crates: name, and folder from the root.
pub(super) fn members(metadata: &Value) -> BTreeMap<String, String> {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let folder = |package: &Value| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let path = manifest
            .strip_prefix(root)
            .unwrap_or(manifest)
            .replace('\\', "/");
        path.trim_start_matches('/')
            .trim_end_matches("/Cargo.toml")
            .to_owned()
    };
    own_packages(metadata)
        .map(|package| (text(&package["name"]), folder(package)))
        .collect()
}

pub(super) fn check(metadata: &Value) -> Vec<Problem> {
    let members = members(metadata);
    let mut problems = Vec::new();
    for package in own_packages(metadata) {
        let name = text(&package["name"]);
        let manifest = format!("{}/Cargo.toml", members[&name]);
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            problems.push(Problem::of(
                &manifest,
                format!("crate `{name}` has no row in {TABLE}: say there what it may use"),
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = text(&dependency["name"]);
            let for_tests = dependency["kind"] == "dev";
            if let Some(what) = forbidden(row, &used, for_tests, members.contains_key(&used)) {
                problems.push(Problem::of(&manifest, what));
            }
        }
        if row.kind == Kind::Pure {
            for found in impure_below(metadata, &name) {
                problems.push(Problem::of(
                    &manifest,
                    format!("PURE crate `{name}` reaches `{found}`: keep runtime, IO and randomness out of it"),
                ));
            }
        }
    }
    problems
}

fn forbidden(row: &Row, used: &str, for_tests: bool, in_workspace: bool) -> Option<String> {
    let name = row.name;
    if in_workspace {
        if row.may_use.contains(&used) || (for_tests && used == "testkit") {
            return None;
        }
        let reason = match (
            row.kind,
            ROWS.iter().find(|row| row.name == used).map(|row| row.kind),
        ) {
            (Kind::Io, Some(Kind::Io)) => "IO crates never name each other, oip-node joins them",
            _ => "arrows point down only",
        };
        return Some(format!(
            "`{name}` must not use `{used}`: {reason} (table in {TABLE})"
        ));
    }
    let (_, keepers) = KEPT_BY.iter().find(|(kept, _)| *kept == used)?;
    (!for_tests && !keepers.contains(&name)).then(|| {
        format!(
            "`{name}` must not use `{used}`: it stays inside {}",
            keepers.join(", ")
        )
    })
}

/// The crates of [`NOT_PURE`] that `name` contains when it is built (not when it is tested).
fn impure_below(metadata: &Value, name: &str) -> BTreeSet<String> {
    let names: BTreeMap<&str, &str> = array(&metadata["packages"])
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = array(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, &node["deps"])))
        .collect();
    let own = own_packages(metadata).find(|package| package["name"] == name);
    let mut open: Vec<&str> = own
        .and_then(|package| package["id"].as_str())
        .into_iter()
        .collect();
    let mut seen: BTreeSet<&str> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).into_iter().flat_map(|deps| array(deps)) {
            let built_in = array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            if let Some(below) = dependency["pkg"].as_str()
                && built_in
                && seen.insert(below)
            {
                open.push(below);
            }
        }
    }
    let found = seen.iter().filter_map(|id| names.get(id).copied());
    found
        .filter(|name| NOT_PURE.contains(name))
        .map(str::to_owned)
        .collect()
}

fn own_packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    array(&metadata["packages"]).filter(|package| package["source"].is_null())
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace in which `name` depends on `used`, and `gun` on nothing unless it is `name`.
    fn workspace(name: &str, used: &str, kind: Value) -> Value {
        let package = |name: &str, dependencies: Value| {
            let ours = ROWS.iter().any(|row| row.name == name) || name == "newcomer";
            json!({
                "name": name, "id": name, "source": if ours { Value::Null } else { json!("registry") },
                "manifest_path": format!("/r/crates/{name}/Cargo.toml"), "dependencies": dependencies,
            })
        };
        json!({
            "workspace_root": "/r",
            "packages": [
                package(name, json!([{"name": used, "kind": kind}])),
                package(used, json!([])),
                package("tokio", json!([])),
            ],
            "resolve": {"nodes": [
                {"id": name, "deps": [{"pkg": used, "dep_kinds": [{"kind": kind}]}]},
                {"id": used, "deps": [{"pkg": "tokio", "dep_kinds": [{"kind": null}]}]},
            ]},
        })
    }

    fn told(name: &str, used: &str, kind: Value) -> Vec<String> {
        check(&workspace(name, used, kind))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn arrows_of_the_table_are_allowed() {
        for row in ROWS.iter().filter(|row| row.kind != Kind::Pure) {
            // What is used depends on a runtime here, which the pure ones may not.
            let is_pure = |name: &str| {
                ROWS.iter()
                    .any(|row| row.name == name && row.kind == Kind::Pure)
            };
            for used in row.may_use.iter().filter(|used| !is_pure(used)) {
                assert_eq!(
                    told(row.name, used, Value::Null),
                    Vec::<String>::new(),
                    "{} -> {used}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn every_row_points_down_only() {
        for row in ROWS {
            for used in row.may_use {
                let below = ROWS
                    .iter()
                    .find(|other| other.name == *used)
                    .expect("rows name rows");
                assert!(
                    !below.may_use.contains(&row.name),
                    "{} and {used} use each other",
                    row.name
                );
                assert!(
                    !(row.kind == Kind::Io && below.kind == Kind::Io),
                    "{} -> {used}",
                    row.name
                );
                assert!(
                    row.kind != Kind::Pure || below.kind == Kind::Pure,
                    "{} -> {used}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn io_crates_never_name_each_other() {
        let told = told("gun-net", "oip-store", Value::Null);
        assert!(
            told[0].contains("crates/gun-net/Cargo.toml: `gun-net` must not use `oip-store`"),
            "{told:?}"
        );
        assert!(
            told[0].contains("IO crates never name each other"),
            "{told:?}"
        );
    }

    #[test]
    fn an_arrow_that_points_up_is_refused_for_tests_too() {
        for kind in [Value::Null, json!("dev"), json!("build")] {
            let told = told("oip-store", "oip-node", kind);
            assert!(
                told.iter()
                    .any(|line| line.contains("arrows point down only")),
                "{told:?}"
            );
        }
    }

    #[test]
    fn test_support_is_for_tests() {
        assert_eq!(
            told("gun-net", "testkit", json!("dev")),
            Vec::<String>::new()
        );
        assert!(!told("gun-net", "testkit", Value::Null).is_empty());
    }

    #[test]
    fn a_pure_crate_that_reaches_a_runtime_through_another_crate_is_refused() {
        let told = told("gun", "innocent", Value::Null);
        assert!(
            told[0].contains("PURE crate `gun` reaches `tokio`"),
            "{told:?}"
        );
        assert_eq!(
            self::told("gun", "innocent", json!("dev")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_outside_crate_stays_behind_its_door() {
        let told = told("oip-node", "tantivy", Value::Null);
        assert!(told[0].contains("it stays inside oip-index"), "{told:?}");
        assert_eq!(
            self::told("oip-node", "tantivy", json!("dev")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        let told = told("newcomer", "serde", Value::Null);
        assert!(told[0].contains("crate `newcomer` has no row"), "{told:?}");
    }
}
