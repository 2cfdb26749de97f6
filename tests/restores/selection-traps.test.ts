// Choosing rows, where what is chosen is entangled with what is not: keys and values that others have taken, parents
// that moved, tables of any shape. Whatever is chosen, the other tenant's rows stay as they are.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import {
  actAsOwner,
  type Outcome,
  openDatabase,
  type Preview,
  preview,
  recover,
  rowTexts,
} from '../fixtures/database.ts';

const ACME = '11111111-1111-4111-8111-111111111111';
const BIRCH = '22222222-2222-4222-8222-222222222222';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';

const { client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, ACME, OWNER);
});

let places = 0;

/** Tables in a schema of their own, protected unless `protect` says how; gives a moment after that. */
async function place(sql: string, later: string, protect?: string): Promise<{ schema: string; at: string }> {
  places += 1;
  const schema = `t${places}`;
  await client.query(`create schema ${schema}; set search_path = ${schema}; ${sql}`);
  await client.query(
    protect ??
      `select m23.protect_table(c.oid::regclass) from pg_class c where relnamespace = '${schema}'::regnamespace
          and relkind in ('r', 'p') and not relispartition order by c.oid`,
  );
  const at = await now();
  await client.query(later);
  return { schema, at };
}

type Choice = Record<string, unknown>;

/** The dry run and then the execution, which say the same. */
async function restored(at: string, choice: Choice): Promise<{ seen: Preview; done: string[] }> {
  const body = { targetTimestamp: at, ...choice };
  const seen = await preview(client, ACME, OWNER, body);
  const outcome = await recover(client, ACME, OWNER, { ...body, planHash: seen.planHash });
  assert.equal(outcome.error, undefined, JSON.stringify(outcome.error));
  assert.equal(seen.wouldFail, undefined);
  assert.deepEqual(outcome.warnings, seen.warnings);
  assert.equal(outcome.rows_restored, seen.stats.totalOperations);
  const done = Object.values(seen.previewChanges).flatMap((rows) =>
    rows.map(({ operation, key }) => `${operation} ${Object.values(key as object).join(',')}`),
  );
  return { seen, done };
}

/** What the execution of a choice is refused with. */
async function refusal(at: string, choice: Choice): Promise<NonNullable<Outcome['error']>> {
  const { error } = await recover(client, ACME, OWNER, { targetTimestamp: at, ...choice });
  assert.ok(error, 'it was not refused');
  return error;
}

const rows = (sql: string): Promise<string[]> => rowTexts(client, sql);

