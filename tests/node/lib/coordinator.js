// `stayline serve` in a process of its own, and its REST interface.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const STAYLINE = process.env.STAYLINE ?? "stayline";

/** Starts a coordinator on a file of its own. `settings`: names and values of `--set`. */
export async function serve(settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), "stayline-node-"));
  const sets = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  const store = `sqlite:${join(folder, "runs.db")}`;
  const child = spawn(STAYLINE, ["serve", "--store", store, "--listen", "127.0.0.1:0", ...sets], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, "line"), ended.then(() => [""])]);
  const url = /http:\/\/\S+/.exec(first[0])?.[0];
  if (url === undefined) throw new Error(`the coordinator did not start: ${first[0]}`);
  lines.on("line", () => {});
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = await ended;
    await rm(folder, { recursive: true });
    if (code !== 0) throw new Error(`the coordinator ended with ${code}`);
  };
  return new Coordinator(url, stop);
}

class Coordinator {
  constructor(url, stop) {
    this.url = url;
    this.stop = stop;
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
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.message), said);
    return said;
  }
}
