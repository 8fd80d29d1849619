//! What a coordinator, or a proxy before it, can make a wrapper keep: each thing has its bound.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::wrapper::{SendOptions, Told};
use stayline::{Error, Settings};
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

use crate::support::{PATIENCE, wait_for};

/// What the wrapper is made to answer with, if it lets itself be.
const WANTED_BYTES: usize = 96 * 1024 * 1024;

/// What fits into the kernel's buffers and the wrapper's own bounds.
const BOUND_BYTES: usize = 48 * 1024 * 1024;

/// A server that does to each link, in basic mode, as it is told. Ends with the process.
fn coordinator(serve: impl Fn(WebSocket<TcpStream>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            if let Ok(socket) = accept(stream) {
                serve(socket);
            }
        }
    });
    url
}

fn open(url: &str, settings: Settings) -> Wrapper {
    Wrapper::open(WrapperOptions {
        url: url.to_owned(),
        session_id: "s".into(),
        execution_id: "e".into(),
        settings,
        active: false,
        ..WrapperOptions::default()
    })
    .unwrap()
}

#[test]
fn pings_whose_answers_nobody_reads_are_not_read_either() {
    let json = Message::text(r#"{"type":"ping"}"#);
    let frame = Message::Ping(vec![b'x'; 125].into());
    for ping in [json, frame] {
        let (sender, sent) = mpsc::channel();
        let (hold, held) = mpsc::channel::<()>();
        let size = ping.len();
        let url = coordinator(move |mut socket| {
            socket.get_ref().set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut bytes = 0;
            while bytes < WANTED_BYTES && socket.write(ping.clone()).is_ok() {
                bytes += size;
            }
            sender.send(bytes).unwrap();
            // Until the test is over.
            let _ = held.recv();
        });
        let wrapper = open(&url, Settings::default());
        let bytes = sent.recv().unwrap();
        assert!(bytes < BOUND_BYTES, "{bytes} bytes were taken");
        drop((hold, wrapper));
    }
}

#[test]
fn commands_that_the_host_does_not_take_are_bounded_and_the_newest_is_there() {
    const COMMANDS: usize = 40;
    let (sender, arrived) = mpsc::channel();
    let url = coordinator(move |mut socket| {
        let filling = "x".repeat(1024 * 1024);
        for n in 1..=COMMANDS {
            let command = format!(r#"{{"type":"note","n":{n},"filling":"{filling}"}}"#);
            socket.send(Message::text(command)).unwrap();
        }
        socket.send(Message::text(r#"{"type":"ping"}"#)).unwrap();
        // Its answer says that everything before it has arrived.
        while !socket.read().unwrap().to_text().unwrap().contains("pong") {}
        sender.send(()).unwrap();
        let _ = socket.read();
    });
    let wrapper = open(&url, Settings::default());
    arrived.recv_timeout(PATIENCE).unwrap();
    let mut kept = Vec::new();
    while let Some(signal) = wrapper.try_signal().unwrap() {
        if let Told::Command(frame) = signal {
            kept.push(frame["n"].as_u64().unwrap());
        }
    }
    assert_eq!(kept, [38, 39, 40]);
}

#[test]
fn a_frame_larger_than_any_of_ours_breaks_the_link() {
    let url = coordinator(|mut socket| {
        let huge = format!(r#"{{"type":"note","filling":"{}"}}"#, "x".repeat(5 * 1024 * 1024));
        let _ = socket.send(Message::text(huge));
        let _ = socket.read();
    });
    let wrapper = open(&url, Settings::default());
    loop {
        match wrapper.signal(Some(PATIENCE)).unwrap().expect("a signal in time") {
            Told::Reconnecting(_) => break,
            Told::Command(_) => panic!("it was taken"),
            _ => {}
        }
    }
}

/// It talks enough not to be taken for dead.
#[test]
fn a_coordinator_that_takes_nothing_is_given_up_though_it_talks() {
    let url = coordinator(|mut socket| {
        while socket.send(Message::text(r#"{"type":"news"}"#)).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let settings = Settings {
        acknowledged: false,
        ping_interval_ms: 100,
        link_timeout_ms: 2_000,
        basic_link_timeout_ms: 2_000,
        ..Settings::default()
    };
    let wrapper = open(&url, settings);
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(500_000));
    wait_for(|| match wrapper.try_send("output", &data, SendOptions::default()) {
        Err(Error::Full { .. }) => Some(()),
        sent => {
            sent.unwrap();
            None
        }
    });
    wait_for(|| match wrapper.try_signal().unwrap() {
        Some(Told::Reconnecting(_)) => Some(()),
        _ => None,
    });
}

#[test]
fn what_waited_for_a_link_that_is_gone_does_not_hold_up_the_next() {
    let (sender, came) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let url = coordinator(move |socket| {
        sender.send(Instant::now()).unwrap();
        // It reads nothing, and is gone when it is told to be.
        let _ = ended.recv();
        drop(socket);
    });
    let settings = Settings {
        acknowledged: false,
        reconnect_base_ms: 5,
        reconnect_cap_ms: 50,
        buffer_bytes: 64 * 1024 * 1024,
        ..Settings::default()
    };
    let wrapper = open(&url, settings);
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(500_000));
    wait_for(|| match wrapper.try_send("output", &data, SendOptions::default()) {
        Err(Error::Full { .. }) => Some(()),
        sent => {
            sent.unwrap();
            None
        }
    });
    came.recv_timeout(PATIENCE).unwrap();
    let gone = Instant::now();
    end.send(()).unwrap();
    let waited = came.recv_timeout(PATIENCE * 3).unwrap() - gone;
    // A second for each MiB that was left, it would be.
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    drop((end, wrapper));
}

/// A proxy that answers with a page, and one that answers without an end.
#[test]
fn what_a_proxy_answers_is_bounded_and_its_wait_is_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            sender.send(Instant::now()).unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            if n == 0 {
                let head = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 9999999\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all("no ".repeat(100_000).as_bytes());
            } else {
                let _ = stream.write_all(b"HTTP/1.1 429 Slow\r\nA: ");
                while stream.write_all(&[b'x'; 4096]).is_ok() {}
            }
        }
    });
    let settings =
        Settings { reconnect_base_ms: 5, reconnect_cap_ms: 1_000, ..Settings::default() };
    let wrapper = Wrapper::open(WrapperOptions {
        url,
        session_id: "s".into(),
        execution_id: "e".into(),
        settings,
        retry_first: true,
        ..WrapperOptions::default()
    })
    .unwrap();
    let times: Vec<_> = (0..4).map(|_| asked.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(times[1] - times[0] >= Duration::from_millis(1_000), "Retry-After was not kept");
    assert!(wrapper.attempts() >= 4);
}
