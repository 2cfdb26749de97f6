// A WebAssembly module that traps ends no other request without an answer.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Log, LogLevel, Miniflare } from '../../stack/miniflare.ts';
import { ROOT } from '../../stack/places.ts';

/** Stands for wasm-bindgen's script around a module that traps or never answers. */
const GLUE = `
  const state = { criticalError: false, instanceId: 0 };
  let resets = 0;
  export const __worker_init_state = () => state;
  export const __wbg_reset_state = () => { resets += 1; };
  export const scheduled = async () => {};
  export async function fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/waits') await new Promise((resolve) => setTimeout(resolve, 20000));
    if (pathname === '/traps') throw new WebAssembly.RuntimeError('unreachable');
    return Response.json({ resets });
  }`;

test('a trap answers every request under way with INTERNAL, and the next starts afresh', async (t) => {
  const worker = readFileSync(join(ROOT, 'xtask', 'src', 'worker.js'), 'utf8');
  const miniflare = new Miniflare({
    cf: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: () => undefined,
    compatibilityDate: '2026-07-01',
    modules: [
      { type: 'ESModule', path: 'index.js', contents: worker },
      { type: 'ESModule', path: 'glue.js', contents: GLUE },
    ],
  });
  t.after(() => miniflare.dispose());
  const url = await miniflare.ready;
  const call = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(new URL(path, url), { method: 'POST' });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  assert.deepEqual(await call('/'), { status: 200, body: { resets: 0 } });
  const waiting = call('/waits');
  await new Promise((resolve) => setTimeout(resolve, 300));
  const started = performance.now();
  for (const answer of await Promise.all([call('/traps'), waiting])) {
    assert.equal(answer.status, 500);
    assert.deepEqual([answer.body['success'], answer.body['code']], [false, 'INTERNAL']);
  }
  assert.ok(performance.now() - started < 5_000, 'nobody waits for a dead instance');
  assert.deepEqual(await call('/'), { status: 200, body: { resets: 1 } });
});
