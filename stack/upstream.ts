import { Agent, type IncomingMessage, type Server, type ServerResponse, createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { AuthApi } from './auth-api.ts';

/**
 * The address that stands for the Supabase project: `/auth/v1` is the development issuer,
 * `/rest/v1` is PostgREST. Anything else, other hosts included, is refused: Workers are sent here
 * for every outgoing request, so the stack is a closed world.
 */
export class Upstream {
  readonly url: string;
  readonly host: string;
  readonly #server: Server;
  readonly #agent: Agent;

  private constructor(server: Server, agent: Agent) {
    this.#server = server;
    this.#agent = agent;
    this.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.url = `http://${this.host}`;
  }

  static async start(auth: AuthApi, postgrestPort: () => number): Promise<Upstream> {
    // PostgREST closes a connection that is idle for 30 s; ours must be given up before that.
    const agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: 15_000 });
    const server = createServer((request, response) => {
      const path = request.url ?? '/';
      if (request.headers.host !== upstream.host) {
        refuse(response, 403, `the development stack reaches no other host (${request.headers.host})`);
      } else if (path.startsWith('/auth/v1/')) {
        auth.handle(request, response).catch(() => refuse(response, 500, 'the development issuer failed'));
      } else if (/^\/rest\/v1(\/|\?|$)/.test(path)) {
        pass(request, response, agent, postgrestPort());
      } else {
        refuse(response, 404, 'nothing here');
      }
    });
    // Long enough that an idle connection is closed by the client, never under its next request.
    server.keepAliveTimeout = 120_000;
    await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
    const upstream = new Upstream(server, agent);
    return upstream;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await closed;
  }
}

/** Passes a request to PostgREST and its answer back, both as they flow. */
function pass(request: IncomingMessage, response: ServerResponse, agent: Agent, port: number): void {
  const rest = (request.url ?? '').slice('/rest/v1'.length);
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  const onward = httpRequest(
    { agent, host: '127.0.0.1', port, path, method: request.method, headers: { ...request.headers, host: `127.0.0.1:${port}` } },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    },
  );
  onward.on('error', () => {
    if (response.headersSent) response.destroy();
    else refuse(response, 503, 'PostgREST does not answer');
  });
  response.on('close', () => {
    if (!response.writableFinished) onward.destroy();
  });
  request.pipe(onward);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json', 'access-control-allow-origin': '*' });
  response.end(JSON.stringify({ message }));
}
