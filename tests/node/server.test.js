// Our server, seen by basic-mode clients: handshakes, close codes, kills, pings, streams.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { serve } from "./lib/coordinator.js";
import { eventually, open } from "./lib/socket.js";

let coordinator;
before(async () => {
  coordinator = await serve({
    disconnect_grace_ms: 2000,
    reconnect_base_ms: 20,
    reconnect_cap_ms: 100,
    ping_interval_ms: 200,
    link_timeout_ms: 2500,
    basic_link_timeout_ms: 2500,
    basic_linger_ms: 1000,
  });
});
after(() => coordinator.stop());

let sessions = 0;
async function started() {
  const session = `server/${++sessions}`;
  const { executionId, token } = await coordinator.start(session);
  return { session, executionId, query: { executionId, token } };
}

test("refusals tell what is wrong, in the order of the checks", async () => {
  const { session, executionId, query } = await started();
  const refused = (url) => assert.rejects(open(url), (refusal) => {
    refused.last = refusal;
    return typeof refusal.status === "number";
  });
  const cases = [
    [session, {}, 400, "bad_request"],
    ["server/nobody", query, 404, "not_found"],
    [session, { ...query, executionId: "other" }, 404, "not_found"],
    [session, { executionId }, 401, "unauthorized"],
    [session, { executionId, token: "wrong" }, 401, "unauthorized"],
  ];
  for (const [where, asked, status, refusal] of cases) {
    await refused(coordinator.ingest(where, asked));
    assert.equal(refused.last.status, status);
    assert.equal(refused.last.headers["stayline-refusal"], refusal);
    assert.equal(refused.last.body.trimEnd().split("\n").length, 1);
  }
  const plain = await fetch(coordinator.ingest(session, query).replace(/^ws/, "http"));
  assert.equal(plain.status, 426);

  const link = await open(coordinator.ingest(session, query));
  link.send({ streamEventType: "complete", data: { exitCode: 0 } });
  assert.equal((await link.closed()).code, 4000);
  await refused(coordinator.ingest(session, query));
  assert.equal(refused.last.status, 409);
  assert.equal(refused.last.headers["stayline-refusal"], "not_active");
  assert.equal(refused.last.headers["stayline-status"], "completed");
});

test("a token may come in a header", async () => {
  const { session, executionId, query } = await started();
  const url = coordinator.ingest(session, { executionId });
  const link = await open(url, { headers: { Authorization: `Bearer ${query.token}` } });
  assert.equal((await coordinator.execution(session, executionId)).status, "running");
  link.socket.close();
});

test("a second link replaces the first, which starts no grace", async () => {
  const { session, executionId, query } = await started();
  const first = await open(coordinator.ingest(session, query));
  const second = await open(coordinator.ingest(session, query));
  assert.deepEqual(await first.closed(), { code: 4001, reason: "replaced by a newer link" });
  second.send({ streamEventType: "complete", data: { exitCode: 0 } });
  assert.deepEqual(await second.closed(), { code: 4000, reason: "execution done" });
  assert.equal((await coordinator.execution(session, executionId)).status, "completed");
});

test("what is said behind an ending is kept, and closing is the wrapper's own", async () => {
  const { session, executionId, query } = await started();
  const link = await open(coordinator.ingest(session, query));
  link.send({ streamEventType: "complete", data: { exitCode: 3 } });
  await eventually(async () =>
    (await coordinator.execution(session, executionId)).status === "completed");
  // The next run on the same process is another link, and leaves this one alone.
  const next = await coordinator.start(session);
  const newer = await open(coordinator.ingest(session, next));
  link.send({ streamEventType: "kilocode", data: { event: "autocommit_completed" } });
  link.socket.close(1000, "done");
  assert.equal((await link.closed()).code, 1000);
  await eventually(async () => (await coordinator.session(session)).lastEventId === 2);
  assert.equal((await coordinator.execution(session, executionId)).exitCode, 3);
  assert.equal((await coordinator.execution(session, next.executionId)).status, "running");
  newer.send({ streamEventType: "complete", data: { exitCode: 0 } });
  assert.equal((await newer.closed()).code, 4000);
});

