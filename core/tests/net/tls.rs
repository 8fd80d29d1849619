//! The server with TLS, and wrappers over `wss://`: with a certificate that is trusted, with one
//! that is not, and with peers that speak something else or nothing.
//!
//! Whom a process trusts is read from its environment, which a test cannot change for itself; so
//! what needs trust runs in a process of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::net::server::{ServerLimits, ServerOptions, ServerTls};
use stayline::session::records::Status;
use stayline::wrapper::{Outcome, SendOptions};
use stayline::{Error, Settings};

use crate::proxy::Proxy;
use crate::support::{Host, PATIENCE, TOKEN, error_name, host, host_with, http, wait_for};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/certificates").join(name)
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(certificate(name)).unwrap()
}

pub fn secure_host() -> Host {
    host_with(quick(), secure_options())
}

fn secure_options() -> ServerOptions {
    let tls = ServerTls::from_files(certificate("server.pem"), certificate("server.key")).unwrap();
    ServerOptions { tls: Some(tls), ..ServerOptions::default() }
}

/// So that a cut is over at once; the relations of R24 hold.
fn quick() -> Settings {
    Settings { reconnect_base_ms: 20, reconnect_cap_ms: 100, ..Settings::default() }
}

fn open(address: SocketAddr) -> Wrapper {
    Wrapper::open(WrapperOptions {
        url: format!("https://localhost:{}", address.port()),
        session_id: "s".into(),
        execution_id: "e".into(),
        token: Some(TOKEN.into()),
        settings: quick(),
        ..WrapperOptions::default()
    })
    .unwrap()
}

/// Runs an ignored test of this file in a process that trusts an authority.
fn trusting(authority: &Path, name: &str) {
    run_trusting(authority, &format!("tls::{name}"));
}

/// Runs an ignored test of any file here in a process that trusts a certificate of ours.
pub fn trusting_in(authority: &str, name: &str) {
    run_trusting(&certificate(authority), name);
}

fn run_trusting(authority: &Path, name: &str) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", name])
        .env("SSL_CERT_FILE", authority)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && told.contains("1 passed"), "{told}");
}

