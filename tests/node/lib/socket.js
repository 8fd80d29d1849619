// A WebSocket whose messages can be waited for, one by one.

import WebSocket from "ws";

/** Upper bound of every wait; nothing here takes nearly as long. */
export const PATIENCE_MS = 20_000;

/** Opens a socket; rejects with `{status, headers, body}` when the upgrade is refused. */
export function open(url, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    const received = new Received(socket);
    socket.on("open", () => resolve(received));
    socket.on("error", (error) => reject(error));
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () =>
        reject({ status: response.statusCode, headers: response.headers, body }),
      );
    });
    socket.on("upgrade", (response) => (received.headers = response.headers));
  });
}

export class Received {
  #messages = [];
  #waiting = [];
  #closed = null;
  pings = 0;

  constructor(socket) {
    this.socket = socket;
    socket.on("message", (data, isBinary) => {
      this.#messages.push(isBinary ? data : JSON.parse(data.toString()));
      this.#wake();
    });
    socket.on("close", (code, reason) => {
      this.#closed = { code, reason: reason.toString() };
      this.#wake();
    });
    socket.on("ping", () => {
      this.pings += 1;
      this.#wake();
    });
  }

  send(frame) {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** The next message; fails when the socket closes before it. */
  next() {
    return this.until(() => {
      if (this.#messages.length > 0) return this.#messages.shift();
      if (this.#closed) throw new Error(`closed: ${this.#closed.code} ${this.#closed.reason}`);
    }, "a message");
  }

  /** All messages up to the first that `last` accepts, this one included. */
  async through(last) {
    const messages = [];
    do messages.push(await this.next());
    while (!last(messages.at(-1)));
    return messages;
  }

  /** How it closed: `{code, reason}`. Messages not looked at are dropped. */
  closed() {
    return this.until(() => this.#closed ?? undefined, "the close");
  }

  /** Waits until `look` gives something. */
  until(look, what) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come`)), PATIENCE_MS);
      const attempt = () => {
        try {
          const seen = look();
          if (seen === undefined) return false;
          resolve(seen);
        } catch (error) {
          reject(error);
        }
        clearTimeout(timer);
        return true;
      };
      if (!attempt()) this.#waiting.push(attempt);
    });
  }

  #wake() {
    this.#waiting = this.#waiting.filter((attempt) => !attempt());
  }
}

/** Looks again and again until `look` gives something. */
export async function eventually(look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error("it never came");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
