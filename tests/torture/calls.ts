// Calls over HTTP that are timed, and whose errors are counted by their code.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';

import type { Stack } from '../../stack/stack.ts';

export interface Said {
  status: number;
  code: string | undefined;
  body: unknown;
}

/** What a busy stack may answer: it says so, and nothing has gone wrong. */
const BUSY = new Set(['UNAVAILABLE', 'PGRST003']);

export class Calls {
  readonly #stack: Stack;
  readonly #took = new Map<string, number[]>();
  readonly #errors = new Map<string, number>();
  readonly unexpected: string[] = [];

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get count(): number {
    return [...this.#took.values()].reduce((sum, all) => sum + all.length, 0);
  }

  /** One of the five functions. */
  async invoke(name: string, token: string, body: unknown): Promise<Said> {
    return await this.#send(name, `/functions/v1/${name}`, token, 'POST', body);
  }

  /** PostgREST, under a name for the figures. */
  async rest(name: string, path: string, token: string, method = 'GET', body?: unknown): Promise<Said> {
    return await this.#send(name, `/rest/v1/${path}`, token, method, body);
  }

  async #send(name: string, path: string, token: string, method: string, body: unknown): Promise<Said> {
    const began = performance.now();
    const { status, text } = await send(
      `${this.#stack.url}${path}`,
      method,
      { apikey: this.#stack.anonKey, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body === undefined ? '' : JSON.stringify(body),
    );
    const took = this.#took.get(name) ?? [];
    this.#took.set(name, took);
    took.push(performance.now() - began);
    const answer: unknown = text === '' ? undefined : JSON.parse(text);
    if (status < 400) return { status, code: undefined, body: answer };
    const code = String((answer as { code?: string } | undefined)?.code ?? status);
    const key = `${name}: ${code}`;
    this.#errors.set(key, (this.#errors.get(key) ?? 0) + 1);
    if (!BUSY.has(code)) this.unexpected.push(`${key}: ${status} ${text}`);
    return { status, code, body: answer };
  }

  get errors(): string {
    return [...this.#errors].map(([key, count]) => `${key} ${count}`).join(', ') || 'none';
  }

  /** Median and 95th percentile in milliseconds, by name. */
  get times(): [string, string][] {
    return [...this.#took].sort().map(([name, took]) => {
      const sorted = took.toSorted((a, b) => a - b);
      const at = (share: number): string =>
        (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(0);
      return [name, `${sorted.length} calls, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms`];
    });
  }
}

/**
 * A connection for each call: one that is kept may be closed just as it is used again, and nobody knows then what
 * became of the call.
 */
async function send(
  url: string,
  method: string,
  headers: Record<string, string>,
  body: string,
): Promise<{ status: number; text: string }> {
  const asked = request(url, {
    method,
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    agent: false,
  });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return { status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') };
}
