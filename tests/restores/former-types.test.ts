// Types of the application that have changed since: an enum's labels, a composite type's attributes, a domain's check, or
// another type of the same name. What was logged comes back in present words, or the refusal says what stands in the way.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { actAsOwner, openDatabase, recover } from '../fixtures/database.ts';

const TENANT = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

let schemas = 0;

const { client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, TENANT, OWNER);
});

const schema = (): string => `s${schemas}`;

/** A schema with types, and a protected table `t` of two rows that uses them all. */
beforeEach(async () => {
  schemas += 1;
  await client.query(`create schema ${schema()}; set search_path = ${schema()}, public;
    create type mood as enum ('ok', 'bad', 'so so, "x"'); create domain feeling as mood;
    create type spot as (m mood, n text, ms mood[]); create type span as range (subtype = mood);
    create table t (id int primary key, tenant_id uuid not null, m mood, d feeling, ms mood[], p spot, ps spot[], r span);
    select m23.protect_table('t');
    insert into t values
      (1, '${TENANT}', 'ok', 'ok', '{ok,bad}', row('ok', 'a "q" \\ ,', '{ok,bad}'), array[row('bad', null, '{}')::spot], '[ok,bad)'),
      (2, '${TENANT}', 'bad', 'so so, "x"', '[0:1]={"so so, \\"x\\"",NULL}', row('so so, "x"', '', null), '{}', 'empty')`);
});

const DAMAGE = `update t set m = 'bad', d = 'ok', ms = '{}', p = null, ps = null, r = null where id = 1;
  delete from t where id = 2`;

/** The rows as they would be had nothing but the types changed, and as a restore has made them. */
async function afterRestore(change: string, more = ''): Promise<{ wanted: unknown[]; got: unknown[] }> {
  const at = await now();
  await client.query(`drop table if exists kept; create table kept as select * from t; ${DAMAGE}`);
  await client.query(change);
  if (more !== '') await client.query(more);
  const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`${schema()}.t`] });
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  const rows = async (of: string): Promise<unknown[]> =>
    (await client.query(`select r::text from ${of} r order by id`)).rows;
  return { wanted: await rows('kept'), got: await rows('t') };
}

/** How many ways each change is told of: the event trigger, or only the upkeep of each minute. */
async function follow(followed: boolean): Promise<void> {
  await client.query(`alter event trigger m23_follow_ddl ${followed ? 'enable always' : 'disable'}`);
}

const CHANGES: [what: string, change: string][] = [
  ['a label was renamed', `alter type mood rename value 'ok' to 'fine'`],
  ['a label with blanks and quotes was renamed', `alter type mood rename value 'so so, "x"' to 'not, "so" \\ good'`],
  [
    'two labels have exchanged their names',
    `alter type mood rename value 'ok' to 'tmp';
    alter type mood rename value 'bad' to 'ok'; alter type mood rename value 'tmp' to 'bad'`,
  ],
  [
    'a label took the name of a renamed one',
    `alter type mood rename value 'ok' to 'fine'; alter type mood add value 'ok'`,
  ],
  [
    'the type was renamed, and moved',
    `alter type mood rename value 'ok' to 'fine'; alter type mood rename to humour;
    alter type humour set schema public; alter type public.humour set schema ${'{s}'}`,
  ],
  ['a composite type got an attribute', 'alter type spot add attribute z int'],
  ['a composite type lost an attribute', 'alter type spot drop attribute n'],
  [
    'a composite type got and lost attributes, and labels were renamed',
    `alter type spot add attribute z int;
    alter type spot drop attribute m; alter type mood rename value 'bad' to 'worse'`,
  ],
];

for (const followed of [true, false]) {
  describe(`a restore to before ${followed ? '' : '(the upkeep alone tells of it) '}`, () => {
    before(() => follow(followed));
    after(() => follow(true));

    for (const [what, change] of CHANGES) {
      test(`${what} gives rows back in present words`, async () => {
        const { wanted, got } = await afterRestore(change.replace('{s}', schema()));
        assert.deepEqual(got, wanted);
      });

      test(`${what} and rows were changed since`, async () => {
        const later = `select m23_sweep(); update t set m = (enum_range(m))[1], ms = enum_range(m) where id = 1;
          update t set r = null; insert into t (id, tenant_id, m, p) select 3, '${TENANT}', m, p from t`;
        const { wanted, got } = await afterRestore(change.replace('{s}', schema()), later);
        assert.deepEqual(got, wanted);
      });
    }
  });
}

