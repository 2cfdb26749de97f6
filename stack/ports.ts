import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

import { StackFailure } from './failure.ts';

const HOST = '127.0.0.1';

/**
 * Below the ports that systems give to connections and to servers that ask for any: none of them can
 * take one between its choice and its use.
 */
const RANGE = [10_000, 32_000] as const;

const TRIES = 100;

/** How often a start that has lost one of its ports to somebody else is made anew. */
const STARTS = 3;

/** A free port of the loopback interface, or `wanted` when that is not 0 and is free. */
export async function claimPort(wanted = 0): Promise<number> {
  if (wanted !== 0) {
    if (await isFree(wanted)) return wanted;
    throw new StackFailure(
      `port ${wanted} is taken: stop what uses it, or choose another with --port (0 takes any free one)`,
    );
  }
  for (let left = TRIES; left > 0; left -= 1) {
    const port = randomInt(...RANGE);
    if (await isFree(port)) return port;
  }
  throw new StackFailure(`no free port was found from ${RANGE[0]} to ${RANGE[1]}`);
}

/** Different free ports. */
export async function claimPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await claimPort());
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Does work that claims free ports, and does it anew when one was taken between its choice and its use. */
export async function onFreePorts<T>(work: () => Promise<T>): Promise<T> {
  for (let left = STARTS - 1; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      const isTaken = error instanceof StackFailure && /address already in use/i.test(error.message);
      if (!isTaken || left === 0) throw error;
    }
  }
}
