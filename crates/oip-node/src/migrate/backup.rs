//! Import of records in the index form: a deployed node's backup JSON, an export of its index, or what
//! its API answered.
//!
//! Each record is verified as if a peer had shown it, and kept with its own id, time and signature;
//! nothing is signed or dated anew. What this node's creator key made counts as published here and is
//! told to peers; everything is announced in the registry. Importing again changes nothing, so that
//! an import that was interrupted is simply started again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use gun::Soul;
use oip_record::{Did, Reject, SignatureClass, SignaturePolicy, read, verify};
use oip_store::{Committed, Op, OpenError, QuarantineRow, Store, Transaction, WriteError};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock;
use crate::config::{NodeConfig, SyncMode, TypeFilter};
use crate::keyring::{Keyring, KeyringError};
use crate::node::StartError;
use crate::sync::judge::{Judge, Judgement, data_mark, row_of, signed_ms, signer_mark};
use crate::{storage, sync};

/// Records handed to the store and not yet durable: enough to share each sync.
const UNDER_WAY_MAX: usize = 512;

/// Refused records that the report names; the others are only counted.
const NAMED_MAX: usize = 100;

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Records looked at.
    pub done: u64,
    /// Records in the files read so far.
    pub total: u64,
}

/// What was found, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Documents in them.
    pub found: u64,
    /// Documents that are no records of the graph: on a chain, or without a `did:gun:`.
    pub not_on_graph: u64,
    /// Records taken, or, in a dry run, that would be taken by an empty store.
    pub taken: u64,
    /// Of these, those that this node's creator key made.
    pub own: u64,
    /// Records of which this version or a later one is held already.
    pub known: u64,
    /// Records of types that this node does not sync.
    pub unwanted: u64,
    /// Records taken, by what is known about their signature.
    pub signatures: BTreeMap<String, u64>,
    /// Records refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// The first of those refused.
    pub first_refused: Vec<Refused>,
    /// Whether nothing was stored.
    pub dry_run: bool,
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Which.
    pub did: String,
    /// Why, in words.
    pub why: String,
}

