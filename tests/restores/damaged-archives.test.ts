// A restore from a damaged archive changes nothing, and says which object is at fault.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';

import { bytesOf, forgeChunk, manifestOf, objectsOf, prefixOf, tamperedWith } from '../fixtures/archive.ts';
import { openBackedUpShop } from '../fixtures/backed-up-shop.ts';
import { backUp, lastRestore, refusal, restore, restored } from '../fixtures/functions.ts';
import { damage, placesOf, placesOfOthers, rowsOf, SHOP } from '../fixtures/shop.ts';

const { stack, client, tenant, other, backup } = await openBackedUpShop();

before(async () => {
  await damage(client, tenant);
});

/** What is done to the archive; gives the object that is no longer what it was. */
type Tampering = (chunks: string[], manifest: string) => Promise<string>;

/**
 * Tampers with the archive, restores, and mends it again. The restore must change nothing, name
 * the object, and say in its log row that it failed.
 */
async function refused(tamper: Tampering, what: RegExp, more: Record<string, unknown> = {}): Promise<void> {
  const kept = new Map(
    await Promise.all(
      (await objectsOf(stack, tenant, backup)).map(async (key) => [key, await bytesOf(stack, key)] as const),
    ),
  );
  const live = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
  const { tables } = await manifestOf(stack, tenant, backup);
  const object = await tamper(
    tables.flatMap(({ chunks }) => chunks.map((chunk) => chunk.object)),
    `${prefixOf(tenant, backup)}manifest.json`,
  );
  try {
    const reply = await restore(stack, tenant, backup, more);
    assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE'], JSON.stringify(reply.body));
    assert.equal(reply.body.details?.length, 1);
    const [detail] = reply.body.details;
    assert.ok(detail?.includes(object), `${detail} names ${object}`);
    assert.match(detail ?? '', what);
    const log = await lastRestore(client, tenant);
    assert.deepEqual([log?.status, log?.error_message, log?.snapshot_id], ['failed', detail, null]);
  } finally {
    for (const [key, bytes] of kept) await stack.archives.put(key, bytes);
  }
  assert.deepEqual(
    [await placesOf(client, tenant), await placesOfOthers(client, tenant)],
    live,
    'not one row was written',
  );
  const { rows } = await client.query(`select relname from pg_class where relnamespace = 'm23_staging'::regnamespace`);
  assert.deepEqual(rows, [], 'nothing stays in staging');
}

/** One object of a list: the last, so that everything before it has been staged. */
function last(keys: string[]): string {
  return keys.at(-1) ?? '';
}

describe('a restore changes nothing and says which object is at fault', () => {
  for (const at of ['first', 'middle', 'last'] as const) {
    test(`when one byte of a chunk was altered: the ${at}`, () =>
      refused(async (chunks) => {
        const key = last(chunks);
        const bytes = await bytesOf(stack, key);
        const place = { first: 0, middle: Math.floor(bytes.length / 2), last: bytes.length - 1 }[at];
        bytes[place] = (bytes[place] ?? 0) ^ 1;
        await stack.archives.put(key, bytes);
        return key;
      }, /altered/));
  }

  test('when the very first chunk was altered', () =>
    refused(async ([key = '']) => {
      const bytes = await bytesOf(stack, key);
      bytes[20] = (bytes[20] ?? 0) ^ 0x80;
      await stack.archives.put(key, bytes);
      return key;
    }, /altered/));

  test('when a chunk was packed anew with another row in it', () =>
    refused(async (chunks) => {
      const key = last(chunks);
      const text = gunzipSync(await bytesOf(stack, key)).toString('utf8');
      await stack.archives.put(key, gzipSync(`${text}${text.split('\n')[0]}\n`));
      return key;
    }, /altered/));

  test('when a chunk was removed', () =>
    refused(async (chunks) => {
      await stack.archives.delete(last(chunks));
      return last(chunks);
    }, /missing/));

  for (const [how, length] of [
    ['by a byte', -1],
    ['to nothing', 0],
  ] as const) {
    test(`when a chunk was truncated ${how}`, () =>
      refused(async (chunks) => {
        const key = last(chunks);
        const bytes = await bytesOf(stack, key);
        await stack.archives.put(key, length === 0 ? new Uint8Array() : bytes.subarray(0, length));
        return key;
      }, /altered/));
  }

  test('when a chunk was exchanged with another of the same table', () =>
    refused(async (chunks) => {
      const [first = '', second = ''] = chunks.filter((key) => key.includes('shop.orders'));
      const [one, two] = [await bytesOf(stack, first), await bytesOf(stack, second)];
      await stack.archives.put(first, two);
      await stack.archives.put(second, one);
      return first;
    }, /altered/));

  test("when a chunk was exchanged with another tenant's", async () => {
    const foreign = await manifestOf(stack, other, await backUp(stack, client, other));
    await refused(async (chunks) => {
      const key = last(chunks);
      await stack.archives.put(
        key,
        await bytesOf(stack, last(foreign.tables.flatMap((table) => table.chunks.map(({ object }) => object)))),
      );
      return key;
    }, /altered/);
  });

  test('when the manifest was altered by one byte', () =>
    refused(async (_, manifest) => {
      const text = (await bytesOf(stack, manifest)).toString('utf8');
      await stack.archives.put(
        manifest,
        text.replace(/"rows": ?\d/, (digits) => `${digits.slice(0, -1)}9`),
      );
      return manifest;
    }, /altered/));

  test('when a table was taken out of the manifest', () =>
    refused(async (_, manifest) => {
      const whole = await manifestOf(stack, tenant, backup);
      await stack.archives.put(manifest, JSON.stringify({ ...whole, tables: whole.tables.slice(1) }));
      return manifest;
    }, /altered/));

  test('when the manifest was removed', () =>
    refused(async (_, manifest) => {
      await stack.archives.delete(manifest);
      return manifest;
    }, /missing/));

  test('when the manifest was truncated', () =>
    refused(async (_, manifest) => {
      await stack.archives.put(manifest, (await bytesOf(stack, manifest)).subarray(0, 100));
      return manifest;
    }, /altered/));

  test("when the manifest is another tenant's", async () => {
    const foreign = await backUp(stack, client, other);
    await refused(async (_, manifest) => {
      await stack.archives.put(manifest, await bytesOf(stack, `${prefixOf(other, foreign)}manifest.json`));
      return manifest;
    }, /altered/);
  });

  test('when it was to go into a schema of its own, which is then not there', async () => {
    await refused(
      async (chunks) => {
        await stack.archives.delete(last(chunks));
        return last(chunks);
      },
      /missing/,
      { targetSchema: 'beside' },
    );
    assert.equal((await client.query(`select from pg_namespace where nspname = 'beside'`)).rowCount, 0);
  });
});

