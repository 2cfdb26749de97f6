// What PostgreSQL 18 has brought: constraints that are not enforced, generated columns that are not stored, keys without
// overlaps and foreign keys with PERIOD.
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';

import { actAsOwner, openDatabase, preview, recover } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

let schemas = 0;

const { client, now } = await openDatabase({}, 18);

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
  await client.query('create extension btree_gist schema public');
});
beforeEach(async () => {
  schemas += 1;
  await client.query(`create schema s${schemas}; set search_path = s${schemas}, public`);
});

const name = (table: string): string => `s${schemas}.${table}`;
async function rows(columns: string, table: string): Promise<unknown[][]> {
  return (await client.query({ text: `select ${columns} from ${table} order by 1`, rowMode: 'array' }))
    .rows as unknown[][];
}

describe('a foreign key that is not enforced', () => {
  beforeEach(() =>
    client.query(`
    create table p (id int primary key, tenant_id uuid not null, n int);
    create table c (id int primary key, tenant_id uuid not null, p int references p on delete cascade not enforced, n int);
    select m23.protect_table('p'), m23.protect_table('c');
    insert into p values (1, '${TENANT}', 1), (2, '${TENANT}', 2);
    insert into c values (1, '${TENANT}', 1, 1), (2, '${TENANT}', 9, 2)`),
  );

  test('keeps no row from coming back without the one that it names', async () => {
    const at = await now();
    await client.query('delete from p; delete from c where id = 1; update c set n = 0');
    assert.equal(
      (await preview(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('c')] })).wouldFail,
      undefined,
    );
    const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('c')] });
    assert.deepEqual(
      [done.error, done.warnings, await rows('id, p, n', 'c')],
      [
        undefined,
        [],
        [
          [1, 1, 1],
          [2, 9, 2],
        ],
      ],
    );
  });

  test('keeps no row from going that another tenant names, nor takes others with it', async () => {
    const at = await now();
    await client.query(
      `insert into p values (3, '${TENANT}', 3); insert into c values (3, '${OTHER}', 3, 3), (4, '${TENANT}', 3, 4)`,
    );
    const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('p')] });
    assert.deepEqual([done.error, done.warnings], [undefined, []]);
    assert.deepEqual(
      [await rows('id', 'p'), await rows('id, p', 'c')],
      [
        [[1], [2]],
        [
          [1, 1],
          [2, 9],
          [3, 3],
          [4, 3],
        ],
      ],
    );
  });
});

test('a check that is not enforced keeps no row from coming back', async () => {
  await client.query(`create table t (id int primary key, tenant_id uuid not null, n int check (n > 0) not enforced);
    select m23.protect_table('t'); insert into t values (1, '${TENANT}', -1)`);
  const at = await now();
  await client.query('delete from t');
  const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('t')] });
  assert.deepEqual([done.error, await rows('id, n', 't')], [undefined, [[1, -1]]]);
});