describe('keys', () => {
  test('that were swapped are swapped back when both are chosen', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null, code text unique);
       insert into t values (1, '${ACME}', 'a'), (2, '${ACME}', 'b'), (3, '${ACME}', 'c')`,
      `update t set id = -id where id < 3; update t set id = 3 + id where id < 0; update t set code = 'z' where id = 3`,
    );
    const table = `${schema}.t`;
    const { done } = await restored(at, { rows: { [table]: [{ id: 1 }, { id: 2 }] } });
    assert.deepEqual(done, ['update 1', 'update 2']);
    assert.deepEqual(await rows(`select id, code from ${table}`), ['(1,a)', '(2,b)', '(3,z)']);
  });

  test('of which one alone is chosen are refused, as the other row has its value', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null, code text unique);
       insert into t values (1, '${ACME}', 'a'), (2, '${ACME}', 'b')`,
      `update t set code = 'x' where id = 1; update t set code = 'a' where id = 2; update t set code = 'b' where id = 1`,
    );
    const choice = { rows: { [`${schema}.t`]: [{ id: 1 }] } };
    const seen = await preview(client, ACME, OWNER, { targetTimestamp: at, ...choice });
    const { code, details } = await refusal(at, choice);
    assert.equal(code, 'CONFLICT');
    assert.deepEqual(details, [
      `${schema}.t: 1 row(s) would break "t_code_key", which allows no two rows alike; they can come back once it does`,
    ]);
    assert.deepEqual(seen.wouldFail?.details, details);
    assert.deepEqual(await rows(`select id, code from ${schema}.t`), ['(1,b)', '(2,a)']);
  });

  test('that another tenant has by now are left alone, with a warning', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null, n int);
       insert into t select n, '${ACME}', n from generate_series(1, 3) n`,
      `delete from t where id < 3; insert into t values (1, '${BIRCH}', 100)`,
    );
    const { done, seen } = await restored(at, { rows: { [`${schema}.t`]: [{ id: 1 }, { id: 2 }] } });
    assert.deepEqual(done, ['insert 2']);
    assert.match(seen.warnings.join(), /1 row\(s\) were left alone/);
    assert.deepEqual(await rows(`select id, n from ${schema}.t`), ['(1,100)', '(2,2)', '(3,3)']);
  });

  test('of rows that moved to another tenant, and of those that came from there, are left alone', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null);
       insert into t values (1, '${ACME}'), (2, '${BIRCH}')`,
      `update t set tenant_id = '${BIRCH}' where id = 1; update t set tenant_id = '${ACME}' where id = 2`,
    );
    const { done } = await restored(at, { rows: { [`${schema}.t`]: [{ id: 1 }, { id: 2 }] } });
    assert.deepEqual(done, []);
    assert.deepEqual(await rows(`select id, tenant_id from ${schema}.t`), [`(1,${BIRCH})`, `(2,${ACME})`]);
  });

  test('that an update has made and taken are rows of their own', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null, n int); insert into t values (1, '${ACME}', 1)`,
      'update t set id = 9',
    );
    const table = `${schema}.t`;
    assert.deepEqual((await restored(at, { tables: [table], operations: ['delete'] })).done, ['insert 1']);
    assert.deepEqual((await restored(at, { rows: { [table]: [{ id: 9 }] } })).done, ['delete 9']);
  });
});

describe('parents', () => {
  test('rows that hang on another parent now are brought back to the one of then', async () => {
    const { schema, at } = await place(
      `create table o (id int primary key, tenant_id uuid not null);
       create table i (id int primary key, tenant_id uuid not null, o int references o);
       insert into o values (1, '${ACME}'), (2, '${ACME}'); insert into i values (1, '${ACME}', 1), (2, '${ACME}', 2)`,
      'update i set o = 3 - o',
    );
    const { done } = await restored(at, { rows: { [`${schema}.o`]: [{ id: 1 }] }, withRelated: 'children' });
    assert.deepEqual(done, ['update 1']);
    assert.deepEqual(await rows(`select id, o from ${schema}.i`), ['(1,1)', '(2,1)']);
  });

  test('one that would go while others need it is refused, or goes with its children', async () => {
    const { schema, at } = await place(
      `create table o (id int primary key, tenant_id uuid not null);
       create table i (id int primary key, tenant_id uuid not null, o int references o on delete cascade);
       insert into o values (1, '${ACME}'); insert into i values (1, '${ACME}', 1)`,
      `insert into o values (2, '${ACME}'); insert into i values (2, '${ACME}', 2)`,
    );
    const chosen = { rows: { [`${schema}.o`]: [{ id: 2 }] } };
    const { code, details } = await refusal(at, chosen);
    assert.equal(code, 'VALIDATION_FAILED');
    assert.match(
      details[0] ?? '',
      /would go, and rows of ".*i" need them; choose those of ".*i" too, or set withRelated: "children"/,
    );
    assert.deepEqual((await restored(at, { ...chosen, withRelated: 'children' })).done, ['delete 2', 'delete 2']);
    assert.deepEqual(await rows(`select id from ${schema}.i`), ['(1)']);
  });

  test('a table that is truncated with what hangs on it comes back in part', async () => {
    const { schema, at } = await place(
      `create table o (id int primary key, tenant_id uuid not null);
       create table i (id int primary key, tenant_id uuid not null, o int references o);
       insert into o select n, '${ACME}' from generate_series(1, 3) n; insert into o values (9, '${BIRCH}');
       insert into i select n, '${ACME}', n from generate_series(1, 3) n; insert into i values (9, '${BIRCH}', 9)`,
      'truncate o cascade',
    );
    const { done } = await restored(at, { rows: { [`${schema}.i`]: [{ id: 2 }] }, withRelated: 'parents' });
    assert.deepEqual(done, ['insert 2', 'insert 2']);
    assert.deepEqual(await rows(`select id from ${schema}.o`), ['(2)']);
  });

  test('what is chosen under the parents of a chain, a thousand deep', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null, up int references t on delete cascade);
       insert into t select n, '${ACME}', nullif(n - 1, 0) from generate_series(1, 1000) n`,
      'delete from t',
    );
    const { seen } = await restored(at, { rows: { [`${schema}.t`]: [{ id: 1000 }] }, withRelated: 'parents' });
    assert.equal(seen.stats.insertCount, 1000);
  });

  test('a reference that may be null is set null where its parent was not chosen', async () => {
    const { schema, at } = await place(
      `create table o (id int primary key, tenant_id uuid not null);
       create table i (id int primary key, tenant_id uuid not null, o int references o on delete cascade);
       insert into o values (1, '${ACME}'); insert into i values (1, '${ACME}', 1)`,
      'delete from o',
    );
    await restored(at, { rows: { [`${schema}.i`]: [{ id: 1 }] }, onBlocked: 'null' });
    assert.deepEqual(await rows(`select id, o from ${schema}.i`), ['(1,)']);
  });
});

