//! A wrapper over `wss://`, with a certificate that the system trusts, and with one it does not.
//!
//! What the system trusts is read from the environment, which a test cannot change for itself;
//! so the real test runs in a process of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::wrapper::{Outcome, SendOptions};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{PATIENCE, TOKEN, error_name, host};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/certificates").join(name)
}

/// Takes TLS off and passes on to the server; one connection.
fn terminator(server: SocketAddr) -> SocketAddr {
    let certificates = vec![CertificateDer::from_pem_file(certificate("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut far = TcpStream::connect(server).unwrap();
        let mut near = StreamOwned::new(connection, near);
        // Both directions by one thread in turns: a read gives way when there is nothing.
        let turn = Some(std::time::Duration::from_millis(2));
        near.sock.set_read_timeout(turn).unwrap();
        far.set_read_timeout(turn).unwrap();
        while pass(&mut near, &mut far) && pass(&mut far, &mut near) {}
    });
    address
}

/// Passes on what there is; `false` at the end.
fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 4096];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(read) => to.write_all(&buffer[..read]).and_then(|()| to.flush()).is_ok(),
        Err(error) => {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        }
    }
}

fn open(address: SocketAddr) -> Wrapper {
    Wrapper::open(WrapperOptions {
        url: format!("wss://localhost:{}", address.port()),
        session_id: "s".into(),
        execution_id: "e".into(),
        token: Some(TOKEN.into()),
        ..WrapperOptions::default()
    })
    .unwrap()
}

#[test]
fn a_run_goes_over_tls() {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "tls::in_a_process_that_trusts_the_authority"])
        .env("SSL_CERT_FILE", certificate("authority.pem"))
        .env_remove("SSL_CERT_DIR")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run by a_run_goes_over_tls, with another environment"]
fn in_a_process_that_trusts_the_authority() {
    let host = host();
    host.start("e");
    let wrapper = open(terminator(host.address()));
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    for _ in 0..500 {
        wrapper.send("output", "{}", SendOptions::default()).unwrap();
    }
    wrapper.complete(0, None).unwrap();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(host.events().len(), 501);
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused() {
    let host = host();
    host.start("e");
    let wrapper = open(terminator(host.address()));
    assert_eq!(error_name(wrapper.outcome(Some(PATIENCE))), "Disconnected");
    assert!(host.events().is_empty());
}
