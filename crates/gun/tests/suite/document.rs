//! What `docs/wire.md` names exists.

#[test]
fn each_rule_of_the_document_names_tests_that_exist() {
    let text = include_str!("../../../../docs/wire.md");
    let (_, section) = text.split_once("## Rules for living with gun.js").unwrap();
    let (section, _) = section.split_once("## Extensions").unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule"))
        .collect();
    assert_eq!(rows.len(), 10);
    let sources = sources_under(&std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/.."
    )));
    for row in rows {
        let shown_by = row.split('|').nth(2).unwrap();
        let names: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(
                sources.contains(&format!("fn {name}(")),
                "{name} is nowhere"
            );
        }
    }
}

/// The text of all test files of all crates.
fn sources_under(folder: &std::path::Path) -> String {
    let mut sources = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() {
            sources += &sources_under(&path);
        } else if is_source && path.components().any(|part| part.as_os_str() == "tests") {
            sources += &std::fs::read_to_string(&path).unwrap();
        }
    }
    sources
}
