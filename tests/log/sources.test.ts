// From where a change came is kept with it: by application, by request of the API, by restore. A source is told with a
// tenant's own changes only, no writer waits for another one's, and nobody can fill the database with them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import pg from 'pg';

import { actAsOwner, openDatabase, preview, recover } from '../fixtures/database.ts';

const TENANT = 'acme';
const OTHER = 'other';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client, postgres, now } = await openDatabase();

before(async () => {
  await client.query(`create schema app; create role billing; grant usage on schema app to billing;
    create table app.goods (id int primary key, org text not null, name text);
    select m23.protect_table('app.goods', 'org'); grant all on app.goods to billing`);
  await actAsOwner(client, TENANT, OWNER);
});

let keys = 0;

/** A session of an application. */
async function session(t: { after(end: () => unknown): void }, name: string): Promise<pg.Client> {
  const writer = new pg.Client({ connectionString: postgres.url, application_name: name });
  await writer.connect();
  t.after(() => writer.end());
  return writer;
}

/** Writes a row of a tenant; gives its key. */
async function write(writer: pg.Client, tenant = TENANT): Promise<number> {
  keys += 1;
  await writer.query(`insert into app.goods values (${keys}, '${tenant}', 'new')`);
  return keys;
}

/** What the last change of a row is said to come from. */
async function toldOf(key: number): Promise<{ source: string | null; request_id: string | null }> {
  const { rows } = await client.query(
    `select source, request_id from public.get_row_history('${TENANT}', 'app.goods', $1::jsonb, 1)`,
    [JSON.stringify({ id: key })],
  );
  return rows[0];
}

const sourceOf = async (key: number): Promise<string | null> => (await toldOf(key)).source;

/** What a session's requests are from here on, as the API says it. */
const request = (writer: pg.Client, method: string, path: string, id = ''): Promise<unknown> =>
  writer.query(
    `select set_config('request.method', $1, false), set_config('request.path', $2, false),
            set_config('request.headers', $3, false)`,
    [method, path, JSON.stringify({ host: 'localhost', ...(id !== '' && { 'x-request-id': id }) })],
  );

const count = async (where: string): Promise<number> =>
  (await client.query<{ n: number }>(`select count(*)::int as n from m23.sources where ${where}`)).rows[0]!.n;

test('an application is told by its name and role, and whatever it changes', async (t) => {
  const writer = await session(t, 'nightly import');
  const first = await write(writer);
  await writer.query('set role billing');
  const second = await write(writer);
  await writer.query(`set application_name = 'by hand'`);
  const third = await write(writer);
  assert.deepEqual(await Promise.all([first, second, third].map(sourceOf)), [
    'app: nightly import as postgres',
    'app: nightly import as billing',
    'app: by hand as billing',
  ]);
  await writer.query('reset role');
  await writer.query(`update app.goods set name = 'other' where id = ${first}`);
  assert.equal(await sourceOf(first), 'app: by hand as postgres');
  await writer.query(`update app.goods set id = id + 10000 where id = ${first}`);
  assert.equal(await sourceOf(first + 10000), 'app: by hand as postgres');
  await writer.query('truncate app.goods');
  assert.equal(await sourceOf(second), 'app: by hand as postgres');
  const { rows } = await client.query(
    `select transaction_id, inserts, source from public.get_transactions('${TENANT}', p_source => $1)`,
    ['app: nightly import as billing'],
  );
  assert.deepEqual(
    rows.map((row) => [row.inserts, row.source]),
    [['1', 'app: nightly import as billing']],
  );
});

test('a request of the API is told by method and path, and by its id', async (t) => {
  const writer = await session(t, 'PostgREST');
  await request(writer, 'POST', '/goods?select=id', 'abc-1');
  assert.deepEqual(await toldOf(await write(writer)), { source: 'api: POST /goods as postgres', request_id: 'abc-1' });
  await request(writer, 'PUT', '/goods/4711/of/6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11/v2', 'x'.repeat(100));
  assert.deepEqual(await toldOf(await write(writer)), {
    source: 'api: PUT /goods/{id}/of/{id}/v2 as postgres',
    request_id: 'x'.repeat(64),
  });
  await request(writer, 'PUT', `/${'long/'.repeat(200)}`);
  const told = await toldOf(await write(writer));
  assert.ok(told.source!.length < 250);
  assert.equal(told.request_id, null);
  await request(writer, '', '');
  assert.equal(await sourceOf(await write(writer)), 'app: PostgREST as postgres');
});

test('a source whose transaction was taken back is noted again by the next one', async (t) => {
  const writer = await session(t, 'undecided');
  await writer.query('begin');
  await write(writer);
  await writer.query('rollback');
  assert.equal(await count(`source like 'app: undecided %'`), 0);
  await writer.query('begin; savepoint s');
  await write(writer);
  await writer.query('rollback to s');
  const key = await write(writer);
  await writer.query('commit');
  assert.equal(await sourceOf(key), 'app: undecided as postgres');
});

