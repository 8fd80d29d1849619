//! TLS for the server: its certificate and key, read and held against each other.
//!
//! Whatever is wrong with them is found before anything is served, and the error says which of the
//! two it is and what belongs there.

use std::path::Path;
use std::sync::Arc;

use super::renewal::Files;
use crate::Error;
#[cfg(feature = "tls")]
use crate::lock::RwLock;

/// The certificate that a server shows, and the key that belongs to it.
/// Clones share it: what one takes up by [`ServerTls::reload`], all serve.
#[derive(Clone)]
pub struct ServerTls {
    #[cfg(feature = "tls")]
    served: Arc<RwLock<with::Served>>,
    files: Option<Arc<Files>>,
    #[cfg(not(feature = "tls"))]
    never: std::convert::Infallible,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// From PEM text: the certificate, followed by those that lead from it to the authority's
    /// (the "full chain"), and its private key (PKCS #8, PKCS #1 or SEC 1, without a passphrase).
    ///
    /// [`Error::InvalidArgument`] for what is no such thing, for a key that does not belong to the
    /// certificate, and in a build without the feature `tls`.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<ServerTls, Error> {
        ServerTls::new("the certificate", certificate, "the key", key)
    }

    /// As [`ServerTls::from_pem`], from files. A server looks every minute whether they have
    /// changed, and takes a new certificate up. Errors name the file.
    pub fn from_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<ServerTls, Error> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let certificate_name = format!("the certificate {certificate:?}");
        let key_name = format!("the key {key:?}");
        // Before they are read: what is written meanwhile is a change.
        let files = Files::new(certificate, key);
        let tls = ServerTls::new(
            &certificate_name,
            &read(&certificate_name, certificate)?,
            &key_name,
            &read(&key_name, key)?,
        )?;
        Ok(ServerTls { files: Some(Arc::new(files)), ..tls })
    }

    pub(super) fn files(&self) -> Option<&Files> {
        self.files.as_deref()
    }
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::invalid(format!("cannot read {name}: {error}")))
}

#[cfg(feature = "tls")]
mod with {
    use std::io;
    use std::sync::Arc;

    use tokio::io::AsyncWriteExt;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{Error as TlsError, ServerConfig};
    use tokio_rustls::server::TlsStream;

    use x509_cert::der::Decode;

    use super::ServerTls;
    use crate::Error;
    use crate::lock::RwLock;
    use crate::net::server::listener::Accepted;
    use crate::net::server::reply;
    use crate::settings::Millis;

    /// The type of the record that a connection with TLS begins with.
    const HANDSHAKE: u8 = 22;

    /// What new connections get.
    pub(super) struct Served {
        config: Arc<ServerConfig>,
        /// The server's own certificate.
        leaf: CertificateDer<'static>,
    }

