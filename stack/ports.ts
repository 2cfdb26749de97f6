import { createServer } from 'node:net';

import { StackFailure } from './failure.ts';

const HOST = '127.0.0.1';

/** A free port of the loopback interface, or `wanted` when that is not 0 and is free. */
export async function claimPort(wanted = 0): Promise<number> {
  const server = createServer();
  return await new Promise<number>((resolve, reject) => {
    server.once('error', () => {
      reject(new StackFailure(`port ${wanted} is taken: stop what uses it, or choose another with --port (0 takes any free one)`));
    });
    server.listen({ port: wanted, host: HOST, exclusive: true }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : wanted;
      server.close(() => resolve(port));
    });
  });
}

/** Different free ports. */
export async function claimPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await claimPort());
  return [...ports];
}
