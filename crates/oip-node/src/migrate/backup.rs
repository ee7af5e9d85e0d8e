//! Import of records in the index form: a deployed node's backup JSON, an export of its index, or what
//! its API answered.
//!
//! Each record is verified as if a peer had shown it, and kept with its own id, time and signature;
//! nothing is signed or dated anew. What this node's creator key made counts as published here and is
//! told to peers; everything is announced in the registry. Importing again changes nothing, so that
//! an import that was interrupted is simply started again.

mod files;
mod scratch;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use gun::Soul;
use oip_record::read::Raw;
use oip_record::{Did, Reject, SignatureClass, SignaturePolicy, Verification, read, verify};
use oip_store::{Committed, Op, OpenError, QuarantineRow, Store, Transaction, WriteError};
use serde::Serialize;
use serde_json::Value;

use crate::clock;
use crate::config::{NodeConfig, SyncMode};
use crate::keyring::{Keyring, KeyringError};
use crate::node::StartError;
use crate::registry::Registry;
use crate::sync::decide::{hints, passes_on, untrusted};
use crate::sync::judge::{Judge, Judgement, data_mark, row_of, signed_ms, signer_mark};
use crate::sync::owned;
use crate::sync::trust::Trust;
use crate::sync::trust::watch::UNTRUSTED;
use crate::vault::Vault;
use crate::{storage, sync};
use files::{documents, soul_of, without_readable_date};
use scratch::Scratch;

pub use files::documents_of;

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
    /// A dry run has no place to work in.
    #[error(
        "failed to make a folder for the dry run in {}: {source}; let TMPDIR name a folder that can be written",
        std::env::temp_dir().display()
    )]
    Scratch {
        /// What the system said.
        source: std::io::Error,
    },
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
    read_files(Import::dry_run(config)?, files, progress)
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
    importer: Importer,
    under_way: UnderWay,
    report: Report,
    /// The folder of a dry run, removed when it ends.
    scratch: Option<Scratch>,
}

impl Import {
    /// One that judges as an import into an empty store would, reports, and stores nothing that stays. Whom the
    /// network trusts is not known to it, so that it takes everybody for trusted.
    ///
    /// # Errors
    /// [`ImportError`], whose message names the cure.
    pub fn dry_run(config: &NodeConfig) -> Result<Self, ImportError> {
        let scratch =
            Scratch::beside(&config.data_dir).map_err(|source| ImportError::Scratch { source })?;
        let mut config = config.clone();
        config.data_dir = scratch.path().to_owned();
        config.sync.trusted.clear();
        let mut import = Self::start(&config)?;
        import.report.dry_run = true;
        import.scratch = Some(scratch);
        Ok(import)
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
        Self::on(store, registry, config)
    }

    /// One into a store that is open already.
    pub(super) fn on(
        store: Store,
        registry: Arc<Registry>,
        config: &NodeConfig,
    ) -> Result<Self, ImportError> {
        let keys = Keyring::open(config)?;
        let node_id = config.node_id_override.clone();
        let own = keys.creator.creator().did_address.clone();
        let trust = Trust::new(config.sync.trusted.clone(), own);
        let look = trust.look(&store, &registry)?;
        let (pinned, written) = mpsc::sync_channel(1);
        let pins = Transaction {
            ops: look.ops.clone(),
        };
        store.submit(pins, clock::wall_ms(), move |outcome| {
            // The receiver waits below.
            let _ = pinned.send(outcome);
        });
        written.recv().map_err(|_| WriteError::Closed)??;
        trust.learn(look);
        let importer = Importer {
            own: keys.creator.creator().did_address.clone(),
            identity: keys.identity.node_id(),
            node_id: node_id.unwrap_or_else(|| keys.identity.node_id()),
            judge: Judge {
                store: store.clone(),
                registry,
                types: config.types.clone(),
                signatures: config.sync.signatures,
                trust: Arc::new(trust),
                vault: Arc::new(Vault::new(keys.encryption, &config.private, store.clone())),
            },
        };
        Ok(Self {
            importer,
            under_way: UnderWay::new(store),
            report: Report::default(),
            scratch: None,
        })
    }

