//! Peer addresses as an operator writes them in `GUN_PEERS`.
//!
//! Owns their one normal form: `ws://host:port/gun`, or `http://host:port/gun-relay` for a deployed
//! node that serves its graph over plain HTTP. Refuses what can't work, with the cure in the
//! message: a list that quietly loses an entry looks like a network that is down.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use url::{Host, Url};

/// The path at which every GUN relay listens.
const GUN_PATH: &str = "/gun";

/// The end of the path at which deployed nodes serve their graph over plain HTTP.
const PULL_PATH: &str = "gun-relay";

/// Where a GUN peer listens; in normal form, so that equal peers are equal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    url: Arc<str>,
    host: Arc<str>,
    port: u16,
    security: Security,
    transport: Transport,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// `ws`, `http`.
    Plain,
    /// `wss`, `https`.
    Tls,
}

/// How a peer is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A WebSocket, on which both sides speak at any time.
    WebSocket,
    /// Plain HTTP: the peer answers what it is asked, and that is all.
    Pull,
}

/// Why a text is no peer address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// White space inside: two addresses without a comma, most likely.
    #[error("peer address {0:?} holds white space: separate addresses by commas")]
    WhiteSpace(String),
    /// No `scheme://`.
    #[error("peer address {0:?} has no scheme: write ws://{0} (or wss:// for TLS)")]
    NoScheme(String),
    /// A scheme that is neither of `ws`, `wss`, `http`, `https`.
    #[error("peer address {address:?} has the scheme {scheme:?}: use ws:// or wss://")]
    UnknownScheme {
        /// As written.
        address: String,
        /// What stands before `://`.
        scheme: String,
    },
    /// Not a URL.
    #[error("peer address {address:?} is not a URL ({why}): write it as ws://host:8765/gun")]
    Malformed {
        /// As written.
        address: String,
        /// What the URL parser says.
        why: String,
    },
    /// `ws://:8765`, `ws:///gun`.
    #[error("peer address {0:?} names no host: write it as ws://host:8765/gun")]
    NoHost(String),
    /// User name or password inside.
    #[error("a peer address holds a user name or password: remove the part before the @")]
    Credentials,
    /// A `#` part, which a WebSocket address can't have.
    #[error("peer address {0:?} has a part after #: remove it")]
    Fragment(String),
    /// Port 0.
    #[error("peer address {0:?} has port 0: name the port the peer listens on, such as 8765")]
    NoPort(String),
    /// `0.0.0.0` or `[::]`: an address to listen on, not to dial.
    #[error("peer address {0:?} names every interface, not a host: name the peer's host")]
    Unspecified(String),
    /// A WebSocket scheme on a path that serves plain HTTP.
    #[error(
        "peer address {0:?} names a WebSocket, but /gun-relay is served over plain HTTP: write \
         http://host:3005/gun-relay (or https://), or the address of the GUN relay, such as \
         ws://host:8765/gun"
    )]
    NoWebSocket(String),
    /// Something behind `/gun-relay`.
    #[error(
        "peer address {0:?} goes on behind /gun-relay: let it end there, as in \
         http://host:3005/gun-relay"
    )]
    PullPath(String),
    /// The address of the node that is being configured.
    #[error("peer address {address:?} is this node itself (it listens on {listening}): remove it")]
    Ourselves {
        /// In normal form.
        address: String,
        /// Where this node listens.
        listening: SocketAddr,
    },
}

/// Parses a comma-separated list. Empty entries don't count, so that an empty list means no
/// peers; an address named twice is taken once.
///
/// # Errors
/// [`AddressError`] for the first entry that can't be dialled.
pub fn parse_peers(list: &str) -> Result<Vec<PeerAddress>, AddressError> {
    let mut peers = Vec::new();
    for entry in list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        let peer = PeerAddress::parse(entry)?;
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    Ok(peers)
}

/// Checks that no peer is this node itself, by the addresses it listens on. Names that only
/// the resolver knows are caught when they are dialled.
///
/// # Errors
/// [`AddressError::Ourselves`] for the first such peer.
pub fn refuse_ourselves(
    peers: &[PeerAddress],
    listening: &[SocketAddr],
) -> Result<(), AddressError> {
    for peer in peers {
        if let Some(listening) = listening.iter().find(|own| peer.names(**own)) {
            let address = peer.to_string();
            return Err(AddressError::Ourselves {
                address,
                listening: *listening,
            });
        }
    }
    Ok(())
}

