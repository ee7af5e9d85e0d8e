//! The command line: what it takes, and the help texts as reviewed.

use clap::CommandFactory;

use super::*;
use crate::settings::{Flags, Setting};

fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("oip-gun").chain(arguments.iter().copied()))
}

fn flags(arguments: &[&str]) -> Flags {
    match parse(arguments).unwrap().verb {
        Verb::Serve(args) => args.into_flags(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_texts_are_the_ones_that_were_reviewed() {
    let mut command = Cli::command();
    command.build();
    insta::assert_snapshot!("help", command.render_long_help());
    for verb in command.get_subcommands_mut() {
        let name = format!("help_{}", verb.get_name());
        insta::assert_snapshot!(name.as_str(), verb.render_long_help());
        for kind in verb.get_subcommands_mut() {
            let name = format!("{name}_{}", kind.get_name());
            insta::assert_snapshot!(name, kind.render_long_help());
        }
    }
}

#[test]
fn json_is_known_before_and_after_every_verb() {
    let verbs: [&[&str]; 18] = [
        &["serve"],
        &["demo"],
        &["publish", "post.json"],
        &["get", "did:gun:a"],
        &["search", "tide"],
        &["status"],
        &["sync"],
        &["delete", "did:gun:a"],
        &["explain", "did:gun:a"],
        &["migrate", "radata", "folder"],
        &["migrate", "backup", "file"],
        &["migrate", "elasticsearch", "http://es:9200"],
        &["tokens", "list"],
        &["migrate", "legacy-private"],
        &["peers"],
        &["registry"],
        &["config", "check"],
        &["doctor"],
    ];
    for verb in verbs {
        assert!(!parse(verb).unwrap().json, "{verb:?}");
        let after = [verb, &["--json"]].concat();
        assert!(parse(&after).unwrap().json, "{verb:?}");
        let before = [&["--json"], verb].concat();
        assert!(parse(&before).unwrap().json, "{verb:?}");
    }
}

#[test]
fn every_setting_with_a_flag_reaches_the_flags_layer() {
    for setting in Setting::ALL {
        if let Some(flag) = setting.flag() {
            let flags = flags(&["serve", flag, "value"]);
            assert_eq!(flags.values[&setting], "value", "{flag}");
            assert_eq!(flags.values.len(), 1, "{flag}");
        }
    }
}

#[test]
fn peers_are_repeatable_and_none_is_not_the_same_as_an_empty_one() {
    let two = flags(&["serve", "--peer", "ws://a", "--peer", "ws://b"]);
    assert_eq!(two.values[&Setting::Peers], "ws://a,ws://b");
    assert!(flags(&["serve"]).values.is_empty());
    let none = flags(&["serve", "--peer", ""]);
    assert_eq!(none.values[&Setting::Peers], "");
}

#[test]
fn wrong_usage_is_refused() {
    for arguments in [
        &["serve", "--prot", "1"][..],
        &["publish"],
        &["get"],
        &["delete"],
        &["migrate"],
        &["migrate", "radata"],
        &["migrate", "leveldb", "folder"],
        &["get", "did:gun:a", "did:gun:b"],
        &["serve", "--log-format", "xml"],
        &["dance"],
        &[],
    ] {
        let error = parse(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
}