    /// Takes a document in the index form, bare or as `_source`. Blocks while much is under way.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails. A document that is refused is none; the report tells.
    pub fn take(&mut self, mut document: Value) -> Result<(), ImportError> {
        if document["_source"].is_object() {
            document = document["_source"].take();
        }
        let Some(soul) = soul_of(&document) else {
            self.not_on_graph();
            return Ok(());
        };
        let mut raw = read::from_document(&document);
        // An API adds a readable date, which nobody signed.
        if let Some(bare) = without_readable_date(&document)
            && !verifies(&soul, &raw)
        {
            let bare = read::from_document(&bare);
            if verifies(&soul, &bare) {
                raw = bare;
            }
        }
        self.take_shown(Shown {
            soul,
            raw,
            source: Some("backup".to_owned()),
            first_seen_ms: None,
            own: false,
        })
    }

    /// Counts a document that is no record of the graph.
    pub(crate) fn not_on_graph(&mut self) {
        self.report.found += 1;
        self.report.not_on_graph += 1;
    }

    /// Takes the texts of a record. Blocks while much is under way.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails. A record that is refused is none; the report tells.
    pub(crate) fn take_shown(&mut self, shown: Shown) -> Result<(), ImportError> {
        self.report.found += 1;
        self.importer
            .take(shown, &mut self.report, &mut self.under_way)
    }

    /// Whether this is the id of the node whose data folder it is.
    pub(crate) fn is_node(&self, id: &str) -> bool {
        self.importer.identity == id
    }

    /// Whether the store has a named value that begins so.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails.
    pub(crate) fn has_any(&self, prefix: &str) -> Result<bool, ImportError> {
        Ok(!self.under_way.store.cursors(prefix, None, 1)?.is_empty())
    }

    /// Keeps a named value, unless there is one. Gives whether it was kept, or would be.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails.
    pub(crate) fn learn(&mut self, name: String, value: Vec<u8>) -> Result<bool, ImportError> {
        let under_way = &mut self.under_way;
        // Records teach their own: they are to be durable before anything is held against them.
        if under_way.answers.iter().any(|(soul, _)| soul.is_some()) {
            under_way.settle(0)?;
        }
        if under_way.store.cursor(&name)?.is_some() {
            return Ok(false);
        }
        under_way.submit(None, Transaction::from(Op::SetCursor { name, value }))?;
        Ok(true)
    }

    /// Ends when everything is durable.
    ///
    /// # Errors
    /// [`ImportError`] if the store fails.
    pub fn finish(mut self) -> Result<Report, ImportError> {
        self.under_way.settle(0)?;
        self.under_way.store.close()?;
        Ok(self.report)
    }

    /// Ends when everything is durable, and leaves the store open.
    pub(super) fn leave(mut self) -> Result<Report, ImportError> {
        self.under_way.settle(0)?;
        Ok(self.report)
    }

    /// Where the registry names the records of a type.
    pub(super) fn index(&self, record_type: &str) -> Option<Soul> {
        self.importer.judge.registry.index(record_type)
    }

    /// `didAddress` of the node's creator key.
    pub(super) fn own(&self) -> &str {
        &self.importer.own
    }
}

/// Whether a record's signature verifies over these texts.
fn verifies(soul: &Soul, raw: &Result<Raw, Reject>) -> bool {
    let Ok(raw) = raw else { return false };
    let now_ms = signed_ms(clock::wall_ms());
    verify::accept(soul, raw.clone(), SignaturePolicy::Prefer, now_ms)
        .is_ok_and(|accepted| accepted.verification == Verification::Verified)
}

/// A record that something showed, and what is known of it beside its texts.
pub(crate) struct Shown {
    pub(crate) soul: Soul,
    pub(crate) raw: Result<Raw, Reject>,
    /// Where it came from; `None` for what was made here.
    pub(crate) source: Option<String>,
    /// When it was first seen; now, where that is not known.
    pub(crate) first_seen_ms: Option<u64>,
    /// Whether this node published it, though another key may have signed it.
    pub(crate) own: bool,
}

struct Importer {
    judge: Judge,
    /// `didAddress` of this node's creator key.
    own: String,
    /// The node's id, whatever it is called.
    identity: String,
    node_id: String,
}

