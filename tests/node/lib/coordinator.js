// `stayline serve` in a process of its own, and its REST interface.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const STAYLINE = process.env.STAYLINE ?? "stayline";

/**
 * Starts a coordinator on a file of its own. `settings`: names and values of `--set`; `key`: what
 * its REST interface asks for.
 */
export async function serve(settings = {}, { key } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "stayline-node-"));
  const sets = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  const asked = ["serve", "--store", `sqlite:${join(folder, "runs.db")}`, ...sets];
  if (key !== undefined) {
    await writeFile(join(folder, "key"), key);
    asked.push("--key-file", join(folder, "key"));
  }
  const coordinator = new Coordinator(folder, asked, key);
  await coordinator.begin("127.0.0.1:0");
  return coordinator;
}

class Coordinator {
  #folder;
  #asked;
  #headers;
  #child;
  #ended;

  constructor(folder, asked, key) {
    this.#folder = folder;
    this.#asked = asked;
    this.#headers = { "Content-Type": "application/json" };
    if (key !== undefined) this.#headers.Authorization = `Bearer ${key}`;
  }

  /** Serves at this address. */
  async begin(address) {
    this.#child = spawn(STAYLINE, [...this.#asked, "--listen", address], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#ended = once(this.#child, "exit");
    const lines = createInterface({ input: this.#child.stdout });
    const first = await Promise.race([once(lines, "line"), this.#ended.then(() => [""])]);
    this.url = /http:\/\/\S+/.exec(first[0])?.[0];
    if (this.url === undefined) throw new Error(`the coordinator did not start: ${first[0]}`);
    lines.on("line", () => {});
  }

  /** Ends it in order. The store stays, for `begin`. */
  async pause() {
    this.#child.kill("SIGTERM");
    const [code] = await this.#ended;
    if (code !== 0) throw new Error(`the coordinator ended with ${code}`);
  }

  async stop() {
    try {
      await this.pause();
    } finally {
      await rm(this.#folder, { recursive: true });
    }
  }

  /** Starts an execution: `{executionId, token}`. */
  start(session, executionId) {
    return this.post(`${encodeURIComponent(session)}/executions`, { executionId });
  }

  interrupt(session, body = {}) {
    return this.post(`${encodeURIComponent(session)}/interrupt`, body);
  }

  execution(session, executionId) {
    return this.#ask("GET", `${encodeURIComponent(session)}/executions/${executionId}`);
  }

  session(session) {
    return this.#ask("GET", encodeURIComponent(session));
  }

  remove(session) {
    return this.#ask("DELETE", encodeURIComponent(session));
  }

  list(path) {
    return this.#ask("GET", path);
  }

  post(path, body) {
    return this.#ask("POST", path, body);
  }

  /** The address of a wrapper's link, as basic clients write it. */
  ingest(session, query) {
    return this.#socket(session, "ingest", query);
  }

  /** The address of a reader's stream. */
  stream(session, query = {}) {
    return this.#socket(session, "stream", query);
  }

  #socket(session, name, query) {
    const base = this.url.replace(/^http/, "ws");
    return `${base}/sessions/${encodeURIComponent(session)}/${name}?${new URLSearchParams(query)}`;
  }

  async #ask(method, path, body) {
    const answer = await fetch(`${this.url}/sessions/${path}`, {
      method,
      headers: this.#headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.message), said);
    return said;
  }
}
