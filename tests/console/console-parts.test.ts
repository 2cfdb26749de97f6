// The console's small parts, each by itself: times, ranges, filters, differences, and keys that no page may hold.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { isSecret } from '../../console/src/config.ts';
import { isoOf, justBefore, micros } from '../../console/src/time.ts';
import { whereOf } from '../../console/src/views/find/where.ts';
import { differing } from '../../console/src/views/preview/diff.ts';
import { rangeOf } from '../../console/src/views/timeline/range.ts';

/** The gateway's part, which is JavaScript. */
const gateway = new URL('../../gateway/console.js', import.meta.url).href;
const { consoleAnswer } = (await import(gateway)) as {
  consoleAnswer(request: Request, env: object, url: URL): Promise<Response | undefined>;
};

/** A key with a role, as a project of before 2026 has it. */
function keyOf(role: string): string {
  return `x.${Buffer.from(JSON.stringify({ role })).toString('base64url')}.x`;
}

describe('a time', () => {
  test('keeps its microseconds', () => {
    assert.equal(isoOf(micros('2026-01-31T10:31:00.123456+00:00')), '2026-01-31T10:31:00.123456Z');
    assert.equal(isoOf(micros('2026-01-31T11:31:00.5+01:00')), '2026-01-31T10:31:00.500000Z');
  });

  test('has a moment just before it, across seconds too', () => {
    assert.equal(justBefore('2026-01-31T10:31:00.123456+00:00'), '2026-01-31T10:31:00.123455Z');
    assert.equal(justBefore('2026-01-31T10:31:00+00:00'), '2026-01-31T10:30:59.999999Z');
  });
});

test('a range is divided into equal parts of whole units, and has no more than the chart can draw', () => {
  const until = Date.parse('2026-01-31T10:31:07.123Z');
  for (const length of [10_000, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000]) {
    const { from, until: end, part, parts } = rangeOf(until - length, until);
    assert.ok(from <= until - length && end >= until, String(length));
    assert.equal(end - from, part * parts);
    assert.equal(from % part, 0);
    assert.ok(parts <= 152, String(parts));
  }
});

describe('what is typed into the search', () => {
  test('is a filter', () => {
    assert.equal(whereOf('  '), undefined);
    assert.deepEqual(whereOf("id = 3 and name='Ada'"), { id: '3', name: 'Ada' });
    assert.deepEqual(whereOf('"Mixed Case" = a=b AND gone = null'), { 'Mixed Case': 'a=b', gone: null });
  });

  test('is refused with a sentence when it is none', () => {
    assert.throws(() => whereOf('Ada'), /"Ada" names no column and value/);
  });
});

test('two texts are told apart where they differ', () => {
  const [now, then] = differing('customer@exampel.org', 'customer@example.org');
  assert.deepEqual(now, { before: 'customer@examp', middle: 'el', after: '.org' });
  assert.deepEqual(then, { before: 'customer@examp', middle: 'le', after: '.org' });
  assert.deepEqual(differing('aa', 'aaa')[1], { before: 'aa', middle: 'a', after: '' });
});

describe('a secret key', () => {
  test('is known by the page', () => {
    assert.deepEqual([keyOf('service_role'), 'sb_secret_x', keyOf('anon'), 'sb_publishable_x'].map(isSecret), [
      true,
      true,
      false,
      false,
    ]);
  });

  test('is given to nobody by the gateway, which then has no console', async () => {
    const url = new URL('https://m23.example/m23/config.json');
    const ask = async (key: string | undefined): Promise<number | undefined> =>
      (await consoleAnswer(new Request(url), { SUPABASE_ANON_KEY: key }, url))?.status;
    for (const key of [undefined, '', keyOf('service_role'), 'sb_secret_x', 'nonsense'])
      assert.equal(await ask(key), undefined, key);
    for (const key of [keyOf('anon'), 'sb_publishable_x']) assert.equal(await ask(key), 200, key);
  });
});
