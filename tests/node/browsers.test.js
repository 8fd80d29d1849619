// The programs of `docs/browsers.md`, run as they are there, by WebSocket and by server-sent events.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { serve } from "./lib/coordinator.js";
import { CuttingProxy } from "./lib/cutting-proxy.js";
import { Host, Page, saved, UNABLE } from "./lib/page.js";
import { eventually, open } from "./lib/socket.js";

let coordinator, proxy, host, programs;
before(async () => {
  coordinator = await serve({ disconnect_grace_ms: 60_000 }, { key: "secret" });
  proxy = await CuttingProxy.listen(coordinator.url);
  host = await Host.listen(coordinator, proxy.url);
  programs = await saved();
});
after(async () => {
  await host.close();
  await proxy.close();
  await coordinator.stop();
  await programs.remove();
});
beforeEach(() => Object.assign(host, { refusing: null, ttlMs: 60_000 }));

/** A session with a run, and a wrapper's link that sends to it. */
let sessions = 0;
async function started(session = `pages/${++sessions}`) {
  const query = await coordinator.start(session);
  const link = await open(coordinator.ingest(session, query));
  let sent = 0;
  const say = async (count, text = "") => {
    const { lastEventId } = await coordinator.session(session);
    for (let n = 0; n < count; n += 1) {
      link.send({ streamEventType: "output", data: { n: ++sent, text } });
    }
    await eventually(async () =>
      (await coordinator.session(session)).lastEventId >= lastEventId + count);
  };
  return { session, link, say, executionId: query.executionId };
}

const upTo = (last) => Array.from({ length: last }, (_, at) => at + 1);

/** The status with which a ticket is answered now. */
async function statusOf(session, ticket) {
  const where = `${coordinator.url}/sessions/${encodeURIComponent(session)}/events`;
  const stopping = new AbortController();
  const answer = await fetch(`${where}?ticket=${ticket}`, { signal: stopping.signal });
  stopping.abort();
  return answer.status;
}

async function withPage(name, session, body, options) {
  const page = new Page(programs.folder, host, session, name, options);
  try {
    await body(page);
  } finally {
    await page.stop();
  }
}

for (const name of ["bySocket", "byEvents"]) {
  const pageTest = (title, body) => test(`${name}: ${title}`, { skip: UNABLE }, body);

  pageTest("a stream outlives its ticket, and a cut page comes back with a new one", async () => {
    const { session, say } = await started();
    await say(3);
    host.ttlMs = 1_500;
    await withPage(name, session, async (page) => {
      await page.isLive();
      const first = host.tickets.at(-1);
      await eventually(async () => (await statusOf(session, first)) === 401);
      // What is open goes on.
      await say(2);
      assert.deepEqual(await page.sees(5), upTo(5));
      host.ttlMs = 60_000;
      proxy.cut();
      await say(4);
      assert.deepEqual(await page.sees(9), upTo(9));
      assert.notEqual(host.tickets.at(-1), first);
      assert.equal(page.clears, 0);
      await page.isLive(2);
      assert.deepEqual(page.states.slice(-3), ["live", "away", "live"]);
      // Once more, which the page asks for by itself since the network is back.
      page.order("online");
      await page.isLive(3);
      await say(1);
      assert.deepEqual(await page.sees(10), upTo(10));
      page.order("stop");
      assert.equal(await page.ended(), "stopped");
    });
  });

  pageTest("a ticket that has run out before it is used is one try", async () => {
    const { session, say } = await started();
    await say(2);
    // Of these the first at least is refused: a ticket is issued for a millisecond.
    host.ttlMs = 1;
    const before = host.tickets.length;
    await withPage(name, session, async (page) => {
      await eventually(() => host.tickets.length >= before + 2);
      assert.deepEqual(page.ids, []);
      host.ttlMs = 60_000;
      assert.deepEqual(await page.sees(2), upTo(2));
    });
  });

  pageTest("a deleted session ends the page", async () => {
    const { session, say } = await started();
    await say(1);
    await withPage(name, session, async (page) => {
      await page.isLive();
      await coordinator.remove(session);
      assert.equal(await page.ended(), "deleted");
    });
    // And one who comes later is told so by the host.
    await withPage(name, session, async (page) => assert.equal(await page.ended(), "refused"));
  });

  pageTest("a session that was made anew meanwhile begins anew", async () => {
    const { session, say } = await started();
    await say(5);
    await withPage(name, session, async (page) => {
      await page.sees(5);
      await page.isLive();
      host.refusing = 503;
      proxy.cut();
      await eventually(() => page.states.at(-1) === "away");
      await coordinator.remove(session);
      const again = await started(session);
      await again.say(7);
      host.refusing = null;
      assert.deepEqual(await page.sees(7), upTo(7));
      assert.equal(page.clears, 1);
      assert.ok(page.shown.every((event) => event.executionId === again.executionId));
    });
  });

  pageTest("a cut within the first replay shows nothing twice", async () => {
    const { session, say } = await started();
    await say(400, "x".repeat(1_000));
    proxy.cutBehind = 200_000;
    await withPage(name, session, async (page) => {
      await page.isLive();
      assert.deepEqual(await page.sees(400), upTo(400));
      assert.equal(page.clears, 1);
    });
  });

  pageTest("a server that restarts is come back to", async () => {
    const { session, say, link } = await started();
    await say(2);
    await withPage(name, session, async (page) => {
      await page.isLive();
      const address = new URL(coordinator.url).host;
      await coordinator.pause();
      await link.closed();
      await eventually(() => page.states.at(-1) === "away");
      await coordinator.begin(address);
      await page.isLive(2);
      const failed = `${encodeURIComponent(session)}/executions`;
      const { executions } = await coordinator.list(failed);
      await coordinator.post(`${failed}/${executions[0].executionId}/fail`, { message: "enough" });
      assert.deepEqual(await page.sees(3), upTo(3));
      assert.equal(page.clears, 0);
    });
  });

  pageTest("the host's no ends it, its being away does not", async () => {
    const { session, say } = await started();
    await say(1);
    host.refusing = 500;
    await withPage(name, session, async (page) => {
      await eventually(() => page.states.length >= 2);
      host.refusing = null;
      await page.isLive();
      host.refusing = 403;
      proxy.cut();
      assert.equal(await page.ended(), "refused");
      assert.deepEqual(page.ids, [1]);
    });
  });

  pageTest("filters stay, and the place in the log moves on all the same", async () => {
    const { session, say, link } = await started();
    await say(3);
    const filters = { eventTypes: "complete" };
    await withPage(name, session, async (page) => {
      await page.isLive();
      proxy.cut();
      await page.isLive(2);
      link.send({ streamEventType: "complete", data: { exitCode: 0 } });
      assert.deepEqual(await page.sees(1), [4]);
    }, { filters });
  });
}

