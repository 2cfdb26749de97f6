// The demo does as it promises, and its proof sees every kind of difference, and none where there is none.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';

import { compareOthers, compareTenant, fingerprint, total } from '../../demo/compare.ts';
import type { Image, TableImages } from '../../demo/images.ts';
import { ROOT } from '../../stack/places.ts';

const MINE = 'mine';
const THEIRS = 'theirs';

function image(text: string, { tenant = MINE, version = '700 (0,1)' }: Partial<Image> = {}): Image {
  return { tenant, text, version };
}

function orders(rows: Record<string, Image>): TableImages[] {
  return [{ name: 'orders', rows: new Map(Object.entries(rows)) }];
}

const before = orders({ 1: image('(1,-0)'), 2: image('(2,1.50)'), 3: image('(3,x)', { tenant: THEIRS }) });

describe("the demo's proof", () => {
  test('finds nothing where nothing has changed', () => {
    assert.equal(total(compareTenant(before, before, MINE)), 0);
    assert.equal(total(compareOthers(before, before, MINE)), 0);
    assert.equal(fingerprint(before, MINE), fingerprint(before, MINE));
  });

  test('tells missing, changed and stray rows apart, equal values too', () => {
    const after = orders({ 1: image('(1,0)'), 3: image('(3,x)', { tenant: THEIRS }), 4: image('(4,)') });
    const [found] = compareTenant(before, after, MINE);
    assert.deepEqual([found?.missing, found?.changed, found?.stray], [1, 1, 1]);
    assert.equal(found?.examples.length, 3);
    assert.match(found?.examples[0] ?? '', /orders 1: it was "\(1,-0\)", and is "\(1,0\)"/);
    assert.equal(total(compareOthers(before, after, MINE)), 0);
    assert.notEqual(fingerprint(before, MINE), fingerprint(after, MINE));
  });

  test("does not mind that the tenant's own rows were written anew", () => {
    const after = orders({
      ...Object.fromEntries(before[0]?.rows ?? []),
      1: image('(1,-0)', { version: '800 (0,9)' }),
    });
    assert.equal(total(compareTenant(before, after, MINE)), 0);
  });

  test("minds that another tenant's row was written anew, or has gone over", () => {
    const rewritten = orders({
      ...Object.fromEntries(before[0]?.rows ?? []),
      3: image('(3,x)', { tenant: THEIRS, version: '800 (0,9)' }),
    });
    assert.equal(total(compareOthers(before, rewritten, MINE)), 1);
    const taken = orders({ ...Object.fromEntries(before[0]?.rows ?? []), 3: image('(3,x)') });
    assert.equal(total(compareOthers(before, taken, MINE)), 1);
  });

  test('misses no table that is gone', () => {
    assert.equal(total(compareTenant(before, [], MINE)), 2);
    assert.equal(total(compareTenant([], before, MINE)), 2);
  });
});

test('the demo ends with every promise kept', async () => {
  // It stops when its input ends.
  const demo = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'demo/demo.ts'], { cwd: ROOT });
  let output = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  assert.deepEqual(await once(demo, 'exit'), [0, null], output);
  assert.match(output, /✓ The tenant is back exactly as it was, and nobody else noticed\./);
});
