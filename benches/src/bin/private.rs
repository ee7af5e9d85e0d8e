//! `private`: what private records cost. Sealing and opening on one core, bytes of the sealed form, and a record for
//! very many readers from end to end.

use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use benches::contenders;
use benches::corpus::{Corpus, RECORD_TYPE};
use benches::options::Options;
use benches::report::{Report, Table};
use clap::Parser;
use oip_record::publish::{self, Built, Context, Submission};
use oip_record::{CreatorKey, SealedForm};
use oip_vault::keys::{EncryptionKey, EncryptionPublic, KeyRing};
use oip_vault::seal::{self, Place};
use rand::RngCore as _;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Map, Value, json};
use testkit::{NodeProcess, RawGun};

const RUNS: usize = 1;

/// Readers beside the publisher, per line of the tables.
const READERS: [usize; 3] = [1, 10, 1_000];

/// Readers of the record that goes through the API.
const READERS_OF_ALL: usize = 1_000;

/// Records whose sizes are averaged.
const SIZED: usize = 100;

/// Longest that anything may take which is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let runs = options.runs_or(RUNS);
    let readers = options.records_or(READERS_OF_ALL);
    let corpus = Corpus::new(options.seed, SIZED);
    let mut report = Report::new("private", &options, runs);
    report.fact("corpus", corpus.describe());
    report.fact("creator key", "Ed25519".to_owned());
    let mut speed = Table::new(
        "a whole sealed version, both signatures included, on one core",
        &["sealed/s", "opened/s", "ms to seal", "ms to open"],
    );
    let mut size = Table::new(
        "bytes of the sealed form as a value on the wire; promised: 450 a record, 200 a reader",
        &[
            "data",
            "sealed form",
            "base64 of the data",
            "beyond, a record",
            "a reader",
        ],
    );
    let mut whole = Table::new(
        "through the API: A publishes, B is one of the readers",
        &[
            "readers",
            "ms until 200",
            "bytes on the graph",
            "ms until found on B",
        ],
    );
    let time = Duration::from_secs_f64(options.seconds);
    for _ in 0..runs {
        for readers in READERS {
            measure_speed(readers, &corpus, time, &mut speed)?;
            measure_size(readers, &corpus, &mut size)?;
        }
        measure_whole(readers, &corpus, &options, &mut whole).await?;
    }
    report.table(speed);
    report.table(size);
    report.table(whole);
    report.print(&options);
    Ok(())
}

/// The system's source of randomness, as a node uses it.
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(rand::rng().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(rand::rng().next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        rand::rng().fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}

fn scalar(number: usize) -> [u8; 32] {
    let mut scalar = [1; 32];
    scalar[..8].copy_from_slice(&(number as u64).to_be_bytes());
    scalar
}

/// A creator and those it seals to.
struct Publisher {
    key: CreatorKey,
    ring: KeyRing,
    readers: Vec<EncryptionPublic>,
}

/// A version, and what it was sealed at.
struct Sealed {
    draft: publish::Draft,
    form: SealedForm,
    built: Built,
}

impl Publisher {
    fn new(readers: usize) -> Result<Self> {
        let own = EncryptionKey::from_scalar(scalar(0))?;
        let others = (1..=readers).map(|n| EncryptionKey::from_scalar(scalar(n)));
        let mut keys = vec![own.public().clone()];
        for key in others {
            keys.push(key?.public().clone());
        }
        Ok(Self {
            key: CreatorKey::ed25519([7; 32])?,
            ring: KeyRing::new(own),
            readers: keys,
        })
    }

    /// As a node does it: canonical data, signed inside, sealed, signed outside.
    fn seal(&self, record: &str) -> Result<Sealed> {
        let submission = Submission {
            record_type: RECORD_TYPE.to_owned(),
            local_id: None,
            data: serde_json::from_str(record)?,
            params: Map::new(),
        };
        let context = Context {
            key: &self.key,
            now_ms: now_ms()?,
            newest_known: None,
            random: [9; 16],
            existing: None,
        };
        let draft = publish::draft(&submission, "shared", &context)?;
        let signature = draft.sign_content(&self.key)?;
        let form = seal::seal(
            place(&draft),
            &draft.level,
            &draft.data,
            &signature,
            &self.readers,
            &mut SystemRandom,
        )?;
        let built = draft.seal(&form, &self.key)?;
        Ok(Sealed { draft, form, built })
    }
}

fn place(draft: &publish::Draft) -> Place<'_> {
    Place {
        soul: &draft.soul,
        record_type: &draft.record_type,
        indexed_at: &draft.stamp,
        creator: &draft.creator,
    }
}

