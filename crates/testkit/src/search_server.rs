//! Real Elasticsearch and OpenSearch servers, from the distributions that `cargo xtask servers`
//! fetched, on free loopback ports, each with a folder of its own.
//!
//! They refuse to run as root; started by root they run as `nobody`. A shell stands between the
//! test and the server: when the test ends in whatever way, its input closes, and the shell kills
//! the server's own process group and removes the folder.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::interop::interop_is_required;

/// The distributions, shared with the task that fetches them.
const SERVERS: &str = include_str!("../../../interop/servers.json");

/// A start takes 6 to 16 s on two idle cores; beside other tests it gets much more.
const START_MAX: Duration = Duration::from_secs(180);

/// Pause between two looks at a log that is being written.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// User and group `nobody` on Debian, Fedora and Alpine alike.
const NOBODY: u32 = 65_534;

/// Starts the server in a session of its own and waits until the test closes the shell's input.
const KEEPER: &str = r#"
folder=$1; shift
setsid "$@" </dev/null >"$folder/console" 2>&1 &
server=$!
cat >/dev/null
kill -s KILL -- -$server 2>/dev/null
wait $server 2>/dev/null
[ -e "$folder/keep" ] || rm -rf "$folder"
"#;

/// A distribution that has been fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// `elasticsearch` or `opensearch`.
    pub flavour: String,
    /// `7.17.8`.
    pub version: String,
    folder: PathBuf,
    java_home: PathBuf,
}

/// The servers that tests run against, in the order of `interop/servers.json`: those of CI, or
/// all of them with `OIP_SEARCH_SERVERS=all`, or those it lists (`elasticsearch-8.17.0,…`).
///
/// Empty after printing why the test is skipped.
///
/// # Panics
/// When one is missing and `OIP_INTEROP=required` is set, or the list names none.
#[must_use]
pub fn search_servers() -> Vec<Distribution> {
    let wanted = std::env::var("OIP_SEARCH_SERVERS").unwrap_or_else(|_| "ci".to_owned());
    let servers: Vec<Value> = serde_json::from_str(SERVERS).expect("the list of servers is JSON");
    let chosen: Vec<Value> = servers
        .into_iter()
        .filter(|server| match wanted.as_str() {
            "ci" => server["ci"] == true,
            "all" => true,
            list => list.split(',').any(|name| name.trim() == name_of(server)),
        })
        .collect();
    assert!(
        !chosen.is_empty(),
        "OIP_SEARCH_SERVERS={wanted} names no server; interop/servers.json has the list"
    );
    let mut found = Vec::new();
    for server in &chosen {
        match distribution(server) {
            Ok(distribution) => found.push(distribution),
            Err(missing) => {
                assert!(
                    !interop_is_required(),
                    "OIP_INTEROP=required, but {missing:#}"
                );
                eprintln!("skipped: {missing:#}");
                return Vec::new();
            }
        }
    }
    found
}

fn name_of(server: &Value) -> String {
    let text = |key: &str| server[key].as_str().unwrap_or_default().to_owned();
    format!("{}-{}", text("flavour"), text("version"))
}

fn distribution(server: &Value) -> Result<Distribution> {
    let name = name_of(server);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/search-servers")
        .join(&name);
    ensure!(
        folder.join("lib").is_dir(),
        "{name} is not there: run `cargo xtask servers {name}`"
    );
    let text = |key: &str| server[key].as_str().unwrap_or_default().to_owned();
    Ok(Distribution {
        flavour: text("flavour"),
        version: text("version"),
        folder: folder.canonicalize()?,
        java_home: java_home(server["java"].as_u64().context("a Java version")?)?,
    })
}

