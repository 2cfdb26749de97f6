// What a restore does when a table has another shape now than at the moment it goes back to.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type pg from 'pg';

import { type Database, type Outcome, recover, startDatabase } from './fixtures/database.ts';
import { eventually } from './fixtures/time.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

let database: Database;
let client: pg.Client;
let schemas = 0;

before(async () => {
  database = await startDatabase();
  ({ client } = database);
  await client.query(`insert into public.tenant_members values ('${TENANT}', '${OWNER}', 'owner')`);
  await client.query(`select set_config('request.jwt.claims', '{"sub": "${OWNER}", "role": "authenticated"}', false)`);
});
after(() => database.close());

/** A table `t` of ten rows in a schema of its own, protected; gives its name for `tables`. */
async function table(): Promise<string> {
  schemas += 1;
  await client.query(`create schema s${schemas}; set search_path = s${schemas}, public;
    create table t (id int primary key, tenant_id uuid not null, a text, n int); select m23.protect_table('t');
    insert into t select n, '${TENANT}', 'a' || n, n from generate_series(1, 10) n`);
  return `s${schemas}.t`;
}

async function now(): Promise<string> {
  const { rows: [row] } = await client.query<{ at: string }>('select clock_timestamp()::text as at');
  return row!.at;
}

async function restore(name: string | null, targetTimestamp: string): Promise<Outcome> {
  return await recover(client, TENANT, OWNER, { targetTimestamp, ...(name === null ? {} : { tables: [name] }) });
}

async function rows(columns: string): Promise<unknown[][]> {
  return (await client.query({ text: `select ${columns} from t order by id`, rowMode: 'array' })).rows as unknown[][];
}