fn now_ms() -> Result<i64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}

fn named(readers: usize) -> String {
    match readers {
        1 => "1 reader and the publisher".to_owned(),
        readers => format!("{readers} readers and the publisher"),
    }
}

fn measure_speed(readers: usize, corpus: &Corpus, time: Duration, table: &mut Table) -> Result<()> {
    let publisher = Publisher::new(readers)?;
    let (mut sealed, mut made) = (0_u32, Vec::new());
    let began = Instant::now();
    for record in corpus.records.iter().cycle() {
        let version = publisher.seal(record)?;
        sealed += 1;
        if made.len() < corpus.records.len() {
            made.push(version);
        }
        if began.elapsed() >= time {
            break;
        }
    }
    let sealing = began.elapsed().as_secs_f64() / f64::from(sealed);
    let mut opened = 0_u32;
    let began = Instant::now();
    for version in made.iter().cycle() {
        seal::open(place(&version.draft), &version.form, &publisher.ring)?;
        opened += 1;
        if began.elapsed() >= time {
            break;
        }
    }
    let opening = began.elapsed().as_secs_f64() / f64::from(opened);
    table.add(
        named(readers),
        &[1.0 / sealing, 1.0 / opening, sealing * 1e3, opening * 1e3],
    );
    Ok(())
}

fn measure_size(readers: usize, corpus: &Corpus, table: &mut Table) -> Result<()> {
    let publisher = Publisher::new(readers)?;
    let count = match readers {
        0..=100 => SIZED,
        // The form of a thousand readers differs by the content alone.
        _ => 10,
    };
    let mut sums = [0.0; 5];
    for record in corpus.records.iter().take(count) {
        let version = publisher.seal(record)?;
        let text = version
            .built
            .data_text
            .context("a sealed version has data")?;
        let data = version.draft.data.to_string().len();
        let base64 = data.div_ceil(3) * 4;
        let each: usize = version.form.to_value()["seal"]["recipients"]
            .as_array()
            .context("a sealed form has recipients")?
            .iter()
            // And the comma behind it.
            .map(|one| quoted(&one.to_string()) + 1)
            .sum();
        let whole = quoted(&text);
        let numbers = [
            data,
            whole,
            base64,
            whole - base64 - each,
            each / publisher.readers.len(),
        ];
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number as f64 / count as f64;
        }
    }
    table.add(named(readers), &sums);
    Ok(())
}

/// The length of a text as GUN sends it, within quotes.
fn quoted(text: &str) -> usize {
    Value::from(text).to_string().len() - 2
}