describe('tables of any shape', () => {
  test('columns that were added or dropped since', async () => {
    const { schema, at } = await place(
      `create table t (id int primary key, tenant_id uuid not null, a int, b int);
       insert into t select n, '${ACME}', n, n from generate_series(1, 4) n`,
      `alter table t add c int default 7; alter table t drop b; update t set a = 0, c = 1 where id = 1;
       delete from t where id = 2; update t set a = 0 where id = 3`,
    );
    const table = `${schema}.t`;
    const { done } = await restored(at, { where: { [table]: { a: { in: [1, 2] } } } });
    assert.deepEqual(done, ['update 1', 'insert 2']);
    assert.deepEqual(await rows(`select id, a, c from ${table}`), ['(1,1,1)', '(2,2,7)', '(3,0,7)', '(4,4,7)']);
  });

  test('tenancy by a path: children of chosen rows, and rows whose parent is gone', async () => {
    const { schema, at } = await place(
      `create table p (id int primary key, tenant_id uuid not null);
       create table c (id int primary key, p_id int references p on delete cascade, v int);
       insert into p values (1, '${ACME}'), (2, '${ACME}'), (9, '${BIRCH}');
       insert into c values (1, 1, 1), (2, 1, 2), (3, 2, 3), (9, 9, 9)`,
      'delete from p where id in (1, 9); update c set v = 0 where id = 3',
      `select m23.protect_table('p'); select m23.protect_table('c', via => 'p_id')`,
    );
    const none = await refusal(at, { rows: { [`${schema}.c`]: [{ id: 9 }] } });
    assert.deepEqual(none.details, [`rows.${schema}.c[0]: is no key of a row of this tenant`]);
    const { done } = await restored(at, { rows: { [`${schema}.c`]: [{ id: 2 }] }, withRelated: 'parents' });
    assert.deepEqual(done.sort(), ['insert 1', 'insert 2']);
    assert.deepEqual(await rows(`select id, v from ${schema}.c`), ['(2,2)', '(3,0)']);
    const rest = await restored(at, { rows: { [`${schema}.p`]: [{ id: 1 }, { id: 2 }] }, withRelated: 'children' });
    assert.deepEqual(rest.done, ['insert 1', 'update 3']);
    assert.deepEqual(await rows(`select id from ${schema}.p`), ['(1)', '(2)']);
  });

  test('a path without a constraint', async () => {
    const { schema, at } = await place(
      `create table p (id int primary key, tenant_id uuid not null); create table c (id int primary key, p_id int);
       insert into p values (1, '${ACME}'); insert into c values (1, 1), (2, 1)`,
      'delete from c; delete from p',
      `select m23.protect_table('p'); select m23.protect_table('c', via => 'p_id -> ' || current_schema || '.p')`,
    );
    const { done } = await restored(at, { rows: { [`${schema}.p`]: [{ id: 1 }] }, withRelated: 'children' });
    assert.deepEqual(done.sort(), ['insert 1', 'insert 1', 'insert 2']);
  });

  test('partitions', async () => {
    const { schema, at } = await place(
      `create table o (id int, day int, tenant_id uuid not null, primary key (id, day)) partition by range (day);
       create table o1 partition of o for values from (0) to (10);
       create table o2 partition of o for values from (10) to (20);
       create table i (id int primary key, tenant_id uuid not null, o int, day int,
         foreign key (o, day) references o on delete cascade);
       insert into o values (1, 5, '${ACME}'), (2, 15, '${ACME}'), (3, 15, '${ACME}');
       insert into i values (1, '${ACME}', 1, 5), (2, '${ACME}', 2, 15), (3, '${ACME}', 3, 15)`,
      'delete from o where id = 1; delete from i where id = 2',
    );
    const children = await restored(at, {
      rows: { [`${schema}.o`]: [{ id: 2, day: 15 }] },
      withRelated: 'children',
    });
    assert.deepEqual(children.done, ['insert 2'], 'passed through a row that has not changed');
    const parents = await restored(at, { rows: { [`${schema}.i`]: [{ id: 1 }] }, withRelated: 'parents' });
    assert.deepEqual(parents.done.sort(), ['insert 1', 'insert 1,5']);
  });

  test('names and values that are SQL', async () => {
    const { schema, at } = await place(
      `create table "a'b" ("k""1" text primary key, tenant_id uuid not null, "sel;ect" text);
       insert into "a'b" values ('x''--', '${ACME}', $$'; drop table "a'b"; --$$), ('y', '${ACME}', 'z')`,
      `delete from "a'b"`,
    );
    const table = `${schema}.a'b`;
    const value = `'; drop table "a'b"; --`;
    assert.deepEqual((await restored(at, { where: { [table]: { 'sel;ect': value } } })).done, ["insert x'--"]);
    await client.query(`delete from ${schema}."a'b"`);
    assert.deepEqual((await restored(at, { rows: { [table]: [{ 'k"1': "x'--" }] } })).done, ["insert x'--"]);
  });

  test('values of a type of the application, and what its operators call equal', async () => {
    const { schema, at } = await place(
      `create type mood as enum ('sad', 'glad'); create domain positive as int check (value > 0);
       create table t (id uuid primary key default gen_random_uuid(), tenant_id uuid not null, m mood, p positive,
         on_day timestamptz, f boolean, fixed char(5));
       insert into t values ('00000000-0000-0000-0000-000000000001', '${ACME}', 'sad', 1, '2026-01-01 12:00+02', true, 'a'),
         ('00000000-0000-0000-0000-000000000002', '${ACME}', 'glad', 2, '2026-01-02', false, 'b')`,
      'delete from t',
    );
    const table = `${schema}.t`;
    const count = async (filter: unknown): Promise<number> =>
      (await preview(client, ACME, OWNER, { targetTimestamp: at, where: { [table]: filter } })).stats.totalOperations;
    assert.equal(await count({ m: 'sad' }), 1);
    assert.equal(await count({ m: { gte: 'sad' } }), 2);
    assert.equal(await count({ p: '2' }), 1);
    assert.equal(await count({ on_day: '2026-01-01T10:00:00Z' }), 1);
    assert.equal(await count({ f: false }), 1);
    assert.equal(await count({ fixed: 'a' }), 1);
    const { details } = await recover(client, ACME, OWNER, {
      targetTimestamp: at,
      where: { [table]: { m: 'angry', f: 'maybe' } },
    }).then(
      () => assert.fail('it was not refused'),
      (error: Error) => JSON.parse(error.message) as { details: string },
    );
    assert.deepEqual(JSON.parse(details), [
      `where.${table}.f: "maybe" is no boolean`,
      `where.${table}.m: "angry" is no ${schema}.mood`,
    ]);
  });
});

