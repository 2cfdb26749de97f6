// A gate between the Workers and PostgREST: every call that passes is counted, and one of them can be stopped.
import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send,
} from 'node:http';
import type { AddressInfo } from 'node:net';

import { eventually } from '../fixtures/time.ts';

/** A place within a piece of work: its nth call of a name, before or after it, or a step within it in the database. */
export interface Step {
  call: string;
  nth: number;
  at: 'before' | 'after' | number;
}

/** A call that was seen, and how many steps it has within the database. */
export interface Passed {
  call: string;
  nth: number;
  steps: number;
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Where one call is stopped. */
export class Stop {
  readonly step: Step;
  /** What happens at a step within the database: the backend ends itself there, or waits. */
  readonly header: string | undefined;
  readonly reached: Promise<void>;
  #reach!: () => void;
  readonly #released: Promise<boolean>;
  #release!: (lost: boolean) => void;
  #lose: () => void = () => undefined;

  constructor(step: Step, ends: boolean) {
    this.step = step;
    this.header = typeof step.at === 'number' ? `${step.at} ${ends ? 'ends' : 'waits'}` : undefined;
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** The backend has ended itself: no call fails otherwise. */
  note({ status }: Answer): void {
    if (status >= 500) this.#reach();
  }

  /** Waits there; whether the call, or its answer, is lost. */
  async hold(): Promise<boolean> {
    this.#reach();
    return await this.#released;
  }

  /** Lets the call go on, or loses it. */
  release(lost: boolean): void {
    this.#release(lost);
    if (lost) this.#lose();
  }

  /** How a call that is within the database loses its connections. */
  onLost(lose: () => void): void {
    this.#lose = lose;
  }
}

/** Headers of a connection and not of a message. */
const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host']);

export class Gate {
  readonly #server: Server;
  readonly #rest: { host: string; port: number };
  // Connections are not kept: PostgREST dies often here.
  readonly #agent = new Agent({ keepAlive: false });
  #seen = new Map<string, number>();
  #stop: Stop | undefined;
  #count: (() => Promise<number>) | undefined;
  #passed: Passed[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #passing = 0;
  #last = 0;

  private constructor(rest: string) {
    const [host = '', port] = rest.split(':');
    this.#rest = { host, port: Number(port) };
    this.#server = createServer({ keepAliveTimeout: 0 }, (request, response) => void this.#watch(request, response));
  }

  static async open(rest: string): Promise<Gate> {
    const gate = new Gate(rest);
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    return gate;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From here on calls are counted from one again, and this one is stopped. */
  stopAt(step: Step, ends = false): Stop {
    this.#seen = new Map();
    this.#stop = new Stop(step, ends);
    return this.#stop;
  }

  open(): void {
    this.#stop?.release(false);
    this.#stop = undefined;
  }

  /** Does something, one call at a time, and gives the calls with the number of their steps in the database. */
  async measure(count: () => Promise<number>, work: () => Promise<unknown>): Promise<Passed[]> {
    this.#seen = new Map();
    this.#passed = [];
    this.#count = count;
    try {
      await work();
      return this.#passed;
    } finally {
      this.#count = undefined;
    }
  }

  /** Waits until nothing has passed for a while: a call whose caller is gone may go on, and nobody is told of its end. */
  async quiet(forMs: number, withinMs: number): Promise<void> {
    const seen = (): Promise<boolean> => Promise.resolve(this.#passing === 0 && Date.now() - this.#last > forMs);
    await eventually(seen, (quiet) => quiet, withinMs);
  }

  async close(): Promise<void> {
    this.open();
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #watch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#passing += 1;
    await this.#pass(request, response).catch(() => response.destroy());
    this.#passing -= 1;
    this.#last = Date.now();
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const call = new URL(request.url ?? '/', 'http://rest').pathname.split('/').at(-1) ?? '';
    const nth = (this.#seen.get(call) ?? 0) + 1;
    this.#seen.set(call, nth);
    const stop = this.#stop?.step.call === call && this.#stop.step.nth === nth ? this.#stop : undefined;
    if (stop?.step.at === 'before' && (await stop.hold())) return void response.destroy();
    const answer =
      this.#count === undefined
        ? await this.#forward(request, response, body, stop)
        : await this.#counted(request, response, body, { call, nth });
    if (stop?.header?.endsWith('ends') === true) stop.note(answer);
    if (stop?.step.at === 'after' && (await stop.hold())) return void response.destroy();
    response.writeHead(answer.status, kept(answer.headers)).end(answer.body);
  }

  async #counted(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    seen: Omit<Passed, 'steps'>,
  ): Promise<Answer> {
    const mine = this.#turn.then(async () => {
      await this.#count?.();
      const answer = await this.#forward(request, response, body, undefined, 'count');
      this.#passed.push({ ...seen, steps: (await this.#count?.()) ?? 0 });
      return answer;
    });
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    stop?: Stop,
    header = stop?.header,
  ): Promise<Answer> {
    const headers = {
      ...kept(request.headers),
      ...(body.length > 0 ? { 'content-length': body.length } : {}),
      ...(header === undefined ? {} : { 'x-torture-step': header }),
    };
    const onward = send({ ...this.#rest, agent: this.#agent, method: request.method, path: request.url, headers });
    // Whoever has asked is gone: so is the connection to PostgREST.
    response.once('close', () => onward.destroy());
    if (header !== 'count') stop?.onLost(() => response.destroy());
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    return { status: answer.statusCode ?? 502, headers: answer.headers, body: await bytesOf(answer) };
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function kept(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.has(name)));
}