impl Importer {
    fn take(
        &self,
        shown: Shown,
        report: &mut Report,
        under_way: &mut UnderWay,
    ) -> Result<(), ImportError> {
        let now_ms = clock::wall_ms();
        let soul = &shown.soul;
        let raw = match shown.raw {
            Ok(raw) => raw,
            Err(reject) => {
                report.refuse(soul, &reject);
                return Ok(());
            }
        };
        // A file may hold two versions of a record: the later look sees the earlier one.
        under_way.settle_if(soul)?;
        let mut judgement = self.judge.judge_shown(soul, raw.clone(), None, now_ms)?;
        // What does not verify is refused where its creator is known to sign, and an owner's deletion where he is not
        // known as the owner: what was read so far counts.
        let awaits_marks = match &judgement {
            Judgement::Take { accepted, .. } => accepted.class == SignatureClass::None,
            Judgement::Refuse { reject, .. } => **reject == Reject::OwnerUnknown,
            _ => false,
        };
        if awaits_marks && !under_way.answers.is_empty() {
            under_way.settle(0)?;
            judgement = self.judge.judge_shown(soul, raw, None, now_ms)?;
        }
        let ops = match judgement {
            Judgement::Take { accepted, held } => {
                // In whose name it is says nothing where no signature does.
                let is_signed = accepted.class != SignatureClass::None;
                let is_own = shown.own || (is_signed && accepted.creator.did_address == self.own);
                report.took(accepted.verification.label(), is_own);
                let mut ops = vec![Op::ExpectRecord {
                    soul: soul.clone(),
                    seq: held.as_ref().map(|held| held.seq),
                }];
                let node_id = if is_own { &*self.node_id } else { "unknown" };
                let is_passed_on = passes_on(&accepted);
                if is_passed_on {
                    let graph = sync::graph_of(&self.judge.registry, &accepted, node_id, now_ms);
                    ops.push(Op::Merge { graph });
                }
                ops.extend(hints(&accepted));
                ops.extend(owned::noted(&self.judge.store, &accepted, held.as_deref())?);
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
                let seen_ms = shown.first_seen_ms.unwrap_or(seen_ms).min(seen_ms);
                let mut row = row_of(*accepted, shown.source, seen_ms);
                row.own = is_own && is_passed_on;
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
                    source: shown.source,
                    attempts: 1,
                    first_ms: now_ms,
                    last_ms: now_ms,
                    due_ms: None,
                    data,
                    oip,
                })]
            }
            // Waits in quarantine: when its node is trusted, peers are asked for it.
            Judgement::Untrusted(accepted) => {
                let why = untrusted(&accepted);
                report.refused(UNTRUSTED);
                report.name(soul, why.clone());
                vec![Op::QuarantineAdd(QuarantineRow {
                    soul: soul.clone(),
                    record_type: Some(accepted.record_type),
                    creator: Some(accepted.creator.did_address),
                    reason: UNTRUSTED.to_owned(),
                    detail: why,
                    source: Some("backup".to_owned()),
                    attempts: 1,
                    first_ms: now_ms,
                    last_ms: now_ms,
                    due_ms: None,
                    data: None,
                    oip: None,
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
        under_way.submit(Some(&shown.soul), Transaction { ops })
    }
}

/// What the store says of a transaction, once it does.
type Answer = mpsc::Receiver<Result<Committed, WriteError>>;

/// Transactions that the store has and has not answered.
struct UnderWay {
    store: Store,
    answers: VecDeque<(Option<Soul>, Answer)>,
}

impl UnderWay {
    fn new(store: Store) -> Self {
        Self {
            store,
            answers: VecDeque::new(),
        }
    }

    fn submit(&mut self, soul: Option<&Soul>, transaction: Transaction) -> Result<(), ImportError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.store
            .submit(transaction, clock::wall_ms(), move |outcome| {
                // Nobody waits any more when an import ends early.
                let _ = answer.send(outcome);
            });
        self.answers.push_back((soul.cloned(), answered));
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
        if self
            .answers
            .iter()
            .any(|(other, _)| other.as_ref() == Some(soul))
        {
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