describe('tables that say who has access', () => {
  test('are restored by rows, left out by none, and not chosen by where alone', async () => {
    const { schema, at } = await place(
      `create table members (id int primary key, tenant_id uuid not null, user_id uuid, role text);
       create table teams (id int primary key, tenant_id uuid not null);
       create table notes (id int primary key, tenant_id uuid not null, member int references members on delete cascade);
       insert into members values (1, '${ACME}', '${OWNER}', 'owner'), (2, '${ACME}', null, 'viewer');
       insert into teams values (1, '${ACME}'); insert into notes values (1, '${ACME}', 2)`,
      'delete from members where id = 2; delete from teams',
    );
    await client.query(`select m23.set_access_tables(array['${schema}.members']::regclass[])`);
    const members = `${schema}.members`;
    try {
      await assert.rejects(
        preview(client, ACME, OWNER, { targetTimestamp: at, where: { [members]: { role: 'viewer' } } }),
        /says who has access: name its rows in rows, or the table in tables/,
      );
      const related = await refusal(at, { rows: { [`${schema}.notes`]: [{ id: 1 }] }, withRelated: 'parents' });
      assert.equal(related.code, 'VALIDATION_FAILED');
      const { done, seen } = await restored(at, { rows: { [members]: [{ id: 2 }] } });
      assert.deepEqual(done, ['insert 2']);
      assert.deepEqual(seen.warnings, [
        `${members} says who has access: its rows that come back give access, and those that go take it`,
        `${members}: access changes: : none → viewer`,
      ]);
    } finally {
      await client.query(`select m23.set_access_tables('{}')`);
    }
  });
});

