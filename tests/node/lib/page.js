// A page of `docs/browsers.md` in a process of its own, and its host, which gives it tickets.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { eventually } from "./socket.js";

const DOCUMENT = new URL("../../../docs/browsers.md", import.meta.url);
const RUNNER = new URL("page-runner.js", import.meta.url).pathname;
const FLAGS = ["--experimental-eventsource", "--no-warnings"];

/** Why pages cannot be run by this Node; `false` where they can. */
export const UNABLE = process.allowedNodeEnvironmentFlags.has("--experimental-eventsource")
  ? false
  : "this Node has no EventSource: 20.18 or newer has";

/** The page's programs, saved under the names that it gives them: the folder. */
export async function saved() {
  const folder = await mkdtemp(join(tmpdir(), "stayline-page-"));
  const text = await readFile(DOCUMENT, "utf8");
  const programs = text.matchAll(/^<!-- (\S+) -->\n```js\n(.*?)^```$/gms);
  const names = [];
  for (const [, name, source] of programs) {
    await writeFile(join(folder, name), source);
    names.push(name);
  }
  await writeFile(join(folder, "package.json"), '{"type": "module"}');
  return { folder, names, remove: () => rm(folder, { recursive: true }) };
}

/** What gives a page its tickets. */
export class Host {
  #server = createServer((request, response) => this.#answer(request, response));
  /** The status of what it is asked instead of a ticket. */
  refusing = null;
  ttlMs = 60_000;
  tickets = [];

  static async listen(coordinator, publicUrl) {
    const host = new Host();
    Object.assign(host, { coordinator, publicUrl });
    host.#server.listen(0, "127.0.0.1");
    await once(host.#server, "listening");
    return host;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  async close() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #answer(request, response) {
    const session = decodeURIComponent(request.url.split("/")[3]);
    if (this.refusing !== null) {
      response.writeHead(this.refusing).end();
      return;
    }
    try {
      const where = encodeURIComponent(session);
      const { ticket } = await this.coordinator.post(`${where}/ticket`, { ttlMs: this.ttlMs });
      this.tickets.push(ticket);
      const url = `${this.publicUrl}/sessions/${where}`;
      response.end(JSON.stringify({ url, ticket }));
    } catch (error) {
      response.writeHead(error.error === "NotFound" ? 404 : 503).end();
    }
  }
}

/** A page that is open: what it shows, as a user would see it. */
export class Page {
  shown = [];
  states = [];
  clears = 0;
  end = null;

  constructor(folder, host, session, name, options = {}) {
    const asked = [folder, host.url, session, name, JSON.stringify(options)];
    this.child = spawn(process.execPath, [...FLAGS, RUNNER, ...asked], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.exited = once(this.child, "exit");
    createInterface({ input: this.child.stdout }).on("line", (line) => this.#hear(line));
  }

  /** The ids of stored events, as they are shown. */
  get ids() {
    return this.shown.map((event) => event.eventId).filter((id) => id > 0);
  }

  order(text) {
    this.child.stdin.write(`${text}\n`);
  }

  async sees(count) {
    await eventually(() => this.ids.length >= count);
    return this.ids;
  }

  /** Waits until it is connected for that many-th time. */
  isLive(times = 1) {
    return eventually(() => this.states.filter((state) => state === "live").length >= times);
  }

  async ended() {
    await eventually(() => this.end !== null);
    await this.exited;
    return this.end;
  }

  async stop() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  #hear(line) {
    const told = JSON.parse(line);
    if (told.add) this.shown.push(told.add);
    if (told.state) this.states.push(told.state);
    if (told.end) this.end = told.end;
    if (told.clear) {
      this.clears += 1;
      this.shown = [];
    }
  }
}