    impl ServerTls {
        pub(super) fn new(
            certificate_name: &str,
            certificate: &[u8],
            key_name: &str,
            key: &[u8],
        ) -> Result<ServerTls, Error> {
            let chain = CertificateDer::pem_slice_iter(certificate)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| Error::invalid(format!("{certificate_name}: {}", why(error))))?;
            if chain.is_empty() {
                return Err(Error::invalid(format!(
                    "{certificate_name} has no CERTIFICATE section; it must be PEM, the server's \
                     own certificate first"
                )));
            }
            let leaf = chain[0].clone();
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
                let error = match error {
                    pem::Error::NoItemsFound if is_encrypted(key) => {
                        "it is locked by a passphrase; write one without: openssl pkey -in …".into()
                    }
                    pem::Error::NoItemsFound => {
                        "it has no PRIVATE KEY section; it must be PEM".into()
                    }
                    other => why(other),
                };
                Error::invalid(format!("{key_name}: {error}"))
            })?;
            // The provider is named: the process's default may be another one, or none.
            let mut config = ServerConfig::builder_with_provider(
                Arc::new(ring::default_provider()),
            )
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::invalid(format!("TLS cannot be set up: {error}")))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| {
                Error::invalid(match error {
                    TlsError::InconsistentKeys(_) => format!(
                        "{key_name} does not belong to {certificate_name}; give the key that \
                             it was made with, and the server's own certificate first"
                    ),
                    TlsError::InvalidCertificate(error) => {
                        format!("{certificate_name} cannot be used: {error:?}")
                    }
                    TlsError::General(error) => format!("{key_name} cannot be used: {error}"),
                    other => {
                        format!("{certificate_name} and {key_name} cannot be used: {other}")
                    }
                })
            })?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let served = Served { config: Arc::new(config), leaf };
            Ok(ServerTls { served: Arc::new(RwLock::new(served)), files: None })
        }

        /// Serves from now on what another one does.
        pub(in crate::net::server) fn take_over(&self, other: ServerTls) {
            let (config, leaf) = {
                let other = other.served.read();
                (Arc::clone(&other.config), other.leaf.clone())
            };
            *self.served.write() = Served { config, leaf };
        }

        /// Until when the server's own certificate is good, where that can be read.
        pub(in crate::net::server) fn ends_at(&self) -> Option<Millis> {
            let leaf = self.leaf();
            let certificate = x509_cert::Certificate::from_der(&leaf).ok()?;
            let end = certificate.tbs_certificate.validity.not_after.to_unix_duration();
            Millis::try_from(end.as_millis()).ok()
        }

        /// The server's own certificate.
        pub(in crate::net::server) fn leaf(&self) -> CertificateDer<'static> {
            self.served.read().leaf.clone()
        }

        /// The handshake.
        pub(in crate::net::server) async fn secure(
            &self,
            accepted: Accepted,
        ) -> io::Result<TlsStream<Accepted>> {
            match accepted.first_byte().await? {
                // HTTP, most likely; whatever it is, it is no TLS, and the rest is not waited for.
                Some(first) if first != HANDSHAKE => {
                    answer_in_plain(accepted).await?;
                    Err(io::Error::other("the peer speaks something else than TLS"))
                }
                _ => {
                    let config = Arc::clone(&self.served.read().config);
                    TlsAcceptor::from(config).accept(accepted).await
                }
            }
        }
    }

    async fn answer_in_plain(mut accepted: Accepted) -> io::Result<()> {
        accepted.write_all(&reply::speaks_tls()).await?;
        accepted.shutdown().await?;
        // A socket that is closed with something unread takes the answer back.
        tokio::io::copy(&mut accepted, &mut tokio::io::sink()).await.map(drop)
    }

    fn is_encrypted(key: &[u8]) -> bool {
        let wanted = b"ENCRYPTED";
        key.windows(wanted.len()).any(|window| window == wanted)
    }

    /// In words: the library prints lines as numbers.
    fn why(error: pem::Error) -> String {
        match error {
            pem::Error::MissingSectionEnd { end_marker } => {
                format!("it ends before {:?}", String::from_utf8_lossy(&end_marker).trim())
            }
            pem::Error::IllegalSectionStart { line } => {
                format!("no section begins with {:?}", String::from_utf8_lossy(&line).trim())
            }
            other => other.to_string(),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl ServerTls {
    fn new(_: &str, _: &[u8], _: &str, _: &[u8]) -> Result<ServerTls, Error> {
        Err(Error::invalid("TLS was asked for, which this build does not have (feature `tls`)"))
    }

    /// There is none of these.
    pub(super) fn take_over(&self, _: ServerTls) {
        match self.never {}
    }

    /// There is none of these.
    pub(super) fn ends_at(&self) -> Option<crate::settings::Millis> {
        match self.never {}
    }

    /// There is none of these.
    pub(super) async fn secure(
        &self,
        _: super::listener::Accepted,
    ) -> std::io::Result<super::listener::Accepted> {
        match self.never {}
    }
}