test("gaps: another log, an older copy, and what retention took", { skip: UNABLE }, async () => {
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
  const { follow } = await import(`${programs.folder}/follow.js`);
  const told = [];
  const record = (streamEventType, data) => ({
    eventId: 0, executionId: null, streamEventType, data,
  });
  const event = (eventId) => ({ eventId, executionId: "e", streamEventType: "output", data: {} });
  const gap = (epoch, requested, earliest) => record("gap", { epoch, requested, earliest });
  const connected = (epoch, lastEventId) => record("connected", { epoch, lastEventId });
  const connections = [
    [event(8), event(9), connected("a", 9)],
    [gap("a", 9, 15), event(15), connected("a", 15)],
    [gap("a", 15, 3), event(3), connected("a", 3)],
    [gap("b", 3, 1), event(1), connected("b", 1), record("deleted", {})],
  ];
  const connect = (_url, query, take) => {
    told.push(["asked", query.get("fromId"), query.get("epoch")]);
    connections.shift().forEach(take);
    return { over: Promise.resolve(), close: () => {} };
  };
  const end = await follow({
    ticket: async () => ({ url: "", ticket: "t" }),
    onEvent: ({ eventId }) => told.push(eventId),
    onReset: () => told.push("reset"),
    onMissing: (first, last) => told.push(["missing", first, last]),
    connect,
  });
  assert.equal(end, "deleted");
  assert.deepEqual(told, [
    ["asked", null, null], 8, 9,
    ["asked", "9", "a"], ["missing", 10, 14], 15,
    ["asked", "15", "a"], "reset", 3,
    ["asked", "3", "a"], "reset", 1,
  ]);
});

test("the statuses are those of the page's table", async () => {
  const { session } = await started();
  const base = `${coordinator.url}/sessions/${encodeURIComponent(session)}`;
  const { ticket } = await coordinator.post(`${encodeURIComponent(session)}/ticket`, {});
  const other = (await started()).session;
  const where = encodeURIComponent(other);
  const { ticket: foreign } = await coordinator.post(`${where}/ticket`, {});
  const keyed = { Authorization: "Bearer secret" };
  const cases = [
    [`${base}/events?ticket=${ticket}&executionIds=%ff`, {}, 400, "InvalidArgument"],
    [`${base}/events`, {}, 401, "Unauthorized"],
    [`${base}/events?ticket=${foreign}`, {}, 401, "Unauthorized"],
    [`${base}/events?ticket=wrong`, {}, 401, "Unauthorized"],
    [`${base}/events?ticket=${ticket}`, { Origin: "https://evil.example" }, 403, "InvalidArgument"],
    [`${coordinator.url}/sessions/nobody/events`, keyed, 404, "NotFound"],
    [`${coordinator.url}/sessions/nobody/events?ticket=${ticket}`, {}, 401, "Unauthorized"],
    [`${base}/stream?ticket=${ticket}`, {}, 426, "InvalidArgument"],
    // It opens streams and nothing else.
    [`${base}?ticket=${ticket}`, {}, 401, "Unauthorized"],
  ];
  for (const [url, headers, status, error] of cases) {
    const answer = await fetch(url, { headers });
    assert.equal(answer.status, status, url);
    assert.equal((await answer.json()).error, error, url);
  }
  const before = await coordinator.post(`${where}/ticket`, {});
  await coordinator.remove(other);
  await coordinator.start(other);
  assert.equal(await statusOf(other, before.ticket), 401);
});

test("the page has its two programs", () => {
  assert.deepEqual(programs.names, ["follow.js", "page.js"]);
});