/// The JDK of this major version: `JAVA_HOME` if it is one, else where distributions put them.
fn java_home(major: u64) -> Result<PathBuf> {
    let mut candidates: Vec<PathBuf> = std::env::var_os("JAVA_HOME")
        .into_iter()
        .map(PathBuf::from)
        .collect();
    for parent in [
        "/usr/lib/jvm",
        "/opt",
        "/usr/java",
        "/Library/Java/JavaVirtualMachines",
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        candidates.extend(entries.map(|entry| entry.path()));
    }
    let fits = |home: &PathBuf| {
        let release = fs::read_to_string(home.join("release")).unwrap_or_default();
        let version = release
            .lines()
            .find_map(|line| line.strip_prefix("JAVA_VERSION=\""));
        home.join("bin/java").is_file()
            && version
                .is_some_and(|version| version.split(['.', '"']).next() == Some(&major.to_string()))
    };
    candidates
        .into_iter()
        .find(fits)
        .with_context(|| format!("no JDK {major} was found: install one, or point JAVA_HOME at it"))
}

/// What a server is started with.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Megabytes of heap; 0 takes 512.
    pub heap_mb: u32,
    /// The password of the user `elastic`; only Elasticsearch from 8 on has users in these
    /// distributions.
    pub password: Option<String>,
    /// Other nodes of its cluster, by transport address; `None` for a server alone.
    pub cluster: Option<Cluster>,
}

/// A node's place in a cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The name of this node.
    pub node: String,
    /// The node that elects itself at the first start.
    pub first: String,
    /// Where others are.
    pub seeds: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub struct SearchServer {
    distribution: Distribution,
    options: SearchOptions,
    folder: PathBuf,
    port: u16,
    transport: String,
    keeper: Child,
}

impl SearchServer {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; the message holds the tail of its log.
    pub fn start(distribution: &Distribution, options: SearchOptions) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("oip-search-")
            .tempdir()?
            .keep();
        let distribution = within_reach(distribution, &folder)?;
        let launched = launch(&distribution, &options, &folder, 0)?;
        Ok(Self {
            distribution,
            options,
            folder,
            port: launched.port,
            transport: launched.transport,
            keeper: launched.keeper,
        })
    }

    /// Its address: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its address for other nodes of a cluster.
    #[must_use]
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// What it was started from.
    #[must_use]
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// Ends it as a crash would, and waits until it is gone. Data and port are kept.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill9(&mut self) -> Result<()> {
        fs::write(self.folder.join("keep"), "")?;
        self.end()
    }

    /// Starts it again on the same port with the same data.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill9()?;
        let launched = launch(&self.distribution, &self.options, &self.folder, self.port)?;
        self.keeper = launched.keeper;
        self.transport = launched.transport;
        fs::remove_file(self.folder.join("keep"))?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        drop(self.keeper.stdin.take());
        self.keeper.wait()?;
        Ok(())
    }
}

impl Drop for SearchServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.url(), tail(&self.folder));
        }
        // Gone already, or going: the keeper kills the server as soon as its input closes.
        let _ = self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct Launched {
    keeper: Child,
    port: u16,
    transport: String,
}