describe('a manifest that even the database takes for the right one', () => {
  /** Whoever can write the database and the store can forge the digest too. */
  async function forge(change: (text: string) => string): Promise<string> {
    const manifest = `${prefixOf(tenant, backup)}manifest.json`;
    const text = change((await bytesOf(stack, manifest)).toString('utf8'));
    await stack.archives.put(manifest, text);
    await client.query(`update m23.backup_work set manifest_sha256 = encode(sha256($2), 'hex') where job_id = $1`, [
      backup,
      Buffer.from(text),
    ]);
    return manifest;
  }

  async function refusedWhenForged(change: (text: string) => string, what: RegExp): Promise<void> {
    const {
      rows: [work],
    } = await client.query<{ manifest_sha256: string }>(
      'select manifest_sha256 from m23.backup_work where job_id = $1',
      [backup],
    );
    const kept = await bytesOf(stack, `${prefixOf(tenant, backup)}manifest.json`);
    const live = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
    try {
      await forge(change);
      const reply = await restore(stack, tenant, backup);
      assert.deepEqual(refusal(reply), [409, 'BACKUP_UNUSABLE'], JSON.stringify(reply.body));
      assert.match(reply.body.details?.join() ?? '', what);
    } finally {
      await stack.archives.put(`${prefixOf(tenant, backup)}manifest.json`, kept);
      await client.query('update m23.backup_work set manifest_sha256 = $2 where job_id = $1', [
        backup,
        work?.manifest_sha256,
      ]);
    }
    assert.deepEqual([await placesOf(client, tenant), await placesOfOthers(client, tenant)], live);
  }

  test('is refused when it speaks of another tenant', () =>
    refusedWhenForged((text) => text.replaceAll(tenant.id, other.id), /another (backup|tenant)/));
  test("is refused when it points to another tenant's chunks", async () => {
    const foreign = await manifestOf(stack, other, await backUp(stack, client, other));
    const whole = await manifestOf(stack, tenant, backup);
    await refusedWhenForged(() => JSON.stringify({ ...whole, tables: foreign.tables }), /another backup|sums/);
  });
  test('is refused when it is of a version to come', () =>
    refusedWhenForged((text) => text.replace(/"version": ?3/, '"version":4'), /version 4/));
  test('is refused when it is no JSON', () => refusedWhenForged(() => 'gone', /manifest\.json/));
  test('is refused when it promises other rows than there are', () =>
    refusedWhenForged((text) => {
      const value = JSON.parse(text) as { rows: number; tables: { chunks: { rows: number }[] }[] };
      const chunk = value.tables.at(-1)?.chunks.at(-1);
      assert.ok(chunk);
      chunk.rows -= 1;
      value.rows -= 1;
      return JSON.stringify(value);
    }, /rows|lines/));
});

test('a chunk with a NUL in a value, which even the database takes for the right one, is refused', () =>
  tamperedWith(stack, client, tenant, backup, async () => {
    const live = [await placesOf(client, tenant), await placesOfOthers(client, tenant)];
    const withNul = (lines: string[]): string[] =>
      lines.map((line, n) => (n === 1 ? line.replace('/', '\u0000') : line));
    await forgeChunk(stack, client, tenant, backup, 'accounts', withNul);
    assert.deepEqual(refusal(await restore(stack, tenant, backup)), [409, 'BACKUP_UNUSABLE']);
    assert.deepEqual([await placesOf(client, tenant), await placesOfOthers(client, tenant)], live);
  }));

test('an archive that was mended restores', async () => {
  const before = await rowsOf(client, tenant);
  await restored(stack, tenant, backup);
  const now = await rowsOf(client, tenant);
  for (const table of SHOP) assert.notDeepEqual(now[table], before[table], table);
  assert.equal((await restored(stack, tenant, backup))['rowsRestored'], 0);
});
