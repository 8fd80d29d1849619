//! Who is let in: keys, tickets, origins and hosts.

use stayline::Settings;
use stayline::coordinator::{Coordinator, Options};
use stayline::net::server::{ServerOptions, serve};

use crate::support::{Host, Peer, error_name, host, host_with, http};

fn keyed() -> Host {
    let options = ServerOptions {
        key: Some("the key".into()),
        allowed_origins: vec!["https://dash.example".into()],
        ..ServerOptions::default()
    };
    host_with(Settings::default(), options)
}

const KEY: (&str, &str) = ("authorization", "Bearer the key");

fn stream_status(host: &Host, query: &str, headers: &[(&str, &str)]) -> u16 {
    match Peer::connect(host.address(), &format!("/sessions/s/stream?{query}"), headers) {
        Ok(_) => 101,
        Err(refused) => refused.status,
    }
}

#[test]
fn a_server_for_others_needs_a_key() {
    let coordinator = Coordinator::open("memory:", Options::default()).unwrap();
    let open = |address: &str, key: Option<&str>| {
        let options = ServerOptions { key: key.map(str::to_owned), ..ServerOptions::default() };
        serve(coordinator.clone(), address, options)
    };
    assert_eq!(error_name(open("0.0.0.0:0", None)), "InvalidArgument");
    assert_eq!(error_name(open("[::]:0", None)), "InvalidArgument");
    assert_eq!(error_name(open("127.0.0.1:0", Some(""))), "InvalidArgument");
    assert_eq!(error_name(open("nonsense", None)), "InvalidArgument");
    let server = open("0.0.0.0:0", Some("the key")).unwrap();
    assert!(server.url().starts_with("http://127.0.0.1:"), "{}", server.url());
    let taken = open(&format!("0.0.0.0:{}", server.address().port()), Some("the key"));
    assert_eq!(error_name(taken), "InvalidArgument");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_bound() {
    let coordinator = Coordinator::open("memory:", Options::default()).unwrap();
    let refused = |options: ServerOptions| {
        let refused = serve(coordinator.clone(), "127.0.0.1:0", options).unwrap_err();
        assert_eq!(refused.name(), "InvalidArgument");
        refused.to_string()
    };
    let with_key = |key: &str| ServerOptions { key: Some(key.into()), ..ServerOptions::default() };
    let with_path =
        |path: &str| ServerOptions { base_path: path.into(), ..ServerOptions::default() };
    let everybody =
        || ServerOptions { allowed_origins: vec!["*".into()], ..ServerOptions::default() };
    for key in ["a key\n", " a key", "kéy", ""] {
        let told = refused(with_key(key));
        assert!(told.contains("the server's key") && !told.contains("a key\n"), "{told}");
    }
    for path in
        ["/{session_id}", "/{*rest}", "/*", "/:id", "/a b", "/a?b", "a", "/a//b", "/%7Ba%7D"]
    {
        assert!(refused(with_path(path)).contains(&format!("{path:?}")), "{path}");
    }
    assert!(refused(everybody()).contains("set a key"));
    serve(
        coordinator.clone(),
        "127.0.0.1:0",
        ServerOptions { key: Some("k".into()), ..everybody() },
    )
    .unwrap();
    let server = serve(coordinator.clone(), "127.0.0.1:0", with_path("/a/b.c/")).unwrap();
    assert!(server.url().ends_with("/a/b.c"));
    assert_eq!(http(server.address(), "GET", "/a/b.c/health", &[], "").status, 200);
}

#[test]
fn without_a_key_foreign_hosts_and_origins_are_refused() {
    let host = host();
    host.start("e");
    let status = |headers: &[(&str, &str)]| {
        (
            http(host.address(), "GET", "/sessions/s", headers, "").status,
            stream_status(&host, "", headers),
        )
    };
    assert_eq!(status(&[]), (200, 101));
    assert_eq!(status(&[("host", "localhost:9")]), (200, 101));
    assert_eq!(status(&[("host", "evil.example")]), (421, 421));
    assert_eq!(status(&[("origin", "https://evil.example")]), (403, 403));
    assert_eq!(status(&[("origin", "null")]), (403, 403));
    let own = format!("http://{}", host.address());
    assert_eq!(status(&[("origin", &own)]), (200, 101));
    let ingest = format!("/sessions/s/ingest?executionId=e&token={}", "a%20token");
    let refused = Peer::connect(host.address(), &ingest, &[("origin", "https://evil.example")]);
    let refused = refused.err().unwrap();
    assert_eq!((refused.status, refused.header("stayline-refusal")), (403, None));
}

#[test]
fn a_stream_needs_a_ticket_for_its_session_or_the_key() {
    let host = keyed();
    host.start("e");
    let other = host.coordinator.session("other").unwrap();
    other.start(Default::default()).unwrap();
    assert_eq!(stream_status(&host, "", &[]), 401);
    assert_eq!(stream_status(&host, "", &[KEY]), 101);
    assert_eq!(stream_status(&host, "", &[("authorization", "Bearer wrong")]), 401);
    let ticket = |session: &str| {
        let path = format!("/sessions/{session}/ticket");
        let answer = http(host.address(), "POST", &path, &[KEY], "{\"ttlMs\": 60000}");
        assert_eq!(answer.status, 201);
        answer.json()["ticket"].as_str().unwrap().to_owned()
    };
    let encoded = |ticket: &str| ticket.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(stream_status(&host, &format!("ticket={}", encoded(&ticket("s"))), &[]), 101);
    assert_eq!(stream_status(&host, &format!("ticket={}", encoded(&ticket("other"))), &[]), 401);
    assert_eq!(stream_status(&host, "ticket=made-up", &[]), 401);
    let events = http(host.address(), "GET", "/sessions/s/events", &[], "");
    assert_eq!((events.status, events.header("www-authenticate")), (401, Some("Bearer")));
}

#[test]
fn an_unknown_session_is_not_told_to_strangers() {
    let host = keyed();
    let path = "/sessions/none/stream";
    assert_eq!(Peer::connect(host.address(), path, &[]).err().unwrap().status, 401);
    assert_eq!(Peer::connect(host.address(), path, &[KEY]).err().unwrap().status, 404);
}

#[test]
fn rest_needs_the_key_and_wrappers_only_their_token() {
    let host = keyed();
    assert_eq!(http(host.address(), "GET", "/health", &[], "").status, 200);
    for (method, path) in [
        ("GET", "/sessions"),
        ("GET", "/sessions/s"),
        ("DELETE", "/sessions/s"),
        ("GET", "/sessions/s/executions"),
        ("POST", "/sessions/s/executions"),
        ("GET", "/sessions/s/executions/e"),
        ("POST", "/sessions/s/executions/e/fail"),
        ("POST", "/sessions/s/executions/e/interrupt"),
        ("POST", "/sessions/s/interrupt"),
        ("POST", "/sessions/s/ticket"),
    ] {
        let answer = http(host.address(), method, path, &[], "");
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (401, Some("Unauthorized")),
            "{path}"
        );
    }
    host.start("e");
    drop(host.basic("e"));
}

#[test]
fn allowed_pages_are_told_so_and_others_are_refused_despite_the_key() {
    let host = keyed();
    host.start("e");
    let dash = ("origin", "https://dash.example");
    let preflight = http(host.address(), "OPTIONS", "/sessions/s/executions", &[dash], "");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://dash.example"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
    let answer = http(host.address(), "GET", "/sessions/s", &[dash, KEY], "");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://dash.example"));
    assert_eq!(stream_status(&host, "", &[dash, KEY]), 101);
    assert_eq!(stream_status(&host, "", &[("origin", "https://evil.example"), KEY]), 403);
    // With a key any name may point here.
    assert_eq!(
        http(host.address(), "GET", "/sessions/s", &[("host", "x.example"), KEY], "").status,
        200
    );
}
