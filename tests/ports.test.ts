import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { claimPort, claimPorts } from '../stack/ports.ts';

test('a port of a stack is none that a system gives to whoever asks for any', async () => {
  for (const port of await claimPorts(20)) assert.ok(port >= 10_000 && port < 32_768, `${port}`);
});

test('a port that is taken is told of', async (t) => {
  const port = await claimPort();
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen({ port, host: '127.0.0.1' }, resolve));
  await assert.rejects(claimPort(port), /is taken: stop what uses it, or choose another/);
});
