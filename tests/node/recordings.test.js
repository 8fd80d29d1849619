// Recorded wrappers against our server: what existing basic-mode clients do must keep working.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { after, before, test } from "node:test";

import { serve } from "./lib/coordinator.js";
import { play, read } from "./lib/recording.js";
import { open } from "./lib/socket.js";

const FOLDER = new URL("../fixtures/basic/", import.meta.url);
const recordings = (await readdir(FOLDER)).filter((name) => name.endsWith(".jsonl")).sort();

let coordinator;
before(async () => (coordinator = await serve()));
after(() => coordinator.stop());

test("there are recordings", () => assert.ok(recordings.length >= 5));

for (const name of recordings) {
  test(`plays ${name}`, async () => {
    const session = `node/${name}:1`;
    const started = await coordinator.start(session, "e");
    const watching = await open(coordinator.stream(session));
    const connected = await watching.next();
    assert.equal(connected.streamEventType, "connected");
    assert.equal(connected.data.activeExecutionId, "e");

    const steps = await read(new URL(name, FOLDER));
    const then = await play(steps, coordinator, session, started);

    const execution = await coordinator.execution(session, "e");
    assert.equal(execution.status, then.status);
    assert.equal(execution.error, then.error);
    assert.equal(execution.reconnects, then.reconnects ?? 0);
    const known = await coordinator.session(session);
    assert.equal(known.branch, then.branch ?? null);
    assert.equal(known.agentSessionId, then.agentSessionId ?? null);
    assert.equal(known.lastEventId, then.stored.length);

    // Live: each stored event once and in order; volatile ones with id 0, moving no cursor.
    const last = then.stored.length;
    const heartbeats = steps.filter((step) => step.sent?.includes('"heartbeat"')).length;
    let missing = last + heartbeats;
    const live = await watching.through(() => (missing -= 1) === 0);
    const stored = live.filter((event) => event.eventId > 0);
    assert.deepEqual(stored.map((event) => event.streamEventType), then.stored);
    assert.deepEqual(stored.map((event) => event.eventId), then.stored.map((_, i) => i + 1));
    const volatile = live.filter((event) => event.streamEventType === "heartbeat");
    assert.equal(volatile.length, heartbeats);
    assert.ok(volatile.every((event) => event.eventId === 0));

    // Replay: the same again, then `connected`.
    const reading = await open(coordinator.stream(session, { fromId: 0 }));
    const replay = await reading.through((event) => event.streamEventType === "connected");
    assert.deepEqual(replay.slice(0, -1), stored);
    assert.equal(replay.at(-1).data.lastEventId, last);

    // Data passes through as it was sent; timestamps are what was said, in ISO 8601.
    const sent = steps.filter((step) => step.sent).flatMap((step) => parsed(step.sent));
    for (const event of stored) {
      const original = sent.find((one) => one.streamEventType === event.streamEventType
        && JSON.stringify(one.data ?? {}) === JSON.stringify(event.data));
      assert.ok(original || event.streamEventType === "wrapper_reconnected", event.streamEventType);
      assert.match(event.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      if (original && !Number.isNaN(Date.parse(original.timestamp))) {
        assert.equal(event.timestamp, original.timestamp);
      }
    }
    watching.socket.close();
    reading.socket.close();
  });
}

function parsed(text) {
  try {
    const frame = JSON.parse(text);
    return frame.streamEventType ? [frame] : [];
  } catch {
    return [];
  }
}
