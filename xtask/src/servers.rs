//! The outside judges of the index: Elasticsearch and OpenSearch, fetched from Maven Central into
//! `target/search-servers`. Owns which are fetched and that their digests are right; refuses to
//! run what has another digest, and to install Maven or a JDK itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::command;
use crate::interop::{Interop, REQUIREMENT};

/// The list, which the tests read too.
const LIST: &str = include_str!("../../interop/servers.json");
/// Mirrors drop a connection now and then; a third try has always been enough.
const FETCH_TRIES: u32 = 3;
/// Pause before another try, times the number of the try.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

/// `cargo xtask servers`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let chosen = choose(&list()?, arguments)?;
    for server in &chosen {
        fetch(server)?;
        println!("{}: ready", server.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches the servers of CI unless they are there.
///
/// # Errors
///
/// Fails when `OIP_INTEROP=required` and one can't be made ready.
pub(crate) fn set_up() -> Result<Interop> {
    let ready = choose(&list()?, &[])?.iter().try_for_each(fetch);
    let Err(why) = ready else {
        return Ok(Interop::Ready);
    };
    if std::env::var(REQUIREMENT).is_ok_and(|value| value == "required") {
        bail!("{REQUIREMENT}=required, but {why:#}");
    }
    Ok(Interop::Missing(format!("{why:#}")))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    name: String,
    coordinates: String,
    sha256: String,
    runs_in_ci: String,
}

fn list() -> Result<Vec<Server>> {
    let rows: Vec<Value> =
        serde_json::from_str(LIST).context("failed to read interop/servers.json")?;
    rows.iter()
        .map(|row| {
            let text = |key: &str| {
                let value = row[key].as_str();
                value
                    .map(str::to_owned)
                    .with_context(|| format!("a server without {key}"))
            };
            let (flavour, version) = (text("flavour")?, text("version")?);
            Ok(Server {
                name: format!("{flavour}-{version}"),
                coordinates: format!("{}:{flavour}:{version}:zip", text("group")?),
                sha256: text("sha256")?,
                runs_in_ci: row["ci"].to_string(),
            })
        })
        .collect()
}

/// The servers that `arguments` name: none means those of CI, `--all` every one.
fn choose(list: &[Server], arguments: &[String]) -> Result<Vec<Server>> {
    if arguments.is_empty() {
        let of_ci = list.iter().filter(|server| server.runs_in_ci == "true");
        return Ok(of_ci.cloned().collect());
    }
    if arguments == ["--all"] {
        return Ok(list.to_vec());
    }
    let find = |name: &String| {
        let found = list.iter().find(|server| server.name == *name).cloned();
        let known: Vec<&str> = list.iter().map(|server| server.name.as_str()).collect();
        found.with_context(|| format!("no server {name:?}; there are {}", known.join(", ")))
    };
    arguments.iter().map(find).collect()
}

fn fetch(server: &Server) -> Result<()> {
    let cache = command::root().join("target/search-servers");
    let folder = cache.join(&server.name);
    if folder.join("lib").is_dir() {
        return Ok(());
    }
    fs::create_dir_all(&cache)?;
    let archive = cache.join(format!("{}.zip", server.name));
    if !archive.is_file() {
        download(server, &cache)?;
    }
    check_digest(&archive, &server.sha256)?;
    // Unpacked aside and renamed, so that a folder that is there is whole.
    let aside = tempfile_beside(&cache, &server.name);
    let _ = fs::remove_dir_all(&aside);
    fs::create_dir_all(&aside)?;
    let jar = Command::new("jar")
        .arg("xf")
        .arg(&archive)
        .current_dir(&aside)
        .status();
    ensure!(
        jar.is_ok_and(|status| status.success()),
        "{} can't be unpacked: `jar` of a JDK 17 or later does that, put its bin folder on the PATH",
        archive.display()
    );
    open_to_all(&aside)?;
    match fs::rename(aside.join(&server.name), &folder) {
        // Another run was quicker.
        Err(_) if folder.join("lib").is_dir() => {}
        result => result.with_context(|| format!("failed to move {}", folder.display()))?,
    }
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}

fn download(server: &Server, cache: &Path) -> Result<()> {
    ensure!(
        command::output("mvn", &["--version"]).is_some(),
        "{} is not here, and Maven, which fetches it, is not installed",
        server.name
    );
    for attempt in 1..=FETCH_TRIES {
        let fetched = command::step(
            Command::new("mvn")
                .args(["-q", "-B", "dependency:copy"])
                .arg(format!("-Dartifact={}", server.coordinates))
                .arg(format!("-DoutputDirectory={}", cache.display()))
                .current_dir(cache),
        );
        match fetched {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("try {attempt} of {FETCH_TRIES}: {error:#}"),
        }
        if attempt < FETCH_TRIES {
            std::thread::sleep(FETCH_PAUSE * attempt);
        }
    }
    bail!(
        "{} could not be fetched (see Maven's messages above)",
        server.name
    )
}

fn check_digest(archive: &Path, expected: &str) -> Result<()> {
    let path = archive.display().to_string();
    let sum = command::output("sha256sum", &[&path])
        .or_else(|| command::output("shasum", &["-a", "256", &path]))
        .context("neither sha256sum nor shasum is installed")?;
    if sum.starts_with(expected) {
        return Ok(());
    }
    fs::remove_file(archive)?;
    bail!("{path} had another digest than interop/servers.json says and was removed: {sum}")
}

fn tempfile_beside(cache: &Path, name: &str) -> PathBuf {
    cache.join(format!("{name}.{}", std::process::id()))
}

/// The servers don't run as root and must be able to read what root unpacked.
fn open_to_all(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    command::step(Command::new("chmod").args(["-R", "a+rX"]).arg(folder))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_runs_one_of_each_flavour() {
        let of_ci = choose(&list().expect("a list"), &[]).expect("some");
        let names: Vec<&str> = of_ci.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(
            names.iter().any(|name| name.starts_with("elasticsearch-")),
            "{names:?}"
        );
        assert!(
            names.iter().any(|name| name.starts_with("opensearch-")),
            "{names:?}"
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = choose(&list().expect("a list"), &["solr".to_owned()]).expect_err("unknown");
        assert!(
            error.to_string().contains("elasticsearch-7.17.8"),
            "{error}"
        );
    }

    #[test]
    fn an_archive_with_another_digest_is_removed() {
        let archive = std::env::temp_dir().join(format!("oip-digest-{}.zip", std::process::id()));
        fs::write(&archive, "not an archive").expect("written");
        let error = check_digest(&archive, &"0".repeat(64)).expect_err("another digest");
        assert!(error.to_string().contains("was removed"), "{error}");
        assert!(!archive.exists());
    }
}
