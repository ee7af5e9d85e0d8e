//! `oip-gun migrate elasticsearch URL`: the index of a deployed node, while it runs, into the data folder of
//! a node that does not.
//!
//! Scrolls to the end, whatever the number of records: what is read is a snapshot of the index as it
//! was at the start. Knows the three calls that takes, which Elasticsearch since 7 and OpenSearch share.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use oip_node::migrate::backup::{Import, ImportError, Report};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::Url;

use super::backup::describe;
use crate::cli::output::{self, Output};
use crate::cli::progress;
use crate::cli::stopped_node::StoppedNode;
use crate::settings::Setting;

/// Documents of one page; deployed indexes hold chat sessions of a megabyte.
const PAGE: usize = 200;

/// How long the server keeps the snapshot between two pages.
const KEPT: &str = "5m";

/// Documents that wait to be taken.
const WAITING_MAX: usize = 2 * PAGE;

/// The longest one page may take to come.
const PAGE_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(120);

const EXAMPLES: &str = "\
Examples:
  oip-gun migrate elasticsearch http://localhost:9200 --dry-run
  oip-gun migrate elasticsearch http://localhost:9200
  oip-gun migrate elasticsearch https://es.example:9200 --index records --json

Name and password are taken from ELASTICCLIENTUSERNAME and ELASTICCLIENTPASSWORD, as deployed nodes take
them; OIP_ELASTICSEARCH_API_KEY and OIP_ELASTICSEARCH_CA_FILE count as for the node's own
index. The index is only read. Importing again changes nothing.";

/// Import records from a deployed node's Elasticsearch or OpenSearch index
///
/// Scrolls through the whole index. Every record is verified, keeps its id, time and signature, and is
/// announced in the registry. Records on a chain are passed over.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ElasticsearchArgs {
    /// Address of the server
    url: String,
    /// The index
    #[arg(long, default_value = "records")]
    index: String,
    /// Read, verify and report, and store nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: StoppedNode,
}