impl PeerAddress {
    /// Parses one address. `http` and `https` mean `ws` and `wss`, unless the path ends in
    /// `/gun-relay`, which is pulled over HTTP; no path means `/gun`.
    ///
    /// # Errors
    /// [`AddressError`] that names the cure.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let written = || without_query(text).to_owned();
        if text.contains(char::is_whitespace) {
            return Err(AddressError::WhiteSpace(written()));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| AddressError::NoScheme(written()))?;
        let written_scheme = scheme.to_ascii_lowercase();
        let (scheme, security) = match written_scheme.as_str() {
            "ws" | "http" => ("ws", Security::Plain),
            "wss" | "https" => ("wss", Security::Tls),
            _ => {
                let scheme = scheme.to_owned();
                return Err(AddressError::UnknownScheme {
                    address: written(),
                    scheme,
                });
            }
        };
        // The URL parser would take `ws:///gun` for the host `gun`.
        if rest.is_empty() || rest.starts_with(['/', ':', '?', '#', '\\']) {
            return Err(AddressError::NoHost(written()));
        }
        let url =
            Url::parse(&format!("{scheme}://{rest}")).map_err(|error| AddressError::Malformed {
                address: written(),
                why: error.to_string(),
            })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(AddressError::Fragment(written()));
        }
        let transport = transport_of(&url, &written_scheme, &written)?;
        let Some(host) = url.host().map(|host| host.to_owned()) else {
            return Err(AddressError::NoHost(written()));
        };
        let unspecified = match &host {
            Host::Domain(_) => false,
            Host::Ipv4(ip) => ip.is_unspecified(),
            Host::Ipv6(ip) => ip.is_unspecified(),
        };
        if unspecified {
            return Err(AddressError::Unspecified(written()));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 {
            return Err(AddressError::NoPort(written()));
        }
        let url = match transport {
            Transport::WebSocket => url,
            // Two schemes that the URL parser lets nobody exchange.
            Transport::Pull => {
                let rest = url.as_str().trim_start_matches(scheme);
                let plain = match security {
                    Security::Plain => "http",
                    Security::Tls => "https",
                };
                let text = format!("{plain}{rest}");
                Url::parse(&text).map_err(|error| AddressError::Malformed {
                    address: written(),
                    why: error.to_string(),
                })?
            }
        };
        let mut url = url;
        // A gun.js relay serves exactly `/gun`, without a slash at the end.
        if matches!(url.path(), "" | "/" | "/gun/") {
            url.set_path(GUN_PATH);
        }
        if transport == Transport::Pull {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
        }
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        Ok(Self {
            url: url.as_str().into(),
            host: host.into(),
            port,
            security,
            transport,
        })
    }

    /// How it is reached.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The normal form: `ws://host:port/gun`, `http://host:port/gun-relay`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Host name or IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also if it was left out.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether to dial it with TLS.
    #[must_use]
    pub fn security(&self) -> Security {
        self.security
    }

    /// Whether it names the socket this node listens on, as far as the text tells.
    fn names(&self, listening: SocketAddr) -> bool {
        if self.port != listening.port() {
            return false;
        }
        let loopback = self.host.eq_ignore_ascii_case("localhost");
        let Ok(ip) = self.host.parse::<IpAddr>() else {
            return loopback && (listening.ip().is_loopback() || listening.ip().is_unspecified());
        };
        ip == listening.ip() || (listening.ip().is_unspecified() && ip.is_loopback())
    }
}

/// Only a path that ends in `/gun-relay` is pulled.
fn transport_of(
    url: &Url,
    written_scheme: &str,
    written: &impl Fn() -> String,
) -> Result<Transport, AddressError> {
    let parts: Vec<&str> = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    match parts.iter().position(|part| *part == PULL_PATH) {
        None => Ok(Transport::WebSocket),
        Some(_) if written_scheme.starts_with("ws") => Err(AddressError::NoWebSocket(written())),
        Some(at) if at + 1 == parts.len() => Ok(Transport::Pull),
        Some(_) => Err(AddressError::PullPath(written())),
    }
}

/// Without the query, which may hold a token.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(without_query(&self.url))
    }
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(without_query(&self.url), f)
    }
}

fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        PeerAddress::parse(text)
            .map_or_else(|error| format!("error: {error}"), |peer| peer.to_string())
    }

    #[test]
    fn an_address_has_one_normal_form() {
        for (written, expected) in [
            ("ws://relay.example:8765/gun", "ws://relay.example:8765/gun"),
            (
                "http://relay.example:8765/gun",
                "ws://relay.example:8765/gun",
            ),
            ("HTTPS://Relay.Example", "wss://relay.example/gun"),
            ("https://relay.example:443/", "wss://relay.example/gun"),
            ("http://relay.example:80", "ws://relay.example/gun"),
            ("wss://relay.example/gun/", "wss://relay.example/gun"),
            (
                "ws://relay.example/other?token=1",
                "ws://relay.example/other?token=1",
            ),
            ("ws://[::1]:8765", "ws://[::1]:8765/gun"),
        ] {
            let peer = PeerAddress::parse(written).unwrap();
            assert_eq!(peer.as_str(), expected, "{written}");
        }
        let peer = PeerAddress::parse("ws://[::1]:8765").unwrap();
        assert_eq!(
            (peer.host(), peer.port(), peer.security()),
            ("::1", 8765, Security::Plain)
        );
        let peer = PeerAddress::parse("https://relay.example").unwrap();
        assert_eq!(
            (peer.host(), peer.port(), peer.security()),
            ("relay.example", 443, Security::Tls)
        );
    }

    #[test]
    fn a_path_that_ends_in_gun_relay_is_pulled_over_http() {
        for (written, expected, security) in [
            (
                "http://node.example:3005/gun-relay",
                "http://node.example:3005/gun-relay",
                Security::Plain,
            ),
            (
                "HTTPS://Node.example/gun-relay/",
                "https://node.example/gun-relay",
                Security::Tls,
            ),
            (
                "https://node.example/oip/gun-relay?token=1",
                "https://node.example/oip/gun-relay?token=1",
                Security::Tls,
            ),
        ] {
            let peer = PeerAddress::parse(written).unwrap();
            assert_eq!(peer.as_str(), expected, "{written}");
            assert_eq!(
                (peer.transport(), peer.security()),
                (Transport::Pull, security)
            );
        }
        let peer = PeerAddress::parse("https://node.example/gun-relay").unwrap();
        assert_eq!(peer.port(), 443);
        let dialled = PeerAddress::parse("http://gun-relay:8765").unwrap();
        assert_eq!(dialled.transport(), Transport::WebSocket);
    }

    #[test]
    fn a_refusal_names_its_cure() {
        for (written, cure) in [
            ("relay.example:8765", "write ws://relay.example:8765"),
            ("ftp://relay.example", "use ws:// or wss://"),
            ("ws://", "write it as ws://host:8765/gun"),
            ("ws:///gun", "names no host"),
            ("ws://:8765/gun", "names no host"),
            ("ws://a b", "separate addresses by commas"),
            ("ws://relay.example:99999", "is not a URL"),
            (
                "ws://me:secret@relay.example",
                "remove the part before the @",
            ),
            ("ws://relay.example/gun#x", "remove it"),
            ("ws://relay.example:0", "name the port"),
            ("ws://0.0.0.0:8765", "name the peer's host"),
            ("ws://[::]:8765/gun", "name the peer's host"),
            (
                "wss://node.example/gun-relay",
                "write http://host:3005/gun-relay",
            ),
            ("https://node.example/gun-relay/get", "let it end there"),
        ] {
            let shown = normal(written);
            assert!(
                shown.starts_with("error: ") && shown.contains(cure),
                "{written}: {shown}"
            );
        }
    }

    #[test]
    fn a_token_in_an_address_is_sent_and_never_shown() {
        let peer = PeerAddress::parse("http://relay.example:8765?token=secret").unwrap();
        assert_eq!(peer.as_str(), "ws://relay.example:8765/gun?token=secret");
        assert!(!format!("{peer} {peer:?}").contains("secret"));
        let refused = PeerAddress::parse("http://0.0.0.0:8765?token=secret").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("secret"));
    }

    #[test]
    fn a_refusal_never_shows_a_password() {
        assert!(!normal("ws://me:secret@relay.example").contains("secret"));
    }

    #[test]
    fn a_list_may_be_empty_and_names_each_peer_once() {
        assert_eq!(parse_peers(""), Ok(Vec::new()));
        assert_eq!(parse_peers(" , ,"), Ok(Vec::new()));
        let peers = parse_peers("http://a:1, ws://b:2/gun,ws://a:1/gun/ ,").unwrap();
        let peers: Vec<_> = peers.iter().map(PeerAddress::as_str).collect();
        assert_eq!(peers, ["ws://a:1/gun", "ws://b:2/gun"]);
    }

    #[test]
    fn one_bad_entry_refuses_the_list() {
        assert!(matches!(
            parse_peers("ws://a:1,b:2"),
            Err(AddressError::NoScheme(_))
        ));
    }

    #[test]
    fn the_nodes_own_address_is_refused() {
        let refused = |peer: &str, listening: &str| {
            let peers = parse_peers(peer).unwrap();
            refuse_ourselves(&peers, &[listening.parse().unwrap()]).is_err()
        };
        assert!(refused("ws://127.0.0.1:8765", "127.0.0.1:8765"));
        assert!(refused("ws://localhost:8765", "127.0.0.1:8765"));
        assert!(refused("ws://localhost:8765", "0.0.0.0:8765"));
        assert!(refused("ws://127.0.0.1:8765", "[::]:8765"));
        assert!(!refused("ws://127.0.0.1:8766", "127.0.0.1:8765"));
        assert!(!refused("ws://10.0.0.2:8765", "0.0.0.0:8765"));
        assert!(!refused("ws://relay.example:8765", "0.0.0.0:8765"));
        let peers = parse_peers("ws://localhost:8765").unwrap();
        let error = refuse_ourselves(&peers, &["127.0.0.1:8765".parse().unwrap()]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("(it listens on 127.0.0.1:8765): remove it"),
            "{error}"
        );
    }
}
