// What clients of the basic mode rely on beyond the protocol: docs/compat.md says it, these prove it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { serve } from "./lib/coordinator.js";
import { eventually, open } from "./lib/socket.js";

const LINGER_MS = 3000;
const MEGABYTE = 1 << 20;

let coordinator;
let ordinary;
before(async () => {
  // The settings that docs/compat.md names, and the server as it is without them.
  coordinator = await serve({
    volatile_types: "[]",
    max_frame_bytes: 4 * MEGABYTE,
    basic_linger_ms: LINGER_MS,
  });
  ordinary = await serve({ basic_linger_ms: 600_000 });
});
after(async () => {
  await coordinator.stop();
  await ordinary.stop();
});

let sessions = 0;
async function linked(server = coordinator, session = `compat/${++sessions}`) {
  const { executionId, token } = await server.start(session);
  const link = await open(server.ingest(session, { executionId, token }));
  return { session, executionId, link };
}

const stored = async (server, session) => (await server.session(session)).lastEventId;
const status = async ({ session, executionId }) =>
  (await coordinator.execution(session, executionId)).status;

async function replay(server, session, query = {}) {
  const reading = await open(server.stream(session, query));
  const events = await reading.through((one) => one.streamEventType === "connected");
  reading.socket.close();
  return events.slice(0, -1);
}

test("what a wrapper says right after its ending is stored as late", async () => {
  const run = await linked();
  run.link.send({ streamEventType: "interrupted", data: { reason: "User interrupted" } });
  await new Promise((resolve) => setTimeout(resolve, 1));
  run.link.send({ streamEventType: "kilocode", data: { event: "cost", total: 1.5 } });
  run.link.send({ streamEventType: "kilocode", data: { event: "autocommit_completed" } });
  await eventually(async () => (await stored(coordinator, run.session)) === 3);
  const events = await replay(coordinator, run.session);
  assert.deepEqual(
    events.map((one) => [one.streamEventType, one.data.event, one.late]),
    [
      ["interrupted", undefined, undefined],
      ["kilocode", "cost", true],
      ["kilocode", "autocommit_completed", true],
    ],
  );
  // The ending stands, and the link is the wrapper's to close.
  assert.equal(await status(run), "interrupted");
  run.link.socket.close(1000, "done");
  assert.equal((await run.link.closed()).code, 1000);
  assert.equal(await status(run), "interrupted");
});

test("a wrapper that stays is closed with 4000, and not before the linger is over", async () => {
  const run = await linked();
  const before = Date.now();
  run.link.send({ streamEventType: "complete", data: { exitCode: 0 } });
  assert.equal((await run.link.closed()).code, 4000);
  assert.ok(Date.now() - before >= LINGER_MS - 50, `${Date.now() - before} ms`);
});

test("an ending from outside closes at once", async () => {
  const run = await linked(ordinary);
  const path = `${encodeURIComponent(run.session)}/executions/${run.executionId}/fail`;
  await ordinary.post(path, { message: "no room" });
  // Long before the ten minutes that it would linger.
  assert.equal((await run.link.closed()).code, 4000);
});

test("the next run of the same process loses nothing of the one before", async () => {
  const first = await linked();
  first.link.send({ streamEventType: "output", data: { text: "one" } });
  first.link.send({ streamEventType: "complete", data: { exitCode: 0 } });
  await eventually(async () => (await status(first)) === "completed");
  // Well within the 250 ms that such a wrapper drains.
  const second = await linked(coordinator, first.session);
  second.link.send({ streamEventType: "output", data: { text: "two" } });
  first.link.send({ streamEventType: "kilocode", data: { event: "cost" } });
  first.link.send({ streamEventType: "output", data: { text: "last words of one" } });
  second.link.send({ streamEventType: "output", data: { text: "two goes on" } });
  first.link.socket.close(1000, "drained");
  await first.link.closed();
  second.link.send({ streamEventType: "complete", data: { exitCode: 0 } });
  await eventually(async () => (await stored(coordinator, first.session)) === 7);
  const events = await replay(coordinator, first.session);
  const of = (run) => events.filter((one) => one.executionId === run.executionId);
  assert.deepEqual(of(first).map((one) => one.data.text ?? one.data.event ?? one.streamEventType), [
    ...["one", "complete", "cost", "last words of one"],
  ]);
  assert.deepEqual(of(first).map((one) => one.late ?? false), [false, false, true, true]);
  assert.deepEqual(of(second).map((one) => one.data.text ?? one.streamEventType), [
    ...["two", "two goes on", "complete"],
  ]);
  assert.ok(of(second).every((one) => one.late === undefined));
  assert.equal(await status(second), "completed");
  second.link.socket.close();
});

