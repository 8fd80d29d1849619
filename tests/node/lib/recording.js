// Plays a recording of a basic-mode wrapper: what it sent goes out again, what it received has to
// come again. `at` is when it happened, in ms; recordings are played without their pauses.
//
//   open         connected                       received     a frame came, with at least this
//   sent         a text frame went out           closed       the server closed, with this
//   sentBinary   a binary one (base64)           dropped      the connection was lost
//   sentNested   one that is nested so deeply    host         what the host did meanwhile
//   sentLarge    one of so many bytes            then         what is to be seen afterwards

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { eventually, open } from "./socket.js";

/** Reads a recording: its steps. */
export async function read(path) {
  const text = await readFile(path, "utf8");
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Plays it against a coordinator; what `then` says about the end. */
export async function play(steps, coordinator, session, started) {
  const query = { executionId: started.executionId, token: started.token };
  let link = null;
  for (const { at, ...step } of steps) {
    const [[name, value]] = Object.entries(step);
    switch (name) {
      case "open":
        link = await open(coordinator.ingest(session, query));
        assert.equal(link.headers["stayline-protocol"], undefined, "basic mode is not announced");
        break;
      case "sent":
        link.send(value);
        break;
      case "sentBinary":
        link.socket.send(Buffer.from(value, "base64"));
        break;
      case "sentNested":
        link.send(`{"streamEventType":"deep","data":${"[".repeat(value)}${"]".repeat(value)}}`);
        break;
      case "sentLarge":
        link.send({ streamEventType: "large", data: { text: "x".repeat(value) } });
        break;
      case "received":
        contains(await link.next(), value, at);
        break;
      case "closed":
        assert.deepEqual(await link.closed(), value, `at ${at}`);
        break;
      case "dropped":
        link.socket.terminate();
        await link.closed();
        // Played without its pause, the next connection could arrive before the loss of this one.
        await eventually(async () => !(await coordinator.session(session)).linkAttached);
        break;
      case "host":
        await act(value, coordinator, session);
        break;
      case "then":
        return value;
      default:
        assert.fail(`a recording has no step ${name}`);
    }
  }
  assert.fail("a recording ends with what is to be seen afterwards");
}

async function act(what, coordinator, session) {
  if (what.interrupt) {
    assert.deepEqual(await coordinator.interrupt(session, what.interrupt), { verdict: "sent" });
  } else {
    await eventually(async () => (await coordinator.session(session)).lastEventId >= what.stored);
  }
}

function contains(frame, expected, at) {
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(frame[name], value, `${name} at ${at}`);
  }
}