/// Why an import did not take place, or ended early. What was stored by then stays; importing again
/// goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file can't be read.
    #[error("failed to read {}: {source}; name the JSON file of a backup", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no backup.
    #[error(
        "{} is no backup: {why}; it has to be a JSON array of records, an object with `records` or `hits`, or one record per line, each with `oip` and `data`",
        .path.display()
    )]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A node has the store open.
    #[error(
        "a node runs on the data folder {}: stop it, import, and start it again",
        .0.display()
    )]
    NodeRuns(PathBuf),
    /// The store did not open.
    #[error(transparent)]
    Open(StartError),
    /// The keys can't be had.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The store failed to read.
    #[error("failed to look up what is held: {0}")]
    Read(#[from] oip_store::ReadError),
    /// The store took no more.
    #[error("failed to store what was read: {0}")]
    Store(#[from] WriteError),
}

/// Reads, verifies and reports, and stores nothing.
///
/// # Errors
/// [`ImportError`] if a file can't be read as a backup.
pub fn inspect(
    config: &NodeConfig,
    files: &[PathBuf],
    progress: impl FnMut(Progress),
) -> Result<Report, ImportError> {
    read_files(Import::dry_run(config), files, progress)
}

/// Imports files into the store of `config`'s data folder, on which no node may run. Blocks; call it
/// off the reactor.
///
/// # Errors
/// [`ImportError`], whose message names the cure.
pub fn import(
    config: &NodeConfig,
    files: &[PathBuf],
    progress: impl FnMut(Progress),
) -> Result<Report, ImportError> {
    read_files(Import::start(config)?, files, progress)
}

/// An import under way: documents come one at a time, from wherever they lie.
pub struct Import {
    signatures: SignaturePolicy,
    types: TypeFilter,
    /// `None` in a dry run.
    into: Option<(Importer, UnderWay)>,
    report: Report,
}

impl Import {
    /// One that verifies and reports, and stores nothing.
    #[must_use]
    pub fn dry_run(config: &NodeConfig) -> Self {
        let report = Report {
            dry_run: true,
            ..Report::default()
        };
        Self {
            signatures: config.sync.signatures,
            types: config.types.clone(),
            into: None,
            report,
        }
    }

    /// One into the store of `config`'s data folder, on which no node may run.
    ///
    /// # Errors
    /// [`ImportError`], whose message names the cure.
    pub fn start(config: &NodeConfig) -> Result<Self, ImportError> {
        let (store, registry) =
            storage::open(config, SyncMode::Off).map_err(|error| match error {
                StartError::Store(OpenError::Locked(_)) => {
                    ImportError::NodeRuns(config.data_dir.clone())
                }
                error => ImportError::Open(error),
            })?;
        let keys = Keyring::open(config)?;
        let node_id = config.node_id_override.clone();
        let importer = Importer {
            own: keys.creator.creator().did_address.clone(),
            node_id: node_id.unwrap_or_else(|| keys.identity.node_id()),
            judge: Judge {
                store: store.clone(),
                registry,
                types: config.types.clone(),
                signatures: config.sync.signatures,
            },
        };
        Ok(Self {
            signatures: config.sync.signatures,
            types: config.types.clone(),
            into: Some((importer, UnderWay::new(store))),
            report: Report::default(),
        })
    }

    /// Takes a document in the index form, bare or as `_source`. Blocks while much is under way.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails. A document that is refused is none; the report tells.
    pub fn take(&mut self, mut document: Value) -> Result<(), ImportError> {
        let report = &mut self.report;
        report.found += 1;
        if document["_source"].is_object() {
            document = document["_source"].take();
        }
        let Some(soul) = soul_of(&document) else {
            report.not_on_graph += 1;
            return Ok(());
        };
        if let Some((importer, under_way)) = &mut self.into {
            return importer.take(&soul, &document, report, under_way);
        }
        let raw = read::from_document(&document);
        let now_ms = signed_ms(clock::wall_ms());
        match raw.and_then(|raw| verify::accept(&soul, raw, self.signatures, now_ms)) {
            Ok(accepted) if !self.types.wants(&accepted.record_type) => report.unwanted += 1,
            Ok(accepted) => report.took(accepted.verification.label(), false),
            Err(reject) => report.refuse(&soul, &reject),
        }
        Ok(())
    }

    /// Ends when everything is durable.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails.
    pub fn finish(self) -> Result<Report, ImportError> {
        if let Some((_, mut under_way)) = self.into {
            under_way.settle(0)?;
            under_way.store.close()?;
        }
        Ok(self.report)
    }
}

struct Importer {
    judge: Judge,
    /// `didAddress` of this node's creator key.
    own: String,
    node_id: String,
}

impl Importer {
    fn take(
        &self,
        soul: &Soul,
        document: &Value,
        report: &mut Report,
        under_way: &mut UnderWay,
    ) -> Result<(), ImportError> {
        let now_ms = clock::wall_ms();
        let raw = match read::from_document(document) {
            Ok(raw) => raw,
            Err(reject) => {
                report.refuse(soul, &reject);
                return Ok(());
            }
        };
        // A file may hold two versions of a record: the later look sees the earlier one.
        under_way.settle_if(soul)?;
        let mut judgement = self.judge.judge_shown(soul, raw.clone(), now_ms)?;
        // What does not verify is refused where its creator is known to sign: what was read so far counts.
        if let Judgement::Take { accepted, .. } = &judgement
            && accepted.class == SignatureClass::None
            && !under_way.answers.is_empty()
        {
            under_way.settle(0)?;
            judgement = self.judge.judge_shown(soul, raw, now_ms)?;
        }
        let ops = match judgement {
            Judgement::Take { accepted, held } => {
                let is_own = accepted.creator.did_address == self.own;
                report.took(accepted.verification.label(), is_own);
                let mut ops = vec![Op::ExpectRecord {
                    soul: soul.clone(),
                    seq: held.as_ref().map(|held| held.seq),
                }];
                let node_id = if is_own { &*self.node_id } else { "unknown" };
                let graph = sync::graph_of(&self.judge.registry, &accepted, node_id, now_ms);
                ops.push(Op::Merge { graph });
                let mut marks = Vec::new();
                if accepted.class != SignatureClass::None {
                    marks.push(signer_mark(&accepted.creator.did_address));
                }
                if accepted.class == SignatureClass::Deployed {
                    marks.push(data_mark(&accepted));
                }
                ops.extend(marks.into_iter().map(|name| Op::SetCursor {
                    name,
                    value: vec![1],
                }));
                ops.push(Op::QuarantineRemove(soul.clone()));
                let seen_ms = held.map_or(now_ms, |held| held.first_seen_ms);
                let mut row = row_of(*accepted, Some("backup".to_owned()), seen_ms);
                row.own = is_own;
                ops.push(Op::PutRecord(row));
                ops
            }
            Judgement::Unwanted => {
                report.unwanted += 1;
                return Ok(());
            }
            Judgement::Refuse { reject, texts, .. } => {
                report.refuse(soul, &reject);
                let (data, oip) = texts.map_or((None, None), |texts| {
                    (texts.data.map(Into::into), Some(texts.oip.into()))
                });
                vec![Op::QuarantineAdd(QuarantineRow {
                    soul: soul.clone(),
                    record_type: None,
                    creator: None,
                    reason: reject.label().to_owned(),
                    detail: reject.to_string(),
                    source: Some("backup".to_owned()),
                    attempts: 1,
                    first_ms: now_ms,
                    last_ms: now_ms,
                    due_ms: None,
                    data,
                    oip,
                })]
            }
            Judgement::Contested(accepted) => {
                report.refused("contested");
                report.name(
                    soul,
                    format!(
                        "{} signed it, but the soul belongs to another key",
                        accepted.creator.did_address
                    ),
                );
                return Ok(());
            }
            _ => {
                report.known += 1;
                return Ok(());
            }
        };
        under_way.submit(soul, Transaction { ops })
    }
}

/// Transactions that the store has and has not answered.
struct UnderWay {
    store: Store,
    answers: std::collections::VecDeque<(Soul, mpsc::Receiver<Result<Committed, WriteError>>)>,
}

impl UnderWay {
    fn new(store: Store) -> Self {
        Self {
            store,
            answers: std::collections::VecDeque::new(),
        }
    }

    fn submit(&mut self, soul: &Soul, transaction: Transaction) -> Result<(), ImportError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.store
            .submit(transaction, clock::wall_ms(), move |outcome| {
                // Nobody waits any more when an import ends early.
                let _ = answer.send(outcome);
            });
        self.answers.push_back((soul.clone(), answered));
        self.settle(UNDER_WAY_MAX)
    }

    /// Waits until at most so many are under way.
    fn settle(&mut self, most: usize) -> Result<(), ImportError> {
        while self.answers.len() > most {
            if let Some((_, answered)) = self.answers.pop_front() {
                answered.recv().map_err(|_| WriteError::Closed)??;
            }
        }
        Ok(())
    }

    fn settle_if(&mut self, soul: &Soul) -> Result<(), ImportError> {
        if self.answers.iter().any(|(other, _)| other == soul) {
            self.settle(0)?;
        }
        Ok(())
    }
}