test("an interrupt before the link goes out when it comes, and again on the next", async () => {
  const { session, query } = await started();
  assert.deepEqual(await coordinator.interrupt(session), { verdict: "latched" });
  const first = await open(coordinator.ingest(session, query));
  assert.deepEqual(await first.next(), { type: "kill", signal: "SIGTERM" });
  first.socket.terminate();
  await first.closed();
  const second = await open(coordinator.ingest(session, query));
  assert.deepEqual(await second.next(), { type: "kill", signal: "SIGTERM" });
  assert.deepEqual(await coordinator.interrupt(session, { escalate: true }), { verdict: "sent" });
  assert.deepEqual(await second.next(), { type: "kill", signal: "SIGKILL" });
  second.send({ streamEventType: "interrupted", data: {} });
  assert.equal((await second.closed()).code, 4000);
});

test("a wrapper that goes, even with 1000, fails its run after the grace", async () => {
  const { session, executionId, query } = await started();
  const watching = await open(coordinator.stream(session));
  const link = await open(coordinator.ingest(session, query));
  link.socket.close(1000, "bye");
  const events = await watching.through((one) => one.streamEventType === "wrapper_disconnected");
  assert.deepEqual(events.at(-1).data, {
    reason: "Wrapper disconnected",
    error: "Wrapper disconnected",
    fatal: true,
    wsCloseCode: 1000,
    wsCloseReason: "bye",
  });
  assert.equal(events.at(-1).executionId, executionId);
  assert.equal((await coordinator.execution(session, executionId)).error, "Wrapper disconnected");
  watching.socket.close();
});

test("silence is met with pings, and pongs keep a link", async () => {
  const { session, executionId, query } = await started();
  const link = await open(coordinator.ingest(session, query));
  // Pings for longer than the link's time-out: the client's own pongs are all that arrives.
  await link.until(() => (link.pings >= 15 ? true : undefined), "15 pings");
  link.send({ streamEventType: "pong", data: {} });
  link.send({ streamEventType: "complete", data: { exitCode: 0 } });
  assert.equal((await link.closed()).code, 4000);
  assert.equal((await coordinator.session(session)).lastEventId, 1, "a pong is not stored");
  assert.equal((await coordinator.execution(session, executionId)).status, "completed");
});

test("a link on which nothing arrives is closed", async () => {
  const { session, executionId, query } = await started();
  const link = await open(coordinator.ingest(session, query), { autoPong: false });
  await link.closed();
  await eventually(async () =>
    (await coordinator.execution(session, executionId)).status === "failed");
});

test("a stream can be resumed, filtered, and told of a gap", async () => {
  const { session, executionId, query } = await started();
  const link = await open(coordinator.ingest(session, query));
  for (let n = 1; n <= 5; n += 1) {
    link.send({ streamEventType: n % 2 ? "output" : "status", timestamp: n, data: { n } });
  }
  await eventually(async () => (await coordinator.session(session)).lastEventId === 5);
  const read = async (asked) => {
    const reading = await open(coordinator.stream(session, asked));
    const events = await reading.through((one) => one.streamEventType === "connected");
    reading.socket.close();
    return events.slice(0, -1).map((one) => one.data.n ?? one.streamEventType);
  };
  assert.deepEqual(await read({}), [1, 2, 3, 4, 5]);
  assert.deepEqual(await read({ fromId: 3 }), [4, 5]);
  assert.deepEqual(await read({ eventTypes: "status" }), [2, 4]);
  assert.deepEqual(await read({ eventTypes: "status,output", fromId: 2 }), [3, 4, 5]);
  assert.deepEqual(await read({ executionIds: "other" }), []);
  assert.deepEqual(await read({ executionIds: executionId, startTime: 2, endTime: 3 }), [2, 3]);
  assert.deepEqual(await read({ startTime: "not a time" }), [1, 2, 3, 4, 5]);
  assert.deepEqual(await read({ replay: "false" }), []);
  assert.deepEqual(await read({ fromId: 3, epoch: "another" }), ["gap", 1, 2, 3, 4, 5]);
  const old = coordinator.url.replace(/^http/, "ws");
  const reading = await open(`${old}/stream?${new URLSearchParams({ cloudAgentSessionId: session })}`);
  assert.equal((await reading.next()).data.n, 1);
  reading.socket.close();
  link.send({ streamEventType: "complete", data: { exitCode: 0 } });
  await link.closed();
});

test("a deleted session ends its links and its readers", async () => {
  const { session, query } = await started();
  const watching = await open(coordinator.stream(session));
  const link = await open(coordinator.ingest(session, query));
  await coordinator.remove(session);
  assert.equal((await link.closed()).code, 4000);
  const events = await watching.through((one) => one.streamEventType === "deleted");
  assert.equal(events.at(-1).eventId, 0);
  assert.equal((await watching.closed()).code, 4004);
  await assert.rejects(open(coordinator.stream(session)), (refusal) => refusal.status === 404);
});
