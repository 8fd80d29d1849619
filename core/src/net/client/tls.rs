//! TLS for `wss://`, with the authorities that the system trusts.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name others in their place, as for OpenSSL, curl and Python.
//! They are read at the first connection of the process, and anew after one to a server whose
//! authority was not among them: it may have been renewed.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

use crate::lock::Mutex;
use crate::net::tcp::Tcp;

/// With those that are trusted, once they have been read.
static CONFIG: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);

/// Makes a connection secure; the host must be the one its certificate names.
pub(super) async fn secure(host: &str, stream: Tcp) -> io::Result<TlsStream<Tcp>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    // Reading the system's certificates takes a while, the first time.
    let config = tokio::task::spawn_blocking(config).await.map_err(io::Error::other)??;
    let connecting = TlsConnector::from(Arc::clone(&config)).connect(name, stream);
    connecting.await.map_err(|error| {
        let why = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        if let Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) = why {
            forget(&config);
        }
        explained(host, error)
    })
}

/// The next connection reads them anew, unless one has already.
fn forget(used: &Arc<ClientConfig>) {
    let mut config = CONFIG.lock();
    if config.as_ref().is_some_and(|config| Arc::ptr_eq(config, used)) {
        *config = None;
    }
}

/// What went wrong, in the words of somebody who can mend it.
fn explained(host: &str, error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let text = match inner {
        Some(TlsError::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {host} is signed by no authority that is trusted here; name \
                 its authority's certificate by SSL_CERT_FILE"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate of the server is not for the name {host}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet; is the clock here right?")
            }
            other => format!("the certificate of {host} is not accepted: {other}"),
        },
        Some(TlsError::InvalidMessage(_)) => {
            format!("{host} does not speak TLS on this port; is its address http://…?")
        }
        _ => return error,
    };
    io::Error::new(error.kind(), text)
}

fn config() -> io::Result<Arc<ClientConfig>> {
    let known = CONFIG.lock().clone();
    if let Some(config) = known {
        return Ok(config);
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        // Not kept: the next attempt may find some.
        return Err(io::Error::other(format!(
            "no authority is trusted here, so no certificate can be{}{}; install the system's \
             (ca-certificates), or name a file by SSL_CERT_FILE",
            if found.errors.is_empty() { "" } else { ": " },
            found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )));
    }
    tracing::debug!(added, ignored, "read the authorities that are trusted here");
    // The provider is named: the process's default may be another one, or none.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.lock().insert(Arc::new(config))))
}
