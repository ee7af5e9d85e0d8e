//! The real `oip-gun` binary as a process, on free loopback ports with a folder of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;

/// Time to the ready line; a debug build on a loaded machine takes seconds.
const START_MAX: Duration = Duration::from_secs(60);

/// Longest a single HTTP answer may take.
const HTTP_MAX: Duration = Duration::from_secs(60);

/// What a node is started with, besides the defaults of [`NodeProcess`].
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Stands in messages and before each line of its log.
    pub name: String,
    /// Arguments after `serve --json`.
    pub args: Vec<String>,
    /// Environment; wins over the defaults.
    pub env: Vec<(String, String)>,
}

impl NodeOptions {
    /// Options with a name only.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// With one more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// An HTTP answer: its status and its body, which is text if it is not JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body: JSON, or a JSON string holding the text.
    pub body: Value,
}

/// A running node. It gets an empty environment but for `PATH`, a temporary folder as home,
/// working and data folder, and `PORT=0`, `GUN_RELAY_PORT=0`.
#[derive(Debug)]
pub struct NodeProcess {
    binary: PathBuf,
    options: NodeOptions,
    folder: TempDir,
    api: String,
    relay: String,
    process: Process,
    http: reqwest::Client,
}

impl NodeProcess {
    /// Starts `binary serve --json` and waits for its ready line
    /// (`{"ready":true,"api":"http://…","relay":"ws://…/gun"}`).
    ///
    /// # Errors
    /// When it does not become ready; the message holds the tail of its log.
    pub async fn start(binary: impl Into<PathBuf>, options: NodeOptions) -> Result<Self> {
        let binary = binary.into();
        let folder = tempfile::tempdir()?;
        let (process, api, relay) = launch(&binary, &options, folder.path(), ("0", "0")).await?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(HTTP_MAX)
            .build()?;
        Ok(Self {
            binary,
            options,
            folder,
            api,
            relay,
            process,
            http,
        })
    }

    /// Base address of its API: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Address of its relay for a peer: `ws://127.0.0.1:PORT/gun`.
    #[must_use]
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// Its folder; the data folder is `data` inside.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its options, which the next [`restart`](Self::restart) uses.
    pub fn options(&mut self) -> &mut NodeOptions {
        &mut self.options
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// All that it has logged since it was started.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.process.error_log()
    }

    /// The admin token, from its data folder.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn admin_token(&self) -> Result<String> {
        let path = self.folder().join("data/admin-token");
        Ok(std::fs::read_to_string(path)?.trim().to_owned())
    }

    /// A call with a token: `method` and `path`, a body as JSON where there is one.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let request = self.http.request(method, format!("{}{path}", self.api));
        let request = request.bearer_auth(token);
        answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
        .with_context(|| path.to_owned())
    }

    /// The tail of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.error_tail()
    }

    /// GET `path` (with its leading slash and query).
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        let request = self.http.get(format!("{}{path}", self.api));
        answer(request).await.with_context(|| format!("GET {path}"))
    }

    /// POST `body` as JSON to `path`.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let request = self.http.post(format!("{}{path}", self.api)).json(body);
        answer(request)
            .await
            .with_context(|| format!("POST {path}"))
    }

    /// POST `body` as it is, labelled as JSON, to `path`: for input that is not JSON, and for
    /// JSON whose exact text matters.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Result<Answer> {
        let request = self
            .http
            .post(format!("{}{path}", self.api))
            .header("content-type", "application/json")
            .body(body.into());
        answer(request)
            .await
            .with_context(|| format!("POST {path}"))
    }

    /// Ends it as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn kill9(&mut self) -> Result<()> {
        self.process.kill9().await
    }

    /// Asks it to end (SIGTERM) and returns its exit code; `None` if a signal ended it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn terminate(&mut self) -> Result<Option<i32>> {
        self.process.terminate().await
    }

    /// Starts it again with the same ports and folder; ends it first (SIGTERM) if it runs.
    ///
    /// # Errors
    /// When it does not end or does not become ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.terminate().await?;
        let ports = (port_of(&self.api)?, port_of(&self.relay)?);
        let ports = (ports.0.as_str(), ports.1.as_str());
        let (process, api, relay) =
            launch(&self.binary, &self.options, self.folder.path(), ports).await?;
        self.process = process;
        self.api = api;
        self.relay = relay;
        Ok(())
    }
}

fn port_of(url: &str) -> Result<String> {
    let url = reqwest::Url::parse(url)?;
    let port = url.port().with_context(|| format!("no port in {url}"))?;
    Ok(port.to_string())
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, body })
}

async fn launch(
    binary: &Path,
    options: &NodeOptions,
    folder: &Path,
    (api_port, relay_port): (&str, &str),
) -> Result<(Process, String, String)> {
    let mut command = Command::new(binary);
    command
        .args(["serve", "--json"])
        .args(&options.args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("OIP_GUN_DATA_DIR", folder.join("data"))
        .env("PORT", api_port)
        .env("GUN_RELAY_PORT", relay_port)
        .envs(options.env.iter().map(|(name, value)| (name, value)));
    let mut process = Process::start(options.name.as_str(), command)?;
    let line = process.line(START_MAX).await?;
    let ready: Value = serde_json::from_str(&line)
        .with_context(|| format!("{} printed {line:?} as its ready line", options.name))?;
    ensure!(
        ready["ready"] == true,
        "{} is not ready: {line}",
        options.name
    );
    let address = |name: &str| {
        let text = ready[name].as_str().map(str::to_owned);
        text.with_context(|| format!("no {name} address in {line:?}"))
    };
    Ok((process, address("api")?, address("relay")?))
}
