//! The run: jobs, turns, idle, tasks, kill, abort, and the kilo dialect (R12, R46, R49–R54).

use super::*;

fn kill(bench: &mut Bench, signal: &str) {
    bench.frame(json!({"type": "kill", "signal": signal}));
}

#[test]
fn message_ids_are_made_of_the_bare_execution_id() {
    let cases = [
        ("exc_a", "msg_a_1"),
        ("exec_a", "msg_a_1"),
        ("execution_a", "msg_a_1"),
        ("msg_a", "msg_a_1"),
        ("a_exc_b", "msg_a_exc_b_1"),
    ];
    for (execution, message) in cases {
        let mut bench = Bench::new(json!({}));
        bench.job(execution, &[]).unwrap();
        assert_eq!(bench.turn(), message);
    }
}

#[test]
fn a_job_is_replaced_only_while_it_is_idle() {
    let mut bench = Bench::new(json!({}));
    assert_eq!(bench.wrapper.begin_turn(START).unwrap_err().name(), "InvalidArgument");
    assert_eq!(bench.job("", &[]).unwrap_err().name(), "InvalidArgument");
    bench.job("exc_a", &[]).unwrap();
    bench.job("exc_b", &[]).unwrap();
    assert_eq!(bench.turn(), "msg_b_1");
    bench.job("exc_b", &["new task"]).unwrap();
    assert_eq!(bench.turn(), "msg_b_2", "the same job again begins nothing anew");
    assert_eq!(bench.job("exc_a", &[]), Err(Error::JobConflict { active: "exc_b".into() }));
}

#[test]
fn idle_runs_the_tasks_one_after_the_other_and_completes() {
    let mut bench = Bench::with_job(json!({}), &["commit", "condense", "push"]);
    bench.idle();
    assert_eq!(bench.take_told(), json!([]), "no turn was active");
    bench.turn();
    bench.idle();
    assert_eq!(bench.take_told(), json!([{"task": "commit"}]));
    assert!(bench.wrapper.begin_turn(bench.now).is_err());
    bench.task_done("push", true);
    bench.task_done("commit", false);
    assert_eq!(bench.take_told(), json!([{"task": "condense"}]));
    bench.advance(119_999);
    assert_eq!(bench.take_told(), json!([]));
    bench.advance(1);
    assert_eq!(bench.take_told(), json!([{"task": "push"}]));
    bench.task_done("condense", true);
    bench.take_types();
    bench.idle();
    bench.sent.clear();
    bench.task_done("push", true);
    assert_eq!(bench.take_sent(), json!([["complete", {"exitCode": 0}]]));
    bench.advance(250);
    assert_eq!((bench.state(), bench.take_told()), ("closed", json!(["drained"])));
    bench.task_done("push", true);
    bench.idle();
    assert_eq!((bench.take_sent(), bench.take_told()), (json!([]), json!([])));
}

#[test]
fn failed_tasks_are_reported_and_not_fatal() {
    let mut bench = Bench::with_job(json!({}), &["commit", "push"]);
    bench.turn();
    bench.idle();
    bench.sent.clear();
    bench.task_done("commit", false);
    bench.advance(120_000);
    bench.sent.get_mut(&1).unwrap().retain(|frame| frame["streamEventType"] != "heartbeat");
    let error = |text: &str| json!(["error", {"error": text, "fatal": false}]);
    assert_eq!(
        bench.take_sent(),
        json!([
            error("post-completion task commit failed"),
            error("post-completion task push timed out"),
            ["complete", {"exitCode": 0}],
        ])
    );
}

#[test]
fn complete_names_the_jobs_branch() {
    let mut bench = Bench::connected(json!({}));
    let job = Job { execution_id: "e".into(), branch: Some("feature".into()), ..Job::default() };
    bench.wrapper.start_job(job, START).unwrap();
    bench.turn();
    bench.wrapper.handle_idle(bench.now);
    bench.settle();
    let data = json!({"exitCode": 0, "currentBranch": "feature"});
    assert_eq!(bench.take_sent(), json!([["complete", data]]));
}

#[test]
fn a_host_without_jobs_may_say_that_it_is_idle() {
    let mut bench = Bench::connected(json!({}));
    bench.wrapper.handle_idle(bench.now);
    bench.wrapper.handle_idle(bench.now);
    bench.settle();
    assert_eq!(bench.take_sent(), json!([["complete", {"exitCode": 0}]]));
}

