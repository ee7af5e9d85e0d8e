//! What can go wrong with a server, by name, with the cure where there is one.

use std::error::Error;

use crate::error::IndexError;

/// A failed operation on a search server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElasticError {
    /// The client could not be made.
    #[error("use {path} as certificate authority: give a file of certificates in PEM form")]
    Authority {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No connection, or it broke before the answer was there.
    #[error("reach the search server at {address}: is it up, and is ELASTICSEARCHHOST right?")]
    Unreachable {
        /// The server's address, without credentials.
        address: String,
        /// What the connection said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server refuses us.
    #[error(
        "{what}: the search server answered {status}; set ELASTICCLIENTUSERNAME and ELASTICCLIENTPASSWORD, or OIP_ELASTICSEARCH_API_KEY, to one that may read and write the index ({reason})"
    )]
    Unauthorized {
        /// What was tried, in the infinitive.
        what: &'static str,
        /// 401 or 403.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// The server can't take more now: too many requests, a full disk, shards that are away.
    #[error("{what}: the search server answered {status}: {reason}")]
    Busy {
        /// What was tried, in the infinitive.
        what: &'static str,
        /// 403 of a blocked index, 429, 502 to 504.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// Any other answer that isn't success.
    #[error("{what}: the search server answered {status}: {reason}")]
    Refused {
        /// What was tried, in the infinitive.
        what: &'static str,
        /// The status.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// No answer in the time that whoever asks may wait.
    #[error("{what}: the search server gave no answer within {seconds} s")]
    Slow {
        /// What was tried, in the infinitive.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// An answer that can't be read.
    #[error("{what}: the answer of the search server can't be read: {reason}")]
    Malformed {
        /// What was tried, in the infinitive.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The index, or our position in it, is gone: somebody deleted it.
    #[error("{what}: the index is not there any more; it is made and filled anew")]
    Lost {
        /// What was tried, in the infinitive.
        what: &'static str,
    },
    /// Not a server that this program knows.
    #[error(
        "use the search server: it is {found}; Elasticsearch 7.17 to 9 and OpenSearch 2 and 3 are known"
    )]
    UnknownServer {
        /// What it says it is.
        found: String,
    },
    /// An index that isn't ours can't be replaced while others' documents are in it.
    #[error(
        "replace the index {index}: {documents} documents in it were put there by another program and would be lost; name another index in OIP_ELASTICSEARCH_INDEX, which is then filled from the store"
    )]
    ForeignDocuments {
        /// The index.
        index: String,
        /// How many.
        documents: u64,
    },
}

impl ElasticError {
    /// Whether trying the same again soon may help.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }

    /// Whether the server only says that what was asked of it is wrong.
    pub(super) fn is_the_callers(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400..=499,
                ..
            }
        )
    }

    /// Whether nothing was heard of the server.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Slow { .. })
    }

    /// Its whole chain in one line: the outer message alone never says why a connection broke.
    pub(super) fn told(&self) -> String {
        let mut text = self.to_string();
        let mut next: Option<&dyn Error> = self.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

/// As the trait reports it: `action` in the infinitive.
pub(super) fn failed(action: &'static str) -> impl Fn(ElasticError) -> IndexError {
    move |error| IndexError::Backend {
        action,
        source: Box::new(error),
    }
}