test("with volatile_types=[] every event moves a cursor, and none comes twice", async () => {
  const run = await linked();
  const seen = [];
  let cursor = 0;
  for (let round = 0; round < 3; round += 1) {
    // A client as simple as they come: the id of whatever came last is where it goes on.
    const reading = await open(coordinator.stream(run.session, { fromId: cursor }));
    await reading.through((one) => one.streamEventType === "connected");
    run.link.send({ streamEventType: "output", data: { text: `${round}` } });
    run.link.send({ streamEventType: "heartbeat", data: { executionId: run.executionId } });
    run.link.send({ streamEventType: "pong", data: {} });
    const events = await reading.through((one) => one.streamEventType === "pong");
    for (const event of events) {
      assert.ok(event.eventId > cursor);
      cursor = event.eventId;
      seen.push(event.streamEventType);
    }
    reading.socket.terminate();
  }
  assert.deepEqual(seen, Array(3).fill(["output", "heartbeat", "pong"]).flat());
  assert.equal(await stored(coordinator, run.session), 9);
  run.link.socket.close();
});

test("without it a heartbeat has the id 0, which is no cursor", async () => {
  const run = await linked(ordinary);
  const reading = await open(ordinary.stream(run.session));
  await reading.through((one) => one.streamEventType === "connected");
  run.link.send({ streamEventType: "output", data: {} });
  run.link.send({ streamEventType: "heartbeat", data: { executionId: run.executionId } });
  const ids = [(await reading.next()).eventId, (await reading.next()).eventId];
  assert.deepEqual(ids, [1, 0]);
  reading.socket.close();
  run.link.socket.close();
});

test("events of two megabytes fit with max_frame_bytes, and are answered without", async () => {
  const text = "é".repeat(MEGABYTE);
  const run = await linked();
  const reading = await open(coordinator.stream(run.session));
  await reading.through((one) => one.streamEventType === "connected");
  run.link.send({ streamEventType: "kilocode", data: { event: "diff", text } });
  assert.equal((await reading.next()).data.text, text);
  reading.socket.close();
  run.link.socket.close();

  const small = await linked(ordinary);
  small.link.send({ streamEventType: "kilocode", data: { event: "diff", text } });
  const answer = await small.link.next();
  assert.equal(answer.type, "error");
  // One frame was refused; the link and the run go on.
  small.link.send({ streamEventType: "output", data: { text: "still here" } });
  await eventually(async () => (await stored(ordinary, small.session)) === 1);
  small.link.socket.close();
});

test("what no string of ours can hold passes through as it was sent", async () => {
  const run = await linked();
  const data = '{"half":"\\ud83d","long":' + "7".repeat(5000) + ',"far":1e999,"nul":"\\u0000"}';
  run.link.send(`{"streamEventType":"output","data":${data}}`);
  run.link.send(`{"streamEventType":"complete","data":{"exitCode":0,"note":"\\udc00"}}`);
  await eventually(async () => (await status(run)) === "completed");
  const url = coordinator.stream(run.session).replace("/stream", "/events").replace(/^ws/, "http");
  const answer = await fetch(url, { headers: { Accept: "text/event-stream" } });
  const decoder = new TextDecoder();
  let page = "";
  for await (const chunk of answer.body) {
    page += decoder.decode(chunk, { stream: true });
    if (page.includes('"connected"')) break;
  }
  assert.ok(page.includes(`"data":${data}}`));
});
