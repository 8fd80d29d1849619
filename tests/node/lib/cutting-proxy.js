// A TCP proxy that cuts connections: when it is told to, or behind so many bytes.

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class CuttingProxy {
  #sockets = new Set();
  #server = createServer((client) => this.#pass(client));
  /** The next connection is cut when the server has sent so many bytes on it. */
  cutBehind = Infinity;
  accepted = 0;

  static async listen(target) {
    const proxy = new CuttingProxy();
    proxy.target = new URL(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Cuts what there is, without a word. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #pass(client) {
    this.accepted += 1;
    let left = this.cutBehind;
    this.cutBehind = Infinity;
    const server = connect(this.target.port, this.target.hostname);
    for (const [from, to] of [[client, server], [server, client]]) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("data", (data) => {
        const part = from === server ? data.subarray(0, left) : data;
        if (from === server) left -= part.length;
        if (part.length > 0) to.write(part);
        if (left <= 0) to.end();
      });
    }
  }
}