fn launch(
    distribution: &Distribution,
    options: &SearchOptions,
    folder: &Path,
    port: u16,
) -> Result<Launched> {
    // What an earlier start wrote must not be taken for this one's.
    let _ = fs::remove_file(folder.join("console"));
    configure(distribution, options, folder, port)?;
    let (home_variable, options_variable, conf_variable) = match distribution.flavour.as_str() {
        "opensearch" => (
            "OPENSEARCH_JAVA_HOME",
            "OPENSEARCH_JAVA_OPTS",
            "OPENSEARCH_PATH_CONF",
        ),
        _ => ("ES_JAVA_HOME", "ES_JAVA_OPTS", "ES_PATH_CONF"),
    };
    let heap = if options.heap_mb == 0 {
        512
    } else {
        options.heap_mb
    };
    let server = |program: &str| {
        let mut words: Vec<String> = Vec::new();
        if is_root() {
            let user = [
                "setpriv".to_owned(),
                format!("--reuid={NOBODY}"),
                format!("--regid={NOBODY}"),
                "--clear-groups".to_owned(),
            ];
            words.extend(user);
        }
        words.extend(["bash".to_owned(), program.to_owned()]);
        words
    };
    let environment = [
        (home_variable, distribution.java_home.as_os_str().to_owned()),
        (options_variable, format!("-Xms{heap}m -Xmx{heap}m").into()),
        (conf_variable, folder.join("config").into_os_string()),
        ("HOME", folder.as_os_str().to_owned()),
    ];
    let program = |name: &str| {
        distribution
            .folder
            .join("bin")
            .join(name)
            .display()
            .to_string()
    };
    if let Some(password) = &options.password {
        let words = server(&program("elasticsearch-keystore"));
        let mut adding = Command::new(&words[0])
            .args(&words[1..])
            .args(["add", "-x", "-f", "bootstrap.password"])
            .envs(environment.clone())
            .stdin(Stdio::piped())
            .spawn()?;
        let mut input = adding.stdin.take().context("input is piped")?;
        input.write_all(password.as_bytes())?;
        drop(input);
        ensure!(adding.wait()?.success(), "the password was not taken");
    }
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "sh"])
        .arg(folder)
        .args(server(&program(&distribution.flavour)))
        .envs(environment)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // So that an interrupt at the terminal leaves the keeper to clean up.
        .process_group(0)
        .spawn()
        .context("start a shell")?;
    match wait_for_addresses(folder) {
        Ok((port, transport)) => Ok(Launched {
            keeper,
            port,
            transport,
        }),
        Err(error) => {
            drop(keeper.stdin.take());
            let log = tail(folder);
            let _ = keeper.wait();
            Err(error.context(format!("{} did not start:\n{log}", distribution.flavour)))
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The distribution where the user that the server runs as can read it: where it is, or, in a checkout
/// that only root gets to, such as one in root's home, a copy in the server's own folder.
fn within_reach(distribution: &Distribution, folder: &Path) -> Result<Distribution> {
    let lets_through = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    };
    let mut distribution = distribution.clone();
    if is_root() && !distribution.folder.ancestors().all(lets_through) {
        let copy = folder.join("distribution");
        copy_tree(&distribution.folder, &copy)?;
        distribution.folder = copy;
    }
    Ok(distribution)
}

/// Writes the configuration, and gives the folder to the user that the server runs as.
fn configure(
    distribution: &Distribution,
    options: &SearchOptions,
    folder: &Path,
    port: u16,
) -> Result<()> {
    let config = folder.join("config");
    if !config.is_dir() {
        copy_tree(&distribution.folder.join("config"), &config)?;
        // These write beside the distribution, which is shared and not the server's.
        let options = config.join("jvm.options");
        let text = fs::read_to_string(&options)?;
        let kept = text
            .lines()
            .filter(|line| !line.contains("logs/") && !line.contains("=data"));
        fs::write(options, kept.collect::<Vec<_>>().join("\n") + "\n")?;
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let mut lines = vec![
        "network.host: 127.0.0.1".to_owned(),
        format!("http.port: {port}"),
        "transport.port: 0".to_owned(),
        format!("path.data: {}", path("data")),
        format!("path.logs: {}", path("logs")),
        // A full disk of the machine that runs the tests is not what they are about.
        "cluster.routing.allocation.disk.threshold_enabled: false".to_owned(),
    ];
    match &options.cluster {
        None => lines.push("discovery.type: single-node".to_owned()),
        Some(cluster) => lines.extend([
            format!("node.name: {}", cluster.node),
            format!("cluster.name: {}", cluster.first),
            format!("cluster.initial_master_nodes: [\"{}\"]", cluster.first),
            format!(
                "discovery.seed_hosts: {}",
                serde_json::to_string(&cluster.seeds)?
            ),
        ]),
    }
    let has_security = distribution.folder.join("modules/x-pack-security").is_dir();
    match (&options.password, has_security) {
        (Some(_), true) => lines.extend([
            "xpack.security.enabled: true".to_owned(),
            "xpack.security.http.ssl.enabled: false".to_owned(),
            "xpack.security.transport.ssl.enabled: false".to_owned(),
        ]),
        (Some(_), false) => bail!(
            "{} {} knows no users",
            distribution.flavour,
            distribution.version
        ),
        (None, true) => lines.push("xpack.security.enabled: false".to_owned()),
        (None, false) => {}
    }
    let file = config.join(format!("{}.yml", distribution.flavour));
    fs::write(file, lines.join("\n") + "\n")?;
    if is_root() {
        give_away(folder)?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn give_away(path: &Path) -> Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}

/// The HTTP port and the transport address, once the server answers.
fn wait_for_addresses(folder: &Path) -> Result<(u16, String)> {
    let started = Instant::now();
    loop {
        let log = fs::read_to_string(folder.join("console")).unwrap_or_default();
        let address = |line_has: &str| {
            let line = log
                .lines()
                .find(|line| line.contains(line_has) && line.contains("publish_address {"))?;
            let (_, rest) = line.split_once("publish_address {")?;
            rest.split('}').next().map(str::to_owned)
        };
        if let (Some(http), Some(transport)) =
            (address("HttpServerTransport"), address("TransportService"))
            && log.contains("] started")
        {
            let port = http.rsplit(':').next().context("a port")?.parse()?;
            if answers(port) {
                return Ok((port, transport));
            }
        }
        let elapsed = started.elapsed();
        ensure!(
            elapsed < START_MAX,
            "it did not answer within {} s",
            START_MAX.as_secs()
        );
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// Any status will do: `GET /` is 405 here and 401 there.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<usize> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /_nodes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        stream.read(&mut [0; 12])
    };
    ask().is_ok_and(|bytes| bytes > 0)
}

/// Asks a server something (`http://[user:password@]host:port`) and gives status and answer; for what a
/// test has to arrange there.
///
/// # Errors
/// When the server can't be reached, or answers with something else than JSON.
pub fn call(url: &str, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
    let url = format!("{}{path}", url.trim_end_matches('/'));
    let method: reqwest::Method = method.parse()?;
    // A thread of its own: the caller may be on a runtime, where another can't be waited for.
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let mut request = client.request(method, url);
            if let Some(body) = body {
                request = request.json(&body);
            }
            let response = request.send().await?;
            let status = response.status().as_u16();
            let text = response.text().await?;
            let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Ok((status, answer))
        })
    });
    asking
        .join()
        .unwrap_or_else(|_| bail!("asking the server panicked"))
}