#[test]
fn draining_in_basic_mode_is_measured_from_the_write() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.cut(close::DROPPED);
    bench.idle();
    bench.advance(900);
    assert_eq!(bench.state(), "reconnecting", "draining waits for a link");
    bench.advance(100);
    bench.up(0);
    assert_eq!(bench.take_types(), ["wrapper_resumed", "kilocode", "complete"]);
    bench.advance(249);
    assert_eq!(bench.state(), "connected");
    bench.advance(1);
    assert_eq!(bench.state(), "closed");
    assert_eq!(bench.closed, [(2, close::NORMAL)]);
}

#[test]
fn its_own_ending_is_not_aborted_by_the_close_that_follows() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.idle();
    bench.cut(close::DONE);
    assert_eq!(bench.take_told(), json!([done(None, None, 0), "drained"]));
}

#[test]
fn a_kill_is_acted_on_once_per_job_and_signal() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    kill(&mut bench, "SIGTERM");
    kill(&mut bench, "SIGTERM");
    assert_eq!(bench.take_told(), json!([{"abort": "SIGTERM"}]));
    kill(&mut bench, "SIGKILL");
    kill(&mut bench, "SIGKILL");
    kill(&mut bench, "SIGTERM");
    assert_eq!(bench.take_told(), json!([{"abort": "SIGKILL"}]));
    assert_eq!(bench.take_types(), [""; 0]);
    // The stronger signal does not give the host more time.
    bench.advance(10_000);
    assert_eq!(bench.take_sent(), json!([["interrupted", {}]]));
    bench.aborted();
    kill(&mut bench, "SIGKILL");
    bench.advance(250);
    assert_eq!((bench.take_sent(), bench.take_told()), (json!([]), json!(["drained"])));
}

#[test]
fn a_kill_is_acted_on_whatever_stands_beside_it() {
    for beside in [r#""\ud800""#, "1e999", r#"[{"x":-1e999}]"#] {
        let mut bench = Bench::with_job(json!({}), &[]);
        bench.turn();
        let frame = format!(r#"{{"x":{beside},"type":"kill","signal":"SIGTERM"}}"#);
        bench.wrapper.handle_frame(bench.attempt, &frame, bench.now);
        bench.settle();
        assert_eq!(bench.take_told(), json!([{"abort": "SIGTERM"}]), "{frame}");
    }
}

#[test]
fn a_kill_that_comes_again_after_a_reconnect_is_not_told_twice() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    kill(&mut bench, "SIGTERM");
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.up(0);
    bench.take_told();
    kill(&mut bench, "SIGTERM");
    assert_eq!(bench.take_told(), json!([]));
    bench.aborted();
    assert_eq!(bench.take_types(), ["interrupted"]);
}

#[test]
fn with_nothing_to_stop_a_kill_interrupts_at_once() {
    let mut idle = Bench::with_job(json!({}), &["task"]);
    kill(&mut idle, "SIGTERM");
    assert_eq!((idle.take_sent(), idle.take_told()), (json!([["interrupted", {}]]), json!([])));
    idle.advance(250);
    assert_eq!(idle.take_told(), json!(["drained"]));
    // While tasks run the agent is idle as well; the tasks left are skipped.
    let mut tasks = Bench::with_job(json!({}), &["first", "second"]);
    tasks.turn();
    tasks.idle();
    tasks.take_types();
    kill(&mut tasks, "SIGTERM");
    tasks.task_done("first", true);
    assert_eq!(tasks.take_types(), ["interrupted"]);
    assert_eq!(tasks.take_told(), json!([{"task": "first"}]));
}

#[test]
fn an_aborted_run_sends_no_complete() {
    let mut bench = Bench::with_job(json!({}), &["task"]);
    bench.turn();
    kill(&mut bench, "SIGTERM");
    bench.idle();
    bench.take_types();
    // The host's program ended just then: it was asked to stop, so it was interrupted.
    bench.wrapper.complete(143, None, bench.now).unwrap();
    bench.settle();
    assert_eq!(bench.take_sent(), json!([["interrupted", {"exitCode": 143}]]));
    bench.aborted();
    bench.advance(1_000);
    assert_eq!(bench.take_told(), json!([{"abort": "SIGTERM"}, "drained"]));
}

#[test]
fn an_abort_that_nobody_asked_for_is_ignored() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.aborted();
    assert_eq!((bench.take_types(), bench.take_told()), (vec![], json!([])));
    bench.wrapper.interrupted(Some("Ctrl-C"), None, bench.now).unwrap();
    bench.settle();
    assert_eq!(bench.take_sent(), json!([["interrupted", {"reason": "Ctrl-C"}]]));
}

