//! TLS for the server: its certificate and key, read and held against each other once.
//!
//! Whatever is wrong with them is found before anything is served, and the error says which of the
//! two it is and what belongs there.

use std::path::Path;

use crate::Error;

/// The certificate that a server shows, and the key that belongs to it.
#[derive(Clone)]
pub struct ServerTls {
    #[cfg(feature = "tls")]
    config: std::sync::Arc<tokio_rustls::rustls::ServerConfig>,
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

    /// As [`ServerTls::from_pem`], from files, which are read now and not again. Errors name the
    /// file.
    pub fn from_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<ServerTls, Error> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let certificate_name = format!("the certificate {certificate:?}");
        let key_name = format!("the key {key:?}");
        ServerTls::new(
            &certificate_name,
            &read(&certificate_name, certificate)?,
            &key_name,
            &read(&key_name, key)?,
        )
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

    use super::ServerTls;
    use crate::Error;
    use crate::net::server::listener::Accepted;

    /// For a peer that speaks HTTP without TLS. The status is that of other servers.
    const PLAIN: &str = "this server speaks TLS: its address begins with https://\n";

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
            Ok(ServerTls { config: Arc::new(config) })
        }

        /// The handshake.
        pub(in crate::net::server) async fn secure(
            &self,
            accepted: Accepted,
        ) -> io::Result<TlsStream<Accepted>> {
            match accepted.first_byte().await? {
                // A method. TLS begins with a control character, the type of its records.
                Some(first) if first.is_ascii_uppercase() => {
                    answer_in_plain(accepted).await?;
                    Err(io::Error::other("the peer speaks HTTP without TLS"))
                }
                _ => TlsAcceptor::from(Arc::clone(&self.config)).accept(accepted).await,
            }
        }
    }

    async fn answer_in_plain(mut accepted: Accepted) -> io::Result<()> {
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{PLAIN}",
            PLAIN.len()
        );
        accepted.write_all(answer.as_bytes()).await?;
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
    pub(super) async fn secure(
        &self,
        _: super::listener::Accepted,
    ) -> std::io::Result<super::listener::Accepted> {
        match self.never {}
    }
}