impl Report {
    fn took(&mut self, signature: &str, is_own: bool) {
        self.taken += 1;
        self.own += u64::from(is_own);
        *self.signatures.entry(signature.to_owned()).or_default() += 1;
    }

    fn refused(&mut self, reason: &str) {
        *self.refused.entry(reason.to_owned()).or_default() += 1;
    }

    fn refuse(&mut self, soul: &Soul, reject: &Reject) {
        self.refused(reject.label());
        self.name(soul, reject.to_string());
    }

    fn name(&mut self, soul: &Soul, why: String) {
        if self.first_refused.len() < NAMED_MAX {
            let did = Did::from_soul(soul).to_string();
            self.first_refused.push(Refused { did, why });
        }
    }
}

/// Takes every document of the files. A file that is one JSON value is held as text, and parsed a
/// document at a time.
fn read_files(
    mut import: Import,
    files: &[PathBuf],
    mut progress: impl FnMut(Progress),
) -> Result<Report, ImportError> {
    for path in files {
        let texts = documents(path)?;
        import.report.files += 1;
        let total = import.report.found + texts.len() as u64;
        for text in texts {
            let document: Value =
                serde_json::from_str(text.get()).map_err(|error| ImportError::NotABackup {
                    path: path.clone(),
                    why: error.to_string(),
                })?;
            import.take(document)?;
            let done = import.report.found;
            progress(Progress { done, total });
        }
    }
    import.finish()
}

/// The soul under which a document was published: the DID it bears, whatever its other names.
fn soul_of(document: &Value) -> Option<Soul> {
    let oip = &document["oip"];
    let named = ["did", "didTx"].into_iter();
    named
        .filter_map(|name| oip[name].as_str())
        .find_map(|did| Did::parse(did).ok())
        .map(|did| did.soul().clone())
}

/// The documents of a file, each as its own text.
fn documents(path: &Path) -> Result<Vec<Box<RawValue>>, ImportError> {
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let wrong = |why: String| ImportError::NotABackup {
        path: path.to_owned(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    if let Ok(array) = serde_json::from_str::<Vec<Box<RawValue>>>(&text) {
        return Ok(array);
    }
    if let Ok(whole) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text) {
        let inner = whole.get("records").or_else(|| whole.get("hits"));
        return match inner.map(|inner| inner.get()) {
            // An answer of Elasticsearch: `hits` within `hits`.
            Some(inner) if inner.starts_with('{') => {
                let mut hits: BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(inner).map_err(|error| wrong(error.to_string()))?;
                let hits = hits.remove("hits");
                let hits = hits.ok_or_else(|| wrong("`hits` holds no `hits`".to_owned()))?;
                serde_json::from_str(hits.get()).map_err(|error| wrong(error.to_string()))
            }
            Some(inner) => serde_json::from_str(inner).map_err(|error| wrong(error.to_string())),
            None if whole.contains_key("oip") || whole.contains_key("_source") => {
                lines(&text).map_err(wrong)
            }
            None => Err(wrong("it is an object without `records`".to_owned())),
        };
    }
    lines(&text).map_err(wrong)
}

/// One document per line.
fn lines(text: &str) -> Result<Vec<Box<RawValue>>, String> {
    let lines = BufReader::new(text.as_bytes()).lines().enumerate();
    lines
        .filter_map(|(number, line)| match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(
                RawValue::from_string(line)
                    .map_err(|error| format!("line {}: {error}", number + 1)),
            ),
            Err(error) => Some(Err(error.to_string())),
        })
        .collect()
}
