//! TLS for `wss` and `https` peers: certificates are checked against the roots that ship with the binary.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;

/// The TLS settings of every `wss` connection.
///
/// # Errors
/// As [`client_config`].
pub(crate) fn connector() -> Result<Connector, rustls::Error> {
    client_config().map(Connector::Rustls)
}

/// The TLS settings of every connection that this node opens.
///
/// # Errors
/// When the crypto provider supports no TLS version; a fault of the build.
pub(crate) fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, rustls::Error>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        // Named here, because a process-wide default is whatever was installed first.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let config = builder.with_safe_default_protocol_versions()?;
        Ok(Arc::new(
            config.with_root_certificates(roots).with_no_client_auth(),
        ))
    });
    config.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_needs_no_process_wide_provider() {
        assert!(matches!(connector(), Ok(Connector::Rustls(_))));
    }
}
