//! Servers that let in only whom they know: TLS under a CA of one's own, a user with a password, an API
//! key. The distributions that tests can have know no TLS, and users only from Elasticsearch 8 on, so
//! that a proxy with a guard stands before them, and the real users have a case of their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oip_index::elastic::Credentials;
use oip_index::{Index, IndexError};
use testkit::{SearchOptions, SearchServer, search_servers};

use super::place::{Place, open, servers};
use super::proxy::{Certificate, Proxy};
use crate::suite::corpus::named;
use crate::suite::{apply, found};

/// A certificate for this machine that nobody else vouches for.
fn certificate() -> Certificate {
    rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

fn user(name: &str, password: &str) -> Credentials {
    Credentials::User {
        name: name.to_owned(),
        password: password.to_owned(),
    }
}

fn cause(error: &IndexError) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    told
}

#[test]
fn a_server_with_a_certificate_of_one_s_own_and_credentials_is_used() {
    for server in servers() {
        let basic = format!("Basic {}", STANDARD.encode("oip:pass:word"));
        for (authorization, credentials) in [
            (basic, user("oip", "pass:word")),
            (
                "ApiKey aWQ6c2VjcmV0".to_owned(),
                Credentials::ApiKey("aWQ6c2VjcmV0".to_owned()),
            ),
        ] {
            let certificate = certificate();
            let ca = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(ca.path(), certificate.cert.pem()).unwrap();
            let proxy = Proxy::guarded(&server.url, certificate, authorization);
            let place = Place::new(server);
            let mut settings =
                oip_index::ElasticSettings::new(&proxy.url, &place.name, "a").unwrap();
            settings.patience = std::time::Duration::from_secs(2);
            settings.credentials = credentials;

            let unknown = open(settings.clone());
            let told = cause(&unknown.cursor().expect_err("nobody vouches for it"));
            assert!(told.contains("certificate"), "{told}");

            settings.ca_file = Some(ca.path().to_owned());
            let index = open(settings.clone());
            apply(&index, &[named("did:gun:a", "guarded")], 1);
            assert_eq!(found(&index, "guarded"), ["did:gun:a"]);

            for wrong in [Credentials::None, user("oip", "guess")] {
                settings.credentials = wrong;
                let told = cause(&open(settings.clone()).cursor().expect_err("a stranger"));
                assert!(told.contains("401"), "{told}");
                assert!(!told.contains("guess"), "{told}");
            }
        }
    }
}

#[test]
fn a_user_of_a_real_server_is_let_in_with_the_password() {
    let knows_users = |version: &str| {
        let major = version.split('.').next().unwrap_or_default();
        major.parse::<u32>().is_ok_and(|major| major >= 8)
    };
    for distribution in search_servers() {
        if distribution.flavour != "elasticsearch" || !knows_users(&distribution.version) {
            eprintln!(
                "skipped: {} {} knows no users",
                distribution.flavour, distribution.version
            );
            continue;
        }
        let options = SearchOptions {
            password: Some("only-for-tests".to_owned()),
            ..SearchOptions::default()
        };
        let server = SearchServer::start(&distribution, options).unwrap();
        let mut settings = Place::at(&server.url()).settings();
        settings.patience = std::time::Duration::from_secs(5);
        settings.credentials = user("elastic", "guess");
        let told = cause(&open(settings.clone()).cursor().expect_err("a stranger"));
        assert!(told.contains("401"), "{told}");
        settings.credentials = user("elastic", "only-for-tests");
        let index = open(settings);
        apply(&index, &[named("did:gun:a", "guarded")], 1);
        assert_eq!(found(&index, "guarded"), ["did:gun:a"]);
    }
}