/// Users with keys, who have said so on A's relay port.
async fn users(count: usize, a: &NodeProcess) -> Result<Vec<String>> {
    let mut relay = RawGun::connect(a.relay()).await?;
    let mut keys = Vec::with_capacity(count);
    for number in 1..=count {
        let key = CreatorKey::secp256k1(scalar(number))?;
        let encryption = EncryptionKey::from_scalar(scalar(number))?;
        let data = json!({"encryptionKey": {"kem": "P-256", "key": encryption.public().to_text()}});
        let submission = Submission {
            record_type: "encryptionKey".to_owned(),
            local_id: Some("encryption-key".to_owned()),
            data,
            params: Map::new(),
        };
        let now_ms = now_ms()?;
        let context = Context {
            key: &key,
            now_ms,
            newest_known: None,
            random: [1; 16],
            existing: None,
        };
        let built = publish::build(&submission, &context)?;
        let values = [
            ("data", json!(built.data_text)),
            ("oip", json!(built.oip_text)),
        ];
        let graph = testkit::raw::node(built.soul.as_str(), &values, u64::try_from(now_ms)?);
        let ack = relay.put(graph, PATIENCE).await?;
        ensure!(ack["err"].is_null(), "a user's key was not taken: {ack}");
        keys.push(key.creator().public_key.clone());
    }
    Ok(keys)
}

async fn measure_whole(
    readers: usize,
    corpus: &Corpus,
    options: &Options,
    table: &mut Table,
) -> Result<()> {
    let a = contenders::node("A", "", options).await?;
    let b = contenders::node("B", a.relay(), options).await?;
    let (a_token, b_token) = (a.admin_token()?, b.admin_token()?);
    let keys = b.call("GET", "/api/keys", &b_token, None).await?;
    let b_id = keys.body["nodeId"].as_str().context("B has no id")?;
    let users = users(readers.saturating_sub(1), &a).await?;
    let mut data: Value = serde_json::from_str(&corpus.records[0])?;
    data["accessControl"] = json!({
        "access_level": "shared", "authorized_nodes": [b_id], "shared_with": users,
    });
    let path = format!("/api/records/newRecord?recordType={RECORD_TYPE}&localId=for-many");
    for name in ["published", "published again"] {
        data["basic"]["name"] = json!(name);
        let began = Instant::now();
        let answer = a.call("POST", &path, &a_token, Some(&data)).await?;
        let answered = began.elapsed();
        ensure!(answer.status == 200, "not published: {}", answer.body);
        let did = answer.body["did"].as_str().context("no did")?.to_owned();
        let found = found_on(&b, &b_token, &did, began, |record| {
            record["data"]["basic"]["name"] == name
        });
        let found = found.await?;
        let numbers = [
            readers as f64,
            ms(answered),
            size_on(&a, &did).await?,
            ms(found),
        ];
        table.add(name, &numbers);
        if name == "published" {
            continue;
        }
        let one_more = crate::users(1, &a).await?;
        for (name, change) in [
            (
                "shared with one who can read already",
                json!({"share": one_more}),
            ),
            (
                "revoked for one: sealed anew for all others",
                json!({"revoke": one_more}),
            ),
        ] {
            let path = format!("/api/records/{did}/access");
            let began = Instant::now();
            let answer = a.call("PATCH", &path, &a_token, Some(&change)).await?;
            let answered = began.elapsed();
            ensure!(answer.status == 200, "not changed: {}", answer.body);
            let size = size_on(&a, &did).await?;
            table.add(name, &[readers as f64, ms(answered), size, f64::NAN]);
        }
    }
    Ok(())
}

/// Time from `began` until a node shows the record to its operator.
async fn found_on(
    node: &NodeProcess,
    token: &str,
    did: &str,
    began: Instant,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Duration> {
    loop {
        let path = "/api/records?limit=100&search=published";
        let page = node.call("GET", path, token, None).await?;
        let records = page.body["records"].as_array().into_iter().flatten();
        let mut shown = records.filter(|record| record["oip"]["did"] == did);
        if shown.any(&is_wanted) {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "{did} was not found on B");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Bytes of a record's data as a value of the graph.
async fn size_on(node: &NodeProcess, did: &str) -> Result<f64> {
    let soul = did.trim_start_matches("did:gun:");
    let answer = node.get(&format!("/gun-relay/get?soul={soul}")).await?;
    let data = &answer.body["data"]["data"];
    ensure!(data["encrypted"].is_string(), "{did} is not sealed");
    Ok(quoted(&data.to_string()) as f64)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
