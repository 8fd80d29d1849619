// The programs of `docs/browsers.md` as a page has them: `fetch` with relative addresses, `online`,
// and a WebSocket and an EventSource as browsers have them. (Node's own WebSocket does not tell of
// the close of one that was refused, as browsers do; its EventSource is behind a flag.) What the
// page shows goes to stdout, a line each; orders come on stdin.

import { createInterface } from "node:readline";

import WebSocket from "ws";

const [folder, host, session, name, options] = process.argv.slice(2);
const { byEvents, bySocket } = await import(`${folder}/follow.js`);
const { show } = await import(`${folder}/page.js`);

const window = new EventTarget();
for (const method of ["addEventListener", "removeEventListener"]) {
  globalThis[method] = window[method].bind(window);
}
const fetchAnywhere = globalThis.fetch;
globalThis.WebSocket = class extends WebSocket {
  constructor(url) {
    super(url);
    // Nobody has to listen for errors in a browser.
    this.on("error", () => {});
  }
};
globalThis.fetch = (path, asked) => fetchAnywhere(new URL(path, host), asked);

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const page = {
  add: (event) => tell({ add: event }),
  clear: () => tell({ clear: true }),
  state: (state) => tell({ state }),
};
const stopping = new AbortController();
createInterface({ input: process.stdin }).on("line", (order) => {
  if (order === "stop") stopping.abort();
  else if (order === "online") window.dispatchEvent(new Event("online"));
});
const end = await show(session, page, {
  connect: { byEvents, bySocket }[name],
  signal: stopping.signal,
  ...JSON.parse(options),
});
tell({ end });
process.exit(0);