#[test]
fn an_abort_under_way_when_the_link_ends_for_good_sends_nothing_later() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    kill(&mut bench, "SIGTERM");
    bench.cut(close::DONE);
    assert_eq!(bench.take_told(), json!([{"abort": "SIGTERM"}, done(None, None, 0)]));
    // The next execution begins while the old agent still stops.
    bench.open("next").unwrap();
    bench.up(0);
    assert_eq!(bench.job("next", &[]).unwrap_err().name(), "JobConflict");
    bench.agent("message.updated", json!({})).unwrap();
    bench.aborted();
    assert_eq!((bench.take_types(), bench.take_told()), (vec![], json!([])));
    assert_eq!(bench.state(), "connected");
    bench.job("next", &[]).unwrap();
    assert_eq!(bench.turn(), "msg_next_1");
}

#[test]
fn a_job_for_the_next_execution_may_be_started_before_it_is_opened() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.close();
    bench.job("exc_next", &[]).unwrap();
    bench.open("exc_next").unwrap();
    bench.up(0);
    assert_eq!(bench.turn(), "msg_next_1");
    kill(&mut bench, "SIGTERM");
    assert_eq!(bench.take_told(), json!([{"abort": "SIGTERM"}]));
}

#[test]
fn after_its_own_ending_the_run_takes_nothing_more() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.send_as("interrupted", json!({"reason": "x"}), false).unwrap();
    assert_eq!(bench.send(1).unwrap_err().name(), "Closed");
    assert_eq!(bench.wrapper.begin_turn(bench.now).unwrap_err().name(), "Closed");
    assert!(bench.wrapper.has_room(), "whoever waits for room is to find out");
    bench.agent("message.updated", json!({})).unwrap();
    kill(&mut bench, "SIGKILL");
    assert_eq!((bench.take_types(), bench.take_told()), (vec!["interrupted".into()], json!([])));
}

#[test]
fn agent_events_pass_through_as_kilocode() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.agent("todo.updated", json!({"todos": []})).unwrap();
    let data = json!({
        "event": "todo.updated", "type": "todo.updated", "properties": {"todos": []},
    });
    assert_eq!(bench.take_sent(), json!([["kilocode", data]]));
}

#[test]
fn an_agent_event_refused_for_want_of_room_may_come_again_and_an_ending_is_not() {
    let mut bench = Bench::with_job(json!({"buffer_events": 1, "overflow": "block"}), &[]);
    bench.turn();
    bench.cut(close::DROPPED);
    bench.send(1).unwrap();
    assert_eq!(bench.agent("todo.updated", json!({})).unwrap_err().name(), "Full");
    bench.idle();
    bench.advance(1_000);
    bench.up(0);
    assert_eq!(bench.take_types(), ["wrapper_resumed", "output", "kilocode", "complete"]);
}

#[test]
fn a_terminal_agent_error_ends_the_run_with_its_text() {
    let mut bench = Bench::with_job(json!({"acknowledged": true}), &["task"]);
    bench.turn();
    bench.agent("payment_required", json!({"message": "Pay up"})).unwrap();
    assert_eq!(bench.take_sent()[1], json!(["error", {"error": "Pay up", "fatal": true}, 2]));
    bench.ack(2);
    bench.advance(15_000);
    assert_eq!((bench.take_told(), bench.state()), (json!(["drained"]), "closed"));
}

#[test]
fn a_terminal_error_with_an_endless_text_still_ends_the_run() {
    let mut bench = Bench::with_job(json!({"max_frame_bytes": 400}), &[]);
    bench.turn();
    let text = format!("quota {}", "\u{1}é".repeat(400));
    let passed = bench.agent("session.error", json!({"error": text}));
    assert_eq!(passed.unwrap_err().name(), "InvalidEvent");
    let sent = bench.take_sent();
    assert_eq!(sent[0][0], "error");
    assert!(sent[0][1]["error"].as_str().unwrap().starts_with("quota "), "{sent}");
}

#[test]
fn a_silent_feed_is_restarted_but_only_where_there_is_one() {
    let mut bench = Bench::with_job(json!({"reconnect_attempts": null}), &[]);
    bench.advance(60_000);
    assert_eq!(bench.take_told(), json!([]), "no event ever came: there is no feed");
    bench.agent("server.connected", json!({})).unwrap();
    bench.advance(14_999);
    assert_eq!(bench.take_told(), json!([]));
    bench.advance(1);
    assert_eq!(bench.take_told(), json!(["restart_feed"]));
    bench.cut(close::DROPPED);
    bench.agent("server.connected", json!({})).unwrap();
    bench.advance(1_000);
    bench.advance(14_000);
    bench.take_told();
    bench.up(0);
    bench.advance(14_999);
    assert_eq!(bench.take_told(), json!(["reconnected"]), "the time starts anew");
    bench.advance(1);
    assert_eq!(bench.take_told(), json!(["restart_feed"]));
    bench.turn();
    bench.idle();
    bench.advance(60_000);
    assert_eq!(bench.take_told(), json!(["drained"]));
}