test('an enum in a key: rows are told apart by the label, whatever it is called', async () => {
  await client.query(`create table k (m mood, n int, tenant_id uuid not null, primary key (m, n)); select m23.protect_table('k');
    insert into k values ('ok', 1, '${TENANT}'), ('bad', 1, '${TENANT}'), ('bad', 2, '${TENANT}')`);
  const at = await now();
  await client.query(`delete from k where n = 2; update k set n = 7 where m = 'ok'; alter type mood rename value 'ok' to 'fine';
    alter type mood rename value 'bad' to 'ok'; update k set m = 'so so, "x"' where m = 'ok'; insert into k values ('ok', 9, '${TENANT}')`);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`${schema()}.k`] });
  assert.deepEqual((await client.query({ text: 'select m::text, n from k order by 1, 2', rowMode: 'array' })).rows, [
    ['fine', 1],
    ['ok', 1],
    ['ok', 2],
  ]);
});

test('a label that is renamed in the transaction that wrote it is read by the name that it had', async () => {
  const at = await now();
  await client.query(`begin; update t set m = 'ok' where id = 2; update t set m = 'bad' where id = 1;
    alter type mood rename value 'ok' to 'fine'; update t set m = 'fine' where id = 1; commit`);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`${schema()}.t`] });
  assert.deepEqual((await client.query({ text: 'select m::text from t order by id', rowMode: 'array' })).rows, [
    ['fine'],
    ['bad'],
  ]);
});

test('what is taken back leaves nothing', async () => {
  const at = await now();
  await client.query(`${DAMAGE}; begin; alter type mood rename value 'ok' to 'fine'; rollback`);
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`${schema()}.t`] });
  assert.deepEqual((await client.query({ text: 'select m::text from t order by id', rowMode: 'array' })).rows, [
    ['ok'],
    ['bad'],
  ]);
});

test('a domain that refuses nulls stands in the way of no restore', async () => {
  await client.query(`create domain amount as int not null check (value > 0);
    create table a (id int primary key, tenant_id uuid not null, n amount); select m23.protect_table('a');
    insert into a values (1, '${TENANT}', 5)`);
  const at = await now();
  await client.query(`insert into a values (2, '${TENANT}', 6); update a set n = 7; alter table a add column later amount default 1;
    delete from a where id = 1`);
  const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`${schema()}.a`] });
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  assert.deepEqual((await client.query({ text: 'select id, n, later from a', rowMode: 'array' })).rows, [[1, 5, 1]]);
});

test('an attribute that is gone is told of, and only where it went after the moment', async () => {
  const at = await now();
  await client.query('alter type spot drop attribute n');
  const said = async (targetTimestamp: string): Promise<string[]> =>
    (await recover(client, TENANT, OWNER, { targetTimestamp, tables: [`${schema()}.t`] })).warnings;
  assert.deepEqual(await said(at), [
    `${schema()}.t: its type ${schema()}.spot has lost an attribute since; the values of that cannot come back`,
  ]);
  assert.deepEqual(await said(await now()), []);
});

test('an array that became JSON is converted', async () => {
  await client.query(`create table j (id int primary key, tenant_id uuid not null, v text[]); select m23.protect_table('j');
    insert into j values (1, '${TENANT}', '{x,y}'), (2, '${TENANT}', '{}')`);
  const at = await now();
  await client.query(
    `update j set v = '{z}' where id = 1; delete from j where id = 2; alter table j alter v type jsonb using to_jsonb(v)`,
  );
  await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [`${schema()}.j`] });
  assert.deepEqual((await client.query({ text: 'select id, v from j order by id', rowMode: 'array' })).rows, [
    [1, ['x', 'y']],
    [2, []],
  ]);
});

/** A table whose old values do not fit what its types are now: a label is gone with its type, a check is stricter, digits are gone. */
async function misfit(): Promise<{ name: string; at: string }> {
  await client.query(`create domain small as int; create type old as enum ('x', 'y');
    create table f (id int primary key, tenant_id uuid not null, e old, s small, n text, j json); select m23.protect_table('f');
    insert into f values (1, '${TENANT}', 'x', 500, 'abc', '{"a": "\\u0000"}')`);
  const at = await now();
  await client.query(`update f set e = 'y', s = 5, n = '7', j = '{}';
    alter type old rename to older; create type old as enum ('y', 'z'); alter table f alter e type old using e::text::old;
    drop type older; alter domain small add check (value < 100); alter table f alter n type int using n::int;
    update f set s = 6, n = 8`);
  return { name: `${schema()}.f`, at };
}

