// The development stack's workerd: it is never waited for without an end.
import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import { StackFailure } from '../../stack/failure.ts';
import type { MiniflareOptions } from '../../stack/miniflare.ts';
import { claimPort } from '../../stack/ports.ts';
import { Runtime } from '../../stack/runtime.ts';
import { temporaryFolder } from '../dev-command.ts';
import { processes } from '../processes.ts';

async function options(): Promise<MiniflareOptions> {
  return {
    host: '127.0.0.1',
    port: await claimPort(),
    cf: false,
    modules: true,
    script: 'export default { fetch: () => new Response("here") }',
  };
}

/** Has a program in the place of workerd that reads nothing and says nothing; gives where it notes its process ids. */
function muteWorkerd(t: TestContext): string {
  const folder = temporaryFolder((remove) => t.after(remove));
  const [program, pids] = [join(folder, 'workerd'), join(folder, 'pids')];
  writeFileSync(program, `#!/bin/sh\necho $$ >> '${pids}'\nexec sleep 600\n`);
  chmodSync(program, 0o755);
  process.env['MINIFLARE_WORKERD_PATH'] = program;
  t.after(() => {
    delete process.env['MINIFLARE_WORKERD_PATH'];
  });
  return pids;
}

/** Counts the workerd processes that are started from now on. */
function countStarts(t: TestContext): () => number {
  let started = 0;
  const note = (): void => {
    started += 1;
  };
  channel('child_process').subscribe(note);
  t.after(() => channel('child_process').unsubscribe(note));
  return () => started;
}

test('a workerd that does not get ready is given up, as is a second, and nothing of them is left', async (t) => {
  const pids = muteWorkerd(t);
  await assert.rejects(Runtime.start(await options(), 300), (error) => {
    assert.ok(error instanceof StackFailure);
    assert.match(error.message, /workerd was not ready within 0\.3 s, 2 times/);
    return true;
  });
  assert.ok(existsSync(pids), 'it was started');
  const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
  assert.equal(started.length, 2);
  assert.deepEqual(
    processes().filter(({ pid }) => started.includes(pid)),
    [],
  );
});

test('a workerd that is ended is not taken for one that has crashed: no other one is begun in its place', async (t) => {
  const starts = countStarts(t);
  const runtime = await Runtime.start(await options());
  assert.equal(await (await runtime.miniflare.dispatchFetch('http://localhost')).text(), 'here');
  assert.equal(await runtime.end(), true);
  assert.equal(starts(), 1);
});

test('a Miniflare that does not end is left behind without a process, and another one starts on its port', async () => {
  const settings = await options();
  const stuck = await Runtime.start(settings);
  const dispose = stuck.miniflare.dispose.bind(stuck.miniflare);
  let ended: Promise<void> | undefined;
  stuck.miniflare.dispose = async () => {
    ended = dispose();
    await new Promise(() => undefined);
  };
  assert.equal(await stuck.end(50), false);
  assert.notEqual(stuck.workerd.signalCode, null);
  const next = await Runtime.start(settings);
  assert.equal(await (await fetch(await next.miniflare.ready)).text(), 'here');
  await next.end();
  await ended;
});