test('nobody waits for, or fails by, what others are noting', async (t) => {
  for (const isolation of ['read committed', 'repeatable read', 'serializable']) {
    const name = `twins, ${isolation}`;
    const [one, two] = [await session(t, name), await session(t, name)];
    for (const writer of [one, two]) {
      await writer.query(`begin isolation level ${isolation}; set local statement_timeout = '5s'; select 1`);
    }
    const written = [await write(one), await write(two)];
    await one.query('commit');
    await two.query('commit');
    assert.deepEqual(await Promise.all(written.map(sourceOf)), Array(2).fill(`app: ${name} as postgres`));
    await client.query('select m23.sweep_sources()');
    assert.equal(await count(`source = 'app: ${name} as postgres'`), 1);
    assert.deepEqual(await Promise.all(written.map(sourceOf)), Array(2).fill(`app: ${name} as postgres`));
  }
});

test('there are only so many new sources a day; the others are told as "other"', async (t) => {
  const writer = await session(t, 'known');
  await write(writer);
  await client.query(`update m23.settings set value = (select count(*) from m23.sources) where name = 'new_sources'`);
  try {
    await writer.query(`set application_name = 'one too many'`);
    assert.equal(await sourceOf(await write(writer)), 'app: other');
    await request(writer, 'POST', '/one/too/many');
    assert.equal(await sourceOf(await write(writer)), 'api: other');
    await request(writer, '', '');
    await writer.query(`set application_name = 'known'`);
    assert.equal(await sourceOf(await write(writer)), 'app: known as postgres');
  } finally {
    await client.query(`update m23.settings set value = '1000' where name = 'new_sources'`);
  }
});

test('a source goes when all logs are younger than its last use, and not before', async () => {
  await client.query(`insert into m23.sources (number, source, used_at)
    select 1, 'app: long gone', min(opened_at) - interval '3 days' from m23.log_parts
    union all select 2, 'app: still told', min(opened_at) - interval '1 day' from m23.log_parts`);
  await client.query('select m23.sweep_sources()');
  assert.deepEqual([await count('number = 1'), await count('number = 2')], [0, 1]);
});

test('a tenant is told the sources of its own changes only', async (t) => {
  const writer = await session(t, 'their secret');
  await write(writer, OTHER);
  const { rows } = await client.query(`select source from public.get_transactions('${TENANT}', p_limit => 1000)`);
  assert.ok(rows.length > 0);
  assert.deepEqual(
    rows.filter(({ source }) => String(source).includes('secret')),
    [],
  );
  const asked = await client.query(`select from public.get_transactions('${TENANT}', p_source => $1)`, [
    'app: their secret as postgres',
  ]);
  assert.equal(asked.rowCount, 0);
  await client.query('set role authenticated');
  try {
    await assert.rejects(client.query('select from m23.sources'), /permission denied/);
  } finally {
    await client.query('reset role');
  }
});

test('nobody can call himself a restore, or borrow the number of another source', async (t) => {
  const writer = await session(t, 'honest');
  await request(writer, '', '/m23_work/6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11');
  assert.equal(await sourceOf(await write(writer)), 'api: /m23_work/{id} as postgres');
});

test('what a restore would take away is told by who wrote it, and from where', async (t) => {
  const [careful, careless] = [await session(t, 'careful'), await session(t, 'careless')];
  const old = await write(careful);
  const at = await now();
  await careless.query(`update app.goods set name = 'wrong' where id = ${old}`);
  await careful.query(`update app.goods set name = 'right' where id = ${old}`);
  await write(careless);
  const passing = await write(careless);
  await careless.query(`delete from app.goods where id = ${passing}`);
  await write(careless, OTHER);
  const seen = await preview(client, TENANT, OWNER, { targetTimestamp: at, tables: ['app.goods'] });
  assert.deepEqual(seen.rowsLost, [
    { actor: null, source: 'app: careless as postgres', tables: ['app.goods'], rows: 2 },
    { actor: null, source: 'app: careful as postgres', tables: ['app.goods'], rows: 1 },
  ]);
  assert.equal(seen.stats.totalOperations, 2);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['app.goods'] });
  const again = await preview(client, TENANT, OWNER, { targetTimestamp: at, tables: ['app.goods'] });
  assert.deepEqual(again.rowsLost, []);
});

test('a rollback says what it would take, of the hundred who wrote most; the others are told as one', async (t) => {
  const at = await now();
  const writer = await session(t, 'many users');
  await write(writer);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: ['app.goods'] });
  const {
    rows: [snapshot],
  } = await client.query<{ id: string }>(
    `select id from public.pitr_snapshots where snapshot_type = 'pre_restore' order by created_at desc limit 1`,
  );
  for (let user = 0; user < 105; user += 1) {
    await writer.query(`select set_config('request.jwt.claims', $1, false)`, [
      JSON.stringify({ sub: `bbbbbbbb-0000-4000-8000-${String(user).padStart(12, '0')}` }),
    ]);
    await write(writer);
  }
  const { rowsLost } = await preview(client, TENANT, OWNER, { snapshotId: snapshot!.id });
  assert.equal(rowsLost.length, 101);
  assert.deepEqual(rowsLost[0], { actor: null, source: null, tables: ['app.goods'], rows: 5 });
});
