//! Where a case runs: a server, shared by the cases, and an index name of the case's own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oip_index::{ElasticIndex, ElasticSettings, Templates};
use serde_json::{Value, json};
use testkit::search_server::Distribution;
use testkit::{SearchOptions, SearchServer, search_servers};

/// A server that cases share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) url: String,
    /// Lives until the test process ends.
    _server: Option<SearchServer>,
}

/// The servers to run a case on; none, after saying so, where there are none.
pub(crate) fn servers() -> Vec<&'static Shared> {
    static SERVERS: OnceLock<Vec<Shared>> = OnceLock::new();
    let servers = SERVERS.get_or_init(|| match std::env::var("OIP_SEARCH_URLS") {
        Ok(urls) => urls
            .split(',')
            .map(|url| Shared {
                url: url.trim().to_owned(),
                _server: None,
            })
            .collect(),
        Err(_) => std::thread::scope(|scope| {
            let start = |distribution: Distribution| {
                scope.spawn(move || SearchServer::start(&distribution, SearchOptions::default()))
            };
            let starting: Vec<_> = search_servers().into_iter().map(start).collect();
            let started = starting.into_iter().map(|one| one.join().unwrap().unwrap());
            started
                .map(|server| Shared {
                    url: server.url(),
                    _server: Some(server),
                })
                .collect()
        }),
    });
    if servers.is_empty() {
        eprintln!("skipped: no search server is here");
    }
    servers.iter().collect()
}

/// A name on a server, and what lies there until the case ends.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(server: &Shared) -> Self {
        Self::at(&server.url)
    }

    pub(crate) fn at(url: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            url: url.to_owned(),
            name: format!("oip-test-{}-{number}", std::process::id()),
        }
    }

    pub(crate) fn settings(&self) -> ElasticSettings {
        let mut settings = ElasticSettings::new(&self.url, &self.name, "node-a").unwrap();
        settings.patience = Duration::from_secs(60);
        // The machine may be busy with other tests.
        settings.search_max = Duration::from_secs(60);
        settings
    }

    pub(crate) fn index(&self) -> ElasticIndex {
        open(self.settings())
    }

    /// The index as a deployed node makes it.
    pub(crate) fn make_as_deployed_nodes_do(&self) {
        let mapping = json!({
            "settings": {"index.mapping.total_fields.limit": 5000, "index.mapping.nested_fields.limit": 100},
            "mappings": {"properties": {
                "data": {"type": "nested"},
                "oip": {"properties": {
                    "recordType": {"type": "text"},
                    "didTx": {"type": "keyword"},
                    "inArweaveBlock": {"type": "long"},
                    "indexedAt": {"type": "date"},
                    "ver": {"type": "text"},
                    "signature": {"type": "text"},
                    "creator": {"properties": {
                        "creatorHandle": {"type": "text"},
                        "didAddress": {"type": "text"},
                        "didTx": {"type": "text"},
                    }},
                }},
            }},
        });
        let (status, answer) = self.call("PUT", "", Some(mapping));
        assert_eq!(status, 200, "{answer}");
    }

    /// Asks the server something about the index; status and answer.
    pub(crate) fn call(&self, method: &str, route: &str, body: Option<Value>) -> (u16, Value) {
        call(&self.url, method, &format!("/{}{route}", self.name), body)
    }
}

pub(crate) fn open(settings: ElasticSettings) -> ElasticIndex {
    ElasticIndex::new(settings, Arc::new(Templates::known())).unwrap()
}

/// Asks a server something; status and answer.
pub(crate) fn call(url: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    testkit::search_server::call(url, method, path, body).unwrap()
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in [self.name.clone(), format!("{}-v*", self.name)] {
            let path = format!("/{name}?ignore_unavailable=true");
            // An alias can't be removed so, and goes with its index.
            let _ = testkit::search_server::call(&self.url, "DELETE", &path, None);
        }
    }
}
