//! Where the server is, who we are there, and which documents may go there.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// Bytes of an index name that servers take, less what generations add to it.
const INDEX_BYTES_MAX: usize = 200;

/// How long a batch is tried again before its failure is reported, and the indexer pauses.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a search may take in all. People wait for it, and on a server that hangs each takes a thread.
const SEARCH_MAX: Duration = Duration::from_secs(5);

/// A search server and our place on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElasticSettings {
    /// `http(s)://host:port`, without credentials.
    pub(super) address: Url,
    /// Who we are there.
    pub credentials: Credentials,
    /// Certificates (PEM) that the server's own must lead to; `None` takes the public ones.
    pub ca_file: Option<PathBuf>,
    /// The index, `records` on deployed nodes.
    pub(super) index: String,
    /// Names this node's documents and its position, where several nodes share a server.
    pub owner: String,
    /// Names the store that the index is filled from: a position in another store's feed says nothing
    /// about this one. Empty where nobody says.
    pub store: String,
    /// Whether private documents may go to any server.
    pub private: PrivateDocuments,
    /// How long a batch is tried again while the server is away or can't take more.
    pub patience: Duration,
    /// How long a search may take, its retries included.
    pub search_max: Duration,
}

/// Who we are at the server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    None,
    /// A user.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// An API key, as the server printed it encoded.
    ApiKey(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "Credentials(none)",
            Self::User { .. } => "Credentials(user, not shown)",
            Self::ApiKey(_) => "Credentials(key, not shown)",
        })
    }
}

/// Which servers get documents that not everybody may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateDocuments {
    /// Those on this machine, and those reached over TLS with credentials.
    Guarded,
    /// Any: the operator says that the network is closed.
    Allow,
}

/// Why an address or a name can't be used. Each reads after "the value".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not an address.
    #[error("is not the address of a search server; give http://host:9200 or https://host:9200")]
    Address,
    /// Not the name of an index.
    #[error(
        "is not the name of an index; give 1 to {INDEX_BYTES_MAX} lower-case letters, digits, - and _, the first a letter"
    )]
    Index,
    /// Not credentials.
    #[error("holds a character that a header can't carry; use letters, digits and -_.~+/=")]
    Credentials,
}

impl ElasticSettings {
    /// A server without credentials. A user and password in the address are taken out of it.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(
        address: &str,
        index: &str,
        owner: impl Into<String>,
    ) -> Result<Self, SettingsError> {
        let mut address: Url = match address.contains("://") {
            true => address.parse(),
            false => format!("http://{address}").parse(),
        }
        .map_err(|_| SettingsError::Address)?;
        if !matches!(address.scheme(), "http" | "https") || address.host_str().is_none() {
            return Err(SettingsError::Address);
        }
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let named = index.len() <= INDEX_BYTES_MAX
            && index.bytes().all(plain)
            && index
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_lowercase());
        if !named {
            return Err(SettingsError::Index);
        }
        let credentials = match (address.username().to_owned(), address.password()) {
            (name, password) if name.is_empty() && password.is_none() => Credentials::None,
            (name, password) => Credentials::User {
                name,
                password: password.unwrap_or_default().to_owned(),
            },
        };
        // Both only fail on addresses without a host.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        address.set_query(None);
        address.set_fragment(None);
        Ok(Self {
            address,
            credentials,
            ca_file: None,
            index: index.to_owned(),
            owner: owner.into(),
            private: PrivateDocuments::Guarded,
            store: String::new(),
            patience: PATIENCE,
            search_max: SEARCH_MAX,
        })
    }

    /// The server's address, for people.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_str().trim_end_matches('/')
    }

    /// The name of the index.
    #[must_use]
    pub fn index(&self) -> &str {
        &self.index
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let host = self.address.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        // Only what can't be anything else: a name could be pointed elsewhere tomorrow.
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Why private documents stay out of the index; `None` where they may go there.
    #[must_use]
    pub fn private_kept_out(&self) -> Option<&'static str> {
        let guarded = self.address.scheme() == "https" && self.credentials != Credentials::None;
        match self.private {
            PrivateDocuments::Allow => None,
            PrivateDocuments::Guarded if self.is_local() || guarded => None,
            PrivateDocuments::Guarded => Some(
                "private records stay out of the index, because the search server is on another machine and not reached over https with credentials; use https with a user or an API key, or say OIP_ELASTICSEARCH_PRIVATE=allow where the network is closed",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str) -> ElasticSettings {
        ElasticSettings::new(address, "records", "node").unwrap()
    }

    #[test]
    fn addresses_are_taken_as_operators_write_them() {
        for (text, address) in [
            ("http://elasticsearch:9200", "http://elasticsearch:9200"),
            ("elasticsearch:9200", "http://elasticsearch:9200"),
            ("https://search.example/es/", "https://search.example/es"),
            ("http://u:p@127.0.0.1:9200/", "http://127.0.0.1:9200"),
        ] {
            assert_eq!(settings(text).address(), address, "{text}");
        }
        for text in ["", "ftp://x", "http://", "::", "file:///x"] {
            let refused = ElasticSettings::new(text, "records", "node");
            assert_eq!(refused, Err(SettingsError::Address), "{text}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_taken_out_and_never_shown() {
        let settings = settings("https://elastic:secret@search.example:9200");
        assert!(
            matches!(&settings.credentials, Credentials::User { name, password } if name == "elastic" && password == "secret")
        );
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn names_that_servers_refuse_or_read_as_patterns_are_refused() {
        for name in [
            "", "_all", "-x", "Records", "a*", "a,b", "a b", "a/b", ".x", "é",
        ] {
            let refused = ElasticSettings::new("http://x", name, "node");
            assert_eq!(refused, Err(SettingsError::Index), "{name}");
        }
    }

    #[test]
    fn private_documents_go_to_this_machine_or_over_tls_with_credentials() {
        let user = Credentials::User {
            name: "u".into(),
            password: "p".into(),
        };
        for (address, credentials, goes) in [
            ("http://127.0.0.1:9200", Credentials::None, true),
            ("http://[::1]:9200", Credentials::None, true),
            ("http://localhost:9200", Credentials::None, true),
            ("http://localhost.example:9200", Credentials::None, false),
            ("http://127.0.0.1.example:9200", Credentials::None, false),
            ("http://elasticsearch:9200", user.clone(), false),
            ("https://elasticsearch:9200", Credentials::None, false),
            ("https://elasticsearch:9200", user, true),
            (
                "https://elasticsearch:9200",
                Credentials::ApiKey("k".into()),
                true,
            ),
        ] {
            let mut settings = settings(address);
            settings.credentials = credentials;
            assert_eq!(settings.private_kept_out().is_none(), goes, "{address}");
            settings.private = PrivateDocuments::Allow;
            assert_eq!(settings.private_kept_out(), None, "{address}");
        }
    }
}