describe('a restore to before', () => {
  test('a column was added gives rows that are there their present value, and rows that come back its default', async () => {
    const name = await table();
    const at = await now();
    await client.query(`delete from t where id = 1; alter table t add column extra text default 'unset'; update t set extra = 'kept', a = 'new' where id = 2; delete from t where id = 3; delete from t where id = 4`);
    const done = await restore(name, at);
    assert.deepEqual(done.warnings, [`${name}.extra was added since; rows that are there keep theirs`]);
    assert.deepEqual((await rows('id, a, n, extra')).slice(0, 5), [[1, 'a1', 1, 'unset'], [2, 'a2', 2, 'kept'], [3, 'a3', 3, 'unset'], [4, 'a4', 4, 'unset'], [5, 'a5', 5, 'unset']]);
  });

  test('a column was dropped gives back the others, and says so', async () => {
    const name = await table();
    const at = await now();
    await client.query(`update t set a = 'new', n = 0; alter table t drop column a; delete from t where id > 5`);
    const done = await restore(name, at);
    assert.deepEqual(done.warnings, [`${name}.a was dropped since; its values cannot come back`]);
    assert.deepEqual(await rows('id, n'), Array.from({ length: 10 }, (_, n) => [n + 1, n + 1]));
  });

  test('a column was renamed gives everything back, and has nothing to say', async () => {
    const name = await table();
    const at = await now();
    await client.query(`update t set a = 'new'; alter table t rename column a to title; update t set title = 'newer' where id < 5; delete from t where id = 5`);
    assert.deepEqual((await restore(name, at)).warnings, []);
    assert.deepEqual(await rows('title'), Array.from({ length: 10 }, (_, n) => [`a${n + 1}`]));
  });

  test('a column had another type converts its values, and says so', async () => {
    const name = await table();
    const at = await now();
    await client.query(`update t set n = 0 where id = 1; alter table t alter column n type text using 'n' || n; update t set n = 'x' where id in (1, 2); delete from t where id = 3`);
    assert.deepEqual((await restore(name, at)).warnings, [`${name}.n has had another type then; its values were converted`]);
    assert.deepEqual((await rows('n')).slice(0, 3), [['1'], ['n2'], ['n3']], 'logged before the change: as it was; after it: as the change made it');
  });

  test('a type that the old values do not fit is refused, and nothing is changed', async () => {
    const name = await table();
    const at = await now();
    await client.query(`update t set a = '7'; alter table t alter column a type int using a::int`);
    const before = await rows('id, a, n');
    const done = await restore(name, at);
    assert.equal(done.error?.code, 'VALIDATION_FAILED');
    assert.match(String(done.error?.message), /do not fit the types/);
    assert.deepEqual(await rows('id, a, n'), before);
  });

  test('the primary key was another is refused: another history has begun', async () => {
    const name = await table();
    const at = await now();
    await client.query('alter table t drop constraint t_pkey, add primary key (tenant_id, id)');
    await assert.rejects(restore(name, at), /VALIDATION_FAILED.*it can be from/s);
    const later = await now();
    await client.query('delete from t');
    await restore(name, later);
    assert.equal((await rows('id')).length, 10);
  });

  test('a key column had another type is refused as well; the table is unprotected meanwhile', async () => {
    const name = await table();
    const at = await now();
    await assert.rejects(client.query('alter table t alter column id type bigint'), /cannot alter type of a column used in a trigger definition/);
    await client.query(`begin; select m23.unprotect_table('t'); alter table t alter column id type bigint; select m23.protect_table('t'); commit`);
    await assert.rejects(restore(name, at), /VALIDATION_FAILED.*it can be from/s);
    const later = await now();
    await client.query('delete from t');
    await restore(name, later);
    assert.equal((await rows('id')).length, 10);
  });

  test('a table was dropped restores the others, and says what cannot come back', async () => {
    const gone = await table();
    const at = await table().then(now);
    await client.query(`drop table ${gone}; update t set a = 'new'`);
    assert.ok((await restore(null, at)).warnings.includes(`${gone} was dropped while it was protected; its rows cannot come back`));
    assert.deepEqual((await rows('a'))[0], ['a1']);
  });

  test('rows of a partitioned table moved, and a partition was added, gives all of them back', async () => {
    const name = await table();
    await client.query(`drop table t; create table t (id int, tenant_id uuid not null, a text, place int, primary key (id, place)) partition by list (place);
      create table t1 partition of t for values in (1); create table t2 partition of t for values in (2); select m23.protect_table('t');
      insert into t select n, '${TENANT}', 'a' || n, 1 + n % 2 from generate_series(1, 10) n`);
    const before = await rows('id, a, place');
    const at = await now();
    await client.query(`create table t3 partition of t for values in (3); update t set place = 3 where id < 4; update t2 set a = 'x'; delete from t where id = 10; insert into t values (11, '${TENANT}', 'stray', 3)`);
    await restore(name, at);
    assert.deepEqual(await rows('id, a, place'), before);
  });

  test('several changes at once', async () => {
    const name = await table();
    const at = await now();
    const before = await rows('id, a');
    await client.query(`alter table t add column x int; update t set x = id, a = a || '!'; alter table t rename column a to b; alter table t alter column b type varchar(20);
      update t set b = 'gone' where id < 4; alter table t drop column x; alter table t add column x text default 'again'; delete from t where id = 9`);
    const done = await restore(name, at);
    assert.deepEqual(await rows('id, b'), before);
    assert.deepEqual((await rows('x'))[8], ['again']);
    assert.ok(done.warnings.some((warning) => warning.includes('x was added since')), JSON.stringify(done.warnings));
  });
});

describe('m23.as_of that waits for an ALTER TABLE', () => {
  async function lookBeside(alter: string): Promise<{ rows?: unknown[]; code?: string }> {
    const name = await table();
    const at = await now();
    const query = `select * from m23.as_of(null::${name}, '${TENANT}', '${at}'::timestamptz)`;
    await client.query(query);  // a session that knows the shape does not wait before it begins
    const app = await database.postgres.connect();
    await app.query(`begin; alter table ${name} ${alter}`);
    const look = client.query(query)
      .then(({ rows }) => ({ rows }), (error: { code: string }) => ({ code: error.code }));
    await eventually(async () => (await app.query('select from pg_locks where relation = $1::regclass and not granted', [name])).rowCount, (waiting) => waiting === 1);
    await app.query('commit');
    await app.end();
    assert.equal((await client.query(query)).rowCount, 10, 'asked again, it answers');
    return await look;
  }

  test('gives the columns that there were, when one is added', async () => {
    const { rows } = await lookBeside('add column more text default 1');
    assert.deepEqual(rows?.[0], { id: 1, tenant_id: TENANT, a: 'a1', n: 1 });
  });

  test('says so, when one is dropped', async () => {
    assert.deepEqual(await lookBeside('drop column a'), { code: '55006' });
  });
});
