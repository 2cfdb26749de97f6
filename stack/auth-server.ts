import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { AuthApi } from './auth-api.ts';

/** Serves the development issuer, on the loopback interface only. */
export class AuthServer {
  /** Host and port. */
  readonly host: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(auth: AuthApi): Promise<AuthServer> {
    const server = createServer((request, response) => {
      auth.handle(request, response).catch(() => {
        if (!response.headersSent)
          response.writeHead(500, { 'content-type': 'application/json', 'access-control-allow-origin': '*' });
        response.end(JSON.stringify({ message: 'the development issuer failed' }));
      });
    });
    // Long enough that an idle connection is closed by the client, never under its next request.
    server.keepAliveTimeout = 120_000;
    await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
    return new AuthServer(server);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