/// How a wrapper's first connection failed.
fn refusal(wrapper: &Wrapper) -> String {
    match wrapper.outcome(Some(PATIENCE)) {
        Err(Error::Disconnected { reason }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_run_goes_over_tls_and_comes_back_after_cuts() {
    trusting(&certificate("authority.pem"), "a_run_with_cuts_where_the_authority_is_trusted");
}

#[test]
#[ignore = "run by another test, with another environment"]
fn a_run_with_cuts_where_the_authority_is_trusted() {
    let host = secure_host();
    host.start("e");
    let proxy = Proxy::to(host.address());
    let wrapper = open(proxy.address);
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    for round in 1..=3 {
        for _ in 0..500 {
            wrapper.send("output", r#"{"text":"some words"}"#, SendOptions::default()).unwrap();
        }
        proxy.cut_all();
        wait_for(|| (wrapper.reconnects() >= round).then_some(()));
    }
    wrapper.complete(0, None).unwrap();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    assert!(
        matches!(outcome, Outcome::Done { status: Some(Status::Completed), .. }),
        "{outcome:?}"
    );
    let sent = host.types().iter().filter(|event_type| *event_type == "output").count();
    assert_eq!(sent, 1_500);
    assert_eq!(host.types().last().map(String::as_str), Some("complete"));
}

#[test]
fn its_address_tells_and_keeps_the_name_that_was_given() {
    let host = secure_host();
    assert_eq!(host.server.url(), format!("https://127.0.0.1:{}", host.address().port()));
    let options = ServerOptions {
        tls: Some(ServerTls::from_pem(&pem("server.pem"), &pem("server.key")).unwrap()),
        base_path: "/agents".into(),
        ..ServerOptions::default()
    };
    let named = stayline::net::server::serve(host.coordinator.clone(), "localhost:0", options);
    let named = named.unwrap();
    assert_eq!(named.url(), format!("https://localhost:{}/agents", named.address().port()));
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_and_it_is_said_what_to_do() {
    let host = secure_host();
    host.start("e");
    let reason = refusal(&open(host.address()));
    assert!(reason.contains("SSL_CERT_FILE"), "{reason}");
    assert!(host.events().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    trusting(&certificate("authority.pem"), "another_name_where_the_authority_is_trusted");
}

#[test]
#[ignore = "run by another test, with another environment"]
fn another_name_where_the_authority_is_trusted() {
    let tls = ServerTls::from_pem(&pem("other.pem"), &pem("other.key")).unwrap();
    let host = host_with(quick(), ServerOptions { tls: Some(tls), ..ServerOptions::default() });
    host.start("e");
    let reason = refusal(&open(host.address()));
    assert!(reason.contains("not for the name localhost"), "{reason}");
}

#[test]
fn an_authority_that_was_renewed_is_trusted_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    std::fs::copy(certificate("other.pem"), &trusted).unwrap();
    trusting(&trusted, "an_authority_that_is_renewed_between_two_connections");
}

#[test]
#[ignore = "run by another test, with another environment"]
fn an_authority_that_is_renewed_between_two_connections() {
    let host = secure_host();
    host.start("e");
    let reason = refusal(&open(host.address()));
    assert!(reason.contains("SSL_CERT_FILE"), "{reason}");
    let trusted = std::env::var("SSL_CERT_FILE").unwrap();
    std::fs::copy(certificate("authority.pem"), trusted).unwrap();
    let wrapper = open(host.address());
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
}

#[test]
fn who_speaks_plain_http_to_it_is_told_at_once() {
    let host = secure_host();
    host.start("e");
    let answer = http(host.address(), "GET", "/health", &[], "");
    assert_eq!(answer.status, 400);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap(),
        serde_json::json!({
            "error": "InvalidArgument", "message": "this port speaks TLS: use https://",
        })
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let plain = format!("http://localhost:{}", host.address().port());
    let wrapper = Wrapper::open(WrapperOptions {
        url: plain,
        session_id: "s".into(),
        execution_id: "e".into(),
        ..WrapperOptions::default()
    });
    let reason = refusal(&wrapper.unwrap());
    assert!(reason.ends_with("answered 400 (this port speaks TLS: use https://))"), "{reason}");
}

#[test]
fn whatever_is_no_tls_is_answered_at_once_and_over() {
    let host = host_with(quick(), patient(secure_options()));
    let said: [&[u8]; 6] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"get / http/1.1\r\n",
        b"\r\nGET / HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"\0",
        &[0x80, 0x2e, 1, 3, 1],
    ];
    for said in said {
        let answer = ended(host.address(), said);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{said:?}: {answer:?}");
        assert!(
            answer.ends_with(r#""message":"this port speaks TLS: use https://"}"#),
            "{answer:?}"
        );
    }
}

#[test]
fn tls_to_a_server_without_it_ends_the_connection_at_once() {
    let host = host_with(quick(), patient(ServerOptions::default()));
    // A hello, whole or only begun.
    let hello = [[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3].as_slice(), &[7; 194]].concat();
    for said in [&hello[..], &hello[..6], &hello[..1]] {
        let answer = ended(host.address(), said);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{said:?}: {answer:?}");
    }
    // HTTP/2 without being asked is ended as well.
    ended(host.address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

/// No time limit ends a connection before the test gives up.
fn patient(options: ServerOptions) -> ServerOptions {
    let long = 10 * PATIENCE;
    let limits =
        ServerLimits { handshake_timeout: long, head_timeout: long, ..ServerLimits::default() };
    ServerOptions { limits, ..options }
}

/// What is answered to a peer that says this and waits; the connection has to end.
fn ended(address: SocketAddr, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(said).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn who_speaks_tls_to_a_server_without_is_told_so() {
    trusting(&certificate("authority.pem"), "tls_to_a_server_without");
}

#[test]
#[ignore = "run by another test, with another environment"]
fn tls_to_a_server_without() {
    let host = host();
    host.start("e");
    let reason = refusal(&open(host.address()));
    assert!(reason.contains("does not speak TLS"), "{reason}");
}

#[test]
fn the_silent_and_the_mistaken_delay_neither_others_nor_the_end() {
    let host = secure_host();
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(host.address()).unwrap()).collect();
    let mut mistaken = TcpStream::connect(host.address()).unwrap();
    // A record of TLS that is none.
    mistaken.write_all(&[22, 3, 1, 0, 4, 9, 9, 9, 9]).unwrap();
    mistaken.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    // Either an alert and the end, or a reset: it is over.
    let _ = mistaken.read_to_end(&mut rest);
    assert_eq!(http(host.address(), "GET", "/health", &[], "").status, 400);
    host.server.close();
    for mut one in silent {
        one.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(!matches!(one.read(&mut [0]), Ok(1..)));
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let empty = made("empty.pem", b"");
    let cut = made("cut.pem", &pem("server.pem")[..200]);
    let locked = made(
        "locked.key",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let nonsense =
        made("nonsense.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let unreadable_key =
        made("nonsense.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let (chain, key) = (certificate("server.pem"), certificate("server.key"));
    let missing = folder.path().join("missing.pem");
    for (certificate, key, told) in [
        (&missing, &key, ["cannot read the certificate", "missing.pem"]),
        (&chain, &missing, ["cannot read the key", "missing.pem"]),
        (&empty, &key, ["no CERTIFICATE section", "empty.pem"]),
        (&cut, &key, ["ends before", "cut.pem"]),
        (&chain, &empty, ["no PRIVATE KEY section", "empty.pem"]),
        (&chain, &locked, ["passphrase", "locked.key"]),
        (&chain, &unreadable_key, ["cannot be used", "nonsense.key"]),
        (&nonsense, &key, ["cannot be used", "nonsense.pem"]),
        (&chain, &certificate("other.key"), ["does not belong to", "other.key"]),
        // The two exchanged.
        (&key, &chain, ["no CERTIFICATE section", "server.key"]),
    ] {
        let error = ServerTls::from_files(certificate, key).unwrap_err();
        assert_eq!(error.name(), "InvalidArgument");
        let text = error.to_string();
        assert!(told.iter().all(|part| text.contains(part)), "{told:?}: {text}");
    }
    assert_eq!(error_name(ServerTls::from_pem(b"", b"")), "InvalidArgument");
}