describe('a value that does not fit its type any more', () => {
  test('is refused with table, column and both types, and nothing is changed', async () => {
    const { name, at } = await misfit();
    const done = await recover(client, TENANT, OWNER, { targetTimestamp: at, tables: [name] });
    assert.equal(done.error?.code, 'CONFLICT');
    const said = (column: string, type: string, more: string): string =>
      `${name}.${column}: values of then do not fit the type ${type}, as it is now (${more}); they can come back once it takes them`;
    assert.deepEqual(done.error?.details, [
      said('e', `${schema()}.old`, 'it has no value "x"'),
      said('s', `${schema()}.small`, 'small_check'),
      said('n', 'integer', 'it was text then'),
    ]);
    assert.deepEqual((await client.query({ text: 'select s, n from f', rowMode: 'array' })).rows, [[6, 8]]);
  });

  test('is refused so by every other way into the past', async () => {
    const { name, at } = await misfit();
    const refused = { code: 'PGRST', message: /"CONFLICT".*\.e: .*\.n: values of then do not fit the type integer/ };
    await assert.rejects(client.query('select public.get_rows_as_of($1, $2)', [name, at]), refused);
    await assert.rejects(client.query('select public.calculate_pitr_stats($1, $2)', [TENANT, at]), refused);
    await assert.rejects(client.query('select public.calculate_pitr_stats($1, $2, now())', [TENANT, at]), refused);
    await client.query(`select m23.unprotect_table('f')`);
  });

  test('is listed as it was logged, and never keeps others from being listed', async () => {
    const { name } = await misfit();
    await client.query(`${DAMAGE}; alter type mood rename value 'ok' to 'fine'`);
    const { rows } = await client.query('select operation, old_values from public.get_transaction_logs($1, $2)', [
      TENANT,
      name,
    ]);
    assert.deepEqual(rows, [
      { operation: 'UPDATE', old_values: { id: 1, tenant_id: TENANT, e: 'y', s: 5, n: 7 } },
      {
        operation: 'UPDATE',
        old_values: { id: 1, tenant_id: TENANT, e: 'x', s: '500', n: 'abc', j: '{"a": "\\u0000"}' },
      },
      { operation: 'INSERT', old_values: null },
    ]);
    const {
      rows: [all],
    } = await client.query<{ n: number; ids: number; moods: unknown[] }>(`
      select count(*)::int as n, count(distinct (id, transaction_id))::int as ids,
             array_agg(old_values -> 'm' order by id) filter (where table_name = '${schema()}.t' and old_values is not null) as moods
        from public.transaction_logs where table_name like '${schema()}.%'`);
    assert.deepEqual(all, { n: 7, ids: 7, moods: ['fine', 'bad'] });
    await client.query(`select m23.unprotect_table('f')`);
  });
});

test('code that is found by the search path alone is found when the log is listed', async () => {
  await client.query(`create function small_enough(n int) returns boolean language plpgsql immutable as $$ begin return n < 100; end $$;
    create function checked(n int) returns boolean language plpgsql immutable as $$ begin return small_enough(n); end $$;
    create domain checked_int as int check (checked(value)); alter database postgres set search_path = ${schema()}, public;
    create table c (id int primary key, tenant_id uuid not null, n checked_int); select m23.protect_table('c');
    insert into c values (1, '${TENANT}', 5); update c set n = 6`);
  const { rows } = await client.query(
    "select old_values -> 'n' as n from public.get_transaction_logs($1, $2, 'UPDATE')",
    [TENANT, `${schema()}.c`],
  );
  assert.deepEqual(rows, [{ n: 5 }]);
  await client.query('alter database postgres reset search_path');
});

test('of types that are gone nothing is kept', async () => {
  await client.query(`drop schema ${schema()} cascade; select m23_sweep()`);
  const { rows } = await client.query(
    'select from m23.type_versions v where not exists (select from pg_type t where t.oid = v.type)',
  );
  assert.equal(rows.length, 0);
});