pub(super) async fn run(args: ElasticsearchArgs, output: Output) -> anyhow::Result<ExitCode> {
    let scroll = Scroll::new(&args.url, &args.index, login())?;
    let dry_run = args.dry_run;
    let node = args.node.settings()?.node;
    let import = tokio::task::spawn_blocking(move || match dry_run {
        true => Import::dry_run(&node),
        false => Import::start(&node),
    });
    let import = import.await.context("the import was lost")??;
    let bar = progress::bar(progress::RECORDS, output);
    let report = import_all(&scroll, import, &bar).await;
    bar.finish_and_clear();
    let report = report?;
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => output::line(&describe(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes every document of the index. When reading fails, what was read by then is stored all the same.
async fn import_all(
    scroll: &Scroll,
    mut import: Import,
    bar: &ProgressBar,
) -> anyhow::Result<Report> {
    let (documents, mut waiting) = mpsc::channel::<Value>(WAITING_MAX);
    let taking = tokio::task::spawn_blocking(move || -> Result<Report, ImportError> {
        while let Some(document) = waiting.blocking_recv() {
            import.take(document)?;
        }
        import.finish()
    });
    let read = scroll.read_all(&documents, bar).await;
    drop(documents);
    let report = taking.await.context("the import was lost")??;
    read.with_context(|| {
        format!(
            "failed to read the index to its end; {} records were taken, importing again goes on",
            report.taken
        )
    })?;
    Ok(report)
}

/// How the server is told who asks, and by which certificates it is known.
#[derive(Default)]
pub(super) struct Login {
    credentials: Credentials,
    /// Certificates (PEM) that the server's own must lead to.
    ca_file: Option<PathBuf>,
}

/// Who asks. An API key comes before a name, as for the node's own index.
#[derive(Default)]
enum Credentials {
    #[default]
    None,
    User {
        name: String,
        password: String,
    },
    ApiKey(String),
}

/// What the environment says: the names of the node's own index.
pub(super) fn login() -> Login {
    login_from(|name| std::env::var(name).ok())
}

fn login_from(variable: impl Fn(&str) -> Option<String>) -> Login {
    let variable = |setting: Setting| variable(setting.variable()).filter(|text| !text.is_empty());
    let key = variable(Setting::SearchApiKey);
    let credentials = match (key, variable(Setting::SearchUser)) {
        (Some(key), _) => Credentials::ApiKey(key),
        (None, Some(name)) => Credentials::User {
            name,
            password: variable(Setting::SearchPassword).unwrap_or_default(),
        },
        (None, None) => Credentials::None,
    };
    Login {
        credentials,
        ca_file: variable(Setting::SearchCaFile).map(PathBuf::from),
    }
}

/// The way through one index.
pub(super) struct Scroll {
    http: reqwest::Client,
    base: Url,
    index: String,
    credentials: Credentials,
}

impl Scroll {
    pub(super) fn new(url: &str, index: &str, login: Login) -> anyhow::Result<Self> {
        let base = Url::parse(url)
            .ok()
            .filter(|base| matches!(base.scheme(), "http" | "https") && base.host().is_some());
        let Some(base) = base else {
            bail!(
                "{url:?} is not the address of a search server: give one such as http://localhost:9200"
            );
        };
        if !base.username().is_empty() || base.password().is_some() {
            bail!(
                "the address holds a name or password: set ELASTICCLIENTUSERNAME and ELASTICCLIENTPASSWORD instead"
            );
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PAGE_TIME_MAX);
        let http = if crate::client::is_loopback(&base) {
            http.no_proxy()
        } else {
            http
        };
        let http = match &login.ca_file {
            None => http,
            Some(path) => {
                let fault = || {
                    format!(
                        "failed to use {} (OIP_ELASTICSEARCH_CA_FILE): name a file of certificates in PEM",
                        path.display()
                    )
                };
                let pem = std::fs::read(path).with_context(fault)?;
                let certificates =
                    reqwest::Certificate::from_pem_bundle(&pem).with_context(fault)?;
                if certificates.is_empty() {
                    bail!(fault());
                }
                http.tls_certs_only(certificates)
            }
        };
        Ok(Self {
            http: http.build()?,
            base,
            index: index.to_owned(),
            credentials: login.credentials,
        })
    }

    /// Sends every document of the index.
    pub(super) async fn read_all(
        &self,
        documents: &mpsc::Sender<Value>,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let first = json!({"size": PAGE, "sort": ["_doc"], "query": {"match_all": {}}});
        let path = [self.index.as_str(), "_search"];
        let mut page = self.post(&path, Some(KEPT), &first).await?;
        let total = &page["hits"]["total"];
        // A number before version 7, an object since.
        if let Some(total) = total["value"].as_u64().or(total.as_u64()) {
            bar.set_length(total);
        }
        loop {
            let Value::Array(hits) = page["hits"]["hits"].take() else {
                bail!(
                    "the server's answer holds no `hits`: is {} a search server?",
                    self.base
                );
            };
            if hits.is_empty() {
                break;
            }
            for hit in hits {
                bar.inc(1);
                if documents.send(hit).await.is_err() {
                    // The import has ended, with an error of its own.
                    return Ok(());
                }
            }
            let next = json!({"scroll": KEPT, "scroll_id": page["_scroll_id"]});
            page = self.post(&["_search", "scroll"], None, &next).await?;
        }
        Ok(())
    }

    async fn post(
        &self,
        path: &[&str],
        scroll: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} has no path", self.base))?
            .pop_if_empty()
            .extend(path);
        if let Some(scroll) = scroll {
            url.query_pairs_mut().append_pair("scroll", scroll);
        }
        let mut request = self.http.post(url).json(body);
        request = match &self.credentials {
            Credentials::None => request,
            Credentials::User { name, password } => request.basic_auth(name, Some(password)),
            Credentials::ApiKey(key) => {
                request.header(reqwest::header::AUTHORIZATION, format!("ApiKey {key}"))
            }
        };
        let response = request
            .send()
            .await
            .with_context(|| format!("no search server answers at {}", self.base))?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        if !status.is_success() {
            let said: String = text.chars().take(200).collect();
            bail!(
                "the server answered HTTP {}: {}",
                status.as_u16(),
                output::printable(&said)
            );
        }
        serde_json::from_str(&text).context("the server's answer is no JSON")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::{Query, State};
    use axum::http::StatusCode;
    use axum::routing::post;
    use axum::{Json, Router};

    use super::*;

    /// The calls of a scroll as the servers document them; the servers themselves are the matter of
    /// tests that have one.
    #[derive(Clone)]
    struct Server {
        documents: Arc<Vec<Value>>,
        /// The page before which it fails once.
        fails_at: Arc<Mutex<Option<usize>>>,
    }

    impl Server {
        fn page(&self, number: usize) -> Result<Json<Value>, StatusCode> {
            let mut fails_at = self.fails_at.lock().unwrap();
            if *fails_at == Some(number) {
                *fails_at = None;
                return Err(StatusCode::SERVICE_UNAVAILABLE);
            }
            let hits: Vec<Value> = self
                .documents
                .iter()
                .skip(number * PAGE)
                .take(PAGE)
                .cloned()
                .collect();
            let total = json!({"value": self.documents.len(), "relation": "eq"});
            let id = format!("page-{}", number + 1);
            Ok(Json(
                json!({"_scroll_id": id, "hits": {"total": total, "hits": hits}}),
            ))
        }
    }

    async fn search(
        State(server): State<Server>,
        Query(query): Query<Vec<(String, String)>>,
        Json(body): Json<Value>,
    ) -> Result<Json<Value>, StatusCode> {
        assert_eq!(query, [("scroll".to_owned(), KEPT.to_owned())]);
        assert_eq!(body["size"], PAGE);
        server.page(0)
    }

    async fn next(
        State(server): State<Server>,
        Json(body): Json<Value>,
    ) -> Result<Json<Value>, StatusCode> {
        let id = body["scroll_id"].as_str().unwrap();
        server.page(id.trim_start_matches("page-").parse().unwrap())
    }

    async fn start(documents: Vec<Value>, fails_at: Option<usize>) -> String {
        let server = Server {
            documents: Arc::new(documents),
            fails_at: Arc::new(Mutex::new(fails_at)),
        };
        let router = Router::new()
            .route("/records/_search", post(search))
            .route("/_search/scroll", post(next))
            .with_state(server);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Unsigned records of one key in the index form.
    fn hits(count: usize) -> Vec<Value> {
        let key = oip_record::CreatorKey::ed25519([5; 32]).unwrap();
        let creator = key.creator();
        let creator = json!({"didAddress": creator.did_address, "publicKey": creator.public_key});
        (0..count)
            .map(|n| {
                let did = format!("did:gun:{}:r{n}", key.soul_prefix());
                let oip = json!({
                    "did": did, "recordType": "post", "ver": "0.8.0", "creator": creator,
                    "indexedAt": "2026-01-20T10:00:00.000Z", "storage": "gun",
                });
                let data = json!({"basic": {"name": format!("record {n}"), "tagItems": ["a"]}});
                json!({"_id": did, "_source": {"data": data, "oip": oip}})
            })
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_is_scrolled_to_its_end_and_again_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = oip_node::NodeConfig::new(folder.path().to_owned());
        let count = 2 * PAGE + 50;
        let url = start(hits(count), Some(1)).await;
        let scroll = Scroll::new(&url, "records", Login::default()).unwrap();
        let bar = ProgressBar::hidden();
        let looked = Import::dry_run(&config).unwrap();
        let looked = import_all(&scroll, looked, &bar).await;
        // The first time the server fails in the middle.
        assert!(format!("{:#}", looked.unwrap_err()).contains("HTTP 503"));
        let import = Import::start(&config).unwrap();
        let report = import_all(&scroll, import, &bar).await.unwrap();
        assert_eq!(
            (report.found, report.taken),
            (count as u64, count as u64),
            "{report:?}"
        );
        let import = Import::start(&config).unwrap();
        let report = import_all(&scroll, import, &bar).await.unwrap();
        assert_eq!((report.taken, report.known), (0, count as u64));
    }

    #[test]
    fn the_environment_logs_in_by_key_or_by_name_and_names_the_certificates() {
        let of = |given: &'static [(&str, &str)]| {
            login_from(|name| {
                let found = given.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let user = of(&[
            ("ELASTICCLIENTUSERNAME", "me"),
            ("ELASTICCLIENTPASSWORD", "p"),
        ]);
        assert!(
            matches!(&user.credentials, Credentials::User { name, password } if name == "me" && password == "p")
        );
        let key = of(&[
            ("ELASTICCLIENTUSERNAME", "me"),
            ("OIP_ELASTICSEARCH_API_KEY", "a2V5"),
            ("OIP_ELASTICSEARCH_CA_FILE", "/nowhere/ca.pem"),
        ]);
        assert!(matches!(&key.credentials, Credentials::ApiKey(key) if key == "a2V5"));
        let refused = Scroll::new("https://es.example:9200", "records", key).err();
        assert!(
            refused
                .unwrap()
                .to_string()
                .contains("OIP_ELASTICSEARCH_CA_FILE")
        );
        assert!(matches!(of(&[]).credentials, Credentials::None));
    }

    #[test]
    fn an_address_that_can_not_work_names_its_cure() {
        for (url, part) in [
            ("localhost:9200", "give one such as"),
            ("http://me:secret@es.example", "ELASTICCLIENTUSERNAME"),
        ] {
            let error = Scroll::new(url, "records", Login::default())
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
