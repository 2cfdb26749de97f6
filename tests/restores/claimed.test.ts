// What a restore does where another tenant's row, or nobody's, stands where one of its own should be.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { actAsOwner, openDatabase, recover, rowTexts, startDatabase } from '../fixtures/database.ts';
import { databaseTime } from '../fixtures/time.ts';
import { assertWarned, leftAlone } from '../fixtures/warnings.ts';

const ACME = '11111111-1111-4111-8111-111111111111';
const OWNER = 'aaaaaaaa-0000-4000-8000-000000000001';
const BIRCH = '22222222-2222-4222-8222-222222222222';

const { postgres, client, now } = await openDatabase();

before(async () => {
  await actAsOwner(client, ACME, OWNER);
  await client.query('create schema if not exists extensions; create extension if not exists citext schema extensions');
  await client.query('create extension if not exists btree_gist schema extensions');
});

interface Plan {
  warnings: string[];
  stats: {
    totalOperations: number;
    insertCount: number;
    updateCount: number;
    deleteCount: number;
    affectedTables: string[];
  };
  planHash: string;
  previewChanges: Record<string, { operation: string; key: { id: number }; now: unknown; then: unknown }[]>;
}

/** Makes the table `t` in a schema of its own, and protects it. */
async function table(schema: string, columns: string, rows: string): Promise<void> {
  await client.query(`create schema ${schema}; set search_path = ${schema}, extensions;
    create table t (id int primary key, tenant_id uuid, ${columns}); insert into t values ${rows};
    select m23.protect_table('${schema}.t')`);
}

async function planned(body: Record<string, unknown>): Promise<Plan> {
  const {
    rows: [request],
  } = await client.query<{ id: string }>(
    `insert into m23.requests (id, tenant_id, user_id, function) values (gen_random_uuid(), $1, $2, 'pitr-restore') returning id`,
    [ACME, OWNER],
  );
  const {
    rows: [row],
  } = await client.query<{ preview: Plan }>('select public.m23_preview_pitr($1, $2) as preview', [
    request?.id,
    { ...body, dryRun: true },
  ]);
  assert.ok(row);
  return row.preview;
}

interface Restored {
  rows: string[];
  warnings: string[];
  plan: Plan;
  snapshot: string;
}

/** Restores `t` as its dry run says beforehand; gives its rows. */
async function restored(schema: string, at: string): Promise<Restored> {
  const body = { targetTimestamp: at, tables: [`${schema}.t`] };
  const plan = await planned(body);
  const done = await recover(client, ACME, OWNER, { ...body, planHash: plan.planHash });
  assert.equal(done.error, undefined, JSON.stringify(done.error));
  assert.deepEqual(done.warnings, plan.warnings, 'the dry run has said so');
  assert.equal(done.rows_restored, plan.stats.totalOperations);
  return { rows: await rows(), warnings: done.warnings, plan, snapshot: done.snapshot_id };
}