fn tail(folder: &Path) -> String {
    let mut log = String::new();
    if let Ok(mut file) = File::open(folder.join("console")) {
        let _ = file.read_to_string(&mut log);
    }
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    }

    #[test]
    fn a_server_starts_comes_back_after_a_crash_and_ends_with_its_handle() {
        let Some(distribution) = search_servers().into_iter().next() else {
            return;
        };
        let mut server = SearchServer::start(&distribution, SearchOptions::default()).expect("up");
        let (url, port) = (server.url(), server.port);
        assert!(answers(port));
        server.kill9().expect("killed");
        assert!(gone(port));
        server.restart().expect("up again");
        assert_eq!(server.url(), url);
        assert!(answers(port));
        let folder = server.folder.clone();
        drop(server);
        assert!(gone(port));
        assert!(!folder.exists());
    }

    #[test]
    fn a_distribution_that_only_root_gets_to_is_copied_for_the_server() {
        let (checkout, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = checkout.path().join("server");
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(folder.join("bin/run"), "").unwrap();
        let distribution = Distribution {
            flavour: "elasticsearch".to_owned(),
            version: "0".to_owned(),
            folder: folder.clone(),
            java_home: PathBuf::new(),
        };
        let from = |mode| {
            fs::set_permissions(checkout.path(), fs::Permissions::from_mode(mode)).unwrap();
            within_reach(&distribution, own.path()).unwrap().folder
        };
        assert_eq!(from(0o755), folder);
        let found = from(0o700);
        assert_eq!(found != folder, is_root(), "{}", found.display());
        assert!(found.join("bin/run").is_file());
    }

    #[test]
    fn a_java_that_is_not_there_is_named() {
        let error = java_home(3).expect_err("nobody has Java 3");
        assert!(error.to_string().contains("install one"), "{error}");
    }
}
