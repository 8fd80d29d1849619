// A small server that knows basic mode and nothing else: it has never heard of protocol 2, sends
// no pings of its own, and remembers what it was sent.

import { once } from "node:events";
import { createServer } from "node:http";

import { WebSocketServer } from "ws";

import { Received } from "./socket.js";

export class BasicServer {
  #http = createServer((_request, response) => response.writeHead(426).end());
  #sockets = new WebSocketServer({ noServer: true });
  #links = [];
  #waiting = [];
  /** How many of the next handshakes are refused, as a proxy would while nobody is behind it. */
  refusing = 0;
  refused = 0;

  static async listen() {
    const server = new BasicServer();
    server.#http.on("upgrade", (request, socket, head) => server.#upgrade(request, socket, head));
    server.#http.listen(0, "127.0.0.1");
    await once(server.#http, "listening");
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.#http.address().port}`;
  }

  /** The next link: `{request, url, frames…}`. */
  link() {
    if (this.#links.length > 0) return Promise.resolve(this.#links.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close() {
    for (const client of this.#sockets.clients) client.terminate();
    this.#http.close();
    await once(this.#http, "close");
  }

  #upgrade(request, socket, head) {
    if (this.refusing > 0) {
      this.refusing -= 1;
      this.refused += 1;
      socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n");
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const link = new Received(webSocket);
      link.request = request;
      link.url = new URL(request.url, this.url);
      const waiting = this.#waiting.shift();
      if (waiting) waiting(link);
      else this.#links.push(link);
    });
  }
}
