// Our wrapper against a server that knows only basic mode: it falls back, comes back, drains.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

import { BasicServer } from "./lib/basic-server.js";

const PYTHON = process.env.STAYLINE_PYTHON ?? "python3";
const STAYLINE = process.env.STAYLINE ?? "stayline";
const SCRIPT = fileURLToPath(new URL("lib/wrapper.py", import.meta.url));
const QUICK = { reconnect_base_ms: 20, reconnect_cap_ms: 100, jitter: 0 };

let server;
let wrapper;
beforeEach(async () => {
  server = await BasicServer.listen();
  wrapper = null;
});
afterEach(async () => {
  wrapper?.process.kill("SIGKILL");
  await server.close();
});

/** Starts our wrapper; `told` gives what it says, line by line. */
function startWrapper(settings = {}) {
  const python = spawn(PYTHON, [SCRIPT, server.url, JSON.stringify({ ...QUICK, ...settings })], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  return {
    process: python,
    exited: once(python, "exit"),
    order: (order) => python.stdin.write(`${JSON.stringify(order)}\n`),
    told: async () => (await lines.next()).value,
    async toldIn(end) {
      const all = [];
      do all.push(await this.told());
      while (all.at(-1) !== undefined && !all.at(-1).startsWith(end));
      return all;
    },
  };
}

const types = (frames) => frames.map((frame) => frame.streamEventType);

test("it asks for acknowledged mode and goes on in basic mode", async () => {
  wrapper = startWrapper();
  const link = await server.link();
  assert.equal(link.request.headers["stayline-protocol"], "2");
  assert.equal(link.request.headers.authorization, "Bearer secret");
  assert.equal(link.url.pathname, "/sessions/node%2Fsession%3A1/ingest");
  assert.equal(link.url.searchParams.get("executionId"), "exc_1");
  assert.equal(await wrapper.told(), "connected");
  wrapper.order({ send: "one" });
  wrapper.order({ complete: 0 });
  const [output, complete] = [await link.next(), await link.next()];
  assert.deepEqual(output.data, { text: "one" });
  assert.equal(output.seq, undefined, "basic mode has no numbers");
  assert.match(output.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(complete.streamEventType, "complete");
  assert.deepEqual(complete.data, { exitCode: 0, currentBranch: "main" });
  // Nobody closes with 4000 here: after the drain delay it goes by itself.
  assert.equal((await link.closed()).code, 1000);
  await wrapper.toldIn("ended");
  assert.deepEqual(await wrapper.exited, [0, null]);
});

test("after a cut it comes back, says so, and brings what waited, in order", async () => {
  wrapper = startWrapper({ reconnect_attempts: null });
  const first = await server.link();
  await wrapper.told();
  wrapper.order({ send: "before" });
  assert.deepEqual((await first.next()).data, { text: "before" });
  server.refusing = Infinity;
  first.socket.terminate();
  await wrapper.toldIn("reconnecting");
  for (const text of ["one", "two", "three"]) wrapper.order({ send: text });
  await wrapper.toldIn("sent three");
  server.refusing = 0;
  const second = await server.link();
  // The protocol is settled: a producer that began in basic mode does not ask again.
  assert.equal(second.request.headers["stayline-protocol"], undefined);
  await wrapper.toldIn("reconnected");
  wrapper.order({ complete: 0 });
  const [resumed, ...rest] = await second.through((one) => one.streamEventType === "complete");
  assert.equal(resumed.streamEventType, "wrapper_resumed");
  assert.equal(resumed.data.bufferedEvents, 3);
  assert.equal(resumed.data.eventsLost, false);
  assert.deepEqual(types(rest), ["output", "output", "output", "complete"]);
  assert.deepEqual(rest.slice(0, 3).map((frame) => frame.data.text), ["one", "two", "three"]);
  await second.closed();
});

test("what did not fit is counted and told first", async () => {
  wrapper = startWrapper({ buffer_events: 5, reconnect_attempts: null });
  const first = await server.link();
  await wrapper.told();
  server.refusing = Infinity;
  first.socket.terminate();
  await wrapper.toldIn("reconnecting");
  for (let n = 1; n <= 8; n += 1) wrapper.order({ send: `${n}` });
  await wrapper.toldIn("sent 8");
  server.refusing = 0;
  const second = await server.link();
  const resumed = await second.next();
  assert.equal(resumed.streamEventType, "wrapper_resumed");
  assert.deepEqual(resumed.data, { bufferedEvents: 5, eventsLost: true, lostEvents: 3 });
  for (let n = 1; n <= 5; n += 1) assert.equal((await second.next()).data.text, `${n}`);
});

test("nothing waited, nothing was lost: no marker", async () => {
  wrapper = startWrapper();
  const first = await server.link();
  await wrapper.told();
  first.socket.close(1012, "restart");
  const second = await server.link();
  await wrapper.toldIn("reconnected");
  wrapper.order({ send: "first" });
  assert.deepEqual((await second.next()).data, { text: "first" });
});

test("it gives up after three attempts, and says so", async () => {
  wrapper = startWrapper();
  const link = await server.link();
  await wrapper.told();
  server.refusing = Infinity;
  link.socket.terminate();
  const told = await wrapper.toldIn("disconnected");
  assert.deepEqual(told, [
    ...["reconnecting", "reconnecting", "reconnecting"],
    "disconnected ingest websocket closed (reconnection failed)",
  ]);
  assert.equal(server.refused, 3);
});

test("a kill is told once, answered with interrupted, and drained", async () => {
  wrapper = startWrapper();
  const link = await server.link();
  await wrapper.told();
  link.send({ type: "kill", signal: "SIGTERM" });
  link.send({ type: "kill", signal: "SIGTERM" });
  assert.equal(await wrapper.told(), "kill SIGTERM");
  wrapper.order({ send: "last words" });
  wrapper.order({ aborted: true });
  const frames = await link.through((frame) => frame.streamEventType === "interrupted");
  assert.deepEqual(types(frames), ["output", "interrupted"]);
  await link.closed();
  assert.deepEqual(await wrapper.exited, [0, null]);
});

test("ping is answered with pong, an unknown command is told and ignored", async () => {
  wrapper = startWrapper();
  const link = await server.link();
  await wrapper.told();
  link.send({ type: "ping" });
  assert.equal((await link.next()).streamEventType, "pong");
  link.send({ type: "reticulate", splines: 3 });
  assert.equal(await wrapper.told(), "command reticulate");
  wrapper.order({ send: "still here" });
  assert.deepEqual((await link.next()).data, { text: "still here" });
});

test("heartbeats fill the silence", async () => {
  wrapper = startWrapper({ heartbeat_interval_ms: 50 });
  const link = await server.link();
  for (let n = 0; n < 3; n += 1) {
    const frame = await link.next();
    assert.equal(frame.streamEventType, "heartbeat");
    assert.deepEqual(frame.data, { executionId: "exc_1" });
  }
});

test("4000 ends it without a reconnect", async () => {
  wrapper = startWrapper();
  const link = await server.link();
  await wrapper.told();
  link.socket.close(4000, "execution done");
  assert.equal(await wrapper.told(), "kill SIGTERM", "an agent is at work and has to stop");
});

test("stayline run works in basic mode too", async () => {
  const arguments_ = ["run", "--to", server.url, "--session", "s", "--execution", "e"];
  const program = ["--", "sh", "-c", "echo one; echo two; exit 3"];
  const child = spawn(STAYLINE, [...arguments_, ...program], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, STAYLINE_TOKEN: "t" },
  });
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  const closed = once(child, "close");
  const link = await server.link();
  const frames = await link.through((frame) => frame.streamEventType === "error");
  assert.deepEqual(types(frames), ["output", "output", "error"]);
  assert.deepEqual(frames.at(-1).data, { error: "exit code 3", fatal: true, exitCode: 3 });
  assert.deepEqual(await closed, [3, null]);
  assert.equal(output, "one\ntwo\n");
  assert.equal(said, "stayline: failed (exit code 3), 2 events, 0 reconnects, session s\n");
});