describe('the limit of related rows', () => {
  test('is 100,000: beyond it the choice is refused with the counts by table', async () => {
    const { schema, at } = await place(
      `create table o (id int primary key, tenant_id uuid not null);
       create table i (id int primary key, tenant_id uuid not null, o int references o on delete cascade);
       insert into o values (1, '${ACME}'); insert into i select n, '${ACME}', 1 from generate_series(1, 100001) n;
       create index on i (o)`,
      'delete from o',
    );
    const chosen = { rows: { [`${schema}.o`]: [{ id: 1 }] }, withRelated: 'children' };
    const { code, details } = await refusal(at, chosen);
    assert.equal(code, 'VALIDATION_FAILED');
    assert.deepEqual(details, [`withRelated: 100001 row(s) of "${schema}.i" would come along`]);
    const fewer = { ...chosen, exceptRows: { [`${schema}.i`]: [{ id: 1 }] } };
    const seen = await preview(client, ACME, OWNER, { targetTimestamp: at, ...fewer });
    assert.equal(seen.stats.insertCount, 100001);
  });
});

describe('laws, on random histories', () => {
  const seed = Number(process.env.SEED ?? 20261130);

  /** Numbers below a bound, the same for the same seed. */
  function random(from: number): (below: number) => number {
    let state = from;
    return (below) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  test(`a selection and then its complement restore all (seed ${seed})`, async () => {
    for (let round = 0; round < 8; round += 1) {
      const pick = random(seed + round);
      const { schema, at } = await place(
        `create table t (id int primary key, tenant_id uuid not null, v int, up int references t deferrable initially deferred);
         insert into t select n, '${ACME}', n % 3, null from generate_series(1, 12) n;
         insert into t select n, '${BIRCH}', n, null from generate_series(101, 104) n`,
        '',
      );
      const table = `${schema}.t`;
      const then = await rows(`select * from ${table}`);
      for (let change = 0; change < 14; change += 1) {
        const id = 1 + pick(16);
        await client.query(
          [
            `delete from ${table} where id = ${id} and tenant_id = '${ACME}'`,
            `insert into ${table} values (${id}, '${ACME}', ${pick(3)}) on conflict do nothing`,
            `update ${table} set v = ${pick(3)} where id = ${id} and tenant_id = '${ACME}'`,
            `with x as (delete from ${table} where id = ${id} and tenant_id = '${ACME}' returning id)
               insert into ${table} select id + 20, '${ACME}', 1 from x on conflict do nothing`,
          ][pick(4)] ?? '',
        );
      }
      const others = `select * from ${table} where tenant_id = '${BIRCH}'`;
      const before = await rows(others);
      const { rows: had } = await client.query<{ id: number }>(
        `select id from ${table} where tenant_id = '${ACME}' union select generate_series(1, 12) order by 1`,
      );
      const keys = had.filter(() => pick(2) === 0);
      if (keys.length === 0) continue;
      await restored(at, { rows: { [table]: keys } });
      await restored(at, { tables: [table], exceptRows: { [table]: keys } });
      assert.deepEqual(await rows(`select * from ${table}`), then, `seed ${seed}, round ${round}`);
      assert.deepEqual(await rows(others), before);
    }
  });
});