/** The rows of `t`, with A, B and - for the tenants. */
async function rows(): Promise<string[]> {
  return (await rowTexts(client, 'table t')).map((row) =>
    row
      .replace(ACME, 'A')
      .replace(BIRCH, 'B')
      .replace(/^(\(\d+),,/, '$1,-,'),
  );
}

function takenBack(name: string, count: number): RegExp {
  return new RegExp(`^${name.replace('.', '\\.')}: ${count} row\\(s\\) that had become nobody's`);
}

describe("another tenant's row", () => {
  test('under an exclusion constraint keeps its place', async () => {
    await table(
      'slots',
      'room int, during int4range, v text, exclude using gist (room with =, during with &&)',
      `(1, '${ACME}', 1, '[1,5)', 'a'), (2, '${ACME}', 1, '[5,9)', 'a'), (3, '${ACME}', 2, '[1,5)', 'a')`,
    );
    const at = await now();
    await client.query(`delete from t where id = 1; update t set v = 'x', during = '[20,21)' where id in (2, 3);
      insert into t values (9, '${BIRCH}', 1, '[4,6)', 'b')`);
    const { rows: found, warnings } = await restored('slots', at);
    assertWarned(warnings, leftAlone('slots.t', 2));
    assert.deepEqual(found, ['(2,A,1,"[20,21)",x)', '(3,A,2,"[1,5)",a)', '(9,B,1,"[4,6)",b)']);
  });

  test('under a deferrable exclusion constraint keeps its place', async () => {
    await table(
      'deferred',
      'room int, v text, exclude using gist (room with =) deferrable initially deferred',
      `(1, '${ACME}', 1, 'a'), (2, '${ACME}', 2, 'a')`,
    );
    const at = await now();
    await client.query(`delete from t; insert into t values (9, '${BIRCH}', 1, 'b')`);
    const { rows: found, warnings } = await restored('deferred', at);
    assertWarned(warnings, leftAlone('deferred.t', 1));
    assert.deepEqual(found, ['(2,A,2,a)', '(9,B,1,b)']);
  });

  test('under a partial exclusion constraint over an expression keeps its place', async () => {
    await table(
      'partly',
      `v text, live boolean, exclude using btree ((v::citext) with =) where (live)`,
      `(1, '${ACME}', 'Anna', true), (2, '${ACME}', 'Bob', false)`,
    );
    const at = await now();
    await client.query(
      `delete from t; insert into t values (8, '${BIRCH}', 'ANNA', true), (9, '${BIRCH}', 'Bob', true)`,
    );
    const { rows: found, warnings } = await restored('partly', at);
    assertWarned(warnings, leftAlone('partly.t', 1));
    assert.deepEqual(found, ['(2,A,Bob,f)', '(8,B,ANNA,t)', '(9,B,Bob,t)']);
  });

  test('that has null where nulls are equal keeps it', async () => {
    await table(
      'nulls',
      'a int, b int, v text, unique nulls not distinct (a, b)',
      `(1, '${ACME}', 1, null, 'a'), (2, '${ACME}', null, null, 'a'), (3, '${ACME}', 1, 1, 'a'), (4, '${ACME}', 2, null, 'a')`,
    );
    const at = await now();
    await client.query(
      `delete from t; insert into t values (8, '${BIRCH}', 1, null, 'b'), (9, '${BIRCH}', null, null, 'b')`,
    );
    const { rows: found, warnings } = await restored('nulls', at);
    assertWarned(warnings, leftAlone('nulls.t', 2));
    assert.deepEqual(found, ['(3,A,1,1,a)', '(4,A,2,,a)', '(8,B,1,,b)', '(9,B,,,b)']);
  });

  test('that has the value of a unique generated column keeps it', async () => {
    await table(
      'generated',
      'mail text, low text generated always as (lower(mail)) stored unique',
      `(1, '${ACME}', 'Anna'), (2, '${ACME}', 'Bob')`,
    );
    const at = await now();
    await client.query(`delete from t; insert into t values (9, '${BIRCH}', 'ANNA')`);
    const { rows: found, warnings } = await restored('generated', at);
    assertWarned(warnings, leftAlone('generated.t', 1));
    assert.deepEqual(found, ['(2,A,Bob,bob)', '(9,B,ANNA,anna)']);
  });

  test('that has a value which is unique in one partition keeps it', async () => {
    await client.query(`create schema parts; set search_path = parts;
      create table t (id int primary key, tenant_id uuid, v text) partition by range (id);
      create table t1 partition of t for values from (0) to (10); create table t2 partition of t for values from (10) to (20);
      create unique index on t1 (v);
      insert into t values (1, '${ACME}', 'a'), (11, '${ACME}', 'a'), (12, '${ACME}', 'b'); select m23.protect_table('parts.t')`);
    const at = await now();
    await client.query(`delete from t; insert into t values (2, '${BIRCH}', 'a'), (3, '${BIRCH}', 'b')`);
    const { rows: found, warnings } = await restored('parts', at);
    assertWarned(warnings, leftAlone('parts.t', 1));
    assert.deepEqual(found, ['(11,A,a)', '(12,A,b)', '(2,B,a)', '(3,B,b)']);
  });

  test('keeps its value, and the row that was to have it keeps its own, which no other takes from it', async () => {
    await table('chain', 'v text unique', `(1, '${ACME}', 'a'), (2, '${ACME}', 'b'), (3, '${ACME}', 'c')`);
    const at = await now();
    await client.query(`update t set v = 'x' where id = 1; update t set v = 'y' where id = 3; update t set v = 'c' where id = 2;
      delete from t where id = 3; insert into t values (9, '${BIRCH}', 'b')`);
    const { rows: found, warnings } = await restored('chain', at);
    assertWarned(warnings, leftAlone('chain.t', 2));
    assert.deepEqual(found, ['(1,A,a)', '(2,A,c)', '(9,B,b)']);
  });

  test('that has come to the tenant with a value keeps it', async () => {
    await table('came', 'v text unique', `(1, '${ACME}', 'a'), (2, '${ACME}', 'b'), (9, '${BIRCH}', 'x')`);
    const at = await now();
    await client.query(
      `delete from t where tenant_id = '${ACME}'; update t set tenant_id = '${ACME}', v = 'a' where id = 9`,
    );
    const { rows: found, warnings } = await restored('came', at);
    assertWarned(warnings, leftAlone('came.t', 2));
    assert.deepEqual(found, ['(2,A,b)', '(9,A,a)']);
  });

  for (const [schema, constraint] of [
    ['racing', 'exclude using btree (v with =)'],
    ['racing_later', 'exclude using btree (v with =) deferrable'],
    ['racing_nulls', 'unique nulls not distinct (w)'],
  ] as const) {
    test(`is noticed when it comes while a restore writes: ${constraint}`, async () => {
      await table(schema, `v text, w int, ${constraint}`, `(1, '${ACME}', 'a', null), (2, '${ACME}', 'b', 2)`);
      const at = await now();
      await client.query(`delete from t; create function wait() returns trigger language plpgsql as $$ begin
          if new.id = 1 then perform pg_sleep(1); end if; return new; end $$;
        create trigger wait before insert on t for each row execute function wait(); alter table t enable always trigger wait`);
      const done = recover(client, ACME, OWNER, { targetTimestamp: at, tables: [`${schema}.t`] });
      const other = await postgres.connect();
      try {
        const until = Date.now() + 10_000;
        while (
          (await other.query(`select from pg_stat_activity where wait_event = 'PgSleep' and query ~ 'm23_execute'`))
            .rowCount === 0
        ) {
          assert.ok(Date.now() < until, 'the restore came to its rows');
        }
        await other.query(`insert into ${schema}.t values (9, '${BIRCH}', 'a', null)`).catch(() => undefined);
      } finally {
        await other.end();
      }
      const { error, warnings } = await done;
      assert.equal(error, undefined, JSON.stringify(error));
      assertWarned(warnings, leftAlone(`${schema}.t`, 1), /fire always/);
      assert.deepEqual(await rows(), ['(2,A,b,2)', '(9,B,a,)']);
    });
  }
});

describe("a row that became nobody's", () => {
  test("is the tenant's again, as it was, and it is said", async () => {
    await table(
      'nobody',
      'v text, n int generated always as identity',
      `(1, '${ACME}', 'a'), (2, '${ACME}', 'a'), (3, '${ACME}', 'a'), (8, null, 'n'), (9, '${BIRCH}', 'b')`,
    );
    const at = await now();
    await client.query(
      `update t set tenant_id = null, v = 'x' where id = 1; update t set tenant_id = null where id = 2; update t set v = 'y' where id = 1`,
    );
    const { rows: found, warnings, plan, snapshot } = await restored('nobody', at);
    assertWarned(warnings, takenBack('nobody.t', 2));
    assert.deepEqual(found, ['(1,A,a,1)', '(2,A,a,2)', '(3,A,a,3)', '(8,-,n,4)', '(9,B,b,5)']);
    assert.deepEqual(plan.stats, {
      totalOperations: 2,
      insertCount: 2,
      updateCount: 0,
      deleteCount: 0,
      affectedTables: ['nobody.t'],
    });
    assert.deepEqual(
      plan.previewChanges['nobody.t']?.map(({ operation, now: is }) => [operation, is]),
      [
        ['insert', null],
        ['insert', null],
      ],
      "nobody's values are not shown",
    );
    const undone = await recover(client, ACME, OWNER, { snapshotId: snapshot });
    assertWarned(undone.warnings, leftAlone('nobody.t', 2));
    assert.deepEqual(await rows(), found, 'it has come from outside since: it is not deleted');
  });

  test("and was made anew since is the tenant's again, to its last column", async () => {
    await table('anew', 'n int generated always as identity, v text', `(1, '${ACME}', default, 'a')`);
    const at = await now();
    await client.query(`delete from t; insert into t values (1, null, default, 'x')`);
    const { rows: found, warnings } = await restored('anew', at);
    assertWarned(warnings, takenBack('anew.t', 1));
    assert.deepEqual(found, ['(1,A,1,a)']);
  });

  test('is deleted by nobody, and keeps what refers to it', async () => {
    await table('referred', 'v text', `(1, '${ACME}', 'a'), (2, '${ACME}', 'a')`);
    await client.query(
      'create table child (id int primary key, t int references t on delete cascade); insert into child values (1, 1)',
    );
    const at = await now();
    await client.query(`update t set tenant_id = null, v = 'x' where id = 1`);
    const { rows: found, warnings } = await restored('referred', at);
    assertWarned(warnings, takenBack('referred.t', 1));
    assert.deepEqual(found, ['(1,A,a)', '(2,A,a)']);
    assert.deepEqual(await rowTexts(client, 'table child'), ['(1,1)']);
  });

  test('after which nothing else refers to what it was', async () => {
    await table('target', 'v text unique', `(1, '${ACME}', 'a')`);
    await client.query('create table child (id int primary key, v text references t (v) on update cascade)');
    const at = await now();
    await client.query(`update t set tenant_id = null, v = 'x' where id = 1; insert into child values (1, 'x')`);
    const done = await recover(client, ACME, OWNER, { targetTimestamp: at, tables: ['target.t'] });
    assert.match(String(done.error?.details), /rows of "target\.child" need them/);
    assert.deepEqual(await rows(), ['(1,-,x)']);
  });

  test("is taken back though its values are exchanged with another's", async () => {
    await table('exchanged', 'v text, unique (tenant_id, v)', `(1, '${ACME}', 'a'), (2, '${ACME}', 'b')`);
    const at = await now();
    await client.query(`update t set tenant_id = null where id = 1; update t set v = 'a' where id = 2`);
    const { rows: found, warnings } = await restored('exchanged', at);
    assertWarned(warnings, takenBack('exchanged.t', 1));
    assert.deepEqual(found, ['(1,A,a)', '(2,A,b)']);
  });

  test('keeps a unique value that only a row of another key wants', async () => {
    await table('unique_only', 'v text unique', `(1, '${ACME}', 'a'), (2, '${ACME}', 'b'), (3, '${ACME}', 'c')`);
    const at = await now();
    await client.query(
      `delete from t where id = 1; update t set v = 'x' where id = 2; insert into t values (8, null, 'a'), (9, null, 'b')`,
    );
    const { rows: found, warnings } = await restored('unique_only', at);
    assertWarned(warnings, leftAlone('unique_only.t', 2));
    assert.deepEqual(found, ['(2,A,x)', '(3,A,c)', '(8,-,a)', '(9,-,b)']);
  });

  test('gives up the value that it does not keep, for a row that had it', async () => {
    await table('given_up', 'v text unique', `(1, '${ACME}', 'a'), (2, '${ACME}', 'b')`);
    const at = await now();
    await client.query(`delete from t where id = 1; update t set tenant_id = null, v = 'a' where id = 2`);
    const { rows: found, warnings } = await restored('given_up', at);
    assertWarned(warnings, takenBack('given_up.t', 1));
    assert.deepEqual(found, ['(1,A,a)', '(2,A,b)']);
  });

  test('keeps all where another tenant has taken a value of it', async () => {
    await table('taken_value', 'v text unique', `(1, '${ACME}', 'a'), (2, '${ACME}', 'b')`);
    const at = await now();
    await client.query(
      `delete from t where id = 1; update t set tenant_id = null, v = 'a' where id = 2; insert into t values (9, '${BIRCH}', 'b')`,
    );
    const { rows: found, warnings } = await restored('taken_value', at);
    assertWarned(warnings, leftAlone('taken_value.t', 2));
    assert.deepEqual(found, ['(2,-,a)', '(9,B,b)']);
  });

  test('of a partitioned table comes back, into another partition as well', async () => {
    await client.query(`create schema nobody_parts; set search_path = nobody_parts;
      create table t (id int, tenant_id uuid, part int, v text, primary key (id, part)) partition by list (part);
      create table t1 partition of t for values in (1); create table t2 partition of t for values in (2);
      insert into t values (1, '${ACME}', 1, 'a'), (2, '${ACME}', 2, 'a'); select m23.protect_table('nobody_parts.t')`);
    const at = await now();
    await client.query(`update t set tenant_id = null, v = 'x'`);
    const { rows: found, warnings } = await restored('nobody_parts', at);
    assertWarned(warnings, takenBack('nobody_parts.t', 2));
    assert.deepEqual(found, ['(1,A,1,a)', '(2,A,2,a)']);
  });

  test('that somebody holds is waited for', async () => {
    await table('held', 'v text', `(1, '${ACME}', 'a')`);
    const at = await now();
    await client.query('update t set tenant_id = null');
    const holder = await postgres.connect();
    try {
      await holder.query(`begin; update held.t set v = 'held'`);
      const done = restored('held', at);
      await new Promise((resolve) => {
        setTimeout(resolve, 300);
      });
      await holder.query('commit');
      assert.deepEqual((await done).rows, ['(1,A,a)']);
    } finally {
      await holder.end();
    }
  });

  test('while another of the same statement came from nobody: both are told', async () => {
    await table('swapped', 'v text', `(1, '${ACME}', 'a'), (2, null, 'n')`);
    const at = await now();
    await client.query(`update t set tenant_id = case id when 2 then '${ACME}'::uuid end`);
    const { rows: found, warnings } = await restored('swapped', at);
    assertWarned(warnings, takenBack('swapped.t', 1), leftAlone('swapped.t', 1));
    assert.deepEqual(found, ['(1,A,a)', '(2,A,n)']);
  });
});

test('a period under a unique constraint WITHOUT OVERLAPS that another tenant has taken is left to it (PostgreSQL 18)', async () => {
  const newest = await startDatabase({}, 18);
  try {
    await actAsOwner(newest.client, ACME, OWNER);
    await newest.client.query(`create schema if not exists extensions; create extension btree_gist schema extensions; set search_path = public, extensions;
      create table u (id int primary key, tenant_id uuid, room int, during int4range, unique (room, during without overlaps));
      insert into u values (1, '${ACME}', 1, '[1,5)'), (2, '${ACME}', 2, '[1,5)');
      select m23.protect_table('u')`);
    const at = await databaseTime(newest.client);
    await newest.client.query(`delete from u; insert into u values (9, '${BIRCH}', 1, '[4,6)')`);
    const done = await recover(newest.client, ACME, OWNER, { targetTimestamp: at, tables: ['u'] });
    assert.equal(done.error, undefined, JSON.stringify(done.error));
    assertWarned(done.warnings, leftAlone('u', 1));
    assert.deepEqual(await rowTexts(newest.client, 'select id, during from u'), ['(2,"[1,5)")', '(9,"[4,6)")']);
  } finally {
    await newest.close();
  }
});
