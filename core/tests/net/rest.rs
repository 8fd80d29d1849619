//! The REST interface (`docs/rest.md`).

use serde_json::{Value, json};
use stayline::Settings;
use stayline::coordinator::{Coordinator, Options};
use stayline::net::server::{ServerOptions, serve};

use crate::support::{Answer, Host, error_name, host, host_with, http};

fn get(host: &Host, path: &str) -> Answer {
    http(host.address(), "GET", path, &[], "")
}

fn post(host: &Host, path: &str, body: &Value) -> Answer {
    http(host.address(), "POST", path, &[("content-type", "application/json")], &body.to_string())
}

#[test]
fn a_run_is_started_watched_interrupted_and_failed() {
    let host = host();
    let started = post(&host, "/sessions/a%2Fb/executions", &json!({"mode": "code"}));
    assert_eq!(started.status, 201);
    let started = started.json();
    let execution = started["executionId"].as_str().unwrap().to_owned();
    assert!(execution.starts_with("exc_"));
    assert!(!started["token"].as_str().unwrap().is_empty());

    let again = post(&host, "/sessions/a%2Fb/executions", &json!({}));
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["error"], "ExecutionInProgress");
    assert_eq!(again.json()["active"], execution.as_str());
    assert!(again.json()["message"].as_str().unwrap().contains(&execution));

    let session = get(&host, "/sessions/a%2Fb").json();
    assert_eq!(
        (&session["sessionId"], &session["activeExecutionId"]),
        (&json!("a/b"), &json!(execution))
    );
    let one = get(&host, &format!("/sessions/a%2Fb/executions/{execution}")).json();
    assert_eq!(
        (&one["status"], &one["mode"], &one["health"]),
        (&json!("pending"), &json!("code"), &Value::Null)
    );

    let interrupted = post(&host, "/sessions/a%2Fb/interrupt", &json!({"graceMs": null}));
    assert_eq!(interrupted.json(), json!({"verdict": "latched"}));
    let fail = format!("/sessions/a%2Fb/executions/{execution}/fail");
    assert_eq!(post(&host, &fail, &json!({"message": "boom"})).json(), json!({"failed": true}));
    assert_eq!(post(&host, &fail, &json!({"message": "boom"})).json(), json!({"failed": false}));
    let named = format!("/sessions/a%2Fb/executions/{execution}/interrupt");
    assert_eq!(post(&host, &named, &json!({})).json(), json!({"verdict": "already_terminal"}));
    let none = post(&host, "/sessions/a%2Fb/interrupt", &json!({}));
    assert_eq!((none.status, &none.json()["error"]), (409, &json!("NoActiveExecution")));

    let list = get(&host, "/sessions/a%2Fb/executions?status=failed").json();
    assert_eq!(list["executions"][0]["error"], "boom");
    assert_eq!(list["executions"][0]["exitCode"], Value::Null);
    assert_eq!(
        get(&host, "/sessions/a%2Fb/executions?status=running").json(),
        json!({"executions": []})
    );
    let sessions = get(&host, "/sessions?limit=5").json();
    assert_eq!(sessions["sessions"][0]["latestStatus"], "failed");
    assert_eq!(sessions["sessions"][0]["activeExecutionId"], Value::Null);

    let deleted = http(host.address(), "DELETE", "/sessions/a%2Fb", &[], "");
    assert_eq!((deleted.status, deleted.json()), (200, json!({"deleted": true})));
    assert_eq!(get(&host, "/sessions/a%2Fb").status, 404);
}

#[test]
fn mistakes_are_told() {
    let host = host();
    host.start("e");
    for (path, body, part) in [
        ("/sessions/s/executions/e/fail", json!({}), "message"),
        ("/sessions/s/executions/e/fail", json!({"message": 1}), "message"),
        ("/sessions/s/executions/e/fail", json!({"mesage": "x", "message": "y"}), "mesage"),
        ("/sessions/s/interrupt", json!({"graceMs": -1}), "graceMs"),
        ("/sessions/s/executions", json!([]), "object"),
    ] {
        let answer = post(&host, path, &body);
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("InvalidArgument")),
            "{path}"
        );
        let told = answer.json()["message"].to_string();
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(get(&host, "/sessions/s/executions?status=odd").status, 400);
    assert_eq!(get(&host, "/sessions/s/executions/none").status, 404);
    assert_eq!(get(&host, "/nowhere").json()["error"], "NotFound");
    assert_eq!(http(host.address(), "DELETE", "/health", &[], "").status, 405);
    assert_eq!(get(&host, "/health").json(), json!({"status": "ok"}));
}

#[test]
fn what_is_no_text_in_an_address_is_named_as_it_was_sent() {
    let host = host();
    host.start("e");
    for (method, path, named) in [
        ("GET", "/sessions/a%ffb", "a%ffb"),
        ("GET", "/sessions/%C3/executions", "%C3"),
        ("GET", "/sessions/s/executions/%80", "%80"),
        ("POST", "/sessions/s%fe/executions/e/fail", "s%fe"),
        ("POST", "/sessions/s/executions/e%fe/interrupt", "e%fe"),
        ("DELETE", "/sessions/%ed%a0%80", "%ed%a0%80"),
        ("GET", "/sessions/%ff/events", "%ff"),
        ("GET", "/sessions?cursor=%ff", "cursor=%ff"),
        ("GET", "/sessions/s/executions?status=%ff", "status=%ff"),
        ("GET", "/sessions/s/events?executionIds=e,%ff", "executionIds=e,%ff"),
    ] {
        let answer = http(host.address(), method, path, &[], "");
        let told = answer.json();
        assert_eq!((answer.status, &told["error"]), (400, &json!("InvalidArgument")), "{path}");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(&format!("{named:?}")), "{path}: {message}");
    }
    let secret = get(&host, "/sessions/s/events?ticket=geheim%ff");
    assert_eq!(secret.status, 400);
    assert!(!secret.body.contains("geheim"), "{}", secret.body);
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (path, named) in [
        ("/sessions/%ff/ingest?executionId=e", "%ff"),
        ("/sessions/s/ingest?executionId=e%ff", "executionId=e%ff"),
        ("/sessions/%ff/stream", "%ff"),
        ("/stream?cloudAgentSessionId=%ff", "cloudAgentSessionId=%ff"),
    ] {
        let answer = http(host.address(), "GET", path, &upgrade, "");
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.body.contains(named), "{path}: {}", answer.body);
    }
}

#[test]
fn everything_may_sit_below_a_base_path() {
    let options = ServerOptions { base_path: "/stay/line/".into(), ..ServerOptions::default() };
    let host = host_with(Settings::default(), options);
    host.start("e");
    assert!(host.server.url().ends_with("/stay/line"), "{}", host.server.url());
    assert_eq!(get(&host, "/stay/line/sessions/s").status, 200);
    assert_eq!(get(&host, "/sessions/s").status, 404);
    let coordinator = Coordinator::open("memory:", Options::default()).unwrap();
    let options = ServerOptions { base_path: "no-slash".into(), ..ServerOptions::default() };
    assert_eq!(error_name(serve(coordinator, "127.0.0.1:0", options)), "InvalidArgument");
}