describe('a generated column that is not stored', () => {
  beforeEach(() =>
    client.query(`
    create table t (id int primary key, tenant_id uuid not null, n int, twice int generated always as (n * 2) virtual check (twice < 1000), note text);
    select m23.protect_table('t');
    insert into t (id, tenant_id, n, note) select g, '${TENANT}', g, repeat('long', 500) from generate_series(1, 3) g`),
  );

  test('follows from the others after a restore, in previews and in the past', async () => {
    const at = await now();
    await client.query(
      `update t set n = 9, note = note || '!' where id = 1; delete from t where id = 2; insert into t (id, tenant_id, n) values (4, '${TENANT}', 4)`,
    );
    const seen = await preview(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('t')] });
    assert.deepEqual([seen.stats.totalOperations, seen.wouldFail], [3, undefined]);
    const then = await client.query(`select id, twice from m23.as_of(null::t, $1, $2::timestamptz) order by id`, [
      TENANT,
      at,
    ]);
    assert.deepEqual(then.rows, [
      { id: 1, twice: 2 },
      { id: 2, twice: 4 },
      { id: 3, twice: 6 },
    ]);
    const {
      rows: [past],
    } = await client.query<{ rows: Record<string, unknown>[] }>('select public.get_rows_as_of($1, $2) as rows', [
      name('t'),
      at,
    ]);
    assert.deepEqual(
      past?.rows.map(({ n }) => n),
      [1, 2, 3],
    );
    await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('t')] });
    assert.deepEqual(await rows('id, n, twice', 't'), [
      [1, 1, 2],
      [2, 2, 4],
      [3, 3, 6],
    ]);
  });

  test('may come and go, and change its place with a stored one', async () => {
    const at = await now();
    await client.query(`alter table t add thrice int generated always as (n * 3) virtual; update t set n = 0;
      alter table t drop twice; alter table t add stored int generated always as (n + 1) stored; delete from t where id = 3`);
    const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('t')] });
    assert.deepEqual([done.error, done.warnings], [undefined, []]);
    assert.deepEqual(await rows('id, n, thrice, stored', 't'), [
      [1, 1, 3, 2],
      [2, 2, 6, 3],
      [3, 3, 9, 4],
    ]);
  });

  test('is part of a copy, and of the table made again', async () => {
    await client.query("select m23.make_like($1, $2::regclass, $3, '')", [
      name('copy'),
      't',
      'including defaults including generated including identity including constraints',
    ]);
    const kinds = await client.query(
      `select attgenerated from pg_attribute where attrelid = 'copy'::regclass and attname = 'twice'`,
    );
    assert.deepEqual(kinds.rows, [{ attgenerated: 'v' }]);
    const {
      rows: [made],
    } = await client.query<{ sql: string }>(`select m23.table_definition('t'::regclass) -> 'create' ->> 1 as sql`);
    assert.match(made?.sql ?? '', /twice integer generated always as \(\(n \* 2\)\) virtual/);
  });

  test('that would break a check is foreseen, by what it would be', async () => {
    await client.query('update t set n = 400 where id = 1');
    const at = await now();
    await client.query('update t set n = 1 where id = 1; alter table t add check (twice < 500)');
    const seen = await preview(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('t')] });
    assert.equal(seen.wouldFail?.code, 'CONFLICT');
    assert.match(seen.wouldFail?.details.join() ?? '', /1 row\(s\) would break the constraint/);
  });
});

describe('is refused in words:', () => {
  test('a primary key without overlaps', async () => {
    await client.query(
      'create table w (id int, tenant_id uuid not null, during daterange, primary key (id, during without overlaps))',
    );
    await assert.rejects(
      client.query(`select m23.protect_table('w')`),
      /cannot be protected: it has a primary key WITHOUT OVERLAPS/,
    );
  });

  test('a foreign key with PERIOD, at both of its ends', async () => {
    await client.query(`create table p (id int primary key, tenant_id uuid not null, r int, during daterange, unique (r, during without overlaps));
      create table c (id int primary key, tenant_id uuid not null, r int, during daterange, foreign key (r, period during) references p (r, period during))`);
    for (const table of ['p', 'c']) {
      await assert.rejects(
        client.query(`select m23.protect_table('${table}')`),
        /cannot be protected: it has a part in the foreign key "c_r_during_fkey" with PERIOD/,
      );
    }
  });

  test('and noticed where it comes later', async () => {
    await client.query(`create table t (id int primary key, tenant_id uuid not null, during daterange); select m23.protect_table('t');
      insert into t values (1, '${TENANT}', '[2020-01-01,2020-02-01)')`);
    const at = await now();
    await client.query(
      'alter table t drop constraint t_pkey; alter table t add primary key (id, during without overlaps); update t set id = 2',
    );
    await assert.rejects(
      recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('t')] }),
      /VALIDATION_FAILED/,
    );
    const {
      rows: [said],
    } = await client.query<{ finding: string }>(`select finding from m23.doctor() where topic = $1`, [name('t')]);
    assert.match(said?.finding ?? '', /gap: capture is suspended: the table has a primary key WITHOUT OVERLAPS/);
  });
});

test('a unique constraint without overlaps is kept: what another tenant holds by it now is left alone', async () => {
  await client.query(`create table u (id int primary key, tenant_id uuid not null, room int, during daterange, unique (room, during without overlaps));
    select m23.protect_table('u'); insert into u values (1, '${TENANT}', 1, '[2020-01-01,2020-02-01)'), (2, '${TENANT}', 2, '[2020-01-01,2020-02-01)')`);
  const at = await now();
  await client.query(`delete from u; insert into u values (3, '${OTHER}', 1, '[2020-01-15,2020-01-20)')`);
  const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name('u')] });
  assert.equal(done.error, undefined);
  assert.match(done.warnings.join(), /1 row\(s\) were left alone/);
  assert.deepEqual(await rows('id, room', 'u'), [
    [2, 2],
    [3, 1],
  ]);
});
