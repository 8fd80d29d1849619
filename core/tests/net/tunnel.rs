//! Wrappers through a proxy: `CONNECT`, credentials, refusals, and TLS end to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use stayline::Error;
use stayline::net::client::{Proxy, Wrapper, WrapperOptions};
use stayline::net::server::ServerOptions;
use stayline::session::records::Status;
use stayline::wrapper::{Outcome, SendOptions};

use crate::support::{PATIENCE, TOKEN, host, host_with, wait_for};
use crate::tls;

/// A name that only the proxy knows.
const NAME: &str = "coordinator.invalid";

/// A proxy that knows one way.
struct Tunnels {
    address: SocketAddr,
    /// The heads of the requests, whole.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// Answers every `CONNECT` with `answer`, and carries on to `server` after a 200.
    fn to(server: SocketAddr, answer: impl Into<Vec<u8>>) -> Tunnels {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        // Ends with the process.
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(mut near) = near else { return };
                seen.lock().unwrap().push(head(&near));
                // A peer may have gone.
                let _ = near.write_all(&answer);
                if answer.windows(5).any(|word| word == b" 200 ") {
                    carry(near, TcpStream::connect(server).unwrap());
                }
            }
        });
        Tunnels { address, asked }
    }

    fn url(&self) -> String {
        format!("http://user:p%40ss@{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn head(from: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::with_capacity(1, from);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            break;
        }
    }
    head
}

fn carry(near: TcpStream, far: TcpStream) {
    let (near_again, far_again) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || pass(&near, &far));
    std::thread::spawn(move || pass(&far_again, &near_again));
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn open(url: String, proxy: Proxy) -> Wrapper {
    Wrapper::open(WrapperOptions {
        url,
        session_id: "s".into(),
        execution_id: "e".into(),
        token: Some(TOKEN.into()),
        proxy,
        ..WrapperOptions::default()
    })
    .unwrap()
}

fn reason(wrapper: &Wrapper) -> String {
    match wrapper.outcome(Some(PATIENCE)) {
        Err(Error::Disconnected { reason }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn run_through(wrapper: &Wrapper) {
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    for _ in 0..100 {
        wrapper.send("output", r#"{"text":"some words"}"#, SendOptions::default()).unwrap();
    }
    wrapper.complete(0, None).unwrap();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    assert!(
        matches!(outcome, Outcome::Done { status: Some(Status::Completed), .. }),
        "{outcome:?}"
    );
}

#[test]
fn a_run_goes_through_a_proxy_that_wants_credentials() {
    // Without a key it would answer to no such name.
    let options = ServerOptions { key: Some("key".into()), ..ServerOptions::default() };
    let host = host_with(stayline::Settings::default(), options);
    host.start("e");
    let proxy = Tunnels::to(host.address(), "HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n");
    run_through(&open(format!("http://{NAME}"), Proxy::Url(proxy.url())));
    assert_eq!(host.types().len(), 101);
    assert_eq!(
        proxy.asked(),
        [format!(
            "CONNECT {NAME}:80 HTTP/1.1\r\nHost: {NAME}:80\r\n\
             Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n"
        )]
    );
}

#[test]
fn what_a_proxy_refuses_is_a_failed_attempt_that_names_it_and_no_password() {
    let host = host();
    host.start("e");
    // Not even with our header is it the coordinator's word.
    let answer = "HTTP/1.1 407 p@ss\r\nStayline-Refusal: not_active\r\n\r\np@ss".to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "p".repeat(1 << 20));
    let tongue = "SSH-2.0-OpenSSH\r\n\r\n".to_owned();
    for (answer, expected) in [
        (answer, "refused with 407 Proxy Authentication Required"),
        (endless.replace(" 200 ", " 299 "), "answers without an end"),
        (tongue, "does not speak HTTP"),
        (String::new(), "broke off"),
    ] {
        let proxy = Tunnels::to(host.address(), answer);
        let told = reason(&open(format!("http://{NAME}"), Proxy::Url(proxy.url())));
        assert!(told.contains(expected), "{told}");
        assert!(told.contains(&format!("http://{}", proxy.address)), "{told}");
        assert!(!told.contains("p@ss") && !told.contains("p%40ss"), "{told}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = reason(&open(format!("http://{NAME}"), Proxy::Url(format!("u:p@{gone}"))));
    assert!(told.contains(&format!("the proxy http://{gone} cannot be reached")), "{told}");
}

#[test]
fn a_refused_tunnel_is_tried_again_where_the_first_is_to_be_retried() {
    let host = host();
    host.start("e");
    let proxy = Tunnels::to(host.address(), "HTTP/1.1 503 later\r\n\r\n");
    let settings = stayline::Settings { reconnect_base_ms: 5, ..stayline::Settings::default() };
    let wrapper = Wrapper::open(WrapperOptions {
        url: format!("http://{NAME}"),
        session_id: "s".into(),
        execution_id: "e".into(),
        proxy: Proxy::Url(proxy.url()),
        retry_first: true,
        settings,
        ..WrapperOptions::default()
    })
    .unwrap();
    wait_for(|| (proxy.asked().len() >= 3).then_some(()));
    assert_eq!(wrapper.outcome(Some(std::time::Duration::ZERO)).unwrap_err(), Error::Timeout);
}

#[test]
fn a_proxy_that_is_none_is_told_at_once() {
    let opened = Wrapper::open(WrapperOptions {
        url: format!("http://{NAME}"),
        session_id: "s".into(),
        execution_id: "e".into(),
        proxy: Proxy::Url("socks5://u:geheim@p".into()),
        ..WrapperOptions::default()
    });
    let error = opened.unwrap_err();
    assert_eq!(error.name(), "InvalidArgument");
    assert!(error.to_string().contains("socks5") && !error.to_string().contains("geheim"));
}

#[test]
fn tls_goes_through_it_end_to_end() {
    tls::trusting_in("authority.pem", "tunnel::tls_through_a_proxy");
}

#[test]
#[ignore = "run by another test, with another environment"]
fn tls_through_a_proxy() {
    let host = tls::secure_host();
    host.start("e");
    let proxy = Tunnels::to(host.address(), "HTTP/1.0 200 yes\r\n\r\n");
    run_through(&open("https://localhost:7".into(), Proxy::Url(proxy.url())));
    assert!(proxy.asked()[0].starts_with("CONNECT localhost:7 HTTP/1.1\r\n"));
}
