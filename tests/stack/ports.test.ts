// A port of a stack is never one that somebody else has, and a start that has lost its port is made anew.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { StackFailure } from '../../stack/failure.ts';
import { claimPort, claimPorts, onFreePorts } from '../../stack/ports.ts';

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

test('a start that has lost a port is made anew, three times at most, and any other failure is told at once', async () => {
  const starting = async (failures: number, message: string): Promise<[number, string]> => {
    let starts = 0;
    const outcome = await onFreePorts(() => {
      starts += 1;
      return starts > failures ? Promise.resolve('started') : Promise.reject(new StackFailure(message));
    }).catch((error: unknown) => (error as Error).message);
    return [starts, outcome];
  };
  const taken = 'the Workers did not start: Address already in use (127.0.0.1:12345)';
  assert.deepEqual(await starting(2, taken), [3, 'started']);
  assert.deepEqual(await starting(3, taken), [3, taken]);
  assert.deepEqual(await starting(1, 'the disk is full'), [1, 'the disk is full']);
});
